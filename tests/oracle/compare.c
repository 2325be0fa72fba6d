// compare: is the traceback that we print of a core the one that the runtime printed?
//
//	compare [--threads] [--loaded] RUNTIME OURS
//
// Theory. With GOTRACEBACK=crash a dying Go program prints one block for each goroutine
// (a header "goroutine 18 [chan receive]:", frames of two lines each, "created by ...").
// The goroutine of the thread that prints comes first. Then, each behind a line "-----",
// every other thread prints what it was doing itself, from its signal handler: its own
// stack ("goroutine 0") or the goroutine it ran, and its registers. The core is written
// after that (runtime/signal_unix.go sighandler, panic.go dopanic_m, traceback.go).
//
// Both texts are cut into blocks, keyed by goroutine ID. Goroutine 0 is one for each
// thread: its key is the M's number, from the header or from the "PC=0x... m=3" line
// before it. Each block of the runtime must be equal to our block of that key, line by
// line, and no block may be missing or too many. What may differ:
//
// 1. The printing thread went on from printing to dying. The runtime's frames of its
//    goroutine must be the outer end of ours; ours may have more at the inner end.
// 2. "goroutine running on other thread; stack unavailable": a later section has the
//    stack of that goroutine, and that one is compared. If none has, ours stands, and
//    where the runtime's text has such sections, so does our status: that goroutine was
//    off its thread by the time of the thread's section.
// 3. Threads' own stacks (goroutine 0), when our text has none at all: they are counted
//    as not shown. With --threads that is a failure too.
// 4. With --loaded, the program was at work: what waited for the network, a system call or
//    the scavenger's turn may be runnable by the time of the core. One that catches SIGQUIT
//    itself, so that there are no sections, wakes some of its goroutines to do that.
// 5. A collector's worker counts as waiting while it marks on its thread's own stack. While
//    that thread reads the clock, the runtime shows the worker's stack from there
//    (traceback.go goes by m.vdsoSP). The thread goes on between the text and the core.
//
// The last line printed is the count; exit 0 equal, 1 not, 2 trouble.

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_MOVED_ON = 64, // frames that the printing thread may have added
	NO_M = -1,
};

struct line {
	const char *s;
	size_t n;
};

struct block {
	struct line header;
	uint64_t goid; // 0: a thread's own stack
	long m;	       // of goroutine 0, NO_M if the text does not say
	unsigned section;
	size_t first, count; // its lines, without the header
	bool used;
	bool printing; // the goroutine of the thread that printed the trace
	size_t next;   // block with the same hash + 1
};

struct text {
	const char *path, *s;
	size_t n;
	struct line *lines;
	size_t lines_len, lines_cap;
	struct block *blocks;
	size_t blocks_len, blocks_cap;
	size_t *buckets, buckets_len;
};

static struct {
	uint64_t goroutines, threads, not_shown, frames, differ;
} count;

