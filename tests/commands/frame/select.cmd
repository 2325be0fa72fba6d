core abba-go1.27.4 zoo-go1.19.13
frame
frame 2
  frame
f 0
frame 1000
frame x
frame 1 2
