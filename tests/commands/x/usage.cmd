x
x/8q main.main
x -fmt nice main.main
x -size 3 main.main
x nowhere
x 0x10
x $rip2
x $rax
x/2000000x $rsp
x/4gx 0xfffffffffffffff8
x/2xg 18446744073709551615
