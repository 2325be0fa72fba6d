//go:build !go1.21

package main

import "sync"

// Before Go 1.21 the table is looked up for each call, and lies nowhere.
func locker(m *sync.Mutex) *sync.Mutex { return m }
