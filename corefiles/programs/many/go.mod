module many

go 1.18
