core zoo-go1.27.4
options --json
object 0xc2076c46008
