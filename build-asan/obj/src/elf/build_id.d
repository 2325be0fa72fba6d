build-asan/obj/src/elf/build_id.o: src/elf/build_id.c src/base/banned.h \
 src/elf/elf_private.h src/elf/elf_impl.h include/gcore/elf.h \
 include/gcore/error.h include/gcore/util.h include/gcore/base.h
src/base/banned.h:
src/elf/elf_private.h:
src/elf/elf_impl.h:
include/gcore/elf.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/base.h:
