// ELF files: sections, segments, symbols, notes, build IDs, separate debug files.
#ifndef GCORE_ELF_H
#define GCORE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcore/base.h"
#include "gcore/error.h"

/** An ELF file, mapped read-only. Its bytes are untrusted; every accessor is bounded. */
struct gi_elf;

struct gi_elf_ident {
	uint16_t type;	  // ET_EXEC, ET_DYN, ET_CORE, ...
	uint16_t machine; // EM_X86_64, ...
	uint64_t entry;
	uint64_t phoff;
	uint16_t phentsize;
};

struct gi_elf_segment {
	uint32_t type; // PT_LOAD, ...
	uint32_t flags; // PF_R | PF_W | PF_X
	uint64_t vaddr;
	uint64_t offset;
	uint64_t filesz; // what the header says; the file may be shorter
	uint64_t memsz;
	uint64_t align;
};

struct gi_elf_symbol {
	const char *name; // borrowed from the file
	uint64_t value;	  // link-time address, no bias
	uint64_t size;
	uint8_t type; // STT_FUNC, STT_OBJECT, ...
	uint8_t bind;
};

struct gi_build_id {
	uint8_t bytes[64];
	size_t len; // 0: none
};

/**
 * Opens and maps path. Errors (GI_ERR_IO, GI_ERR_FORMAT, GI_ERR_UNSUPPORTED for
 * 32-bit or big-endian files) name the file and say what it is instead
 * ("is empty", "is a text file", "is compressed with zstd: unpack it first").
 */
struct gi_error *gi_elf_open(const char *path, struct gi_elf **ret) GI_MUST_CHECK;

/** "amd64", "s390x", ...: a machine's name for messages, also of those that are not supported; NULL if unknown. */
const char *gi_elf_machine_name(uint16_t machine);

/** How a compressed file is unpacked. All-zero: into a temporary file that has no name. */
struct gi_elf_unpacking {
	const char *cache_dir; // keep unpacked files there, for the next time; or NULL
	uint64_t max_size;     // unpack no more bytes; 0: GI_ELF_UNPACKED_MAX
	// Called now and then, if not NULL: bytes of the compressed file that were read.
	void (*progress)(void *arg, const char *path, uint64_t done, uint64_t total);
	void *progress_arg;
};
#define GI_ELF_UNPACKED_MAX ((uint64_t)256 << 30)
/**
 * The same as gi_elf_open, and for a file that is compressed as a whole (zstd, lz4, xz, gzip,
 * bzip2; told by its contents): unpacks it and opens what was in it, under the name of path.
 * A compressed file that is cut off or damaged gives what came before that: see
 * gi_elf_unpacking_note. GI_ERR_INTERRUPTED after Ctrl-C; nothing stays behind then.
 */
struct gi_error *gi_elf_open_packed(const char *path, const struct gi_elf_unpacking *unpacking,
				    struct gi_elf **ret) GI_MUST_CHECK;
/** What went wrong in unpacking, one line; NULL if nothing did. Borrowed, as long as elf. */
const char *gi_elf_unpacking_note(const struct gi_elf *elf);

/**
 * For a handler of SIGBUS, which reading a mapped file ends in when the file was cut short
 * meanwhile or its disk fails: the path of the open file that is mapped at addr, where in
 * it that is, and how long the file was; NULL if there is none. Async-signal-safe.
 */
const char *gi_elf_mapped_at(const void *addr, uint64_t *off_ret, uint64_t *size_ret);

/**
 * GI_ERR_IO if the file was written to since it was opened: what was read of it may be of two
 * files. (One that another took the place of, by a rename, is still read as it was.)
 */
struct gi_error *gi_elf_check_unchanged(const struct gi_elf *elf) GI_MUST_CHECK;

/**
 * Appends to ret where path leads for a process whose root is the folder root: ".." and symbolic
 * links, absolute ones too, stay inside of it. ret has no links behind root. GI_ERR_IO if
 * there is no such file.
 */
struct gi_error *gi_elf_resolve(const char *root, const char *path, struct gi_str *ret) GI_MUST_CHECK;

/** An ELF image in memory, which is copied (a core's vDSO). name stands for its path. */
struct gi_error *gi_elf_open_image(const char *name, const uint8_t *image, size_t n,
				   struct gi_elf **ret) GI_MUST_CHECK;
/**
 * The same of what gi_elf_pack() made: n packed bytes that must unpack to size bytes, which are
 * at most GI_ELF_PACKED_MAX.
 */
