// The C program around package linked. It is linked with the Go code, or with
// HOST_DLOPEN loads it at run time: the file of its own name with ".so" behind, and the
// one with ".2.so" if there is one (a second Go runtime then).

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void hang_fn(void);
typedef void wait_fn(int how);

static __thread long mine = 42; // the host has thread-local variables, too

#ifndef HOST_DLOPEN
hang_fn LinkedHang, LinkedCrash;
wait_fn LinkedWait;
#endif

static hang_fn *hang, *crash;
static wait_fn *wait_in_go;

#ifdef HOST_DLOPEN
static int load(const char *suffix)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

	if (n < 0)
		return -1;
	snprintf(path + n, 16, "%s", suffix);
	if (access(path, R_OK) != 0)
		return -1;
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	*(void **)&hang = dlsym(lib, "LinkedHang");
	*(void **)&crash = dlsym(lib, "LinkedCrash");
	*(void **)&wait_in_go = dlsym(lib, "LinkedWait");
	return hang && crash && wait_in_go ? 0 : -1;
}
#endif

struct caller {
	wait_fn *fn;
	int how;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	mine += c->how;
	c->fn(c->how);
	return NULL;
}

static void *idle(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) != 0)
		abort();
}

static void use_library(void)
{
	static struct caller callers[8];
	static size_t used;

	hang();
	for (int how = 0; how < 2; how++) {
		callers[used] = (struct caller){wait_in_go, how};
		start(call, &callers[used++]);
	}
}

int main(int argc, char **argv)
{
#ifdef HOST_DLOPEN
	start(idle, NULL);
	if (load(".so") != 0)
		return 1;
	use_library();
	if (load(".2.so") == 0)
		use_library();
#else
	hang = LinkedHang;
	crash = LinkedCrash;
	wait_in_go = LinkedWait;
	start(idle, NULL);
	use_library();
#endif
	usleep(200000);
	if (write(1, "ready\n", 6) != 6)
		return 1;
	if (argc > 1 && strcmp(argv[1], "crash") == 0)
		crash();
	for (;;)
		pause();
}
