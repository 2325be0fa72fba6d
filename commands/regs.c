// regs: print the registers of the selected frame.

#include "gcore/command.h"

static struct gi_error *regs_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	struct gi_regs regs;
	struct gi_error *err = gi_session_regs(s, &regs);
	if (err)
		return err;
	const struct gi_g *g = gi_session_goroutine(s);
	size_t thread;
	gi_json_begin(out, "registers");
	if (g)
		gi_json_u64(out, "goroutine", g->goid);
	else
		gi_json_null(out, "goroutine");
	if (gi_session_thread(s, &thread))
		gi_json_i64(out, "thread", gi_target_thread(gi_session_target(s), thread)->tid);
	else
		gi_json_null(out, "thread");
	gi_json_u64(out, "frame", gi_session_frame(s));
	gi_json_object(out, "values");
	size_t unknown = 0;
	for (size_t i = 0; gi_reg_name(regs.arch, i); i++) {
		const char *name = gi_reg_name(regs.arch, i);
		if (!(regs.known >> i & 1)) {
			gi_json_null(out, name);
			unknown++;
			continue;
		}
		gi_json_hex(out, name, regs.r[i]);
		gi_out_printf(out, "%8s = 0x%016" PRIx64 "\n", name, regs.r[i]);
	}
	gi_json_close(out);
	gi_json_end(out);
	if (unknown)
		gi_out_printf(out, "%zu other register%s not known in this frame\n", unknown,
			      unknown == 1 ? " is" : "s are");
	return NULL;
}

const struct gi_command gi_cmd_regs = {
	.name = "regs",
	.aliases = (const char *const[]){"registers", NULL},
	.group = GI_GROUP_DATA,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_FRAME,
	.synopsis = "regs",
	.summary = "print the registers of the selected frame",
	.help = "Of a goroutine that is not running, and of frames further out, only those registers\n"
		"are known that calls keep: pc, sp and, as a rule, the frame pointer.\n",
	.run = regs_run,
};
