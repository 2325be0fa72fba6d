module cgothrow

go 1.18
