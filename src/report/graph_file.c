// The drawing of the wait-for graph in a file, or as text.
//
// graphviz' libraries (libgvc, libcgraph) make the image. They are loaded only when one is asked
// for, so that hosts without them lack nothing else.

#include "report/graph.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// The part of graphviz' interface that is used; libgvc 6, libcgraph 6 (graphviz 2.42 to 12).
struct graphviz {
	void *gvc, *cgraph;
	void *(*context)(void);
	void *(*read)(const char *);
	int (*layout)(void *, void *, const char *);
	int (*render)(void *, void *, const char *, const char *);
	int (*free_layout)(void *, void *);
	int (*close)(void *);
	int (*free_context)(void *);
};

static bool resolve(void *library, const char *name, void *ret)
{
	void *p = dlsym(library, name);

	memcpy(ret, &p, sizeof(p));
	return p != NULL;
}

static struct gi_error *load(struct graphviz *g)
{
	g->gvc = dlopen("libgvc.so.6", RTLD_NOW | RTLD_LOCAL);
	g->cgraph = dlopen("libcgraph.so.6", RTLD_NOW | RTLD_LOCAL);
	if (!g->gvc || !g->cgraph)
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "graph: graphviz' libraries are not here (Debian's package "
				       "libgvc6); -o FILE.dot writes the graph for its program dot");
	if (!resolve(g->gvc, "gvContext", &g->context) ||
	    !resolve(g->cgraph, "agmemread", &g->read) ||
	    !resolve(g->gvc, "gvLayout", &g->layout) ||
	    !resolve(g->gvc, "gvRenderFilename", &g->render) ||
	    !resolve(g->gvc, "gvFreeLayout", &g->free_layout) ||
	    !resolve(g->cgraph, "agclose", &g->close) ||
	    !resolve(g->gvc, "gvFreeContext", &g->free_context))
		return gi_error_create(GI_ERR_UNSUPPORTED,
				       "graph: graphviz' libraries are of a version that is not known; "
				       "-o FILE.dot writes the graph for its program dot");
	return NULL;
}

struct gi_error *gi_graph_svg(const char *dot, const char *path)
{
	struct graphviz g = {0};
	struct gi_error *err = load(&g);

	if (err)
		return err;
	void *context = g.context();
	void *graph = context ? g.read(dot) : NULL;
	if (!graph)
		err = gi_error_create(GI_ERR_UNSUPPORTED, "graph: graphviz does not take the graph");
	if (!err && g.layout(context, graph, "dot") != 0)
		err = gi_error_create(GI_ERR_UNSUPPORTED, "graph: graphviz cannot lay the graph out");
	if (!err) {
		if (g.render(context, graph, "svg", path) != 0)
			err = gi_error_create(GI_ERR_IO, "%s: graphviz cannot write the image", path);
		g.free_layout(context, graph);
	}
	if (graph)
		g.close(graph);
	if (context)
		g.free_context(context);
	// The libraries stay: their plugins do not like to be unloaded.
	return err;
}

static struct gi_error *write_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return gi_error_create(GI_ERR_IO, "%s: %s", path, strerror(errno));
	while (n) {
		ssize_t k = write(fd, text, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			struct gi_error *err =
				gi_error_create(GI_ERR_IO, "%s: %s", path, strerror(errno));
			close(fd);
			return err;
		}
		text += k;
		n -= (size_t)k;
	}
	if (close(fd) != 0)
		return gi_error_create(GI_ERR_IO, "%s: %s", path, strerror(errno));
	return NULL;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

struct gi_error *gi_report_graph(struct gi_out *out, struct gi_go *go, struct gi_unwinder *u,
				 const struct gi_graph *graph, bool all, const char *path)
{
	_cleanup_(gi_str_deinit) struct gi_str dot = {0};
	size_t left;
	struct gi_error *err;

	if (path && !ends_with(path, ".dot") && !ends_with(path, ".svg"))
		return gi_error_create(GI_ERR_USAGE, "graph: -o takes FILE.dot or FILE.svg");
	err = gi_graph_dot(go, u, graph, all, &dot, &left);
	if (!err && path)
		err = ends_with(path, ".svg") ? gi_graph_svg(gi_str_cstr(&dot), path)
					      : write_file(path, gi_str_cstr(&dot), dot.len);
	if (err)
		return err;
	if (gi_out_is_json(out)) {
		gi_json_begin(out, "graph");
		gi_json_str(out, "file", path);
		gi_json_str(out, "dot", path ? NULL : gi_str_cstr(&dot));
		gi_json_end(out);
	} else if (path) {
		gi_out_puts(out, "wrote ");
		gi_out_text(out, path);
		gi_out_puts(out, "\n");
	} else {
		gi_out_write(out, gi_str_cstr(&dot), dot.len);
	}
	if (left)
		gi_out_note(out, "the graph is cut: %zu more things would have to be drawn", left);
	return gi_out_check(out);
}
