build-asan/obj/src/base/memory.o: src/base/memory.c src/base/banned.h \
 include/gcore/base.h include/gcore/error.h include/gcore/util.h
src/base/banned.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
