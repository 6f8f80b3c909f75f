/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/state_gc.h"

#include "fetch/store.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/manifest.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "pgo/merge_inputs.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what stays of the results */

/* Sizes of all that a directory holds. */
static uint64_t bytes_of(const char *dir)
{
	struct pgo_paths files = {0};
	uint64_t sum = 0;
	struct stat st;

	if (pgo_paths_list(dir, &files, NULL) < 0)
		return 0;
	for (size_t i = 0; i < files.n; i++)
		if (stat(files.path[i], &st) == 0)
			sum += (uint64_t)st.st_size;
	pgo_paths_free(&files);
	return sum;
}

static bool stays(
	const struct pgo_on_target *o, const struct pgo_gc_rule *rule, size_t i, size_t newer)
{
	const struct pgo_state_entry *e = &o->entries.of[i];
	struct pgo_state_story story;
	int64_t age;

	pgo_state_story(&o->log, e->id, &story);
	/* The line of a decision, or, of what the log does not know, its day. */
	age = pgo_state_age(
		story.last != NULL ? story.last->clock_ns : story.published_ns, o->now_ns);
	if (e->quarantined)
		return rule->quarantine_ns == 0 || age <= rule->quarantine_ns;
	if (e->last_good || e->pinned || newer < rule->keep || age <= rule->keep_ns)
		return true;
	return story.last != NULL && strcmp(story.last->decision, "held") == 0;
}

static void count(struct pgo_gc_sum *s, uint64_t bytes)
{
	s->n++;
	s->bytes += bytes;
}

static int add(struct pgo_gc_plan *p, char *path, const char *name, uint64_t bytes, bool is_profile,
	struct pgo_err *err)
{
	struct pgo_gc_item *item = path != NULL ? PGO_VEC_PUSH(p->item, p->n, p->room) : NULL;

	if (item == NULL) {
		pgo_free(path);
		return pgo_err_nomem(err);
	}
	item->path = path;
	item->bytes = bytes;
	item->is_profile = is_profile;
	item->name = pgo_strdup(name);
	return item->name != NULL ? 0 : pgo_err_nomem(err);
}

/* ---- what stays of the profiles */

struct digests {
	char (*of)[65];
	size_t n, room;
};

static int compare_digests(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The inputs of a manifest; "DIGEST#2" is a part of a recording. */
static int add_inputs(struct digests *d, const struct pgo_state_entry *e, struct pgo_err *err)
{
	struct pgo_jval *m = pgo_state_doc(e, "manifest.json", NULL);
	const struct pgo_jval *plan = pgo_jval_get(m, "plan");
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(plan) && rc == 0; i++) {
		const char *text = pgo_jval_str(pgo_jval_get(pgo_jval_at(plan, i), "digest"), "");
		char(*to)[65];

		if (strcspn(text, "#") != 64)
			continue;
		to = PGO_VEC_PUSH(d->of, d->n, d->room);
		if (to == NULL)
			rc = pgo_err_nomem(err);
		else
			memcpy(*to, text, 64);
	}
	pgo_jdoc_free(m);
	return rc;
}

static int time_or(const char *text, int64_t now, int64_t *ret, struct pgo_err *err)
{
	*ret = 0;
	return text[0] != '\0' ? pgo_parse_time(text, now, ret, err) : 0;
}

struct window {
	int64_t since_ns, until_ns;
};

/* One without a time belongs to every window. */
static bool profile_stays(
	const struct pgo_record *r, const struct window *w, const struct digests *referenced)
{
	if (r->time_ns == 0)
		return true;
	if ((w->since_ns == 0 || r->time_ns >= w->since_ns) &&
		(w->until_ns == 0 || r->time_ns <= w->until_ns))
		return true;
	return referenced->n != 0 && bsearch(r->digest, referenced->of, referenced->n,
					     sizeof *referenced->of, compare_digests) != NULL;
}

