// names.go: Go code of every kind that names differ for: generic functions and methods, closures,
// methods behind interfaces and of embedded types, calls inlined into each other and into those.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type number interface{ ~int | ~float64 }

func sum[T number](xs []T) (total T) {
	each(xs, func(x T) { total += x })
	return total
}

func each[T any](xs []T, visit func(T)) {
	for _, x := range xs {
		visit(x)
	}
}

type pile[T any] struct{ items []T }

//go:noinline
func (p *pile[T]) push(x T) {
	p.items = append(p.items, x)
	sort.Slice(p.items, func(a, b int) bool { return fmt.Sprint(p.items[a]) < fmt.Sprint(p.items[b]) })
}

type shape interface{ area() float64 }
type square struct{ side float64 }
type named struct {
	square
	name string
}

func (s square) area() float64   { return times(s.side, s.side) }
func times(a, b float64) float64 { return plus(a*b, 0) }
func plus(a, b float64) float64  { return a + b }
func (n named) String() string   { return strings.ToUpper(n.name) + trimmed(n.name) }
func trimmed(s string) string    { return strings.TrimSpace(strings.Repeat(s, 2)) }
func describe(shapes []shape) (s string) {
	defer func() { s += fmt.Sprint(recover()) }()
	for _, each := range shapes {
		s += fmt.Sprintf("%v %.1f ", each, each.area())
	}
	panic(s)
}

func main() {
	words := &pile[string]{}
	numbers := &pile[float64]{}
	for _, word := range os.Args {
		words.push(word)
		numbers.push(float64(len(word)))
	}
	done := make(chan string)
	go func() { done <- describe([]shape{square{2}, &square{3}, named{square{4}, "four"}}) }()
	fmt.Println(sum([]int{1, 2}), sum(numbers.items), <-done)
	out, err := json.Marshal(map[string]any{"words": words.items, "size": plus(1, 2)})
	fmt.Println(string(out), err)
}
