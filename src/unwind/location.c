// Where a goroutine is, is in user code, was created and was started.
//
// User code is what is not Go's standard library: a goroutine that waits in
// sync.(*Mutex).Lock or net.(*conn).Read is of interest where it called that. A goroutine
// that runs nothing else (a server's connection between two requests) is shown in the
// innermost function that is not the runtime's.

#include "unwind/unwind_impl.h"

#include <stdlib.h>
#include <string.h>

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

// How much of a name is directories of its import path: "net/" of
// "net/http.(*conn).serve". Type arguments and receivers have paths of their own.
static size_t package_dir(const char *name)
{
	size_t n = strcspn(name, "[(");
	while (n && name[n - 1] != '/')
		n--;
	return n;
}

bool gi_function_is_runtime(const char *name)
{
	// Methods and functions of the runtime, its internals, what the linker and the
	// compiler made ("type:.eq.main.T", "go:buildid"), and assembly without a
	// package.
	if (starts(name, "runtime.") || starts(name, "runtime/internal/") ||
	    starts(name, "internal/") || starts(name, "type:") || starts(name, "type..") ||
	    starts(name, "go:") || starts(name, "go.(") || starts(name, "go.."))
		return true;
	// What the runtime implements for other packages: sync.runtime_Semacquire.
	const char *dot = strchr(name + package_dir(name), '.');
	return !dot || starts(dot, ".runtime_");
}

static int compare(const void *key, const void *elem)
{
	return strcmp(key, *(const char *const *)elem);
}

bool gi_function_is_std(const char *name)
{
	// The first elements of the import paths of Go 1.18 to 1.27's standard library.
	static const char *const roots[] = {
		"archive",   "arena",	"bufio",    "builtin",	"bytes", "cmp",	    "compress",
		"container", "context", "crypto",   "database", "debug", "embed",   "encoding",
		"errors",    "expvar",	"flag",	    "fmt",	"go",	 "hash",    "html",
		"image",     "index",	"internal", "io",	"iter",	 "log",	    "maps",
		"math",	     "mime",	"net",	    "os",	"path",	 "plugin",  "reflect",
		"regexp",    "runtime", "simd",	    "slices",	"sort",	 "strconv", "strings",
		"structs",   "sync",	"syscall",  "testing",	"text",	 "time",    "unicode",
		"unique",    "unsafe",	"uuid",	    "vendor",	"weak",
	};
	if (gi_function_is_runtime(name))
		return true;
	char root[16];
	size_t n = strcspn(name, "/.");
	if (!name[n] || n >= sizeof(root))
		return false;
	// "go.uber.org/zap.(*Logger)" begins like the package go, but with a host's name.
	if (name[n] == '.' && package_dir(name))
		return false;
	memcpy(root, name, n);
	root[n] = '\0';
	return bsearch(root, roots, GI_ARRAY_SIZE(roots), sizeof(roots[0]), compare);
}

struct locate {
	struct gi_unwinder *u;
	struct gi_location where, user, outside;
};

// A list of goroutines asks the same of the same few functions a million times.
static const struct gi_origin *origin_of(struct gi_unwinder *u, const char *name)
{
	size_t i = (size_t)(((uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15)) >> 54);
	struct gi_origin *o = &u->origins[i % GI_ARRAY_SIZE(u->origins)];

	if (o->name != name)
		*o = (struct gi_origin){.name = name,
					.is_std = gi_function_is_std(name),
					.is_runtime = gi_function_is_runtime(name)};
	return o;
}

static void set(struct gi_location *loc, const struct gi_frame *f)
{
	loc->pc = f->pc;
	loc->function = f->name;
	loc->file = f->file;
	loc->line = f->line;
}

static bool locate_frame(void *arg, const struct gi_frame *f)
{
	struct locate *l = arg;
	if (!l->where.pc)
		set(&l->where, f);
	if (f->kind == GI_FRAME_C || f->kind == GI_FRAME_SIGNAL || f->kind == GI_FRAME_GUESSED)
		return true;
	const struct gi_origin *origin = origin_of(l->u, f->name);
	if (!origin->is_std) {
		set(&l->user, f);
		return false;
	}
	if (!l->outside.pc && !origin->is_runtime)
		set(&l->outside, f);
	return true;
}

struct gi_error *gi_unwind_locations(struct gi_unwinder *u, const struct gi_g *g,
				     struct gi_location *where_ret, struct gi_location *user_ret)
{
	static const struct gi_location none = {.function = "", .file = ""};
	struct locate l = {u, none, none, none};
	struct gi_error *err = gi_unwind_goroutine(u, g, 0, GI_UNWIND_MAX, locate_frame, &l, NULL);
	if (err)
		return err;
	*where_ret = l.where;
	*user_ret = l.user.pc ? l.user : l.outside.pc ? l.outside : l.where;
	return NULL;
}

void gi_unwind_created_by(struct gi_unwinder *u, const struct gi_g *g, struct gi_location *ret)
{
	struct gi_location loc = {.function = "", .file = ""};
	const struct gi_pcinfo *info = NULL;
	// The main goroutine was made by the start-up code, by no go statement.
	if (g->go_pc && g->goid != 1)
		info = gi_pccache_get(u->cache, g->go_pc, true);
	if (info) {
		// The runtime names the physical function beside the innermost line.
		loc.pc = g->go_pc;
		loc.function = info->func.name;
		loc.file = info->calls[0].file ? info->calls[0].file : "?";
		loc.line = info->calls[0].line;
	}
	*ret = loc;
}

void gi_unwind_started_at(struct gi_unwinder *u, const struct gi_g *g, struct gi_location *ret)
{
	struct gi_location loc = {.function = "", .file = ""};
	const struct gi_pcinfo *info =
		g->start_pc ? gi_pccache_get(u->cache, g->start_pc, false) : NULL;
	if (info) {
		loc.pc = g->start_pc;
		loc.function = info->func.name;
		loc.file = info->calls[0].file ? info->calls[0].file : "?";
		loc.line = info->calls[0].line;
	}
	*ret = loc;
}
