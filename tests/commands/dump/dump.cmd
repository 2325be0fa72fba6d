# a mini dump tells what the core told, and says of the rest that it is not there
$ d=$(mktemp -d); gcore-inspect --batch -ex "dump -mini $d/mini" abba-go1.27.4.core | sed -E "s,$d/,,; s/[0-9]+\.[0-9]+ s$/T s/; s/[0-9.]+ MB/N MB/g"; cd $d; gcore-inspect --batch -ex deadlock mini 2>&1 | sed 's/gcore-inspect [0-9.]*:/gcore-inspect VERSION:/'; rm -r $d
# what is no file to write to, and options that do not go together
dump
dump -mini -all file
dump /dev/null
dump /nowhere/file
$ gcore-inspect --batch -ex 'dump abba-go1.27.4.core' abba-go1.27.4.core
