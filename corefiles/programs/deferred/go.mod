module deferred

go 1.18
