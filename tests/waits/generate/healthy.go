package main

func makeHealthy(seed, n int) {}
