x/4gx $rsp
x/3wx $rsp + 8
x/8xb main.main
x/4hd main.main
x/2a $sp+0x18
x/s main.main
x/9c main.main
x/2t main.main
x/2wo main.main
x/2du $pc
x $rsp
x/2gx &main.a
