build-asan/obj/src/symbols/inline.o: src/symbols/inline.c \
 src/base/banned.h src/symbols/symbols_impl.h include/gcore/base.h \
 include/gcore/error.h include/gcore/util.h include/gcore/symbols.h \
 include/gcore/elf.h include/gcore/target.h
src/base/banned.h:
src/symbols/symbols_impl.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
include/gcore/symbols.h:
include/gcore/elf.h:
include/gcore/target.h:
