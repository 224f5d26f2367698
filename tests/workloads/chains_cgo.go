// chains_cgo.go: Go calls C, and C calls Go back: time is burned at the end of either chain, for
// CHAINS_SECONDS (1).
package main

/*
#include <stdint.h>
#include <time.h>

extern void goBurns(void);
static volatile uint64_t sink;

static void __attribute__((noinline)) c_burns(double seconds)
{
    time_t until = time(NULL) + (time_t)seconds + 1;
    while (time(NULL) < until)
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
	"time"
)

var until time.Time
var sink uint64

//export goBurns
func goBurns() {
	for time.Now().Before(until) {
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
	until = time.Now().Add(time.Duration(seconds * float64(time.Second)))
	switch os.Args[1] {
	case "c":
		callC(seconds)
	case "back":
		callBack()
	}
}
