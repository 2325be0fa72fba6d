// The inside of struct gi_elf, for the files of src/elf only.
#ifndef GCORE_ELF_PRIVATE_H
#define GCORE_ELF_PRIVATE_H

#include <elf.h>
#include <pthread.h>
#include <sys/stat.h>

#include "elf/elf_impl.h"
#include "gcore/base.h"

/** A section header, decoded. */
struct elf_section {
	const char *name; // borrowed from .shstrtab, "" if unnamed
	uint32_t type;
	uint64_t flags;
	uint64_t addr;
	uint64_t offset;
	uint64_t size;
	uint32_t link;
	uint64_t entsize;
};

/** A section that had to be decompressed. */
struct elf_unpacked {
	struct elf_unpacked *next;
	size_t index; // of the section
	Elf *elf;     // owns data
	void *image;  // what elf was made from
	size_t image_size;
	uint8_t *owned; // or, instead of both, what libarchive unpacked, malloc'd
	const uint8_t *data;
	size_t size;
};

struct elf_by_addr {
	uint64_t start, end;
	uint64_t max_end; // the greatest end of this entry and all before it
	uint32_t symbol;
};

/** Adds to, takes from, the files that gi_elf_mapped_at knows. */
void gi_elf_mapped_add(struct gi_elf *elf);
void gi_elf_mapped_remove(struct gi_elf *elf);

struct elf_symtab {
	const uint8_t *syms;
	size_t count;
	const char *strings;
	size_t strings_size; // cut so that the last byte is a NUL
	uint32_t *by_name;   // open addressing, symbol index + 1, 0: free
	size_t by_name_cap;
	struct elf_by_addr *by_addr;
	size_t by_addr_count;
	bool loaded, names_indexed, addrs_indexed;
};

struct gi_elf {
	struct gi_elf *_Atomic next_mapped; // see mapped.c
	char *path;
	char *unpacking_note; // or NULL
	const uint8_t *bytes;
	size_t size;
	struct stat opened; // the file itself as it was then; st_nlink 0: a copy is mapped
	struct gi_elf_ident ident;
	uint64_t phnum; // as declared; the file may hold fewer
	size_t phnum_held;
	const uint8_t *shdrs;
	size_t shnum; // held by the file
	const char *shstr;
	size_t shstr_size;

	pthread_mutex_t lock; // of what is made on first use, below
	struct elf_unpacked *unpacked;
	struct elf_symtab symtab;
	struct gi_elf *alt; // see gi_elf_alt, owned
	bool ids_read;
	struct gi_build_id build_id;
	char go_build_id[256];
};

/** The bytes of [off, off + n) of the file, or NULL. */
static inline const uint8_t *elf_at(const struct gi_elf *elf, uint64_t off, uint64_t n)
{
	return gi_in_bounds(off, n, elf->size) ? elf->bytes + off : NULL;
}

struct elf_section gi_elf_section_header(const struct gi_elf *elf, size_t i);
/** False if there is none with contents. */
bool gi_elf_find_section(const struct gi_elf *elf, const char *name, size_t *index_ret,
			 struct elf_section *ret);
/** The same, or for ".debug_x" the section ".zdebug_x". */
bool gi_elf_find_either(const struct gi_elf *elf, const char *name, size_t *index_ret,
			struct elf_section *ret);
/** The bytes of an uncompressed section, cut at the end of the file. */
const uint8_t *gi_elf_section_bytes(const struct gi_elf *elf, const struct elf_section *sec,
				    size_t *size_ret);
/** What a compressed section says of itself. */
struct elf_packed {
	const uint8_t *stream;
	size_t stream_size;
	uint64_t size; // unpacked
	uint32_t type; // ELFCOMPRESS_ZLIB, ...
};
/** An error if it cannot be true. */
struct gi_error *gi_elf_packed_read(const struct gi_elf *elf, const struct elf_section *sec,
				    struct elf_packed *ret) GI_MUST_CHECK;
/** True if sec is compressed in either way. */
bool gi_elf_section_is_packed(const struct elf_section *sec);
/** Decompresses section i; elf->lock is held. */
struct gi_error *gi_elf_unpack(struct gi_elf *elf, size_t i, const struct elf_section *sec,
			       const struct elf_unpacked **ret) GI_MUST_CHECK;
void gi_elf_unpacked_destroy(struct elf_unpacked *u);
void gi_elf_symtab_deinit(struct elf_symtab *st);

/** Unpacks n bytes in memory, of the one way of compression named, to at most max. malloc'd. */
struct gi_error *gi_elf_unpack_bytes(const char *path, const char *filter, const uint8_t *data,
				     size_t n, size_t max, uint8_t **ret,
				     size_t *size_ret) GI_MUST_CHECK;

bool gi_build_id_equal(const struct gi_build_id *a, const struct gi_build_id *b);
/** Opens a file that a search came upon; NULL if it is not there or cannot be used. */
struct gi_elf *gi_debug_try(const char *path, struct gi_debug_search *s);
/** Adds to the files that were passed over. */
void gi_debug_refuse(struct gi_debug_search *s, const char *path, const char *why);
/** DIR/.build-id/ab/cdef.debug is appended to path. */
void gi_debug_build_id_path(const char *dir, const struct gi_build_id *id, struct gi_str *path);
/** The folder of a file, malloc'd; NULL without memory. */
char *gi_debug_dir_of(const char *path);
/** Asks the servers of s, if it has any, for the debug file of that ID. */
bool gi_debug_ask_servers(struct gi_debug_search *s, const struct gi_build_id *id,
			  struct gi_str *path);

/** An error unless head, the first n bytes of a file, begins a 64-bit little-endian ELF file. */
struct gi_error *gi_elf_check_ident(const char *path, const uint8_t *head, size_t n) GI_MUST_CHECK;
/** What a file that is no ELF file is, as "is ...", by its first bytes. */
const char *gi_elf_describe_other(const uint8_t *head, size_t n);

#endif
