// Groups of goroutines: how many wait for the same thing, stand at the same place.
#include "report/goroutines.h"
struct gi_error *gi_g_group(const struct gi_g_query *q, struct gi_out *out)
{
	(void)q, (void)out;
	return NULL;
}
