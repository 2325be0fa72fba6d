module incall

go 1.18
