// netpoll: list what the network poller watches, and who waits for it.

#include "gcore/command.h"

static struct gi_error *netpoll_run(struct gi_session *s, const struct gi_args *args,
				 struct gi_out *out)
{
	(void)args;
	return gi_report_netpoll(out, gi_session_go(s));
}

const struct gi_command gi_cmd_netpoll = {
	.name = "netpoll",
	.group = GI_GROUP_SCHEDULER,
	.needs = GI_NEEDS_TARGET | GI_NEEDS_GO,
	.synopsis = "netpoll",
	.summary = "list what the network poller watches, and who waits for it",
	.help = "Lists the descriptors that were given to the network poller: sockets, pipes, files that can be\n"
		"polled. READ and WRITE name the goroutine that waits, or say \"ready\" when an event came\n"
		"that nobody took yet. What the descriptor is (addresses, a file's name) is known where a\n"
		"goroutine waits for it.\n",
	.run = netpoll_run,
};
