// gcore-inspect: options and wiring only. The command line is a contract: docs/gcore-inspect.1.

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "repl/session.h"

enum { EXIT_FINE = 0, EXIT_STUCK = 1, EXIT_USAGE = 2, EXIT_INPUT = 3, EXIT_COMMAND = 4 };

static const char usage_text[] = "usage: gcore-inspect [options] [EXE] CORE\n"
				 "       gcore-inspect [options] -p PID\n";

static const char help_text[] =
	"Explains from a core file, or from a running process, why a Go program hangs: its\n"
	"goroutines, their stacks, what they wait for, and deadlocks. Without --batch it reads commands; \"help\" lists them.\n"
	"\n"
	"      --exe FILE             the executable, when it is not found by itself\n"
	"      --sysroot DIR          look for files that the core names below DIR\n"
	"      --debug-dir DIR        look for separate debug files below DIR; repeatable\n"
	"      --debuginfod           fetch missing debug files and executables by build ID from\n"
	"                             the servers of DEBUGINFOD_URLS\n"
	"      --cache-dir DIR        keep the unpacked files of compressed cores in DIR\n"
	"      -ex, --eval-command CMD\n"
	"                             run a command; repeatable, in order\n"
	"  -x, --command FILE         run commands from a file\n"
	"      --batch                no prompt: exit after -ex and -x\n"
	"      --check                print the verdict alone; the exit status says it\n"
	"      --json                 JSON records, one a line, instead of text\n"
	"      --color WHEN           auto, always or never (NO_COLOR is honoured)\n"
	"  -p, --pid PID              look at a running process: it is stopped for some milliseconds\n"
	"      --no-stop              with -p: do not stop it at all, read it while it runs\n"
	"  -q, --quiet                no summary at the start\n"
	"  -V, --version              print the version\n"
	"  -h, --help                 print this help\n"
	"\n"
	"exit status: 0 fine, 1 --check found goroutines stuck for good, 2 usage, 3 the input\n"
	"cannot be opened or understood, or --check could read no goroutine, 4 a command\n"
	"failed in --batch\n";

struct step {
	bool file; // -x, else -ex
	const char *text;
};

struct options {
	struct gi_session_options session;
	const char *core, *color;
	struct step *steps;
	size_t nsteps;
	const char **debug_dirs;
	bool check, quiet, version, help, manual;
};

static void free_options(struct options *o)
{
	free(o->steps);
	free(o->debug_dirs);
}

