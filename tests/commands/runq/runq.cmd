core busy-go1.27.4 zoo-go1.27.4
runq
options --json
runq
