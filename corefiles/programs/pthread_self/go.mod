module pthread_self

go 1.18
