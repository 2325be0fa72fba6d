module chanpair

go 1.18
