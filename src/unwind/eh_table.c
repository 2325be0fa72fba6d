// Search tables over .eh_frame, for ELF files without .eh_frame_hdr.
//
// Statically linked C (a cgo program with -extldflags=-static) has .eh_frame but no
// PT_GNU_EH_FRAME: the start-up code registers the whole section instead. libunwind can
// search a sorted table only, so one is made here in the layout of .eh_frame_hdr's: pairs
// of 32-bit offsets, of a function's first pc and of its frame description, from the
// section's address. Sources: Linux Standard Base 5.0, 10.6; DWARF 5, 6.4.1.
//
// Only what the search needs is parsed; the rest of a description is libunwind's.

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

// How pcs are encoded in the descriptions of a CIE whose id field is at `body`.
static uint8_t pc_encoding(const uint8_t *data, size_t body, size_t end)
{
	struct gi_cursor c = gi_cursor_make(data + body, end - body);
	gi_cursor_u32(&c); // id
	uint8_t version = gi_cursor_u8(&c);
	char aug[16];
	size_t n = 0;
	for (uint8_t b; (b = gi_cursor_u8(&c)) && n < sizeof(aug) - 1;)
		aug[n++] = (char)b;
	aug[n] = '\0';
	if (c.bad || (version != 1 && version != 3) || (aug[0] && aug[0] != 'z'))
		return PE_OMIT;
	gi_cursor_uleb(&c); // code alignment
	gi_cursor_uleb(&c); // data alignment: signed, but of the same length
	if (version == 1)
		gi_cursor_u8(&c);
	else
		gi_cursor_uleb(&c);
	if (!aug[0])
		return PE_ABSPTR;
	gi_cursor_uleb(&c); // length of what follows
	for (size_t i = 1; i < n; i++) {
		uint8_t enc;
		switch (aug[i]) {
		case 'R':
			enc = gi_cursor_u8(&c);
			return c.bad ? PE_OMIT : enc;
		case 'L':
			gi_cursor_u8(&c);
			break;
		case 'P':
			enc = gi_cursor_u8(&c) & 0x0f;
			gi_cursor_skip(&c, enc == PE_UDATA4 || enc == PE_SDATA4 ? 4 : 8);
			break;
		case 'S':
		case 'B':
			break;
		default:
			return PE_OMIT;
		}
	}
	return PE_ABSPTR;
}

// The first pc of the description whose CIE pointer is at body, as a link-time address.
static bool first_pc(const uint8_t *data, uint64_t addr, size_t body, size_t end, uint8_t enc,
		     uint64_t *ret)
{
	struct gi_cursor c = gi_cursor_make(data + body, end - body);
	uint64_t v;
	gi_cursor_u32(&c);
	switch (enc & 0x0f) {
	case PE_UDATA4:
		v = gi_cursor_u32(&c);
		break;
	case PE_SDATA4:
		v = (uint64_t)(int64_t)(int32_t)gi_cursor_u32(&c);
		break;
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		v = gi_cursor_u64(&c);
		break;
	default:
		return false;
	}
	if ((enc & 0x70) == PE_PCREL)
		v += addr + body + 4;
	else if (enc & 0xf0)
		return false;
	*ret = v;
	return !c.bad;
}

static bool fits(uint64_t off)
{
	return (int64_t)off >= INT32_MIN && (int64_t)off <= INT32_MAX;
}

bool gi_eh_table_make(struct gi_elf *elf, uint8_t **ret, size_t *count_ret, uint64_t *addr_ret)
{
	const uint8_t *data;
	size_t size, cap = 0, n = 0, body, end;
	uint64_t addr;
	struct entry *table = NULL;

	struct gi_error *err = gi_elf_section(elf, ".eh_frame", &data, &size, &addr);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	size_t cie = SIZE_MAX; // whose encoding is known: descriptions stand behind their CIE
	uint8_t enc = PE_OMIT;
	for (size_t off = 0, start = 0; next_record(data, size, &off, &body, &end); start = off) {
		uint32_t back = gi_load_u32(data + body);
		uint64_t pc;
		if (!back || back > body)
			continue; // a CIE
		if (body - back != cie) {
			size_t at = body - back, cie_body, cie_end;
			cie = at;
			enc = PE_OMIT;
			if (next_record(data, size, &at, &cie_body, &cie_end))
				enc = pc_encoding(data, cie_body, cie_end);
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
	*addr_ret = addr;
	return true;
}
