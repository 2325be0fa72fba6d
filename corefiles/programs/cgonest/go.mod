module cgonest

go 1.18
