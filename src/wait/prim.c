// The functions of package sync that take and release locks, and the functions of the
// runtime that break the calling convention.
//
// Names are those of Go 1.19 to 1.27 (src/sync/mutex.go, rwmutex.go, src/internal/sync/mutex.go;
// from 1.24 sync.Mutex is a shell around internal/sync.Mutex at offset 0). The
// functions that do not return, and those that keep registers, are called by compiled
// code only (cmd/compile/internal/ssagen, AMD64Ops.go).

#include "wait/prim.h"

#include <string.h>

struct entry {
	const char *name;
	enum gi_prim_op op;
	enum gi_lock_kind kind;
	bool sema;
};

static const struct entry entries[] = {
	{"(*Mutex).Lock", GI_PRIM_ACQUIRE, GI_LOCK_MUTEX, false},
	{"(*Mutex).lockSlow", GI_PRIM_SLOW, GI_LOCK_MUTEX, false},
	{"(*Mutex).Unlock", GI_PRIM_RELEASE, GI_LOCK_MUTEX, false},
	{"(*Mutex).unlockSlow", GI_PRIM_HARMLESS, GI_LOCK_MUTEX, false},
	{"(*Mutex).TryLock", GI_PRIM_TRY, GI_LOCK_MUTEX, false},
	{"(*RWMutex).Lock", GI_PRIM_ACQUIRE, GI_LOCK_WRITE, false},
	{"(*RWMutex).Unlock", GI_PRIM_RELEASE, GI_LOCK_WRITE, false},
	{"(*RWMutex).TryLock", GI_PRIM_TRY, GI_LOCK_WRITE, false},
	{"(*RWMutex).RLock", GI_PRIM_ACQUIRE, GI_LOCK_READ, false},
	{"(*RWMutex).RUnlock", GI_PRIM_RELEASE, GI_LOCK_READ, false},
	{"(*RWMutex).rUnlockSlow", GI_PRIM_HARMLESS, GI_LOCK_READ, false},
	{"(*RWMutex).TryRLock", GI_PRIM_TRY, GI_LOCK_READ, false},
	{"(*rlocker).Lock", GI_PRIM_ACQUIRE, GI_LOCK_READ, false},
	{"(*rlocker).Unlock", GI_PRIM_RELEASE, GI_LOCK_READ, false},
	{"runtime_SemacquireMutex", GI_PRIM_SLOW, GI_LOCK_READ, true},
	{"runtime_SemacquireRWMutexR", GI_PRIM_SLOW, GI_LOCK_READ, true},
	{"runtime_SemacquireRWMutex", GI_PRIM_SLOW, GI_LOCK_WRITE, true},
	{"(*WaitGroup).Done", GI_PRIM_RELEASE, GI_LOCK_GROUP, false},
	{"(*WaitGroup).Add", GI_PRIM_ADD, GI_LOCK_GROUP, false},
	{"(*Cond).Wait", GI_PRIM_COND, GI_LOCK_MUTEX, false},
	{"(*Cond).Wait", GI_PRIM_COND, GI_LOCK_MUTEX, false},
	{"runtime_Semrelease", GI_PRIM_HARMLESS, GI_LOCK_MUTEX, false},
};

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

struct gi_prim gi_prim_of(const char *name)
{
	struct gi_prim none = {.op = GI_PRIM_NONE};
	const char *method;

	if (has_prefix(name, "sync."))
		method = name + strlen("sync.");
	else if (has_prefix(name, "internal/sync."))
		method = name + strlen("internal/sync.");
	else
		return none;

	size_t n = strlen(method);
	bool bound = n > 3 && strcmp(method + n - 3, "-fm") == 0;
	if (bound)
		n -= 3;
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		const struct entry *e = &entries[i];
		if (strlen(e->name) == n && memcmp(e->name, method, n) == 0)
			return (struct gi_prim){
				.op = e->op, .kind = e->kind, .bound = bound, .sema = e->sema};
	}
	return none;
}

unsigned gi_prim_wakes(const char *name)
{
	static const struct {
		const char *name;
		enum gi_wake_kind kind;
	} wakes[] = {
		{"runtime.chansend1", GI_WAKE_SEND},	{"runtime.closechan", GI_WAKE_CLOSE},
		{"runtime.chanrecv1", GI_WAKE_RECEIVE}, {"runtime.chanrecv2", GI_WAKE_RECEIVE},
		{"sync.(*Cond).Signal", GI_WAKE_SIGNAL}, {"sync.(*Cond).Broadcast", GI_WAKE_SIGNAL},
	};

	for (size_t i = 0; i < sizeof(wakes) / sizeof(wakes[0]); i++) {
		if (strcmp(name, wakes[i].name) == 0)
			return wakes[i].kind;
	}
	return 0;
}

bool gi_prim_no_return(const char *name)
{
	static const char *const names[] = {
		"runtime.throw",
		"runtime.fatal",
		"runtime.gopanic",
		"runtime.Goexit",
		"runtime.goexit1",
		"runtime.block",
		"runtime.unreachableMethod",
		"runtime.fatalthrow",
		"os.Exit",
		"sync.throw",
		"sync.fatal",
		"internal/sync.throw",
		"internal/sync.fatal",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	// After morestack the function begins again: nothing was done yet.
	return has_prefix(name, "runtime.panic") || has_prefix(name, "runtime.goPanic") ||
	       has_prefix(name, "runtime.morestack");
}

bool gi_prim_keeps_regs(const char *name)
{
	return has_prefix(name, "runtime.gcWriteBarrier") || gi_prim_fills(name) ||
	       strcmp(name, "runtime.debugCallV2") == 0;
}

bool gi_prim_fills(const char *name)
{
	return strcmp(name, "runtime.duffzero") == 0 || gi_prim_copies(name);
}

bool gi_prim_copies(const char *name)
{
	return strcmp(name, "runtime.duffcopy") == 0;
}
