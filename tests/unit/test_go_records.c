// What hangs on the runtime's goroutines, from a made-up memory (go_world.h): semaphores, channels,
// locks, labels; and versions.

#include "go_world.h"

// --- semaphores ------------------------------------------------------------------------

enum { ROOTS = 7, MAX_SEEN = 32 };

struct seen {
	struct gi_sema_waiter w[MAX_SEEN];
	size_t count, stop_after;
};

static bool see(void *arg, const struct gi_sema_waiter *w)
{
	struct seen *s = arg;

	assert_true(s->count < MAX_SEEN);
	s->w[s->count++] = *w;
	return s->count != s->stop_after;
}

static bool saw(const struct seen *s, uint64_t sema, uint64_t g)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->w[i].sema == sema && s->w[i].g == g)
			return true;
	}
	return false;
}

static uint64_t put_sudog(struct world *w, uint64_t g, uint64_t elem)
{
	uint64_t s = alloc(w, SUDOG_SIZE);

	poke(w, s, g);
	poke(w, s + 8, elem);
	return s;
}

static void put_root(struct world *w, uint64_t sema, uint64_t sudog)
{
	poke(w, SEMTABLE + 64 * ((sema >> 3) % ROOTS) + 8, sudog);
}

static void test_semaphores(void **state)
{
	struct world *w = *state;
	const uint64_t sema = 0x7000, left = sema - ROOTS * 8, right = sema + ROOTS * 8;
	uint64_t top = put_sudog(w, 1, sema), l = put_sudog(w, 2, left),
		 r = put_sudog(w, 3, right);
	uint64_t second = put_sudog(w, 4, sema), third = put_sudog(w, 5, 0);
	uint64_t other = put_sudog(w, 6, 0x7008);
	struct seen s = {0};

	put_root(w, sema, top);
	poke(w, top + 16, l);
	poke(w, top + 24, r);
	poke(w, top + 32, second);
	poke(w, second + 32, third);
	put_root(w, 0x7008, other);
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 6);
	assert_true(saw(&s, sema, 1));
	assert_true(saw(&s, left, 2));
	assert_true(saw(&s, right, 3));
	assert_true(saw(&s, sema, 4));
	assert_true(
		saw(&s, sema, 5)); // of the list it hangs on, whatever its own elem is
	assert_true(saw(&s, 0x7008, 6));
	no_notes(w);

	s = (struct seen){.stop_after = 2};
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 2);
}

static void test_semaphore_cycles(void **state)
{
	struct world *w = *state;
	const uint64_t sema = 0x7000, left = sema - ROOTS * 8;
	uint64_t top = put_sudog(w, 1, sema), l = put_sudog(w, 2, left);
	struct seen s = {0};

	put_root(w, sema, top);
	poke(w, top + 16, l);
	poke(w, l + 24, top); // a child that leads back
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 2);
	has_note(w, "leads back to the sudog");

	// A list of waiters that leads back to its own head.
	s = (struct seen){0};
	poke(w, l + 24, 0);
	poke(w, top + 32, top);
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 2);
}

static void test_semaphore_damage(void **state)
{
	struct world *w = *state;
	const uint64_t sema = 0x7000;
	uint64_t top = put_sudog(w, 1, sema), wrong = put_sudog(w, 2, sema + 8);
	struct seen s = {0};

	put_root(w, sema, top);
	poke(w, top + 16, wrong); // of another root
	poke(w, top + 24, 0xdead0000);
	poke(w, top + 32, 0xbeef0000);
	no_error(gi_go_semaphores(w->go, see, &s));
	assert_int_equal(s.count, 1);
	assert_true(saw(&s, sema, 1));
	has_note(w, "2 sudogs unreadable, 1 in a wrong place");

	w->go->layout.global.semtable.size = 7 * 64 + 1;
	error_says(gi_go_semaphores(w->go, see, &s), GI_ERR_MISMATCH, "runtime.semtable");
	w->go->layout.global.semtable.ok = false;
	error_says(gi_go_semaphores(w->go, see, &s), GI_ERR_UNSUPPORTED,
		   "semaphore table");
}

// --- channels
// ----------------------------------------------------------------------------

enum { HCHAN_SIZE = 96, TYPE = GLOBALS + 0x800 };

