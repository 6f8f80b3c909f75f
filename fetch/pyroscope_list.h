/* SPDX-License-Identifier: Apache-2.0 */
/* The listing of a Pyroscope server on its way: pyroscope_list.c asks, pyroscope_objects.c makes
 * objects of the answers. */
#ifndef PGO_FETCH_PYROSCOPE_LIST_H
#define PGO_FETCH_PYROSCOPE_LIST_H

#include "fetch/pyroscope.h"

#define PGO_PYRO_DAY INT64_C(86400000000000)
#define PGO_PYRO_HOUR INT64_C(3600000000000)
#define PGO_PYRO_TEXT_MAX ((size_t)1 << 20) /* of a selector, of a name */

/* A question of the listing and its answer. */
struct pgo_pyro_ask {
	struct pgo_http_request r;
	struct pgo_buf body;
	struct pgo_pyro_rows rows;
	const char *method;
	bool sums; /* SelectSeries, else Series */
	unsigned window;
	size_t service;
	uint32_t type;
};

/* Many of them, asked at a time. */
struct pgo_pyro_asks {
	struct pgo_pyro *s;
	struct pgo_pyro_ask **of;
	size_t n, room, next;
};

/* NULL when out of memory; the caller fills the body. */
struct pgo_pyro_ask *pgo_pyro_asks_add(struct pgo_pyro_asks *a, bool sums);
int pgo_pyro_asks_run(struct pgo_pyro_asks *a, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_pyro_asks_fini(struct pgo_pyro_asks *a);

struct pgo_pyro_window {
	int64_t from_ns, to_ns, grid_ns; /* cut; and where its day begins */
};

struct pgo_pyro_service {
	char *name;
	const char *host_label, *version_label; /* NULL = none */
};

struct pgo_pyro_lister {
	struct pgo_pyro *s;
	const struct pgo_query *q;
	struct pgo_pyro_window *windows;
	size_t n_windows, windows_room;
	bool *seen; /* per window: the server has anything there */
	struct pgo_pyro_service *services;
	size_t n_services, services_room;
	const char **group_by; /* hosts, then versions, then keys of matchers */
	size_t n_group_by, group_by_room, n_hosts, n_versions;
	char tag[9];
	struct pgo_selection selection; /* matchers that are not of build_id; borrows them */
	size_t first_object;
};

/* The rows of the answers to SelectSeries -> objects of l->s. */
int pgo_pyro_objects_make(struct pgo_pyro_lister *l, const struct pgo_pyro_asks *sums,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Labels that may tell hosts apart, best first; the first *ret_n_common of them are asked for when
 * nobody says which. */
const char *const *pgo_pyro_host_labels(size_t *ret_n, size_t *ret_n_common);
/* Hands objects from index `first` on to the callback, in the order of their names. */
int pgo_pyro_each(struct pgo_pyro *s, size_t first, pgo_each_listed *each, void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
