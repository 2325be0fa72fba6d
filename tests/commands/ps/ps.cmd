core abba-go1.27.4 abba-go1.19.13 abba-go1.27.4-gcore
ps
options --json
core abba-go1.19.13
ps
