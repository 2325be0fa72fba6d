// Search tables over .eh_frame, for ELF files without .eh_frame_hdr.
//
// Statically linked C (a cgo program with -extldflags=-static) has .eh_frame but no
// PT_GNU_EH_FRAME: the start-up code registers the whole section instead. libunwind can
// search a sorted table only, so one is made here in the layout of .eh_frame_hdr's: pairs
// of 32-bit offsets, of a function's first pc and of its frame description, from the
// section's address. Sources: Linux Standard Base 5.0, 10.6; DWARF 5, 6.4.1.
//
// .debug_frame, which compilers write for debuggers where a program wants no .eh_frame, has the same
// records with other numbers in them. It is rewritten in the form of .eh_frame, so that nothing
// else need know of it.
//
// Where libunwind is used, only what the search needs is parsed here, and the rest of a
// description is libunwind's; frame_info.c takes the parts of one record from here.

#include "unwind/unwind_impl.h"

#include <stdlib.h>
#include <string.h>

enum { PE_ABSPTR = 0x00, PE_UDATA4 = 0x03, PE_UDATA8 = 0x04, PE_SDATA4 = 0x0b, PE_SDATA8 = 0x0c };
enum { PE_PCREL = 0x10, PE_OMIT = 0xff };

struct entry {
	int32_t pc, fde;
};

static int by_pc(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->pc < y->pc ? -1 : x->pc > y->pc;
}

// One record at off: its bytes behind the length field. False at the end or at damage.
static bool next_record(const uint8_t *data, size_t size, size_t *off, size_t *body, size_t *end)
{
	if (!gi_in_bounds(*off, 4, size))
		return false;
	uint64_t len = gi_load_u32(data + *off);
	size_t at = *off + 4;
	if (len == 0xffffffff) {
		if (!gi_in_bounds(at, 8, size))
			return false;
		len = gi_load_u64(data + at);
		at += 8;
	}
	// A zero length ends the section.
	if (len < 4 || !gi_in_bounds(at, len, size))
		return false;
	*body = at;
	*end = at + (size_t)len;
	*off = *end;
	return true;
}

/** The part that descriptions share. */
struct cie {
	uint8_t encoding; // of pcs; PE_OMIT: not understood
	bool augmented;	  // descriptions have a length and more behind their pcs
	uint64_t code_align;
	int64_t data_align;
	size_t program; // where its instructions begin
};

static bool read_augmentation(struct gi_cursor *c, const char *aug, struct cie *ret)
{
	for (; *aug; aug++) {
		uint8_t enc;
		switch (*aug) {
		case 'R':
			ret->encoding = gi_cursor_u8(c);
			break;
		case 'L':
			gi_cursor_u8(c);
			break;
		case 'P':
			enc = gi_cursor_u8(c) & 0x0f;
			gi_cursor_skip(c, enc == PE_UDATA4 || enc == PE_SDATA4 ? 4 : 8);
			break;
		case 'S':
		case 'B':
			break;
		default:
			return false;
		}
	}
	return !c->bad;
}

// The CIE whose id field is at `body`.
static bool read_cie(const uint8_t *data, size_t body, size_t end, struct cie *ret)
{
	struct gi_cursor c = gi_cursor_make(data + body, end - body);
	struct cie cie = {.encoding = PE_ABSPTR};
	gi_cursor_u32(&c); // id
	uint8_t version = gi_cursor_u8(&c);
	char aug[16];
	size_t n = 0;
	for (uint8_t b; (b = gi_cursor_u8(&c)) && n < sizeof(aug) - 1;)
		aug[n++] = (char)b;
	aug[n] = '\0';
	if (c.bad || (version != 1 && version != 3) || (aug[0] && aug[0] != 'z'))
		return false;
	cie.code_align = gi_cursor_uleb(&c);
	cie.data_align = gi_cursor_sleb(&c);
	if (version == 1)
		gi_cursor_u8(&c);
	else
		gi_cursor_uleb(&c);
	cie.augmented = aug[0];
	if (cie.augmented) {
		size_t len = (size_t)gi_cursor_uleb(&c), at = c.off;
		if (!read_augmentation(&c, aug + 1, &cie))
			return false;
		gi_cursor_seek(&c, at);
		gi_cursor_skip(&c, len);
	}
	cie.program = body + c.off;
	if (c.bad)
		return false;
	*ret = cie;
	return true;
}

