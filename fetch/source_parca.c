/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parca and Polar Signals Cloud: parca://HOST:7070, parca+https://HOST, by gRPC-Web.  Behind a `?`:
 *	hosts=each|joined	one object for each host (the default), or one for all, by group_by
 *	window=Nh		length of a window, a divisor of 24 (the default)
 *
 * One query gives one column of a window; they are joined by stack.  What the server does to
 * profiles on the way (0.28.0), and what is done about it:
 *	- counts of samples come multiplied by the period: it is found out and divided out
 *	- times of merges are garbage, period and duration 0: the window's time is put there
 *	- has_functions is always true: says nothing
 *	- mappings of hosts are one, addresses are not moved: hosts are asked for one by one, and
 *	  joined ones too where their addresses do not fit
 *	- labels are gone, but those asked for: they are told apart by queries and put back
 *	- a location that came with lines has address 0: that cannot be undone
 *	- equal stacks come several times: they are added up
 *	- replies end at 64 MiB or a minute: windows of many rows are asked for in pieces, and in
 *	  smaller ones where that was still too much
 */
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/map.h"

#include <stdlib.h>
#include <string.h>

#define HOUR_NS ((int64_t)3600 * 1000000000)
/* What the server takes in one message is 64 MiB; that many samples fit in. */
#define PUSH_SAMPLES 500000

static void parca_close(struct pgo_source *src)
{
	struct pgo_parca_source *s = (struct pgo_parca_source *)src;

	pgo_parca_forget(s);
	pgo_store_url_fini(&s->url);
	pgo_free(s);
}

static int parameter(void *ctx, const char *name, const char *value, struct pgo_err *err)
{
	struct pgo_parca_source *s = ctx;
	uint64_t hours = 0;

	if (strcmp(name, "hosts") == 0 &&
		(strcmp(value, "each") == 0 || strcmp(value, "joined") == 0)) {
		s->joined = strcmp(value, "joined") == 0;
		return 0;
	}
	if (strcmp(name, "window") == 0 && strspn(value, "0123456789") < 3)
		hours = strtoul(value, NULL, 10);
	if (hours == 0 || hours > 24 || 24 % hours != 0 ||
		strcmp(value + strspn(value, "0123456789"), "h") != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"there is no parameter '%s=%s' for Parca; known are hosts=each, "
			"hosts=joined "
			"and window=24h, 12h, 8h, 6h, 4h, 3h, 2h, 1h",
			name, value);
	s->window = (int64_t)hours * HOUR_NS;
	return 0;
}

static struct pgo_source *parca_open(const char *url, struct pgo_err *err)
{
	struct pgo_parca_source *s = pgo_calloc(1, sizeof *s);

	if (s == NULL || pgo_strtab_init(&s->matchers, (size_t)1 << 30) < 0) {
		pgo_free(s);
		pgo_err_nomem(err);
		return NULL;
	}
	s->base.ops = strncmp(url, "parca+", 6) == 0 ? &pgo_source_parca_https : &pgo_source_parca;
	s->window = 24 * HOUR_NS;
	if (pgo_store_url_parse(url, parameter, s, &s->url, err) < 0) {
		parca_close(&s->base);
		return NULL;
	}
	return &s->base;
}

/* ---------------------------------------------------------------- the listing */

static int offer(const struct pgo_parca_source *s, const struct pgo_parca_object *o,
	pgo_each_listed *each, void *ctx, struct pgo_err *err)
{
	const struct pgo_parca_family *f = &s->families[o->family];
	uint64_t hash = pgo_hash(o->cells, f->n * sizeof *o->cells);
	struct pgo_listed l = {
		.name = o->name, .parts = pgo_parca_parts_of(s, o), .joined = o->joined};

	/* What a window holds is as good as a time of change: late profiles count, too. */
	for (size_t i = 0; i < f->n; i++)
		l.size += o->cells[i].rows;
	l.mtime_ns = o->window_ns + (int64_t)(hash % (uint64_t)s->window);
	return each(ctx, &l, err);
}

