//go:build linked_plugin

package main

// Hang is what the program that loads the plugin calls.
func Hang() { hang() }
