// Names of functions in tracebacks, and which of them are the runtime's private ones
// (src/runtime/traceback.go: printFuncName, funcNamePiecesForPrint, showfuncinfo,
// isExportedRuntime).

#include "report/traceback_impl.h"

#include <string.h>

static void put_escaped(struct gi_str *str, const char *s)
{
	gi_str_put_escaped(str, s, strlen(s));
}

// A name whose brackets hold brackets of their own may be a generic method of a generic
// type (1.27): "F[int].M[string]" is cut at both. False: it is not of that form.
static bool put_two_brackets(struct gi_str *str, const char *name, const char *open,
			     const char *close, bool *whole_ret)
{
	const char *end = NULL, *again = NULL;
	int depth = 1;
	for (const char *p = open + 1; p < close; p++) {
		if (*p == '[') {
			if (++depth == 1) {
				again = p;
				break;
			}
		} else if (*p == ']') {
			if (--depth < 0)
				break;
			if (!depth)
				end = p;
		}
	}
	// Brackets that do not match: the runtime prints such a name as it is.
	*whole_ret = depth != 1 || (end == NULL) != (again == NULL);
	if (depth != 1 || !end || !again)
		return false;
	gi_str_put_escaped(str, name, (size_t)(open - name));
	gi_str_puts(str, "[...]");
	gi_str_put_escaped(str, end + 1, (size_t)(again - end - 1));
	gi_str_puts(str, "[...]");
	put_escaped(str, close + 1);
	return true;
}

void gi_tb_put_name(int minor, const char *name, struct gi_str *str)
{
	if (!strcmp(name, "runtime.gopanic")) {
		gi_str_puts(str, "panic");
		return;
	}
	const char *open = strchr(name, '['), *close = strrchr(name, ']');
	bool whole = minor < 21 || !open || !close || close < open;
	if (!whole && minor >= 27 && memchr(open + 1, '[', (size_t)(close - open - 1)) &&
	    put_two_brackets(str, name, open, close, &whole))
		return;
	if (whole) {
		put_escaped(str, name);
		return;
	}
	gi_str_put_escaped(str, name, (size_t)(open - name));
	gi_str_puts(str, "[...]");
	put_escaped(str, close + 1);
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

// Exported functions of the runtime, and from 1.23 on exported methods of exported types.
static bool is_exported_runtime(int minor, const char *name)
{
	name += strlen("runtime.");
	if (minor < 23)
		return is_upper(name[0]);
	const char *dot = strrchr(name, '.');
	if (!dot)
		return is_upper(name[0]);
	const char *type = name;
	if (dot - name >= 3 && name[0] == '(' && name[1] == '*' && dot[-1] == ')')
		type += 2;
	return is_upper(dot[1]) && (type == dot || is_upper(type[0]));
}

bool gi_tb_is_visible(int minor, const char *name)
{
	if (!strchr(name, '.'))
		return false;
	return strncmp(name, "runtime.", strlen("runtime.")) != 0 ||
	       is_exported_runtime(minor, name);
}
