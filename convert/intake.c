/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles in: every sample becomes a trace or a plain sample of the binary, or a named loss. */
#include "convert/convert_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"

#include <string.h>

/* One input while it is read. */
struct intake {
	struct pgo_convert *c;
	const struct pgo_profile *p;
	struct pgo_resolver res;
	struct pgo_lbr_columns lbr;
	uint32_t plain; /* value index of plain samples, or PGO_NONE */
};

/* Remembers what the profile was taken from instead, for the message if nothing fits. */
static void note_others(struct intake *in)
{
	struct pgo_convert *c = in->c;
	const char *base = pgo_path_base(c->o.binary);

	for (size_t i = 0; i < in->p->n_mappings; i++) {
		const char *file = pgo_profile_str(in->p, in->p->mappings[i].filename);

		if (in->res.ours[i])
			continue;
		if (strcmp(pgo_path_base(file), base) == 0 && c->other_build[0] == '\0')
			pgo_build_id_normalize(pgo_profile_str(in->p, in->p->mappings[i].build_id),
				c->other_build);
		else if (c->other_file == NULL && file[0] != '\0')
			c->other_file = pgo_strdup(file);
	}
}

/* Which column counts plain samples: "samples", else the profile's own default, else the last. */
static uint32_t plain_column(const struct pgo_profile *p, const struct pgo_lbr_columns *l)
{
	uint32_t i = pgo_profile_sample_type(p, "samples");

	if (i == PGO_NONE && p->default_sample_type != 0)
		i = pgo_profile_sample_type(p, pgo_profile_str(p, p->default_sample_type));
	if (i == PGO_NONE && p->n_sample_types != 0)
		i = (uint32_t)p->n_sample_types - 1;
	if (i == l->traces || i == l->mispredicts || i == l->cycles || i == l->executions ||
		i == l->branches || i == l->ranges || i == l->stacks)
		return PGO_NONE;
	return i;
}

/* Where one end of a trace is, and why, if it is not in the binary. */
static uint64_t place(
	const struct intake *in, uint32_t loc, bool is_source, enum pgo_loss *ret_loss)
{
	*ret_loss = PGO_LOSS_NONE;
	if (loc == PGO_NONE)
		return PGO_AT_NONE;
	switch ((enum pgo_lbr_end)in->lbr.end_kind[loc]) {
	case PGO_LBR_IS_BRANCH_ONLY:
	case PGO_LBR_IS_FALLTHROUGH_ONLY:
		return PGO_AT_NONE;
	case PGO_LBR_IS_EXTERNAL_RETURN:
		*ret_loss = PGO_LOSS_OTHER_BINARY;
		return is_source ? PGO_AT_OUTSIDE_RETURN : PGO_AT_OUTSIDE;
	case PGO_LBR_IS_EXTERNAL:
		*ret_loss = PGO_LOSS_OTHER_BINARY;
		return PGO_AT_OUTSIDE;
	case PGO_LBR_ADDR:
		break;
	}
	*ret_loss = (enum pgo_loss)in->res.at[loc].loss;
	return *ret_loss == PGO_LOSS_NONE ? in->res.at[loc].vaddr : PGO_AT_OUTSIDE;
}

static void bump(uint64_t *counter, uint64_t n)
{
	*counter = pgo_add_sat(*counter, n);
}

/* Books the branch and the range of a trace; either may be lost, or not be there at all. */
static int add_trace(struct intake *in, const struct pgo_lbr_trace *lt)
{
	struct pgo_account *a = &in->c->account;
	enum pgo_loss source_loss, target_loss, end_loss;
	struct pgo_trace t = {
		.source = place(in, lt->source, true, &source_loss),
		.target = place(in, lt->target, false, &target_loss),
		.end = place(in, lt->end, false, &end_loss),
		.count = (uint64_t)lt->count,
		.mispreds = (uint64_t)lt->mispredicts,
		.executions = (uint64_t)lt->executions,
	};
	bool used = false;

	if (t.source != PGO_AT_NONE && t.target != PGO_AT_NONE) {
		bump(&a->branches_read, t.count);
		if (!pgo_at_inside(t.source) && !pgo_at_inside(t.target)) {
			bump(&a->branch_loss[target_loss], t.count);
			t.source = PGO_AT_NONE;
		} else {
			used = true;
			bump(&a->branches_used, t.count);
			if (!pgo_at_inside(t.source))
				bump(&a->branches_entering, t.count);
			if (!pgo_at_inside(t.target))
				bump(&a->branches_leaving, t.count);
		}
	}
	if (t.end != PGO_AT_NONE) {
		bump(&a->ranges_read, t.count);
		if (pgo_at_inside(t.target) && pgo_at_inside(t.end)) {
			used = true;
		} else {
			bump(&a->range_loss[pgo_at_inside(t.target) ? end_loss : target_loss],
				t.count);
			t.end = PGO_AT_NONE;
		}
	}
	return used ? pgo_ranges_add(&in->c->ranges, &t) : 0;
}

static int add_plain(struct intake *in, const struct pgo_sample *s)
{
	struct pgo_account *a = &in->c->account;
	const struct pgo_resolved *at;
	uint64_t n;

	if (in->plain == PGO_NONE || s->n_loc == 0 || s->value[in->plain] <= 0)
		return 0;
	n = (uint64_t)s->value[in->plain];
	bump(&a->plain_read, n);
	at = &in->res.at[s->loc[0]];
	if (at->loss != PGO_LOSS_NONE) {
		bump(&a->plain_loss[at->loss], n);
		return 0;
	}
	bump(&a->plain_used, n);
	return pgo_ranges_add_ip(&in->c->ranges, at->vaddr, n);
}

static int add_samples(struct intake *in, struct pgo_reader *r, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		struct pgo_lbr_trace t;
		uint32_t at = 0;

		in->c->account.samples_read++;
		while ((rc = pgo_lbr_trace_next(&in->lbr, in->p, &s, &at, &t, err)) > 0) {
			if (add_trace(in, &t) < 0)
				return pgo_err_nomem(err);
		}
		if (rc < 0)
			return rc;
		if (add_plain(in, &s) < 0)
			return pgo_err_nomem(err);
	}
	return rc;
}

int pgo_convert_add(struct pgo_convert *c, struct pgo_reader *r, struct pgo_err *err)
{
	struct intake in = {.c = c, .p = r->head};
	bool has_lbr = false;
	int rc;

	rc = pgo_resolver_init(&in.res, in.p, c->elf, NULL, err);
	if (rc < 0)
		goto out;
	rc = pgo_lbr_columns_init(&in.lbr, in.p, &has_lbr, err);
	if (rc < 0)
		goto out;
	note_others(&in);
	in.plain = plain_column(in.p, &in.lbr);
	if (in.plain != PGO_NONE && c->event == NULL)
		c->event = pgo_strdup(pgo_profile_str(in.p, in.p->sample_types[in.plain].type));
	if (has_lbr && in.lbr.executions == PGO_NONE)
		c->executions = false;
	c->account.inputs++;
	rc = add_samples(&in, r, err);
out:
	pgo_lbr_columns_fini(&in.lbr);
	pgo_resolver_fini(&in.res);
	return rc < 0 ? pgo_err_prefix(err, "%s", r->name) : 0;
}
