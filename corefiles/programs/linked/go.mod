module linked

go 1.18
