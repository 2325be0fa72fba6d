module lockstyles

go 1.18
