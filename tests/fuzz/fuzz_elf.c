/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an ELF file: refused with a sentence, or every question about it answered from
 * within the file and consistently.  The code is taken apart too: functions, instructions, jump
 * tables, landing pads.  Each file is also read as one for the other machine.
 */
#include "convert/cfg.h"
#include "convert/codefns.h"
#include "convert/landing.h"
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

/* Instructions follow one another, blocks and cases begin at instructions. */
static void check_cfg(const struct pgo_cfg *c, const struct pgo_elf *e)
{
	struct pgo_insn_decoder d;
	uint64_t at = c->start;
	const uint8_t *code;
	size_t jumps = 0, len;

	for (size_t i = 0; i < c->n_insns; i++) {
		const struct pgo_insn *p = &c->insns[i];

		demand(p->addr == at && p->size > 0 && p->size <= 15 && at + p->size <= c->end);
		demand(pgo_cfg_at(c, at) == i);
		at += p->size;
		jumps += p->kind == PGO_INSN_JUMP_INDIRECT;
	}
	demand(jumps == c->n_jumps && c->n_tables <= c->n_jumps);
	demand(!c->complete || at == c->end);
	for (size_t i = 0; i < c->n_cases; i++) {
		uint32_t to = pgo_cfg_at(c, c->cases[i].target);

		demand(c->cases[i].jump < c->n_insns);
		demand(c->insns[c->cases[i].jump].kind == PGO_INSN_JUMP_INDIRECT);
		demand(!pgo_cfg_inside(c, c->cases[i].target) ||
			(to != UINT32_MAX && c->insns[to].leader));
	}
	if (c->n_insns == 0)
		return;
	demand(c->insns[0].leader);
	pgo_insn_decoder_init(&d, e->machine);
	code = pgo_elf_code(e, c->start, &len);
	at = c->insns[c->n_insns - 1].addr;
	demand(pgo_insn_count(&d, code, len, at - c->start) == c->n_insns);
}

/* Few and short functions: a hostile file may have a million that are one another's inside. */
static void take_apart(const struct pgo_elf *e)
{
	uint64_t *pads = NULL;
	size_t n_pads = 0, room = 0;
	struct pgo_landing landing;
	struct pgo_codefns fns;
	struct pgo_cfg cfg = {0};

	pgo_codefns_init(&fns, e);
	for (size_t i = 0; i < e->n_symbols && i < 64; i++)
		demand(pgo_codefns_add(&fns, e->symbols[i].addr) == 0);
	pgo_codefns_finish(&fns);
	demand(pgo_landing_init(&landing, e) == 0);
	for (size_t f = 0; f < fns.n_fns; f++) {
		uint64_t start = fns.fns[f].start, end = fns.fns[f].end;

		demand(f == 0 || fns.fns[f - 1].end <= start);
		n_pads = 0;
		demand(pgo_landing_pads(&landing, start, &pads, &n_pads, &room) == 0);
		if (n_pads > 1)
			qsort(pads, n_pads, sizeof *pads, pgo_compare_u64);
		if (end - start > 1 << 14)
			end = start + (1 << 14);
		demand(pgo_cfg_decode(&cfg, e, start, end, pads, n_pads, NULL) == 0);
		check_cfg(&cfg, e);
	}
	pgo_free(pads);
	pgo_landing_fini(&landing);
	pgo_codefns_fini(&fns);
	pgo_cfg_fini(&cfg);
}

static void one_file(const uint8_t *data, size_t size)
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
	if (e != NULL) {
		ask_all(e);
		take_apart(e);
	}
	pgo_elf_close(e);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *other;

	one_file(data, size);
	if (size < 20 || (data[18] != 62 && data[18] != 183))
		return 0;
	other = malloc(size);
	demand(other != NULL);
	memcpy(other, data, size);
	other[18] = data[18] == 62 ? 183 : 62;
	one_file(other, size);
	free(other);
	return 0;
}
