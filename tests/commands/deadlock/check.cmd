# The exit status of --check: 1 on each deadlock, 0 on a healthy program.
$ for c in abba-go1.19.13 abba-go1.27.4 abba-go1.27.4-gcore rwmutex-go1.27.4 selflock-go1.19.13; do gcore-inspect --check $c.core; echo "exit $?"; done
$ for c in healthy-go1.19.13 healthy-go1.27.4; do gcore-inspect --check $c.core; echo "exit $?"; done
$ gcore-inspect --check --json selflock-go1.19.13.core; echo "exit $?"
$ gcore-inspect --check --batch -ex deadlock abba-go1.19.13.core; echo "exit $?"
