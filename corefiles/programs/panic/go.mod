module panic

go 1.18
