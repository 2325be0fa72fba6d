// Debug files and executables from servers, by build ID.
//
// libdebuginfod does it (it speaks HTTP and keeps what came below ~/.cache, and reads its
// settings from $DEBUGINFOD_URLS, DEBUGINFOD_TIMEOUT, DEBUGINFOD_MAXSIZE, ...). It is loaded
// when it is asked for, and not linked: hardly anybody needs it, it drags an HTTP client and
// its libraries in, and a machine without it must still run this program.
//
// Nothing here happens unless a person asked for it: a core may name any build ID, and a
// server that is asked learns of it.

#include "elf/elf_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct debuginfod_client; // the library's

struct gi_debuginfod {
	struct gi_debuginfod_options opts;
	pthread_mutex_t lock;
	struct debuginfod_client *client;
	void *library;
	const char *kind;  // what is on its way
	const char *hex;   // its build ID
	bool interrupted, too_large; // why we stopped it
	char *over;		     // why nothing is asked for any more, or NULL
	void (*end)(struct debuginfod_client *);
	int (*find_debuginfo)(struct debuginfod_client *, const unsigned char *, int, char **);
	int (*find_executable)(struct debuginfod_client *, const unsigned char *, int, char **);
};

// A callback is told the library's client alone: this is whose it is.
static __thread struct gi_debuginfod *waiting;

// Not 0: the download ends.
static int on_progress(struct debuginfod_client *client, long done, long total)
{
	struct gi_debuginfod *d = waiting;
	(void)client;
	if (!d)
		return gi_interrupted();
	if (gi_interrupted()) {
		d->interrupted = true;
		return 1;
	}
	uint64_t n = done > 0 ? (uint64_t)done : 0, all = total > 0 ? (uint64_t)total : 0;
	if (gi_max_u64(n, all) > d->opts.max_size) {
		d->too_large = true;
		return 1;
	}
	if (d->opts.progress) {
		_cleanup_(gi_str_deinit) struct gi_str what = {0};
		gi_str_printf(&what, "fetching %s %.12s", d->kind, d->hex);
		d->opts.progress(d->opts.progress_arg, gi_str_cstr(&what), n, all);
	}
	return 0;
}

static bool load(struct gi_debuginfod *d)
{
	struct debuginfod_client *(*begin)(void);
	void (*set_progress)(struct debuginfod_client *,
			     int (*)(struct debuginfod_client *, long, long));
	const struct {
		const char *name;
		void *to;
	} wanted[] = {
		{"debuginfod_begin", &begin},
		{"debuginfod_end", &d->end},
		{"debuginfod_find_debuginfo", &d->find_debuginfo},
		{"debuginfod_find_executable", &d->find_executable},
		{"debuginfod_set_progressfn", &set_progress},
	};
	d->library = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!d->library)
		return false;
	for (size_t i = 0; i < GI_ARRAY_SIZE(wanted); i++) {
		void *p = dlsym(d->library, wanted[i].name);
		if (!p)
			return false;
		memcpy(wanted[i].to, &p, sizeof(p));
	}
	d->client = begin();
	if (!d->client)
		return false;
	set_progress(d->client, on_progress);
	return true;
}

struct gi_error *gi_debuginfod_open(const struct gi_debuginfod_options *opts,
				    struct gi_debuginfod **ret)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	if (!urls || !urls[strspn(urls, " ")])
		return gi_error_create(GI_ERR_USAGE, "DEBUGINFOD_URLS in the environment names no "
						     "server to fetch debug files from");
	struct gi_debuginfod *d = calloc(1, sizeof(*d));
	if (!d)
		return gi_error_nomem();
	pthread_mutex_init(&d->lock, NULL);
	d->opts = *opts;
	if (!d->opts.max_size)
		d->opts.max_size = GI_DEBUGINFOD_SIZE_MAX;
	// The library asks a server to mind this, and looks at no file that comes all the same.
	const char *max = getenv("DEBUGINFOD_MAXSIZE");
	long long n = max ? strtoll(max, NULL, 10) : 0;
	if (n > 0)
		d->opts.max_size = gi_min_u64(d->opts.max_size, (uint64_t)n);
	if (!load(d)) {
		const char *why = d->library ? NULL : dlerror();
		struct gi_error *err = gi_error_create(
			GI_ERR_UNSUPPORTED,
			"debug files cannot be fetched without libdebuginfod (Debian's package "
			"libdebuginfod1)%s%s",
			why ? ": " : "", why ? why : "");
		gi_debuginfod_close(d);
		return err;
	}
	*ret = d;
	return NULL;
}

void gi_debuginfod_close(struct gi_debuginfod *d)
{
	if (!d)
		return;
	if (d->client)
		d->end(d->client);
	// The library is not unloaded: what it loads does not all bear it.
	pthread_mutex_destroy(&d->lock);
	free(d->over);
	free(d);
}

// What a failed download means; all but "no such file" ends our asking.
static struct gi_error *explain(struct gi_debuginfod *d, int rc)
{
	// What we stopped comes back as "no such file".
	if (d->too_large || rc == -EFBIG)
		return gi_error_create(GI_ERR_IO, "%s %s is larger than the limit of %llu bytes",
				       d->kind, d->hex, (unsigned long long)d->opts.max_size);
	if (rc == -ENOENT && !d->interrupted)
		return gi_error_create(GI_ERR_NOT_FOUND, "no server has %s %s", d->kind, d->hex);
	_cleanup_(gi_str_deinit) struct gi_str why = {0};
	if (d->interrupted) {
		gi_interrupt_clear();
		gi_str_puts(&why, "the download was interrupted, no more is fetched");
	} else if (rc == -ETIME || rc == -ETIMEDOUT) {
		gi_str_puts(&why, "no server answered in time, no more is fetched");
	} else {
		gi_str_printf(&why, "fetching %s %s failed, no more is fetched: %s", d->kind, d->hex,
			      strerror(-rc));
	}
	d->over = strdup(gi_str_cstr(&why));
	return gi_error_create(GI_ERR_IO, "%s", gi_str_cstr(&why));
}

static struct gi_error *fetch(struct gi_debuginfod *d, const struct gi_build_id *id,
			      enum gi_debuginfod_kind kind, struct gi_str *path)
{
	bool debug = kind == GI_DEBUGINFOD_DEBUG;
	char hex[2 * sizeof(id->bytes) + 1];
	char *copy = NULL;
	if (d->over)
		return gi_error_create(GI_ERR_NOT_FOUND, "%s", d->over);
	gi_build_id_format(id, hex, sizeof(hex));
	d->kind = debug ? "debug file" : "executable";
	d->hex = hex;
	d->interrupted = d->too_large = false;
	waiting = d;
	int fd = (debug ? d->find_debuginfo : d->find_executable)(d->client,
								   (const unsigned char *)hex, 0, &copy);
	waiting = NULL;
	struct gi_error *err = NULL;
	if (fd < 0)
		err = explain(d, fd);
	else
		close(fd);
	d->hex = NULL;
	if (!err && !copy)
		err = gi_error_nomem();
	if (!err)
		gi_str_puts(path, copy);
	free(copy);
	return err;
}

struct gi_error *gi_debuginfod_fetch(struct gi_debuginfod *d, const struct gi_build_id *id,
				     enum gi_debuginfod_kind kind, struct gi_str *path)
{
	if (!id->len)
		return gi_error_create(GI_ERR_NOT_FOUND, "it has no build ID to ask for");
	pthread_mutex_lock(&d->lock);
	struct gi_error *err = fetch(d, id, kind, path);
	pthread_mutex_unlock(&d->lock);
	return err;
}
