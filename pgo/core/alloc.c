/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t left = UINT64_MAX;
static _Atomic uint64_t live;

static int may_allocate(void)
{
	uint64_t n = atomic_load_explicit(&left, memory_order_relaxed);

	if (n == UINT64_MAX)
		return 1;
	if (n == 0)
		return 0;
	atomic_store_explicit(&left, n - 1, memory_order_relaxed);
	return 1;
}

static void *counted(void *p)
{
	if (p != NULL)
		atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	return p;
}

void *pgo_malloc(size_t size)
{
	if (!may_allocate())
		return NULL;
	return counted(malloc(size != 0 ? size : 1));
}

void *pgo_calloc(size_t n, size_t size)
{
	if (!may_allocate())
		return NULL;
	return counted(calloc(n != 0 ? n : 1, size != 0 ? size : 1));
}

void *pgo_realloc_array(void *p, size_t n, size_t size)
{
	size_t bytes;
	void *q;

	if (__builtin_mul_overflow(n, size, &bytes) || !may_allocate())
		return NULL;
	q = realloc(p, bytes != 0 ? bytes : 1);
	return p == NULL ? counted(q) : q;
}

char *pgo_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = pgo_malloc(len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *pgo_strdup(const char *s)
{
	return pgo_strndup(s, strlen(s));
}

char *pgo_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || (text = pgo_malloc((size_t)len + 1)) == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return text;
}

void pgo_free(void *p)
{
	if (p == NULL)
		return;
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	free(p);
}

void pgo_alloc_fail_after(uint64_t n)
{
	atomic_store(&left, n);
}

uint64_t pgo_alloc_live(void)
{
	return atomic_load(&live);
}
