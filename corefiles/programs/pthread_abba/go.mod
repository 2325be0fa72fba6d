module pthread_abba

go 1.18
