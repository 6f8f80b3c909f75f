/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/fetch.h"

#include "fetch/examine.h"
#include "fetch/select.h"
#include "fetch/source.h"
#include "fetch/store.h"
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

/* An object of a store on the network that is to be fetched. */
struct wanted {
	char *name, *temp;
	struct pgo_listed listed;
	struct pgo_http_request request;
	bool begun;
};

struct run {
	const struct pgo_fetch_options *o;
	struct pgo_selection selection;
	struct pgo_store *store;
	struct pgo_source *source; /* the one being listed */
	struct pgo_fetch_stats *stats;
	struct pgo_http *http; /* made when the first store on the network is met */
	struct wanted *wanted; /* of the source being listed */
	size_t n_wanted, wanted_room, next_wanted;
	uint64_t max_object;
	uint64_t selected; /* objects of the sources that are in the store now */
	char out_real[PATH_MAX];
};

/* ---------------------------------------------------------------- known objects */

/* 1 if a former run settled this object and its answer still holds. */
static int known(struct run *r, const struct pgo_listed *l)
{
	uint32_t i = pgo_store_claim(&r->store->stored, l->name, l->size, l->mtime_ns);
	const struct pgo_record *rec;

	if (i != PGO_NONE) {
		r->selected +=
			pgo_selection_takes(&r->selection, &r->store->stored.manifest.records[i]);
		return 1;
	}
	i = pgo_store_claim(&r->store->seen, l->name, l->size, l->mtime_ns);
	if (i == PGO_NONE)
		return 0;
	rec = &r->store->seen.manifest.records[i];
	if (strcmp(rec->kind, "none") == 0)
		return 1;
	if (rec->digest[0] != '\0') { /* the same bytes as a stored object */
		r->selected += pgo_selection_takes(&r->selection, rec);
		return pgo_store_find(r->store, rec->digest) != PGO_NONE;
	}
	return !pgo_selection_takes(&r->selection, rec);
}

/* ---------------------------------------------------------------- a new object */

