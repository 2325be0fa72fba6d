// A server of debug files on the loopback interface, for the tests: gives the files below a
// folder (buildid/ID/debuginfo, buildid/ID/executable) and writes each request to a log.
//
//   server FOLDER LOG [hang|trickle|endless]
//
// The port is printed when it is ready. hang: takes requests and never answers; trickle: some
// bytes a second; endless: more bytes than a file may have, without a length.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *folder, *mode;
static FILE *out;

static int put(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t k = write(fd, s, n);
		if (k <= 0)
			return -1;
		s += k;
		n -= (size_t)k;
	}
	return 0;
}

static void answer(int fd, const char *path)
{
	char name[4096], block[1 << 16], head[256];
	if (strcmp(mode, "hang") == 0) {
		for (;;)
			pause();
	}
	if (strcmp(mode, "endless") == 0) {
		static const char text[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
		memset(block, 'x', sizeof(block));
		if (put(fd, text, sizeof(text) - 1) == 0)
			while (put(fd, block, sizeof(block)) == 0)
				;
		return;
	}
	snprintf(name, sizeof(name), "%s%s", folder, path);
	FILE *f = strstr(path, "..") ? NULL : fopen(name, "rb");
	if (!f) {
		static const char none[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
					   "Connection: close\r\n\r\n";
		put(fd, none, sizeof(none) - 1);
		return;
	}
	fseek(f, 0, SEEK_END);
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\nConnection: close\r\n\r\n",
			 ftell(f));
	rewind(f);
	int trickle = strcmp(mode, "trickle") == 0;
	put(fd, head, (size_t)n);
	for (size_t k; (k = fread(block, 1, trickle ? 1000 : sizeof(block), f)) > 0;) {
		if (put(fd, block, k) < 0)
			break;
		if (trickle)
			usleep(100000);
	}
	fclose(f);
}

static void serve(int fd)
{
	char request[4096];
	size_t n = 0;
	while (n < sizeof(request) - 1) {
		ssize_t k = read(fd, request + n, sizeof(request) - 1 - n);
		if (k <= 0)
			return;
		n += (size_t)k;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	char *path = strchr(request, ' ');
	char *end = path ? strchr(path + 1, ' ') : NULL;
	if (!end)
		return;
	*end = '\0';
	fprintf(out, "%s\n", path + 1);
	fflush(out);
	answer(fd, path + 1);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	folder = argv[1];
	out = fopen(argv[2], "a");
	mode = argc > 3 ? argv[3] : "";
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	if (!out || s < 0 || bind(s, (struct sockaddr *)&addr, len) < 0 || listen(s, 16) < 0 ||
	    getsockname(s, (struct sockaddr *)&addr, &len) < 0) {
		perror("server");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	alarm(300); // nobody leaves it behind
	for (;;) {
		int fd = accept(s, NULL, NULL);
		if (fd < 0)
			continue;
		if (fork() == 0) {
			alarm(300);
			serve(fd);
			_exit(0);
		}
		close(fd);
	}
}
