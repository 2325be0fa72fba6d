module behind_c

go 1.18
