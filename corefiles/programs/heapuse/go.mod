module heapuse

go 1.18
