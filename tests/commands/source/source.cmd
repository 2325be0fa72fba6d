$ printf '# two commands\nbt -n 1\n\n  frame 2\n' >.cmds; gcore-inspect --batch -q -ex 'source .cmds' abba-go1.27.4.core
$ gcore-inspect --batch -q -x .cmds -ex 'frame' abba-go1.27.4.core
$ printf 'bt -n 1\nbtt\nbt\n' >.cmds; gcore-inspect --batch -q -ex 'source .cmds' -ex 'bt -n 1' abba-go1.27.4.core
$ gcore-inspect --batch -q -x .cmds abba-go1.27.4.core
$ printf 'source .cmds\n' >.cmds; gcore-inspect --batch -q -x .cmds abba-go1.27.4.core 2>&1 | tail -c 300
$ rm .cmds; gcore-inspect --batch -q -ex 'source .cmds' abba-go1.27.4.core
source