static int load_records(const struct pgo_on_target *o, struct pgo_manifest *ret, bool *ret_busy,
	struct pgo_err *err)
{
	char *manifest = pgo_asprintf("%s/manifest.jsonl", o->state.raw);
	char *journal = pgo_asprintf("%s/.journal.jsonl", o->state.raw);
	struct stat st;
	int rc = manifest != NULL && journal != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0) {
		*ret_busy = stat(journal, &st) == 0 && st.st_size != 0;
		rc = pgo_manifest_load(ret, manifest, err);
	}
	pgo_free(manifest);
	pgo_free(journal);
	return rc;
}

static int plan_profiles(const struct pgo_on_target *o, struct pgo_gc_plan *p,
	const struct digests *referenced, struct pgo_err *err)
{
	struct pgo_manifest m;
	struct window w;
	int rc = time_or(o->target->since, o->now_ns, &w.since_ns, err);

	pgo_manifest_init(&m);
	if (rc == 0)
		rc = time_or(o->target->until, o->now_ns, &w.until_ns, err);
	if (rc == 0)
		rc = load_records(o, &m, &p->profiles_busy, err);
	for (size_t i = 0; i < m.n_records && rc == 0; i++) {
		const struct pgo_record *r = &m.records[i];

		if (p->profiles_busy || profile_stays(r, &w, referenced)) {
			count(&p->profiles_kept, r->bytes);
			continue;
		}
		count(&p->profiles_gone, r->bytes);
		rc = add(p, pgo_object_path(o->state.raw, r->digest), r->digest, r->bytes, true,
			err);
	}
	pgo_manifest_fini(&m);
	return rc;
}

/* ---- the plan */

static int plan_results(const struct pgo_on_target *o, const struct pgo_gc_rule *rule,
	struct pgo_gc_plan *p, struct digests *referenced, struct pgo_err *err)
{
	size_t newer = 0;
	int rc = 0;

	for (size_t i = o->entries.n; i-- != 0 && rc == 0;) {
		const struct pgo_state_entry *e = &o->entries.of[i];
		uint64_t bytes = bytes_of(e->dir);

		if (stays(o, rule, i, newer)) {
			count(e->quarantined ? &p->quarantine_kept : &p->results_kept, bytes);
			rc = add_inputs(referenced, e, err);
		} else {
			count(e->quarantined ? &p->quarantine_gone : &p->results_gone, bytes);
			rc = add(p, pgo_strdup(e->dir), e->id, bytes, false, err);
		}
		newer += !e->quarantined;
	}
	if (referenced->n != 0)
		qsort(referenced->of, referenced->n, sizeof *referenced->of, compare_digests);
	return rc;
}

int pgo_gc_plan(const struct pgo_on_target *o, const struct pgo_gc_rule *rule,
	struct pgo_gc_plan *ret, struct pgo_err *err)
{
	struct digests referenced = {0};
	struct pgo_gc_plan p = {0};
	int rc = plan_results(o, rule, &p, &referenced, err);

	if (rc == 0 && pgo_path_exists(o->state.cache))
		p.cache_bytes = bytes_of(o->state.cache);
	if (rc == 0)
		rc = plan_profiles(o, &p, &referenced, err);
	pgo_free(referenced.of);
	if (rc < 0)
		pgo_gc_plan_fini(&p);
	else
		*ret = p;
	return rc;
}

void pgo_gc_plan_fini(struct pgo_gc_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		pgo_free(p->item[i].path);
		pgo_free(p->item[i].name);
	}
	pgo_free(p->item);
	*p = (struct pgo_gc_plan){0};
}

/* ---- the sweep */

