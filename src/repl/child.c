// Child processes that read our output: pagers and shell commands.

#include "repl/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct gi_error *gi_child_start(const char *shell_command, struct gi_child *ret)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return gi_error_errno("cannot make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		struct gi_error *err = gi_error_errno("cannot start \"%s\"", shell_command);
		close(fds[0]);
		close(fds[1]);
		return err;
	}
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(fds[0], STDIN_FILENO);
		execl("/bin/sh", "sh", "-c", shell_command, (char *)NULL);
		_exit(127);
	}
	close(fds[0]);
	*ret = (struct gi_child){.pid = pid, .fd = fds[1]};
	return NULL;
}

void gi_child_finish(struct gi_child *child)
{
	close(child->fd);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*child = (struct gi_child){0};
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	while (path && *path) {
		size_t n = strcspn(path, ":");
		_cleanup_(gi_str_deinit) struct gi_str file = {0};
		gi_str_putn(&file, path, n);
		gi_str_putc(&file, '/');
		gi_str_puts(&file, program);
		if (!file.oom && access(gi_str_cstr(&file), X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

const char *gi_pager_command(void)
{
	const char *pager = getenv("PAGER");
	if (pager)
		return *pager && strcmp(pager, "cat") != 0 ? pager : NULL;
	if (in_path("less"))
		return "less -R";
	return in_path("more") ? "more" : NULL;
}
