// Help, at the prompt and as the manual, both from the command tables.

#include "repl/args.h"
#include "repl/session_impl.h"

#include <string.h>

static const char *const group_titles[] = {
	[GI_GROUP_GOROUTINES] = "Goroutines",
	[GI_GROUP_STACK] = "Stacks and frames",
	[GI_GROUP_WAITS] = "Waits and deadlocks",
	[GI_GROUP_SCHEDULER] = "Threads and the scheduler",
	[GI_GROUP_DATA] = "Memory and registers",
	[GI_GROUP_SESSION] = "The session",
};

static void help_json(struct gi_out *out, const struct gi_command *cmd)
{
	gi_json_begin(out, "command");
	gi_json_str(out, "name", cmd->name);
	gi_json_array(out, "aliases");
	for (size_t i = 0; cmd->aliases && cmd->aliases[i]; i++)
		gi_json_str(out, NULL, cmd->aliases[i]);
	gi_json_close(out);
	gi_json_str(out, "group", group_titles[cmd->group]);
	gi_json_str(out, "synopsis", cmd->synopsis);
	gi_json_str(out, "summary", cmd->summary);
	gi_json_array(out, "options");
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		gi_option_format(o, &text);
		gi_json_object(out, NULL);
		gi_json_str(out, "option", gi_str_cstr(&text));
		gi_json_str(out, "help", o->help);
		gi_json_close(out);
	}
	gi_json_close(out);
	gi_json_str(out, "help", cmd->help);
	gi_json_end(out);
}

static void print_aliases(struct gi_out *out, const struct gi_command *cmd, const char *quote)
{
	for (size_t i = 0; cmd->aliases && cmd->aliases[i]; i++)
		gi_out_printf(out, "%s%s%s%s", i ? ", " : "", quote, cmd->aliases[i], quote);
}

void gi_command_list(struct gi_out *out)
{
	for (size_t g = 0; g < GI_ARRAY_SIZE(group_titles); g++) {
		bool titled = false;
		for (size_t i = 0; gi_commands[i]; i++) {
			const struct gi_command *cmd = gi_commands[i];
			if (cmd->group != g)
				continue;
			if (gi_out_is_json(out)) {
				help_json(out, cmd);
				continue;
			}
			if (!titled) {
				gi_out_puts(out, g ? "\n" : "");
				gi_out_style(out, GI_STYLE_HEAD);
				gi_out_printf(out, "%s", group_titles[g]);
				gi_out_style(out, GI_STYLE_NONE);
				gi_out_puts(out, "\n");
			}
			titled = true;
			gi_out_printf(out, "  %-11s %s", cmd->name, cmd->summary);
			if (cmd->aliases && cmd->aliases[0]) {
				gi_out_puts(out, " (");
				print_aliases(out, cmd, "");
				gi_out_puts(out, ")");
			}
			gi_out_puts(out, "\n");
		}
	}
	gi_out_puts(
		out,
		"\n\"help COMMAND\" says more. Any unique beginning of a name will do.\n"
		"\"COMMAND | shell command\" and \"COMMAND > file\" take the output elsewhere.\n");
}

struct gi_error *gi_command_help(struct gi_out *out, const char *name)
{
	const struct gi_command *cmd;
	struct gi_error *err = gi_command_find(name, strlen(name), &cmd);
	if (err)
		return err;
	if (gi_out_is_json(out)) {
		help_json(out, cmd);
		return NULL;
	}
	gi_out_style(out, GI_STYLE_HEAD);
	gi_out_printf(out, "%s", cmd->name);
	gi_out_style(out, GI_STYLE_NONE);
	gi_out_printf(out, ": %s\n\n  %s\n", cmd->summary, cmd->synopsis);
	if (cmd->aliases && cmd->aliases[0]) {
		gi_out_puts(out, "  also: ");
		print_aliases(out, cmd, "");
		gi_out_puts(out, "\n");
	}
	for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o); o++) {
		_cleanup_(gi_str_deinit) struct gi_str text = {0};
		gi_option_format(o, &text);
		gi_out_printf(out, "%s  %-24s %s\n", o == cmd->options ? "\n" : "",
			      gi_str_cstr(&text), o->help);
	}
	if (cmd->help && *cmd->help)
		gi_out_printf(out, "\n%s", cmd->help);
	if (cmd->completes == GI_ARG_ADDR) {
		_cleanup_(gi_str_deinit) struct gi_str forms = {0};
		gi_address_forms(&forms, "  ");
		gi_out_printf(out, "\n%s", gi_str_cstr(&forms));
	}
	return NULL;
}

// The manual, as Markdown.
void gi_command_manual(struct gi_out *out)
{
	gi_out_puts(
		out,
		"# gcore-inspect: the commands\n\n"
		"This file is written by `make docs` from the command tables (`commands/*.c`).\n"
		"Any unique beginning of a name will do; `COMMAND | shell command` and `COMMAND > file` "
		"take the output elsewhere.\n"
		"Options are written with one dash; `--` ends them. With `--json` every command prints "
		"records as docs/json.md describes.\n");
	for (size_t g = 0; g < GI_ARRAY_SIZE(group_titles); g++) {
		bool titled = false;
		for (size_t i = 0; gi_commands[i]; i++) {
			const struct gi_command *cmd = gi_commands[i];
			if (cmd->group != g)
				continue;
			if (!titled)
				gi_out_printf(out, "\n## %s\n", group_titles[g]);
			titled = true;
			gi_out_printf(out, "\n### %s\n\n    %s\n\n", cmd->name, cmd->synopsis);
			gi_out_printf(out, "%c%s.", cmd->summary[0] & ~0x20, cmd->summary + 1);
			if (cmd->aliases && cmd->aliases[0]) {
				gi_out_puts(out, " Also: ");
				print_aliases(out, cmd, "`");
				gi_out_puts(out, ".");
			}
			gi_out_puts(out, "\n");
			for (const struct gi_option *o = cmd->options; o && !gi_option_is_end(o);
			     o++) {
				_cleanup_(gi_str_deinit) struct gi_str text = {0};
				gi_option_format(o, &text);
				gi_out_printf(out, "%s- `%s`: %s\n", o == cmd->options ? "\n" : "",
					      gi_str_cstr(&text), o->help);
			}
			if (cmd->help && *cmd->help)
				gi_out_printf(out, "\n%s", cmd->help);
			if (cmd->completes == GI_ARG_ADDR)
				gi_out_puts(out, "\nFor ADDR see the end of this page.\n");
		}
	}
	_cleanup_(gi_str_deinit) struct gi_str forms = {0};
	gi_address_forms(&forms, "- ");
	gi_out_printf(out, "\n## Addresses\n\n%s", gi_str_cstr(&forms));
}
