// poke: changes one word of the memory in a core file.
//
//	poke [-through] CORE ADDRESS LENGTH OLD NEW
//
// Of the words in LENGTH bytes from ADDRESS the one that is OLD becomes NEW. There must be exactly one:
// so a test needs to know which record holds a pointer, and not where in it. With -through the word is
// looked for in the slices that the record has (three words: address, length, capacity), in as many words
// as they are long, and not in the record itself.
//
// Exit 0: it was changed; 1: there is no such word, or there are several; 2: anything else.

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_MAX = 1 << 20 }; // of a slice

static uint8_t *file;
static size_t file_size;
static uint64_t *found, found_count;

static void die(const char *what)
{
	fprintf(stderr, "poke: %s\n", what);
	exit(2);
}

// The bytes at an address, and how many there are from there on; NULL: none.
static uint8_t *at(uint64_t addr, uint64_t *left)
{
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)file;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(file + head->e_phoff);

	for (unsigned i = 0; i < head->e_phnum; i++) {
		if (ph[i].p_type != PT_LOAD || addr < ph[i].p_vaddr ||
		    addr - ph[i].p_vaddr >= ph[i].p_filesz ||
		    ph[i].p_offset > file_size || ph[i].p_filesz > file_size - ph[i].p_offset)
			continue;
		*left = ph[i].p_filesz - (addr - ph[i].p_vaddr);
		return file + ph[i].p_offset + (addr - ph[i].p_vaddr);
	}
	return NULL;
}

static void look(uint64_t addr, uint64_t len, uint64_t old)
{
	uint64_t left;
	uint8_t *p = at(addr, &left);

	for (uint64_t i = 0; p && i + 8 <= len && i + 8 <= left; i += 8) {
		if (memcmp(p + i, &old, sizeof(old)) != 0)
			continue;
		if (found != (uint64_t *)(p + i)) // two may point to the same
			found_count++;
		found = (uint64_t *)(p + i);
	}
}

int main(int argc, char **argv)
{
	const bool through = argc > 1 && strcmp(argv[1], "-through") == 0;
	struct stat st;
	uint64_t n[4], left;

	argv += through;
	if (argc - through != 6)
		die("usage: poke [-through] CORE ADDRESS LENGTH OLD NEW");
	for (int i = 0; i < 4; i++)
		n[i] = strtoull(argv[2 + i], NULL, 0);
	int fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size < sizeof(Elf64_Ehdr))
		die("no such core file");
	file_size = (size_t)st.st_size;
	file = mmap(NULL, file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED || memcmp(file, ELFMAG, SELFMAG) != 0)
		die("this is no core file");
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)file;
	if (head->e_phoff > file_size ||
	    head->e_phnum > (file_size - head->e_phoff) / sizeof(Elf64_Phdr))
		die("its headers are cut off");
	const uint8_t *record = at(n[0], &left);
	if (!through) {
		look(n[0], n[1], n[2]);
	} else {
		for (uint64_t i = 0; record && i + 24 <= n[1] && i + 24 <= left; i += 8) {
			uint64_t slice[3];

			memcpy(slice, record + i, sizeof(slice));
			if (slice[1] <= slice[2] && slice[2] <= LENGTH_MAX)
				look(slice[0], slice[1] * 8, n[2]);
		}
	}
	if (found_count != 1) {
		fprintf(stderr, "poke: %llu words are %s\n", (unsigned long long)found_count, argv[4]);
		return 1;
	}
	memcpy(found, &n[3], sizeof(n[3]));
	return 0;
}
