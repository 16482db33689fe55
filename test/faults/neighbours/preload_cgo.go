//go:build cgo

package main

/*
#include <signal.h>
#include <unistd.h>
static int double_in_c(int n) { return 2 * n; }
static void die_in_c(void) { *(volatile int*)8 = 1; }
*/
import "C"
import "os"

func preload() int {
	if len(os.Args) > 1 {
		C.die_in_c()
	}
	sum := 0
	for i := 0; i < 1000; i++ {
		sum += int(C.double_in_c(C.int(i)))
	}
	return sum
}
