/* SPDX-License-Identifier: Apache-2.0 */
#include "emuelf.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_notes(const uint8_t *p, uint64_t size, struct emu_elf *elf)
{
	uint64_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		uint64_t name, desc;

		memcpy(&n, p + at, sizeof(n));
		name = at + sizeof(n);
		desc = name + ((uint64_t)n.n_namesz + 3) / 4 * 4;
		at = desc + ((uint64_t)n.n_descsz + 3) / 4 * 4;
		if (at > size)
			return;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && !memcmp(p + name, "GNU", 4) &&
			n.n_descsz <= sizeof(elf->build_id)) {
			memcpy(elf->build_id, p + desc, n.n_descsz);
			elf->build_id_size = n.n_descsz;
			return;
		}
	}
}

static int parse(const uint8_t *p, uint64_t size, struct emu_elf *elf)
{
	Elf64_Ehdr eh;
	unsigned i;

	if (size < sizeof(eh))
		return -1;
	memcpy(&eh, p, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
		eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_phoff > size ||
		eh.e_phentsize != sizeof(Elf64_Phdr) ||
		(size - eh.e_phoff) / sizeof(Elf64_Phdr) < eh.e_phnum)
		return -1;
	elf->type = eh.e_type;
	elf->machine = eh.e_machine;
	for (i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, p + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_offset > size || ph.p_filesz > size - ph.p_offset)
			continue;
		if (ph.p_type == PT_NOTE && !elf->build_id_size)
			read_notes(p + ph.p_offset, ph.p_filesz, elf);
		if (ph.p_type == PT_LOAD && elf->n_loads < EMU_ELF_LOADS) {
			elf->load[elf->n_loads].offset = ph.p_offset;
			elf->load[elf->n_loads].vaddr = ph.p_vaddr;
			elf->load[elf->n_loads].filesz = ph.p_filesz;
			elf->load[elf->n_loads].memsz = ph.p_memsz;
			elf->load[elf->n_loads++].flags = ph.p_flags;
		}
	}
	return 0;
}

int emu_elf_read(const char *path, struct emu_elf *ret_elf)
{
	struct emu_elf elf = {0};
	struct stat st;
	void *p = MAP_FAILED;
	int fd, rc = -1;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p != MAP_FAILED) {
		rc = parse(p, (uint64_t)st.st_size, &elf);
		munmap(p, (size_t)st.st_size);
	}
	close(fd);
	if (!rc)
		*ret_elf = elf;
	return rc;
}
