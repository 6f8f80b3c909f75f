/* SPDX-License-Identifier: Apache-2.0 */
/* The two kinds of tables that files are added up in; only sum*.c include this.  A thread has one of
 * its own, and they are put together at the end. */
#ifndef PGO_CONVERT_SUM_IMPL_H
#define PGO_CONVERT_SUM_IMPL_H

#include "convert/sum.h"

/* Lines of .fdata (sum_fdata.c). */
struct pgo_sum_lines;
struct pgo_sum_lines *pgo_sum_lines_new(struct pgo_err *err);
void pgo_sum_lines_free(struct pgo_sum_lines *s);
int pgo_sum_lines_add(struct pgo_sum_lines *s, const char *what, const struct pgo_buf *data,
	uint64_t weight, uint64_t *ret_records, struct pgo_err *err);
int pgo_sum_lines_join(
	struct pgo_sum_lines *s, const struct pgo_sum_lines *from, struct pgo_err *err);
int pgo_sum_lines_write(struct pgo_sum_lines *s, struct pgo_sum *ret, struct pgo_err *err);

/* Functions of sample profiles (sum_functions.c). */
struct pgo_sum_functions;
struct pgo_sum_functions *pgo_sum_functions_new(struct pgo_err *err);
void pgo_sum_functions_free(struct pgo_sum_functions *s);
int pgo_sum_functions_add(struct pgo_sum_functions *s, const char *what, const struct pgo_buf *data,
	uint64_t weight, uint64_t *ret_records, struct pgo_err *err);
int pgo_sum_functions_join(
	struct pgo_sum_functions *s, const struct pgo_sum_functions *from, struct pgo_err *err);
int pgo_sum_functions_write(struct pgo_sum_functions *s, const struct pgo_sum_options *o,
	struct pgo_sum *ret, struct pgo_err *err);

#endif
