// Channels, sudogs and deferred calls. Source: src/runtime/chan.go, runtime2.go,
// panic.go.

#include "go/go_impl.h"

#define ULL(x) ((unsigned long long)(x))

struct gi_error *gi_go_read_sudog(struct gi_go *go, uint64_t addr, struct gi_sudog *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_error *err;

	err = gi_go_bytes(go, addr, (size_t)go->layout.sudog.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "sudog at 0x%llx", ULL(addr));
#define FIELD(f) gi_field_uint(rec, go->layout.sudog.f)
	*ret = (struct gi_sudog){
		.addr = addr,
		.g = FIELD(g),
		.elem = FIELD(elem),
		.c = FIELD(c),
		.next = FIELD(next),
		.prev = FIELD(prev),
		.parent = FIELD(parent),
		.waitlink = FIELD(waitlink),
		.waittail = FIELD(waittail),
		.ticket = (uint32_t)FIELD(ticket),
		.is_select = FIELD(is_select) != 0,
		.success = FIELD(success) != 0,
	};
#undef FIELD
	return NULL;
}

// What makechan and the channel operations keep true.
static const char *broken_hchan(const struct gi_hchan *c, uint32_t closed,
				uint64_t recvq_last, uint64_t sendq_last)
{
	if (c->qcount > c->dataqsiz)
		return "more elements are queued than it has room for";
	if (c->dataqsiz ? c->sendx >= c->dataqsiz : c->sendx != 0)
		return "its send index is outside of the buffer";
	if (c->dataqsiz ? c->recvx >= c->dataqsiz : c->recvx != 0)
		return "its receive index is outside of the buffer";
	if (closed > 1)
		return "closed is neither 0 nor 1";
	if (c->elemsize && c->dataqsiz > (UINT64_C(1) << 48) / c->elemsize)
		return "its buffer would not fit into memory";
	if (c->dataqsiz && !c->buf)
		return "its buffer has no address";
	if (!c->recvq_first != !recvq_last || !c->sendq_first != !sendq_last)
		return "a queue of waiters has a first and no last one";
	if (!c->elemtype)
		return "it has no element type";
	return NULL;
}

struct gi_error *gi_go_read_hchan(struct gi_go *go, uint64_t addr, struct gi_hchan *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	const char *broken;
	uint64_t size;
	struct gi_hchan c;
	struct gi_error *err;

	err = gi_go_bytes(go, addr, (size_t)go->layout.hchan.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "channel at 0x%llx", ULL(addr));
#define FIELD(f) gi_field_uint(rec, go->layout.hchan.f)
	c = (struct gi_hchan){
		.addr = addr,
		.qcount = FIELD(qcount),
		.dataqsiz = FIELD(dataqsiz),
		.elemsize = FIELD(elemsize),
		.buf = FIELD(buf),
		.elemtype = FIELD(elemtype),
		.closed = FIELD(closed) != 0,
		.sendx = FIELD(sendx),
		.recvx = FIELD(recvx),
		.recvq_first = FIELD(recvq_first),
		.sendq_first = FIELD(sendq_first),
	};
	broken = broken_hchan(&c, (uint32_t)FIELD(closed), FIELD(recvq_last),
			      FIELD(sendq_last));
#undef FIELD
	if (broken)
		return gi_error_at(GI_ERR_FORMAT, addr, "0x%llx is no channel: %s",
				   ULL(addr), broken);
	// The strongest sign: its element's type is as large as its elements.
	if (go->layout.type.rec.ok) {
		const struct gi_field f = go->layout.type.size;

		err = gi_target_read_uint(go->target, c.elemtype + f.off, f.size, &size);
		if (err) {
			gi_error_ignore(err);
			return gi_error_at(GI_ERR_FORMAT, addr,
					   "0x%llx is no channel: its element type "
					   "0x%llx is unreadable",
					   ULL(addr), ULL(c.elemtype));
		}
		if (size != c.elemsize)
			return gi_error_at(GI_ERR_FORMAT, addr,
					   "0x%llx is no channel: its elements have %llu "
					   "bytes, their "
					   "type at 0x%llx says %llu",
					   ULL(addr), ULL(c.elemsize), ULL(c.elemtype),
					   ULL(size));
	}
	*ret = c;
	return NULL;
}

struct gi_error *gi_go_read_defer(struct gi_go *go, uint64_t addr, struct gi_defer *ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *rec;
	struct gi_error *err;

	if (!go->layout.defer.rec.ok)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "the layout of runtime._defer is unknown");
	err = gi_go_bytes(go, addr, (size_t)go->layout.defer.rec.size, &buf, &rec);
	if (err)
		return gi_error_wrap(err, "deferred call at 0x%llx", ULL(addr));
#define FIELD(f) gi_field_uint(rec, go->layout.defer.f)
	*ret = (struct gi_defer){
		.addr = addr,
		.fn = FIELD(fn),
		.sp = FIELD(sp),
		.pc = FIELD(pc),
		.link = FIELD(link),
		.heap = FIELD(heap) != 0,
		.rangefunc = FIELD(rangefunc) != 0,
		.open_coded = FIELD(open_defer) != 0,
		.started = FIELD(started) != 0,
		.fd = FIELD(fd),
		.varp = FIELD(varp),
		.head = FIELD(head),
	};
#undef FIELD
	return NULL;
}
