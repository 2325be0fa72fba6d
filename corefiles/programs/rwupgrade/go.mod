module rwupgrade

go 1.18
