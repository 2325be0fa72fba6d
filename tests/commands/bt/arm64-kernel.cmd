# a core that an arm64 kernel wrote: mapped files, thread pointers, its own signal frames
core zoo_cgo-go1.27.4-arm64-vm
thread 4
  bt
  regs
$ gcore-inspect --batch -q -ex mappings zoo_cgo-go1.27.4-arm64-vm.core | grep -e FILE -e exe -e '\[' | head -n 8
$ gcore-inspect --batch -q -ex threads zoo_cgo-go1.27.4-arm64-vm.core | sed -n '1,12p'
bt 9
