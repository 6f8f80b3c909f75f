/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/on_target.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/pipeline.h"

#include <stdio.h>
#include <string.h>

/* A run on the target may take minutes; a person waits that long for it, and then asks why. */
#define WAIT_NS INT64_C(60000000000)

/* ---- opening */

int pgo_target_find(const struct pgo_conf *c, const char *name, const struct pgo_target **ret,
	struct pgo_err *err)
{
	struct pgo_buf names;
	size_t i = 0;

	if (name == NULL && c->n_targets == 1) {
		*ret = &c->targets[0];
		return 0;
	}
	while (name != NULL && i < c->n_targets && strcmp(c->targets[i].name, name) != 0)
		i++;
	if (name != NULL && i < c->n_targets) {
		*ret = &c->targets[i];
		return 0;
	}
	pgo_buf_init(&names, 512);
	for (i = 0; i < c->n_targets && names.len < 400; i++)
		pgo_buf_printf(&names, "%s%.60s", i != 0 ? ", " : "", c->targets[i].name);
	if (name != NULL)
		pgo_err_set(err, PGO_EUSAGE, "%s has no target '%s'; it has %s", c->path, name,
			names.data);
	else
		pgo_err_set(err, PGO_EUSAGE, "%s has several targets: name one of them: %s",
			c->path, names.data);
	pgo_buf_fini(&names);
	return PGO_EUSAGE;
}

bool pgo_target_is_named(const struct pgo_target *t, char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], t->name) == 0)
			return true;
	return n == 0;
}

int pgo_on_target_reload(struct pgo_on_target *o, struct pgo_err *err)
{
	struct pgo_state_events log;
	struct pgo_state_entries entries;
	int rc = pgo_state_log_read(&o->state, &log, err);

	if (rc < 0)
		return rc;
	pgo_state_events_fini(&o->log);
	o->log = log;
	rc = pgo_state_list(&o->state, &entries, err);
	if (rc < 0)
		return rc;
	pgo_state_entries_fini(&o->entries);
	pgo_state_order(&entries, &o->log);
	o->entries = entries;
	pgo_state_standing(
		&o->state, &o->log, o->target->last_good_ttl_ns, o->now_ns, &o->standing);
	return 0;
}

int pgo_on_target_open(const struct pgo_conf *c, const struct pgo_target *t, bool change,
	struct pgo_on_target *ret, struct pgo_err *err)
{
	struct pgo_on_target o = {
		.conf = c, .target = t, .state = {.lock = -1}, .now_ns = pgo_now()};
	int rc = pgo_state_open(c->state, t->name, &o.state, err);

	if (rc == 0 && change && o.state.format == 0)
		rc = pgo_err_set(err, PGO_ENOTFOUND,
			"%s: nothing was published yet; `pgo run` does that", o.state.dir);
	if (rc == 0 && change)
		rc = pgo_state_lock(&o.state, WAIT_NS, err);
	if (rc == 0 && change)
		rc = pgo_pipeline_migrate(c, t, &o.state, err);
	if (rc == 0)
		rc = pgo_on_target_reload(&o, err);
	if (rc == 0 && change)
		rc = pgo_state_settle(&o.state, &o.log, err);
	if (rc == 0 && change)
		rc = pgo_on_target_reload(&o, err);
	if (rc < 0) {
		pgo_on_target_close(&o);
		return pgo_err_prefix(err, "target '%s'", t->name);
	}
	*ret = o;
	return 0;
}

void pgo_on_target_close(struct pgo_on_target *o)
{
	pgo_state_events_fini(&o->log);
	pgo_state_entries_fini(&o->entries);
	pgo_state_close(&o->state);
}

/* ---- deciding */

static int find(const struct pgo_on_target *o, const char *word, const struct pgo_state_entry **ret,
	struct pgo_err *err)
{
	return pgo_state_find(&o->state, &o->entries, word, ret, err);
}

static int check_whole(const struct pgo_state_entry *e, struct pgo_err *err)
{
	struct pgo_jval *m = pgo_state_doc(e, "manifest.json", err);
	bool whole = m != NULL && pgo_state_intact(e->dir, m);
	size_t n = pgo_jval_len(pgo_jval_get(m, "outputs"));

	pgo_jdoc_free(m);
	if (m == NULL)
		return err != NULL ? (int)err->code : PGO_EFORMAT;
	if (n == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s has no outputs: it was refused before there were any (%s/why.txt)",
			e->id, e->dir);
	return whole ? 0
		     : pgo_err_set(err, PGO_EFORMAT,
			       "%s is damaged: its files are not those of its manifest", e->dir);
}

