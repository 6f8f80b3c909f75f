/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files made in memory. */
#include "pgo/core/alloc.h"
#include "pgo/core/elf_impl.h"

#include <string.h>

#define ALIGN 16

static size_t aligned(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/* Sections in the order given, then their names, then the headers: [0] nothing, the parts, the
 * names. */
uint8_t *pgo_elf_image(
	enum pgo_machine machine, const struct pgo_elf_part *parts, size_t n, size_t *ret_len)
{
	size_t at = aligned(sizeof(Elf64_Ehdr)), names = at, name = 1, total;
	Elf64_Ehdr h = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = machine == PGO_MACHINE_AARCH64 ? EM_AARCH64 : EM_X86_64,
		.e_version = EV_CURRENT,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = (Elf64_Half)(n + 2),
		.e_shstrndx = (Elf64_Half)(n + 1)};
	size_t names_len = 1 + sizeof ".names";
	Elf64_Shdr s = {0};
	uint8_t *image;

	for (size_t i = 0; i < n; i++) {
		names += aligned(parts[i].len);
		names_len += strlen(parts[i].name) + 1;
	}
	h.e_shoff = aligned(names + names_len);
	total = h.e_shoff + (n + 2) * sizeof s;
	image = pgo_calloc(total, 1);
	if (image == NULL)
		return NULL;
	memcpy(image, &h, sizeof h);
	for (size_t i = 0; i <= n; i++) {
		const char *text = i < n ? parts[i].name : ".names";
		size_t len = i < n ? parts[i].len : names_len;

		s = (Elf64_Shdr){.sh_name = (Elf64_Word)name,
			.sh_type = i < n ? SHT_PROGBITS : SHT_STRTAB,
			.sh_offset = i < n ? at : names,
			.sh_size = len,
			.sh_addralign = 1};
		if (i < n && len != 0)
			memcpy(image + at, parts[i].data, len);
		memcpy(image + names + name, text, strlen(text) + 1);
		memcpy(image + h.e_shoff + (i + 1) * sizeof s, &s, sizeof s);
		name += strlen(text) + 1;
		at += i < n ? aligned(len) : 0;
	}
	*ret_len = total;
	return image;
}
