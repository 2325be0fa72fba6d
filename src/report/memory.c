// Raw memory in rows, as gdb's x prints it.
//
// What can be read is printed; the first unit that cannot ends it with the target's reason. Rows
// begin with the address and, where there is one, the name of the global or function it is in.

#include "report/out_impl.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { ROW_BYTES = 16, STRING_MAX = 4096, NAMES_MAX = 64 };

static unsigned per_row(const struct gi_memory_format *f)
{
	if (f->format == 'a')
		return 1;
	if (f->format == 't')
		return f->size == 1 ? 4 : f->size == 2 ? 2 : 1;
	return f->size == 1 ? 8 : ROW_BYTES / f->size;
}

static void name_of(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	struct gi_func f;
	if (!go)
		return;
	if (gi_functab_find(gi_go_functab(go), addr, &f)) {
		gi_function_print_name(f.name, ret);
		if (addr != f.entry)
			gi_str_printf(ret, "+%" PRIu64, addr - f.entry);
		return;
	}
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	if (gi_go_name_at(go, addr, NULL, &name))
		gi_str_put_escaped(ret, gi_str_cstr(&name), name.len);
}

static void put_binary(struct gi_str *s, uint64_t v, unsigned bits)
{
	while (bits--)
		gi_str_putc(s, v >> bits & 1 ? '1' : '0');
}

// last: of its row, which needs no padding.
static void put_value(struct gi_str *s, struct gi_go *go, const struct gi_memory_format *f,
		      uint64_t v, bool last)
{
	unsigned bits = f->size * 8;
	int64_t sv = (int64_t)(v << (64 - bits)) >> (64 - bits);
	// As wide as the largest value, so that rows stand below each other.
	static const int decimal[] = {[1] = 3, [2] = 5, [4] = 10, [8] = 20};
	static const int octal[] = {[1] = 3, [2] = 6, [4] = 11, [8] = 22};
	switch (f->format) {
	case 'd':
		gi_str_printf(s, "%*" PRId64, decimal[f->size] + 1, sv);
		break;
	case 'u':
		gi_str_printf(s, "%*" PRIu64, decimal[f->size], v);
		break;
	case 'o':
		gi_str_printf(s, "0%0*" PRIo64, octal[f->size], v);
		break;
	case 't':
		put_binary(s, v, bits);
		break;
	case 'c':
		gi_str_printf(s, "%*" PRId64, decimal[f->size] + 1, sv);
		if (v < 0x80 && isprint((int)v))
			gi_str_printf(s, " '%c'", (char)v);
		else if (!last)
			gi_str_puts(s, "    ");
		break;
	case 'a': {
		_cleanup_(gi_str_deinit) struct gi_str name = {0};
		gi_str_printf(s, "0x%" PRIx64, v);
		name_of(go, v, &name);
		if (name.len)
			gi_str_printf(s, " <%s>", gi_str_cstr(&name));
		break;
	}
	default:
		gi_str_printf(s, "0x%0*" PRIx64, (int)f->size * 2, v);
	}
}

static void put_address(struct gi_str *s, struct gi_go *go, uint64_t addr, uint64_t row)
{
	_cleanup_(gi_str_deinit) struct gi_str name = {0};
	gi_str_printf(s, "0x%" PRIx64, addr);
	if (row < NAMES_MAX)
		name_of(go, addr, &name);
	if (name.len)
		gi_str_printf(s, " <%s>", gi_str_cstr(&name));
	gi_str_puts(s, ":");
}

static struct gi_error *put_strings(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				    uint64_t addr, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		struct gi_error *err = gi_out_check(out);
		if (!err)
			err = gi_target_read_cstring(t, addr, STRING_MAX, &text);
		if (err)
			return err;
		gi_json_begin(out, "string");
		gi_json_hex(out, "addr", addr);
		gi_json_strn(out, "text", gi_str_cstr(&text), text.len);
		gi_json_end(out);
		_cleanup_(gi_str_deinit) struct gi_str line = {0};
		put_address(&line, go, addr, i);
		gi_str_puts(&line, "  \"");
		gi_str_put_escaped(&line, gi_str_cstr(&text), text.len);
		gi_str_puts(&line, "\"\n");
		gi_out_write(out, gi_str_cstr(&line), line.len);
		addr += text.len + 1;
	}
	return NULL;
}

struct gi_error *gi_report_memory(struct gi_out *out, struct gi_target *t, struct gi_go *go,
				  uint64_t addr, const struct gi_memory_format *fmt)
{
	if (fmt->format == 's')
		return put_strings(out, t, go, addr, fmt->count);
	struct gi_error *err = NULL;
	_cleanup_(gi_str_deinit) struct gi_str line = {0};
	unsigned columns = per_row(fmt);
	gi_json_begin(out, "memory");
	gi_json_hex(out, "addr", addr);
	gi_json_u64(out, "size", fmt->size);
	gi_json_array(out, "values");
	for (uint64_t i = 0; i < fmt->count; i++) {
		uint64_t v;
		err = i % 256 ? NULL : gi_out_check(out);
		if (!err)
			err = gi_target_read_uint(t, addr, fmt->size, &v);
		if (err)
			break;
		gi_json_hex(out, NULL, v);
		if (!gi_out_is_json(out)) {
			if (i % columns == 0)
				put_address(&line, go, addr, i / columns);
			gi_str_puts(&line, "  ");
			bool last = i % columns == columns - 1 || i + 1 == fmt->count;
			put_value(&line, go, fmt, v, last);
			if (last) {
				gi_str_putc(&line, '\n');
				gi_out_write(out, gi_str_cstr(&line), line.len);
				gi_str_reset(&line);
			}
		}
		addr += fmt->size;
	}
	if (line.len) {
		gi_str_putc(&line, '\n');
		gi_out_write(out, gi_str_cstr(&line), line.len);
	}
	gi_json_close(out);
	gi_json_str(out, "ends_early", err ? gi_error_message(err) : NULL);
	gi_json_end(out);
	return err;
}
