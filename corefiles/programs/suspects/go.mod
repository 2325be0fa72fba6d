module suspects

go 1.18
