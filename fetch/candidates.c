/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the sources list, which of it is fetched, and what of it there is in the end.
 */
#include "fetch/coverage.h"
#include "fetch/examine.h"
#include "fetch/fetch_impl.h"
#include "fetch/strata.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/profile.h"
#include "pgo/core/vec.h"

#include <string.h>

struct pgo_fetch_candidate {
	struct pgo_listed listed; /* its name is owned */
	uint32_t source;          /* index */
	enum pgo_fetch_state state;
	char *host, *build; /* as far as it is known before it is fetched; for sampling */
	int64_t time_ns;
};

/* ---------------------------------------------------------------- the list */

int pgo_fetch_candidate(struct pgo_fetch_run *r, const struct pgo_listed *l,
	enum pgo_fetch_state state, struct pgo_err *err)
{
	struct pgo_fetch_candidate *c =
		PGO_VEC_PUSH(r->candidates, r->n_candidates, r->candidates_room);

	if (c == NULL)
		return pgo_err_nomem(err);
	c->listed = *l;
	c->listed.name = pgo_strdup(l->name);
	c->source = (uint32_t)r->source_at;
	c->state = state;
	return c->listed.name != NULL ? 0 : pgo_err_nomem(err);
}

void pgo_fetch_forget_candidates(struct pgo_fetch_run *r)
{
	for (size_t i = 0; i < r->n_candidates; i++) {
		pgo_free((char *)r->candidates[i].listed.name);
		pgo_free(r->candidates[i].host);
		pgo_free(r->candidates[i].build);
	}
	pgo_free(r->candidates);
	r->candidates = NULL;
	r->n_candidates = r->candidates_room = 0;
}

/* ---------------------------------------------------------------- what is known of one */

static const char *or_nothing(const char *text)
{
	return text != NULL ? text : "";
}

const char *pgo_fetch_host_of(const struct pgo_fetch_run *r, const struct pgo_record *rec)
{
	const char *named = r->o->by_host != NULL ? pgo_record_get_label(rec, r->o->by_host) : NULL;

	return named != NULL && *named != '\0' ? named : or_nothing(rec->host);
}

/* The first in order of the mappings would be the program's; records keep them sorted. */
static const char *build_of(const struct pgo_record *rec)
{
	return rec->n_build_ids != 0 ? rec->build_ids[0] : "";
}

/* What a former run, the file, or else the name alone tells.  *ret is filled (pgo_record_fini), or
 * *ret_known points to the manifest's.  Whatever cannot be read here says so when it is fetched. */
static int look_at(struct pgo_fetch_run *r, const struct pgo_fetch_candidate *c, bool into_files,
	struct pgo_record *ret, const struct pgo_record **ret_known, struct pgo_err *err)
{
	const struct pgo_listed *l = &c->listed;
	struct pgo_source *s = r->sources[c->source];
	struct pgo_err why = PGO_ERR_INIT;
	bool profile = false;
	char *path;
	int rc = 0;

	*ret_known = pgo_store_peek(r->store, l->name, l->size, l->mtime_ns);
	if (*ret_known != NULL)
		return 0;
	if (into_files && s->ops->local != NULL) {
		path = s->ops->local(s, l->name);
		rc = path != NULL ? pgo_examine(path, ret, NULL, &profile, &why)
				  : pgo_err_nomem(&why);
		pgo_free(path);
	}
	if (rc != PGO_ENOMEM && s->ops->describe != NULL)
		rc = s->ops->describe(s, l->name, ret, &why);
	if (ret->time_ns == 0)
		ret->time_ns = l->mtime_ns;
	return rc == PGO_ENOMEM ? pgo_err_nomem(err) : 0;
}

/* ---------------------------------------------------------------- a sample of them */

/* May it count among those that are wanted?  Known others, and what is not to be a profile, go their
 * way whether there is a limit or not. */
static bool counts(const struct pgo_fetch_candidate *c)
{
	return c->state == PGO_FETCH_NEW || c->state == PGO_FETCH_STORED;
}

static int learn(struct pgo_fetch_run *r, struct pgo_fetch_candidate *c, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	const struct pgo_record *known = NULL;
	int rc = look_at(r, c, true, &rec, &known, err);

	if (rc == 0) {
		known = known != NULL ? known : &rec;
		c->host = pgo_strdup(pgo_fetch_host_of(r, known));
		c->build = pgo_strdup(build_of(known));
		c->time_ns = known->time_ns;
		if (c->host == NULL || c->build == NULL)
			rc = pgo_err_nomem(err);
	}
	pgo_record_fini(&rec);
	return rc;
}

