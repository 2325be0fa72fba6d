module nilderef

go 1.18
