/* SPDX-License-Identifier: Apache-2.0 */
/* Cold code: called for the few lines that are wrong, and when memory ends. */
#include <stdlib.h>
#include <string.h>

#include "quarry.h"

static const char *const problem_name[Q_N_PROBLEMS] = {
	"time",
	"number",
	"range",
	"escape",
	"quote",
	"key",
	"missing",
	"too long",
	"out of order",
};

void *q_alloc(size_t size)
{
	return q_realloc(NULL, size);
}

void *q_realloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p) {
		fprintf(stderr, "quarry: no memory for %zu bytes\n", size);
		exit(3);
	}
	return p;
}

void q_diag_note(struct q_diag *d, enum q_problem what, struct q_span where)
{
	char text[41];
	size_t n = where.n < sizeof(text) ? where.n : sizeof(text) - 1;

	d->count[what]++;
	if (d->n_kept == sizeof(d->kept) / sizeof(d->kept[0]))
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)where.p[i];
		text[i] = c < 32 || c > 126 ? '?' : (char)c;
	}
	text[n] = 0;
	snprintf(d->kept[d->n_kept++], sizeof(d->kept[0]), "line %llu: %s: '%s'",
		(unsigned long long)d->line, problem_name[what], text);
}

void q_diag_print(const struct q_diag *d, FILE *out)
{
	for (int i = 0; i < Q_N_PROBLEMS; i++)
		if (d->count[i])
			fprintf(out, "problem  %-12s %llu\n", problem_name[i],
				(unsigned long long)d->count[i]);
	for (unsigned i = 0; i < d->n_kept; i++)
		fprintf(out, "  %s\n", d->kept[i]);
}
