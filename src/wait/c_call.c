// The C functions that a thread is in, and what Go called them for.
//
// cgo makes a Go function _Cfunc_NAME (_C2func_NAME where errno is asked for) of each C function
// that a package calls, and a C function _cgo_HASH_Cfunc_NAME that unpacks the arguments. The first
// has the name of what was called whatever the C compiler inlined. Source: cmd/cgo/out.go, Go 1.18
// to 1.27.

#include "wait/c_call.h"

#include <stdlib.h>
#include <string.h>

#include "gcore/target.h"
#include "wait/pthread.h"

enum { MAX_FRAMES = 4096, MAX_OWN = 32, MAX_LIBRARY = 8, MAX_FUNCTION = 1 << 20 };

struct walk {
	struct gi_target *t;
	struct gi_c_call call;
	bool handler, resumed; // as in pthread_wait.c: in a signal's handler, right behind it
	bool in_go;	       // the C frames are over
	unsigned seen;	       // C frames
	const char *outermost; // of the C frames, cgo's own not among them
	uint64_t own[MAX_OWN]; // pcs of the C frames from call.in on
	size_t own_count;
	bool own_cut;
};

static const char *called_name(const char *go_name)
{
	const char *at = strstr(go_name, "._Cfunc_");

	if (at)
		return at + 8;
	at = strstr(go_name, "._C2func_");
	return at ? at + 9 : NULL;
}

static struct gi_location location_of(const struct gi_frame *f)
{
	return (struct gi_location){
		.pc = f->pc, .function = f->name, .file = f->file, .line = f->line};
}

static void see_c(struct walk *w, const struct gi_frame *f)
{
	const bool library = w->seen < MAX_LIBRARY && gi_pthread_is_waiting_function(f->name);

	if (!w->seen++) {
		struct gi_elf_symbol sym;
		uint64_t bias;
		// The nearest name before it is none for code that has lost its own.
		w->call.innermost = gi_target_symbol_at(w->t, f->lookup_pc, &sym, &bias) &&
						    f->lookup_pc - (sym.value + bias) < sym.size
					    ? f->name
					    : "";
		w->call.module = f->module;
	}
	// What comes before the functions that wait is theirs.
	if (library) {
		w->call.in = (struct gi_location){.function = "", .file = ""};
		w->own_count = 0;
		return;
	}
	if (!w->call.in.pc)
		w->call.in = location_of(f);
	if (!strstr(f->name, "_Cfunc_") || !w->outermost)
		w->outermost = f->name;
	if (w->own_count < MAX_OWN)
		w->own[w->own_count++] = f->lookup_pc;
	else
		w->own_cut = true;
}

static bool see_frame(void *arg, const struct gi_frame *f)
{
	struct walk *w = arg;

	if (f->kind == GI_FRAME_C || f->kind == GI_FRAME_GUESSED) {
		if (w->in_go || (w->handler && !w->resumed && !w->seen))
			return !w->in_go;
		see_c(w, f);
		return true;
	}
	if (f->kind == GI_FRAME_SIGNAL) {
		w->resumed = true;
		return !w->seen;
	}
	if (!w->seen) {
		w->resumed = false;
		return w->handler;
	}
	w->in_go = true;
	const char *name = called_name(f->name);
	if (name) {
		w->call.function = name;
		return true;
	}
	if (gi_function_is_runtime(f->name))
		return true;
	w->call.from = location_of(f);
	return false;
}

static bool walk(struct gi_go *go, struct gi_unwinder *u, size_t thread, struct walk *w)
{
	static const struct gi_location none = {.function = "", .file = ""};
	struct gi_signal_context context;
	struct gi_error *why = NULL, *err;

	*w = (struct walk){.t = gi_go_target(go),
			   .call = {.from = none, .in = none, .function = "", .innermost = ""},
			   .handler = gi_unwind_in_handler(u, thread) ||
				      gi_unwind_signal_in_c(u, thread, &context)};
	err = gi_unwind_thread(u, thread, 0, MAX_FRAMES, see_frame, w, &why);
	gi_error_ignore(err);
	gi_error_ignore(why);
	if (!*w->call.function && w->outermost && w->in_go)
		w->call.function = w->outermost;
	return w->seen > 0;
}

bool gi_g_is_in_c(struct gi_go *go, const struct gi_g *g)
{
	const struct gi_m *m = g->m ? gi_go_m_by_addr(go, g->m) : NULL;

	return !g->unreadable && (g->status & ~(uint32_t)GI_G_SCAN) == GI_G_SYSCALL && m &&
	       (m->incgo || m->ncgo > 0);
}

bool gi_c_call_of(struct gi_go *go, struct gi_unwinder *u, const struct gi_g *g,
		  struct gi_c_call *ret)
{
	struct walk w;

	if (!gi_g_is_in_c(go, g))
		return false;
	if (g->thread && !walk(go, u, g->thread - 1, &w))
		return false; // it has just come back
	if (!g->thread)
		w = (struct walk){.call = {.in = {.function = "", .file = ""},
					   .from = {.function = "", .file = ""},
					   .function = "",
					   .innermost = ""}};
	// The C frames may lead nowhere; the goroutine's own stack is known.
	if (!w.call.from.pc) {
		w.in_go = true;
		w.seen = 1;
		gi_error_ignore(gi_unwind_goroutine(u, g, 0, MAX_FRAMES, see_frame, &w, NULL));
	}
	// A thread that C made has no Go code below.
	if (gi_function_is_runtime(w.call.from.function))
		w.call.from = (struct gi_location){.function = "", .file = ""};
	*ret = w.call;
	return true;
}

bool gi_c_call_of_thread(struct gi_go *go, struct gi_unwinder *u, size_t thread,
			 struct gi_c_call *ret)
{
	struct walk w;

	if (!walk(go, u, thread, &w))
		return false;
	*ret = w.call;
	return true;
}

void gi_c_call_format(const struct gi_c_call *call, struct gi_str *s)
{
	const char *outer = *call->function ? call->function : call->in.function;
	const char *inner = call->innermost;

	// "__GI___poll": glibc's name for itself.
	if (strncmp(inner, "__GI_", 5) == 0)
		inner += 5;
	if (!*outer || strcmp(outer, "?") == 0)
		outer = *inner ? inner : "?";
	gi_str_put_escaped(s, outer, strlen(outer));
	if (*inner && strcmp(inner, "?") != 0 && strcmp(inner, outer) != 0) {
		gi_str_puts(s, ", in ");
		gi_str_put_escaped(s, inner, strlen(inner));
	}
}

// --- what a call may have done before ---------------------------------------------------------

/** cgo's own helpers lock nothing. They are Go assembly, so that a stripped program has their
 * names. */
static bool is_helper(struct gi_go *go, const struct gi_insn *insn)
{
	struct gi_func f;

	return insn->target && gi_functab_find(gi_go_functab(go), insn->target, &f) &&
	       strncmp(f.name, "_cgo_", 5) == 0;
}

/** Has the function at pc called anything before? It may have if it goes back anywhere. */
static bool called_before(struct gi_go *go, struct gi_unwinder *u, const struct gi_insn_arch *arch,
			  uint64_t pc)
{
	uint64_t entry, size;
	bool calls = false, back = false, any = false;

	if (!gi_unwind_c_function(u, pc, &entry, &size) || size > MAX_FUNCTION)
		return false;
	const uint8_t *code = gi_target_view(gi_go_target(go), entry, (size_t)size);
	_cleanup_(gi_freep) struct gi_insn *insns = NULL;
	size_t n = 0;
	struct gi_error *err = code ? arch->decode(code, (size_t)size, entry, &insns, &n) : NULL;
	if (err || !code) {
		gi_error_ignore(err);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const uint64_t at = entry + insns[i].off;
		const bool jump = insns[i].op == GI_OP_JMP || insns[i].op == GI_OP_JCC;

		if (jump && insns[i].target && insns[i].target <= at && insns[i].target >= entry)
			back = true;
		if (insns[i].op != GI_OP_CALL || is_helper(go, &insns[i]))
			continue;
		any = true;
		// The lookup pc is in the call that has not returned.
		if (at + insns[i].len <= pc)
			calls = true;
	}
	return calls || (back && any);
}

bool gi_c_call_may_have_locked(struct gi_go *go, struct gi_unwinder *u, const struct gi_g *g)
{
	const struct gi_insn_arch *arch = gi_insn_arch_of(gi_target_arch(gi_go_target(go)));
	struct walk w;

	if (!arch || !g->thread || !walk(go, u, g->thread - 1, &w))
		return false;
	bool before = w.own_cut;
	for (size_t i = 0; i < w.own_count && !before; i++)
		before = called_before(go, u, arch, w.own[i]);
	return before;
}
