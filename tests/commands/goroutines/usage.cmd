goroutines 5
goroutines -with
goroutines -with colour red
goroutines -with status
goroutines -with user yes
goroutines -group colour
goroutines -group wait chan
goroutines -group
goroutines -t -x
goroutines --group=status
goroutines -wit user
goroutines -gro status
