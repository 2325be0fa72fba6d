build-asan/obj/src/elf/elf.o: src/elf/elf.c src/base/banned.h \
 src/elf/elf_private.h src/elf/elf_impl.h include/gcore/elf.h \
 include/gcore/error.h include/gcore/util.h include/gcore/base.h
src/base/banned.h:
src/elf/elf_private.h:
src/elf/elf_impl.h:
include/gcore/elf.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/base.h:
