core abba-go1.27.4
options --json
why 1
