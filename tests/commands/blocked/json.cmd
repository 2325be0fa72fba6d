core abba-go1.27.4
options --json
blocked -n 2
