$ printf 'bt -n 1\nnonsense\nframe 2\nquit\nbt\n' | gcore-inspect -q abba-go1.27.4.core
$ printf 'frame' | gcore-inspect -q abba-go1.27.4.core
$ gcore-inspect -q abba-go1.27.4.core </dev/null
$ gcore-inspect -q -ex 'bt -n 1' -ex nonsense abba-go1.27.4.core </dev/null
