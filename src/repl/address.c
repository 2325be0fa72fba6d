// Registers of the selected frame, and addresses as a person writes them:
// a number, $register, a global or a function, and "+N" or "-N" after any of them.

#include "repl/session_impl.h"

#include <ctype.h>
#include <string.h>

struct frame_regs {
	size_t want, i;
	bool found;
	struct gi_regs regs;
};

static bool take_regs(void *arg, const struct gi_frame *frame)
{
	struct frame_regs *f = arg;
	if (f->i++ < f->want)
		return true;
	f->found = true;
	if (frame->regs)
		f->regs = *frame->regs;
	const struct gi_machine *machine = gi_machine(f->regs.arch);
	gi_regs_set(&f->regs, machine->pc, frame->pc);
	gi_regs_set(&f->regs, machine->sp, frame->sp);
	return false;
}

struct gi_error *gi_session_regs(struct gi_session *s, struct gi_regs *ret)
{
	struct frame_regs f = {.want = s->frame};
	f.regs.arch = gi_target_arch(s->target);
	_cleanup_(gi_error_freep) struct gi_error *why = NULL;
	struct gi_error *err;
	size_t thread;
	if (!s->unwinder || !s->frame) {
		// The innermost frame of a thread needs no unwinding.
		if (gi_session_thread(s, &thread) && (s->by_thread || !s->unwinder)) {
			*ret = gi_target_thread(s->target, thread)->regs;
			return NULL;
		}
	}
	if (!s->by_thread && s->g)
		err = gi_unwind_goroutine(s->unwinder, s->g, gi_session_unwind_flags(s), s->frame + 1,
					  take_regs, &f, &why);
	else if (gi_session_thread(s, &thread) && s->unwinder)
		err = gi_unwind_thread(s->unwinder, thread, GI_UNWIND_FULL_THREAD, s->frame + 1,
				       take_regs, &f, &why);
	else
		err = gi_error_create(GI_ERR_NOT_FOUND, "no goroutine or thread is selected");
	if (err)
		return err;
	if (!f.found)
		return gi_error_create(GI_ERR_NOT_FOUND, "there is no frame %zu", s->frame);
	*ret = f.regs;
	return NULL;
}

static struct gi_error *register_value(struct gi_session *s, const char *name, uint64_t *ret)
{
	struct gi_regs regs;
	struct gi_error *err = gi_session_regs(s, &regs);
	if (err)
		return err;
	unsigned i = gi_reg_by_name(regs.arch, name);
	if (i == GI_NO_REG)
		return gi_error_create(GI_ERR_USAGE, "there is no register $%s (see \"regs\")",
				       name);
	if (!gi_regs_has(&regs, i))
		return gi_error_create(GI_ERR_NOT_FOUND, "$%s is not known in this frame", name);
	*ret = regs.r[i];
	return NULL;
}

static struct gi_error *term_value(struct gi_session *s, const char *text, uint64_t *ret)
{
	if (text[0] == '$')
		return register_value(s, text + 1, ret);
	if (isdigit((unsigned char)text[0]))
		return gi_parse_u64(text, ret);
	if (!text[0])
		return gi_error_create(GI_ERR_USAGE, "an address is missing");
	if (!s->go)
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "\"%s\": no names are known without a Go runtime", text);
	if (text[0] == '&')
		text++;
	struct gi_func f;
	if (gi_go_global(s->go, text, ret))
		return NULL;
	if (gi_functab_find_name(gi_go_functab(s->go), text, &f)) {
		*ret = f.entry;
		return NULL;
	}
	return gi_error_create(
		GI_ERR_NOT_FOUND,
		"\"%s\" is no number, no register ($sp), no global and no function (main.main)",
		text);
}

struct gi_error *gi_session_address(struct gi_session *s, const char *text, uint64_t *ret)
{
	// "+N" and "-N" from the right; a name may hold a dash (a package path) but then no
	// number follows it.
	size_t len = strlen(text), cut = len;
	while (cut > 1 && text[cut - 1] != '+' && text[cut - 1] != '-')
		cut--;
	if (cut > 1) {
		uint64_t base, n;
		struct gi_error *err = gi_parse_u64(text + cut, &n);
		if (!err) {
			_cleanup_(gi_str_deinit) struct gi_str left = {0};
			gi_str_putn(&left, text, cut - 1);
			if (left.oom)
				return gi_error_nomem();
			err = gi_session_address(s, gi_str_cstr(&left), &base);
			if (err)
				return err;
			*ret = text[cut - 1] == '+' ? base + n : base - n;
			return NULL;
		}
		gi_error_ignore(err);
	}
	return term_value(s, text, ret);
}
