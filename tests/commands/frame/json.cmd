options --json
frame 2
