down
up 5
  down 2
  down 100
  down
