/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BOLT's pre-aggregated profile, the input of `perf2bolt --pa`: addresses instead of names, so that
 * BOLT itself finds blocks and fall-throughs.  One record a line, fields between single blanks:
 *
 *	T FROM TO END COUNT     a trace: branch FROM -> TO, then straight on to the instruction at END
 *	R FROM TO END COUNT     the same, and the branch is a return
 *	B FROM TO COUNT MISP    a branch of which no run is known; also adds mispredictions to a T
 *	F START END COUNT       a run whose branch is not known
 *	f START END COUNT       a run that was entered from another function
 *	r START END COUNT       a run that a return from outside the binary led to
 *	S ADDR COUNT            a sample at an instruction, without any branch
 *	E NAME                  the event that samples were taken by
 *
 * Addresses are ELF addresses in hex without 0x (on reading also BUILDID:HEX, whose first part is
 * passed over, and X:0); 0 is outside the binary.  Counts are decimal.  Every line ends in a line
 * end; the consumer refuses blank lines and comments.
 *
 * perf2bolt 22 reads all of them; before T there were only B, F and f, which lose whether a run
 * came from a return.
 */
#ifndef PGO_CONVERT_PREAGG_H
#define PGO_CONVERT_PREAGG_H

#include "convert/codefns.h"
#include "convert/ranges.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGO_PREAGG_TYPES "BFRSTfr"
/* The first release of LLVM whose perf2bolt takes the records that `traces` asks for. */
#define PGO_PREAGG_TRACES_RELEASE 22

struct pgo_preagg_record {
	uint64_t at[3]; /* as many as the type has; 0 = outside the binary */
	uint64_t count, mispreds;
	char type;
};

struct pgo_preagg {
	struct pgo_preagg_record *records;
	size_t n_records, records_room;
	char *event; /* NULL = none */
};

struct pgo_preagg *pgo_preagg_new(struct pgo_err *err);
/* NULL is fine. */
void pgo_preagg_free(struct pgo_preagg *p);
/*
 * The records of one binary.  `traces`: T and R (and B, F for incomplete ones); else B, F and f,
 * for which `fns` tells functions apart.  Without branches the samples themselves, as S of `event`.
 */
struct pgo_preagg *pgo_preagg_make(const struct pgo_ranges *r, const struct pgo_codefns *fns,
	bool traces, const char *event, struct pgo_err *err);
/* Sorts by (type, addresses) and sums equal ones, saturating. */
void pgo_preagg_sort(struct pgo_preagg *p);
bool pgo_preagg_probe(const void *head, size_t len);
/* Errors name the line. */
struct pgo_preagg *pgo_preagg_read(
	const char *what, const void *data, size_t len, struct pgo_err *err);
/* Appends the file in the order of the records.  PGO_EEMPTY without any count. */
int pgo_preagg_write(
	const struct pgo_preagg *p, struct pgo_buf *out, struct pgo_err *err) PGO_MUST_CHECK;

#endif
