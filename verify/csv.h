/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comma-separated values as RFC 4180 has them: fields in quotes may hold commas, line ends and
 * doubled quotes; lines end in CRLF or LF; the last may have no end; a byte order mark is skipped.
 * Empty lines and lines that begin with # are skipped.  The first row is the header, and every row
 * has as many fields.
 */
#ifndef PGO_VERIFY_CSV_H
#define PGO_VERIFY_CSV_H

#include "pgo/core/err.h"

#include <stddef.h>

struct pgo_csv {
	char *text;   /* all fields, each with a NUL */
	char **field; /* rows x columns; the header first */
	size_t *line; /* of each row, from 1 */
	size_t n_rows, n_columns;
	size_t fields, fields_room, lines_room;
};

/* `name` is for messages, which carry the line.  PGO_EFORMAT if it is no such table. */
int pgo_csv_parse(struct pgo_csv *ret, const char *name, const char *text, size_t len,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_csv_fini(struct pgo_csv *c);
/* Row 0 is the header. */
static inline const char *pgo_csv_at(const struct pgo_csv *c, size_t row, size_t column)
{
	return c->field[row * c->n_columns + column];
}
/* The column whose header is `name`, without regard to case; or n_columns. */
size_t pgo_csv_column(const struct pgo_csv *c, const char *name);

#endif