// A number in an encoding whose form is that of a number.
static bool read_encoded(struct gi_cursor *c, uint8_t enc, uint64_t *ret)
{
	switch (enc & 0x0f) {
	case PE_UDATA4:
		*ret = gi_cursor_u32(c);
		return !c->bad;
	case PE_SDATA4:
		*ret = (uint64_t)(int64_t)(int32_t)gi_cursor_u32(c);
		return !c->bad;
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		*ret = gi_cursor_u64(c);
		return !c->bad;
	default:
		return false;
	}
}

// The first pc of the description whose CIE pointer is at body, as a link-time address.
static bool first_pc(const uint8_t *data, uint64_t addr, size_t body, size_t end, uint8_t enc,
		     uint64_t *ret)
{
	struct gi_cursor c = gi_cursor_make(data + body, end - body);
	uint64_t v;
	gi_cursor_u32(&c);
	if (!read_encoded(&c, enc, &v))
		return false;
	if ((enc & 0x70) == PE_PCREL)
		v += addr + body + 4;
	else if (enc & 0xf0)
		return false;
	*ret = v;
	return true;
}

static bool fits(uint64_t off)
{
	return (int64_t)off >= INT32_MIN && (int64_t)off <= INT32_MAX;
}

static bool make_table(const uint8_t *data, size_t size, uint64_t addr, uint8_t **ret,
		       size_t *count_ret)
{
	size_t cap = 0, n = 0, body, end;
	struct entry *table = NULL;
	struct gi_error *err;

	size_t cie = SIZE_MAX; // whose encoding is known: descriptions stand behind their CIE
	uint8_t enc = PE_OMIT;
	for (size_t off = 0, start = 0; next_record(data, size, &off, &body, &end); start = off) {
		uint32_t back = gi_load_u32(data + body);
		uint64_t pc;
		if (!back || back > body)
			continue; // a CIE
		if (body - back != cie) {
			size_t at = body - back, cie_body, cie_end;
			struct cie read;
			cie = at;
			enc = PE_OMIT;
			if (next_record(data, size, &at, &cie_body, &cie_end) &&
			    read_cie(data, cie_body, cie_end, &read))
				enc = read.encoding;
		}
		if (enc == PE_OMIT || !first_pc(data, addr, body, end, enc, &pc) ||
		    !fits(pc - addr) || !fits(start))
			continue;
		err = gi_grow(&table, &cap, n + 1, sizeof(*table));
		if (err) {
			gi_error_ignore(err);
			free(table);
			return false;
		}
		table[n++] = (struct entry){(int32_t)(pc - addr), (int32_t)start};
	}
	if (!n)
		return false;
	qsort(table, n, sizeof(*table), by_pc);
	*ret = (uint8_t *)table;
	*count_ret = n;
	return true;
}

bool gi_eh_table_make(struct gi_elf *elf, uint8_t **ret, size_t *count_ret, uint64_t *addr_ret)
{
	const uint8_t *data;
	size_t size;
	uint64_t addr;

	struct gi_error *err = gi_elf_section(elf, ".eh_frame", &data, &size, &addr);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	if (!make_table(data, size, addr, ret, count_ret))
		return false;
	*addr_ret = addr;
	return true;
}

// --- .debug_frame ----------------------------------------------------------

#define DEBUG_CIE UINT32_C(0xffffffff)

/** Where the CIEs of a .debug_frame went to: pairs in the order of both. */
struct moved {
	size_t from, to;
};

struct converted {
	uint8_t *bytes; // as many as the section has
	size_t len;
	struct moved *cies;
	size_t cie_count, cie_cap;
};

static void put(struct converted *c, const void *p, size_t n)
{
	memcpy(c->bytes + c->len, p, n);
	c->len += n;
}

static void put_u32(struct converted *c, uint32_t v)
{
	put(c, &v, sizeof(v));
}

