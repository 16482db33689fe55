//go:build !cgo

package main

func preload() int { return 0 }
