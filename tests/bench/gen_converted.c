/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet of converted profiles to merge: the same program seen by many hosts, so the files share
 * most of their keys and differ in counts and in the rare ones.
 *
 *	gen_converted DIR FILES FUNCTIONS llvm|gcc|fdata
 *
 * llvm writes extbinary; about 30 positions, 3 call sites and 24 edges a function.  Every file has
 * nine of ten functions; what is in it follows from its number alone.
 */
#include "convert/fdata.h"
#include "convert/format.h"
#include "pgo/core/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define EDGES 24

static uint64_t state;

static uint32_t draw(uint32_t n)
{
	state += 0x9e3779b97f4a7c15u;
	uint64_t z = state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)(((z ^ (z >> 31)) >> 32) * n >> 32);
}

/* Names as C++ has them: long, with much in common. */
static uint32_t name_of(struct pgo_strtab *strs, uint32_t i)
{
	char text[160];
	int n = snprintf(text, sizeof text,
		"_ZN7service%u6detail%uHandler%uIN7service%uTraitsEE7processERKNS_7RequestE%u",
		i % 97, i % 13, i, i % 97, i % 7);

	return pgo_strtab_add(strs, text, (size_t)n);
}

static uint64_t count(uint32_t f)
{
	return 1 + draw(1000) * (uint64_t)(1000 / (f + 1) + 1);
}

static void body(struct pgo_fnprof *p, struct pgo_fn *f, uint32_t id, uint32_t n, unsigned depth)
{
	uint64_t key = state;

	state = id * 7919u + depth; /* the shape is the function's */
	uint32_t positions = 10 + draw(40), calls = depth < 2 ? draw(5) : 0, shape[64], line = 0;

	for (uint32_t i = 0; i < positions; i++)
		shape[i] = line += 1 + draw(4);
	uint32_t callee[8], at[8];
	for (uint32_t i = 0; i < calls; i++) {
		callee[i] = draw(n);
		at[i] = shape[draw(positions)];
	}
	state = key;
	for (uint32_t i = 0; i < positions; i++) {
		struct pgo_fn_pos *x = pgo_fn_position(p, f, shape[i], shape[i] % 5 == 0 ? 2 : 0);

		if (x == NULL)
			abort();
		x->count += count(id);
		f->total += x->count;
		if (shape[i] % 11 == 0) {
			struct pgo_fn_target t = {name_of(&p->strs, shape[i] % n), x->count};

			if (pgo_fn_targets_add(p, x, &t, 1) < 0)
				abort();
		}
	}
	for (uint32_t i = 0; i < calls; i++) {
		struct pgo_fn *c = pgo_fn_inlined(p, f, at[i], 0, name_of(&p->strs, callee[i]));

		if (c == NULL)
			abort();
		body(p, c, callee[i], n, depth + 1);
		f->total += c->total;
	}
}

static int write_fnprof(const char *path, uint32_t n, const struct pgo_format *format)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fnprof *p = pgo_fnprof_new(&err);
	struct pgo_buf out;
	int rc = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (draw(10) == 0)
			continue;
		struct pgo_fn *f = pgo_fnprof_fn(p, name_of(&p->strs, i));

		if (f == NULL)
			abort();
		f->head = count(i);
		body(p, f, i, n, 0);
	}
	pgo_fnprof_sort(p);
	pgo_buf_init(&out, SIZE_MAX);
	rc = format->write(p, &(struct pgo_format_options){.gcc_release = 12}, &out, &err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.msg);
	pgo_buf_fini(&out);
	pgo_fnprof_free(p);
	return rc;
}

static struct pgo_fdata_loc loc(struct pgo_fdata *f, uint32_t id, uint32_t offset)
{
	return (struct pgo_fdata_loc){name_of(&f->strs, id), 1, offset};
}

static int write_fdata(const char *path, uint32_t n)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_fdata *f = pgo_fdata_new(&err);
	struct pgo_buf out;
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (draw(10) == 0)
			continue;
		for (uint32_t k = 0; k < EDGES && rc == 0; k++) {
			uint32_t to = k % 6 == 5 ? (i * 31 + k) % n : i;
			uint64_t c = count(i);

			rc = pgo_fdata_add(f, loc(f, i, k * 0x1d + 5),
				loc(f, to, to == i ? k * 0x2b + 0x10 : 0), c / 50, c);
		}
	}
	if (rc == 0)
		rc = pgo_fdata_sort(f, &err);
	pgo_buf_init(&out, SIZE_MAX);
	if (rc == 0)
		rc = pgo_fdata_write(f, &out, &err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.msg);
	pgo_buf_fini(&out);
	pgo_fdata_free(f);
	return rc;
}

int main(int argc, char **argv)
{
	unsigned files = argc == 5 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	uint32_t n = argc == 5 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	int rc = 0;

	if (files == 0 || n == 0) {
		fprintf(stderr, "usage: gen_converted DIR FILES FUNCTIONS llvm|gcc|fdata\n");
		return 2;
	}
	if (mkdir(argv[1], 0777) < 0 && errno != EEXIST) {
		perror(argv[1]);
		return 1;
	}
	for (unsigned i = 0; i < files && rc == 0; i++) {
		char path[4096];

		state = 0x1234567 * (uint64_t)(i + 1);
		snprintf(path, sizeof path, "%s/%04u.%s", argv[1], i,
			strcmp(argv[4], "llvm") == 0  ? "prof"
			: strcmp(argv[4], "gcc") == 0 ? "afdo"
						      : "fdata");
		if (strcmp(argv[4], "fdata") == 0)
			rc = write_fdata(path, n);
		else
			rc = write_fnprof(path, n,
				strcmp(argv[4], "gcc") == 0 ? &pgo_format_gcc
							    : &pgo_format_llvm_extbinary);
	}
	return rc < 0;
}
