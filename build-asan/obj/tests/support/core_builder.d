build-asan/obj/tests/support/core_builder.o: tests/support/core_builder.c \
 tests/support/core_builder.h tests/support/elf_builder.h \
 include/gcore/base.h include/gcore/error.h include/gcore/util.h \
 include/gcore/target.h include/gcore/elf.h tests/support/files.h
tests/support/core_builder.h:
tests/support/elf_builder.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/target.h:
include/gcore/elf.h:
tests/support/files.h:
