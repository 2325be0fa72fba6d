build-asan/obj/src/base/interrupt.o: src/base/interrupt.c \
 src/base/banned.h include/gcore/base.h include/gcore/error.h \
 include/gcore/util.h
src/base/banned.h:
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
