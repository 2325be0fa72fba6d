module vm

go 1.18
