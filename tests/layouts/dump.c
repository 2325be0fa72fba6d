// Writes the layout table of one Go release from two unstripped executables of it.
//
//	dump "RELEASE..." PROGRAM BASE [PROGRAM BASE]...
//	dump --check TABLE PROGRAM...
//
// PROGRAM's DWARF describes every type of src/go/layout.def. BASE is the smallest program:
// what it holds of the runtime is in every program. The table, on standard output, is of
// the form that src/go/layout_table.c includes:
//
//	T_RELEASE(minor, patch)		first release that it was made from
//	T_STRUCT(name, size), T_FIELD(path, off, size, count)
//	T_GLOBAL(name, size, count)
//	T_CONST(name, value)
//	T_FUNC(name, references, shape), T_REF(index, global, off)
//
// T_REF says that the index-th reference in the code of the last T_FUNC leads to a global,
// off bytes into it; shape is a hash over the shapes of all of the function's references.
// Of the functions in BASE those are chosen that give each global some independent
// witnesses. Further pairs are of the same programs, built in another way, or by later
// patch levels: they add what they lack of witnesses.
//
// --check says which globals of an unstripped PROGRAM the witnesses of a table do not find.
//
// The resolver itself asks the DWARF, through a source of layouts that writes down each
// answer: so the table holds all that the resolver can ask for, and nothing else.

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcore/elf.h"
#include "gcore/symbols.h"
#include "go/layout.h"
#include "go/shape.h"

enum { WITNESSES = 7, WITNESSES_OTHER = 3, MAX_GLOBALS = 128, MAX_REFS = 128, MAX_PRINTED = 1024 };

struct global {
	char *name;
	uint64_t addr, size;
	unsigned witnesses, wrong;
};

struct dump {
	enum gi_arch arch;
	struct gi_elf *elf;
	struct gi_dwarf *dwarf;
	const char *type;		    // of the last T_STRUCT
	struct global globals[MAX_GLOBALS]; // of BASE
	size_t global_count;
	struct gi_elf *base;
	struct gi_dwarf *base_dwarf;
	struct {
		const char *name;
		uint64_t hash;
	} printed[MAX_PRINTED]; // functions
	size_t printed_count;
};

static void die(struct gi_error *err)
{
	fprintf(stderr, "dump: %s\n", gi_error_message(err));
	exit(1);
}

// --- what the resolver asks for -------------------------------------------------

static struct gi_error *record(void *arg, const char *type, uint64_t *size_ret)
{
	struct dump *d = arg;
	struct gi_error *err = gi_dwarf_sizeof(d->dwarf, type, size_ret);

	if (!err)
		printf("T_STRUCT(\"%s\", %llu)\n", type, (unsigned long long)*size_ret);
	return err;
}

static struct gi_error *member(void *arg, const char *type, const char *path, struct gi_field *ret)
{
	struct dump *d = arg;
	struct gi_dwarf_member m;
	struct gi_error *err = gi_dwarf_member(d->dwarf, type, path, &m);

	if (err)
		return err;
	*ret = (struct gi_field){
		.off = (uint32_t)m.offset, .size = (uint32_t)m.size, .count = (uint32_t)m.count};
	printf("T_FIELD(\"%s\", %u, %u, %u)\n", path, ret->off, ret->size, ret->count);
	return NULL;
}

static bool symbol(struct gi_elf *elf, struct gi_dwarf *dwarf, const char *name,
		   struct gi_global *ret)
{
	struct gi_elf_symbol sym;
	struct gi_dwarf_member m = {0};
	uint64_t addr;
	struct gi_error *err;

	if (!gi_elf_symbol_by_name(elf, name, &sym))
		return false;
	*ret = (struct gi_global){.addr = sym.value, .size = sym.size};
	err = gi_dwarf_global(dwarf, name, &addr, &m);
	if (err) {
		gi_error_ignore(err);
		return true;
	}
	if (addr == sym.value && m.size)
		*ret = (struct gi_global){.addr = addr, .size = m.size, .count = m.count};
	return true;
}

static struct gi_error *global(void *arg, const char *name, struct gi_global *ret)
{
	struct dump *d = arg;
	struct gi_global base;
	struct global *g;

	if (!symbol(d->elf, d->dwarf, name, ret))
		return gi_error_create(GI_ERR_NOT_FOUND, "no symbol %s", name);
	printf("T_GLOBAL(\"%s\", %llu, %llu)\n", name, (unsigned long long)ret->size,
	       (unsigned long long)ret->count);
	if (symbol(d->base, d->base_dwarf, name, &base) && base.size &&
	    d->global_count < MAX_GLOBALS) {
		g = &d->globals[d->global_count++];
		*g = (struct global){strdup(name), base.addr, base.size, 0, 0};
	}
	return NULL;
}

