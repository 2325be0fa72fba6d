build-asan/obj/src/base/cursor.o: src/base/cursor.c src/base/banned.h \
 include/gcore/base.h include/gcore/error.h include/gcore/util.h
src/base/banned.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