static int put_defaults(const struct run *r, struct pgo_record *rec, struct pgo_err *err)
{
	int rc = 0;

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

static int describe(const struct run *r, const char *path, const struct pgo_listed *l,
	struct pgo_record *rec, bool *profile, struct pgo_err *err)
{
	struct stat st;
	int rc = pgo_record_set(&rec->source, l->name, err);

	rec->source_size = l->size;
	rec->source_mtime_ns = l->mtime_ns;
	if (rc == 0)
		rc = pgo_examine(path, rec, profile, err);
	if (rc < 0 || !*profile)
		return rc;
	/* What does not say when it was recorded was so shortly before it was written. */
	if (rec->time_ns == 0)
		rec->time_ns = l->mtime_ns;
	if (stat(path, &st) < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be read", path);
	rec->bytes = (uint64_t)st.st_size;
	rc = pgo_sha256_file(path, rec->digest, err);
	if (rc == 0 && r->source->ops->describe != NULL)
		rc = r->source->ops->describe(r->source, l->name, rec, err);
	return rc == 0 ? put_defaults(r, rec, err) : rc;
}

/* The record of an object whose copy is `temp` goes where it belongs; takes both. */
static int settle(struct run *r, const char *temp, struct pgo_record *rec, struct pgo_err *err)
{
	uint32_t twin = pgo_store_find(r->store, rec->digest);
	int rc;

	if (!pgo_selection_takes(&r->selection, rec)) {
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
static int skip(
	struct run *r, const struct pgo_listed *l, const char *temp, const struct pgo_err *why)
{
	size_t len = temp != NULL ? strlen(temp) : 0;
	const char *text = why->msg;

	if (len != 0 && strncmp(text, temp, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		text += len + 2;
	r->stats->failed++;
	pgo_warn("%s: %s, skipping", l->name, text);
	return 0;
}

/* No profile: remembered, so that it is not opened again. */
static int note_other(struct run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	int rc = pgo_record_set(&rec.source, l->name, err);

	if (rc == 0)
		rc = pgo_record_set(&rec.kind, "none", err);
	rec.source_size = l->size;
	rec.source_mtime_ns = l->mtime_ns;
	r->stats->not_profiles++;
	if (rc == 0)
		rc = pgo_store_note(r->store, &rec, err);
	pgo_record_fini(&rec);
	return rc;
}

/* A local file is looked at where it is before it is copied: 1 if it may be a profile. */
static int worth_copying(struct run *r, const struct pgo_listed *l, struct pgo_err *why)
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

/* A copy of the object is `temp`, or there is none because of `rc` and `why`. */
static int received(struct run *r, const struct pgo_listed *l, const char *temp, int rc,
	struct pgo_err *why, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	bool profile = false;

	if (rc == 0)
		rc = describe(r, temp, l, &rec, &profile, why);
	if (rc < 0)
		rc = is_ours(rc) ? pgo_err_set(err, why->code, "%s", why->msg)
				 : skip(r, l, temp, why);
	else
		rc = profile ? settle(r, temp, &rec, err) : note_other(r, l, err);
	pgo_record_fini(&rec);
	return rc;
}

static int take(struct run *r, const struct pgo_listed *l, struct pgo_err *err)
{
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
		return note_other(r, l, err);
	temp = pgo_store_temp(r->store);
	rc = temp != NULL ? r->source->ops->get(r->source, l->name, temp, r->max_object, &why)
			  : pgo_err_nomem(&why);
	rc = received(r, l, temp, rc, &why, err);
	if (temp != NULL)
		unlink(temp); /* gone already if it was stored */
	pgo_free(temp);
	return rc;
}

/* ---------------------------------------------------------------- stores on the network */

/* Listed first and fetched then, many at a time; what comes back is settled one by one. */
static int want(struct run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	struct wanted *w = PGO_VEC_PUSH(r->wanted, r->n_wanted, r->wanted_room);

	if (w == NULL || (w->name = pgo_strdup(l->name)) == NULL)
		return pgo_err_nomem(err);
	w->listed = *l;
	w->listed.name = w->name;
	return 0;
}

static void forget_wanted(struct run *r)
{
	for (size_t i = 0; i < r->n_wanted; i++) {
		struct wanted *w = &r->wanted[i];

		if (w->begun && r->source->ops->request_end != NULL)
			r->source->ops->request_end(r->source, &w->request);
		if (w->temp != NULL)
			unlink(w->temp); /* gone already if it was stored */
		pgo_http_headers_fini(&w->request.headers);
		pgo_free(w->temp);
		pgo_free(w->name);
	}
	pgo_free(r->wanted);
	r->wanted = NULL;
	r->n_wanted = r->wanted_room = r->next_wanted = 0;
}

static int next_request(void *ctx, struct pgo_http_request **ret, struct pgo_err *err)
{
	struct run *r = ctx;
	struct wanted *w;
	int rc;

	if (r->next_wanted == r->n_wanted)
		return 0;
	w = &r->wanted[r->next_wanted++];
	r->stats->examined++;
	w->temp = pgo_store_temp(r->store);
	if (w->temp == NULL)
		return pgo_err_nomem(err);
	w->request.to_path = w->temp;
	w->request.max = r->max_object;
	rc = r->source->ops->request(r->source, w->name, &w->request, err);
	if (rc < 0)
		return rc;
	w->begun = true;
	*ret = &w->request;
	return 1;
}

static int answered(void *ctx, struct pgo_http_request *q, const struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct run *r = ctx;
	struct wanted *w = (struct wanted *)((char *)q - offsetof(struct wanted, request));
	struct pgo_err why = PGO_ERR_INIT;
	int rc = 0;

	if (reply == NULL) {
		why = *err;
		rc = why.code;
	} else if (reply->status < 200 || reply->status > 299) {
		rc = pgo_http_refused(reply, &why);
	}
	rc = received(r, &w->listed, w->temp, rc, &why, err);
	unlink(w->temp);
	pgo_progress("fetching", r->stats->examined, r->n_wanted, "objects");
	return rc;
}

/* ---------------------------------------------------------------- the listing */

/* The output directory may lie inside the source: what is in it is not offered. */
static bool is_our_own(struct run *r, const char *name)
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

static int each_listed(void *ctx, const struct pgo_listed *l, struct pgo_err *err)
{
	struct run *r = ctx;

	if (is_our_own(r, l->name))
		return 0;
	r->stats->listed++;
	pgo_progress("fetching", r->stats->listed, 0, "objects");
	if (!known(r, l))
		return r->source->ops->get != NULL ? take(r, l, err) : want(r, l, err);
	r->stats->unchanged++;
	return 0;
}

/* One pool of connections for all stores on the network. */
static int join_network(struct run *r, struct pgo_err *err)
{
	if (r->source->ops->request == NULL)
		return 0;
	if (r->http == NULL)
		r->http = pgo_http_new(&r->o->http, err);
	r->source->http = r->http;
	return r->http != NULL ? 0 : err->code;
}

static int fetch_url(struct run *r, const char *url, struct pgo_err *err)
{
	int rc;

	r->source = pgo_source_open(url, err);
	if (r->source == NULL)
		return err->code;
	rc = join_network(r, err);
	if (rc == 0)
		rc = r->source->ops->list(
			r->source, r->o->since_ns, r->o->until_ns, each_listed, r, err);
	if (rc == 0 && r->n_wanted != 0)
		rc = pgo_http_run(r->http, next_request, answered, r, err);
	forget_wanted(r);
	pgo_source_close(r->source);
	r->source = NULL;
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int check_options(struct run *r, struct pgo_err *err)
{
	const struct pgo_fetch_options *o = r->o;
	int rc = 0;

	r->max_object = o->max_object != 0 ? o->max_object : DEFAULT_MAX_OBJECT;
	r->selection.since_ns = o->since_ns;
	r->selection.until_ns = o->until_ns;
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

static int nothing(const struct run *r, struct pgo_err *err)
{
	const struct pgo_fetch_stats *s = r->stats;

	return pgo_err_set(err, PGO_EEMPTY,
		"nothing to store: of %" PRIu64 " objects %" PRIu64 " are no profiles, %" PRIu64
		" could not be read, the others are not selected",
		s->listed, s->not_profiles, s->failed);
}

static int run(struct run *r, struct pgo_err *err)
{
	int rc = check_options(r, err);

	if (rc < 0)
		return rc;
	r->store = pgo_store_open(r->o->out_dir, err);
	if (r->store == NULL)
		return err->code;
	if (realpath(r->o->out_dir, r->out_real) == NULL)
		r->out_real[0] = '\0';
	for (size_t i = 0; i < r->o->n_urls && rc == 0; i++)
		rc = fetch_url(r, r->o->urls[i], err);
	pgo_progress_end();
	if (rc == 0)
		rc = pgo_store_commit(r->store, err); /* else the journal keeps what was done */
	return rc == 0 && r->selected == 0 ? nothing(r, err) : rc;
}

int pgo_fetch(const struct pgo_fetch_options *o, struct pgo_fetch_stats *ret, struct pgo_err *err)
{
	struct pgo_fetch_stats stats = {0};
	struct pgo_err local = PGO_ERR_INIT;
	struct run r = {.o = o, .stats = &stats};
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
