module objects

go 1.18
