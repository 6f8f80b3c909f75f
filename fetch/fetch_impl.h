/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of fetch, as its two files share it: fetch.c lists, remembers and settles; transfer.c gets
 * the objects of stores on the network, part by part, many at a time.
 */
#ifndef PGO_FETCH_FETCH_IMPL_H
#define PGO_FETCH_FETCH_IMPL_H

#include "fetch/examine.h"
#include "fetch/fetch.h"
#include "fetch/select.h"
#include "fetch/source.h"
#include "fetch/store.h"

#include <limits.h>

struct pgo_fetch_wanted; /* an object that is to be fetched: transfer.c */

struct pgo_fetch_run {
	const struct pgo_fetch_options *o;
	struct pgo_selection selection;
	struct pgo_query query;
	struct pgo_store *store;
	struct pgo_source *source; /* the one being listed */
	struct pgo_fetch_stats *stats;
	struct pgo_http *http; /* made when the first store on the network is met */
	/* Of the source being listed: objects in the order of their names, and those parts of them
	 * that have to be asked for once more. */
	struct pgo_fetch_wanted *wanted;
	size_t n_wanted, wanted_room, next_wanted;
	struct pgo_fetch_part **again;
	size_t n_again, again_room;
	/* Objects to take host by host instead. */
	struct pgo_listed *splits;
	size_t n_splits, splits_room, next_split;
	struct pgo_background *lookers; /* look into what came while more comes */
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
