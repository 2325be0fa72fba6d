// Text of Go values: short, one line, safe for a terminal. Pointers are not followed, but that
// strings are quoted, a function value tells its function and an interface its type.

#include "value/format.h"

#include <inttypes.h>
#include <string.h>

#include "gcore/target.h"
#include "gcore/type.h"

enum {
	MAX_DEPTH = 3,
	MAX_FIELDS = 12,
	MAX_ELEMS = 8,
	MAX_TEXT = 64, // bytes of a string
};

struct format {
	struct gi_go *go;
	struct gi_dwarf *dw;
	const struct gi_value_bytes *v;
	struct gi_str *out;
	bool any; // something was known
};

static void put(struct format *f, uint64_t type, size_t off, unsigned depth);

static bool word_at(struct format *f, size_t off, size_t size, uint64_t *ret)
{
	uint8_t buf[8] = {0};

	if (size > sizeof(buf) || off > f->v->size || size > f->v->size - off)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!f->v->known[off + i])
			return false;
		buf[i] = f->v->data[off + i];
	}
	*ret = gi_load_u64(buf);
	f->any = true;
	return true;
}

static void put_lost(struct format *f)
{
	gi_str_puts(f->out, "<lost>");
}

static void put_float(struct format *f, size_t off, uint64_t size)
{
	uint64_t bits;
	double d;
	float s;

	if (!word_at(f, off, size, &bits)) {
		put_lost(f);
		return;
	}
	if (size == 4) {
		uint32_t low = (uint32_t)bits;
		memcpy(&s, &low, sizeof(s));
		d = (double)s;
	} else {
		memcpy(&d, &bits, sizeof(d));
	}
	// The shortest that reads back as the same number.
	char buf[40];
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(buf, sizeof(buf), "%.*g", digits, d);
		if (size == 4 ? strtof(buf, NULL) == s : strtod(buf, NULL) == d)
			break;
	}
	gi_str_puts(f->out, buf);
}

static void put_string(struct format *f, size_t off)
{
	uint64_t ptr, len;
	char buf[MAX_TEXT];

	if (!word_at(f, off, 8, &ptr) || !word_at(f, off + 8, 8, &len)) {
		put_lost(f);
		return;
	}
	size_t n = (size_t)gi_min_u64(len, MAX_TEXT);
	struct gi_error *err = n ? gi_target_read(gi_go_target(f->go), ptr, buf, n) : NULL;
	if (err) {
		gi_error_ignore(err);
		gi_str_printf(f->out, "<%" PRIu64 " bytes of text at 0x%" PRIx64 ">", len, ptr);
		return;
	}
	gi_str_putc(f->out, '"');
	// Quotes and backslashes as in Go; other text as everywhere.
	for (size_t i = 0, from = 0; i <= n; i++) {
		if (i < n && buf[i] != '"' && buf[i] != '\\')
			continue;
		gi_str_put_escaped(f->out, buf + from, i - from);
		if (i < n) {
			gi_str_putc(f->out, '\\');
			gi_str_putc(f->out, buf[i]);
		}
		from = i + 1;
	}
	gi_str_putc(f->out, '"');
	if (len > n)
		gi_str_printf(f->out, "...+%" PRIu64, len - n);
}

static void put_slice(struct format *f, size_t off)
{
	uint64_t ptr, len, cap;
	bool has_len = word_at(f, off + 8, 8, &len), has_cap = word_at(f, off + 16, 8, &cap);

	if (!word_at(f, off, 8, &ptr)) {
		if (has_len)
			gi_str_printf(f->out, "<lost> len %" PRId64, (int64_t)len);
		else
			put_lost(f);
		return;
	}
	if (!ptr && has_len && !len)
		gi_str_puts(f->out, "nil");
	else
		gi_str_put_hex(f->out, ptr);
	if (!ptr && has_len && !len)
		return;
	if (has_len)
		gi_str_printf(f->out, " len %" PRId64, (int64_t)len);
	if (has_cap)
		gi_str_printf(f->out, " cap %" PRId64, (int64_t)cap);
}

static void put_pointer(struct format *f, const struct gi_dwarf_type *t, uint64_t p)
{
	struct gi_hchan ch;
	struct gi_func fn;
	uint64_t entry;
	struct gi_error *err;

	if (!p) {
		gi_str_puts(f->out, "nil");
		return;
	}
	if (t->kind == GI_DW_FUNC) {
		if (gi_target_peek_u64(gi_go_target(f->go), p, &entry) &&
		    gi_functab_find(gi_go_functab(f->go), entry, &fn) && fn.entry == entry)
			gi_str_put_escaped(f->out, fn.name, strlen(fn.name));
		else
			gi_str_put_hex(f->out, p);
		return;
	}
	gi_str_put_hex(f->out, p);
	if (t->kind == GI_DW_CHAN) {
		err = gi_go_read_hchan(f->go, p, &ch);
		if (!err && ch.dataqsiz)
			gi_str_printf(f->out, " len %" PRIu64 " cap %" PRIu64, ch.qcount,
				      ch.dataqsiz);
		gi_error_ignore(err);
	}
}

static void put_interface(struct format *f, size_t off)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	uint64_t tab, data;
	struct gi_type type;

	if (!word_at(f, off, 8, &tab)) {
		put_lost(f);
		return;
	}
	if (!tab) {
		gi_str_puts(f->out, "nil");
		return;
	}
	if (!gi_type_of_interface(f->go, tab, &type)) {
		gi_str_printf(f->out, "<type by 0x%" PRIx64 ">", tab);
		return;
	}
	gi_type_name(f->go, &type, &name);
	gi_str_put_escaped(f->out, gi_str_cstr(&name), name.len);
	// What is no pointer is behind one, or is not: its type alone tells which.
	if (type.kind == GI_TYPE_PTR && word_at(f, off + 8, 8, &data))
		gi_str_printf(f->out, "(0x%" PRIx64 ")", data);
}

struct fields {
	struct format *f;
	size_t off, n;
	unsigned depth;
};

static bool put_field(void *arg, const char *name, uint64_t off, uint64_t type)
{
	struct fields *fs = arg;

	if (fs->n++)
		gi_str_puts(fs->f->out, ", ");
	if (fs->n > MAX_FIELDS) {
		gi_str_puts(fs->f->out, "...");
		return false;
	}
	gi_str_put_escaped(fs->f->out, name, strlen(name));
	gi_str_puts(fs->f->out, ": ");
	put(fs->f, type, fs->off + (size_t)gi_min_u64(off, GI_VALUE_BYTES), fs->depth - 1);
	return true;
}

static void put_array(struct format *f, const struct gi_dwarf_type *t, size_t off, unsigned depth)
{
	struct gi_dwarf_type elem;

	gi_str_putc(f->out, '[');
	if (gi_dwarf_type(f->dw, t->elem, &elem)) {
		for (uint64_t i = 0; i < t->count; i++) {
			if (i)
				gi_str_puts(f->out, ", ");
			if (i == MAX_ELEMS) {
				gi_str_printf(f->out, "...+%" PRIu64, t->count - i);
				break;
			}
			put(f, t->elem, off + (size_t)gi_min_u64(i * elem.size, GI_VALUE_BYTES),
			    depth - 1);
		}
	}
	gi_str_putc(f->out, ']');
}

static void put_int(struct format *f, const struct gi_dwarf_type *t, size_t off)
{
	uint64_t v;

	if (!word_at(f, off, t->size, &v)) {
		put_lost(f);
	} else if (t->kind == GI_DW_BOOL) {
		gi_str_puts(f->out, v == 1 ? "true" : v == 0 ? "false" : "<neither true nor false>");
	} else if (t->kind == GI_DW_UINTPTR) {
		gi_str_put_hex(f->out, v);
	} else if (t->kind >= GI_DW_UINT) {
		gi_str_put_u64(f->out, v);
	} else {
		unsigned shift = 64 - 8 * (unsigned)t->size;
		gi_str_printf(f->out, "%" PRId64, (int64_t)(v << shift) >> shift);
	}
}

static void put(struct format *f, uint64_t type, size_t off, unsigned depth)
{
	struct gi_dwarf_type t;
	uint64_t v;

	if (!gi_dwarf_type(f->dw, type, &t)) {
		gi_str_puts(f->out, "<of unknown type>");
		return;
	}
	switch (t.kind) {
	case GI_DW_BOOL:
	case GI_DW_INT ... GI_DW_UINTPTR:
		if (!t.size || t.size > 8)
			put_lost(f);
		else
			put_int(f, &t, off);
		return;
	case GI_DW_FLOAT32:
	case GI_DW_FLOAT64:
		put_float(f, off, t.kind == GI_DW_FLOAT32 ? 4 : 8);
		return;
	case GI_DW_COMPLEX64:
	case GI_DW_COMPLEX128: {
		size_t half = t.kind == GI_DW_COMPLEX64 ? 4 : 8;
		gi_str_putc(f->out, '(');
		put_float(f, off, half);
		gi_str_puts(f->out, " + ");
		put_float(f, off + half, half);
		gi_str_puts(f->out, "i)");
		return;
	}
	case GI_DW_STRING:
		put_string(f, off);
		return;
	case GI_DW_SLICE:
		put_slice(f, off);
		return;
	case GI_DW_INTERFACE:
		put_interface(f, off);
		return;
	case GI_DW_POINTER:
	case GI_DW_FUNC:
	case GI_DW_CHAN:
	case GI_DW_MAP:
	case GI_DW_UNSAFE_POINTER:
		if (word_at(f, off, 8, &v))
			put_pointer(f, &t, v);
		else
			put_lost(f);
		return;
	case GI_DW_STRUCT:
	case GI_DW_ARRAY:
		if (!t.size)
			f->any = true;
		if (!depth) {
			f->any = true;
			gi_str_puts(f->out, "{...}");
		} else if (t.kind == GI_DW_ARRAY) {
			put_array(f, &t, off, depth);
		} else {
			struct fields fs = {.f = f, .off = off, .depth = depth};
			gi_str_putc(f->out, '{');
			gi_dwarf_fields(f->dw, t.id, put_field, &fs);
			gi_str_putc(f->out, '}');
		}
		return;
	case GI_DW_UNKNOWN:
		break;
	}
	gi_str_puts(f->out, "<of unknown type>");
}

bool gi_value_format(struct gi_go *go, struct gi_dwarf *dw, uint64_t type,
		     const struct gi_value_bytes *v, struct gi_str *ret)
{
	struct format f = {.go = go, .dw = dw, .v = v, .out = ret};

	put(&f, type, 0, MAX_DEPTH);
	return f.any;
}
