core zoo-go1.27.4 zoo-go1.19.13
timers
options --json
timers
