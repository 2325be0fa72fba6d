// Modules: the list that starts at runtime.firstmoduledata. An executable has one; each
// plugin adds one. Source: moduledata in src/runtime/symtab.go.

#include "go/go_impl.h"

size_t gi_go_module_count(const struct gi_go *go)
{
	return go->module_count;
}

const struct gi_module *gi_go_module(const struct gi_go *go, size_t i)
{
	return i < go->module_count ? &go->modules[i] : NULL;
}

static struct gi_error *read_module(struct gi_go *go, uint64_t addr,
				    struct gi_module *ret, uint64_t *next_ret)
{
	_cleanup_(gi_buf_deinit) struct gi_buf buf = {0};
	const uint8_t *p;
	struct gi_error *err =
		gi_go_bytes(go, addr, go->layout.moduledata.rec.size, &buf, &p);

	if (err)
		return err;
#define FIELD(f) gi_field_uint(p, go->layout.moduledata.f)
#define SLICE(f) gi_go_slice(p, go->layout.moduledata.f)
	*ret = (struct gi_module){
		.addr = addr,
		.pc_header = FIELD(pc_header),
		.funcnametab = SLICE(funcnametab),
		.cutab = SLICE(cutab),
		.filetab = SLICE(filetab),
		.pctab = SLICE(pctab),
		.pclntable = SLICE(pclntable),
		.ftab = SLICE(ftab),
		.pcs = {FIELD(minpc), FIELD(maxpc)},
		.text = {FIELD(text), FIELD(etext)},
		.noptrdata = {FIELD(noptrdata), FIELD(enoptrdata)},
		.data = {FIELD(data), FIELD(edata)},
		.bss = {FIELD(bss), FIELD(ebss)},
		.noptrbss = {FIELD(noptrbss), FIELD(enoptrbss)},
		.gcdatamask = FIELD(gcdatamask),
		.gcbssmask = FIELD(gcbssmask),
		.rodata = FIELD(rodata),
		.gofunc = FIELD(gofunc),
		.types = {FIELD(types), FIELD(etypes)},
		.textsectmap = SLICE(textsectmap),
	};
	*next_ret = FIELD(next);
#undef FIELD
#undef SLICE
	return NULL;
}

// What holds in every module; damaged or misread ones would poison each lookup.
static struct gi_error *check_module(const struct gi_module *m)
{
	const struct {
		const char *name;
		struct gi_range r;
	} ranges[] = {
		{"minpc..maxpc", m->pcs},
		{"text..etext", m->text},
		{"noptrdata..enoptrdata", m->noptrdata},
		{"data..edata", m->data},
		{"bss..ebss", m->bss},
		{"noptrbss..enoptrbss", m->noptrbss},
		{"types..etypes", m->types},
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(ranges); i++) {
		if (ranges[i].r.start > ranges[i].r.end)
			return gi_error_at(
				GI_ERR_MISMATCH, m->addr,
				"runtime.moduledata at 0x%llx fails its check: %s is "
				"0x%llx..0x%llx",
				(unsigned long long)m->addr, ranges[i].name,
				(unsigned long long)ranges[i].r.start,
				(unsigned long long)ranges[i].r.end);
	}
	if (m->pcs.start < m->text.start || m->pcs.end > m->text.end)
		return gi_error_at(
			GI_ERR_MISMATCH, m->addr,
			"runtime.moduledata at 0x%llx fails its check: functions "
			"0x%llx..0x%llx are not inside of text 0x%llx..0x%llx",
			(unsigned long long)m->addr, (unsigned long long)m->pcs.start,
			(unsigned long long)m->pcs.end, (unsigned long long)m->text.start,
			(unsigned long long)m->text.end);
	return NULL;
}

struct gi_error *gi_go_read_module(struct gi_go *go, uint64_t addr, struct gi_module *ret,
				   uint64_t *next_ret)
{
	struct gi_module m;
	struct gi_error *err = read_module(go, addr, &m, next_ret);

	if (!err)
		err = check_module(&m);
	if (!err)
		*ret = m;
	return err;
}

struct gi_error *gi_go_load_modules(struct gi_go *go)
{
	uint64_t addr = go->layout.global.firstmoduledata.addr, next;
	struct gi_error *err;

	while (addr) {
		struct gi_module m;

		err = gi_go_read_module(go, addr, &m, &next);
		if (err && go->module_count > 0 && gi_error_code(err) != GI_ERR_NOMEM) {
			// The program's own module is enough to go on.
			gi_go_add_note(go, "module %zu (a plugin) is left out: %s",
				       go->module_count, gi_error_message(err));
			gi_error_ignore(err);
			break;
		}
		if (err)
			return gi_error_wrap(err, "the table of functions");
		for (size_t i = 0; i < go->module_count; i++) {
			if (go->modules[i].addr == addr) {
				gi_go_add_note(go, "the list of modules is circular");
				return NULL;
			}
		}
		if (go->module_count == GI_GO_MAX_MODULES) {
			gi_go_add_note(go,
				       "more than %d modules: the others are left out",
				       GI_GO_MAX_MODULES);
			break;
		}
		err = gi_grow(&go->modules, &go->module_cap, go->module_count + 1,
			      sizeof(*go->modules));
		if (err)
			return err;
		go->modules[go->module_count++] = m;
		addr = next;
	}
	return NULL;
}
