/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/examine.h"
#include "fetch/fetch_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/profile.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_MAX_OBJECT ((uint64_t)4 << 30)

/* Kinds of notes about objects that are not stored. */
#define KIND_NONE "none"
#define KIND_SPLIT "split"   /* its hosts were taken one by one */
#define KIND_ERASED "erased" /* neither addresses nor names */

/* ---------------------------------------------------------------- known objects */

/* A store that is asked by queries has applied all but the build-ids. */
static bool takes(const struct pgo_fetch_run *r, const struct pgo_record *rec)
{
	return r->source->ops->selects ? pgo_selection_takes_build(&r->selection, rec)
				       : pgo_selection_takes(&r->selection, rec);
}

/* One and the same answer for what is in the store. */
static int stored(struct pgo_fetch_run *r, const struct pgo_record *rec, enum pgo_fetch_state *ret)
{
	bool taken = takes(r, rec);

	r->selected += taken;
	*ret = taken ? PGO_FETCH_STORED : PGO_FETCH_OTHER;
	return 1;
}

static void found_erased(struct pgo_fetch_run *r)
{
	r->stats->erased++;
	if (r->no_addresses == NULL)
		r->no_addresses = r->source->ops->no_addresses;
}

/* 1 if a former run settled this object and its answer still holds. */
static int known(struct pgo_fetch_run *r, const struct pgo_listed *l, enum pgo_fetch_state *ret)
{
	uint32_t i = pgo_store_claim(&r->store->stored, l->name, l->size, l->mtime_ns);
	const struct pgo_record *rec;

	if (i != PGO_NONE) {
		if (r->source->ops->replaces)
			pgo_store_replace(r->store, l->name);
		return stored(r, &r->store->stored.manifest.records[i], ret);
	}
	i = pgo_store_claim(&r->store->seen, l->name, l->size, l->mtime_ns);
	if (i == PGO_NONE)
		return 0;
	rec = &r->store->seen.manifest.records[i];
	*ret = PGO_FETCH_OTHER;
	if (strcmp(rec->kind, KIND_SPLIT) == 0) {
		*ret = PGO_FETCH_SPLIT;
		return l->joined && r->source->ops->split != NULL;
	}
	if (strcmp(rec->kind, KIND_ERASED) == 0)
		found_erased(r);
	if (strcmp(rec->kind, KIND_NONE) == 0 || strcmp(rec->kind, KIND_ERASED) == 0)
		return 1;
	if (rec->digest[0] != '\0') /* the same bytes as a stored object */
		return pgo_store_find(r->store, rec->digest) != PGO_NONE ? stored(r, rec, ret) : 0;
	return !takes(r, rec);
}

/* ---------------------------------------------------------------- a new object */

static int put_defaults(const struct pgo_fetch_run *r, struct pgo_record *rec, struct pgo_err *err)
{
	const char *host = pgo_fetch_host_of(r, rec);
	int rc = 0;

	if (*host != '\0' && (rec->host == NULL || strcmp(rec->host, host) != 0))
		rc = pgo_record_set(&rec->host, host, err);
	for (size_t i = 0; i < r->o->n_labels && rc == 0; i++) {
		const char *eq = strchr(r->o->labels[i], '=');
		char *key = pgo_strndup(r->o->labels[i], (size_t)(eq - r->o->labels[i]));

		if (key == NULL)
			return pgo_err_nomem(err);
		if (pgo_record_get_label(rec, key) != NULL)
			rc = 0;
		else if (strcmp(key, "host") == 0)
			rc = pgo_record_set(&rec->host, eq + 1, err);
		else if (strcmp(key, "service") == 0)
			rc = pgo_record_set(&rec->service, eq + 1, err);
		else if (strcmp(key, "version") == 0)
			rc = pgo_record_set(&rec->version, eq + 1, err);
		else
			rc = pgo_record_label(rec, key, eq + 1, err);
		pgo_free(key);
	}
	return rc;
}

