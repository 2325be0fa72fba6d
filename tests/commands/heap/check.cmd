core zoo-go1.27.4 abba-go1.19.13
heap