/* Indices of the candidates that count, the first to take first. */
static int put_in_order(struct pgo_fetch_run *r, size_t **ret, size_t *ret_n, struct pgo_err *err)
{
	struct pgo_sample_item *items = pgo_calloc(r->n_candidates, sizeof *items);
	size_t *which = pgo_calloc(r->n_candidates, sizeof *which);
	size_t *order = pgo_calloc(r->n_candidates, sizeof *order), n = 0;
	int rc = items != NULL && which != NULL && order != NULL ? 0 : pgo_err_nomem(err);

	for (size_t i = 0; i < r->n_candidates && rc == 0; i++) {
		struct pgo_fetch_candidate *c = &r->candidates[i];

		if (!counts(c))
			continue;
		rc = learn(r, c, err);
		items[n] = (struct pgo_sample_item){c->listed.name, c->host, c->build, c->time_ns};
		which[n++] = i;
	}
	if (rc == 0)
		rc = pgo_sample_order(items, n, order, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		order[i] = which[order[i]];
	pgo_free(items);
	pgo_free(which);
	if (rc < 0)
		pgo_free(order);
	else
		*ret = order;
	*ret_n = n;
	return rc;
}

/* Fetches what is marked as chosen, source by source, in the order of their listings. */
static int fetch_chosen(struct pgo_fetch_run *r, struct pgo_err *err)
{
	int rc = 0;

	for (size_t s = 0; s < r->n_sources && rc == 0; s++) {
		size_t n = r->n_candidates; /* hosts of joined objects come behind them */

		r->source = r->sources[s];
		r->source_at = s;
		for (size_t i = 0; i < n && rc == 0; i++) {
			struct pgo_fetch_candidate *c = &r->candidates[i];

			if (c->source == s && c->state == PGO_FETCH_SPLIT) {
				c->state = PGO_FETCH_OTHER;
				rc = pgo_fetch_split(r, &c->listed, err);
				continue;
			}
			if (c->source != s || c->state != PGO_FETCH_CHOSEN)
				continue;
			c->state = PGO_FETCH_DONE;
			if (r->source->ops->get != NULL)
				pgo_progress("fetching", i, n, "objects");
			rc = pgo_fetch_one(r, &c->listed, err);
		}
		if (rc == 0)
			rc = pgo_fetch_transfer(r, err);
		pgo_fetch_forget_wanted(r);
	}
	return rc;
}

/* Some of those that are fetched turn out to be none that is selected: then the next in order are
 * asked for, until there are enough. */
static int fetch_some(struct pgo_fetch_run *r, struct pgo_err *err)
{
	uint64_t have = 0, max = r->o->max_profiles;
	size_t *order = NULL, n = 0, at = 0;
	int rc = put_in_order(r, &order, &n, err);

	while (rc == 0 && have < max && at < n) {
		uint64_t before = r->selected, known = 0;

		for (uint64_t k = have; k < max && at < n; k++) {
			struct pgo_fetch_candidate *c = &r->candidates[order[at++]];

			known += c->state == PGO_FETCH_STORED;
			if (c->state == PGO_FETCH_NEW)
				c->state = PGO_FETCH_CHOSEN;
		}
		rc = fetch_chosen(r, err);
		have += known + (r->selected - before);
	}
	for (size_t i = 0; i < r->n_candidates; i++)
		r->stats->not_taken += r->candidates[i].state == PGO_FETCH_NEW;
	pgo_free(order);
	return rc;
}

int pgo_fetch_candidates(struct pgo_fetch_run *r, struct pgo_err *err)
{
	int rc;

	r->listing = false;
	if (r->o->max_profiles != 0) {
		rc = fetch_some(r, err);
	} else {
		for (size_t i = 0; i < r->n_candidates; i++)
			if (r->candidates[i].state == PGO_FETCH_NEW)
				r->candidates[i].state = PGO_FETCH_CHOSEN;
		rc = fetch_chosen(r, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- coverage */

static bool is_taken(const struct pgo_fetch_run *r, const struct pgo_record *known)
{
	return known != NULL && known->digest[0] != '\0' &&
	       pgo_store_find(r->store, known->digest) != PGO_NONE;
}

/* Objects that are known to be no profiles, or not selected, are not meant. */
static int cover(struct pgo_fetch_run *r, const struct pgo_fetch_candidate *c,
	struct pgo_coverage *to, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	const struct pgo_record *known = NULL;
	int rc = look_at(r, c, false, &rec, &known, err);
	bool taken = is_taken(r, known);

	if (rc == 0 && (known == NULL || taken)) {
		const struct pgo_record *of = known != NULL ? known : &rec;
		const char *host =
			c->host != NULL && known == NULL ? c->host : pgo_fetch_host_of(r, of);
		const char *build = c->build != NULL && known == NULL ? c->build : build_of(of);

		rc = pgo_coverage_add(to, host, build,
			c->time_ns != 0 && known == NULL ? c->time_ns : of->time_ns, taken, err);
	}
	pgo_record_fini(&rec);
	return rc;
}

int pgo_fetch_cover(struct pgo_fetch_run *r, struct pgo_coverage *to, struct pgo_err *err)
{
	int rc = 0;

	to->since_ns = r->o->since_ns;
	to->until_ns = r->o->until_ns;
	for (size_t i = 0; i < r->n_candidates && rc == 0; i++)
		if (r->candidates[i].state != PGO_FETCH_OTHER)
			rc = cover(r, &r->candidates[i], to, err);
	return rc == 0 ? pgo_coverage_close(to, err) : rc;
}
