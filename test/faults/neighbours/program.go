// The Go runtime: nil dereferences and divisions by signal, its own stacks, preemption by SIGURG.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

type node struct{ next *node; value int }

func read(n *node) (result int) {
	defer func() {
		if recover() != nil {
			result = 1
		}
	}()
	return n.next.value
}

func divide(a, b int) (result int) {
	defer func() {
		if e := recover(); e != nil {
			fmt.Println(e)
		}
	}()
	return a / b
}

func main() {
	caught := 0
	for i := 0; i < 20000; i++ {
		caught += read(&node{})
	}
	fmt.Println("nil", caught)
	divide(1, caught-caught)
	var all sync.WaitGroup
	var lock sync.Mutex
	total := 0
	for i := 0; i < 200; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			sum := 0
			for j := 0; j < 100; j++ {
				sum += read(nil)
				if j%10 == 0 {
					runtime.Gosched()
				}
			}
			lock.Lock()
			total += sum
			lock.Unlock()
		}()
	}
	all.Wait()
	fmt.Println("goroutines", total)
	h := uint64(7)
	for i := uint64(0); i < 50000000; i++ {
		h = h*31 + (i ^ (h >> 7))
	}
	fmt.Println("work", h, preload())
	runtime.GC()
	os.Exit(6)
}
