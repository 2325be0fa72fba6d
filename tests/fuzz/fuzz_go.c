// Fuzzes the runtime's objects: an input is the memory that all globals, goroutines, Ms, Ps,
// channels, semaphores and labels lie in. The layout is made up: members of each struct of
// layout.def stand one behind the other, in its order; globals stand at the start of memory,
// 64 bytes apart.

#include "fuzz.h"

#include <string.h>

#include "go/go_impl.h"
#include "target/fake.h"

enum { BASE = 0x10000, MAX_SIZE = 1 << 16, GLOBAL_STRIDE = 64, SEMA_ROOTS = 5 };

static struct gi_layout layout;

static void no_error(struct gi_error *err)
{
	if (err)
		abort();
}

// What the data is wrong with is told by an error: any is fine.
static bool passes(struct gi_error *err)
{
	bool ok = !err;

	gi_error_free(err);
	return ok;
}

static struct gi_field next_field(uint32_t *off, enum gi_layout_kind kind)
{
	const uint16_t size = kind == GI_L_SLICE ? 24 : kind == GI_L_STRING ? 16 : 8;
	const struct gi_field f = {.off = *off, .size = size, .ok = true, .count = 8};

	*off += size;
	return f;
}

static void make_layout(bool old)
{
	struct gi_layout *l = &layout;
	uint64_t at = BASE;
	uint32_t off = 0;

#define L_STRUCT(id, need, since, until, names) off = 0;
#define L_FIELD(s, id, kind, need, since, until, paths) l->s.id = next_field(&off, GI_L_##kind);
#define L_END(id) l->id.rec = (struct gi_record){off, true};
#define L_GLOBAL(id, need, since, until, names)                                \
	l->global.id = (struct gi_global){.addr = at, .size = 8, .ok = true};  \
	at += GLOBAL_STRIDE;
#define L_CONST(id, fallback, since, until, names) l->constant.id = fallback;
#include "go/layout.def"
	l->global.semtable = (struct gi_global){
		.addr = at, .size = SEMA_ROOTS * GLOBAL_STRIDE, .ok = true};
	l->constant.sem_tab_size = SEMA_ROOTS;
	l->global.wait_reasons.size = 64;
	l->global.idle_in_synctest.size = 4;
	l->global.tlsg.ok = false;
	// Labels are a list, or a map as they were up to Go 1.23.
	l->label_set.rec.ok = !old;
}

// A memory in which most words lead somewhere: seeds differ by where.
static void write_seed(unsigned seed)
{
	static uint8_t bytes[8192];
	const uint64_t words = sizeof(bytes) / 8;
	uint64_t x = seed + 1;
	char name[16];

	for (uint64_t i = 0; i < words; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		const uint64_t r = x >> 33;
		const uint64_t v = r % 4 == 0 ? r / 4 % 16 : BASE + 8 * (r / 4 % words);

		memcpy(bytes + 8 * i, &v, 8);
	}
	snprintf(name, sizeof(name), "seed%u", seed);
	fuzz_seed(name, bytes, sizeof(bytes));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (fuzz_seed_dir()) {
		for (unsigned i = 0; i < 16; i++)
			write_seed(i);
		exit(0);
	}
	return 0;
}

static bool any_waiter(void *arg, const struct gi_sema_waiter *w)
{
	(void)w;
	return ++*(size_t *)arg < 1000000;
}

static bool any_label(void *arg, const char *key, size_t key_len, const char *val,
		      size_t val_len)
{
	unsigned *sum = arg;

	for (size_t i = 0; i < key_len; i++)
		*sum += (unsigned char)key[i];
	for (size_t i = 0; i < val_len; i++)
		*sum += (unsigned char)val[i];
	return true;
}

static void look_at_g(struct gi_go *go, const struct gi_g *g)
{
	struct gi_sudog sudog;
	struct gi_defer defer;
	struct gi_hchan c;
	unsigned sum = 0;
	uint64_t v;
	char buf[16];

	if (strlen(gi_g_status_name(g, buf, sizeof(buf))) == 0)
		abort();
	(void)gi_go_wait_reason(go, g);
	(void)gi_go_wait_ns(go, g, &v);
	(void)gi_go_g_by_id(go, g->goid);
	(void)gi_go_g_by_stack(go, g->sched_sp);
	passes(gi_go_bubble_id(go, g, &v));
	passes(gi_go_labels(go, g, any_label, &sum));
	if (passes(gi_go_read_sudog(go, g->waiting, &sudog)))
		passes(gi_go_read_hchan(go, sudog.c, &c));
	passes(gi_go_read_defer(go, g->defer_head, &defer));
}

static void look(struct gi_go *go)
{
	struct gi_waitgroup wg;
	struct gi_rwmutex rw;
	size_t waiters = 0;
	int32_t setting;

	gi_go_load_version(go, &go->layout.global.build_version);
	passes(gi_go_check_static(go));
	passes(gi_go_load_modules(go));
	passes(gi_go_load_wait_reasons(go));
	gi_go_load_sched(go);
	passes(gi_go_load_ms(go));
	passes(gi_go_load_ps(go));
	passes(gi_go_load_gs(go));
	if (!passes(gi_go_match_threads(go)))
		return;
	passes(gi_go_check_live(go));
	gi_go_find_now(go);
	passes(gi_go_semaphores(go, any_waiter, &waiters));
	for (size_t i = 0; i < gi_go_g_count(go) && i < 200; i++)
		look_at_g(go, gi_go_g(go, i));
	passes(gi_go_read_rwmutex(go, BASE, &rw));
	passes(gi_go_read_waitgroup(go, BASE, &wg));
	(void)gi_go_debug_setting(go, "x", &setting);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gi_thread th = {.tid = 1};
	struct gi_target *t;
	struct gi_go *go;

	if (size < 16 || size > MAX_SIZE)
		return 0;
	make_layout(data[size - 1] & 1);
	no_error(gi_fake_create(&t));
	no_error(gi_fake_add_memory(t, BASE, data, size, GI_MAP_R | GI_MAP_W));
	th.regs.arch = GI_ARCH_AMD64;
	th.regs.r[GI_AMD64_RSP] = BASE + size / 2;
	th.regs.r[GI_AMD64_FS_BASE] = BASE + 512;
	th.regs.known = UINT64_C(1) << GI_AMD64_RSP | UINT64_C(1) << GI_AMD64_FS_BASE;
	no_error(gi_fake_add_thread(t, &th));

	go = calloc(1, sizeof(*go));
	if (!go)
		abort();
	go->target = t;
	go->layout = layout;
	go->version.text = "";
	pthread_mutex_init(&go->stacks_lock, NULL);
	no_error(gi_arena_create(&go->arena));
	look(go);
	gi_go_close(go);
	gi_target_close(t);
	return 0;
}