static void set_hchan_layout(struct gi_layout *l)
{
	l->hchan.rec = (struct gi_record){HCHAN_SIZE, true};
	l->hchan.qcount = field(0, 8);
	l->hchan.dataqsiz = field(8, 8);
	l->hchan.buf = field(16, 8);
	l->hchan.elemsize = field(24, 2);
	l->hchan.closed = field(28, 4);
	l->hchan.elemtype = field(32, 8);
	l->hchan.sendx = field(40, 8);
	l->hchan.recvx = field(48, 8);
	l->hchan.recvq_first = field(56, 8);
	l->hchan.recvq_last = field(64, 8);
	l->hchan.sendq_first = field(72, 8);
	l->hchan.sendq_last = field(80, 8);
	l->type.rec = (struct gi_record){48, true};
	l->type.size = field(0, 8);
}

static uint64_t put_hchan(struct world *w)
{
	uint64_t c = alloc(w, HCHAN_SIZE);

	poke(w, TYPE, 16);
	poke(w, c, 2);
	poke(w, c + 8, 4);
	poke(w, c + 16, c + 96);
	poke(w, c + 24, 16);
	poke(w, c + 32, TYPE);
	poke(w, c + 40, 3);
	poke(w, c + 48, 1);
	return c;
}

static void test_hchan(void **state)
{
	static const struct {
		uint32_t off;
		uint64_t value;
		const char *says;
	} broken[] = {
		{0, 5, "more elements are queued"},
		{16, 0, "buffer has no address"},
		{24, 8, "their type at"},
		{24, 16 | UINT64_C(2) << 32, "closed is neither"},
		{32, 0, "no element type"},
		{32, 0xdead0000, "is unreadable"},
		{40, 4, "send index"},
		{48, 4, "receive index"},
		{56, 1, "a first and no last"},
		{80, 1, "a first and no last"},
		{8, UINT64_C(1) << 60, "would not fit into memory"},
	};
	struct world *w = *state;
	struct gi_hchan c;
	uint64_t addr, old;

	set_hchan_layout(&w->go->layout);
	addr = put_hchan(w);
	no_error(gi_go_read_hchan(w->go, addr, &c));
	assert_int_equal(c.qcount, 2);
	assert_int_equal(c.dataqsiz, 4);
	assert_int_equal(c.elemsize, 16);
	assert_false(c.closed);
	poke(w, addr + 24, 16 | UINT64_C(1) << 32);
	no_error(gi_go_read_hchan(w->go, addr, &c));
	assert_true(c.closed);

	for (size_t i = 0; i < GI_ARRAY_SIZE(broken); i++) {
		assert_true(gi_target_peek_u64(w->t, addr + broken[i].off, &old));
		poke(w, addr + broken[i].off, broken[i].value);
		error_says(gi_go_read_hchan(w->go, addr, &c), GI_ERR_FORMAT,
			   broken[i].says);
		poke(w, addr + broken[i].off, old);
	}
	error_says(gi_go_read_hchan(w->go, 0x10, &c), GI_ERR_FAULT, "channel at 0x10");
}

// --- package sync
// ------------------------------------------------------------------------

