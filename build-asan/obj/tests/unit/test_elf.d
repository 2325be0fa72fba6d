build-asan/obj/tests/unit/test_elf.o: tests/unit/test_elf.c \
 tests/unit/../support/elf_builder.h include/gcore/base.h \
 include/gcore/error.h include/gcore/util.h tests/unit/../support/files.h \
 src/elf/elf_impl.h include/gcore/elf.h
tests/unit/../support/elf_builder.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
tests/unit/../support/files.h:
src/elf/elf_impl.h:
include/gcore/elf.h:
