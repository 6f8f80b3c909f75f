/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/hosts.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

struct pgo_hosts {
	struct pgo_strtab functions, hosts; /* ids of `functions` index what follows */
	unsigned limit;
	uint8_t *n;    /* hosts of each function */
	uint32_t *set; /* `limit` hosts for each function */
	size_t n_room, set_room;
};

#define TEXT_MAX ((size_t)4 << 30)

struct pgo_hosts *pgo_hosts_new(unsigned limit, struct pgo_err *err)
{
	struct pgo_hosts *h = pgo_calloc(1, sizeof *h);

	if (h == NULL || pgo_strtab_init(&h->functions, TEXT_MAX) < 0) {
		pgo_free(h);
		pgo_err_nomem(err);
		return NULL;
	}
	if (pgo_strtab_init(&h->hosts, TEXT_MAX) < 0) {
		pgo_strtab_fini(&h->functions);
		pgo_free(h);
		pgo_err_nomem(err);
		return NULL;
	}
	h->limit = limit < 1 ? 1 : limit > PGO_HOSTS_MAX ? PGO_HOSTS_MAX : limit;
	return h;
}

void pgo_hosts_free(struct pgo_hosts *h)
{
	if (h == NULL)
		return;
	pgo_strtab_fini(&h->functions);
	pgo_strtab_fini(&h->hosts);
	pgo_free(h->n);
	pgo_free(h->set);
	pgo_free(h);
}

unsigned pgo_hosts_limit(const struct pgo_hosts *h)
{
	return h->limit;
}

const char *pgo_hosts_function(const struct pgo_profile *p, const struct pgo_function *f)
{
	return pgo_profile_str(p, f->system_name != 0 ? f->system_name : f->name);
}

/* The host joins the function's, if there is room for it. */
static int note(struct pgo_hosts *h, uint32_t function, uint32_t host)
{
	size_t before = h->n_room;
	uint32_t *set;

	if (PGO_VEC_RESERVE(h->n, h->n_room, (size_t)function + 1) < 0 ||
		PGO_VEC_RESERVE(h->set, h->set_room, ((size_t)function + 1) * h->limit) < 0)
		return -1;
	memset(h->n + before, 0, h->n_room - before);
	set = h->set + (size_t)function * h->limit;
	for (unsigned i = 0; i < h->n[function]; i++)
		if (set[i] == host)
			return 0;
	if (h->n[function] < h->limit)
		set[h->n[function]++] = host;
	return 0;
}

unsigned pgo_hosts_of(const struct pgo_hosts *h, const char *function)
{
	uint32_t id = pgo_strtab_find(&h->functions, function, strlen(function));

	return id < h->n_room ? h->n[id] : 0;
}

int pgo_hosts_join(struct pgo_hosts *to, const struct pgo_hosts *from, struct pgo_err *err)
{
	for (size_t f = 0; f < from->functions.n_strs && f < from->n_room; f++) {
		uint32_t function = pgo_strtab_take(&to->functions, &from->functions.strs[f]);

		if (function == PGO_STR_NONE)
			return pgo_err_nomem(err);
		for (unsigned i = 0; i < from->n[f]; i++) {
			uint32_t at = from->set[f * from->limit + i];
			uint32_t host = pgo_strtab_take(&to->hosts, &from->hosts.strs[at]);

			if (host == PGO_STR_NONE || note(to, function, host) < 0)
				return pgo_err_nomem(err);
		}
	}
	return 0;
}

/* ---------------------------------------------------------------- watching */

struct watch {
	struct pgo_reader base;
	struct pgo_hosts *h;
	struct pgo_reader *of;
	uint32_t host;     /* of the input; 0 = unknown */
	uint32_t host_key; /* string of the input */
	uint32_t *host_of; /* per string of the input: host, 0 = not known yet */
	size_t host_of_room, n_host_of;
	uint32_t *seen;     /* per location: the host it was noted for last */
	uint32_t *function; /* per function of the input: of the table, PGO_NONE = not yet */
};

static int host_of(struct watch *w, const struct pgo_sample *s, uint32_t *ret)
{
	const struct pgo_strtab *strs = &w->of->head->strs;

	*ret = w->host;
	for (uint32_t i = 0; i < s->n_label; i++) {
		uint32_t str = s->label[i].str;

		if (s->label[i].key != w->host_key || str == 0)
			continue;
		if (PGO_VEC_RESERVE(w->host_of, w->host_of_room, strs->n_strs) < 0)
			return -1;
		if (strs->n_strs > w->n_host_of) {
			memset(w->host_of + w->n_host_of, 0,
				(strs->n_strs - w->n_host_of) * sizeof *w->host_of);
			w->n_host_of = strs->n_strs;
		}
		if (w->host_of[str] == 0)
			w->host_of[str] = pgo_strtab_take(&w->h->hosts, &strs->strs[str]);
		*ret = w->host_of[str];
		return *ret != PGO_STR_NONE ? 0 : -1;
	}
	return 0;
}

static int note_location(struct watch *w, uint32_t id, uint32_t host)
{
	const struct pgo_profile *p = w->of->head;
	const struct pgo_location *l = &p->locations[id];

	for (uint32_t i = 0; i < l->n_lines; i++) {
		uint32_t f = p->lines[l->first_line + i].function;

		if (w->function[f] == PGO_NONE)
			w->function[f] = pgo_strtab_puts(
				&w->h->functions, pgo_hosts_function(p, &p->functions[f]));
		if (w->function[f] == PGO_STR_NONE || note(w->h, w->function[f], host) < 0)
			return -1;
	}
	w->seen[id] = host;
	return 0;
}

static bool is_zero(const struct pgo_sample *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->value[i] != 0)
			return false;
	return true;
}

static int watch_next(struct pgo_reader *base, struct pgo_sample *ret, struct pgo_err *err)
{
	struct watch *w = (struct watch *)base;
	int rc = pgo_reader_next(w->of, ret, err);
	uint32_t host;

	if (rc <= 0 || is_zero(ret, w->of->head->n_sample_types))
		return rc;
	if (host_of(w, ret, &host) < 0)
		return pgo_err_nomem(err);
	if (host == 0)
		return rc;
	for (uint32_t i = 0; i < ret->n_loc; i++)
		if (ret->loc[i] < w->of->head->n_locations && w->seen[ret->loc[i]] != host &&
			note_location(w, ret->loc[i], host) < 0)
			return pgo_err_nomem(err);
	return rc;
}

static void watch_close(struct pgo_reader *base)
{
	struct watch *w = (struct watch *)base;

	pgo_free(w->host_of);
	pgo_free(w->seen);
	pgo_free(w->function);
	pgo_free(w);
}

struct pgo_reader *pgo_hosts_watch(
	struct pgo_hosts *h, struct pgo_reader *base, const char *host, struct pgo_err *err)
{
	struct watch *w = pgo_calloc(1, sizeof *w);

	if (w == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	w->base = (struct pgo_reader){base->head, base->name, watch_next, watch_close};
	w->h = h;
	w->of = base;
	w->host_key = pgo_strtab_find(&base->head->strs, "host", 4);
	w->host = host != NULL ? pgo_strtab_puts(&h->hosts, host) : 0;
	w->seen = pgo_calloc(base->head->n_locations, sizeof *w->seen);
	w->function = pgo_calloc(base->head->n_functions, sizeof *w->function);
	if (w->host == PGO_STR_NONE || w->seen == NULL || w->function == NULL) {
		watch_close(&w->base);
		pgo_err_nomem(err);
		return NULL;
	}
	memset(w->function, 0xff, base->head->n_functions * sizeof *w->function);
	return &w->base;
}
