# each thread from what it does to where it began; what fails on one does not hide the others
core abba-go1.27.4
thread all bt -n 40
thread all
thread all regs rip
thread all nonsense
options --json
thread all bt -n 1
