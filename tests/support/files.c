// A failure here is no result of a test: the program ends.

#include "files.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[4096];

static void die(const char *what)
{
	perror(what);
	abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
	if (!dir[0]) {
		const char *tmp = getenv("TMPDIR");
		snprintf(dir, sizeof(dir), "%s/gcore-test-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
		if (!mkdtemp(dir))
			die(dir);
		atexit(remove_dir);
	}
	return dir;
}

char *test_path(const char *name)
{
	char *path = NULL;
	if (asprintf(&path, "%s/%s", test_dir(), name) < 0)
		die("asprintf");
	return path;
}

char *test_write(const char *name, const void *bytes, size_t n)
{
	char *path = test_path(name);
	for (char *p = path + strlen(test_dir()) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			die(path);
		*p = '/';
	}
	// A new file, not the old one's bytes anew: some file systems flush those at close.
	remove(path);
	FILE *f = fopen(path, "we");
	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
		die(path);
	return path;
}
