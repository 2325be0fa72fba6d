// A made-up memory with a made-up layout of the runtime's objects, for the odd cases that no
// shipped core has. Layouts are set by hand, so that offsets differ from every release's.
#ifndef TESTS_GO_WORLD_H
#define TESTS_GO_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <elf.h>

#include "go/go_impl.h"
#include "target/fake.h"

#include "../support/elf_builder.h"
#include "checks.h"

enum {
	GLOBALS = 0x500000,
	ALLGLEN = GLOBALS,
	ALLGPTR = GLOBALS + 8,
	ALLGS = GLOBALS + 16,
	ALLM = GLOBALS + 64,
	SEMTABLE = GLOBALS + 0x1000,
	VERSION = GLOBALS + 0x100,
	MEMORY_SIZE = 0x20000,
	G_SIZE = 256,
	M_SIZE = 128,
	SUDOG_SIZE = 88,
};
#define HEAP UINT64_C(0xc000000000)

struct world {
	struct gi_target *t;
	struct gi_go *go;
	uint64_t next; // free heap
};

static inline void has_note(const struct world *w, const char *text)
{
	for (size_t i = 0; i < gi_go_note_count(w->go); i++) {
		if (strstr(gi_go_note(w->go, i), text))
			return;
	}
	fail_msg("no note says \"%s\" (%zu notes, first: %s)", text,
		 gi_go_note_count(w->go),
		 gi_go_note_count(w->go) ? gi_go_note(w->go, 0) : "");
}

static inline void no_notes(const struct world *w)
{
	if (gi_go_note_count(w->go))
		fail_msg("unexpected note: %s", gi_go_note(w->go, 0));
}

static inline struct gi_field field(uint32_t off, uint16_t size)
{
	return (struct gi_field){.off = off, .size = size, .ok = true};
}

static inline struct gi_global global(uint64_t addr, uint64_t size)
{
	return (struct gi_global){.addr = addr, .size = size, .ok = true};
}

static inline void set_layout(struct gi_layout *l)
{
	l->g.rec = (struct gi_record){G_SIZE, true};
	l->g.goid = field(8, 8);
	l->g.status = field(16, 4);
	l->g.waitreason = field(20, 1);
	l->g.stack_lo = field(24, 8);
	l->g.stack_hi = field(32, 8);
	l->g.sched_sp = field(40, 8);
	l->g.m = field(48, 8);
	l->g.waitsince = field(56, 8);
	l->g.labels = field(64, 8);
	l->g.waiting = field(72, 8);
	l->g.bubble = field(80, 8);
	l->m.rec = (struct gi_record){M_SIZE, true};
	l->m.id = field(0, 8);
	l->m.procid = field(8, 8);
	l->m.g0 = field(16, 8);
	l->m.gsignal = field(24, 8);
	l->m.curg = field(32, 8);
	l->m.alllink = field(40, 8);
	l->sudog.rec = (struct gi_record){SUDOG_SIZE, true};
	l->sudog.g = field(0, 8);
	l->sudog.elem = field(8, 8);
	l->sudog.prev = field(16, 8);
	l->sudog.next = field(24, 8);
	l->sudog.waitlink = field(32, 8);
	l->sudog.parent = field(40, 8);
	l->sudog.c = field(48, 8);
	l->sema_root.rec = (struct gi_record){24, true};
	l->sema_root.treap = field(8, 8);
	l->constant.sem_tab_size = 7;
	l->constant.func_id_wrapper = -1;
	l->global.allglen = global(ALLGLEN, 8);
	l->global.allgptr = global(ALLGPTR, 8);
	l->global.allgs = global(ALLGS, 24);
	l->global.allm = global(ALLM, 8);
	l->global.semtable = global(SEMTABLE, 7 * 64);
}

static inline int set_up(void **state)
{
	static const uint8_t zeroes[MEMORY_SIZE];
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	no_error(gi_fake_create(&w->t));
	no_error(gi_fake_add_memory(w->t, GLOBALS, zeroes, MEMORY_SIZE,
				    GI_MAP_R | GI_MAP_W));
	no_error(
		gi_fake_add_memory(w->t, HEAP, zeroes, MEMORY_SIZE, GI_MAP_R | GI_MAP_W));
	w->go = calloc(1, sizeof(*w->go));
	assert_non_null(w->go);
	w->go->target = w->t;
	w->go->version.text = "";
	pthread_mutex_init(&w->go->stacks_lock, NULL);
	no_error(gi_arena_create(&w->go->arena));
	set_layout(&w->go->layout);
	w->next = HEAP + 0x100;
	*state = w;
	return 0;
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	gi_go_close(w->go);
	gi_target_close(w->t);
	free(w);
	return 0;
}

static inline void poke(struct world *w, uint64_t addr, uint64_t v)
{
	no_error(gi_fake_write_u64(w->t, addr, v));
}

static inline void poke_bytes(struct world *w, uint64_t addr, const void *p, size_t n)
{
	no_error(gi_fake_write(w->t, addr, p, n));
}

static inline uint64_t alloc(struct world *w, size_t n)
{
	uint64_t addr = w->next;

	w->next += (n + 15) & ~(size_t)15;
	assert_true(w->next <= HEAP + MEMORY_SIZE);
	return addr;
}

static inline uint64_t put_g(struct world *w, uint64_t goid, uint32_t status, uint64_t stack)
{
	uint64_t g = alloc(w, G_SIZE);

	poke(w, g + 8, goid);
	poke_bytes(w, g + 16, &status, 4);
	poke(w, g + 24, stack);
	poke(w, g + 32, stack ? stack + 0x800 : 0);
	poke(w, g + 40, stack ? stack + 0x700 : 0);
	return g;
}

static inline uint64_t put_m(struct world *w, int64_t id, uint64_t procid, uint64_t g0_stack)
{
	uint64_t m = alloc(w, M_SIZE), g0 = put_g(w, 0, GI_G_RUNNING, g0_stack);

	poke(w, g0 + 48, m);
	poke(w, m, (uint64_t)id);
	poke(w, m + 8, procid);
	poke(w, m + 16, g0);
	return m;
}

static inline void put_allgs(struct world *w, const uint64_t *gs, size_t n)
{
	uint64_t array = alloc(w, n * 8);

	for (size_t i = 0; i < n; i++)
		poke(w, array + 8 * i, gs[i]);
	poke(w, ALLGLEN, n);
	poke(w, ALLGPTR, array);
	poke(w, ALLGS, array);
	poke(w, ALLGS + 8, n);
	poke(w, ALLGS + 16, n);
}

static inline uint64_t put_string(struct world *w, const char *s)
{
	uint64_t bytes = alloc(w, strlen(s) + 1);

	poke_bytes(w, bytes, s, strlen(s));
	return bytes;
}

static inline void put_string_at(struct world *w, uint64_t addr, const char *s)
{
	poke(w, addr, put_string(w, s));
	poke(w, addr + 8, strlen(s));
}

#endif