// Version 4 has the sizes of addresses and of segment selectors behind the augmentation.
static bool put_cie(struct converted *c, const uint8_t *p, size_t n)
{
	struct gi_cursor in = gi_cursor_make(p, n);

	gi_cursor_u32(&in);
	uint8_t version = gi_cursor_u8(&in);
	// Of augmentations only .eh_frame's own are known, and these are not used here.
	if (gi_cursor_u8(&in) || (version != 1 && version != 3 && version != 4))
		return false;
	if (version == 4 && (gi_cursor_u8(&in) != sizeof(uint64_t) || gi_cursor_u8(&in)))
		return false;
	if (in.bad)
		return false;
	const uint8_t head[] = {version == 4 ? 3 : version, 0};
	put_u32(c, (uint32_t)(4 + sizeof(head) + n - in.off));
	put_u32(c, 0);
	put(c, head, sizeof(head));
	put(c, p + in.off, n - in.off);
	return true;
}

static const struct moved *moved_from(const struct converted *c, size_t from)
{
	size_t lo = 0, hi = c->cie_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (c->cies[mid].from <= from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && c->cies[lo - 1].from == from ? &c->cies[lo - 1] : NULL;
}

static struct gi_error *convert(struct converted *c, const uint8_t *data, size_t size)
{
	struct gi_error *err = NULL;
	size_t body, end;

	for (size_t off = 0, start = 0; !err && next_record(data, size, &off, &body, &end);
	     start = off) {
		const uint32_t id = gi_load_u32(data + body);

		if (body - start != 4)
			continue; // 64-bit DWARF
		if (id == DEBUG_CIE) {
			const size_t to = c->len;
			if (!put_cie(c, data + body, end - body))
				continue;
			err = gi_grow(&c->cies, &c->cie_cap, c->cie_count + 1, sizeof(*c->cies));
			if (!err)
				c->cies[c->cie_count++] = (struct moved){start, to};
			continue;
		}
		const struct moved *cie = moved_from(c, id);
		if (!cie || c->len + 4 - cie->to > UINT32_MAX)
			continue;
		put_u32(c, (uint32_t)(end - body));
		put_u32(c, (uint32_t)(c->len - cie->to));
		put(c, data + body + 4, end - body - 4);
	}
	return err;
}

bool gi_debug_frame_make(struct gi_elf *elf, uint8_t **data_ret, size_t *size_ret, uint8_t **ret,
			 size_t *count_ret)
{
	struct converted c = {0};
	const uint8_t *data;
	size_t size;

	struct gi_error *err = gi_elf_section(elf, ".debug_frame", &data, &size, NULL);
	if (!err) {
		c.bytes = malloc(size + 1);
		err = c.bytes ? convert(&c, data, size) : gi_error_nomem();
	}
	free(c.cies);
	const bool made = !err && make_table(c.bytes, c.len, 0, ret, count_ret);
	gi_error_ignore(err);
	if (!made) {
		free(c.bytes);
		return false;
	}
	*data_ret = c.bytes;
	*size_ret = c.len;
	return true;
}

bool gi_eh_record_read(const uint8_t *data, size_t size, uint64_t addr, size_t off,
		       struct gi_eh_record *ret)
{
	size_t body, end, cie_body, cie_end;
	struct cie cie;
	struct gi_eh_record rec;

	if (!next_record(data, size, &off, &body, &end))
		return false;
	uint32_t back = gi_load_u32(data + body);
	if (!back || back > body)
		return false;
	size_t at = body - back;
	if (!next_record(data, size, &at, &cie_body, &cie_end) ||
	    !read_cie(data, cie_body, cie_end, &cie) ||
	    !first_pc(data, addr, body, end, cie.encoding, &rec.pc))
		return false;
	struct gi_cursor c = gi_cursor_make(data + body, end - body);
	gi_cursor_u32(&c);
	if (!read_encoded(&c, cie.encoding, &rec.pc_len) ||
	    !read_encoded(&c, cie.encoding, &rec.pc_len))
		return false;
	if (cie.augmented)
		gi_cursor_skip(&c, (size_t)gi_cursor_uleb(&c));
	if (c.bad)
		return false;
	rec.code_align = cie.code_align;
	rec.data_align = cie.data_align;
	rec.initial = data + cie.program;
	rec.initial_len = cie_end - cie.program;
	rec.code = data + body + c.off;
	rec.code_len = end - body - c.off;
	*ret = rec;
	return true;
}
