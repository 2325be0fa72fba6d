module selflock

go 1.18
