# frames are numbered as bt showed them last; the selected one remains
core zoo_cgo-go1.27.4
goroutine 30
  frame 19
  bt -full-thread
  frame
  regs
  frame 17
  up
  down 2
  bt -n 3
  frame
  bt -full-thread -n 2
  goroutine 30
  frame 17
goroutine 30
  goroutine 30 bt -n 2 -full-thread
  frame 17
