// Files that a test makes: in a folder of its own, which goes when the program ends.
#ifndef TESTS_FILES_H
#define TESTS_FILES_H

#include <stddef.h>

/** The folder; made on first use. */
const char *test_dir(void);
/** test_dir()/name, malloc'd. */
char *test_path(const char *name);
/** Writes a file below test_dir(), with the folders on its way; its path, malloc'd. */
char *test_write(const char *name, const void *bytes, size_t n);

#endif
