build-asan/obj/src/base/str.o: src/base/str.c src/base/banned.h \
 include/gcore/base.h include/gcore/error.h include/gcore/util.h
src/base/banned.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
