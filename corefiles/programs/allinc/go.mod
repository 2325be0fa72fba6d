module allinc

go 1.18
