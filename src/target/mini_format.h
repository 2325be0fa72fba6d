// A mini dump: a core that holds, beside the notes of every core, what else is needed to read it
// on a machine that has neither the executable nor the libraries. src/dump writes it,
// mini.c reads it; this is what they agree on.
//
// All of it is notes of owner "GCORE", little-endian, without padding. A string is its length (u32)
// and its bytes. Memory is in PT_LOADs, each a piece of what was a mapping.
//
//   HEAD      u32 version, u32 flags, u64 page size, u64 when (seconds since 1970),
//             string: version of the program that wrote it, string: what it was made of,
//             string: executable's name as the process knew it (empty: none),
//             u32 count and strings: what was to be known of what it was made of,
//             u32 count and u32s: modules that have Go runtimes beside the executable's
//   MAPPINGS  u64 count, each: u64 start, u64 end, u64 offset in the file, u64 saved before,
//             u32 flags, u32 path, u32 module (both UINT32_MAX: none); u32 count of paths and those;
//             u64 count of stories, each: u64 start, u64 length, u32 why (0: it could be read
//             of what this was made of)
//   MODULE    u32 index, u32 flags, u64 where it was mapped, u64 bias, strings: name, why it is
//             missing, how its debug file was found
//   IMAGE     u32 module, u32 kind, string path, u64 size, u32 count of holes, each: u64 offset,
//             u64 length; then the packed file
//   ANSWER    string name; then the answer
//
// A whole core of a running process has notes of that owner, too, which make no mini dump of it:
//
//   MOMENT    u64 CLOCK_MONOTONIC, in nanoseconds, when the process was stopped
//
// and one if it was not stopped at all. A mini dump of a process has it where memory in it was read after
// the stop:
//
//   LATE      u32 flags, u64 nanoseconds of the stop, u64 count, each: u64 start, u64 length, ascending
#ifndef TARGET_MINI_FORMAT_H
#define TARGET_MINI_FORMAT_H

#define MINI_OWNER "GCORE"
enum {
	MINI_VERSION = 1,

	MINI_HEAD = 1,
	MINI_MAPPINGS = 2,
	MINI_MODULE = 3,
	MINI_IMAGE = 4,
	MINI_ANSWER = 5,
	MINI_MOMENT = 16,
	MINI_LATE = 17,

	MINI_NO_PRIVATE = 1, // of HEAD: see struct core

	MINI_LATE_VERDICTS = 1, // of LATE: see struct gi_process_info
	MINI_NEVER_STOPPED = 2,

	MINI_OVERLAID = 1 << 8, // of a mapping, beside GI_MAP_*

	MINI_HAS_WHY = 1, // of MODULE
	MINI_HAS_HOW = 2,
	MINI_HAS_NAME = 4,

	MINI_IMAGE_FILE = 0,
	MINI_IMAGE_DEBUG = 1,
	MINI_IMAGE_ALT = 2, // of the executable's debug information
};

#endif