/* Out of its place in one step, so that nobody finds a part of it. */
static int sweep_result(struct pgo_on_target *o, const char *dir, struct pgo_err *err)
{
	char *aside = pgo_state_candidate(&o->state, err);
	char *to = aside != NULL ? pgo_asprintf("%s/gone", aside) : NULL;
	int rc = 0;

	if (aside == NULL)
		return PGO_EIO;
	if (to == NULL)
		rc = pgo_err_nomem(err);
	else if (rename(dir, to) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be moved away", dir);
	if (rc == 0)
		rc = pgo_state_remove(aside, err);
	else
		(void)!rmdir(aside);
	pgo_free(aside);
	pgo_free(to);
	return rc;
}

static int compare_names(const void *va, const void *vb)
{
	const char *const *a = va, *const *b = vb;

	return strcmp(*a, *b);
}

/* The records without those that go. */
static int save_rest(
	const struct pgo_on_target *o, const char **gone, size_t n, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/manifest.jsonl", o->state.raw);
	struct pgo_manifest m;
	size_t kept = 0;
	int rc;

	pgo_manifest_init(&m);
	rc = path != NULL ? pgo_manifest_load(&m, path, err) : pgo_err_nomem(err);
	for (size_t i = 0; i < m.n_records && rc == 0; i++) {
		const char *digest = m.records[i].digest;

		if (bsearch(&digest, gone, n, sizeof *gone, compare_names) != NULL)
			pgo_record_fini(&m.records[i]);
		else
			m.records[kept++] = m.records[i];
	}
	if (rc == 0) {
		m.n_records = kept;
		rc = pgo_manifest_save(&m, path, err);
	}
	pgo_manifest_fini(&m);
	pgo_free(path);
	return rc;
}

/* First they are no longer listed, then they go: what is left in between is found again by the next
 * fetch, and swept by the next who comes here. */
static int sweep_profiles(
	struct pgo_on_target *o, const struct pgo_gc_plan *plan, struct pgo_err *err)
{
	const char **gone = pgo_calloc(plan->n, sizeof *gone);
	struct pgo_store *store;
	size_t n = 0;
	int rc = gone != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0 && plan->profiles_gone.n != 0) {
		for (size_t i = 0; i < plan->n; i++)
			if (plan->item[i].is_profile)
				gone[n++] = plan->item[i].name;
		qsort(gone, n, sizeof *gone, compare_names);
		/* Keeps out a `pgo fetch` into the same place. */
		store = pgo_store_open(o->state.raw, err);
		rc = store != NULL ? save_rest(o, gone, n, err) : PGO_EIO;
		for (size_t i = 0; i < plan->n && rc == 0; i++)
			if (plan->item[i].is_profile && unlink(plan->item[i].path) < 0 &&
				errno != ENOENT)
				rc = pgo_err_errno(
					err, PGO_EIO, "%s cannot be removed", plan->item[i].path);
		pgo_store_close(store);
	}
	pgo_free(gone);
	return rc;
}

static void put_sum(struct pgo_json *j, const char *key, const struct pgo_gc_sum *s)
{
	pgo_json_key(j, key);
	pgo_json_object(j);
	pgo_json_kv_u64(j, "n", s->n);
	pgo_json_kv_u64(j, "bytes", s->bytes);
	pgo_json_end_object(j);
}

static void put_sums(void *ctx, struct pgo_json *j)
{
	const struct pgo_gc_plan *p = ctx;

	put_sum(j, "results", &p->results_gone);
	put_sum(j, "quarantine", &p->quarantine_gone);
	put_sum(j, "profiles", &p->profiles_gone);
}

int pgo_gc_sweep(struct pgo_on_target *o, const struct pgo_gc_rule *rule,
	const struct pgo_gc_plan *plan, uint64_t *ret_cache_bytes, struct pgo_err *err)
{
	char *reason = pgo_asprintf("%llu results, %llu in quarantine, %llu profiles",
		(unsigned long long)plan->results_gone.n,
		(unsigned long long)plan->quarantine_gone.n,
		(unsigned long long)plan->profiles_gone.n);
	const struct pgo_state_decision d = {.decision = "collected",
		.reason = reason,
		.by = "gc",
		.more = put_sums,
		.ctx = (void *)(uintptr_t)plan};
	int rc = reason != NULL ? 0 : pgo_err_nomem(err);

	for (size_t i = 0; i < plan->n && rc == 0; i++)
		if (!plan->item[i].is_profile)
			rc = sweep_result(o, plan->item[i].path, err);
	if (rc == 0)
		rc = sweep_profiles(o, plan, err);
	if (rc == 0)
		rc = pgo_merge_cache_gc(o->state.cache, rule->cache_size, rule->keep_ns, o->now_ns,
			ret_cache_bytes, err);
	if (rc == 0 && plan->n != 0)
		rc = pgo_state_log_append(&o->state, &d, err);
	pgo_free(reason);
	return rc;
}
