/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values.
 *
 * A function that can fail returns 0 (or a count) on success and a negative PGO_E* code on failure,
 * and takes `struct pgo_err *err` as its last parameter.  The place that detects the failure writes
 * one whole sentence: what is wrong, where, what to do.  Callers on the way up prepend context
 * (file, then stage), so that the message reads `web-3.pb.gz: sample 118: location 77 is not in the
 * table`.  It is printed once, by the program.
 *
 * `err` may be NULL where the caller does not care.  Texts longer than the buffer are cut, never
 * overflow. Results (`ret_x` parameters) are left untouched on failure.
 */
#ifndef PGO_CORE_ERR_H
#define PGO_CORE_ERR_H

#include <stdarg.h>

enum pgo_code {
	PGO_OK = 0,
	PGO_ENOMEM = -1, /* memory, or a memory budget, is used up */
	PGO_EIO = -2,    /* the operating system refused: open, read, write, rename */
	PGO_ENET = -3,   /* a store did not answer, or answered with an error */
	PGO_EFORMAT =
		-4, /* the input is not what it should be: truncated, wrong magic, inconsistent */
	PGO_ELIMIT = -5,    /* the input is larger than the limit set for it */
	PGO_EMISMATCH = -6, /* two inputs do not belong together: build-id, units */
	PGO_ENOTFOUND = -7, /* something asked for is not there */
	PGO_EUSAGE = -8,    /* the user's options or configuration are wrong */
	PGO_EEMPTY = -9,    /* all was well but nothing usable is left: an output would be empty */
	PGO_EGATE = -10,    /* a quality gate said no */
};

#define PGO_ERR_MAX 1024

struct pgo_err {
	enum pgo_code code;
	char msg[PGO_ERR_MAX];
};

#define PGO_ERR_INIT                                                                               \
	{                                                                                          \
		PGO_OK, ""                                                                         \
	}
#define PGO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PGO_MUST_CHECK __attribute__((warn_unused_result))

/* Sets code and sentence; returns `code`, so that `return pgo_err_set(err, PGO_EIO, ...)` is one
 * line. */
int pgo_err_set(struct pgo_err *err, enum pgo_code code, const char *fmt, ...) PGO_PRINTF(3, 4);
/* The same with ": <strerror(errno)>" appended; `errno` is kept. */
int pgo_err_errno(struct pgo_err *err, enum pgo_code code, const char *fmt, ...) PGO_PRINTF(3, 4);
/* Out of memory, the one sentence for it. */
int pgo_err_nomem(struct pgo_err *err);
/* Prepends "context: " to the sentence; returns the code in `err` (or PGO_EFORMAT if `err` is
 * NULL). */
int pgo_err_prefix(struct pgo_err *err, const char *fmt, ...) PGO_PRINTF(2, 3);
void pgo_err_clear(struct pgo_err *err);

#endif
