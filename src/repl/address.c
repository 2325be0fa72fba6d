// Registers of the selected frame, and addresses as a person writes them. The forms that are
// understood are a table: the parser goes by it, and so does the help of all commands that take one.

#include "repl/args.h"
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

static struct gi_error *register_form(struct gi_session *s, const char *text, uint64_t *ret,
				      bool *known)
{
	*known = text[0] == '$';
	return *known ? register_value(s, text + 1, ret) : NULL;
}

static struct gi_error *number_form(struct gi_session *s, const char *text, uint64_t *ret,
				    bool *known)
{
	(void)s;
	*known = isdigit((unsigned char)text[0]);
	return *known ? gi_parse_u64(text, ret) : NULL;
}

static const char *without_ampersand(const char *text)
{
	return text[0] == '&' ? text + 1 : text;
}

static struct gi_error *global_form(struct gi_session *s, const char *text, uint64_t *ret,
				    bool *known)
{
	*known = s->go && gi_go_global(s->go, without_ampersand(text), ret);
	return NULL;
}

static struct gi_error *function_form(struct gi_session *s, const char *text, uint64_t *ret,
				      bool *known)
{
	struct gi_func f;

	*known = s->go &&
		 gi_functab_find_name(gi_go_functab(s->go), without_ampersand(text), &f);
	if (*known)
		*ret = f.entry;
	return NULL;
}

static struct gi_error *path_form(struct gi_session *s, const char *text, uint64_t *ret,
				  bool *known)
{
	*known = false;
	if (!s->go)
		return NULL;
	struct gi_error *err = gi_go_path(s->go, without_ampersand(text), known, ret);
	if (*known)
		return err;
	gi_error_ignore(err);
	return NULL;
}

static const struct {
	const char *example, *what;
	struct gi_error *(*parse)(struct gi_session *s, const char *text, uint64_t *ret,
				  bool *known);
} forms[] = {
	{"0xc000012080", "a number, decimal or hexadecimal", number_form},
	{"$sp", "a register of the selected frame", register_form},
	{"main.a", "a global (&main.a is the same: where it is, not what it holds)", global_form},
	{"main.main", "a function", function_form},
	{"main.srv.conns[3].mu", "a field or element, through pointers, slices and interfaces",
	 path_form},
	{"main.srv.users[\"ann\"].mu", "an entry of a map", path_form},
};

void gi_address_forms(struct gi_str *ret, const char *indent)
{
	gi_str_puts(ret, "ADDR is one of\n");
	for (size_t i = 0; i < GI_ARRAY_SIZE(forms); i++)
		gi_str_printf(ret, "%s%-26s %s\n", indent, forms[i].example, forms[i].what);
	gi_str_puts(ret, "and \"+N\" or \"-N\" after any of these (main.a+8).\n");
}

static struct gi_error *term_value(struct gi_session *s, const char *text, uint64_t *ret)
{
	bool known = false;

	if (!text[0])
		return gi_error_create(GI_ERR_USAGE, "an address is missing");
	for (size_t i = 0; i < GI_ARRAY_SIZE(forms); i++) {
		struct gi_error *err = forms[i].parse(s, text, ret, &known);
		if (err || known)
			return err;
	}
	if (!s->go)
		return gi_error_create(GI_ERR_NOT_FOUND,
				       "\"%s\": no names are known without a Go runtime", text);
	return gi_error_create(
		GI_ERR_NOT_FOUND,
		"\"%s\" is no number, no register ($sp), no global, no field of one and no function (main.main)",
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
