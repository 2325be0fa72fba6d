// Names inside of another root folder: a container's file system, an unpacked image.
//
// A process in a container names files as it sees them. Its "/usr/lib/libc.so" may be a
// symbolic link to "/lib/...", which is absolute and means its own root, not this machine's, and a
// hostile image has links to "../../../etc". So a name is walked as the kernel would
// for a process whose root that folder is: each link is read and followed inside, and ".." stops at
// the root. The folder itself is taken as it is given and not resolved: /proc/PID/root is a link
// that says "/" and leads elsewhere.

#include "elf/elf_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; // as the kernel

// Takes the last component off; not what is part of the root.
static void go_up(struct gi_str *at, size_t root_len)
{
	while (at->len > root_len && at->s[--at->len] != '/')
		;
	at->s[at->len] = '\0';
}

struct gi_error *gi_elf_resolve(const char *root, const char *path, struct gi_str *ret)
{
	_cleanup_(gi_str_deinit) struct gi_str at = {0}, left = {0};
	unsigned links = 0;
	gi_str_puts(&at, root[0] ? root : ".");
	while (at.len && at.s[at.len - 1] == '/')
		at.s[--at.len] = '\0';
	size_t root_len = at.len;
	gi_str_puts(&left, path);
	for (size_t pos = 0;;) {
		if (at.oom || left.oom)
			return gi_error_nomem();
		pos += strspn(gi_str_cstr(&left) + pos, "/");
		const char *name = gi_str_cstr(&left) + pos;
		size_t n = strcspn(name, "/");
		if (!n)
			break;
		pos += n;
		if (n == 1 && name[0] == '.')
			continue;
		if (n == 2 && !memcmp(name, "..", 2)) {
			go_up(&at, root_len);
			continue;
		}
		gi_str_putc(&at, '/');
		gi_str_putn(&at, name, n);
		if (at.oom)
			return gi_error_nomem();
		char target[PATH_MAX];
		ssize_t len = readlink(at.s, target, sizeof(target));
		if (len < 0 && errno == EINVAL)
			continue; // not a link
		if (len >= (ssize_t)sizeof(target)) {
			len = -1;
			errno = ENAMETOOLONG;
		}
		if (len >= 0 && ++links > LINKS_MAX) {
			len = -1;
			errno = ELOOP;
		}
		if (len < 0)
			return gi_error_errno("%s", at.s);
		go_up(&at, root_len);
		if (target[0] == '/') {
			at.len = root_len;
			at.s[at.len] = '\0';
		}
		_cleanup_(gi_str_deinit) struct gi_str next = {0};
		gi_str_putn(&next, target, (size_t)len);
		gi_str_putc(&next, '/');
		gi_str_puts(&next, left.s + pos);
		gi_str_deinit(&left);
		left = next;
		next = (struct gi_str){0};
		pos = 0;
	}
	gi_str_puts(ret, at.len ? at.s : "/");
	return ret->oom ? gi_error_nomem() : NULL;
}