static struct gi_error *constant(void *arg, const char *name, int64_t *ret)
{
	struct dump *d = arg;
	struct gi_error *err = gi_dwarf_constant(d->dwarf, name, ret);

	if (!err)
		printf("T_CONST(\"%s\", %lld)\n", name, (long long)*ret);
	return err;
}

// A struct that not every program has must be in this one.
static void check_whole(const struct gi_layout *l, int minor, struct gi_str *missing)
{
#define L_STRUCT(id, need, since, until, names)                                  \
	if (!l->id.rec.ok && minor >= (since) && (!(until) || minor <= (until))) \
		gi_str_printf(missing, "%s%s", missing->len ? ", " : "", names);
#define L_FIELD(s, id, kind, need, since, until, paths)
#define L_END(id)
#define L_GLOBAL(id, need, since, until, names)
#define L_CONST(id, fallback, since, until, names)
#include "go/layout.def"
#undef L_STRUCT
#undef L_FIELD
#undef L_END
#undef L_GLOBAL
#undef L_CONST
}

// --- functions that witness where globals are ------------------------------------

struct function {
	const char *name;
	struct gi_shape shape;
	struct {
		size_t index;
		struct global *global;
		uint64_t off;
	} refs[MAX_REFS];
	size_t ref_count;
};

struct collector {
	struct dump *d;
	struct function *f;
};

static bool collect(void *arg, const struct gi_code_ref *ref)
{
	struct collector *c = arg;
	struct function *f = c->f;

	for (size_t i = 0; i < c->d->global_count; i++) {
		struct global *g = &c->d->globals[i];

		if (ref->target - g->addr < g->size && f->ref_count < MAX_REFS) {
			f->refs[f->ref_count].index = f->shape.count;
			f->refs[f->ref_count].global = g;
			f->refs[f->ref_count++].off = ref->target - g->addr;
		}
	}
	return gi_shape_add(&f->shape, ref);
}

static struct gi_error *read_function(struct dump *d, struct gi_elf *elf,
				      const struct gi_elf_symbol *sym, struct function *ret)
{
	const uint8_t *text;
	size_t size;
	uint64_t addr;
	struct collector c = {d, ret};
	struct gi_error *err = gi_elf_section(elf, ".text", &text, &size, &addr);

	if (err)
		return err;
	*ret = (struct function){.name = sym->name};
	gi_shape_init(&ret->shape, addr, addr + size);
	if (sym->value < addr || !gi_in_bounds(sym->value - addr, sym->size, size))
		return NULL;
	return gi_code_refs(d->arch, sym->value, text + (sym->value - addr), sym->size,
			    collect, &c);
}

// The same code in both programs: what the rest of a program is does not change it.
static bool is_stable(struct dump *d, const struct function *f)
{
	struct gi_elf_symbol sym;
	static struct function other;
	struct gi_error *err;

	if (!gi_elf_symbol_by_name(d->elf, f->name, &sym))
		return false;
	err = read_function(d, d->elf, &sym, &other);
	if (err)
		die(err);
	return other.shape.count == f->shape.count && other.shape.hash == f->shape.hash;
}

// Functions that use many globals first, and of those the ones with fewer references
// that lead elsewhere.
static int by_use(const void *a, const void *b)
{
	const struct function *x = *(struct function *const *)a, *y = *(struct function *const *)b;

	if (x->ref_count != y->ref_count)
		return x->ref_count < y->ref_count ? 1 : -1;
	if (x->shape.count != y->shape.count)
		return x->shape.count < y->shape.count ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_wanted(const struct function *f, unsigned want)
{
	for (size_t i = 0; i < f->ref_count; i++) {
		if (f->refs[i].global->witnesses < want)
			return true;
	}
	return false;
}

// pclntab has no ABI behind a name.
static size_t name_length(const char *name)
{
	const char *dot = strstr(name, ".abi0");

	return dot && !dot[5] ? (size_t)(dot - name) : strlen(name);
}

static bool is_printed(const struct dump *d, const struct function *f)
{
	for (size_t i = 0; i < d->printed_count; i++) {
		if (d->printed[i].hash == f->shape.hash && strcmp(d->printed[i].name, f->name) == 0)
			return true;
	}
	return false;
}

// Another pair of programs begins with the witnesses that the ones before gave it.
static void count_witnesses(struct function *f)
{
	for (size_t i = 0; i < f->ref_count; i++) {
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first = first && f->refs[k].global != f->refs[i].global;
		f->refs[i].global->witnesses += first;
	}
}

// One reference to each global is enough: the shape holds for all of them.
static void print_function(struct dump *d, struct function *f)
{
	if (is_printed(d, f))
		return;
	if (d->printed_count == MAX_PRINTED)
		die(gi_error_create(GI_ERR_UNSUPPORTED, "too many witnesses"));
	d->printed[d->printed_count].hash = f->shape.hash;
	d->printed[d->printed_count++].name = f->name;
	printf("T_FUNC(\"%.*s\", %zu, 0x%016llx)\n", (int)name_length(f->name), f->name,
	       f->shape.count, (unsigned long long)f->shape.hash);
	for (size_t i = 0; i < f->ref_count; i++) {
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first = first && f->refs[k].global != f->refs[i].global;
		if (!first)
			continue;
		printf("T_REF(%zu, \"%s\", %llu)\n", f->refs[i].index, f->refs[i].global->name,
		       (unsigned long long)f->refs[i].off);
		f->refs[i].global->witnesses++;
	}
}

static void dump_functions(struct dump *d, unsigned want)
{
	size_t n = gi_elf_symbol_count(d->base), count = 0;
	struct function **all = calloc(n, sizeof(*all));
	struct function f;

	for (size_t i = 0; all && i < n; i++) {
		struct gi_elf_symbol sym;
		struct gi_error *err;

		if (!gi_elf_symbol(d->base, i, &sym) || !sym.name || !sym.size ||
		    strncmp(sym.name, "runtime.", 8) != 0)
			continue;
		err = read_function(d, d->base, &sym, &f);
		if (err)
			die(err);
		if (!f.ref_count || f.ref_count >= MAX_REFS || !is_stable(d, &f))
			continue;
		all[count] = malloc(sizeof(f));
		if (!all[count])
			exit(1);
		*all[count++] = f;
		if (is_printed(d, &f))
			count_witnesses(&f);
	}
	// Small ones first: a change of the source seldom touches them. Then any.
	qsort(all, count, sizeof(struct function *), by_use);
	for (size_t i = count; i-- > 0;) {
		if (all[i]->shape.count <= 24 && is_wanted(all[i], want)) {
			print_function(d, all[i]);
			all[i]->ref_count = 0;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (is_wanted(all[i], want))
			print_function(d, all[i]);
		free(all[i]);
	}
	free(all);
}

static enum gi_arch arch_of(struct gi_elf *elf)
{
	switch (gi_elf_ident(elf).machine) {
	case EM_X86_64:
		return GI_ARCH_AMD64;
	case EM_AARCH64:
		return GI_ARCH_ARM64;
	}
	die(gi_error_create(GI_ERR_UNSUPPORTED, "%s is of no architecture that is known",
			    gi_elf_path(elf)));
	return 0;
}

static void open_pair(struct dump *d, char **paths)
{
	struct gi_error *err = gi_elf_open(paths[0], &d->elf);

	if (!err)
		err = gi_dwarf_open(d->elf, &d->dwarf);
	if (!err)
		err = gi_elf_open(paths[1], &d->base);
	if (!err)
		err = gi_dwarf_open(d->base, &d->base_dwarf);
	if (err)
		die(err);
	d->arch = arch_of(d->base);
}

// To where they are in another BASE.
static void move_globals(struct dump *d)
{
	for (size_t i = 0; i < d->global_count; i++) {
		struct global *g = &d->globals[i];
		struct gi_global there = {0};

		if (!symbol(d->base, d->base_dwarf, g->name, &there))
			there.size = 0;
		*g = (struct global){g->name, there.addr, there.size, 0, 0};
	}
}

// --- are the witnesses of a table enough? ---------------------------------------------------

struct references {
	struct gi_shape shape;
	uint64_t targets[GI_SHAPE_MAX];
};

static bool collect_target(void *arg, const struct gi_code_ref *ref)
{
	struct references *r = arg;

	if (gi_shape_counts(&r->shape, ref))
		r->targets[r->shape.count] = ref->target;
	return gi_shape_add(&r->shape, ref);
}

// False if there is no such function.
static bool refer(struct dump *d, const char *name, struct references *ret)
{
	struct gi_elf_symbol sym;
	struct gi_str abi0 = {0};
	const uint8_t *text;
	size_t size;
	uint64_t addr;
	bool found;
	struct gi_error *err = gi_elf_section(d->elf, ".text", &text, &size, &addr);

	if (err)
		die(err);
	gi_str_printf(&abi0, "%s.abi0", name);
	found = gi_elf_symbol_by_name(d->elf, name, &sym) ||
		gi_elf_symbol_by_name(d->elf, gi_str_cstr(&abi0), &sym);
	gi_str_deinit(&abi0);
	if (!found || sym.value < addr || !gi_in_bounds(sym.value - addr, sym.size, size))
		return false;
	gi_shape_init(&ret->shape, addr, addr + size);
	err = gi_code_refs(d->arch, sym.value, text + (sym.value - addr), sym.size, collect_target,
			   ret);
	if (err)
		die(err);
	return true;
}

// As src/go/witness.c does, but that it knows where the globals are.
static int check_witnesses(const char *table, const char *path)
{
	struct dump d = {0};
	static struct references r;
	FILE *file = fopen(table, "r");
	char line[512], name[256];
	size_t count, index;
	unsigned long long n;
	bool same = false;
	int missing = 0;
	struct gi_error *err = gi_elf_open(path, &d.elf);

	if (!err && !file)
		err = gi_error_create(GI_ERR_IO, "%s cannot be opened", table);
	if (err)
		die(err);
	d.arch = arch_of(d.elf);
	while (fgets(line, sizeof(line), file)) {
		struct gi_elf_symbol sym;

		if (sscanf(line, "T_GLOBAL(\"%255[^\"]\"", name) == 1 &&
		    gi_elf_symbol_by_name(d.elf, name, &sym) && d.global_count < MAX_GLOBALS) {
			d.globals[d.global_count++] =
				(struct global){strdup(name), sym.value, sym.size, 0, 0};
		} else if (sscanf(line, "T_FUNC(\"%255[^\"]\", %zu, %llx", name, &count, &n) == 3) {
			same = refer(&d, name, &r) && r.shape.count == count && r.shape.hash == n;
		} else if (same &&
			   sscanf(line, "T_REF(%zu, \"%255[^\"]\", %llu", &index, name, &n) == 3) {
			for (size_t i = 0; i < d.global_count; i++) {
				struct global *g = &d.globals[i];

				if (strcmp(g->name, name) != 0)
					continue;
				if (r.targets[index] - n == g->addr)
					g->witnesses++;
				else
					g->wrong++;
			}
		}
	}
	fclose(file);
	for (size_t i = 0; i < d.global_count; i++) {
		const struct global *g = &d.globals[i];

		// No code refers to the first of these by itself. The next has a form.
		if (strcmp(g->name, "runtime.tlsg") != 0 &&
		    strcmp(g->name, "runtime.firstmoduledata") != 0 && g->witnesses <= 3 * g->wrong)
			missing += printf("%s: %u witnesses of %s, %u false ones\n", path,
					  g->witnesses, g->name, g->wrong) > 0;
	}
	return missing ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct dump d = {0};
	struct gi_layout_source src = {.arg = &d,
				       .what = argc > 2 ? argv[2] : "",
				       .record = record,
				       .member = member,
				       .global = global,
				       .constant = constant};
	struct gi_layout l;
	struct gi_str missing = {0};
	int minor = 0, patch = 0;
	struct gi_error *err;

	if (argc >= 4 && strcmp(argv[1], "--check") == 0) {
		int status = 0;

		for (int i = 3; i < argc; i++)
			status |= check_witnesses(argv[2], argv[i]);
		return status;
	}
	if (argc < 4 || argc % 2 || sscanf(argv[1], "1.%d.%d", &minor, &patch) < 1) {
		fprintf(stderr, "usage: dump \"RELEASE...\" PROGRAM BASE [PROGRAM BASE]...\n"
				"       dump --check TABLE PROGRAM...\n");
		return 2;
	}
	open_pair(&d, argv + 2);
	printf("// Made by `make layouts` from programs of go");
	for (const char *p = argv[1]; *p; p++)
		printf(*p == ' ' ? ", go" : "%c", *p);
	printf(". Do not edit.\nT_RELEASE(%d, %d)\n", minor, patch);
	err = gi_layout_resolve(&src, minor, &l, &missing);
	if (err)
		die(err);
	check_whole(&l, minor, &missing);
	if (missing.len) {
		fprintf(stderr, "dump: go%s has no %s\n", argv[1], missing.s);
		return 1;
	}
	dump_functions(&d, WITNESSES);
	for (int i = 4; i < argc; i += 2) {
		open_pair(&d, argv + i);
		move_globals(&d);
		dump_functions(&d, WITNESSES_OTHER);
	}

	return fflush(stdout) == 0 ? 0 : 1;
}
