examinemem -fmt hex -count 4 -size 1 main.main
x -fmt dec -len 3 -size 2 main.main
x -fmt bin -size 1 main.main
x -fmt addr $rsp-8+8
