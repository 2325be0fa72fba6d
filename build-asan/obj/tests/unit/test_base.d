build-asan/obj/tests/unit/test_base.o: tests/unit/test_base.c \
 include/gcore/base.h include/gcore/error.h include/gcore/util.h
include/gcore/base.h:
include/gcore/error.h:
include/gcore/util.h:
