build-asan/obj/src/base/map.o: src/base/map.c src/base/banned.h \
 include/gcore/base.h include/gcore/error.h include/gcore/util.h
src/base/banned.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