struct gi_error *gi_elf_open_packed_image(const char *name, const uint8_t *packed, size_t n,
					  uint64_t size, struct gi_elf **ret) GI_MUST_CHECK;
#define GI_ELF_PACKED_MAX ((uint64_t)2 << 30)
/** Bytes of a file that a copy of it lacks. */
struct gi_elf_hole {
	uint64_t off, len;
};
/**
 * A copy of the file for gi_elf_open_packed_image(), without the contents of those sections for
 * which leave_out says true: to a reader they are sections without contents. holes (sorted,
 * malloc'd) are the parts of segments that are lost so. *packed is malloc'd.
 */
struct gi_elf_packed {
	uint8_t *packed;
	size_t packed_size;
	uint64_t size;
	struct gi_elf_hole *holes;
	size_t hole_count;
};
typedef bool (*gi_elf_leave_out_fn)(void *arg, const char *section);
struct gi_error *gi_elf_pack(const struct gi_elf *elf, gi_elf_leave_out_fn leave_out, void *arg,
			     struct gi_elf_packed *ret) GI_MUST_CHECK;
void gi_elf_packed_deinit(struct gi_elf_packed *p);
/** alt, which belongs to elf from then on, is its gi_elf_alt(). Nothing if it has one. */
void gi_elf_set_alt(struct gi_elf *elf, struct gi_elf *alt);

void gi_elf_close(struct gi_elf *elf);
GI_DEFINE_CLEANUP(struct gi_elf *, gi_elf_closep, gi_elf_close)

/** Borrowed, as long as elf. */
const char *gi_elf_path(const struct gi_elf *elf);
struct gi_elf_ident gi_elf_ident(const struct gi_elf *elf);
/** The whole mapped file. */
const uint8_t *gi_elf_bytes(const struct gi_elf *elf, size_t *size_ret);

size_t gi_elf_segment_count(const struct gi_elf *elf); // PN_XNUM handled
/** What the header says; more than gi_elf_segment_count() if the file is cut off. */
uint64_t gi_elf_segment_count_declared(const struct gi_elf *elf);
/**
 * How long the file must be for all that its headers name (program headers, segments, sections
 * and their table); more than its size if it is cut off.
 */
uint64_t gi_elf_size_declared(const struct gi_elf *elf);
struct gi_elf_segment gi_elf_segment(const struct gi_elf *elf, size_t i);

/**
 * A section's bytes, decompressed if it was compressed (cached, borrowed as long
 * as elf). GI_ERR_NOT_FOUND when there is no such section, or it has no contents
 * (SHT_NOBITS). .debug_x is also found as .zdebug_x. addr_ret may be NULL.
 */
struct gi_error *gi_elf_section(struct gi_elf *elf, const char *name, const uint8_t **data_ret,
				size_t *size_ret, uint64_t *addr_ret) GI_MUST_CHECK;
bool gi_elf_has_section(struct gi_elf *elf, const char *name);

/** .symtab's, else .dynsym's, symbols. An empty table is not an error. */
size_t gi_elf_symbol_count(struct gi_elf *elf);
bool gi_elf_symbol(struct gi_elf *elf, size_t i, struct gi_elf_symbol *ret);
/** By exact name, through an index made on first use. */
bool gi_elf_symbol_by_name(struct gi_elf *elf, const char *name, struct gi_elf_symbol *ret);
/** The defined symbol whose [value, value+size) holds addr (link-time), through an index. */
bool gi_elf_symbol_by_addr(struct gi_elf *elf, uint64_t addr, struct gi_elf_symbol *ret);

/** Is the name in .dynsym, without a definition there, or with one? A walk through the table. */
bool gi_elf_imports(struct gi_elf *elf, const char *name);
bool gi_elf_exports(struct gi_elf *elf, const char *name);

/** GNU build ID (len 0 if none), and Go's own build ID ("" if none; borrowed). */
struct gi_build_id gi_elf_build_id(struct gi_elf *elf);
const char *gi_elf_go_build_id(struct gi_elf *elf);
/** Hex text in buf (at least 129 bytes). */
void gi_build_id_format(const struct gi_build_id *id, char *buf, size_t n);
/** Build IDs in an in-memory image of an ELF file's first bytes (a core's saved first page). */
bool gi_build_id_from_image(const uint8_t *image, size_t n, struct gi_build_id *id_ret,
			    char *go_id, size_t go_id_size);

/** True if the file looks like it was linked by Go (.gopclntab, .go.buildinfo or the Go note). */
bool gi_elf_is_go(struct gi_elf *elf);
/**
 * What the file is instead, if another tool made it what it is (UPX, gccgo): the end of a
 * sentence that begins with its name, or NULL.
 */
const char *gi_elf_describe_foreign(struct gi_elf *elf);

// --- separate debug files ------------------------------------------------------

/** Servers of debug files; see below. */
struct gi_debuginfod;

/** A search for debug files: where, in this order, and what came of it. All-zero: nowhere. */
struct gi_debug_search {
	const char *const *dirs; // debug folders, as /usr/lib/debug is; borrowed
	size_t dir_count;
	const char *sysroot;	       // the root that the program's file lies below, or NULL
	struct gi_debuginfod *servers; // asked when no file is found, or NULL; borrowed
	// Each search adds:
	struct gi_str tried;   // what was looked for, ", " between
	struct gi_str refused; // "PATH: why not\n" for each file that is there and of no use
	const char *how;       // the last file was found: "by build ID", ...; static
};
void gi_debug_search_deinit(struct gi_debug_search *s);

/**
 * Finds the separate debug file of elf: by build ID (.build-id below each folder), by
 * .gnu_debuglink and then by the name with ".debug" (beside the file, in .debug there, below
 * each folder by the file's path and directly), at last from the servers. It must have the
 * same build ID (GNU's, else Go's), or, without one, the CRC of the link. GI_ERR_NOT_FOUND
 * says where it was looked for.
 */
struct gi_error *gi_elf_open_debug(struct gi_elf *elf, struct gi_debug_search *search,
				   struct gi_elf **ret) GI_MUST_CHECK;

/**
 * The file that dwz moved common debug information to, which elf names in .gnu_debugaltlink
 * or .debug_sup: name is borrowed from elf, as it says it.
 */
struct gi_elf_alt_link {
	const char *name;
	struct gi_build_id id; // of that file
};
/** False if elf names none. */
bool gi_elf_alt_link(struct gi_elf *elf, struct gi_elf_alt_link *ret);
/** Finds it; its ID is checked. *ret belongs to elf, which has it as gi_elf_alt from then on. */
struct gi_error *gi_elf_open_alt(struct gi_elf *elf, struct gi_debug_search *search,
				 struct gi_elf **ret) GI_MUST_CHECK;
/** NULL as long as it was not opened. */
struct gi_elf *gi_elf_alt(struct gi_elf *elf);

/** The symbol table in .gnu_debugdata ("mini debug information"). GI_ERR_NOT_FOUND if none. */
struct gi_error *gi_elf_open_mini(struct gi_elf *elf, struct gi_elf **ret) GI_MUST_CHECK;

/** Debug files and executables by build ID from the servers that $DEBUGINFOD_URLS names. */
struct gi_debuginfod_options {
	uint64_t max_size; // of a file; 0: GI_DEBUGINFOD_SIZE_MAX
	// Called now and then, if not NULL: bytes that came, and how many there are (0: unknown).
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *progress_arg;
};
#define GI_DEBUGINFOD_SIZE_MAX ((uint64_t)8 << 30)
/** GI_ERR_UNSUPPORTED: libdebuginfod is not on this machine; GI_ERR_USAGE: no server is named. */
struct gi_error *gi_debuginfod_open(const struct gi_debuginfod_options *opts,
				    struct gi_debuginfod **ret) GI_MUST_CHECK;
void gi_debuginfod_close(struct gi_debuginfod *d);
enum gi_debuginfod_kind { GI_DEBUGINFOD_DEBUG, GI_DEBUGINFOD_EXECUTABLE };
/**
 * Gets a file; the name of its copy here, which libdebuginfod keeps, is added to path. A
 * Ctrl-C stops the download, not the program: the interrupt is cleared. After that, and after
 * a server that does not answer, nothing more is asked for. Thread-safe.
 */
struct gi_error *gi_debuginfod_fetch(struct gi_debuginfod *d, const struct gi_build_id *id,
				     enum gi_debuginfod_kind kind, struct gi_str *path) GI_MUST_CHECK;

/** One note of a PT_NOTE segment or SHT_NOTE section. */
struct gi_elf_note {
	const char *name; // borrowed, not NUL-terminated: name_len bytes, without the final NUL
	size_t name_len;
	uint32_t type;
	const uint8_t *desc;
	size_t desc_len;
};
/** Iterates notes in [*off, size); false at the end or at a malformed one. */
bool gi_elf_note_next(const uint8_t *data, size_t size, size_t *off, struct gi_elf_note *ret);

#endif