static int parca_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct pgo_parca_source *s = (struct pgo_parca_source *)src;
	bool joined;
	int rc = pgo_parca_find(s, q, err);

	if (rc == 0 && s->joined && s->n_objects != 0 && s->names.host[0] == '\0')
		pgo_warn("%s: no label that names hosts; all are one", s->url.name);
	joined = s->joined && s->names.host != NULL && s->names.host[0] != '\0';
	for (size_t i = 0; i < s->n_objects && rc == 0; i++)
		if (s->objects[i].joined == joined)
			rc = offer(s, &s->objects[i], each, ctx, err);
	return rc;
}

/* The object of a single host is part of the joined one: all other labels are the same. */
static bool is_host_of(const struct pgo_parca_source *s, const struct pgo_parca_object *one,
	const struct pgo_parca_object *all)
{
	const struct pgo_parca_labels *a = &s->labels[one->labels], *b = &s->labels[all->labels];
	size_t same = 0, hosts = 0;

	if (one->joined || one->family != all->family || one->window_ns != all->window_ns)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		hosts += strcmp(a->kv[i].key, s->names.host) == 0;
		for (size_t k = 0; k < b->n; k++)
			same += strcmp(a->kv[i].key, b->kv[k].key) == 0 &&
				strcmp(a->kv[i].value, b->kv[k].value) == 0;
	}
	return same == b->n && a->n - hosts == b->n;
}

static int parca_split(struct pgo_source *src, const char *name, pgo_each_listed *each, void *ctx,
	struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *all = pgo_parca_object_of(s, name);
	int rc = 0;

	for (size_t i = 0; i < s->n_objects && rc == 0; i++)
		if (is_host_of(s, &s->objects[i], all))
			rc = offer(s, &s->objects[i], each, ctx, err);
	return rc;
}

static int parca_describe(
	struct pgo_source *src, const char *name, struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_parca_source *s = (const struct pgo_parca_source *)src;
	const struct pgo_parca_object *o = pgo_parca_object_of(s, name);
	const struct pgo_parca_labels *set = o != NULL ? &s->labels[o->labels] : NULL;

	return set != NULL ? pgo_record_tell(rec, set->kv, set->n,
				     s->names.host[0] != '\0' ? s->names.host : NULL, err)
			   : 0;
}

#define NO_ADDRESSES                                                                               \
	"Parca gives names back instead of addresses for code that was pushed with names: let "    \
	"the agent send native code without them, as Parca's own does, or push profiles with "     \
	"pgo push"

const struct pgo_source_ops pgo_source_parca = {
	.scheme = "parca",
	.about = "a server of Parca's",
	.selects = true,
	.replaces = true,
	.no_addresses = NO_ADDRESSES,
	.open = parca_open,
	.close = parca_close,
	.list = parca_list,
	.request = pgo_parca_request,
	.request_end = pgo_parca_request_end,
	.reply = pgo_parca_reply,
	.refine = pgo_parca_refine,
	.assemble = pgo_parca_assemble,
	.split = parca_split,
	.describe = parca_describe,
	.push_shaped = true,
	.push_samples = PUSH_SAMPLES,
	.put = pgo_parca_put,
};

const struct pgo_source_ops pgo_source_parca_https = {
	.scheme = "parca+https",
	.about = "the same, encrypted: Polar Signals Cloud",
	.selects = true,
	.replaces = true,
	.no_addresses = NO_ADDRESSES,
	.open = parca_open,
	.close = parca_close,
	.list = parca_list,
	.request = pgo_parca_request,
	.request_end = pgo_parca_request_end,
	.reply = pgo_parca_reply,
	.refine = pgo_parca_refine,
	.assemble = pgo_parca_assemble,
	.split = parca_split,
	.describe = parca_describe,
	.push_shaped = true,
	.push_samples = PUSH_SAMPLES,
	.put = pgo_parca_put,
};