void pgo_fetch_look(const char *path, struct pgo_fetch_looked *ret)
{
	struct pgo_record *rec = &ret->rec;
	struct stat st;

	ret->rc = pgo_examine(path, rec, &ret->account, &ret->profile, &ret->why);
	if (ret->rc < 0 || !ret->profile)
		return;
	if (stat(path, &st) < 0) {
		ret->rc = pgo_err_errno(&ret->why, PGO_EIO, "%s cannot be read", path);
		return;
	}
	rec->bytes = (uint64_t)st.st_size;
	ret->rc = pgo_sha256_file(path, rec->digest, &ret->why);
}

/* What the listing, the store and the user say about it. */
static int describe(const struct pgo_fetch_run *r, const struct pgo_listed *l,
	struct pgo_record *rec, struct pgo_err *err)
{
	int rc = pgo_record_set(&rec->source, l->name, err);

	rec->source_size = l->size;
	rec->source_mtime_ns = l->mtime_ns;
	/* What does not say when it was recorded was so shortly before it was written. */
	if (rec->time_ns == 0)
		rec->time_ns = l->mtime_ns;
	if (rc == 0 && r->source->ops->describe != NULL)
		rc = r->source->ops->describe(r->source, l->name, rec, err);
	return rc == 0 ? put_defaults(r, rec, err) : rc;
}

/* The record of an object whose copy is `temp` goes where it belongs; takes both. */
static int settle(
	struct pgo_fetch_run *r, const char *temp, struct pgo_record *rec, struct pgo_err *err)
{
	uint32_t twin = pgo_store_find(r->store, rec->digest);
	int rc;

	if (!takes(r, rec)) {
		r->stats->not_selected++;
		rec->digest[0] = '\0';
		return pgo_store_note(r->store, rec, err);
	}
	if (twin == PGO_NONE) {
		uint64_t bytes = rec->bytes;

		rc = pgo_store_put(r->store, temp, rec, err);
		if (rc == 0) {
			r->stats->fetched++;
			r->stats->fetched_bytes += bytes;
			r->selected++;
		}
		return rc;
	}
	r->stats->duplicates++;
	r->selected++;
	if (!r->store->stored.claimed[twin] && pgo_store_is_of(r->store, twin, rec))
		return pgo_store_refresh(r->store, twin, rec, err);
	return pgo_store_note(r->store, rec, err);
}

