/* SPDX-License-Identifier: Apache-2.0 */
/* Sums: frames, replicates and rows.  Reading is attrib_read.c, naming attrib_names.c. */
#include "verify/attrib.h"

#include "pgo/core/vec.h"

#include <stdlib.h>

#define NAMES_BUDGET ((size_t)1 << 30)
#define SETTLE_ROWS ((size_t)1 << 20)
#define MAX_ROWS ((size_t)1 << 24)

int pgo_attrib_init(
	struct pgo_attrib *a, bool after, const struct pgo_attrib_options *o, struct pgo_err *err)
{
	memset(a, 0, sizeof *a);
	a->o = *o;
	a->after = after;
	if (a->o.host_label == NULL)
		a->o.host_label = "host";
	if (a->o.max_rows == 0)
		a->o.max_rows = MAX_ROWS;
	a->settle_at = SETTLE_ROWS < a->o.max_rows ? SETTLE_ROWS : a->o.max_rows;
	pgo_map_init(&a->frame_map);
	pgo_map_init(&a->row_map);
	pgo_layout_init(&a->layout);
	pgo_stacks_init(&a->stacks, PGO_STACKS_MAX_NODES);
	if (pgo_strtab_init(&a->names, NAMES_BUDGET) < 0)
		return pgo_err_nomem(err);
	if (o->binary != NULL && (a->elf = pgo_elf_open(o->binary, err)) == NULL)
		return err != NULL ? (int)err->code : PGO_EIO;
	return 0;
}

static void drop_rows(struct pgo_attrib *a)
{
	pgo_free(a->rows);
	a->rows = NULL;
	a->n_rows = a->rows_room = 0;
	for (size_t i = 0; i < a->n_frames; i++)
		a->frames[i].row_rep = UINT32_MAX;
	pgo_map_fini(&a->row_map);
	pgo_map_init(&a->row_map);
}

void pgo_attrib_fini(struct pgo_attrib *a)
{
	drop_rows(a);
	pgo_layout_fini(&a->layout);
	pgo_stacks_fini(&a->stacks);
	pgo_elf_close(a->elf);
	pgo_free(a->unit);
	pgo_free(a->frames);
	pgo_free(a->reps);
	pgo_map_fini(&a->frame_map);
	pgo_strtab_fini(&a->names);
	memset(a, 0, sizeof *a);
}

uint32_t pgo_attrib_frame(
	struct pgo_attrib *a, uint64_t addr, uint32_t name, uint32_t up, uint32_t kind)
{
	struct pgo_attrib_frame f = {.key = {addr, name, up, kind, 0},
		.named = UINT32_MAX,
		.own = UINT32_MAX,
		.row_rep = UINT32_MAX};
	uint32_t i =
		pgo_map_find_key(&a->frame_map, a->frames, sizeof *a->frames, &f.key, sizeof f.key);
	struct pgo_attrib_frame *slot;

	if (i != PGO_MAP_NONE)
		return i;
	i = (uint32_t)a->n_frames;
	slot = i < UINT32_MAX - 1 ? PGO_VEC_PUSH(a->frames, a->n_frames, a->frames_room) : NULL;
	if (slot == NULL)
		return UINT32_MAX;
	if (kind != PGO_FRAME_ADDRESS)
		f.named = i;
	*slot = f;
	return pgo_map_add_key(&a->frame_map, &f.key, sizeof f.key, i) < 0 ? UINT32_MAX : i;
}

int pgo_attrib_push_row(
	struct pgo_attrib *a, uint32_t frame, uint32_t rep, int64_t value, uint64_t samples)
{
	struct pgo_attrib_row row = {{frame, rep}, value, samples};
	uint32_t i =
		pgo_map_find_key(&a->row_map, a->rows, sizeof *a->rows, &row.key, sizeof row.key);
	struct pgo_attrib_row *slot;

	if (i != PGO_MAP_NONE) {
		/* What overflows is refused where all of a replicate is summed up. */
		if (__builtin_add_overflow(a->rows[i].value, value, &a->rows[i].value))
			a->rows[i].value = INT64_MAX;
		a->rows[i].samples += samples;
		return 0;
	}
	i = (uint32_t)a->n_rows;
	slot = i < UINT32_MAX - 1 ? PGO_VEC_PUSH(a->rows, a->n_rows, a->rows_room) : NULL;
	if (slot == NULL)
		return -1;
	*slot = row;
	return pgo_map_add_key(&a->row_map, &row.key, sizeof row.key, i);
}

/* ---- settling */

static bool same_window(const struct pgo_cost_rep *x, const struct pgo_cost_rep *y)
{
	return x->control == y->control && x->host == y->host && x->build == y->build &&
	       x->version == y->version && (x->host != 0 || x->input == y->input) &&
	       pgo_cost_rep_day(x) == pgo_cost_rep_day(y);
}

static int by_window(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_attrib *a = ctx;
	uint32_t ia = *(const uint32_t *)pa, ib = *(const uint32_t *)pb;
	const struct pgo_cost_rep *x = &a->reps[ia], *y = &a->reps[ib];
	int64_t dx = pgo_cost_rep_day(x), dy = pgo_cost_rep_day(y);

	if (x->control != y->control)
		return x->control ? 1 : -1;
	if (x->host != y->host)
		return x->host < y->host ? -1 : 1;
	if (x->host == 0 && x->input != y->input)
		return x->input < y->input ? -1 : 1;
	if (x->build != y->build)
		return x->build < y->build ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	if (dx != dy)
		return dx < dy ? -1 : 1;
	return (ia > ib) - (ia < ib);
}

static void join_rep(struct pgo_cost_rep *into, const struct pgo_cost_rep *r)
{
	if (into->input != r->input)
		into->input = 0;
	if (r->start_ns < into->start_ns)
		into->start_ns = r->start_ns;
	if (r->end_ns > into->end_ns)
		into->end_ns = r->end_ns;
	into->work = into->work < 0 || r->work < 0 ? -1 : into->work + r->work;
}

/* Windows of one host, build and day become one replicate: new_of[old] = new. */
static int join_windows(struct pgo_attrib *a, uint32_t *new_of)
{
	uint32_t *order = pgo_malloc((a->n_reps + 1) * sizeof *order);
	struct pgo_cost_rep *joined = pgo_calloc(a->n_reps + 1, sizeof *joined);
	size_t n = 0;

	if (order == NULL || joined == NULL) {
		pgo_free(order);
		pgo_free(joined);
		return -1;
	}
	for (size_t i = 0; i < a->n_reps; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, a->n_reps, sizeof *order, by_window, a);
	for (size_t i = 0; i < a->n_reps; i++) {
		const struct pgo_cost_rep *r = &a->reps[order[i]];

		if (i > 0 && same_window(&a->reps[order[i - 1]], r))
			join_rep(&joined[n - 1], r);
		else
			joined[n++] = *r;
		new_of[order[i]] = (uint32_t)(n - 1);
	}
	pgo_free(order);
	pgo_free(a->reps);
	a->reps = joined;
	a->reps_room = a->n_reps + 1;
	a->n_reps = n;
	return 0;
}

/* All rows again, of functions; `new_of` (may be NULL) numbers replicates anew. */
static int rebuild_rows(struct pgo_attrib *a, const uint32_t *new_of)
{
	struct pgo_attrib_row *old = a->rows;
	size_t n = a->n_rows;
	int rc = 0;

	a->rows = NULL;
	a->n_rows = a->rows_room = 0;
	for (size_t i = 0; i < a->n_frames; i++)
		a->frames[i].row_rep = UINT32_MAX;
	pgo_map_fini(&a->row_map);
	pgo_map_init(&a->row_map);
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint32_t named = a->frames[old[i].key.frame].named;
		uint32_t rep = new_of != NULL ? new_of[old[i].key.rep] : old[i].key.rep;
		uint32_t frame = pgo_attrib_frame(
			a, 0, a->frames[named].key.name, 0, a->frames[named].key.kind);

		rc = frame == UINT32_MAX
			     ? -1
			     : pgo_attrib_push_row(a, frame, rep, old[i].value, old[i].samples);
	}
	pgo_free(old);
	return rc;
}

/* What was counted at addresses belongs to the places they mean. */
static void move_masses(struct pgo_attrib *a)
{
	for (size_t i = 0; i < a->n_frames; i++) {
		struct pgo_attrib_frame *from = &a->frames[i], *to = &a->frames[from->named];

		if (from == to)
			continue;
		to->value += from->value;
		to->samples += from->samples;
		from->value = 0;
		from->samples = 0;
	}
}

