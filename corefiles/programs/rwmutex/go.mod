module rwmutex

go 1.18
