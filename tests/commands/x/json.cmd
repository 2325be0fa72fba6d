options --json
x/3gx $rsp
x/2wd main.main
x/s main.main
x/2gx 0x10
