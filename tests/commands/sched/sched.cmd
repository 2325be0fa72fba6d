core abba-go1.27.4-gcore abba-go1.19.13
sched
core zoo-go1.27.4
options --json
sched