static int check_no_pin(const struct pgo_on_target *o, const char *id, struct pgo_err *err)
{
	char pinned[PGO_STATE_ID_SIZE];

	pgo_state_pinned(&o->state, pinned);
	if (pinned[0] == '\0' || strcmp(pinned, id) == 0)
		return 0;
	return pgo_err_set(err, PGO_EUSAGE,
		"%s is pinned; `pgo pin %s` pins the other, or `pgo pin --remove` comes first",
		pinned, id);
}

static bool withdrawn(const struct pgo_on_target *o, const char *id)
{
	struct pgo_state_story story;

	pgo_state_story(&o->log, id, &story);
	return story.withdrawn;
}

/* The log says it first, so that a crash in between is finished by the next who comes
 * (pgo_state_settle), and what was taken back does not return. */
static int decide(struct pgo_on_target *o, const char *decision, const char *about,
	const char *used, const char *by, const char *reason, struct pgo_err *err)
{
	char *fingerprint = NULL;
	struct pgo_jval *m = NULL;
	struct pgo_state_decision d = {.decision = decision,
		.id = about,
		.last_good = used,
		.reason = reason != NULL ? reason : "",
		.by = by};
	size_t n;
	int rc;

	for (size_t i = 0; i < o->entries.n && m == NULL; i++)
		if (strcmp(o->entries.of[i].id, about) == 0)
			m = pgo_state_doc(&o->entries.of[i], "manifest.json", NULL);
	fingerprint = pgo_strdup(pgo_jval_str(pgo_jval_get(m, "fingerprint"), ""));
	pgo_jdoc_free(m);
	if (fingerprint == NULL)
		return pgo_err_nomem(err);
	d.fingerprint = fingerprint;
	rc = pgo_state_log_append(&o->state, &d, err);
	pgo_free(fingerprint);
	if (rc == 0)
		rc = pgo_on_target_reload(o, err);
	if (rc == 0)
		rc = pgo_state_settle(&o->state, &o->log, err);
	if (rc == 0)
		rc = pgo_pipeline_renew(o->conf, o->target, &o->state, &n, err);
	return rc == 0 ? pgo_on_target_reload(o, err) : rc;
}

/* The one in use most lately before `id` that is still good; else the newest other. */
static const struct pgo_state_entry *before(const struct pgo_on_target *o, const char *id)
{
	for (size_t i = o->log.n; i-- != 0;) {
		const char *used = o->log.of[i].last_good;

		if (used[0] == '\0' || strcmp(used, id) == 0 || withdrawn(o, used))
			continue;
		for (size_t k = 0; k < o->entries.n; k++)
			if (!o->entries.of[k].quarantined &&
				strcmp(o->entries.of[k].id, used) == 0 &&
				check_whole(&o->entries.of[k], NULL) == 0)
				return &o->entries.of[k];
	}
	for (size_t k = o->entries.n; k-- != 0;)
		if (!o->entries.of[k].quarantined && strcmp(o->entries.of[k].id, id) != 0 &&
			!withdrawn(o, o->entries.of[k].id) &&
			check_whole(&o->entries.of[k], NULL) == 0)
			return &o->entries.of[k];
	return NULL;
}

static void tell(const struct pgo_on_target *o, char ret[PGO_STATE_ID_SIZE])
{
	memcpy(ret, o->standing.id, PGO_STATE_ID_SIZE);
	if (o->standing.expired)
		pgo_warn("%s is too old to use: it was published %.1f days ago, and last_good_ttl "
			 "is %.4g days; `pgo pin` holds it all the same",
			ret, (double)o->standing.age_ns / 86400e9,
			(double)o->target->last_good_ttl_ns / 86400e9);
}