__attribute__((format(printf, 1, 2))) static int bad_usage(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("gcore-inspect: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs("\n", stderr);
	va_end(ap);
	fputs(usage_text, stderr);
	fputs("\"gcore-inspect --help\" says more\n", stderr);
	return EXIT_USAGE;
}

enum {
	OPT_EXE = 256,
	OPT_SYSROOT,
	OPT_DEBUG_DIR,
	OPT_DEBUGINFOD,
	OPT_CACHE_DIR,
	OPT_EX,
	OPT_BATCH,
	OPT_CHECK,
	OPT_JSON,
	OPT_COLOR,
	OPT_NO_STOP,
	OPT_MANUAL
};

static const struct option long_options[] = {
	{"exe", required_argument, NULL, OPT_EXE},
	{"sysroot", required_argument, NULL, OPT_SYSROOT},
	{"debug-dir", required_argument, NULL, OPT_DEBUG_DIR},
	{"debuginfod", no_argument, NULL, OPT_DEBUGINFOD},
	{"cache-dir", required_argument, NULL, OPT_CACHE_DIR},
	{"ex", required_argument, NULL, OPT_EX},
	{"eval-command", required_argument, NULL, OPT_EX},
	{"command", required_argument, NULL, 'x'},
	{"batch", no_argument, NULL, OPT_BATCH},
	{"check", no_argument, NULL, OPT_CHECK},
	{"json", no_argument, NULL, OPT_JSON},
	{"color", required_argument, NULL, OPT_COLOR},
	{"pid", required_argument, NULL, 'p'},
	{"no-stop", no_argument, NULL, OPT_NO_STOP},
	{"quiet", no_argument, NULL, 'q'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{"manual", no_argument, NULL, OPT_MANUAL}, // for `make docs`
	{NULL, 0, NULL, 0},
};

// "64G" in bytes; 0 if it is no such number.
static uint64_t parse_size(const char *s)
{
	static const char units[] = "KMGT";
	char *end;
	errno = 0;
	unsigned long long n = strtoull(s, &end, 10);
	if (errno || end == s || s[0] < '0' || s[0] > '9')
		return 0;
	const char *unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return 0;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	return n > UINT64_MAX >> shift ? UINT64_MAX : (uint64_t)n << shift;
}

// 0 if it is none.
static pid_t parse_pid(const char *s)
{
	char *end;
	errno = 0;
	long n = strtol(s, &end, 10);
	return errno || end == s || *end || n <= 0 || n > INT_MAX ? 0 : (pid_t)n;
}

// 0, or the exit status of a command line that cannot be understood. -ex is a long option with
// one dash, as in gdb: hence getopt_long_only.
static int parse_options(int argc, char **argv, struct options *o)
{
	o->color = "auto";
	o->steps = calloc((size_t)argc + 1, sizeof(*o->steps));
	o->debug_dirs = calloc((size_t)argc + 1, sizeof(*o->debug_dirs));
	o->session.target.debug_dirs = o->debug_dirs;
	if (!o->steps || !o->debug_dirs)
		return bad_usage("out of memory");
	int c;
	while ((c = getopt_long_only(argc, argv, "x:p:qVh", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_EXE:
			o->session.target.exe = optarg;
			break;
		case OPT_SYSROOT:
			o->session.target.sysroot = optarg;
			break;
		case OPT_DEBUG_DIR:
			if (!optarg[0])
				return bad_usage("--debug-dir takes a folder, not an empty name");
			o->debug_dirs[o->session.target.debug_dir_count++] = optarg;
			break;
		case OPT_DEBUGINFOD:
			o->session.target.debuginfod = true;
			break;
		case OPT_CACHE_DIR:
			o->session.target.unpacking.cache_dir = optarg;
			break;
		case OPT_EX:
		case 'x':
			o->steps[o->nsteps++] = (struct step){.file = c == 'x', .text = optarg};
			break;
		case OPT_BATCH:
			o->session.batch = true;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_JSON:
			o->session.json = true;
			break;
		case OPT_COLOR:
			o->color = optarg;
			break;
		case 'p':
			o->session.pid = parse_pid(optarg);
			if (!o->session.pid)
				return bad_usage("-p takes the number of a process, not \"%s\"",
						 optarg);
			break;
		case OPT_NO_STOP:
			o->session.target.no_stop = true;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'V':
			o->version = true;
			break;
		case 'h':
			o->help = true;
			break;
		case OPT_MANUAL:
			o->manual = true;
			break;
		default: // getopt has said what is wrong
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	}
	if (strcmp(o->color, "auto") != 0 && strcmp(o->color, "always") != 0 &&
	    strcmp(o->color, "never") != 0)
		return bad_usage("--color takes auto, always or never, not \"%s\"", o->color);
	if (o->help || o->version || o->manual)
		return 0;
	int n = argc - optind;
	if (o->session.target.no_stop && !o->session.pid)
		return bad_usage("--no-stop is for a running process: -p PID");
	if (o->session.pid && n)
		return bad_usage("with -p there is no core file (\"%s\"); --exe FILE names the executable",
				 argv[optind]);
	if (n == 0 && !o->session.pid)
		return bad_usage("a core file is missing");
	if (n > 2)
		return bad_usage("\"%s\" is one argument too many", argv[optind + 2]);
	if (n == 2 && o->session.target.exe)
		return bad_usage("the executable is given twice: --exe %s and %s",
				 o->session.target.exe, argv[optind]);
	if (n == 2)
		o->session.target.exe = argv[optind];
	if (n)
		o->core = argv[argc - 1];
	const char *max = getenv("GCORE_UNPACK_MAX");
	if (max && max[0]) {
		o->session.target.unpacking.max_size = parse_size(max);
		if (!o->session.target.unpacking.max_size)
			return bad_usage("GCORE_UNPACK_MAX is no size: \"%s\" (such as 64G)", max);
	}
	if (o->check && o->nsteps)
		return bad_usage("--check prints the verdict alone: it runs no -ex and no -x");
	return 0;
}

static void choose_colors(struct options *o)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	if (strcmp(o->color, "always") == 0)
		o->session.color = o->session.color_always = true;
	else if (strcmp(o->color, "auto") == 0)
		o->session.color = isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
				   strcmp(term, "dumb") != 0;
}

static void on_interrupt(int sig)
{
	// Asked twice without an answer: whatever runs does not poll the flag.
	if (gi_interrupted()) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
	gi_interrupt_raise();
}

static void set_signals(void)
{
	struct sigaction sa = {.sa_handler = on_interrupt};
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	gi_lost_file_handle(EXIT_INPUT);
	signal(SIGXFSZ, SIG_IGN); // a limit of file sizes is an error like a full disk
}

static bool is_code(const struct gi_error *err, enum gi_error_code code)
{
	return err && gi_error_code(err) == code;
}

// The target's and the runtime's remarks, as diagnostics, where no summary shows them.
static void print_notes(struct gi_session *s)
{
	struct gi_target *t = gi_session_target(s);
	struct gi_go *go = gi_session_go(s);
	size_t n = gi_target_note_count(t);
	for (size_t i = 0; i < n + (go ? gi_go_note_count(go) : 0); i++) {
		const char *note = i < n ? gi_target_note(t, i) : gi_go_note(go, i - n);
		struct gi_error *as_error = gi_error_create(GI_ERR_FORMAT, "%s", note);
		gi_session_complain("note", as_error);
		gi_error_free(as_error);
	}
}

// Runs -ex and -x. Returns false when the session is over; *status becomes EXIT_COMMAND when
// one failed.
static bool run_steps(struct gi_session *s, const struct options *o, int *status)
{
	for (size_t i = 0; i < o->nsteps; i++) {
		struct gi_error *err = o->steps[i].file
					       ? gi_session_execute_file(s, o->steps[i].text)
					       : gi_session_execute(s, o->steps[i].text);
		bool over = is_code(err, GI_ERR_QUIT) || is_code(err, GI_ERR_PIPE);
		if (err && !over) {
			// Without a Go runtime its reason was told once already.
			if (!gi_session_go_error(s) || !is_code(err, GI_ERR_UNSUPPORTED) ||
			    !o->session.batch)
				gi_session_complain("error", err);
			*status = EXIT_COMMAND;
			over = is_code(err, GI_ERR_INTERRUPTED) && o->session.batch;
		}
		gi_error_free(err);
		if (over)
			return false;
	}
	return true;
}

// --check: the verdict and nothing else; of several runtimes in a process with the file's name.
static int check(struct gi_session *s, const struct options *o, bool named)
{
	_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
	_cleanup_(gi_error_freep) struct gi_error *err = NULL;
	struct gi_graph *graph = NULL;
	bool proven = true;
	err = gi_out_create_fd(STDOUT_FILENO, o->session.json, o->session.color, &out);
	if (!err)
		err = gi_session_judge(s, &proven);
	if (!err)
		err = gi_session_graph(s, &graph);
	if (!err && named && !o->session.json) {
		gi_out_text(out, gi_target_info(gi_session_target(s))->exe_path);
		gi_out_puts(out, ": ");
	}
	if (!err)
		err = gi_report_verdict_line(out, gi_session_go(s), graph);
	if (!err)
		err = gi_out_flush(out);
	if (!err)
		err = gi_target_check_unchanged(gi_session_target(s));
	if (err && !is_code(err, GI_ERR_PIPE)) {
		gi_session_complain("gcore-inspect", err);
		return EXIT_INPUT;
	}
	// No verdict is no good news.
	if (gi_go_g_all_lost(gi_session_go(s))) {
		fprintf(stderr,
			"gcore-inspect: no goroutine can be read, so nothing is known: see the notes; a "
			"whole core is needed (room on the disk, ulimit -c), or --exe PROGRAM with its "
			"debug information\n");
		return EXIT_INPUT;
	}
	if (!proven)
		fputs("note: the heap was read while the process ran; two looks agree on what is stuck\n",
		      stderr);
	// Who does not read the verdict still gets the status.
	return graph && (gi_graph_stuck_count(graph) || gi_graph_cycle_count(graph)) ? EXIT_STUCK
									    : EXIT_FINE;
}

// A process may have several Go runtimes, and any may be stuck: all are looked at, unless one
// was chosen. What is stuck for good counts, then what could not be looked at.
static int check_all(struct gi_session *s, const struct options *o)
{
	struct gi_target *t = gi_session_target(s);
	const char *chosen = o->session.target.exe;
	size_t n = gi_target_other_runtime_count(t);
	if (chosen && strcmp(chosen, gi_target_info(t)->exe_path) == 0)
		n = 0;
	int status = check(s, o, n > 0);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(gi_session_closep) struct gi_session *other = NULL;
		struct gi_session_options opts = o->session;
		opts.target.exe = gi_target_other_runtime(t, i);
		struct gi_error *err = gi_session_open(o->core, &opts, &other);
		const struct gi_error *why = err ? err : gi_session_go_error(other);
		int got = EXIT_INPUT;
		if (why)
			gi_session_complain("gcore-inspect", why);
		else
			got = check(other, o, true);
		gi_error_free(err);
		if (got == EXIT_STUCK || status == EXIT_FINE)
			status = got;
	}
	return status;
}

static int run(struct options *o)
{
	_cleanup_(gi_session_closep) struct gi_session *s = NULL;
	struct gi_error *err = gi_session_open(o->core, &o->session, &s);
	if (err) {
		gi_session_complain("gcore-inspect", err);
		gi_error_free(err);
		return EXIT_INPUT;
	}
	const struct gi_error *no_go = gi_session_go_error(s);
	if (no_go)
		gi_session_complain("gcore-inspect", no_go);
	if (o->check) {
		print_notes(s);
		return no_go ? EXIT_INPUT : check_all(s, o);
	}
	int status = EXIT_FINE;
	bool go_on = true;
	if (o->session.batch || o->quiet) {
		print_notes(s);
	} else {
		err = gi_session_execute(s, "info");
		go_on = !is_code(err, GI_ERR_PIPE);
		if (err && go_on)
			gi_session_complain("error", err);
		gi_error_free(err);
	}
	go_on = go_on && run_steps(s, o, &status);
	if (go_on && !o->session.batch) {
		err = gi_session_interact(s);
		gi_error_free(err); // quit, or a closed pipe
	}
	if (no_go)
		return EXIT_INPUT;
	return o->session.batch ? status : EXIT_FINE;
}

/**
 * A standard descriptor that is closed would be given to the next file that is opened, and what is
 * printed would go there. This way it is an error.
 */
static void hold_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	hold_descriptors();
	_cleanup_(free_options) struct options o = {0};
	setlocale(LC_CTYPE, "");
	int status = parse_options(argc, argv, &o);
	if (status)
		return status;
	set_signals();
	if (o.help || o.version) {
		fputs(o.help ? usage_text : "gcore-inspect " GI_VERSION "\n", stdout);
		if (o.help) {
			fputs("\n", stdout);
			fputs(help_text, stdout);
		}
		return fflush(stdout) ? EXIT_INPUT : EXIT_FINE;
	}
	if (o.manual) {
		_cleanup_(gi_out_destroyp) struct gi_out *out = NULL;
		struct gi_error *err = gi_out_create_fd(STDOUT_FILENO, false, false, &out);
		if (!err)
			gi_command_manual(out);
		gi_error_free(err);
		return EXIT_FINE;
	}
	o.session.interactive = isatty(STDIN_FILENO) && !o.session.batch;
	choose_colors(&o);
	return run(&o);
}
