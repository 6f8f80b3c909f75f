/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the outputs: encoders, one a kind.  Each fills `data` and `records`, and has read back
 * what it wrote: written once more from that, the output must come out the same.
 */
#ifndef PGO_CONVERT_OUTPUT_IMPL_H
#define PGO_CONVERT_OUTPUT_IMPL_H

#include "convert/output.h"

#define PGO_OUTPUT_MAX ((size_t)4 << 30) /* bytes of one output */

typedef int pgo_output_encoder(
	struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err);
pgo_output_encoder pgo_encode_fnprof, pgo_encode_fdata; /* output_encode.c */
/* output_layout.c */
pgo_output_encoder pgo_encode_preagg, pgo_encode_propeller, pgo_encode_propeller_order,
	pgo_encode_symbol_order, pgo_encode_call_graph;
pgo_output_encoder pgo_encode_go, pgo_encode_go_preprofile; /* output_go.c */

/* PGO_EFORMAT: what was read back is something else. */
int pgo_output_unreadable(const struct pgo_output *o, const char *what, struct pgo_err *err);
/* Is `again` what the output is?  If not, the same. */
int pgo_output_compare(const struct pgo_output *o, const struct pgo_buf *again, const char *what,
	struct pgo_err *err);

#endif
