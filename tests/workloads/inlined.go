// inlined.go: burns CPU in functions that are inlined into each other, for CHAINS_SECONDS (1) of
// CPU time.
package main

import (
	"os"
	"strconv"
	"syscall"
)

type mixer struct{ state uint64 }

// Calls nothing, is small, and so are those that call it: all three are inlined into burn.
func (m *mixer) step(x uint64) {
	m.state ^= m.state << 13
	m.state ^= m.state >> 7
	m.state += x
}

func (m *mixer) twice(x uint64) {
	m.step(x)
	m.step(x + 1)
}

func mix(m *mixer, x uint64) { m.twice(x) }

//go:noinline
func burn(m *mixer, rounds int) {
	for i := 0; i < rounds; i++ {
		mix(m, uint64(i))
	}
}

// CPU time of the process in seconds: on a busy machine the clock on the wall says little.
func burned() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("CHAINS_SECONDS"), 64)
	if err != nil {
		seconds = 1
	}
	m := &mixer{88172645463325252}
	for until := burned() + seconds; burned() < until; {
		burn(m, 1<<20)
	}
	println(m.state)
}
