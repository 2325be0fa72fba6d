// The end of the program when a file that it reads is taken away under it.
//
// Cores, programs and libraries are mapped. When one is cut short while it is open (a crash
// loop writes the next core over this one, a build its program) or its disk fails, the next
// access to what is gone is a SIGBUS. What was read before cannot be told from what is
// there now, so no answer can go on from there: the handler says which file it was, gives the
// terminal back, lets a pager finish, and ends the program as for any input that cannot be
// read. It runs in the thread that read, between any two of its instructions: it calls
// what is async-signal-safe and nothing else.

#include "repl/session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "gcore/elf.h"

static int lost_status;
static struct termios terminal;
static bool has_terminal;

struct line {
	char s[1024];
	size_t n;
};

static void put(struct line *l, const char *s)
{
	// Control bytes of a path do not reach a terminal.
	for (; *s && l->n < sizeof(l->s); s++)
		l->s[l->n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s;
}

static void put_number(struct line *l, uint64_t v)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;
	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	put(l, digits + at);
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	struct line l = {.n = 0};
	struct stat st;
	uint64_t off, size;
	(void)context;
	const char *path = gi_elf_mapped_at(info->si_addr, &off, &size);
	if (!path) {
		signal(sig, SIG_DFL); // comes again at once, and ends us as ever
		return;
	}
	if (has_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	put(&l, "gcore-inspect: ");
	put(&l, path);
	bool there = stat(path, &st) == 0;
	if (there && (uint64_t)st.st_size < size) {
		put(&l, " was cut from ");
		put_number(&l, size);
		put(&l, " to ");
		put_number(&l, (uint64_t)st.st_size);
		put(&l, " bytes while it was read: start again, with a copy of it if it is "
			"written again and again");
	} else {
		put(&l, " could not be read at byte ");
		put_number(&l, off);
		put(&l, there ? ": it was overwritten, or its disk or network failed"
			      : ": it was removed or its disk or network failed");
	}
	if (l.n == sizeof(l.s))
		l.n--;
	l.s[l.n++] = '\n';
	while (write(STDERR_FILENO, l.s, l.n) < 0 && errno == EINTR)
		;
	// A pager ends once nobody writes to it.
	close(STDOUT_FILENO);
	for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
		close(fd);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	_exit(lost_status);
}

void gi_lost_file_handle(int exit_status)
{
	struct sigaction sa = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
	lost_status = exit_status;
	has_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, NULL);
}
