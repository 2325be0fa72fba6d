// The smallest program: what of the runtime is linked into every program.
package main

func main() {}
