# of a core there is nothing to detach
detach
detach now
