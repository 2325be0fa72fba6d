module pthread_mixed

go 1.18
