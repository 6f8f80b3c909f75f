/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of stores on the network.  They are listed first and fetched then, many at a time; an
 * object that comes in parts is put together when the last of them is there.  Other threads look into
 * what came, while more comes; this one stores it, in the order in which it came.  What the memory holds
 * of an object that waits is its name; files and requests are only there while it is under way.
 */
#include "fetch/fetch_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/background.h"
#include "pgo/core/diag.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum {
	MAX_ASKED = 4,      /* times that one part is asked for, however the store answers */
	MAX_UNSETTLED = 16, /* objects that are there and not stored: what a kill would lose */
};

struct pgo_fetch_part {
	size_t of; /* index of the object */
	unsigned index;
	unsigned asked;
	char *temp;
	struct pgo_http_request request;
	bool begun; /* the request is filled */
	bool empty; /* the store has nothing there */
};

struct pgo_fetch_wanted {
	char *name;
	struct pgo_listed listed;
	struct pgo_fetch_part *parts;
	unsigned n_parts, n_begun, n_done;
	struct pgo_err why; /* of the first part that failed */
};

/* An object of which everything is there, or nothing will be. */
struct arrival {
	struct pgo_job base;
	size_t of;        /* index of the object */
	const char *temp; /* its bytes */
	char *whole;      /* the same, if they were put together */
	struct pgo_fetch_looked looked;
};

/* ---------------------------------------------------------------- what is wanted */

int pgo_fetch_want(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	struct pgo_fetch_wanted *w = PGO_VEC_PUSH(r->wanted, r->n_wanted, r->wanted_room);

	if (w == NULL || (w->name = pgo_strdup(l->name)) == NULL)
		return pgo_err_nomem(err);
	w->listed = *l;
	w->listed.name = w->name;
	w->n_parts = l->parts > 1 ? l->parts : 1;
	return 0;
}

int pgo_fetch_split(struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err)
{
	struct pgo_listed *to = PGO_VEC_PUSH(r->splits, r->n_splits, r->splits_room);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = *l;
	to->name = pgo_strdup(l->name);
	return to->name != NULL ? 0 : pgo_err_nomem(err);
}

static void end_request(struct pgo_fetch_run *r, struct pgo_fetch_part *p)
{
	if (p->begun && r->source->ops->request_end != NULL)
		r->source->ops->request_end(r->source, &p->request);
	p->begun = false;
	pgo_http_headers_fini(&p->request.headers);
	memset(&p->request, 0, sizeof p->request);
}

static void drop_parts(struct pgo_fetch_run *r, struct pgo_fetch_wanted *w)
{
	for (unsigned i = 0; w->parts != NULL && i < w->n_parts; i++) {
		struct pgo_fetch_part *p = &w->parts[i];

		end_request(r, p);
		if (p->temp != NULL)
			unlink(p->temp); /* gone already if it was stored */
		pgo_free(p->temp);
	}
	pgo_free(w->parts);
	w->parts = NULL;
}

void pgo_fetch_forget_wanted(struct pgo_fetch_run *r)
{
	for (size_t i = 0; i < r->n_wanted; i++) {
		drop_parts(r, &r->wanted[i]);
		pgo_free(r->wanted[i].name);
	}
	for (size_t i = 0; i < r->n_splits; i++)
		pgo_free((char *)r->splits[i].name);
	pgo_free(r->wanted);
	pgo_free(r->again);
	pgo_free(r->splits);
	r->wanted = NULL;
	r->again = NULL;
	r->splits = NULL;
	r->n_wanted = r->wanted_room = r->next_wanted = r->n_finished = 0;
	r->n_again = r->again_room = 0;
	r->n_splits = r->splits_room = r->next_split = 0;
}

/* ---------------------------------------------------------------- asking */

static int begin(struct pgo_fetch_run *r, struct pgo_fetch_part *p, struct pgo_err *err)
{
	int rc;

	if (p->temp == NULL)
		p->temp = pgo_store_temp(r->store);
	if (p->temp == NULL)
		return pgo_err_nomem(err);
	p->request.to_path = p->temp;
	p->request.max = r->max_object;
	p->request.owner = p;
	p->asked++;
	rc = r->source->ops->request(r->source, r->wanted[p->of].name, p->index, &p->request, err);
	p->begun = rc == 0;
	return rc;
}

