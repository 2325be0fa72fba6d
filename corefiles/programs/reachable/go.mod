module reachable

go 1.18
