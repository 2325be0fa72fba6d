// The words of a map's record that lead to its entries.
#ifndef GCORE_GO_GOMAP_IMPL_H
#define GCORE_GO_GOMAP_IMPL_H

enum {
	GI_SWISS_DIR = 16,     // of a map: its directory; its only group where there is none
	GI_SWISS_DIR_LEN = 24, // 0: there is none
	GI_SWISS_GROUPS = 16,  // of a table

	GI_HMAP_BUCKETS = 16,
	GI_HMAP_OLD = 24,
};

#endif
