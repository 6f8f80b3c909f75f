/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of fetch, as its files share it: fetch.c lists, remembers and settles; candidates.c chooses
 * among what is listed; transfer.c gets the objects of stores on the network, part by part, many at
 * a time.
 */
#ifndef PGO_FETCH_FETCH_IMPL_H
#define PGO_FETCH_FETCH_IMPL_H

#include "fetch/examine.h"
#include "fetch/fetch.h"
#include "fetch/select.h"
#include "fetch/source.h"
#include "fetch/store.h"

#include <limits.h>

struct pgo_coverage;        /* fetch/coverage.h */
struct pgo_fetch_candidate; /* an object that is listed: candidates.c */
struct pgo_fetch_wanted;    /* an object that is to be fetched: transfer.c */

enum pgo_fetch_state {
	PGO_FETCH_NEW,    /* to be fetched if it is among those that are wanted */
	PGO_FETCH_STORED, /* in the store, and selected */
	PGO_FETCH_OTHER,  /* known to be of no use */
	PGO_FETCH_SPLIT,  /* its hosts are to be listed, as in a former run */
	PGO_FETCH_CHOSEN,
	PGO_FETCH_DONE, /* fetched, or tried */
};

struct pgo_fetch_run {
	const struct pgo_fetch_options *o;
	struct pgo_selection selection;
	struct pgo_query query;
	struct pgo_store *store;
	struct pgo_source **sources; /* n_sources of them, open */
	size_t n_sources, source_at;
	struct pgo_source *source; /* sources[source_at]: the one being listed or asked */
	bool listing;              /* nothing is fetched yet */
	struct pgo_fetch_candidate *candidates;
	size_t n_candidates, candidates_room;
	struct pgo_fetch_stats *stats;
	struct pgo_http *http; /* made when the first store on the network is met */
	/* Of the source being listed: objects in the order of their names, and those parts of them
	 * that have to be asked for once more. */
	struct pgo_fetch_wanted *wanted;
	size_t n_wanted, wanted_room, next_wanted, n_finished;
	struct pgo_fetch_part **again;
	size_t n_again, again_room;
	/* Objects to take host by host instead. */
	struct pgo_listed *splits;
	size_t n_splits, splits_room, next_split;
	struct pgo_background *lookers; /* look into what came while more comes */
	struct pgo_err last_failure;    /* of an object */
	const char *no_addresses;       /* what to change about the first store that gave none */
	uint64_t max_object;
	uint64_t selected; /* objects of the sources that are in the store now */
	char out_real[PATH_MAX];
};

/* What a copy of an object turned out to be; from zeroed memory and PGO_ERR_INIT. */
struct pgo_fetch_looked {
	struct pgo_record rec;
	struct pgo_address_account account;
	bool profile;
	int rc; /* below 0: there is no copy, or it cannot be used, because of `why` */
	struct pgo_err why;
};

/* Looks into the copy and digests it; on any thread. */
void pgo_fetch_look(const char *path, struct pgo_fetch_looked *ret);
/* Puts the copy `temp` where it belongs, or counts it as what it is; takes what `looked` holds. */
int pgo_fetch_settle(struct pgo_fetch_run *r, const struct pgo_listed *l, const char *temp,
	struct pgo_fetch_looked *looked, struct pgo_err *err) PGO_MUST_CHECK;
/* An object that the source lists; the callback of ops->list and ops->split. */
int pgo_fetch_each(void *ctx, const struct pgo_listed *l, struct pgo_err *err) PGO_MUST_CHECK;

/* Notes an object of r->source. */
int pgo_fetch_candidate(struct pgo_fetch_run *r, const struct pgo_listed *l,
	enum pgo_fetch_state state, struct pgo_err *err) PGO_MUST_CHECK;
/* Chooses among them, and fetches what was chosen. */
int pgo_fetch_candidates(struct pgo_fetch_run *r, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_fetch_cover(
	struct pgo_fetch_run *r, struct pgo_coverage *to, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fetch_forget_candidates(struct pgo_fetch_run *r);
/* By the label that the options name, else as the record says; "" if unknown. */
const char *pgo_fetch_host_of(const struct pgo_fetch_run *r, const struct pgo_record *rec);
/* Takes an object of r->source, at once or with the next pgo_fetch_transfer(). */
int pgo_fetch_one(
	struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err) PGO_MUST_CHECK;

/* Keeps a copy of *l for pgo_fetch_transfer(). */
int pgo_fetch_want(
	struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err) PGO_MUST_CHECK;
/* The same for an object that its hosts are to stand for. */
int pgo_fetch_split(
	struct pgo_fetch_run *r, const struct pgo_listed *l, struct pgo_err *err) PGO_MUST_CHECK;
/* Gets all that is wanted, and what that is split into. */
int pgo_fetch_transfer(struct pgo_fetch_run *r, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_fetch_forget_wanted(struct pgo_fetch_run *r);

#endif
