build-asan/obj/tests/support/elf_builder.o: tests/support/elf_builder.c \
 tests/support/elf_builder.h include/gcore/base.h include/gcore/error.h \
 include/gcore/util.h tests/support/files.h
tests/support/elf_builder.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
tests/support/files.h:
