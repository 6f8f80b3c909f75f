/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/map.h"
#include "pgo/weights.h"

#include <stdlib.h>
#include <string.h>

struct pgo_target_names {
	uint64_t *hash; /* sorted */
	size_t n;
};

/* A clone is the function it was made of. */
static uint64_t hash_name(const char *name)
{
	size_t n = name[0] != '\0' ? 1 + strcspn(name + 1, ".") : 0;

	return pgo_hash(name, n);
}

static int cmp_hash(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return (a > b) - (a < b);
}

struct pgo_target_names *pgo_target_names_open(
	const char *path, char ret_build_id[129], struct pgo_err *err)
{
	struct pgo_target_names *t = pgo_calloc(1, sizeof *t);
	struct pgo_elf *e = t != NULL ? pgo_elf_open(path, err) : NULL;

	if (t == NULL)
		pgo_err_nomem(err);
	if (e == NULL)
		goto fail;
	memcpy(ret_build_id, e->build_id, sizeof e->build_id);
	t->hash = pgo_calloc(e->n_symbols, sizeof *t->hash);
	if (t->hash == NULL) {
		pgo_err_nomem(err);
		goto fail;
	}
	for (size_t i = 0; i < e->n_symbols; i++)
		t->hash[t->n++] = hash_name(e->symbols[i].name);
	if (t->n != 0)
		qsort(t->hash, t->n, sizeof *t->hash, cmp_hash);
	pgo_elf_close(e);
	return t;
fail:
	pgo_elf_close(e);
	pgo_target_names_free(t);
	return NULL;
}

void pgo_target_names_free(struct pgo_target_names *t)
{
	if (t != NULL)
		pgo_free(t->hash);
	pgo_free(t);
}

bool pgo_target_has(void *names, const char *name)
{
	const struct pgo_target_names *t = names;
	uint64_t hash = hash_name(name);

	return t->n != 0 && bsearch(&hash, t->hash, t->n, sizeof hash, cmp_hash) != NULL;
}
