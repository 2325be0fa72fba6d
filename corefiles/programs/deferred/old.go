//go:build !go1.23

package main

var newer []func(b *book)
