// What a file is that was given for an ELF file, and of which machine: the words of error
// messages.

#include "elf/elf_private.h"

#include <elf.h>
#include <string.h>

static const struct {
	const char *magic;
	size_t n;
	const char *text;
} kinds[] = {
	{ "\x28\xb5\x2f\xfd", 4, "is compressed with zstd: unpack it first with \"zstd -d\"" },
	{ "\x1f\x8b", 2, "is compressed with gzip: unpack it first with \"gzip -d\"" },
	{ "\xfd"
	  "7zXZ\0",
	  6, "is compressed with xz: unpack it first with \"xz -d\"" },
	{ "BZh", 3, "is compressed with bzip2: unpack it first with \"bzip2 -d\"" },
	{ "\x04\x22\x4d\x18", 4, "is compressed with lz4: unpack it first with \"lz4 -d\"" },
	{ "\x02\x21\x4c\x18", 4, "is compressed with lz4: unpack it first with \"lz4 -d\"" },
	{ "PK\x03\x04", 4, "is a zip archive: unpack it first with \"unzip\"" },
	{ "MDMP", 4, "is a Windows minidump, not an ELF file" },
	{ "\xcf\xfa\xed\xfe", 4, "is a Mach-O file, not an ELF file" },
	{ "\x7f"
	  "EL",
	  3, "is cut off inside of its ELF header" },
	{ "!<arch>\n", 8, "is an ar archive, not an ELF file" },
	{ "#!", 2, "is a script, not an ELF file" },
	{ "\0asm", 4, "is a WebAssembly module, not an ELF file" },
};

static bool looks_like_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < 0x20 && !strchr("\t\n\r\f\v\b\033", p[i]))
			return false;
		if (p[i] == 0 || p[i] == 0x7f)
			return false;
	}
	return n > 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

const char *gi_elf_describe_other(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(kinds); i++) {
		if (n >= kinds[i].n && memcmp(head, kinds[i].magic, kinds[i].n) == 0)
			return kinds[i].text;
	}
	if (n > 262 && memcmp(head + 257, "ustar", 5) == 0)
		return "is a tar archive: unpack it first with \"tar -xf\"";
	if (all_zero(head, n))
		return "begins with zeros: it is damaged, or no ELF file";
	if (looks_like_text(head, n))
		return "is a text file, not an ELF file";
	return "is not an ELF file";
}

const char *gi_elf_describe_foreign(struct gi_elf *elf)
{
	size_t n;
	const uint8_t *p = gi_elf_bytes(elf, &n);

	// The packer's header follows the program headers; there are no sections.
	if (memmem(p, gi_min_u64(n, 4096), "UPX!", 4) && !gi_elf_has_section(elf, ".text"))
		return "is packed with UPX, and the program is unpacked in memory only: name the "
		       "file as it was before (or \"upx -d\" of a copy) with --exe";
	if (gi_elf_has_section(elf, ".go_export") || gi_elf_imports(elf, "__go_go"))
		return "was built by gccgo: only programs of the Go project's own compiler (gc) "
		       "are supported";
	return NULL;
}

const char *gi_elf_machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_X86_64:
		return "amd64";
	case EM_AARCH64:
		return "arm64";
	case EM_386:
		return "x86";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	case EM_PPC:
		return "ppc";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_LOONGARCH:
		return "loong64";
	case EM_MIPS:
		return "mips";
	case EM_SPARC:
	case EM_SPARCV9:
		return "sparc";
	}
	return NULL;
}
