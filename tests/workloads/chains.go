// chains.go: takes the name of a chain of functions and burns time at its end, for CHAINS_SECONDS (1).
package main

import (
	"os"
	"strconv"
	"sync"
	"time"
)

const depth = 20

var until time.Time
var sink uint64

//go:noinline
func burn() {
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
	until = time.Now().Add(time.Duration(seconds * float64(time.Second)))
	switch os.Args[1] {
	case "recurse":
		recurse(depth)
	case "goroutines":
		goroutines()
	}
}