/* The next part that nobody asked for yet; NULL if there is none. */
static int next_part(struct pgo_fetch_run *r, struct pgo_fetch_part **ret, struct pgo_err *err)
{
	struct pgo_fetch_wanted *w;

	if (r->n_again != 0) {
		*ret = r->again[--r->n_again];
		return 1;
	}
	if (r->next_wanted == r->n_wanted)
		return 0;
	w = &r->wanted[r->next_wanted];
	if (w->parts == NULL) {
		w->parts = pgo_calloc(w->n_parts, sizeof *w->parts);
		if (w->parts == NULL)
			return pgo_err_nomem(err);
		r->stats->examined++;
	}
	*ret = &w->parts[w->n_begun];
	(*ret)->of = r->next_wanted;
	(*ret)->index = w->n_begun++;
	r->next_wanted += w->n_begun == w->n_parts;
	return 1;
}

static int next_request(void *ctx, struct pgo_http_request **ret, struct pgo_err *err)
{
	struct pgo_fetch_run *r = ctx;
	struct pgo_fetch_part *p = NULL;
	int rc = next_part(r, &p, err);

	if (rc <= 0)
		return rc;
	rc = begin(r, p, err);
	if (rc < 0)
		return rc;
	*ret = &p->request;
	return 1;
}

/* ---------------------------------------------------------------- what comes back */

static int put_together(
	struct pgo_fetch_run *r, struct pgo_fetch_wanted *w, const char *to, struct pgo_err *why)
{
	const char **paths = pgo_calloc(w->n_parts, sizeof *paths);
	unsigned empty = 0;
	int rc;

	if (paths == NULL)
		return pgo_err_nomem(why);
	for (unsigned i = 0; i < w->n_parts; i++) {
		paths[i] = w->parts[i].empty ? NULL : w->parts[i].temp;
		empty += w->parts[i].empty;
	}
	rc = empty == w->n_parts
		     ? pgo_err_set(why, PGO_EEMPTY, "the store has no samples there")
		     : r->source->ops->assemble(r->source, w->name, paths, w->n_parts, to, why);
	pgo_free(paths);
	return rc;
}

/* On another thread, and nothing else touches the object until it is taken back. */
static void look(void *ctx, struct pgo_job *job)
{
	struct arrival *a = (struct arrival *)job;

	(void)ctx;
	if (a->looked.rc == 0)
		pgo_fetch_look(a->temp, &a->looked);
}

/* What was looked into goes where it belongs. */
static int finish(struct pgo_fetch_run *r, struct arrival *a, struct pgo_err *err)
{
	struct pgo_fetch_wanted *w = &r->wanted[a->of];
	int rc = pgo_fetch_settle(r, &w->listed, a->temp, &a->looked, err);

	if (a->whole != NULL)
		unlink(a->whole); /* gone already if it was stored */
	pgo_free(a->whole);
	pgo_free(a);
	drop_parts(r, w);
	pgo_progress_transfer("fetching", ++r->n_finished, r->n_wanted, "objects",
		pgo_http_stats_of(r->http)->received);
	return rc;
}

/* Takes back what is done, waiting until no more than so many are left; all of it, whatever fails. */
static int finish_until(struct pgo_fetch_run *r, size_t left, struct pgo_err *err)
{
	struct pgo_err ignored = PGO_ERR_INIT;
	struct pgo_job *job;
	int rc = 0;

	while ((job = pgo_background_take(r->lookers, pgo_background_held(r->lookers) > left)) !=
		NULL) {
		int one = finish(r, (struct arrival *)job, rc == 0 ? err : &ignored);

		rc = rc == 0 ? one : rc;
	}
	return rc;
}

/* All parts are in, or have failed. */
static int complete(struct pgo_fetch_run *r, struct pgo_fetch_wanted *w, struct pgo_err *err)
{
	struct arrival *a = pgo_calloc(1, sizeof *a);

	if (a == NULL)
		return pgo_err_nomem(err);
	a->of = (size_t)(w - r->wanted);
	a->temp = w->parts[0].temp;
	a->looked.why = w->why;
	a->looked.rc = w->why.code;
	if (a->looked.rc == 0 && r->source->ops->assemble != NULL) {
		a->temp = a->whole = pgo_store_temp(r->store);
		a->looked.rc = a->whole != NULL ? put_together(r, w, a->whole, &a->looked.why)
						: pgo_err_nomem(&a->looked.why);
	} else if (a->looked.rc == 0 && w->parts[0].empty) {
		a->looked.rc =
			pgo_err_set(&a->looked.why, PGO_EEMPTY, "the store has no samples there");
	}
	pgo_background_give(r->lookers, &a->base);
	return finish_until(r, MAX_UNSETTLED, err);
}

