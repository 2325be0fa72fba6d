# of a core there is nothing to stop
stop
stop now
