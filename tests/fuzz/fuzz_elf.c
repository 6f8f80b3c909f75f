/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an ELF file: refused with a sentence, or every question about it answered from
 * within the file and consistently.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

/* Reads the ends of a piece of the file, so that a sanitizer sees where it lies. */
static void touch(const uint8_t *p, size_t len)
{
	volatile uint8_t sink;

	if (p == NULL || len == 0)
		return;
	sink = p[0];
	sink = p[len - 1];
	(void)sink;
}

static void ask_address(const struct pgo_elf *e, uint64_t addr)
{
	const struct pgo_symbol *s = pgo_elf_symbol(e, addr);
	const uint8_t *p;
	uint64_t v;
	size_t len = 0;

	if (s != NULL) {
		demand(s >= e->symbols && s < e->symbols + e->n_symbols);
		demand(s->addr <= addr && (s->size == 0 || addr - s->addr < s->size));
	}
	p = pgo_elf_code(e, addr, &len);
	touch(p, p != NULL ? len : 0);
	p = pgo_elf_data(e, addr, &len);
	touch(p, p != NULL ? len : 0);
	(void)!pgo_elf_is_code(e, addr);
	if (pgo_elf_vaddr_to_offset(e, addr, &v))
		demand(pgo_elf_offset_to_vaddr(e, v, &v));
}

static void ask_all(const struct pgo_elf *e)
{
	for (size_t i = 0; i < e->n_symbols && i < 2000; i++) {
		demand(e->symbols[i].name[0] != '\0');
		demand(i == 0 || e->symbols[i - 1].addr <= e->symbols[i].addr);
		ask_address(e, e->symbols[i].addr);
		ask_address(e, e->symbols[i].addr + e->symbols[i].size);
	}
	for (size_t i = 0; i < e->n_plt; i++) {
		size_t len;

		demand(strlen(e->plt[i].name) > 0);
		touch(pgo_elf_code(e, e->plt[i].addr, &len), 1);
	}
	for (size_t i = 0; i < e->n_sections && i < 200; i++) {
		struct pgo_reloc *r = NULL;
		size_t len = 0, n = 0;
		const uint8_t *p = NULL;

		touch(e->sections[i].data, e->sections[i].size);
		/* Compressed ones may claim gigabytes, within the limit: not here. */
		if (e->sections[i].size < 4096)
			p = pgo_elf_section_data(e, e->sections[i].name, &len);
		touch(p, p != NULL ? len : 0);
		if (i < 20 && pgo_elf_relocs(e, e->sections[i].name, &r, &n, NULL) == 0)
			pgo_free(r);
	}
	ask_address(e, 0);
	ask_address(e, UINT64_MAX);
	demand(strspn(e->build_id, "0123456789abcdef") == strlen(e->build_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e;
	char path[64], id[129];
	int fd = memfd_create("elf", MFD_CLOEXEC);

	demand(fd >= 0);
	demand(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	e = pgo_elf_open(path, &err);
	if (e == NULL)
		demand(err.code < 0 && strstr(err.msg, path) != NULL);
	else
		demand(pgo_elf_build_id(path, id, NULL) == 0 && strcmp(id, e->build_id) == 0);
	if (e != NULL)
		ask_all(e);
	pgo_elf_close(e);
	close(fd);
	return 0;
}
