bt -z
bt -n
bt -n many
bt -n 5 -n 6
bt 1 2
bt -n 5 6
bt -n 99999999999
bt -n 0