int pgo_attrib_settle(struct pgo_attrib *a, bool between, struct pgo_err *err)
{
	uint32_t *new_of = NULL;
	int rc = a->settled ? 0 : pgo_attrib_name_frames(a, err);

	if (rc < 0 || a->settled)
		return rc;
	move_masses(a);
	rc = rebuild_rows(a, NULL);
	if (rc == 0 && between && (a->coarse || a->n_rows > a->o.max_rows)) {
		a->coarse = true;
		new_of = pgo_malloc((a->n_reps + 1) * sizeof *new_of);
		rc = new_of == NULL ? -1 : join_windows(a, new_of);
		if (rc == 0)
			rc = rebuild_rows(a, new_of);
		pgo_free(new_of);
	}
	a->settled = between && rc == 0;
	if (a->settle_at < 2 * a->n_rows)
		a->settle_at = 2 * a->n_rows;
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

/* ---- the end */

static uint32_t take_str(const struct pgo_attrib *a, struct pgo_costs *to, uint32_t id)
{
	return id == 0 ? 0 : pgo_strtab_take(&to->strs, &a->names.strs[id]);
}

static int give_reps(const struct pgo_attrib *a, struct pgo_costs *to, uint32_t *ret_first)
{
	*ret_first = (uint32_t)to->n_reps;
	for (size_t i = 0; i < a->n_reps; i++) {
		struct pgo_cost_rep r = a->reps[i];

		r.host = take_str(a, to, r.host);
		r.input = take_str(a, to, r.input);
		r.build = take_str(a, to, r.build);
		r.version = take_str(a, to, r.version);
		if (r.host == PGO_STR_NONE || r.input == PGO_STR_NONE || r.build == PGO_STR_NONE ||
			r.version == PGO_STR_NONE || pgo_costs_add_rep(to, &r) == UINT32_MAX)
			return -1;
	}
	return 0;
}

/* Frames of functions get an item each. */
static int give_rows(const struct pgo_attrib *a, struct pgo_costs *to, uint32_t first_rep)
{
	uint32_t *item_of = pgo_malloc((a->n_frames + 1) * sizeof *item_of);
	int rc = item_of == NULL ? -1 : 0;

	for (size_t i = 0; i < a->n_frames && rc == 0; i++)
		item_of[i] = UINT32_MAX;
	for (size_t i = 0; i < a->n_rows && rc == 0; i++) {
		const struct pgo_attrib_row *row = &a->rows[i];
		const struct pgo_attrib_frame *f = &a->frames[row->key.frame];
		uint32_t *item = &item_of[row->key.frame];

		if (*item == UINT32_MAX)
			*item = pgo_costs_add_item(to, pgo_strtab_get(&a->names, f->key.name),
				(enum pgo_item_place)f->key.kind);
		rc = *item == UINT32_MAX ? -1
					 : pgo_costs_add(to, *item, first_rep + row->key.rep,
						   row->value, row->samples);
	}
	pgo_free(item_of);
	return rc;
}

static int take_unit(const struct pgo_attrib *a, struct pgo_costs *to, struct pgo_err *err)
{
	const char *unit = a->unit != NULL ? a->unit : "";

	if (to->unit == NULL)
		return (to->unit = pgo_strdup(unit)) == NULL ? pgo_err_nomem(err) : 0;
	if (strcmp(to->unit, unit) == 0)
		return 0;
	return pgo_err_set(err, PGO_EMISMATCH,
		"the profiles before measure %s, those after %s; choose one with --sample-type",
		a->after ? to->unit : unit, a->after ? unit : to->unit);
}

int pgo_attrib_finish(struct pgo_attrib *a, struct pgo_costs *to, struct pgo_err *err)
{
	uint32_t first_rep;
	int rc = take_unit(a, to, err);

	if (rc == 0)
		rc = pgo_attrib_settle(a, true, err);
	if (rc < 0)
		return rc;
	to->coarse = to->coarse || a->coarse;
	if (give_reps(a, to, &first_rep) < 0 || give_rows(a, to, first_rep) < 0)
		return pgo_err_nomem(err);
	drop_rows(a);
	return 0;
}
