module nilderef_c

go 1.18