/* The name of our copy, if the sentence begins with it, means nothing to the user. */
static int skip(struct pgo_fetch_run *r, const struct pgo_listed *l, const char *temp,
	const struct pgo_err *why)
{
	size_t len = temp != NULL ? strlen(temp) : 0;
	const char *text = why->msg;

	if (len != 0 && strncmp(text, temp, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		text += len + 2;
	r->stats->failed++;
	r->last_failure = *why;
	pgo_warn("%s: %s, skipping", l->name, text);
	return 0;
}

/* Not stored: remembered as what it is, so that it is not opened again. */
static int note_other(
	struct pgo_fetch_run *r, const struct pgo_listed *l, const char *kind, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	int rc = pgo_record_set(&rec.source, l->name, err);

	if (rc == 0)
		rc = pgo_record_set(&rec.kind, kind, err);
	rec.source_size = l->size;
	rec.source_mtime_ns = l->mtime_ns;
	if (rc == 0)
		rc = pgo_store_note(r->store, &rec, err);
	pgo_record_fini(&rec);
	return rc;
}

/* A local file is looked at where it is before it is copied: 1 if it may be a profile. */
static int worth_copying(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *why)
{
	char *path;
	bool profile = true;
	int rc;

	if (r->source->ops->local == NULL)
		return 1;
	path = r->source->ops->local(r->source, l->name);
	rc = path != NULL ? pgo_examine_kind(path, &profile, why) : pgo_err_nomem(why);
	pgo_free(path);
	return rc < 0 ? rc : profile;
}

/* Memory and our own disk are not the object's fault: those end the run. */
static bool is_ours(int rc)
{
	return rc == PGO_ENOMEM || rc == PGO_EIO;
}

static int note_none(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	r->stats->not_profiles++;
	return note_other(r, l, KIND_NONE, err);
}

static int note_empty(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	r->stats->empty++;
	return note_other(r, l, KIND_NONE, err);
}

/* The store joined hosts whose programs lay at different addresses, and kept one mapping for all:
 * what came is not stored, its hosts are asked for one by one. */
static int split_up(struct pgo_fetch_run *r, const struct pgo_listed *l,
	const struct pgo_address_account *account, struct pgo_err *err)
{
	pgo_note("%s: %" PRIu64 " of %" PRIu64 " locations lie outside of their mappings: the "
		 "store joined processes that were loaded at different addresses; asking for "
		 "each host by itself",
		l->name, account->outside, pgo_address_account_total(account));
	r->stats->split++;
	if (pgo_fetch_split(r, l, err) < 0)
		return err->code;
	return note_other(r, l, KIND_SPLIT, err);
}

/* What nothing can be made of is not kept, but counted in this run and the next ones. */
static int note_erased(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	r->stats->erased++;
	r->stats->erased_new++;
	return note_other(r, l, KIND_ERASED, err);
}

static enum pgo_address_class count_addresses(
	struct pgo_fetch_run *r, const struct pgo_address_account *a)
{
	enum pgo_address_class class = pgo_address_account_class(a);

	pgo_address_stats_add(&r->stats->addresses, a);
	if (r->o->addresses != NULL)
		pgo_address_stats_add(&r->o->addresses[r->source_at], a);
	if (class != PGO_ADDRESSED && r->no_addresses == NULL)
		r->no_addresses = r->source->ops->no_addresses;
	return class;
}

int pgo_fetch_settle(struct pgo_fetch_run *r, const struct pgo_listed *l, const char *temp,
	struct pgo_fetch_looked *looked, struct pgo_err *err)
{
	struct pgo_err *why = &looked->why;
	bool profile = looked->profile;
	int rc = looked->rc;

	if (rc == 0 && profile)
		rc = describe(r, l, &looked->rec, why);
	if (rc == PGO_EEMPTY)
		rc = note_empty(r, l, err);
	else if (rc < 0)
		rc = is_ours(rc) ? pgo_err_set(err, why->code, "%s", why->msg)
				 : skip(r, l, temp, why);
	else if (!profile)
		rc = note_none(r, l, err);
	else if (looked->account.outside != 0 && l->joined && r->source->ops->split != NULL)
		rc = split_up(r, l, &looked->account, err);
	else if (count_addresses(r, &looked->account) == PGO_ERASED)
		rc = note_erased(r, l, err);
	else
		rc = settle(r, temp, &looked->rec, err);
	if (rc == 0 && why->code == PGO_OK && profile && r->source->ops->replaces)
		pgo_store_replace(r->store, l->name);
	pgo_record_fini(&looked->rec);
	return rc;
}

static int take(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	struct pgo_fetch_looked looked = {.why = PGO_ERR_INIT};
	struct pgo_err why = PGO_ERR_INIT;
	char *temp = NULL;
	int rc;

	r->stats->examined++;
	rc = worth_copying(r, l, &why);
	if (rc == PGO_ENOMEM)
		return pgo_err_nomem(err);
	if (rc < 0)
		return skip(r, l, NULL, &why);
	if (rc == 0)
		return note_none(r, l, err);
	temp = pgo_store_temp(r->store);
	rc = temp != NULL ? r->source->ops->get(r->source, l->name, temp, r->max_object, &why)
			  : pgo_err_nomem(&why);
	looked.rc = rc;
	looked.why = why;
	if (rc == 0)
		pgo_fetch_look(temp, &looked);
	rc = pgo_fetch_settle(r, l, temp, &looked, err);
	if (temp != NULL)
		unlink(temp); /* gone already if it was stored */
	pgo_free(temp);
	return rc;
}

/* ---------------------------------------------------------------- the listing */

/* The output directory may lie inside the source: what is in it is not offered. */
static bool is_our_own(struct pgo_fetch_run *r, const char *name)
{
	char real[PATH_MAX], *path;
	size_t len = strlen(r->out_real);
	bool ours;

	if (r->source->ops->local == NULL || len == 0)
		return false;
	path = r->source->ops->local(r->source, name);
	ours = path != NULL && realpath(path, real) != NULL &&
	       strncmp(real, r->out_real, len) == 0 && real[len] == '/';
	pgo_free(path);
	return ours;
}

int pgo_fetch_one(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	return r->source->ops->get != NULL ? take(r, l, err) : pgo_fetch_want(r, l, err);
}

int pgo_fetch_each(void *ctx, const struct pgo_listed *l, struct pgo_err *err)
{
	struct pgo_fetch_run *r = ctx;
	enum pgo_fetch_state state = PGO_FETCH_NEW;
	int rc;

	if (is_our_own(r, l->name))
		return 0;
	r->stats->listed++;
	if (r->listing)
		pgo_progress("listing", r->stats->listed, 0, "objects");
	rc = known(r, l, &state);
	r->stats->unchanged += rc > 0;
	if (!r->listing && rc > 0 && state == PGO_FETCH_SPLIT)
		return pgo_fetch_split(r, l, err);
	if (rc == 0 && !r->listing) { /* a host of a joined object that was chosen */
		rc = pgo_fetch_candidate(r, l, PGO_FETCH_DONE, err);
		return rc == 0 ? pgo_fetch_one(r, l, err) : rc;
	}
	return pgo_fetch_candidate(r, l, rc == 0 ? PGO_FETCH_NEW : state, err);
}

/* One pool of connections for all stores on the network. */
static int join_network(struct pgo_fetch_run *r, struct pgo_err *err)
{
	if (r->source->ops->request == NULL)
		return 0;
	if (r->http == NULL)
		r->http = pgo_http_new(&r->o->http, err);
	r->source->http = r->http;
	return r->http != NULL ? 0 : err->code;
}

/* Sources stay open: their objects are asked for when all are listed. */
static int list_url(struct pgo_fetch_run *r, const char *url, struct pgo_err *err)
{
	int rc;

	r->source = pgo_source_open(url, r->o->extra, err);
	if (r->source == NULL)
		return err->code;
	r->source_at = r->n_sources;
	r->sources[r->n_sources++] = r->source;
	r->source->query = &r->query;
	rc = join_network(r, err);
	return rc == 0 ? r->source->ops->list(r->source, &r->query, pgo_fetch_each, r, err) : rc;
}

static int fetch_all(struct pgo_fetch_run *r, struct pgo_err *err)
{
	int rc = 0;

	r->sources = pgo_calloc(r->o->n_urls, sizeof(struct pgo_source *));
	if (r->sources == NULL)
		return pgo_err_nomem(err);
	r->listing = true;
	for (size_t i = 0; i < r->o->n_urls && rc == 0; i++)
		rc = list_url(r, r->o->urls[i], err);
	if (rc == 0)
		rc = pgo_fetch_candidates(r, err);
	if (rc == 0 && r->o->coverage != NULL)
		rc = pgo_fetch_cover(r, r->o->coverage, err);
	pgo_fetch_forget_candidates(r);
	for (size_t i = 0; i < r->n_sources; i++)
		pgo_source_close(r->sources[i]);
	pgo_free(r->sources);
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int check_options(struct pgo_fetch_run *r, struct pgo_err *err)
{
	const struct pgo_fetch_options *o = r->o;
	int rc = 0;

	r->max_object = o->max_object != 0 ? o->max_object : DEFAULT_MAX_OBJECT;
	r->selection.since_ns = o->since_ns;
	r->selection.until_ns = o->until_ns;
	r->selection.types = o->types;
	r->selection.n_types = o->n_types;
	r->query = (struct pgo_query){.since_ns = o->since_ns,
		.until_ns = o->until_ns,
		.selection = &r->selection,
		.by_host = o->by_host,
		.types = o->types,
		.n_types = o->n_types};
	if (o->since_ns != 0 && o->until_ns != 0 && o->since_ns >= o->until_ns)
		return pgo_err_set(err, PGO_EUSAGE,
			"the time range is empty: its end is not after its beginning");
	for (size_t i = 0; i < o->n_labels; i++) {
		const char *eq = strchr(o->labels[i], '=');

		if (eq == NULL || eq == o->labels[i])
			return pgo_err_set(err, PGO_EUSAGE,
				"label '%s' is not of the form key=value", o->labels[i]);
	}
	for (size_t i = 0; i < o->n_selects && rc == 0; i++)
		rc = pgo_selection_add(&r->selection, o->selects[i], err);
	return rc;
}

#define GENERAL_ADVICE                                                                             \
	"the agent, or a store on the way, drops them: let it send code without names, marked as " \
	"having no functions"

/* What to change about the first store that gave profiles without addresses. */
static const char *advice(const struct pgo_fetch_run *r)
{
	return r->no_addresses != NULL ? r->no_addresses : GENERAL_ADVICE;
}

static int nothing(const struct pgo_fetch_run *r, struct pgo_err *err)
{
	const struct pgo_fetch_stats *s = r->stats;

	if (s->erased != 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"nothing to store: %" PRIu64
			" profiles came with neither addresses nor names in them; %s",
			s->erased, advice(r));
	return pgo_err_set(err, PGO_EEMPTY,
		"nothing to store: of %" PRIu64 " objects %" PRIu64 " are no profiles, %" PRIu64
		" hold no samples, %" PRIu64
		" could not be read%s%.400s%s, the others are not selected",
		s->listed, s->not_profiles, s->empty, s->failed,
		s->failed != 0 ? " (the last: " : "", r->last_failure.msg,
		s->failed != 0 ? ")" : "");
}

/* Names do for some things, addresses for all: a fleet's setting may be one word away. */
static void warn_of_addresses(const struct pgo_fetch_run *r)
{
	const struct pgo_address_stats *a = &r->stats->addresses;

	if (r->selected != 0 && r->stats->erased != 0)
		pgo_warn("%" PRIu64 " profiles with neither addresses nor names were left out; %s",
			r->stats->erased, advice(r));
	if (a->addressed == 0 && a->symbolic != 0 && r->no_addresses != NULL)
		pgo_warn("all %" PRIu64
			 " new profiles have names and no addresses, which is enough "
			 "for Go and for convert --allow-symbolic only; %s",
			a->symbolic, r->no_addresses);
	if (a->outside != 0)
		pgo_warn("%" PRIu64 " profiles hold %" PRIu64
			 " addresses outside of their mappings: processes that lay at different "
			 "addresses were joined (or a tool writes the file's own addresses, which "
			 "do no harm)",
			a->outside, a->locations.outside);
}

static int run(struct pgo_fetch_run *r, struct pgo_err *err)
{
	int rc = check_options(r, err);

	if (rc < 0)
		return rc;
	r->store = pgo_store_open(r->o->out_dir, err);
	if (r->store == NULL)
		return err->code;
	if (realpath(r->o->out_dir, r->out_real) == NULL)
		r->out_real[0] = '\0';
	rc = fetch_all(r, err);
	pgo_progress_end();
	if (rc == 0)
		rc = pgo_store_commit(r->store, err); /* else the journal keeps what was done */
	if (rc == 0)
		warn_of_addresses(r);
	return rc == 0 && r->selected == 0 ? nothing(r, err) : rc;
}

int pgo_fetch(const struct pgo_fetch_options *o, struct pgo_fetch_stats *ret, struct pgo_err *err)
{
	struct pgo_fetch_stats stats = {0};
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_fetch_run r = {.o = o, .stats = &stats};
	int rc;

	pgo_selection_init(&r.selection);
	rc = run(&r, &local);
	if (r.http != NULL) {
		stats.retries = pgo_http_stats_of(r.http)->retries;
		stats.received_bytes = pgo_http_stats_of(r.http)->received;
	}
	pgo_http_free(r.http);
	pgo_store_close(r.store);
	pgo_selection_fini(&r.selection);
	if (rc < 0 && err != NULL)
		*err = local;
	*ret = stats;
	return rc;
}
