# nothing after it runs
quit
  bt
q
exit
quit now
