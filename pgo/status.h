/* SPDX-License-Identifier: Apache-2.0 */
/* What is published, how old it is, what was decided last, and what to do next; for people and as
 * JSON.  Reads only. */
#ifndef PGO_STATUS_H
#define PGO_STATUS_H

#include "pgo/core/buf.h"
#include "pgo/core/json.h"
#include "pgo/on_target.h"

struct pgo_status; /* what was found out about one target */

/* Borrows `o`.  NULL with an error. */
struct pgo_status *pgo_status_new(const struct pgo_on_target *o, struct pgo_err *err);
void pgo_status_free(struct pgo_status *s);
/* Ten lines. */
void pgo_status_text(const struct pgo_status *s, struct pgo_buf *out);
void pgo_status_json(const struct pgo_status *s, bool all, struct pgo_json *j);
/* Every result and candidate, a line each. */
void pgo_status_list(const struct pgo_status *s, struct pgo_buf *out);
/* The last lines of the log, oldest first. */
void pgo_status_log(const struct pgo_status *s, uint64_t lines, struct pgo_buf *out);

#endif
