module abba

go 1.18