int pgo_decide_rollback(struct pgo_on_target *o, const char *word, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err)
{
	char now[PGO_STATE_ID_SIZE], to[PGO_STATE_ID_SIZE];
	const struct pgo_state_entry *e = NULL;
	int rc = 0;

	memcpy(now, o->standing.id, sizeof now);
	if (word != NULL)
		rc = find(o, word, &e, err);
	else if ((e = before(o, now)) == NULL)
		rc = pgo_err_set(err, PGO_ENOTFOUND,
			"%s has no other result to go back to; `pgo status --all` lists what it "
			"has",
			o->state.dir);
	if (rc < 0)
		return rc;
	if (e->quarantined)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s is in quarantine; `pgo promote %s -m REASON` takes it out", e->id,
			e->id);
	if (strcmp(e->id, now) == 0)
		return pgo_err_set(err, PGO_EUSAGE, "%s is in use already", e->id);
	memcpy(to, e->id, sizeof to);
	rc = check_no_pin(o, to, err);
	if (rc == 0)
		rc = check_whole(e, err);
	if (rc == 0)
		rc = decide(o, now[0] != '\0' ? "rolled_back" : "promoted",
			now[0] != '\0' ? now : to, to, "rollback", reason, err);
	if (rc == 0)
		tell(o, ret_id);
	return rc;
}

int pgo_decide_pin(struct pgo_on_target *o, const char *word, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err)
{
	const struct pgo_state_entry *e = NULL;
	char id[PGO_STATE_ID_SIZE];
	int rc = find(o, word != NULL ? word : "last-good", &e, err);

	if (rc < 0)
		return rc;
	if (e->quarantined)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s is in quarantine; `pgo promote %s -m REASON` takes it out", e->id,
			e->id);
	memcpy(id, e->id, sizeof id);
	rc = check_whole(e, err);
	if (rc == 0)
		rc = decide(o, "pinned", id, id, "pin", reason, err);
	if (rc == 0)
		tell(o, ret_id);
	return rc;
}

int pgo_decide_unpin(struct pgo_on_target *o, const char *reason, struct pgo_err *err)
{
	char pinned[PGO_STATE_ID_SIZE];

	pgo_state_pinned(&o->state, pinned);
	if (pinned[0] == '\0')
		return pgo_err_set(err, PGO_ENOTFOUND, "%s: nothing is pinned", o->state.dir);
	return decide(o, "unpinned", pinned, NULL, "pin", reason, err);
}

int pgo_decide_promote(struct pgo_on_target *o, const char *word, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err)
{
	const struct pgo_state_entry *e = NULL;
	char id[PGO_STATE_ID_SIZE];
	int rc = find(o, word, &e, err);

	if (rc < 0)
		return rc;
	memcpy(id, e->id, sizeof id);
	if (e->quarantined && (reason == NULL || reason[0] == '\0'))
		return pgo_err_set(err, PGO_EUSAGE,
			"%s is in quarantine (%s/why.txt); say why it is to be used all the same: "
			"-m REASON",
			id, e->dir);
	if (e->last_good && !withdrawn(o, id))
		return pgo_err_set(err, PGO_EUSAGE, "%s is in use already", id);
	rc = check_no_pin(o, id, err);
	if (rc == 0)
		rc = check_whole(e, err);
	if (rc == 0 && e->quarantined)
		rc = pgo_state_move(&o->state, id, false, err);
	if (rc == 0)
		rc = pgo_on_target_reload(o, err);
	if (rc == 0)
		rc = decide(o, "promoted", id, id, "promote", reason, err);
	if (rc == 0)
		tell(o, ret_id);
	return rc;
}

int pgo_decide_verified(struct pgo_on_target *o, const char *word, bool good, const char *reason,
	char ret_id[PGO_STATE_ID_SIZE], struct pgo_err *err)
{
	const struct pgo_state_entry *e = NULL, *other;
	char id[PGO_STATE_ID_SIZE], to[PGO_STATE_ID_SIZE];
	bool in_use, pinned;
	int rc = find(o, word, &e, err);

	if (rc < 0)
		return rc;
	pinned = e->pinned;
	memcpy(id, e->id, sizeof id);
	memcpy(to, o->standing.id, sizeof to);
	if (e->quarantined)
		return pgo_err_set(err, PGO_EUSAGE, "%s is in quarantine: it is not in use", id);
	in_use = e->last_good && !pinned;
	if (!good && in_use) {
		other = before(o, id);
		memcpy(to, other != NULL ? other->id : "", other != NULL ? sizeof to : 1);
	}
	rc = decide(o, good ? "verified" : "rejected", id, to, "verify", reason, err);
	/* A pin is a person's word; what it holds stays where it is. */
	if (rc == 0 && !good && !pinned && strcmp(o->standing.id, id) != 0)
		rc = pgo_state_move(&o->state, id, true, err);
	if (rc == 0)
		rc = pgo_on_target_reload(o, err);
	if (rc == 0)
		memcpy(ret_id, o->standing.id, PGO_STATE_ID_SIZE);
	return rc;
}
