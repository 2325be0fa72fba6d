build-asan/obj/src/elf/elf_symbols.o: src/elf/elf_symbols.c \
 src/base/banned.h src/elf/elf_private.h src/elf/elf_impl.h \
 include/gcore/elf.h include/gcore/error.h include/gcore/util.h \
 include/gcore/base.h
src/base/banned.h:
src/elf/elf_private.h:
src/elf/elf_impl.h:
include/gcore/elf.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/base.h:
