/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any file a user may name as a profile -> readers: pprof directly, recordings (perf.data, brstack
 * text, gperftools, OTLP) imported in memory first. So that `pgo convert perf.data --binary APP --bolt
 * OUT` is one command.
 */
#ifndef PGO_INPUT_H
#define PGO_INPUT_H

#include "fetch/import.h"
#include "pgo/core/err.h"
#include "pgo/core/profile.h"

struct pgo_input {
	enum pgo_input_kind kind;
	struct pgo_reader **readers; /* one for a pprof; one per process group for a recording */
	char **names;                /* name of each: the path, or path#group */
	size_t n;
	struct pgo_imported imported; /* statistics, if it was a recording */
};

struct pgo_input_options {           /* of recordings; borrowed for the call */
	const char *const *binaries; /* ELF files whose segments help to place addresses */
	size_t n_binaries;
	bool no_unbias; /* do not estimate executions */
};

/* Fills *ret (pgo_input_close). `o` NULL: nothing is known. */
int pgo_input_open(const char *path, const struct pgo_input_options *o, struct pgo_input *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_input_close(struct pgo_input *i);

#endif
