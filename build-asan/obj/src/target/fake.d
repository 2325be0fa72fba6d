build-asan/obj/src/target/fake.o: src/target/fake.c src/base/banned.h \
 src/target/fake.h include/gcore/target.h include/gcore/base.h \
 include/gcore/error.h include/gcore/util.h include/gcore/elf.h \
 src/target/target_impl.h
src/base/banned.h:
src/target/fake.h:
include/gcore/target.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/elf.h:
src/target/target_impl.h:
