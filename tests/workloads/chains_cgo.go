// chains_cgo.go: Go calls C, and C calls Go back: CPU time is burned at the end of either chain, for
// CHAINS_SECONDS (1) of it.
package main

/*
#include <stdint.h>
#include <time.h>

extern void goBurns(void);
static volatile uint64_t sink;

static void __attribute__((noinline)) c_burns(double seconds)
{
    clock_t until = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
    while (clock() < until)
        for (int i = 0; i < 1000000; i++)
            sink = sink * 3 + 1;
}

static void __attribute__((noinline)) c_steps(double seconds)
{
    c_burns(seconds);
    sink++;
}

static void __attribute__((noinline)) c_calls_go(void)
{
    goBurns();
    sink++;
}
*/
import "C"

import (
	"os"
	"strconv"
	"syscall"
)

var until float64
var sink uint64

// CPU time of the process in seconds: on a busy machine the clock on the wall says little.
// Nothing is inlined here: where cgo rewrote a file, Go 1.19's DWARF has the wrong line of such calls.
//
//go:noinline
func burned() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

//export goBurns
func goBurns() {
	for burned() < until {
		spin(1 << 20)
	}
}

//go:noinline
func spin(rounds int) {
	n := sink
	for i := 0; i < rounds; i++ {
		n = n*6364136223846793005 + 1442695040888963407
	}
	sink = n
}

//go:noinline
func callC(seconds float64) { C.c_steps(C.double(seconds)) }

//go:noinline
func callBack() { C.c_calls_go() }

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("CHAINS_SECONDS"), 64)
	if err != nil {
		seconds = 1
	}
	until = burned() + seconds
	switch os.Args[1] {
	case "c":
		callC(seconds)
	case "back":
		callBack()
	}
}
