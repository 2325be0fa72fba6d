// What a descriptor of the network poller is: a socket with its addresses, a file with its name.
//
// The poller's record does not say. But a goroutine that waits for it is inside of a method of
// internal/poll.FD, so that a pointer to the FD is on its stack; the FD names the record, which
// makes the pair certain. An FD is a member of a net.netFD or an os.file: which one is
// told by what follows, a network's name or a file's. Source: src/internal/poll/fd_unix.go,
// src/net/fd_posix.go, tcpsock.go, src/os/file_unix.go, Go 1.18 to 1.27.

#include "gcore/sched.h"
#include "go/go_impl.h"

#include <arpa/inet.h>
#include <string.h>

enum { STACK_LOOK = 4096, NAME_MAX_LEN = 4096, NET_MAX_LEN = 16 };

// The poll.FD of d, by the stack of a goroutine that waits for it; 0: not found.
static uint64_t find_fd(struct gi_go *go, const struct gi_poll_desc *d, const struct gi_g *g)
{
	const struct gi_field desc = go->layout.poll_fd.desc;
	uint64_t end = gi_min_u64(g->stack_hi, g->sched_sp + STACK_LOOK);

	for (uint64_t at = (g->sched_sp + 7) & ~UINT64_C(7); at + 8 <= end; at += 8) {
		uint64_t p, v, sysfd;
		struct gi_error *err;

		if (!gi_target_peek_u64(go->target, at, &p) || !p || p % 8 ||
		    !gi_target_peek_u64(go->target, p + desc.off, &v) || v != d->addr)
			continue;
		err = gi_target_read_uint(go->target, p + go->layout.poll_fd.sysfd.off,
					  go->layout.poll_fd.sysfd.size, &sysfd);
		if (!err && (int64_t)sysfd == d->fd)
			return p;
		gi_error_ignore(err);
	}
	return 0;
}

// A string header at addr; false if it is no text.
static bool read_string(struct gi_go *go, uint64_t addr, size_t max, char *buf, size_t *n_ret)
{
	uint64_t ptr, len;
	struct gi_error *err;

	if (!gi_target_peek_u64(go->target, addr, &ptr) ||
	    !gi_target_peek_u64(go->target, addr + 8, &len) || !ptr || !len || len > max)
		return false;
	err = gi_target_read(go->target, ptr, buf, (size_t)len);
	if (err) {
		gi_error_ignore(err);
		return false;
	}
	*n_ret = (size_t)len;
	return true;
}

static void put_ip_addr(struct gi_go *go, uint64_t addr, struct gi_str *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t ptr, len, port;
	uint8_t ip[16];
	char text[INET6_ADDRSTRLEN] = "";
	struct gi_error *err;

	if (!gi_target_peek_u64(go->target, addr + go->layout.tcp_addr.ip.off, &ptr) ||
	    !gi_target_peek_u64(go->target, addr + go->layout.tcp_addr.ip.off + 8, &len) ||
	    !gi_target_peek_u64(go->target, addr + go->layout.tcp_addr.port.off, &port) ||
	    port > 65535 || (len != 0 && len != 4 && len != 16)) {
		gi_str_puts(ret, "?");
		return;
	}
	err = len ? gi_target_read(go->target, ptr, ip, (size_t)len) : NULL;
	if (err) {
		gi_error_ignore(err);
		gi_str_puts(ret, "?");
		return;
	}
	if (len == 4)
		inet_ntop(AF_INET, ip, text, sizeof(text));
	else if (len == 16 && memcmp(ip, mapped, sizeof(mapped)) == 0)
		inet_ntop(AF_INET, ip + 12, text, sizeof(text));
	else if (len == 16)
		inet_ntop(AF_INET6, ip, text, sizeof(text));
	gi_str_printf(ret, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, (unsigned)port);
}

// An interface value of type net.Addr at addr.
static void put_addr(struct gi_go *go, uint64_t addr, const char *net, struct gi_str *ret)
{
	char name[NAME_MAX_LEN];
	uint64_t data;
	size_t n;

	if (!gi_target_peek_u64(go->target, addr + 8, &data) || !data) {
		gi_str_puts(ret, "-");
		return;
	}
	if (strncmp(net, "unix", 4) != 0) {
		put_ip_addr(go, data, ret);
		return;
	}
	if (go->layout.unix_addr.rec.ok &&
	    read_string(go, data + go->layout.unix_addr.name.off, sizeof(name), name, &n))
		gi_str_put_escaped(ret, name, n);
	else
		gi_str_puts(ret, "@");
}

// The net.netFD whose poll.FD is at fd.
static bool put_socket(struct gi_go *go, uint64_t fd, struct gi_str *ret)
{
	const struct gi_layout *l = &go->layout;
	char net[NET_MAX_LEN + 1];
	size_t n;
	uint64_t remote;

	fd -= l->net_fd.pfd.off;
	if (!l->net_fd.rec.ok || !l->net_fd.net.ok || !l->tcp_addr.rec.ok ||
	    !read_string(go, fd + l->net_fd.net.off, NET_MAX_LEN, net, &n))
		return false;
	net[n] = '\0';
	if (strncmp(net, "tcp", 3) != 0 && strncmp(net, "udp", 3) != 0 &&
	    strncmp(net, "unix", 4) != 0 && strncmp(net, "ip", 2) != 0)
		return false;
	gi_str_put_escaped(ret, net, n);
	gi_str_puts(ret, " ");
	put_addr(go, fd + l->net_fd.laddr.off, net, ret);
	if (!gi_target_peek_u64(go->target, fd + l->net_fd.raddr.off + 8, &remote) || !remote)
		return true; // it listens
	gi_str_puts(ret, " to ");
	put_addr(go, fd + l->net_fd.raddr.off, net, ret);
	return true;
}

// The os.file whose poll.FD is at fd.
static bool put_file(struct gi_go *go, uint64_t fd, struct gi_str *ret)
{
	char name[NAME_MAX_LEN];
	size_t n;

	fd -= go->layout.os_file.pfd.off;
	if (!go->layout.os_file.rec.ok ||
	    !read_string(go, fd + go->layout.os_file.name.off, sizeof(name), name, &n))
		return false;
	gi_str_puts(ret, "file ");
	gi_str_put_escaped(ret, name, n);
	return true;
}

bool gi_go_poll_desc_name(struct gi_go *go, const struct gi_poll_desc *d, struct gi_str *ret)
{
	const uint64_t waiters[] = {d->rg, d->wg};

	if (!go->layout.poll_fd.rec.ok)
		return false;
	for (size_t i = 0; i < GI_ARRAY_SIZE(waiters); i++) {
		const struct gi_g *g = waiters[i] > GI_POLL_WAIT ?
					       gi_go_g_by_addr(go, waiters[i]) :
					       NULL;
		const uint64_t fd = g ? find_fd(go, d, g) : 0;

		if (fd)
			return put_socket(go, fd, ret) || put_file(go, fd, ret);
	}
	return false;
}
