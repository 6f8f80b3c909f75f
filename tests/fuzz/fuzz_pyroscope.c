/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what a Pyroscope server answers: the first byte says to what.  Rows that are read can
 * be walked, and their labels can go back into a selector; a profile inside of a reply is joined as
 * a column with itself, whose values must then be twice those of one.
 */
#include "fetch/columns.h"
#include "fetch/pyroscope.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pgo_pprof_limits limits = {
	.max_inflated = 4 << 20, .max_tables = 16 << 20, .max_held = 1 << 20};

static void walk(const struct pgo_pyro_rows *rows)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 1 << 20);
	for (size_t i = 0; i < rows->n; i++) {
		for (size_t k = 0; k < rows->of[i].n_labels; k++)
			pgo_pyro_matcher(
				&b, rows->of[i].labels[k].key, "=", rows->of[i].labels[k].value);
		if (pgo_pyro_row_get(&rows->of[i], "service_name") == NULL || rows->of[i].sum < 0)
			abort();
	}
	pgo_buf_fini(&b);
}

static void read_rows(const uint8_t *data, size_t size, bool sums)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_pyro_rows rows;
	int rc;

	pgo_pyro_rows_init(&rows);
	rc = sums ? pgo_pyro_sums_parse(&rows, data, size, &err)
		  : pgo_pyro_series_parse(&rows, data, size, &err);
	if (rc < 0 && err.msg[0] == '\0')
		abort();
	walk(&rows);
	pgo_pyro_rows_fini(&rows);
}

static int add(struct pgo_columns *c, struct pgo_wire in, struct pgo_err *err)
{
	struct pgo_reader *r =
		pgo_pprof_open_memory("reply", in.p, (size_t)(in.end - in.p), &limits, err);
	int rc = r != NULL ? pgo_columns_add(c, "samples", "count", r, err) : (int)err->code;

	pgo_reader_close(r);
	return rc;
}

static void join(const uint8_t *data, size_t size, bool wrapped)
{
	const struct pgo_columns_header h = {.period_type = "cpu", .period_unit = "nanoseconds"};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_columns *c;
	struct pgo_wire in = {data, data + size};
	int64_t once;

	if (wrapped && pgo_pyro_unwrap(data, size, &in, &err) < 0)
		return;
	c = pgo_columns_new(&err);
	if (c == NULL)
		return;
	if (add(c, in, &err) == 0) {
		once = pgo_columns_total(c, "samples", "count");
		if (add(c, in, &err) == 0) {
			if (once < INT64_MAX / 2 && once > INT64_MIN / 2 &&
				pgo_columns_total(c, "samples", "count") != 2 * once)
				abort();
			if (pgo_columns_write(c, &h, "/dev/null", &err) < 0 &&
				err.code != PGO_EEMPTY && err.code != PGO_ENOMEM &&
				err.code != PGO_EFORMAT)
				abort();
		}
	}
	pgo_columns_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 4 < 2)
		read_rows(data + 1, size - 1, data[0] % 4 == 1);
	else
		join(data + 1, size - 1, data[0] % 4 == 3);
	return 0;
}
