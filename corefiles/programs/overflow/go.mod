module overflow

go 1.18
