// The prompt on a terminal: a session in a child process, at the other end of a pseudo-terminal.
// Line editing, completion, history, Ctrl-C, the pager.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/files.h"
#include "repl/session.h"

struct terminal {
	pid_t pid;
	int fd;
	char text[256 * 1024]; // everything that was printed
	size_t len, seen;      // seen: up to where expect() has looked
};

static struct terminal term;

static void on_interrupt(int sig)
{
	(void)sig;
	gi_interrupt_raise();
}

_Noreturn static void child(void)
{
	struct sigaction sa = {.sa_handler = on_interrupt};
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	const char *dir = getenv("GCORE_COREFILES");
	char *core = NULL;
	if (asprintf(&core, "%s/abba-go1.27.4.core", dir ? dir : "build/corefiles") < 0)
		_exit(99);
	struct gi_session_options opts = {.interactive = true};
	struct gi_session *s = NULL;
	struct gi_error *err = gi_session_open(core, &opts, &s);
	if (err) {
		gi_session_complain("test", err);
		_exit(98);
	}
	err = gi_session_interact(s);
	int status = err && gi_error_code(err) == GI_ERR_QUIT ? 7 : 0;
	gi_error_free(err);
	gi_session_close(s);
	free(core);
	fflush(NULL);
	_exit(status); // the test's folder is the parent's to remove
}

static void start(const char *pager)
{
	struct winsize ws = {.ws_row = 20, .ws_col = 100};
	memset(&term, 0, sizeof(term));
	fflush(NULL);
	const char *dir = test_dir(); // one for all children, which the parent removes
	term.pid = forkpty(&term.fd, NULL, NULL, &ws);
	assert_true(term.pid >= 0);
	if (term.pid == 0) {
		setenv("TERM", "xterm", 1);
		setenv("PAGER", pager, 1);
		setenv("XDG_STATE_HOME", dir, 1);
		setenv("INPUTRC", "/dev/null", 1);
		child();
	}
}

static void type(const char *s)
{
	size_t n = strlen(s);
	assert_int_equal(write(term.fd, s, n), n);
}

static bool fill(int timeout)
{
	struct pollfd p = {.fd = term.fd, .events = POLLIN};
	if (poll(&p, 1, timeout) <= 0)
		return false;
	ssize_t n = read(term.fd, term.text + term.len, sizeof(term.text) - 1 - term.len);
	if (n <= 0)
		return false;
	term.len += (size_t)n;
	term.text[term.len] = '\0';
	return true;
}

// Waits until text is printed; what comes next is looked at from behind it.
static void expect(const char *text)
{
	for (;;) {
		char *at = strstr(term.text + term.seen, text);
		if (at) {
			term.seen = (size_t)(at + strlen(text) - term.text);
			return;
		}
		if (!fill(20000))
			fail_msg("\"%s\" was not printed; this was:\n%s", text, term.text);
	}
}

static bool printed_since(size_t from, const char *text)
{
	return strstr(term.text + from, text) != NULL;
}

static void finish(int want)
{
	int status;
	while (fill(20000))
		;
	close(term.fd);
	assert_int_equal(waitpid(term.pid, &status, 0), term.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

static void test_lines(void **state)
{
	(void)state;
	start("cat");
	expect("(gcore) ");
	type("bt -n 1\n");
	expect("#0 ");
	expect("(gcore) ");
	type("nonsense\n");
	expect("error: there is no command \"nonsense\"");
	expect("(gcore) ");
	// An empty line goes on up the stack, but does not print a list again.
	type("up\n");
	expect("#1 ");
	expect("(gcore) ");
	type("\n");
	expect("#2 ");
	expect("(gcore) ");
	type("threads\n");
	expect("GOROUTINE");
	expect("(gcore) ");
	size_t from = term.seen;
	type("\n");
	expect("(gcore) ");
	assert_false(printed_since(from, "GOROUTINE"));
	type("quit\n");
	finish(7);
}

static void test_end_of_input(void **state)
{
	(void)state;
	start("cat");
	expect("(gcore) ");
	type("\x04");
	finish(0);
}

static void test_completion(void **state)
{
	(void)state;
	start("cat");
	expect("(gcore) ");
	type("goroutines -gro\t");
	expect("goroutines -group ");
	type("stat\t\n");
	expect("status");
	expect("9 goroutines in 1 group");
	expect("(gcore) ");
	// Two candidates: the second key lists them.
	type("gorout\t");
	expect("ine");
	type("\t\t");
	expect("goroutine   goroutines");
	type("\x15quit\n");
	finish(7);
}

static void test_interrupt(void **state)
{
	(void)state;
	start("cat");
	expect("(gcore) ");
	type("this line is not run");
	expect("not run");
	type("\x03");
	expect("(gcore) ");
	type("bt -n 1\n");
	expect("#0 ");
	expect("(gcore) ");
	assert_false(printed_since(0, "no command"));
	type("quit\n");
	finish(7);
}

static void test_history(void **state)
{
	(void)state;
	_cleanup_(gi_freep) char *path = test_path("gcore-inspect/history");
	unlink(path);
	start("cat");
	expect("(gcore) ");
	type("bt -n 1\nbt -n 1\nregs\nquit\n");
	finish(7);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	char text[256] = "";
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	assert_string_equal(text, "bt -n 1\nregs\nquit\n");
	// The next session has it: up twice, then enter.
	start("cat");
	expect("(gcore) ");
	type("\x10\x10\n");
	expect("rsp = ");
	expect("(gcore) ");
	type("quit\n");
	finish(7);
}

static void test_pager(void **state)
{
	(void)state;
	// This pager shows where its text begins and ends.
	start("echo '<<'; cat; echo '>>'");
	expect("(gcore) ");
	size_t from = term.seen;
	type("bt -n 2\n"); // fits on the screen
	expect("(more frames");
	expect("(gcore) ");
	assert_false(printed_since(from, "<<"));
	type("mappings\n"); // does not
	expect("<<");
	expect("START");
	expect("[vsyscall]");
	expect(">>");
	expect("(gcore) ");
	// Taken elsewhere, it is nobody's.
	from = term.seen;
	type("mappings | wc -l\n");
	expect("(gcore) ");
	assert_false(printed_since(from, "<<"));
	type("quit\n");
	finish(7);
}

static void test_pager_left_early(void **state)
{
	(void)state;
	start("head -n 1");
	expect("(gcore) ");
	type("mappings\n");
	expect("START");
	expect("(gcore) ");
	type("goroutines -t\n");
	expect("WAIT REASON");
	expect("(gcore) ");
	assert_false(printed_since(0, "error"));
	type("quit\n");
	finish(7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_end_of_input),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_pager),
		cmocka_unit_test(test_pager_left_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
