module structlock

go 1.18
