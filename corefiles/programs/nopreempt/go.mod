module nopreempt

go 1.18
