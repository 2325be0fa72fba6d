// A made-up Go process with a heap, for the tests of the heap and of reachability:
// layouts set by hand, so that offsets differ from every release's; arenas of 16 pages;
// two size classes, 64 and 512 bytes.
#ifndef TESTS_HEAP_WORLD_H
#define TESTS_HEAP_WORLD_H

#include "go/go_impl.h"
#include "target/fake.h"

enum {
	GLOBALS = 0x500000, // the runtime's variables and records
	GLOBALS_SIZE = 0x20000,
	MHEAP = GLOBALS + 0x100,
	ALLGS = GLOBALS + 0x1000,
	ALLSPANS = GLOBALS + 0x2000,
	ARENA_TABLE = GLOBALS + 0x3000,
	ARENA_LIST = GLOBALS + 0x3800,
	ARENA_RECORDS = GLOBALS + 0x4000, // one each 0x200
	SPAN_RECORDS = GLOBALS + 0x6000,
	SPAN_SIZE = 0x80,
	ALLOC_BITS = GLOBALS + 0xa000,	    // 0x40 for each span
	BIG_ALLOC_BITS = GLOBALS + 0x10000, // of a span with more objects
	SPECIALS = GLOBALS + 0xc000,
	ALLP = GLOBALS + 0x800,
	SEMTABLE = GLOBALS + 0x900,
	SIZE_CLASSES = GLOBALS + 0x300,
	DATA = 0x600000, // the program's own variables
	DATA_SIZE = 0x1000,
	C_MEMORY = 0x700000,
	C_MEMORY_SIZE = 0x4000,
	HW_PAGE = 8192,
	ARENA_PAGES = 16,
	ARENA_COUNT = 16,
	FIRST_ARENA = 4, // its number
	G_SIZE = 256,
	SUDOG_SIZE = 128, // two slots of a span of 64: fits in no slot but of 512
	KIND_FINALIZER = 7,
	KIND_WEAK = 5,
	SWEEPGEN = 6,
	HW_MAX_THREADS = 8,
};
#define HW_HEAP UINT64_C(0xc000000000)
// Where the first piece of the heap ends, in the midst of an object of 64 bytes.
#define HW_SPLIT (HW_HEAP + 0x20)
#define HW_ARENA ((uint64_t)ARENA_PAGES * HW_PAGE)

struct heap_world {
	struct gi_target *t;
	struct gi_go *go;
	size_t span_count, g_count, special_count;
	uint64_t next_page; // not yet in a span
	uint64_t p; // set by a test that has one
	struct gi_m ms[HW_MAX_THREADS];
	size_t thread_count;
	// Spans of 64 and 512 byte objects, of 64 without pointers.
	uint64_t small, large, noscan;
};

void hw_open(struct heap_world *w);
void hw_close(struct heap_world *w);

/** A span in use; elem_size 64 or 512, or 0 for one large object of all its pages. */
uint64_t hw_span(struct heap_world *w, size_t pages, uint64_t elem_size, bool noscan);
/** Pages for stacks and buffers. */
uint64_t hw_manual(struct heap_world *w, size_t pages);
/** The mspan record of a span. */
uint64_t hw_record(const struct heap_world *w, uint64_t span);
/** Allocates the next slot of a span. */
uint64_t hw_new(struct heap_world *w, uint64_t span);
void hw_free(struct heap_world *w, uint64_t object);
void hw_special(struct heap_world *w, uint64_t object, unsigned kind, uint64_t word);
void hw_put(struct heap_world *w, uint64_t addr, uint64_t value);
uint64_t hw_get(struct heap_world *w, uint64_t addr);
void hw_put_u32(struct heap_world *w, uint64_t addr, uint32_t value);

/** An object of the heap that is a g, with a stack of a page; returns its address. */
uint64_t hw_g(struct heap_world *w, uint64_t goid, uint32_t status);
/** Puts words on top of its stack, and its stack pointer below them. */
void hw_stack(struct heap_world *w, uint64_t g, const uint64_t *words, size_t n);
enum hw_reason { HW_REASON_NONE, HW_CHANNEL, HW_MUTEX, HW_CONDITION, HW_NIL_CHANNEL, HW_OTHER };
/** Lets it wait, for this reason. */
void hw_reason(struct heap_world *w, uint64_t g, enum hw_reason reason);
/** A channel. */
uint64_t hw_channel(struct heap_world *w);
/** Lets g wait to receive from c, behind those who do already; returns its sudog. */
uint64_t hw_receive(struct heap_world *w, uint64_t g, uint64_t c);
/** Lets g wait for a semaphore, in the treap below parent (0: as its root). */
uint64_t hw_acquire(struct heap_world *w, uint64_t g, uint64_t sema, uint64_t parent);
/** A thread; its M has a g0 with a stack, and curg and p as said. */
struct gi_m *hw_thread(struct heap_world *w, uint64_t curg, uint64_t p, const uint64_t *regs,
		       uint64_t sp);
/** Lets go read what was made. */
void hw_load(struct heap_world *w);

#endif
