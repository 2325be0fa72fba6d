// bt: print the call stack of the selected goroutine or thread.

#include "gcore/command.h"

enum { BT_DEFAULT_DEPTH = 50, BT_MAX_DEPTH = GI_UNWIND_MAX };

static void begin_record(struct gi_session *s, struct gi_out *out)
{
	const struct gi_g *g = gi_session_goroutine(s);
	size_t thread;
	gi_json_begin(out, "stack");
	if (g)
		gi_json_u64(out, "goroutine", g->goid);
	else
		gi_json_null(out, "goroutine");
	if (gi_session_thread(s, &thread))
		gi_json_i64(out, "thread", gi_target_thread(gi_session_target(s), thread)->tid);
	else
		gi_json_null(out, "thread");
	gi_json_array(out, "frames");
}

static struct gi_error *bt_run(struct gi_session *s, const struct gi_args *args, struct gi_out *out)
{
	uint64_t depth;
	struct gi_error *err = gi_args_u64(args, 'n', BT_DEFAULT_DEPTH, BT_MAX_DEPTH, &depth);
	if (!err && gi_args_count(args)) {
		// "bt 5", as gdb has it.
		err = gi_args_has(args, 'n')
			      ? gi_error_create(GI_ERR_USAGE, "bt: the depth is given twice")
			      : gi_parse_u64(gi_args_get(args, 0), &depth);
	}
	if (err)
		return err;
	_cleanup_(gi_stack_freep) struct gi_stack *stack = NULL;
	depth = depth ? depth : 1;
	err = gi_session_set_full_thread(s, gi_args_has_name(args, "full-thread"));
	if (!err)
		err = gi_session_stack(s, depth, &stack);
	if (err)
		return err;

	_cleanup_(gi_deferreds_deinit) struct gi_deferreds deferred = {0};
	struct gi_frame_more more = {0};
	if (gi_args_has_name(args, "defer")) {
		const struct gi_g *g = gi_session_goroutine(s);
		if (g)
			err = gi_deferred_calls(gi_session_go(s), gi_session_unwinder(s), g,
						(size_t)depth, &deferred);
		if (err)
			return err;
		more.deferred = &deferred;
	}

	_cleanup_(gi_arg_reader_destroyp) struct gi_arg_reader *reader = NULL;
	if (gi_args_has_name(args, "args")) {
		err = gi_arg_reader_create(gi_session_go(s), &reader);
		if (err)
			return err;
	}

	begin_record(s, out);
	for (size_t i = 0; i < gi_stack_len(stack); i++) {
		const struct gi_frame *f = gi_stack_frame(stack, i);
		if (i && f->stack != gi_stack_frame(stack, i - 1)->stack)
			gi_out_stack_switch(out, f->stack);
		if (reader)
			err = gi_out_stack_frame(out, stack, i, gi_session_unwinder(s), reader,
						 more.deferred);
		else
			gi_out_frame_more(out, i, f, &more);
		if (err)
			return err;
		if (i % 256 == 255 && (err = gi_out_check(out)))
			return err;
	}
	gi_json_close(out);
	if (more.deferred)
		gi_out_deferred_elsewhere(out, more.deferred);
	// A stack that ends early is still an answer: print it, then say why.
	const struct gi_error *why = gi_stack_truncated(stack);
	gi_json_str(out, "ends_early", why ? gi_error_message(why) : NULL);
	gi_json_bool(out, "more", gi_stack_cut_by_max(stack));
	gi_json_end(out);
	if (deferred.lost)
		gi_out_note(out,
			    "there may be more deferred calls: the record at 0x%" PRIx64
			    " cannot be read",
			    deferred.lost);
	if (gi_out_is_json(out))
		return NULL;
	if (why)
		gi_out_note(out, "the stack ends early: %s", gi_error_message(why));
	if (gi_stack_cut_by_max(stack))
		gi_out_printf(out, "(more frames: bt -n DEPTH)\n");
	return NULL;
}

const struct gi_command gi_cmd_bt = {
	.name = "bt",
	.aliases = (const char *const[]){"backtrace", "stack", "where", NULL},
	.group = GI_GROUP_STACK,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO | GI_NEEDS_FRAME,
	.synopsis = "bt [-n DEPTH] [-full-thread] [-args] [-defer]",
	.summary = "print the call stack",
	.options =
		(const struct gi_option[]){
			{'n', "DEPTH", "stop after DEPTH frames (default 50)", NULL, false, NULL},
			{0, NULL, "with the C frames below callbacks from C", "full-thread", false,
			 NULL},
			{0, NULL, "with the arguments of Go functions", "args", false, NULL},
			{0, NULL, "with the deferred calls that each frame has pending", "defer",
			 false, NULL},
			{0},
		},
	.help = "Prints the frames of the selected goroutine or thread, innermost first. Frames without a\n"
		"mark are Go's; [inlined]: calls that the compiler inlined; [C]: C's; [signal]: a signal\n"
		"handler, above what the signal interrupted; [guessed]: found by frame pointers alone.\n"
		"Where the stack goes on on another one (from the thread's own stack to the goroutine's),\n"
		"a line says so.\n"
		"\n"
		"A thread's frames go on below its goroutine's, to where the thread began (clone, or main\n"
		"of C). If it is kept for a goroutine that is locked to it and parked, that one's are shown.\n"
		"\n"
		"Where C called back into Go, a goroutine's stack goes on with the Go frames that called C.\n"
		"-full-thread shows the C frames in between too, also of a goroutine that is parked, and\n"
		"the thread's beginning, as bt always does for a thread. \"frame\", \"up\", \"down\" and\n"
		"\"regs\" then go by that list, until bt is given without it or something else is selected.\n"
		"\n"
		"-args shows the arguments of Go functions by name, if the program has debug information,\n"
		"else the words that the Go runtime prints in its tracebacks (\"?\": may be stale). Values\n"
		"are those that the variables have now. A value that need not be there any more is not\n"
		"shown: <optimized out> is nowhere at this place in the code, <lost> was in a register or\n"
		"where something else lies now.\n"
		"\n"
		"-defer shows below each frame the calls that it has deferred and that have not run yet,\n"
		"in the order in which they will: where the function is, and where it was deferred.\n",
	.max_args = 1,
	.run = bt_run,
};
