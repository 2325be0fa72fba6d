core zoo-go1.27.4 zoo-go1.19.13
netpoll
options --json
netpoll
