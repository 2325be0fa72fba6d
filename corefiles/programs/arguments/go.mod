module arguments

go 1.18
