# of a core there is nothing to continue
continue
continue now
