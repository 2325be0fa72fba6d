# of a core there is nothing to refresh
refresh
refresh now