static void test_sync(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t o = alloc(w, 64);
	struct gi_sync_layout sl;
	struct gi_waitgroup wg;
	struct gi_rwmutex rw;
	struct gi_mutex mu;

	assert_false(gi_go_sync_layout(w->go, &sl));
	error_says(gi_go_read_mutex(w->go, o, &mu), GI_ERR_NOT_FOUND, "no sync.Mutex");
	l->mutex.rec = (struct gi_record){8, true};
	l->mutex.state = field(0, 4);
	l->mutex.sema = field(4, 4);
	poke(w, o, (5 << 3 | 4 | 1) | UINT64_C(9) << 32);
	no_error(gi_go_read_mutex(w->go, o, &mu));
	assert_true(mu.locked && mu.starving && !mu.woken);
	assert_int_equal(mu.waiters, 5);
	assert_int_equal(mu.sema, 9);
	assert_true(mu.sema_addr == o + 4);

	l->rwmutex.rec = (struct gi_record){24, true};
	l->rwmutex.w = field(0, 8);
	l->rwmutex.writer_sem = field(8, 4);
	l->rwmutex.reader_sem = field(12, 4);
	l->rwmutex.reader_count = field(16, 4);
	l->rwmutex.reader_wait = field(20, 4);
	poke(w, o + 16, (uint32_t)(2 - (1 << 30)) | UINT64_C(2) << 32);
	no_error(gi_go_read_rwmutex(w->go, o, &rw));
	assert_true(rw.w.locked);
	assert_int_equal(rw.reader_count, 2 - (1 << 30));
	assert_int_equal(rw.reader_wait, 2);
	assert_true(rw.writer_sem_addr == o + 8 && rw.reader_sem_addr == o + 12 &&
		    rw.w_addr == o);

	l->waitgroup.rec = (struct gi_record){16, true};
	l->waitgroup.state = field(0, 8);
	l->waitgroup.sema = field(8, 4);
	// The bit of a synctest bubble is no waiter.
	poke(w, o, UINT64_C(3) << 32 | UINT64_C(1) << 31 | 2);
	no_error(gi_go_read_waitgroup(w->go, o, &wg));
	assert_int_equal(wg.counter, 3);
	assert_int_equal(wg.waiters, 2);
	assert_true(wg.sema_addr == o + 8);

	assert_true(gi_go_sync_layout(w->go, &sl));
	assert_int_equal(sl.mutex_sema, 4);
	assert_int_equal(sl.once_size, 0); // not in the program
}

// --- labels
// ------------------------------------------------------------------------------

static bool list_label(void *arg, const char *key, size_t key_len, const char *val,
		       size_t val_len)
{
	struct gi_str *s = arg;

	gi_str_printf(s, "%.*s=%.*s;", (int)key_len, key, (int)val_len, val);
	return strncmp(key, "stop", key_len) != 0;
}

static void expect_labels(struct world *w, uint64_t labels, const char *want)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const struct gi_g g = {.goid = 1, .labels = labels};

	no_error(gi_go_labels(w->go, &g, list_label, &s));
	assert_string_equal(gi_str_cstr(&s), want);
}

static void labels_fail(struct world *w, uint64_t labels, enum gi_error_code code,
			const char *text)
{
	_cleanup_(gi_str_deinit) struct gi_str s = {0};
	const struct gi_g g = {.goid = 17, .labels = labels};

	error_says(gi_go_labels(w->go, &g, list_label, &s), code, text);
}

static void test_label_lists(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t set = alloc(w, 32), list = alloc(w, 3 * 40);

	labels_fail(w, set, GI_ERR_UNSUPPORTED,
		    "labels of goroutine 17: their layout is unknown");
	l->label_set.rec = (struct gi_record){32, true};
	l->label_set.list = field(8, 24);
	l->label.rec = (struct gi_record){40, true};
	l->label.key = field(16, 16);
	l->label.value = field(0, 16);
	expect_labels(w, 0, "");
	expect_labels(w, set, "");
	poke(w, set + 8, list);
	poke(w, set + 16, 3);
	poke(w, set + 24, 3);
	put_string_at(w, list + 16, "k");
	put_string_at(w, list, "v w");
	put_string_at(w, list + 40 + 16, "empty");
	put_string_at(w, list + 80 + 16, "x");
	put_string_at(w, list + 80, "\"\\");
	expect_labels(w, set, "k=v w;empty=;x=\"\\;");
	put_string_at(w, list + 40 + 16, "stop");
	expect_labels(w, set, "k=v w;stop=;");

	poke(w, list + 40 + 8, 1 << 20); // a string of a megabyte
	poke(w, list + 40, HEAP);
	labels_fail(w, set, GI_ERR_FORMAT, "labels of goroutine 17");
	poke(w, set + 16, 4); // more than its capacity
	labels_fail(w, set, GI_ERR_FORMAT, "4 labels, room for 3");
	labels_fail(w, 0xdead0000, GI_ERR_FAULT, "labels of goroutine 17");
}

enum { ENTRIES = 8, BUCKET_SIZE = 8 + 2 * 8 * 16 + 8 };

static void put_entry(struct world *w, uint64_t bucket, size_t i, const char *key,
		      const char *value)
{
	const uint8_t top = 0x80;

	poke_bytes(w, bucket + i, &top, 1);
	put_string_at(w, bucket + 8 + 16 * i, key);
	put_string_at(w, bucket + 8 + 16 * ENTRIES + 16 * i, value);
}

