// Small tables of text, whose columns are as wide as they must be.
#ifndef REPORT_TABLE_H
#define REPORT_TABLE_H

#include "gcore/report.h"

/**
 * Rows are kept until the table is printed: not for lists of goroutines. In JSON mode all of
 * it does nothing. The first cell of a row is its mark ("* ").
 */
struct gi_table {
	const char *const
		*heads; // NULL-terminated; one that begins with '>' is aligned to the right
	size_t columns;
	struct gi_str text; // cells, each NUL-terminated
	size_t cells;
};
void gi_table_init(struct gi_table *t, const char *const *heads);
void gi_table_deinit(struct gi_table *t);
/** The next cell; untrusted text is escaped. "" and NULL show as "-". */
void gi_table_text(struct gi_table *t, const char *s);
void gi_table_cell(struct gi_table *t, const char *fmt, ...) GI_PRINTF(2, 3);
/** Prints the head and all rows; the last column is not padded. */
void gi_table_print(struct gi_table *t, struct gi_out *out);

#endif
