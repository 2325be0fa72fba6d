module handover

go 1.18
