build-asan/obj/src/target/target.o: src/target/target.c src/base/banned.h \
 src/target/target_impl.h include/gcore/target.h include/gcore/base.h \
 include/gcore/error.h include/gcore/util.h include/gcore/elf.h
src/base/banned.h:
src/target/target_impl.h:
include/gcore/target.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/elf.h:
