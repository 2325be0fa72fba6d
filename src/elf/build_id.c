// Notes, and the build IDs in them.
//
// A note is {namesz, descsz, type}, the name, the descriptor, each padded to 4
// bytes. GNU's build ID is note 3 of owner "GNU"; Go's is note 4 of owner "Go",
// and its descriptor is a text such as "abc/def/ghi/jkl" (cmd/link's elf.go).

#include "elf/elf_private.h"

#include <stdio.h>
#include <string.h>

enum { NOTE_HEADER = 12, NOTE_GNU_BUILD_ID = 3, NOTE_GO_BUILD_ID = 4, PHDR_SIZE = 56 };

bool gi_elf_note_next(const uint8_t *data, size_t size, size_t *off, struct gi_elf_note *ret)
{
	if (*off > size || size - *off < NOTE_HEADER)
		return false;
	const uint8_t *p = data + *off;
	uint64_t namesz = gi_load_u32(p), descsz = gi_load_u32(p + 4);
	uint64_t left = size - *off - NOTE_HEADER;
	uint64_t name_room = (namesz + 3) & ~(uint64_t)3;
	if (name_room > left || descsz > left - name_room)
		return false;
	ret->type = gi_load_u32(p + 8);
	ret->name = (const char *)p + NOTE_HEADER;
	ret->name_len = namesz;
	while (ret->name_len && !ret->name[ret->name_len - 1])
		ret->name_len--;
	ret->desc = p + NOTE_HEADER + name_room;
	ret->desc_len = descsz;
	// The last note's padding may be missing.
	uint64_t desc_room = gi_min_u64((descsz + 3) & ~(uint64_t)3, left - name_room);
	*off += NOTE_HEADER + name_room + desc_room;
	return true;
}

static void ids_from_notes(const uint8_t *data, size_t size, struct gi_build_id *id,
			   char *go_id, size_t go_id_size)
{
	struct gi_elf_note note;
	for (size_t off = 0; gi_elf_note_next(data, size, &off, &note);) {
		if (note.type == NOTE_GNU_BUILD_ID && note.name_len == 3 &&
		    !memcmp(note.name, "GNU", 3) && !id->len && note.desc_len &&
		    note.desc_len <= sizeof(id->bytes)) {
			memcpy(id->bytes, note.desc, note.desc_len);
			id->len = note.desc_len;
		} else if (note.type == NOTE_GO_BUILD_ID && note.name_len == 2 &&
			   !memcmp(note.name, "Go", 2) && !go_id[0] && go_id_size) {
			size_t n = gi_min_u64(note.desc_len, go_id_size - 1);
			size_t k = 0;
			// It is printed in messages: nothing but printable ASCII belongs there.
			while (k < n && note.desc[k] > 0x20 && note.desc[k] < 0x7f)
				k++;
			memcpy(go_id, note.desc, k);
			go_id[k] = '\0';
		}
	}
}

static void ids_read(struct gi_elf *elf)
{
	if (elf->ids_read)
		return;
	elf->ids_read = true;
	for (size_t i = 0; i < elf->phnum_held; i++) {
		struct gi_elf_segment seg = gi_elf_segment(elf, i);
		if (seg.type != PT_NOTE || seg.offset >= elf->size)
			continue;
		ids_from_notes(elf->bytes + seg.offset,
			       gi_min_u64(seg.filesz, elf->size - seg.offset), &elf->build_id,
			       elf->go_build_id, sizeof(elf->go_build_id));
	}
	for (size_t i = 1; i < elf->shnum; i++) {
		struct elf_section sec = gi_elf_section_header(elf, i);
		size_t size;
		const uint8_t *data = gi_elf_section_bytes(elf, &sec, &size);
		if (sec.type == SHT_NOTE && data && !(sec.flags & SHF_COMPRESSED))
			ids_from_notes(data, size, &elf->build_id, elf->go_build_id,
				       sizeof(elf->go_build_id));
	}
}

struct gi_build_id gi_elf_build_id(struct gi_elf *elf)
{
	pthread_mutex_lock(&elf->lock);
	ids_read(elf);
	pthread_mutex_unlock(&elf->lock);
	return elf->build_id;
}

const char *gi_elf_go_build_id(struct gi_elf *elf)
{
	pthread_mutex_lock(&elf->lock);
	ids_read(elf);
	pthread_mutex_unlock(&elf->lock);
	return elf->go_build_id;
}

void gi_build_id_format(const struct gi_build_id *id, char *buf, size_t n)
{
	size_t at = 0;
	if (!n)
		return;
	for (size_t i = 0; i < id->len && i < sizeof(id->bytes) && n - at > 2; i++) {
		buf[at++] = "0123456789abcdef"[id->bytes[i] >> 4];
		buf[at++] = "0123456789abcdef"[id->bytes[i] & 15];
	}
	buf[at] = '\0';
}

// Go's linker (1.24 to 1.27 at least) puts GNU's note right behind Go's and does not count it to
// the PT_NOTE. Nothing but that very note is believed there.
static void id_behind(const uint8_t *image, size_t n, size_t at, struct gi_build_id *id)
{
	struct gi_elf_note note;
	size_t off = 0;
	at = (at + 3) & ~(size_t)3;
	if (at < n && gi_elf_note_next(image + at, n - at, &off, &note) &&
	    note.type == NOTE_GNU_BUILD_ID && note.name_len == 3 && !memcmp(note.name, "GNU", 3) &&
	    note.desc_len >= 8 && note.desc_len <= 32) {
		memcpy(id->bytes, note.desc, note.desc_len);
		id->len = note.desc_len;
	}
}

bool gi_build_id_from_image(const uint8_t *image, size_t n, struct gi_build_id *id_ret,
			    char *go_id, size_t go_id_size)
{
	struct gi_build_id id = { .len = 0 };
	if (go_id_size)
		go_id[0] = '\0';
	if (n < sizeof(Elf64_Ehdr) || memcmp(image, ELFMAG, SELFMAG) != 0 ||
	    image[EI_CLASS] != ELFCLASS64 || image[EI_DATA] != ELFDATA2LSB ||
	    gi_load_u16(image + 54) != PHDR_SIZE)
		return false;
	uint64_t phoff = gi_load_u64(image + 32);
	size_t phnum = gi_load_u16(image + 56);
	for (size_t i = 0; i < phnum; i++) {
		if (phoff > n || n - phoff < (i + 1) * PHDR_SIZE)
			break;
		const uint8_t *p = image + phoff + i * PHDR_SIZE;
		uint64_t off = gi_load_u64(p + 8), size = gi_load_u64(p + 32);
		if (gi_load_u32(p) != PT_NOTE || off >= n)
			continue;
		size = gi_min_u64(size, n - off);
		ids_from_notes(image + off, size, &id, go_id, go_id_size);
		if (!id.len)
			id_behind(image, n, off + size, &id);
	}
	*id_ret = id;
	return id.len > 0 || (go_id_size && go_id[0]);
}
