module abba_explicit

go 1.18
