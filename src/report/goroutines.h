// Lists of goroutines: shared by the filter, the list and the groups.
#ifndef REPORT_GOROUTINES_H
#define REPORT_GOROUTINES_H

#include <inttypes.h>

#include "gcore/report.h"

/** What a filter or a group looks at. */
enum gi_g_field {
	GI_FIELD_FUNCTION, // of any frame
	GI_FIELD_FILE,	   // of any frame
	GI_FIELD_STATUS,
	GI_FIELD_WAIT,
	GI_FIELD_LABEL,
	GI_FIELD_CREATOR,
	GI_FIELD_START,
	GI_FIELD_USERLOC,
	GI_FIELD_CURLOC,
	GI_FIELD_GOLOC,
	GI_FIELD_USER,	  // not a system goroutine
	GI_FIELD_RUNNING, // on a thread
	GI_FIELD_STACK,
};

struct gi_g_filter {
	enum gi_g_field field;
	bool without;
	const char *value;     // borrowed
	const char *label_val; // GI_FIELD_LABEL: after '=', or NULL
	size_t label_key_len;
};

/** What lists and groups work with; borrowed by all of them. */
struct gi_g_query {
	struct gi_go *go;
	struct gi_unwinder *u;
	const struct gi_goroutines_options *opts;
	struct gi_g_filter *filters;
	size_t filter_count;
	uint32_t *order; // indexes into gi_go_g(), by id
	size_t count;
};

/** "wait chan receive" as a filter. GI_ERR_USAGE lists the kinds. */
struct gi_error *gi_g_filter_parse(const char *text, bool without,
				   struct gi_g_filter *ret) GI_MUST_CHECK;
/** A kind of -group. */
struct gi_error *gi_g_group_parse(const char *text, enum gi_g_field *ret,
				  const char **label_ret) GI_MUST_CHECK;
/** True if g passes all filters. */
struct gi_error *gi_g_matches(const struct gi_g_query *q, const struct gi_g *g,
			      bool *ret) GI_MUST_CHECK;

/** Writes one goroutine a row, or a record. Made and used by one thread of ours. */
struct gi_g_writer;
struct gi_error *gi_g_writer_create(const struct gi_g_query *q, struct gi_unwinder *u,
				    struct gi_out *out, struct gi_g_writer **ret) GI_MUST_CHECK;
void gi_g_writer_destroy(struct gi_g_writer *w);
GI_DEFINE_CLEANUP(struct gi_g_writer *, gi_g_writer_destroyp, gi_g_writer_destroy)
void gi_g_writer_head(struct gi_g_writer *w);
struct gi_error *gi_g_writer_row(struct gi_g_writer *w, const struct gi_g *g) GI_MUST_CHECK;

/** Counts by the field, most numerous first. */
struct gi_error *gi_g_group(const struct gi_g_query *q, struct gi_out *out) GI_MUST_CHECK;

// goroutine_text.c

/**
 * Loops that unwind the i-th of the order say so here: the stack of one of the next is asked
 * for, which hides most of the time that memory takes (a fifth of a long list).
 */
void gi_g_prefetch(const struct gi_g_query *q, size_t i);
/** Where the go statement stands; pc 0 for goroutine 1, which has none. */
void gi_g_created_by(struct gi_unwinder *u, const struct gi_g *g, struct gi_location *ret);
/** Where it is in user code; one of the runtime's own: the function that it was started with. */
struct gi_error *gi_g_user_location(struct gi_unwinder *u, const struct gi_g *g,
				    struct gi_location *ret) GI_MUST_CHECK;
/** Appends "key=value", after a comma if something other than "{" stands before; quoted where
 * needed. */
void gi_label_format(struct gi_str *str, const char *key, size_t key_len, const char *val,
		     size_t val_len);
/** "2m10s", "350ms", "3h5m", as short as is exact enough. */
void gi_duration_format(struct gi_str *str, uint64_t ns);

#endif
