/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several builds of one program in one profile: each made into a source-level profile of its own,
 * and those of other builds carried over to the target (convert/reanchor.h).
 */
#include "convert/convert_impl.h"

#include "convert/lines.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_BUDGET ((size_t)8 << 30)

struct target {
	struct pgo_elf *elf;
	struct pgo_strtab names, strs; /* of its lines; of both shapes */
	struct pgo_shape shape;
};

static int open_target(struct pgo_convert *c, struct target *t, struct pgo_err *err)
{
	struct pgo_lines *l;
	int rc;

	if (pgo_strtab_init(&t->names, NAMES_BUDGET) < 0 ||
		pgo_strtab_init(&t->strs, NAMES_BUDGET) < 0)
		return pgo_err_nomem(err);
	pgo_shape_init(&t->shape, &t->strs);
	t->elf = pgo_elf_open(c->o.target, err);
	if (t->elf == NULL)
		return err->code;
	l = pgo_lines_open_target(t->elf, &c->o.where, &t->names, err);
	if (l == NULL)
		return err->code;
	rc = pgo_shape_add(&t->shape, t->elf, t->elf, l, &t->names);
	pgo_lines_close(l);
	if (rc == 0)
		rc = pgo_shape_finish(&t->shape);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

static void close_target(struct target *t)
{
	pgo_shape_fini(&t->shape);
	pgo_strtab_fini(&t->names);
	pgo_strtab_fini(&t->strs);
	pgo_elf_close(t->elf);
}

/* ---------------------------------------------------------------- one build */

/* Is most of what ran in functions that the target has?  Else it is another program, or a library. */
static bool is_build_of(struct target *t, const struct pgo_fnprof *p)
{
	unsigned __int128 all = 0, there = 0;

	for (size_t i = 0; i < p->n_fns; i++) {
		const struct pgo_str *name = &p->strs.strs[p->fns[i]->name];
		uint32_t id = pgo_strtab_find(&t->strs, name->s, name->len);
		uint64_t n = pgo_fn_position_sum(p->fns[i]);

		all += n;
		if (id != PGO_STR_NONE && pgo_shape_find(&t->shape, id) != NULL)
			there += n;
	}
	return there * 2 >= all;
}

static int carry_part(struct pgo_convert *c, struct pgo_convert_part *part, struct target *t)
{
	struct pgo_shape old = {0};
	int rc;

	if (strcmp(part->elf->build_id, t->elf->build_id) == 0 || part->lines == NULL)
		return pgo_fnprof_add(c->fnprof, part->fnprof);
	if (!is_build_of(t, part->fnprof)) {
		pgo_note("%s is no build of %s: its counts stay as they are", part->elf->path,
			c->o.target);
		return pgo_fnprof_add(c->fnprof, part->fnprof);
	}
	pgo_shape_init(&old, &t->strs);
	rc = pgo_shape_add(&old, part->elf, part->fns.symbols, part->lines, &part->fnprof->strs);
	if (rc == 0)
		rc = pgo_shape_finish(&old);
	if (rc == 0)
		rc = pgo_reanchor(c->fnprof, part->fnprof, &old, &t->shape, c->o.affinity,
			&c->account.carried);
	pgo_shape_fini(&old);
	return rc;
}

int pgo_convert_carry_over(struct pgo_convert *c, struct pgo_err *err)
{
	struct target t = {0};
	int rc = open_target(c, &t, err);

	for (size_t i = 0; i < c->n_parts && rc == 0; i++)
		if (c->parts[i]->fnprof != NULL) {
			rc = carry_part(c, c->parts[i], &t);
			if (rc < 0)
				pgo_err_nomem(err);
		}
	close_target(&t);
	if (rc == 0)
		pgo_fnprof_sort(c->fnprof);
	if (rc == 0 && c->fnprof->n_fns == 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"%s has none of the functions that the profile is of; a compiler would "
			"find nothing in it",
			c->o.target);
	return rc;
}

bool pgo_convert_has_own(const struct pgo_convert *c, size_t i)
{
	return !c->o.carry_over || strcmp(c->parts[i]->elf->build_id, c->target_build_id) == 0;
}
