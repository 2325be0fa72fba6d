// The live backend's own parts: live.c opens a process and takes snapshots, live_stop.c stops its
// threads, live_memory.c copies and keeps its memory, live_proc.c reads /proc/PID, live_why.c says
// why a process cannot be looked at. It is a core without a core file: its mapped files are found
// and opened by core_exe.c and core_library.c.
#ifndef GCORE_LIVE_IMPL_H
#define GCORE_LIVE_IMPL_H

#include <sched.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "gcore/live.h"
#include "target/core_impl.h"

enum { LIVE_PAGE = 4096, LIVE_BATCH = 512 };

/** Address space of the process that has a shadow in ours: pages are copied to the same place in it. */
struct live_area {
	uint64_t start, len;
	uint64_t reserved;	   // bytes of the shadow; at least len
	uint8_t *shadow;	   // NULL until the first page is read
	_Atomic uint64_t *present; // a bit for each page: it holds the page of this snapshot
	_Atomic uint64_t *during;  // and was copied while the process stood
	_Atomic uint64_t *filled;  // the shadow of the page is not just zeroes
	_Atomic uint64_t *queued;  // it waits in a batch; under the lock
	bool file;		   // it maps a file: views of it stay good
	bool used;		   // while the ranges are made
};

/** Bytes with one story; sorted, never overlapping. */
struct live_range {
	uint64_t start, len;
	const uint8_t *data;	// of a file that cannot differ; else
	struct live_area *area; // where the shadow is; else it cannot be read
};

struct live_tracer;

struct live {
	struct core core; // first
	pid_t pid;
	pid_t via; // a thread that lives: pid, unless that one ended before others
	int mem_fd;	  // /proc/PID/mem: it stands for the address space, -1: none
	int pagemap_fd;	  // or -1
	uint64_t probe;	  // the address by which the address space is asked whether it is still used
	bool no_stop;
	struct gi_str maps; // as it was read last

	struct live_area **areas;
	size_t area_count, area_cap;
	struct live_range *ranges;
	size_t range_count, range_cap;
	pthread_mutex_t lock; // of fetching
	_Atomic uint64_t pages; // of this snapshot
	uint64_t max_pages;
	_Atomic uint64_t bytes; // read in all
	int read_errno; // of the last failure
	_Atomic bool by_file; // process_vm_readv is kept from us
	bool full;	// max_pages was reached

	struct gi_live_task *tasks; // by tid, of this look
	size_t task_count;
	double tasks_at, rate_span; // when, and how long after the look before

	bool standing; // what is read now is of the snapshot
	struct live_tracer *tracer; // while it is stopped
	struct gi_arena *registers; // what the threads of the last look point to
	struct gi_live_stop stop;
	double stopped_at;
	int64_t clock_offset; // see gi_live_clock_offset()
	uint64_t whole_max; // see copy_whole()
};

static inline struct live *live_of(struct gi_target *t)
{
	return (struct live *)t;
}

// --- live_memory.c ------------------------------------------------------------

/** Makes the ranges from the mappings and modules; shadows that fit are kept. */
struct gi_error *gi_live_make_ranges(struct live *l) GI_MUST_CHECK;
/** Reads n pieces of the process's memory as they are now: the bytes that were read, -1 and errno. */
ssize_t gi_live_read(struct live *l, const struct iovec *to, const struct iovec *from, size_t n);
/** What was copied is of an earlier moment from now on. */
void gi_live_forget(struct live *l);
void gi_live_memory_deinit(struct live *l);
const void *gi_live_view(struct gi_target *t, uint64_t addr, size_t max, size_t *n_ret,
			 enum gi_error_code *why_ret);
void gi_live_fetch(struct gi_target *t, const struct gi_extent *list, size_t n);
bool gi_live_is_late(struct gi_target *t, uint64_t addr, uint64_t *len);
struct gi_error *gi_live_explain(struct gi_target *t, uint64_t addr, enum gi_error_code why);

// --- live_proc.c ----------------------------------------------------------------

/** Appends all of /proc/PID/NAME. */
struct gi_error *gi_live_proc_read(pid_t pid, const char *name, struct gi_str *ret) GI_MUST_CHECK;
/** The value of "KEY:" in a text such as /proc/PID/status; false if it is not there. */
bool gi_live_proc_value(const char *text, const char *key, char *buf, size_t n);
/** The files of the process and its mappings, from the text of /proc/PID/maps. */
struct gi_error *gi_live_take_maps(struct live *l, const char *text) GI_MUST_CHECK;
/** A thread of the process that has not ended: pid itself if it can be; pid if there is none. */
pid_t gi_live_choose_thread(pid_t pid);
/** Its name, command line, parent, owner, auxiliary vector. */
struct gi_error *gi_live_take_info(struct live *l) GI_MUST_CHECK;
/** What to add to this program's CLOCK_MONOTONIC for the process's: time namespaces differ. */
int64_t gi_live_clock_offset(pid_t pid);
/** The state of a thread, as /proc says it ('R', 'D', ...); 0 if there is no such thread. */
char gi_live_thread_state(pid_t pid, pid_t tid);
/** Threads of /proc/PID/task, appended to *list. */
struct gi_error *gi_live_list_threads(pid_t pid, pid_t **list, size_t *count, size_t *cap) GI_MUST_CHECK;
/** Has none of its threads any memory: it ends, has ended, or was never one of user space? */
bool gi_live_has_ended(pid_t pid);
/**
 * What the kernel tells of a thread that sleeps in it: its stack and instruction pointer. False if it
 * runs, or may not be looked at.
 */
bool gi_live_sleeping_regs(struct live *l, pid_t tid, struct gi_regs *ret);

// --- live_task.c ----------------------------------------------------------------

/** Asks the kernel for all threads; while they run, since it shows the stop afterwards. */
void gi_live_take_tasks(struct live *l);

// --- live_why.c -----------------------------------------------------------------

/** GI_ERR_NOT_FOUND unless pid is a process that can be looked at. */
struct gi_error *gi_live_check_process(pid_t pid) GI_MUST_CHECK;
/** Why the kernel refuses (errno err) to let us trace or read it, and what to do. */
struct gi_error *gi_live_refused(pid_t pid, pid_t tid, int err) GI_MUST_CHECK;
/** GI_ERR_NOT_FOUND if the process has ended or runs another program than when it was opened. */
struct gi_error *gi_live_check_same(struct live *l) GI_MUST_CHECK;
/**
 * err, or what is behind it: a process that ends or runs another program (execve) fails to be looked at in
 * many ways, and all of them are the same news. Takes err; NULL is NULL.
 */
struct gi_error *gi_live_gone(struct live *l, struct gi_error *err) GI_MUST_CHECK;

// --- live_stop.c ----------------------------------------------------------------

/** Stops all threads and makes t->threads. They stand until gi_live_run(), or this program ends. */
struct gi_error *gi_live_halt(struct live *l) GI_MUST_CHECK;
void gi_live_run(struct live *l);
/**
 * While the process stands, the calling thread and those that it starts go before others on this
 * machine, as far as it may: on a busy one the stop would last as long as we wait for a processor.
 */
struct live_priority {
	int policy;
	struct sched_param param;
	bool changed;
};
struct live_priority gi_live_hurry(void);
void gi_live_calm(struct live_priority before);
/** t->threads of a process that is not stopped. */
struct gi_error *gi_live_look_at_threads(struct live *l) GI_MUST_CHECK;

#endif
