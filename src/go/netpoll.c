// Descriptors of the network poller.
//
// The runtime keeps no list of those in use. It carves them out of persistent memory, which
// is never given back: chunks of 256 KB in a list whose link is the first word of each. Since Go
// 1.11 or so a descriptor that was ever opened holds its own address (pollDesc.self), which
// makes them easy to find and hard to mistake: the rest of the record has to fit as well. One
// that was closed stays, marked as closing, until its place is used again. Source:
// src/runtime/netpoll.go, malloc.go (persistentalloc1), Go 1.18 to 1.27.

#include "gcore/sched.h"
#include "go/go_impl.h"

enum {
	CHUNK_SIZE = 256 << 10,
	MAX_CHUNKS = 1 << 20,
	MAX_FD = 1 << 30,
	PART = 4096, // is read at a time where a chunk cannot be seen as a whole
};

struct scan {
	struct gi_go *go;
	gi_poll_fn fn;
	void *arg;
};

static bool is_waiter(struct gi_go *go, uint64_t v)
{
	return v <= GI_POLL_WAIT || gi_go_g_by_addr(go, v);
}

// Is there a descriptor at addr, of which self_off bytes on its own address stands?
static bool decode(struct gi_go *go, uint64_t addr, struct gi_poll_desc *ret)
{
	const struct gi_layout *l = &go->layout;
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	uint64_t fd;
	struct gi_error *err = gi_go_bytes(go, addr, (size_t)l->poll_desc.rec.size, &buf, &rec);

	if (err) {
		gi_error_ignore(err);
		return false;
	}
#define FIELD(f) gi_field_uint(rec, l->poll_desc.f)
	fd = FIELD(fd);
	*ret = (struct gi_poll_desc){
		.addr = addr,
		.fd = (int64_t)fd,
		.rg = FIELD(rg),
		.wg = FIELD(wg),
		.rd = (int64_t)FIELD(rd),
		.wd = (int64_t)FIELD(wd),
		.closing = FIELD(closing) != 0,
	};
	return fd < MAX_FD && FIELD(closing) <= 1 && is_waiter(go, ret->rg) &&
	       is_waiter(go, ret->wg);
#undef FIELD
}

// false: fn wants no more.
static bool scan_words(struct scan *s, uint64_t addr, const uint8_t *p, size_t n)
{
	const uint64_t off = s->go->layout.poll_desc.self.off;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		struct gi_poll_desc d;

		if (gi_load_u64(p + i) == addr + i - off && decode(s->go, addr + i - off, &d) &&
		    !d.closing && !s->fn(s->arg, &d))
			return false;
	}
	return true;
}

static bool scan_chunk(struct scan *s, uint64_t chunk, bool *lost)
{
	const uint8_t *view = gi_target_view(gi_go_target(s->go), chunk, CHUNK_SIZE);
	uint8_t part[PART];

	if (view)
		return scan_words(s, chunk, view, CHUNK_SIZE);
	for (uint64_t off = 0; off < CHUNK_SIZE; off += PART) {
		struct gi_error *err = gi_target_read(s->go->target, chunk + off, part, PART);

		if (err) {
			gi_error_ignore(err);
			*lost = true;
			continue;
		}
		if (!scan_words(s, chunk + off, part, PART))
			return false;
	}
	return true;
}

struct gi_error *gi_go_poll_descs(struct gi_go *go, gi_poll_fn fn, void *arg)
{
	struct scan s = {go, fn, arg};
	uint64_t chunk, n = 0;
	bool lost = false;

	if (!go->layout.poll_desc.rec.ok ||
	    !gi_go_global_uint(go, &go->layout.global.persistent_chunks, &chunk))
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "where this release keeps its poll descriptors is not known");
	while (chunk) {
		struct gi_error *err = gi_interrupt_check();

		if (err)
			return err;
		if (n++ == MAX_CHUNKS || chunk % 8) {
			gi_go_add_note(go, "the list of the runtime's persistent memory is damaged");
			break;
		}
		if (!scan_chunk(&s, chunk, &lost))
			return NULL;
		if (!gi_target_peek_u64(go->target, chunk, &chunk)) {
			lost = true;
			break;
		}
	}
	if (lost)
		gi_go_add_note(go, "some of the runtime's persistent memory could not be read: "
				   "descriptors of the network poller may be missing");
	return NULL;
}
