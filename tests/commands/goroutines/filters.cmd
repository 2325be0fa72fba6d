core zoo-go1.27.4 zoo-go1.19.13
goroutines -with function main.lockGlobal
goroutines -with file io.go
goroutines -with status syscall
goroutines -with wait chan send
goroutines -with wait 'chan send' -without wait "nil chan"
goroutines -with label tenant
goroutines -l -with label "request=GET /a b"
goroutines -with creator runtime.
goroutines -without user
goroutines -with running
goroutines -with userloc waits.go:1
goroutines -with curloc runtime.gopark -with start accept
goroutines -with goloc startRuntime
goroutines -with status nothing
