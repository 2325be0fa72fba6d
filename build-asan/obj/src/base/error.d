build-asan/obj/src/base/error.o: src/base/error.c src/base/banned.h \
 include/gcore/error.h include/gcore/util.h
src/base/banned.h:
include/gcore/error.h:
include/gcore/util.h:
