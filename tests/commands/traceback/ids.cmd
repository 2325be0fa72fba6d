# the whole text is compared with the runtime's own by tests/oracle
core abba-go1.27.4 abba-go1.19.13
traceback 8 9
traceback -level system 1
traceback -level loud
traceback 4711
options --json
core abba-go1.27.4
traceback 8
