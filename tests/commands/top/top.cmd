# of a core there is nothing to watch
top
top -s x
top 1