/* An object that was too much at a time is begun anew, in more parts: 1 if that is so. */
static int start_over(struct pgo_fetch_run *r, size_t of, struct pgo_err *err)
{
	struct pgo_fetch_wanted *w = &r->wanted[of];
	struct pgo_listed l = w->listed;
	int why = w->why.code, rc;

	if (r->source->ops->refine == NULL || (why != PGO_ELIMIT && why != PGO_ENET))
		return 0;
	l.parts = r->source->ops->refine(r->source, w->name, why);
	if (l.parts == 0)
		return 0;
	drop_parts(r, w);
	r->stats->examined--; /* it will be, again */
	rc = pgo_fetch_want(r, &l, err);
	return rc < 0 ? rc : 1;
}

static int judge(struct pgo_fetch_run *r, struct pgo_fetch_part *p,
	const struct pgo_http_reply *reply, struct pgo_err *why)
{
	const struct pgo_source_ops *ops = r->source->ops;

	if (ops->reply != NULL)
		return ops->reply(r->source, r->wanted[p->of].name, p->index, reply, p->temp, why);
	return reply->status >= 200 && reply->status <= 299 ? 0 : pgo_http_refused(reply, why);
}

static int ask_again(struct pgo_fetch_run *r, struct pgo_fetch_part *p, struct pgo_err *err)
{
	struct pgo_fetch_part **to = PGO_VEC_PUSH(r->again, r->n_again, r->again_room);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = p;
	unlink(p->temp); /* what is in it belongs to the other answer */
	return 0;
}

static int answered(void *ctx, struct pgo_http_request *q, const struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct pgo_fetch_run *r = ctx;
	struct pgo_fetch_part *p = q->owner;
	struct pgo_fetch_wanted *w = &r->wanted[p->of];
	struct pgo_err why = PGO_ERR_INIT;
	int rc;

	if (reply == NULL) {
		why = *err;
		rc = why.code;
	} else {
		rc = judge(r, p, reply, &why);
	}
	end_request(r, p);
	if (rc == 1 && p->asked < MAX_ASKED)
		return ask_again(r, p, err);
	if (rc == 1)
		rc = pgo_err_set(&why, PGO_ENET,
			"the store answers in a way that cannot be used, however it is asked");
	p->empty = rc == PGO_EEMPTY;
	if (rc < 0 && !p->empty && w->why.code == PGO_OK)
		w->why = why;
	if (++w->n_done < w->n_parts)
		return 0;
	rc = start_over(r, p->of, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return complete(r, w, err);
}

/* The hosts of a joined object; the object itself where there is nothing to tell them apart by. */
static int take_hosts(struct pgo_fetch_run *r, struct pgo_listed joined, struct pgo_err *err)
{
	uint64_t before = r->stats->listed;
	int rc = r->source->ops->split(r->source, joined.name, pgo_fetch_each, r, err);

	if (rc < 0 || r->stats->listed != before)
		return rc;
	pgo_warn("%s: the store does not know the hosts of it, so addresses outside of their "
		 "mappings stay; name the label that tells hosts apart with --by-host",
		joined.name);
	joined.joined = false;
	return pgo_fetch_want(r, &joined, err);
}

int pgo_fetch_transfer(struct pgo_fetch_run *r, struct pgo_err *err)
{
	struct pgo_err ignored = PGO_ERR_INIT;
	int rc = 0, last;

	r->lookers = pgo_background_new(pgo_threads(), look, NULL);
	if (r->lookers == NULL)
		return pgo_err_nomem(err);
	while (rc == 0 && (r->next_wanted < r->n_wanted || r->next_split < r->n_splits)) {
		rc = pgo_http_run(r->http, next_request, answered, r, err);
		last = finish_until(r, 0, rc == 0 ? err : &ignored);
		rc = rc == 0 ? last : rc;
		/* Only now: nothing may be asked while transfers are under way. */
		while (rc == 0 && r->next_split < r->n_splits)
			rc = take_hosts(r, r->splits[r->next_split++], err);
	}
	pgo_background_free(r->lookers);
	r->lookers = NULL;
	return rc;
}
