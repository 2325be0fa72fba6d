//go:build go1.21

package main

import "sync"

func locker(m *sync.Mutex) sync.Locker { return m }
