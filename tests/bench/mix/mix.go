// mix.go: maps, sorting, JSON and goroutines, for the corpus: runs until it is killed.
package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
)

type item struct {
	Name  string
	Value float64
	Tags  []string
}

func build(n int) []item {
	items := make([]item, n)
	for i := range items {
		name := fmt.Sprintf("item-%d", i*7919%n)
		items[i] = item{name, float64(i) / 3, strings.Split(name, "-")}
	}
	sort.Slice(items, func(a, b int) bool { return items[a].Name < items[b].Name })
	return items
}

func work(done chan<- int) {
	digits := regexp.MustCompile(`(\d+)-?(\d*)`)
	for {
		bytes, _ := json.Marshal(build(2000))
		var back []item
		_ = json.Unmarshal(bytes, &back)
		count := map[string]int{}
		for _, i := range back {
			count[digits.ReplaceAllString(i.Name, "$2")]++
		}
		done <- len(count)
	}
}

func main() {
	done := make(chan int)
	for i := 0; i < 3; i++ {
		go work(done)
	}
	for sum := 0; ; {
		sum += <-done
	}
}
