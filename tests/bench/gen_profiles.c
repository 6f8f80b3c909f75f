/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen_profiles DIR FILES SAMPLES STACKS [symbols | ELF [FIRST]]
 *
 * A fleet's profiles: FILES pprofs of one program, each with SAMPLES samples drawn from STACKS
 * common stacks (few of them hot, most rare), its own load addresses, host, time, and, with
 * `symbols`, functions and lines as a Go program's profile has them.  With an ELF file they are of
 * that program: its build-id, addresses in its functions, a host among 50 as a label; then FIRST (0)
 * is the number of the first file.  The same arguments give the same bytes.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FUNCTIONS 6000
#ifndef N_LOCATIONS
#define N_LOCATIONS 10000
#endif
#define MAX_DEPTH 40

static uint64_t state;

static uint64_t rnd(uint64_t n)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = (a + 1) * 0x9e3779b97f4a7c15u + b;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Frame `i` (from the root) of stack `s`: stacks share their outer frames, as call trees do. */
static uint32_t frame(uint64_t s, uint32_t i)
{
	uint64_t group = i < 8 ? s % 7 : i < 20 ? s % 997 : s;

	return (uint32_t)(mix(group, i) % N_LOCATIONS);
}

static struct pgo_elf *program;

/* Location `i` of the program: somewhere in one of its functions, in its file. */
static uint64_t address(uint32_t i)
{
	const struct pgo_symbol *s;
	size_t at = mix(i, 7) % program->n_symbols;

	while (!program->symbols[at].function || program->symbols[at].size < 4)
		at = (at + 1) % program->n_symbols;
	s = &program->symbols[at];
	return s->addr + mix(i, 8) % s->size;
}

/* Loaded at `base`, as the kernel does it: the segment with code from its page on. */
static void map_program(struct pgo_mapping *m, uint64_t base, uint64_t *ret_bias)
{
	for (size_t i = 0; i < program->n_segments; i++) {
		const struct pgo_segment *s = &program->segments[i];

		if (!s->exec)
			continue;
		m->offset = s->offset & ~(uint64_t)4095;
		m->start = base;
		m->limit = (base + s->filesz + (s->offset - m->offset) + 4095) & ~(uint64_t)4095;
		*ret_bias = base - (s->vaddr - (s->offset - m->offset));
	}
}

static struct pgo_profile *make(uint64_t file, uint64_t samples, uint64_t stacks, bool symbols)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	uint64_t base = 0x550000000000u + rnd(1 << 20) * 4096;
	struct pgo_mapping m = {0};
	struct pgo_label host = {0};
	uint64_t bias = 0;
	char name[128];

	if (p == NULL)
		return NULL;
	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	p->period_type = p->sample_types[1];
	p->period = 10000000;
	p->time_ns = (int64_t)(1760000000 + file * 600) * 1000000000;
	p->duration_ns = 30000000000;
	m.start = base;
	m.limit = base + 0x1000000;
	m.offset = 0x1000;
	m.filename = pgo_strtab_puts(&p->strs, "/opt/shop/bin/checkout");
	m.build_id = pgo_strtab_puts(&p->strs, "5f0c3b1a9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f40");
	if (program != NULL) {
		map_program(&m, base, &bias);
		m.filename = pgo_strtab_puts(&p->strs, "/opt/shop/bin/program");
		m.build_id = pgo_strtab_puts(&p->strs, program->build_id);
		snprintf(name, sizeof name, "web-%02u", (unsigned)(file % 50));
		host.key = pgo_strtab_puts(&p->strs, "host");
		host.str = pgo_strtab_puts(&p->strs, name);
	}
	m.has_functions = m.has_filenames = m.has_line_numbers = symbols;
	pgo_profile_add_mapping(p, &m);
	for (uint32_t i = 0; symbols && i < N_FUNCTIONS; i++) {
		struct pgo_function f = {.start_line = i % 900 + 1};

		snprintf(name, sizeof name,
			"github.com/acme/shop/internal/module%03u.(*Handler).serve%u", i % 211, i);
		f.name = f.system_name = pgo_strtab_puts(&p->strs, name);
		snprintf(name, sizeof name, "/src/shop/internal/module%03u/file%02u.go", i % 211,
			i % 37);
		f.filename = pgo_strtab_puts(&p->strs, name);
		pgo_profile_add_function(p, &f);
	}
	for (uint32_t i = 0; i < N_LOCATIONS; i++) {
		struct pgo_line l;

		memset(&l, 0, sizeof l);
		l.function = i % N_FUNCTIONS;
		l.line = l.function % 900 + 1 + i % 13;
		pgo_profile_add_location(p, 0,
			program != NULL ? address(i) + bias : base + 0x10000 + (uint64_t)i * 48, &l,
			symbols);
	}
	for (uint64_t k = 0; k < samples; k++) {
		uint64_t u = rnd(stacks), s = rnd(3) != 0 ? rnd(u + 1) : u;
		uint32_t loc[MAX_DEPTH], depth = 12 + (uint32_t)(mix(s, 99) % (MAX_DEPTH - 12));
		int64_t n = 1 + (int64_t)rnd(3), values[2] = {n, n * 10000000};
		struct pgo_sample sample = {.loc = loc,
			.n_loc = depth,
			.value = values,
			.label = &host,
			.n_label = program != NULL};

		for (uint32_t i = 0; i < depth; i++)
			loc[depth - 1 - i] = frame(s, i);
		if (pgo_profile_add_sample(p, &sample) < 0)
			break;
	}
	return p;
}

int main(int argc, char **argv)
{
	struct pgo_err err = PGO_ERR_INIT;
	uint64_t files, samples, stacks, first = 0;
	bool symbols = argc > 5 && strcmp(argv[5], "symbols") == 0;

	if (argc < 5) {
		fputs("usage: gen_profiles DIR FILES SAMPLES STACKS [symbols | ELF [FIRST]]\n",
			stderr);
		return 2;
	}
	files = strtoull(argv[2], NULL, 10);
	samples = strtoull(argv[3], NULL, 10);
	stacks = strtoull(argv[4], NULL, 10);
	if (argc > 5 && !symbols && (program = pgo_elf_open(argv[5], &err)) == NULL)
		goto failed;
	if (argc > 6)
		first = strtoull(argv[6], NULL, 10);
	if (pgo_mkdirs(argv[1], &err) < 0)
		goto failed;
	for (uint64_t i = first; i < first + files; i++) {
		struct pgo_profile *p;
		char path[4096];
		int rc;

		state = i;
		p = make(i, samples, stacks, symbols);
		snprintf(path, sizeof path, "%s/%05llu.pb.gz", argv[1], (unsigned long long)i);
		rc = p != NULL ? pgo_pprof_write(p, path, &err) : pgo_err_nomem(&err);
		pgo_profile_free(p);
		if (rc < 0)
			goto failed;
	}
	return 0;
failed:
	fprintf(stderr, "gen_profiles: %s\n", err.msg);
	return 1;
}