static void test_label_maps(void **state)
{
	struct world *w = *state;
	struct gi_layout *l = &w->go->layout;
	uint64_t var = alloc(w, 8), map = alloc(w, 48);
	uint64_t buckets = alloc(w, 2 * BUCKET_SIZE), more = alloc(w, BUCKET_SIZE);
	uint64_t old = alloc(w, BUCKET_SIZE);
	const uint8_t moved = 2, b = 1;

	l->hmap.rec = (struct gi_record){48, true};
	l->hmap.count = field(0, 8);
	l->hmap.flags = field(8, 1);
	l->hmap.b = field(9, 1);
	l->hmap.buckets = field(16, 8);
	l->hmap.oldbuckets = field(24, 8);
	l->bmap.rec = (struct gi_record){8, true};
	l->bmap.tophash = (struct gi_field){.off = 0, .size = 8, .ok = true, .count = 8};

	expect_labels(w, var, ""); // a nil map
	poke(w, var, map);
	expect_labels(w, var, "");
	poke(w, map, 4);
	poke_bytes(w, map + 9, &b, 1);
	poke(w, map + 16, buckets);
	put_entry(w, buckets, 3, "a", "1");
	put_entry(w, buckets + BUCKET_SIZE, 0, "b", "2");
	poke(w, buckets + BUCKET_SIZE - 8, more);
	put_entry(w, more, 7, "c", "3");
	expect_labels(w, var, "a=1;c=3;b=2;");

	// While it grows: what was not moved yet is in the old bucket.
	poke(w, map + 24, old);
	put_entry(w, old, 1, "d", "4");
	expect_labels(w, var, "a=1;c=3;b=2;d=4;");
	poke_bytes(w, old, &moved, 1);
	expect_labels(w, var, "a=1;c=3;b=2;");

	// A chain of buckets that leads back.
	poke(w, more + BUCKET_SIZE - 8, more);
	labels_fail(w, var, GI_ERR_FORMAT, "labels of goroutine 17");
	poke_bytes(w, map + 9, "\xff", 1);
	labels_fail(w, var, GI_ERR_FORMAT, "2^255 buckets");
}

// --- versions
// ------------------------------------------------------------------------------

static void test_versions(void **state)
{
	static const struct {
		const char *text;
		bool known;
		int minor, patch;
	} cases[] = {
		{"go1.27.4", true, 27, 4},
		{"go1.26.8 X:nospinbitmutex", true, 26, 8},
		{"go1.28rc1", true, 28, -1},
		{"go1.21", true, 21, -1},
		{"devel go1.28-4f1a2b3c Tue Jan 1", true, 28, -1},
		{"go1.22.3-vendor", true, 22, 3},
		{"devel +4f1a2b3c", false, 0, 0},
		{"go1.", false, 0, 0},
		{"", false, 0, 0},
	};
	struct world *w = *state;
	const struct gi_global g = global(VERSION, 16);

	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		w->go->version = (struct gi_go_version){.text = ""};
		put_string_at(w, VERSION, cases[i].text);
		gi_go_load_version(w->go, &g);
		assert_string_equal(gi_go_version(w->go)->text, cases[i].text);
		assert_int_equal(w->go->version_known, cases[i].known);
		assert_int_equal(gi_go_version(w->go)->minor, cases[i].minor);
		assert_int_equal(gi_go_version(w->go)->patch, cases[i].patch);
	}
	put_string_at(w, VERSION, "go1.2\x1b[31m");
	gi_go_load_version(w->go, &g);
	assert_string_equal(gi_go_version(w->go)->text, "go1.2?[31m");

	w->go->version = (struct gi_go_version){1, 22, 3, ""};
	assert_true(gi_go_at_least(w->go, 1, 22));
	assert_true(gi_go_at_least(w->go, 1, 9));
	assert_false(gi_go_at_least(w->go, 1, 23));
	assert_false(gi_go_at_least(w->go, 2, 0));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_semaphores),
		TEST(test_semaphore_cycles),
		TEST(test_semaphore_damage),
		TEST(test_hchan),
		TEST(test_sync),
		TEST(test_label_lists),
		TEST(test_label_maps),
		TEST(test_versions),
	};

	return cmocka_run_group_tests_name("go records", tests, NULL, NULL);
}
