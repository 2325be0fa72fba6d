build-asan/obj/tests/support/files.o: tests/support/files.c \
 tests/support/files.h
tests/support/files.h:
