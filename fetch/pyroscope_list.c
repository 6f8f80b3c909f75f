/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Pyroscope server has, as objects: services and types by its index, then for each service,
 * type and window the sum of every series group, from which come hosts, versions and whether
 * anything changed.  Nothing is asked for that is not there.
 *
 * Windows lie on a grid of whole days in UTC, whatever the ends of the asked range cut off them: so
 * a window has the same name in every run, and the same size (the sum of its values) as long as it
 * holds the same samples.
 */
#include "fetch/pyroscope_list.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/opt.h"
#include "pgo/core/profile.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY PGO_PYRO_DAY
#define DEFAULT_RANGE (7 * DAY) /* what servers show unless they are set otherwise */
#define REPLY_MAX ((uint64_t)256 << 20)
#define MAX_WINDOWS 3700 /* ten years */

/* Labels that may tell hosts apart; the first comes first where two cover as many series. */
static const char *const host_labels[] = {"pod", "instance", "hostname", "node", "host", "pod_name",
	"k8s_pod_name", "host_name", "node_name", "k8s_node_name", "instance_id",
	"service_instance_id", "container_id", "process_pid", "pid"};
static const char *const version_labels[] = {"version", "service_version", "service_git_ref"};

#define N(array) (sizeof(array) / sizeof *(array))
#define N_COMMON_HOSTS 12 /* the others only where a merge has to be split */

const char *const *pgo_pyro_host_labels(size_t *ret_n, size_t *ret_n_common)
{
	*ret_n = N(host_labels);
	*ret_n_common = N_COMMON_HOSTS;
	return host_labels;
}

/* ---------------------------------------------------------------- many questions at a time */

struct pgo_pyro_ask *pgo_pyro_asks_add(struct pgo_pyro_asks *a, bool sums)
{
	struct pgo_pyro_ask *q = pgo_calloc(1, sizeof *q), **to;

	if (q == NULL)
		return NULL;
	pgo_buf_init(&q->body, PGO_PYRO_TEXT_MAX);
	pgo_pyro_rows_init(&q->rows);
	q->sums = sums;
	q->method = sums ? PGO_PYRO_QUERY "SelectSeries" : PGO_PYRO_QUERY "Series";
	to = PGO_VEC_PUSH(a->of, a->n, a->room);
	if (to == NULL) {
		pgo_free(q);
		return NULL;
	}
	*to = q;
	return q;
}

void pgo_pyro_asks_fini(struct pgo_pyro_asks *a)
{
	for (size_t i = 0; i < a->n; i++) {
		pgo_pyro_request_fini(&a->of[i]->r);
		pgo_buf_fini(&a->of[i]->body);
		pgo_pyro_rows_fini(&a->of[i]->rows);
		pgo_free(a->of[i]);
	}
	pgo_free(a->of);
	memset(a, 0, sizeof *a);
}

static int next_ask(void *ctx, struct pgo_http_request **ret, struct pgo_err *err)
{
	struct pgo_pyro_asks *a = ctx;
	struct pgo_pyro_ask *q;
	int rc;

	if (a->next == a->n)
		return 0;
	q = a->of[a->next++];
	rc = pgo_pyro_prepare(a->s, q->method, &q->body, &q->r, err);
	q->r.owner = q;
	q->r.max = REPLY_MAX;
	*ret = &q->r;
	return rc < 0 ? rc : 1;
}

static int ask_done(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
	struct pgo_err *err)
{
	struct pgo_pyro_ask *q = r->owner;
	int rc;

	if (reply == NULL)
		return err->code;
	if (reply->status != 200)
		return pgo_pyro_refused(reply, err);
	rc = q->sums ? pgo_pyro_sums_parse(&q->rows, reply->body.data, reply->body.len, err)
		     : pgo_pyro_series_parse(&q->rows, reply->body.data, reply->body.len, err);
	return rc < 0 ? pgo_err_prefix(
				err, "%s%s", ((struct pgo_pyro_asks *)ctx)->s->root, q->method)
		      : 0;
}

int pgo_pyro_asks_run(struct pgo_pyro_asks *a, struct pgo_err *err)
{
	return pgo_http_run(a->s->base.http, next_ask, ask_done, a, err);
}

/* ---------------------------------------------------------------- the range */

/* Milliseconds are the unit of the interface: a range begins and ends on one. */
static int make_windows(struct pgo_pyro_lister *l, struct pgo_err *err)
{
	int64_t to = l->q->until_ns != 0 ? l->q->until_ns : l->s->now_ns + 1000000;
	int64_t from = l->q->since_ns != 0 ? l->q->since_ns : to - DEFAULT_RANGE;

	if (l->q->since_ns == 0)
		pgo_note("%s: profiles of the seven days before the end are asked for; say with "
			 "--since what else",
			l->s->place);
	from = (from < 1000000 ? 1000000 : from + 999999) / 1000000 * 1000000;
	to = (to + 999999) / 1000000 * 1000000;
	for (int64_t at = from; at < to; at = l->windows[l->n_windows - 1].to_ns) {
		struct pgo_pyro_window *w = PGO_VEC_PUSH(l->windows, l->n_windows, l->windows_room);

		if (w == NULL)
			return pgo_err_nomem(err);
		if (l->n_windows > MAX_WINDOWS)
			return pgo_err_set(err, PGO_EUSAGE,
				"the time range is longer than ten years; say with --since and "
				"--until what to fetch");
		w->grid_ns = at / DAY * DAY;
		w->from_ns = at;
		w->to_ns = to - w->grid_ns < DAY ? to : w->grid_ns + DAY;
	}
	l->seen = pgo_calloc(l->n_windows, sizeof *l->seen);
	return l->seen != NULL ? 0 : pgo_err_nomem(err);
}

/* ---------------------------------------------------------------- what to take */

/* Profiles that have nothing to do with where CPU time goes, by the event of their period. */
static bool is_other_event(const char *event)
{
	static const char *const others[] = {"space", "contentions", "goroutine", "goroutines",
		"wall", "threads", "lock", "locks", "mutex", "block", "alloc", "heap", "exception",
		"exceptions", "bytes", "objects", "threadcreate"};

	for (size_t i = 0; i < N(others); i++)
		if (strcmp(event, others[i]) == 0)
			return true;
	return false;
}

static bool is_wanted_type(const struct pgo_pyro_lister *l, const struct pgo_pyro_type *t)
{
	for (size_t i = 0; i < l->q->n_types; i++)
		if (strcmp(l->q->types[i], t->type) == 0 || strcmp(l->q->types[i], t->id) == 0)
			return true;
	if (l->q->n_types != 0)
		return false;
	if (strncmp(t->type, "lbr", 3) == 0 || strcmp(t->type, "cpu") == 0)
		return true;
	return !is_other_event(t->period_type) &&
	       (strcmp(t->type, t->period_type) == 0 || strcmp(t->type, "samples") == 0);
}

static bool is_service_key(const char *key)
{
	return strcmp(key, "service") == 0 || strcmp(key, "service_name") == 0;
}

static bool is_record_key(const char *key)
{
	return is_service_key(key) || strcmp(key, "host") == 0 || strcmp(key, "version") == 0 ||
	       strcmp(key, "build_id") == 0;
}

/* Do the matchers that speak of the service take this one? */
static int takes_service(const struct pgo_pyro_lister *l, const char *name, struct pgo_err *err)
{
	struct pgo_record rec = {0};
	struct pgo_selection some = l->selection;
	int rc = pgo_record_set(&rec.service, name, err);
	bool takes = true;

	if (rc == 0)
		rc = pgo_record_label(&rec, "service_name", name, err);
	some.n_matchers = 1;
	for (size_t i = 0; i < l->selection.n_matchers && rc == 0 && takes; i++) {
		some.matchers = &l->selection.matchers[i];
		if (is_service_key(some.matchers->key))
			takes = pgo_selection_takes(&some, &rec);
	}
	pgo_record_fini(&rec);
	return rc < 0 ? rc : takes;
}

static int take_selection(struct pgo_pyro_lister *l, struct pgo_err *err)
{
	const struct pgo_selection *from = l->q->selection;

	pgo_selection_init(&l->selection);
	for (size_t i = 0; i < from->n_matchers; i++) {
		struct pgo_matcher *m;

		if (strcmp(from->matchers[i].key, "build_id") == 0)
			continue;
		m = PGO_VEC_PUSH(
			l->selection.matchers, l->selection.n_matchers, l->selection.matchers_room);
		if (m == NULL)
			return pgo_err_nomem(err);
		*m = from->matchers[i];
	}
	return 0;
}

static int add_group_by(struct pgo_pyro_lister *l, const char *name)
{
	const char **to;

	for (size_t i = 0; i < l->n_group_by; i++)
		if (strcmp(l->group_by[i], name) == 0)
			return 0;
	to = PGO_VEC_PUSH(l->group_by, l->n_group_by, l->group_by_room);
	if (to == NULL)
		return -1;
	*to = name;
	return 0;
}

static int make_group_by(struct pgo_pyro_lister *l, struct pgo_err *err)
{
	int rc = 0;

	if (l->q->by_host != NULL)
		rc = add_group_by(l, l->q->by_host);
	for (size_t i = 0; i < N_COMMON_HOSTS && l->q->by_host == NULL && rc == 0; i++)
		rc = add_group_by(l, host_labels[i]);
	l->n_hosts = l->n_group_by;
	for (size_t i = 0; i < N(version_labels) && rc == 0; i++)
		rc = add_group_by(l, version_labels[i]);
	l->n_versions = l->n_group_by - l->n_hosts;
	for (size_t i = 0; i < l->selection.n_matchers && rc == 0; i++)
		if (!is_record_key(l->selection.matchers[i].key))
			rc = add_group_by(l, l->selection.matchers[i].key);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

/* ---------------------------------------------------------------- services and types */

/* "name:type:unit:period_type:period_unit", cut into its pieces in place. */
static int split_id(struct pgo_pyro_type *t, struct pgo_err *err)
{
	char **to[] = {&t->name, &t->type, &t->unit, &t->period_type, &t->period_unit};
	char *at = pgo_strdup(t->id);

	t->name = at;
	if (at == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < N(to); i++) {
		*to[i] = at;
		at += strcspn(at, ":");
		if (i + 1 < N(to) && *at == ':')
			*at++ = '\0';
	}
	return 0;
}

static int type_of(struct pgo_pyro *s, const char *id, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_pyro_type *t;

	for (size_t i = 0; i < s->n_types; i++)
		if (strcmp(s->types[i].id, id) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	t = PGO_VEC_PUSH(s->types, s->n_types, s->types_room);
	if (t == NULL || (t->id = pgo_strdup(id)) == NULL)
		return pgo_err_nomem(err);
	*ret = (uint32_t)(s->n_types - 1);
	return split_id(t, err);
}

static int service_of(struct pgo_pyro_lister *l, const char *name, size_t *ret, struct pgo_err *err)
{
	struct pgo_pyro_service *v;

	for (*ret = 0; *ret < l->n_services; ++*ret)
		if (strcmp(l->services[*ret].name, name) == 0)
			return 0;
	v = PGO_VEC_PUSH(l->services, l->n_services, l->services_room);
	if (v == NULL || (v->name = pgo_strdup(name)) == NULL)
		return pgo_err_nomem(err);
	return 0;
}

/* Appends the matchers that the server judges as we do: those of plain labels by equality, and by
 * expressions that mean the same in both languages.  All of them are judged again by us. */
static void add_matchers(const struct pgo_pyro_lister *l, struct pgo_buf *b)
{
	static const char *const ops[] = {"=", "!=", "=~", "!~"};
	static const char common[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789 _.-/:*+?|()";

	for (size_t i = 0; i < l->selection.n_matchers; i++) {
		const struct pgo_matcher *m = &l->selection.matchers[i];
		bool plain = m->op == PGO_MATCH_IS || m->op == PGO_MATCH_NOT ||
			     m->value[strspn(m->value, common)] == '\0';
		bool by_host = l->q->by_host != NULL && strcmp(m->key, "host") == 0;

		if (!plain || (is_record_key(m->key) && !by_host))
			continue;
		pgo_buf_putc(b, ',');
		pgo_pyro_matcher(b, by_host ? l->q->by_host : m->key, ops[m->op], m->value);
	}
}

static int ask_sums(struct pgo_pyro_lister *l, struct pgo_pyro_asks *a, unsigned window,
	size_t service, uint32_t type, struct pgo_err *err)
{
	const struct pgo_pyro_window *w = &l->windows[window];
	struct pgo_pyro_ask *q = pgo_pyro_asks_add(a, true);
	struct pgo_buf selector;
	int rc;

	if (q == NULL)
		return pgo_err_nomem(err);
	q->window = window;
	q->service = service;
	q->type = type;
	pgo_buf_init(&selector, PGO_PYRO_TEXT_MAX);
	pgo_buf_putc(&selector, '{');
	pgo_pyro_matcher(&selector, "service_name", "=", l->services[service].name);
	add_matchers(l, &selector);
	pgo_buf_putc(&selector, '}');
	rc = pgo_buf_check(&selector, "the selector", err);
	q->rows.from_ms = w->from_ns / 1000000;
	if (rc == 0)
		pgo_pyro_sums_ask(&q->body, l->s->types[type].id, selector.data, l->group_by,
			l->n_group_by, w->from_ns / 1000000, w->to_ns / 1000000 - 1);
	pgo_buf_fini(&selector);
	return rc;
}

/* A (service, type) that the server has in a window -> the question for its sums. */
static int take_pair(struct pgo_pyro_lister *l, struct pgo_pyro_asks *sums, unsigned window,
	const struct pgo_pyro_row *row, struct pgo_err *err)
{
	const char *service = pgo_pyro_row_get(row, "service_name");
	const char *id = pgo_pyro_row_get(row, "__profile_type__");
	uint32_t type = 0;
	size_t at = 0;
	int rc;

	if (*service == '\0' || *id == '\0')
		return 0;
	l->seen[window] = true;
	rc = takes_service(l, service, err);
	if (rc <= 0)
		return rc;
	rc = type_of(l->s, id, &type, err);
	if (rc < 0 || !is_wanted_type(l, &l->s->types[type]))
		return rc;
	rc = service_of(l, service, &at, err);
	return rc == 0 ? ask_sums(l, sums, window, at, type, err) : rc;
}

static int ask_services(struct pgo_pyro_lister *l, struct pgo_pyro_asks *sums, struct pgo_err *err)
{
	static const char *const names[] = {"service_name", "__profile_type__"};
	struct pgo_pyro_asks a = {.s = l->s};
	int rc = 0;

	for (unsigned w = 0; w < l->n_windows && rc == 0; w++) {
		struct pgo_pyro_ask *q = pgo_pyro_asks_add(&a, false);

		if (q == NULL) {
			rc = pgo_err_nomem(err);
			break;
		}
		q->window = w;
		pgo_pyro_series_ask(&q->body, NULL, names, N(names),
			l->windows[w].from_ns / 1000000, l->windows[w].to_ns / 1000000 - 1);
	}
	if (rc == 0)
		rc = pgo_pyro_asks_run(&a, err);
	for (size_t i = 0; i < a.n && rc == 0; i++)
		for (size_t k = 0; k < a.of[i]->rows.n && rc == 0; k++)
			rc = take_pair(l, sums, a.of[i]->window, &a.of[i]->rows.of[k], err);
	pgo_pyro_asks_fini(&a);
	return rc;
}

/* ---------------------------------------------------------------- the listing */

static void say_what_is_missing(const struct pgo_pyro_lister *l)
{
	size_t first = 0;
	char from[32], to[32];

	while (first < l->n_windows && !l->seen[first])
		first++;
	if (l->n_windows == 0 || first == 0)
		return;
	pgo_format_time(l->windows[0].from_ns, from, sizeof from);
	pgo_format_time(
		l->windows[first < l->n_windows ? first : l->n_windows - 1].from_ns, to, sizeof to);
	if (first == l->n_windows)
		pgo_warn("%s: the server shows no profiles at all in the range asked for, from %s "
			 "on; it may keep them for another tenant (PGO_FETCH_TENANT), or no more",
			l->s->place, from);
	else if (l->q->since_ns != 0 && l->q->since_ns < l->s->now_ns - DEFAULT_RANGE)
		pgo_warn("%s: asked for profiles from %s on, the server shows none before %s; how "
			 "far back queries reach is its setting querier.max-query-lookback, 7 days "
			 "by default",
			l->s->place, from, to);
	else
		pgo_note("%s: there are no profiles from %s until %s", l->s->place, from, to);
}

static void say_no_types(const struct pgo_pyro_lister *l)
{
	struct pgo_buf b;

	if (l->n_services != 0 || l->s->n_types == 0)
		return;
	pgo_buf_init(&b, 500);
	for (size_t i = 0; i < l->s->n_types; i++)
		pgo_buf_printf(&b, "%s%s", i > 0 ? ", " : "", l->s->types[i].id);
	pgo_warn("%s: of the services selected, no profile type is asked for, or is of CPU time or "
		 "branches; there are: %s%s",
		l->s->place, b.data != NULL ? b.data : "", b.failed ? " ..." : "");
	pgo_buf_fini(&b);
}

static void lister_fini(struct pgo_pyro_lister *l)
{
	for (size_t i = 0; i < l->n_services; i++)
		pgo_free(l->services[i].name);
	pgo_free(l->services);
	pgo_free(l->windows);
	pgo_free(l->seen);
	pgo_free(l->group_by);
	pgo_free(l->selection.matchers); /* what is in them is borrowed */
}

/* What tells queries apart but is not in the names of objects: only the types. */
static int make_tag(struct pgo_pyro_lister *l, struct pgo_err *err)
{
	struct pgo_selection none;
	struct pgo_query q = *l->q;

	pgo_selection_init(&none);
	q.selection = &none;
	return pgo_query_tag(&q, l->tag, err);
}

int pgo_pyro_list(struct pgo_source *src, const struct pgo_query *q, pgo_each_listed *each,
	void *ctx, struct pgo_err *err)
{
	struct pgo_pyro *s = (struct pgo_pyro *)src;
	struct pgo_pyro_lister l = {.s = s, .q = q};
	struct pgo_pyro_asks sums = {.s = s};
	size_t first = s->n_objects;
	int rc = make_windows(&l, err);

	if (rc == 0)
		rc = make_tag(&l, err);
	if (rc == 0)
		rc = take_selection(&l, err);
	if (rc == 0)
		rc = make_group_by(&l, err);
	if (rc == 0)
		rc = ask_services(&l, &sums, err);
	if (rc == 0)
		rc = pgo_pyro_asks_run(&sums, err);
	if (rc == 0)
		rc = pgo_pyro_objects_make(&l, &sums, err);
	if (rc == 0) {
		say_what_is_missing(&l);
		say_no_types(&l);
		rc = pgo_pyro_each(s, first, each, ctx, err);
	}
	pgo_pyro_asks_fini(&sums);
	lister_fini(&l);
	return rc;
}
