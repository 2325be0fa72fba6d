// What libraries make of a wait: shared by the files about.c and about_*.c.
#ifndef WAIT_ABOUT_H
#define WAIT_ABOUT_H

#include "gcore/type.h"
#include "gcore/wait.h"

struct gi_typing;

struct gi_about {
	struct gi_go *go;
	struct gi_unwinder *u;
	const struct gi_graph *graph;
	const struct gi_object *o;
	uint32_t g;
	uint64_t budget;
	struct gi_str *out;
};

/** A word of memory; false if it cannot be read. */
bool gi_about_word(const struct gi_about *a, uint64_t addr, uint64_t *ret);
/** A struct's field as a word, and its address. */
bool gi_about_field(const struct gi_about *a, const struct gi_type *type, uint64_t addr,
		    const char *name, struct gi_type *type_ret, uint64_t *at_ret);
/** "context.timerCtx 0xc000123400". */
void gi_about_put_struct(const struct gi_about *a, const struct gi_type *type, uint64_t addr);
/** "goroutine 7", "goroutines 7, 8 and 9" of indexes into gi_go_g(). */
void gi_about_put_goroutines(const struct gi_about *a, const uint32_t *gs, size_t n);

/** Contexts and signals: those that a channel belongs to. */
struct gi_error *gi_about_channel(struct gi_about *a) GI_MUST_CHECK;

#endif
