build-asan/obj/src/target/regs.o: src/target/regs.c src/base/banned.h \
 include/gcore/target.h include/gcore/base.h include/gcore/error.h \
 include/gcore/util.h include/gcore/elf.h
src/base/banned.h:
include/gcore/target.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/elf.h:
