// Which goroutines: the conditions of -with and -without.

#include "report/goroutines.h"

#include <string.h>

static const struct {
	const char *name;
	enum gi_g_field field;
	bool has_value, groups;
} fields[] = {
	{"function", GI_FIELD_FUNCTION, true, false},
	{"file", GI_FIELD_FILE, true, false},
	{"status", GI_FIELD_STATUS, true, true},
	{"wait", GI_FIELD_WAIT, true, true},
	{"label", GI_FIELD_LABEL, true, true},
	{"creator", GI_FIELD_CREATOR, true, true},
	{"start", GI_FIELD_START, true, true},
	{"stack", GI_FIELD_STACK, false, true},
	{"userloc", GI_FIELD_USERLOC, true, true},
	{"curloc", GI_FIELD_CURLOC, true, true},
	// dlv's names.
	{"goloc", GI_FIELD_GOLOC, true, true},
	{"startloc", GI_FIELD_START, true, true},
	{"user", GI_FIELD_USER, false, true},
	{"running", GI_FIELD_RUNNING, false, true},
};

static struct gi_error *unknown_field(const char *what, const char *text, bool group)
{
	_cleanup_(gi_str_deinit) struct gi_str list = {0};
	for (size_t i = 0; i < GI_ARRAY_SIZE(fields); i++) {
		if (group ? !fields[i].groups : fields[i].field == GI_FIELD_STACK)
			continue;
		gi_str_printf(&list, "%s%s", list.len ? ", " : "", fields[i].name);
	}
	return gi_error_create(GI_ERR_USAGE, "%s: there is no kind \"%s\"; there are %s", what,
			       text, gi_str_cstr(&list));
}

struct gi_error *gi_g_filter_parse(const char *text, bool without, struct gi_g_filter *ret)
{
	const char *what = without ? "-without" : "-with";
	size_t n = strcspn(text, " ");
	const char *value = text + n + strspn(text + n, " ");
	for (size_t i = 0; i < GI_ARRAY_SIZE(fields); i++) {
		if (strlen(fields[i].name) != n || memcmp(fields[i].name, text, n) != 0 ||
		    fields[i].field == GI_FIELD_STACK)
			continue;
		if (fields[i].has_value && !*value)
			return gi_error_create(GI_ERR_USAGE, "%s %s: a value is missing", what,
					       text);
		if (!fields[i].has_value && *value)
			return gi_error_create(GI_ERR_USAGE,
					       "%s %s takes no value, but \"%s\" was given", what,
					       fields[i].name, value);
		*ret = (struct gi_g_filter){
			.field = fields[i].field, .without = without, .value = value};
		const char *eq = strchr(value, '=');
		ret->label_key_len = eq ? (size_t)(eq - value) : strlen(value);
		ret->label_val = eq ? eq + 1 : NULL;
		return NULL;
	}
	return unknown_field(what, text, false);
}

struct gi_error *gi_g_group_parse(const char *text, enum gi_g_field *ret, const char **label_ret)
{
	size_t n = strcspn(text, " ");
	const char *value = text + n + strspn(text + n, " ");
	for (size_t i = 0; i < GI_ARRAY_SIZE(fields); i++) {
		if (strlen(fields[i].name) != n || memcmp(fields[i].name, text, n) != 0 ||
		    !fields[i].groups)
			continue;
		if (*value && fields[i].field != GI_FIELD_LABEL)
			return gi_error_create(GI_ERR_USAGE,
					       "-group %s takes no value, but \"%s\" was given",
					       fields[i].name, value);
		*ret = fields[i].field;
		*label_ret = *value ? value : NULL;
		return NULL;
	}
	return unknown_field("-group", text, true);
}

// --- matching -------------------------------------------------------------------

static bool has(const char *text, const char *value)
{
	return text && strstr(text, value);
}

struct label_match {
	const struct gi_g_filter *f;
	bool found;
};

