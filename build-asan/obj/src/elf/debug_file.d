build-asan/obj/src/elf/debug_file.o: src/elf/debug_file.c \
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
