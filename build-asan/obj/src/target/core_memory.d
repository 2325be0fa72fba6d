build-asan/obj/src/target/core_memory.o: src/target/core_memory.c \
 src/base/banned.h src/target/core_impl.h src/target/target_impl.h \
 include/gcore/target.h include/gcore/base.h include/gcore/error.h \
 include/gcore/util.h include/gcore/elf.h
src/base/banned.h:
src/target/core_impl.h:
src/target/target_impl.h:
include/gcore/target.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/elf.h:
