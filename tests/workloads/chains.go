// chains.go: takes the name of a chain of functions and burns CPU time at its end, for
// CHAINS_SECONDS (1) of it.
package main

import (
	"os"
	"strconv"
	"sync"
	"syscall"
)

const depth = 20

var until float64
var sink uint64

// CPU time of the process in seconds: on a busy machine the clock on the wall says little.
func burned() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

//go:noinline
func burn() {
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

// Its frame is larger than a goroutine's first stack, which has to grow and move.
//
//go:noinline
func recurse(levels int) int {
	var room [512]byte
	room[levels] = 1
	if levels == 1 {
		burn()
		return int(room[0])
	}
	return recurse(levels-1) + int(room[levels])
}

type shape interface{ draw() }
type square struct{ side int }

//go:noinline
func (s square) draw() { burn() }

//go:noinline
func drawAll(shapes []shape) {
	for _, s := range shapes {
		s.draw()
	}
}

//go:noinline
func work(done *sync.WaitGroup) {
	defer done.Done()
	drawAll([]shape{square{1}})
}

func goroutines() {
	var done sync.WaitGroup
	for i := 0; i < 4; i++ {
		done.Add(1)
		go work(&done)
	}
	done.Wait()
}

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("CHAINS_SECONDS"), 64)
	if err != nil {
		seconds = 1
	}
	until = burned() + seconds
	switch os.Args[1] {
	case "recurse":
		recurse(depth)
	case "goroutines":
		goroutines()
	}
}
