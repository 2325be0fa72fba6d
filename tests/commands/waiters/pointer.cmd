core zoo-go1.27.4
object main.never
waiters main.main
waiters main.never.x
waiters main.nothing
help waiters
