core abba-go1.27.4 abba-go1.19.13
why 1
core zoo-go1.27.4
why 3
why 13
why 33
why 4
why 48
core selflock-go1.19.13
why 1
core abba-go1.27.4
why 99
