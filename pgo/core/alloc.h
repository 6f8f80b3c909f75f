/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one pair of functions through which the library uses the heap, so that a test can make the
 * N-th allocation fail and count what is left over.  Sizes are checked: a product that overflows is
 * out of memory.
 *
 * None of them sets a struct pgo_err: the caller does, with pgo_err_nomem().
 */
#ifndef PGO_CORE_ALLOC_H
#define PGO_CORE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* All give NULL when memory is used up; a size of 0 gives a valid, freeable pointer. */
void *pgo_malloc(size_t size) __attribute__((malloc));
void *pgo_calloc(size_t n, size_t size) __attribute__((malloc));
/* Like realloc for n elements of `size` bytes; the old block stays valid on failure. */
void *pgo_realloc_array(void *p, size_t n, size_t size);
char *pgo_strdup(const char *s) __attribute__((malloc));
char *pgo_strndup(const char *s, size_t n) __attribute__((malloc));
/* printf into a new string; NULL when out of memory. */
char *pgo_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void pgo_free(void *p);

/* For tests: let `n` more allocations succeed, then fail each; UINT64_MAX (the start value) never
 * fails. */
void pgo_alloc_fail_after(uint64_t n);
/* For tests: blocks allocated and not freed. */
uint64_t pgo_alloc_live(void);

#endif
