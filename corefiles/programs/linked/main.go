//go:build !linked_host

package main

func main() {
	hang()
	settled()
	select {}
}