static bool match_label(void *arg, const char *key, size_t key_len, const char *val, size_t val_len)
{
	struct label_match *m = arg;
	const struct gi_g_filter *f = m->f;
	if (key_len != f->label_key_len || memcmp(key, f->value, key_len) != 0)
		return true;
	m->found = !f->label_val ||
		   (strlen(f->label_val) == val_len && memcmp(f->label_val, val, val_len) == 0);
	return !m->found;
}

struct frame_match {
	const struct gi_g_filter *f;
	bool found;
};

static bool match_frame(void *arg, const struct gi_frame *frame)
{
	struct frame_match *m = arg;
	m->found = has(m->f->field == GI_FIELD_FUNCTION ? frame->name : frame->file, m->f->value);
	return !m->found;
}

static bool match_location(const struct gi_location *loc, const char *value)
{
	if (!loc->pc)
		return false;
	_cleanup_(gi_str_deinit) struct gi_str at = {0};
	gi_str_printf(&at, "%s:%" PRIu32, loc->file ? loc->file : "", loc->line);
	return has(loc->function, value) || has(gi_str_cstr(&at), value);
}

static struct gi_error *match_one(const struct gi_g_query *q, const struct gi_g_filter *f,
				  const struct gi_g *g, bool *ret)
{
	struct gi_error *err = NULL, *why = NULL;
	struct gi_location loc = {0}, user = {0};
	char buf[32];
	bool found = false;
	switch (f->field) {
	case GI_FIELD_STATUS:
		found = strcmp(gi_g_status_name(g, buf, sizeof(buf)), f->value) == 0;
		break;
	case GI_FIELD_WAIT:
		found = has(gi_go_wait_reason(q->go, g), f->value);
		break;
	case GI_FIELD_USER:
		found = !g->system;
		break;
	case GI_FIELD_RUNNING:
		found = g->thread != 0;
		break;
	case GI_FIELD_LABEL: {
		struct label_match m = {.f = f};
		if (g->labels)
			err = gi_go_labels(q->go, g, match_label, &m);
		found = m.found;
		break;
	}
	case GI_FIELD_FUNCTION:
	case GI_FIELD_FILE: {
		struct frame_match m = {.f = f};
		err = gi_unwind_goroutine(q->u, g, GI_UNWIND_SYSTEM_STACK, GI_UNWIND_MAX,
					  match_frame, &m, &why);
		found = m.found;
		gi_error_ignore(why);
		break;
	}
	case GI_FIELD_CREATOR:
	case GI_FIELD_GOLOC:
		gi_g_created_by(q->u, g, &loc);
		found = match_location(&loc, f->value);
		break;
	case GI_FIELD_START:
		gi_unwind_started_at(q->u, g, &loc);
		found = match_location(&loc, f->value);
		break;
	case GI_FIELD_USERLOC:
		err = gi_g_user_location(q->u, g, &loc);
		found = match_location(&loc, f->value);
		break;
	case GI_FIELD_CURLOC:
		err = gi_unwind_locations(q->u, g, &loc, &user);
		found = match_location(&loc, f->value);
		break;
	case GI_FIELD_STACK:
		break;
	}
	if (err && gi_error_code(err) == GI_ERR_INTERRUPTED)
		return err;
	gi_error_ignore(err); // what cannot be read does not match
	*ret = found;
	return NULL;
}

static bool needs_stack(enum gi_g_field field)
{
	return field == GI_FIELD_FUNCTION || field == GI_FIELD_FILE || field == GI_FIELD_USERLOC ||
	       field == GI_FIELD_CURLOC;
}

struct gi_error *gi_g_matches(const struct gi_g_query *q, const struct gi_g *g, bool *ret)
{
	// The cheap ones first.
	for (int stacks = 0; stacks < 2; stacks++) {
		for (size_t i = 0; i < q->filter_count; i++) {
			const struct gi_g_filter *f = &q->filters[i];
			if (needs_stack(f->field) != (stacks == 1))
				continue;
			bool found;
			struct gi_error *err = match_one(q, f, g, &found);
			if (err)
				return err;
			if (found == f->without) {
				*ret = false;
				return NULL;
			}
		}
	}
	*ret = true;
	return NULL;
}
