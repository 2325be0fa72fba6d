// Inside of what is known of the C library's threads.
#ifndef GCORE_WAIT_PTHREAD_H
#define GCORE_WAIT_PTHREAD_H

#include "gcore/pthread.h"
#include "gcore/target.h"

struct gi_pthreads {
	struct gi_go *go;
	struct gi_target *t;
	size_t n; // threads
	enum gi_c_library library;
	int64_t tid_off, descriptor_off; // from the thread pointer
	uint64_t *tids;
	struct gi_map by_tid; // to the thread
};

/** The address of a thread's descriptor (pthread_self() of it), 0 unknown. */
uint64_t gi_pthreads_descriptor(const struct gi_pthreads *p, size_t thread);
/** The word that pthread_join of that thread sleeps on, 0 unknown. */
uint64_t gi_pthreads_join_word(const struct gi_pthreads *p, size_t thread);

/** True for a function of the C library that waits: "pthread_mutex_lock", "__lll_lock_wait". */
bool gi_pthread_is_waiting_function(const char *name);

#endif
