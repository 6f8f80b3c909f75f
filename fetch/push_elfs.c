/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/push_shape.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <string.h>

int pgo_push_elfs_add(struct pgo_push_elfs *e, const char *path, struct pgo_err *err)
{
	struct pgo_elf *elf = pgo_elf_open_bare(path, err);
	struct pgo_elf **to;

	if (elf == NULL)
		return err->code;
	to = PGO_VEC_PUSH(e->of, e->n, e->room);
	if (to == NULL) {
		pgo_elf_close(elf);
		return pgo_err_nomem(err);
	}
	*to = elf;
	return 0;
}

static bool have(const struct pgo_push_elfs *e, const char *id)
{
	for (size_t i = 0; i < e->n; i++)
		if (strcmp(e->of[i]->build_id, id) == 0)
			return true;
	return false;
}

static bool missed(const struct pgo_push_elfs *e, const char *path)
{
	for (size_t i = 0; i < e->n_missed; i++)
		if (strcmp(e->missed[i], path) == 0)
			return true;
	return false;
}

/* What the file of a mapping was at the time counts, not what has that name now. */
static int try_path(struct pgo_push_elfs *e, const char *path, const char *id, struct pgo_err *err)
{
	char found[129] = "", **to;

	if (path[0] != '/' || missed(e, path))
		return 0;
	if (pgo_path_exists(path) && pgo_elf_probe(path) &&
		pgo_elf_build_id(path, found, NULL) == 0 && strcmp(found, id) == 0) {
		struct pgo_err why = PGO_ERR_INIT;
		int rc = pgo_push_elfs_add(e, path, &why);

		if (rc == PGO_ENOMEM)
			return pgo_err_nomem(err);
		if (rc == 0)
			return 0;
	}
	to = PGO_VEC_PUSH(e->missed, e->n_missed, e->missed_room);
	if (to == NULL || (*to = pgo_strdup(path)) == NULL)
		return pgo_err_nomem(err);
	return 0;
}

int pgo_push_elfs_find(struct pgo_push_elfs *e, const struct pgo_profile *p, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_mappings && rc == 0; i++) {
		char id[129];

		pgo_build_id_normalize(pgo_profile_str(p, p->mappings[i].build_id), id);
		if (id[0] != '\0' && !have(e, id))
			rc = try_path(e, pgo_profile_str(p, p->mappings[i].filename), id, err);
	}
	return rc;
}

void pgo_push_elfs_fini(struct pgo_push_elfs *e)
{
	for (size_t i = 0; i < e->n; i++)
		pgo_elf_close(e->of[i]);
	for (size_t i = 0; i < e->n_missed; i++)
		pgo_free(e->missed[i]);
	pgo_free(e->of);
	pgo_free(e->missed);
	memset(e, 0, sizeof *e);
}
