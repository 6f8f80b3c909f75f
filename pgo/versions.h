/* SPDX-License-Identifier: Apache-2.0 */
/* The versions that `pgo --version` reports: our own, and those of the libraries that decide what
 * is read and written. */
#ifndef PGO_VERSIONS_H
#define PGO_VERSIONS_H

#include "pgo/core/buf.h"
#include "pgo/core/json.h"

void pgo_versions_text(struct pgo_buf *out);
void pgo_versions_json(struct pgo_json *j);

#endif
