build-asan/obj/src/elf/unpack.o: src/elf/unpack.c src/base/banned.h \
 src/elf/elf_private.h src/elf/elf_impl.h include/gcore/elf.h \
 include/gcore/error.h include/gcore/util.h include/gcore/base.h
src/base/banned.h:
src/elf/elf_private.h:
src/elf/elf_impl.h:
include/gcore/elf.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/base.h:
