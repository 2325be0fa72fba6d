module throw

go 1.18