static bool loaded;
static bool catches_quit; // see 4

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("compare: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void *grow(void *p, size_t len, size_t *cap, size_t size)
{
	if (len < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 256;
	p = reallocarray(p, *cap, size);
	if (!p)
		die("out of memory");
	return p;
}

static bool line_eq(struct line a, struct line b)
{
	return a.n == b.n && memcmp(a.s, b.s, a.n) == 0;
}

static bool starts(struct line l, const char *with)
{
	size_t n = strlen(with);

	return l.n >= n && memcmp(l.s, with, n) == 0;
}

static bool line_is(struct line l, const char *s)
{
	return l.n == strlen(s) && memcmp(l.s, s, l.n) == 0;
}

/** The number after the first what in the line, false if there is none. */
static bool number_after(struct line l, const char *what, uint64_t *ret)
{
	const char *p = memmem(l.s, l.n, what, strlen(what));
	const char *end = l.s + l.n;
	uint64_t v = 0;

	if (!p)
		return false;
	p += strlen(what);
	if (p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*ret = v;
	return true;
}

/** "goroutine 18 [chan receive]:" or "goroutine 18 gp=... [...] {labels}:". */
static bool is_header(struct line l, uint64_t *goid_ret)
{
	return starts(l, "goroutine ") && l.s[l.n - 1] == ':' && memchr(l.s, '[', l.n) &&
	       number_after(l, "goroutine ", goid_ret);
}

/** A line of the register dump: a short name, spaces, 0x... */
static bool is_register(struct line l)
{
	size_t i = 0;

	while (i < l.n && i < 8 &&
	       ((l.s[i] >= 'a' && l.s[i] <= 'z') || (l.s[i] >= '0' && l.s[i] <= '9')))
		i++;
	if (i < 2 || i >= l.n || l.s[i] != ' ')
		return false;
	while (i < l.n && l.s[i] == ' ')
		i++;
	return l.n - i > 2 && memcmp(l.s + i, "0x", 2) == 0 && !memchr(l.s + i, ' ', l.n - i);
}

/** "runtime: g 0: unknown pc 0x...", and what the runtime shows of the stack after it. */
static bool is_complaint(struct line l)
{
	if (starts(l, "runtime: g") || starts(l, "stack: frame={"))
		return true;
	// A row of the dump: "0x00007fcd225ed940:  0x...".
	return l.n > 19 && starts(l, "0x") && l.s[18] == ':' && l.s[19] == ' ';
}

static struct block *block_add(struct text *t, struct line header, uint64_t goid, long m,
			       unsigned section)
{
	t->blocks = grow(t->blocks, t->blocks_len, &t->blocks_cap, sizeof(*t->blocks));
	struct block *b = &t->blocks[t->blocks_len++];

	*b = (struct block){
		.header = header,
		.goid = goid,
		.m = m,
		.section = section,
		.first = t->lines_len,
	};
	return b;
}

/** Cuts the text into blocks. What is in none of them is no part of a traceback. */
static void text_parse(struct text *t)
{
	struct block *block = NULL;
	unsigned section = 0;
	long m = NO_M;

	for (size_t at = 0; at < t->n;) {
		const char *nl = memchr(t->s + at, '\n', t->n - at);
		struct line l = { t->s + at, nl ? (size_t)(nl - t->s) - at : t->n - at };
		uint64_t v, goid;

		at += l.n + 1;
		if (l.n > 0 && l.s[l.n - 1] == '\r')
			l.n--;

		if (l.n == 0 || is_register(l)) {
			block = NULL;
		} else if (line_is(l, "-----")) {
			block = NULL;
			section++;
			m = NO_M;
		} else if (is_header(l, &goid)) {
			// Later releases say in the header which M it is.
			if (number_after(l, " m=", &v))
				m = (long)v;
			block = block_add(t, l, goid, goid == 0 ? m : NO_M, section);
		} else if (line_is(l, "runtime stack:")) {
			block = block_add(t, l, 0, m, section);
		} else if (block && is_complaint(l)) {
			continue;
		} else if (block) {
			t->lines = grow(t->lines, t->lines_len, &t->lines_cap,
					sizeof(*t->lines));
			t->lines[t->lines_len++] = l;
			block->count++;
		} else if (starts(l, "PC=") && number_after(l, " m=", &v)) {
			m = (long)v;
		}
	}
}

static size_t key_hash(const struct text *t, uint64_t goid, long m)
{
	return (goid * 31 + (uint64_t)m * 7 + 1) % t->buckets_len;
}

static void text_index(struct text *t)
{
	t->buckets_len = t->blocks_len * 2 + 1;
	t->buckets = calloc(t->buckets_len, sizeof(*t->buckets));
	if (!t->buckets)
		die("out of memory");
	// From the end, so that a chain has the blocks in the text's order.
	for (size_t i = t->blocks_len; i-- > 0;) {
		size_t *bucket = &t->buckets[key_hash(t, t->blocks[i].goid, t->blocks[i].m)];

		t->blocks[i].next = *bucket;
		*bucket = i + 1;
	}
}

/** The next block of the same key after b, or the first one if b is NULL. */
static struct block *text_find(const struct text *t, const struct block *b, uint64_t goid,
			       long m)
{
	size_t i = b ? b->next : t->buckets[key_hash(t, goid, m)];

	for (; i != 0; i = t->blocks[i - 1].next) {
		struct block *found = &t->blocks[i - 1];

		if (found->goid == goid && found->m == m)
			return found;
	}
	return NULL;
}

static void text_open(struct text *t, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		die("%s: %s", path, strerror(errno));
	*t = (struct text){ .path = path, .n = (size_t)st.st_size };
	if (t->n > 0) {
		void *p = mmap(NULL, t->n, PROT_READ, MAP_PRIVATE, fd, 0);

		if (p == MAP_FAILED)
			die("%s: %s", path, strerror(errno));
		t->s = p;
	}
	close(fd);
	text_parse(t);
	text_index(t);
}

static void text_close(struct text *t)
{
	if (t->n > 0)
		munmap((void *)t->s, t->n);
	free(t->lines);
	free(t->blocks);
	free(t->buckets);
}

static struct line block_line(const struct text *t, const struct block *b, size_t i)
{
	return t->lines[b->first + i];
}

static bool is_unavailable(const struct text *t, const struct block *b)
{
	return b->count > 0 &&
	       line_is(block_line(t, b, 0),
		       "\tgoroutine running on other thread; stack unavailable");
}

// --- saying what differs --------------------------------------------------------

static void show(char mark, struct line l)
{
	printf("%c %.*s\n", mark, (int)l.n, l.s);
	count.differ++;
}

static void show_block(char mark, const struct text *t, const struct block *b)
{
	show(mark, b->header);
	for (size_t i = 0; i < b->count; i++)
		show(mark, block_line(t, b, i));
}

/** Every line that is only in one of the two, by their longest common subsequence. */
static void show_difference(const struct text *ta, const struct block *a,
			    const struct text *tb, const struct block *b)
{
	size_t n = a->count, m = b->count, i = 0, j = 0;
	uint16_t *lcs;

	printf("%.*s\n", (int)a->header.n, a->header.s);
	if (!line_eq(a->header, b->header)) {
		show('-', a->header);
		show('+', b->header);
	}
	if (n > 4096 || m > 4096) {
		show_block('-', ta, a);
		show_block('+', tb, b);
		return;
	}
	lcs = calloc((n + 1) * (m + 1), sizeof(*lcs));
	if (!lcs)
		die("out of memory");
#define LCS(x, y) lcs[(x) * (m + 1) + (y)]
	for (i = n; i-- > 0;) {
		for (j = m; j-- > 0;) {
			uint16_t down = LCS(i + 1, j), right = LCS(i, j + 1);

			if (line_eq(block_line(ta, a, i), block_line(tb, b, j)))
				LCS(i, j) = (uint16_t)(LCS(i + 1, j + 1) + 1);
			else
				LCS(i, j) = down > right ? down : right;
		}
	}
	for (i = j = 0; i < n || j < m;) {
		if (i < n && j < m && line_eq(block_line(ta, a, i), block_line(tb, b, j))) {
			i++;
			j++;
		} else if (j == m || (i < n && LCS(i + 1, j) >= LCS(i, j + 1))) {
			show('-', block_line(ta, a, i++));
		} else {
			show('+', block_line(tb, b, j++));
		}
	}
#undef LCS
	free(lcs);
}

// --- comparing --------------------------------------------------------------------

/** "...5 frames elided..." or "...additional frames elided..."; *ret is 0 for the latter. */
static bool is_elision(struct line l, uint64_t *ret)
{
	*ret = 0;
	if (line_is(l, "...additional frames elided..."))
		return true;
	return starts(l, "...") && memmem(l.s, l.n, "elided...", 9) &&
	       number_after(l, "...", ret);
}

static bool same_lines(const struct text *ta, const struct block *a, size_t from_a,
		       const struct text *tb, const struct block *b, size_t from_b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!line_eq(block_line(ta, a, from_a + i), block_line(tb, b, from_b + i)))
			return false;
	return true;
}

static size_t find_elision(const struct text *t, const struct block *b, uint64_t *ret)
{
	for (size_t i = 0; i < b->count; i++)
		if (is_elision(block_line(t, b, i), ret))
			return i;
	return b->count;
}

/**
 * Is the runtime's stack the outer end of ours? Ours may begin with up to MAX_MOVED_ON
 * more frames. Where the runtime left out frames in the middle, the frames before
 * that stand further down in ours, and more of them are left out.
 */
static bool is_outer_end(const struct text *tr, const struct block *r, const struct text *to,
			 const struct block *o)
{
	uint64_t r_elided, o_elided;
	size_t r_cut = find_elision(tr, r, &r_elided), o_cut = find_elision(to, o, &o_elided);

	for (size_t extra = 0; extra <= MAX_MOVED_ON; extra++) {
		size_t skip = extra * 2; // two lines a frame

		if (r_cut == r->count && o_cut == o->count) {
			if (o->count == r->count + skip &&
			    same_lines(tr, r, 0, to, o, skip, r->count))
				return true;
			continue;
		}
		// From here on ours is cut: head, the elision, tail.
		if (o_cut == o->count || skip > o_cut)
			continue;
		size_t head = o_cut - skip, tail = o->count - o_cut - 1;

		if (r_cut == r->count) {
			// Only with the added frames it became too long to print.
			bool sum = o_elided == 0 ? r->count > head + tail
						 : r->count == head + 2 * o_elided + tail;

			if (sum && same_lines(tr, r, 0, to, o, skip, head) &&
			    same_lines(tr, r, r->count - tail, to, o, o_cut + 1, tail))
				return true;
			continue;
		}
		if (head <= r_cut && tail == r->count - r_cut - 1 &&
		    (r_elided == 0 ? o_elided == 0 : o_elided == r_elided + extra) &&
		    same_lines(tr, r, 0, to, o, skip, head) &&
		    same_lines(tr, r, r_cut + 1, to, o, o_cut + 1, tail))
			return true;
	}
	return false;
}

static void count_frames(const struct text *t, const struct block *b)
{
	for (size_t i = 1; i < b->count; i++) {
		struct line l = block_line(t, b, i);

		if (l.n > 0 && l.s[0] == '\t' && !starts(block_line(t, b, i - 1), "created by "))
			count.frames++;
	}
}

/** "goroutine 18 gp=0xc000..." or "goroutine 18": what stays while it goes on. */
static size_t identity_len(struct line header)
{
	const char *end = memchr(header.s, '[', header.n);
	const char *m = memmem(header.s, header.n, " m=", 3);

	if (m && m < end)
		end = m;
	return (size_t)(end - header.s);
}

/**
 * The runtime could not see the stack of a goroutine that ran on another thread, and
 * that thread did not run it any more when it printed its own section. What is known
 * for sure is who the goroutine is and who created it.
 */
static bool may_be_unseen(const struct text *tr, const struct block *r, const struct text *to,
			  const struct block *o)
{
	size_t n = r->count - 1, id = identity_len(r->header);
	bool sections = tr->blocks[tr->blocks_len - 1].section > 0;

	if (!line_eq(r->header, o->header) &&
	    !(sections && id == identity_len(o->header) &&
	      memcmp(r->header.s, o->header.s, id) == 0))
		return false;
	return o->count >= n && same_lines(tr, r, 1, to, o, o->count - n, n);
}

/** Was it made runnable after the runtime printed it? See 4 of the theory. */
static bool was_woken(const struct block *r, const struct block *o)
{
	size_t id = identity_len(r->header);
	size_t n = o->header.n - id;
	const char *end = memchr(r->header.s, '[', r->header.n);
	struct line was = { end, r->header.n - (size_t)(end - r->header.s) };

	if (!loaded || r->goid == 0 || id != identity_len(o->header) ||
	    memcmp(r->header.s, o->header.s, id) != 0)
		return false;
	if (!starts(was, "[IO wait") && !starts(was, "[syscall") &&
	    !starts(was, "[GC scavenge wait") &&
	    !(catches_quit && (starts(was, "[chan receive") || starts(was, "[select"))))
		return false;
	return memmem(o->header.s + id, n, "[runnable", 9) != NULL;
}

/** The goroutine of package os/signal that hands out signals, of a program at it. */
static bool hands_out_signals(const struct text *t, const struct block *b)
{
	for (size_t i = 0; catches_quit && i < b->count; i++)
		if (starts(block_line(t, b, i), "os/signal.loop("))
			return true;
	return false;
}

static bool is_clock(struct line l)
{
	return starts(l, "runtime.nanotime") || starts(l, "runtime.walltime") ||
	       starts(l, "time.now(");
}

/** Is a at the clock, on its thread's own stack, and b the same off it? See 5 of the theory. */
static bool at_the_clock(const struct text *ta, const struct block *a, const struct text *tb,
			 const struct block *b)
{
	const size_t created = 2;

	return a->count >= created + 4 && b->count >= created + 2 &&
	       is_clock(block_line(ta, a, 0)) &&
	       starts(block_line(ta, a, a->count - created - 2), "runtime.systemstack(") &&
	       starts(block_line(tb, b, 0), "runtime.systemstack_switch(") &&
	       starts(block_line(ta, a, a->count - created), "created by ") &&
	       same_lines(ta, a, a->count - created, tb, b, b->count - created, created);
}

/** Our block of that key; the one with a stack, if there are several. */
static struct block *find_ours(const struct text *to, uint64_t goid, long m)
{
	struct block *first = text_find(to, NULL, goid, m), *b = first;

	while (b && is_unavailable(to, b))
		b = text_find(to, b, goid, m);
	return b ? b : first;
}

/** Compares a block of the runtime with ours of the same key. */
static void compare_blocks(const struct text *tr, const struct block *r,
			   const struct text *to, const struct block *o)
{
	bool same_header = line_eq(r->header, o->header);

	// A thread's own stack has another title where the runtime throws on it.
	if (r->goid == 0 && line_is(r->header, "runtime stack:"))
		same_header = true;
	if (!same_header && was_woken(r, o))
		same_header = true;
	if (same_header && r->count == o->count && same_lines(tr, r, 0, to, o, 0, r->count)) {
		count_frames(tr, r);
	} else if (same_header && r->printing && is_outer_end(tr, r, to, o)) {
		count_frames(tr, r);
	} else if (hands_out_signals(tr, r) && hands_out_signals(to, o)) {
		count_frames(tr, r);
	} else if (same_header && r->section == 0 &&
		   (at_the_clock(tr, r, to, o) || at_the_clock(to, o, tr, r))) {
		count_frames(tr, r);
	} else if (!is_unavailable(tr, r) || !may_be_unseen(tr, r, to, o)) {
		show_difference(tr, r, to, o);
	}
}

/** Does a later section tell the stack that this block could not? */
static bool told_later(const struct text *t, const struct block *b)
{
	if (!is_unavailable(t, b))
		return false;
	for (const struct block *l = text_find(t, b, b->goid, b->m); l;
	     l = text_find(t, l, b->goid, b->m))
		if (!is_unavailable(t, l))
			return line_eq(b->header, l->header);
	return false;
}

/** Goroutines stand in the order of the runtime's list, but for the printing one. */
static void compare_order(const struct text *tr, const struct text *to)
{
	size_t at = 0;

	for (size_t i = 0; i < tr->blocks_len; i++) {
		const struct block *r = &tr->blocks[i];

		if (r->section != 0 || r->goid == 0 || r->printing)
			continue;
		const struct block *o = text_find(to, NULL, r->goid, r->m);

		if (!o)
			continue;
		if ((size_t)(o - to->blocks) < at) {
			printf("out of order in %s:\n", to->path);
			show('+', o->header);
			return;
		}
		at = (size_t)(o - to->blocks);
	}
}

static void compare(struct text *tr, struct text *to, bool need_threads)
{
	bool have_threads = false;
	bool sections = tr->blocks[tr->blocks_len - 1].section > 0;

	for (size_t i = 0; i < to->blocks_len; i++)
		if (to->blocks[i].goid == 0)
			have_threads = true;
	tr->blocks[0].printing = true;
	catches_quit = loaded && !sections;

	for (size_t i = 0; i < tr->blocks_len; i++) {
		struct block *r = &tr->blocks[i];
		struct block *o = find_ours(to, r->goid, r->m);

		if (r->goid == 0 && !have_threads && !need_threads) {
			count.not_shown++;
			continue;
		}
		if (!o) {
			printf("missing in %s:\n", to->path);
			show_block('-', tr, r);
			continue;
		}
		if (!o->used) {
			if (r->goid == 0)
				count.threads++;
			else
				count.goroutines++;
		}
		o->used = true;
		if (!told_later(tr, r))
			compare_blocks(tr, r, to, o);
		// Where ours tells a goroutine twice, as the runtime does for those in
		// threads, it must tell the same.
		for (struct block *again = text_find(to, NULL, r->goid, r->m); again;
		     again = text_find(to, again, r->goid, r->m)) {
			if (!again->used && !is_unavailable(to, again) &&
			    !(line_eq(again->header, o->header) && again->count == o->count &&
			      same_lines(to, again, 0, to, o, 0, o->count)))
				show_difference(to, o, to, again);
			again->used = true;
		}
	}
	for (size_t i = 0; i < to->blocks_len; i++) {
		if (!to->blocks[i].used && catches_quit && to->blocks[i].goid == 0) {
			count.not_shown++;
		} else if (!to->blocks[i].used) {
			printf("not in %s:\n", tr->path);
			show_block('+', to, &to->blocks[i]);
		}
	}
	compare_order(tr, to);
}

int main(int argc, char **argv)
{
	bool need_threads = false;
	struct text runtime, ours;

	for (; argc > 1 && starts((struct line){ argv[1], strlen(argv[1]) }, "--"); argc--, argv++) {
		if (strcmp(argv[1], "--threads") == 0)
			need_threads = true;
		else if (strcmp(argv[1], "--loaded") == 0)
			loaded = true;
		else
			die("unknown option %s", argv[1]);
	}
	if (argc != 3) {
		fputs("usage: compare [--threads] [--loaded] RUNTIME OURS\n", stderr);
		return 2;
	}
	text_open(&runtime, argv[1]);
	text_open(&ours, argv[2]);
	// An empty comparison proves nothing.
	if (runtime.blocks_len == 0)
		die("%s: there is no traceback in it", argv[1]);

	compare(&runtime, &ours, need_threads);
	printf("%llu goroutines, %llu thread stacks (%llu not shown), %llu frames compared, "
	       "%llu lines differ\n",
	       (unsigned long long)count.goroutines, (unsigned long long)count.threads,
	       (unsigned long long)count.not_shown, (unsigned long long)count.frames,
	       (unsigned long long)count.differ);
	text_close(&runtime);
	text_close(&ours);
	if (fflush(stdout) != 0 || ferror(stdout))
		die("cannot write: %s", strerror(errno));
	return count.differ == 0 ? 0 : 1;
}
