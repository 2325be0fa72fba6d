// System calls in words: "futex(0xc000032d48, wait): m.park of M 3: it has nothing to run".

#include "gcore/sched.h"
#include "gcore/syscall.h"
#include "report/frame.h"
#include "report/goroutines.h"
#include "report/syscall.h"

#include <string.h>

enum { FUTEX_COMMANDS = 0x7f, FUTEX_REALTIME = 0x100, NS = 1000000000 };

static const char *futex_operation(uint64_t op)
{
	static const char *const names[] = {
		"wait",	    "wake",	   "fd",	  "requeue",	     "cmp_requeue",
		"wake_op",  "lock_pi",	   "unlock_pi",	  "trylock_pi",	     "wait_bitset",
		"wake_bitset", "wait_requeue_pi", "cmp_requeue_pi", "lock_pi2",
	};

	op &= FUTEX_COMMANDS;
	return op < GI_ARRAY_SIZE(names) ? names[op] : "?";
}

static bool is_wait(uint64_t op)
{
	op &= FUTEX_COMMANDS;
	return op == 0 || op == 6 || op == 9 || op == 11 || op == 13;
}

static void put_timespec(struct gi_target *t, uint64_t addr, bool moment, struct gi_str *s)
{
	uint64_t sec, ns;

	if (!addr) {
		gi_str_puts(s, moment ? "no time limit" : "for ever");
		return;
	}
	if (!gi_target_peek_u64(t, addr, &sec) || !gi_target_peek_u64(t, addr + 8, &ns) ||
	    ns >= NS || sec > INT64_MAX / NS) {
		gi_str_printf(s, "0x%" PRIx64, addr);
		return;
	}
	if (moment)
		gi_str_printf(s, "until %" PRIu64 ".%09" PRIu64, sec, ns);
	else
		gi_duration_format(s, sec * NS + ns);
}

static void put_arg(struct gi_target *t, const struct gi_syscall *call, size_t i, char kind,
		    struct gi_str *s)
{
	const uint64_t v = call->args[i];

	if (!(call->known >> i & 1)) {
		gi_str_puts(s, "?");
		return;
	}
	switch (kind) {
	case 'd':
		gi_str_printf(s, "fd %" PRId32, (int32_t)v);
		return;
	case 'n':
		gi_str_printf(s, "%" PRId64, (int64_t)v);
		return;
	case 'i':
	case 'w':
		gi_str_printf(s, "%" PRId32, (int32_t)v);
		return;
	case 's':
		gi_signal_format((int)v, s);
		return;
	case 'm':
		if ((int32_t)v < 0)
			gi_str_puts(s, "for ever");
		else
			gi_duration_format(s, (v & UINT32_MAX) * 1000000);
		return;
	case 't':
	case 'T':
		put_timespec(t, v, kind == 'T', s);
		return;
	case 'f':
		gi_str_puts(s, futex_operation(v));
		return;
	default:
		gi_str_printf(s, v < 10 ? "%" PRIu64 : "0x%" PRIx64, v);
	}
}

static void put_futex(struct gi_target *t, struct gi_go *go, const struct gi_syscall *call,
		      const struct gi_pthread_wait *waits, struct gi_str *s)
{
	const uint64_t op = call->args[1];
	const bool operation = call->known >> 1 & 1, word = call->known & 1;

	gi_str_puts(s, "futex(");
	put_arg(t, call, 0, 'p', s);
	gi_str_puts(s, ", ");
	put_arg(t, call, 1, 'f', s);
	if (operation && is_wait(op) && (call->known >> 3 & 1) && call->args[3]) {
		gi_str_puts(s, ", ");
		// wait takes an interval, the others a moment.
		put_timespec(t, call->args[3], (op & FUTEX_COMMANDS) != 0, s);
	}
	gi_str_puts(s, ")");
	if (waits) {
		gi_str_puts(s, ": ");
		gi_pthread_wait_format(go, waits, s);
	} else if (go && word && operation && is_wait(op)) {
		_cleanup_(gi_str_deinit) struct gi_str name = {0};

		if (gi_go_futex_name(go, call->args[0], &name))
			gi_str_printf(s, ": %s", gi_str_cstr(&name));
	}
}

void gi_syscall_format(struct gi_target *t, struct gi_go *go, const struct gi_syscall *call,
		       const struct gi_pthread_wait *waits, struct gi_str *s)
{
	if (call->nr < 0) {
		gi_str_puts(s, "a system call whose number is lost");
		return;
	}
	if (!call->name) {
		gi_str_printf(s, "system call %" PRId64, call->nr);
		return;
	}
	if (strcmp(call->name, "futex") == 0) {
		put_futex(t, go, call, waits, s);
		return;
	}
	gi_str_printf(s, "%s(", call->name);
	for (size_t i = 0; call->arg_kinds[i] && i < GI_SYSCALL_ARGS; i++) {
		if (i)
			gi_str_puts(s, ", ");
		put_arg(t, call, i, call->arg_kinds[i], s);
	}
	gi_str_puts(s, ")");
}

bool gi_thread_syscall(struct gi_target *t, struct gi_unwinder *u, size_t thread,
		       struct gi_syscall *ret, bool *broken_off_ret)
{
	if (u)
		return gi_unwind_syscall(u, thread, ret, broken_off_ret);
	*broken_off_ret = false;
	return gi_syscall_from_regs(t, &gi_target_thread(t, thread)->regs, false, ret);
}

void gi_json_pthread_wait(struct gi_out *out, struct gi_go *go, const struct gi_pthread_wait *w)
{
	_cleanup_(gi_str_deinit) struct gi_str text = {0};
	const struct gi_g *g = w->owner ? gi_thread_goroutine(go, w->owner - 1) : NULL;

	gi_pthread_wait_format(go, w, &text);
	gi_json_object(out, "waits_for");
	gi_json_str(out, "kind", gi_pthread_kind_name(w->kind));
	gi_json_hex_or_null(out, "addr", w->addr, w->addr);
	gi_json_str(out, "text", gi_str_cstr(&text));
	gi_json_i64_or_null(out, "thread", w->owner,
			    w->owner ? gi_target_thread(gi_go_target(go), w->owner - 1)->tid : 0);
	gi_json_u64_or_null(out, "goroutine", g != NULL, g ? g->goid : 0);
	gi_json_bool(out, "settled", w->settled);
	gi_json_close(out);
}
