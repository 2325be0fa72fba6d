module pthread_cond

go 1.18
