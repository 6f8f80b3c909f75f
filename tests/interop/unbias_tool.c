/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How alike the branch records of a profile and the exact counts of the run are.
 *
 *	unbias_tool PROFILE EXACT
 *
 * EXACT is what tests/emu/exact prints for the program, whose mapping is the profile's first.  A
 * line for each of the columns lbr_traces and lbr_executions:
 *
 *	COLUMN edges E blocks B total T
 *
 * E is the sum of the smaller share that each taken branch has, per cent; B the same of executions
 * at the start of each block; T the column's branches into the program over the exact number.
 */
#include "pgo/core/lbr.h"
#include "pgo/core/pprof.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	uint64_t a, b;
	double n, m; /* profile, exact */
};

struct rows {
	struct row *row;
	size_t n, room;
};

static void add(struct rows *r, uint64_t a, uint64_t b, double n, double m)
{
	if (r->n == r->room) {
		r->room = r->room > 0 ? 2 * r->room : 1024;
		r->row = realloc(r->row, r->room * sizeof *r->row);
		if (r->row == NULL)
			exit(2);
	}
	r->row[r->n++] = (struct row){a, b, n, m};
}

static int cmp(const void *x, const void *y)
{
	const struct row *a = x, *b = y;

	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return (a->b > b->b) - (a->b < b->b);
}

static void sum(struct rows *r)
{
	size_t n = 0;

	qsort(r->row, r->n, sizeof *r->row, cmp);
	for (size_t i = 0; i < r->n; i++)
		if (n > 0 && cmp(&r->row[n - 1], &r->row[i]) == 0) {
			r->row[n - 1].n += r->row[i].n;
			r->row[n - 1].m += r->row[i].m;
		} else {
			r->row[n++] = r->row[i];
		}
	r->n = n;
}

static double overlap(const struct rows *r, double *ret_total)
{
	double n = 0, m = 0, same = 0;

	for (size_t i = 0; i < r->n; i++) {
		n += r->row[i].n;
		m += r->row[i].m;
	}
	for (size_t i = 0; i < r->n; i++) {
		double x = r->row[i].n / n, y = r->row[i].m / m;

		same += x < y ? x : y;
	}
	*ret_total = n / m;
	return 100 * same;
}

/* Runs (a = first, b = last instruction) as steps: executions begin at a, end behind b. */
static void step(struct rows *r, uint64_t first, uint64_t last, double n, double m)
{
	add(r, first, 0, n, m);
	add(r, last + 1, 0, -n, -m);
}

static void read_exact(
	const char *path, struct rows *edges, struct rows *steps, struct rows *starts)
{
	FILE *f = fopen(path, "r");
	char line[256], a[32], b[32];
	uint64_t count;

	if (f == NULL) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "edge %31s %31s %" SCNu64, a, b, &count) == 3) {
			if (a[0] != '-' && b[0] != '-')
				add(edges, strtoull(a, NULL, 16), strtoull(b, NULL, 16), 0,
					(double)count);
		} else if (sscanf(line, "block %31s %31s %" SCNu64, a, b, &count) == 3) {
			step(steps, strtoull(a, NULL, 16), strtoull(b, NULL, 16), 0, (double)count);
			add(starts, strtoull(a, NULL, 16), 0, 0, 0);
		}
	}
	fclose(f);
}

/* The ELF address of a location in the program, or 0. */
static uint64_t place(const struct pgo_profile *p, const struct pgo_lbr_columns *c, uint32_t loc)
{
	return loc != PGO_NONE && c->end_kind[loc] == PGO_LBR_ADDR && p->locations[loc].mapping == 0
		       ? p->locations[loc].addr
		       : 0;
}

static void read_profile(const struct pgo_profile *p, const struct pgo_lbr_columns *c,
	bool executions, struct rows *edges, struct rows *steps)
{
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_lbr_trace t;
		uint32_t at = 0;

		while (pgo_lbr_trace_next(c, p, &s, &at, &t, &err) > 0) {
			double n = (double)(executions ? t.executions : t.count);
			uint64_t source = place(p, c, t.source), target = place(p, c, t.target),
				 end = place(p, c, t.end);

			if (source != 0 && target != 0)
				add(edges, source, target, n, 0);
			if (target != 0 && end != 0)
				step(steps, target, end, n, 0);
		}
	}
}

static void report(
	const struct pgo_profile *p, const char *name, bool executions, const char *exact)
{
	struct rows edges = {0}, steps = {0}, starts = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_lbr_columns c;
	double n = 0, m = 0, total, unused, same;
	size_t at = 0;
	bool has;

	if (pgo_lbr_columns_init(&c, p, &has, &err) < 0)
		exit(2);
	if (executions && c.executions == PGO_NONE) {
		printf("%s absent\n", name);
		pgo_lbr_columns_fini(&c);
		return;
	}
	read_exact(exact, &edges, &steps, &starts);
	read_profile(p, &c, executions, &edges, &steps);
	sum(&edges);
	sum(&steps);
	sum(&starts);
	for (size_t i = 0; i < starts.n; i++) {
		for (; at < steps.n && steps.row[at].a <= starts.row[i].a; at++) {
			n += steps.row[at].n;
			m += steps.row[at].m;
		}
		starts.row[i].n = n;
		starts.row[i].m = m;
	}
	same = overlap(&edges, &total);
	printf("%s edges %.2f blocks %.2f total %.4f\n", name, same, overlap(&starts, &unused),
		total);
	free(edges.row);
	free(steps.row);
	free(starts.row);
	pgo_lbr_columns_fini(&c);
}

int main(int argc, char **argv)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_profile *p = argc == 3 ? pgo_pprof_load(argv[1], NULL, &err) : NULL;

	if (p == NULL) {
		fprintf(stderr, "unbias_tool: %s\n", argc == 3 ? err.msg : "PROFILE EXACT");
		return 2;
	}
	report(p, "lbr_traces", false, argv[2]);
	report(p, "lbr_executions", true, argv[2]);
	pgo_profile_free(p);
	return 0;
}
