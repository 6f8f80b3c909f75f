/* SPDX-License-Identifier: Apache-2.0 */
/* Whose samples made a function what it is: the kept inputs of a result, read once more. */
#include "pgo/provenance.h"

#include "convert/fdata.h"
#include "convert/format.h"
#include "convert/shape.h"
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "pgo/operands.h"
#include "verify/attrib.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)4 << 30)
#define MOST_NEAR 5

struct reading {
	const struct pgo_explained *x;
	struct pgo_attrib attrib;
	struct pgo_function_story *story;
};

static int64_t int_of(const struct pgo_jval *v, const char *key)
{
	return pgo_jval_i64(pgo_jval_get(v, key), 0);
}

/* ------------------------------------------------------------------ reading the inputs */

/* Replicates are told apart by their input's digest, which the plan knows. */
static int add_profile(
	void *ctx, const struct pgo_merge_input *in, struct pgo_reader *r, struct pgo_err *err)
{
	struct reading *rd = ctx;
	const struct pgo_attrib_input known = {
		.name = in->record->digest,
		.host = in->record->host,
		.version = in->record->version,
		.time_ns = in->record->time_ns,
		.duration_ns = in->record->duration_ns,
	};
	int rc = pgo_attrib_add(&rd->attrib, r, &known, err);

	/* Of another unit, or without cost: it is no part of these sums. */
	if (rc == PGO_EMISMATCH || rc == PGO_EEMPTY) {
		pgo_err_clear(err);
		return 0;
	}
	rd->story->profiles += rc == 0;
	return rc;
}

static int read_inputs(struct reading *rd, const char *binary, struct pgo_err *err)
{
	const struct pgo_jval *plan = pgo_jval_get(rd->x->manifest, "plan");
	const struct pgo_input_options io = {
		.binaries = &binary, .n_binaries = binary != NULL, .no_unbias = true};
	struct pgo_operands files = {0};
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(plan) && rc == 0; i++) {
		const struct pgo_jval *in = pgo_jval_at(plan, i);
		struct pgo_record *rec =
			pgo_manifest_find(&rd->x->raw, pgo_jval_text(in, "digest"));
		const struct pgo_jval *blend = pgo_jval_get(in, "blend");

		if (pgo_jval_bool(blend, false))
			continue; /* the result before: it has inputs of its own */
		if (rec == NULL)
			rd->story->gone++;
		else
			rc = pgo_operands_add_record(&files, rd->x->state->raw, rec, err);
	}
	if (rc == 0 && files.n == 0)
		rc = pgo_err_set(err, PGO_ENOTFOUND,
			"none of the profiles that %s was made from is kept any more, so nothing "
			"says where its counts came from",
			rd->x->entry->id);
	if (rc == 0)
		rc = pgo_operands_visit(
			&files, &io, "reading the profiles again", add_profile, rd, err);
	pgo_operands_fini(&files);
	return rc;
}

/* ------------------------------------------------------------------ which function is meant */

static bool is_function(const struct pgo_costs *c, size_t i)
{
	return c->items[i].place != PGO_ITEM_UNNAMED;
}

/* The items whose names hold `part`, the first few of them into `near`. */
static size_t holding(const struct pgo_costs *c, const char *part, uint32_t near[MOST_NEAR])
{
	size_t n = 0;

	for (uint32_t i = 0; i < c->n_items; i++) {
		if (!is_function(c, i) || strstr(pgo_costs_str(c, c->items[i].name), part) == NULL)
			continue;
		if (n < MOST_NEAR)
			near[n] = i;
		n++;
	}
	return n;
}

static int find_item(
	const struct pgo_costs *c, const char *name, uint32_t *ret, struct pgo_err *err)
{
	uint32_t near[MOST_NEAR];
	struct pgo_buf text;
	size_t n;

	pgo_buf_init(&text, PGO_ERR_MAX / 2);
	pgo_name_canonical(name, strlen(name), &text);
	for (uint32_t i = 0; i < c->n_items; i++) {
		const char *item = pgo_costs_str(c, c->items[i].name);

		if (is_function(c, i) &&
			(strcmp(item, name) == 0 || (!text.failed && text.data != NULL &&
							    strcmp(item, text.data) == 0))) {
			*ret = i;
			pgo_buf_fini(&text);
			return 0;
		}
	}
	n = holding(c, name, near);
	pgo_buf_clear(&text);
	for (size_t i = 0; i < n && i < MOST_NEAR; i++)
		pgo_buf_printf(&text, "%s%s", i != 0 ? ", " : "",
			pgo_costs_str(c, c->items[near[i]].name));
	*ret = near[0];
	if (n == 0)
		pgo_err_set(err, PGO_ENOTFOUND,
			"no function of the profiles is named '%s', or has that in its name; "
			"`pgo show` lists what is in the outputs",
			name);
	else if (n > 1)
		pgo_err_set(err, PGO_ENOTFOUND, "'%s' is part of %zu names: %s%s; name one of them",
			name, n, text.data != NULL ? text.data : "", n > MOST_NEAR ? ", ..." : "");
	pgo_buf_fini(&text);
	return n == 1 ? 0 : PGO_ENOTFOUND;
}

/* ------------------------------------------------------------------ summing up */

static int add_origin(struct pgo_origins *o, const char *name, double cost, struct pgo_err *err)
{
	struct pgo_origin *of;

	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->of[i].name, name) == 0) {
			o->of[i].cost += cost;
			o->of[i].profiles++;
			return 0;
		}
	of = PGO_VEC_PUSH(o->of, o->n, o->room);
	if (of == NULL || (of->name = pgo_strdup(name)) == NULL)
		return pgo_err_nomem(err);
	of->cost = cost;
	of->profiles = 1;
	return 0;
}

static int by_cost(const void *a, const void *b)
{
	const struct pgo_origin *x = a, *y = b;

	if (x->cost != y->cost)
		return x->cost < y->cost ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Weight of each replicate by the plan; 0 for what was left out. */
static double *weights_of(const struct pgo_explained *x, const struct pgo_costs *c)
{
	const struct pgo_jval *plan = pgo_jval_get(x->manifest, "plan");
	double one = (double)int_of(pgo_jval_get(x->manifest, "weights"), "weight_one");
	double *w = pgo_calloc(c->n_reps + 1, sizeof *w);
	size_t n = pgo_jval_len(plan);

	for (size_t r = 0; w != NULL && r < c->n_reps; r++)
		for (size_t i = 0; i < n; i++) {
			const struct pgo_jval *in = pgo_jval_at(plan, i);

			if (strcmp(pgo_jval_text(in, "digest"),
				    pgo_costs_str(c, c->reps[r].input)) != 0)
				continue;
			w[r] = (double)int_of(in, "weight") / (one > 0 ? one : 1);
			break;
		}
	return w;
}

static int add_row(struct pgo_function_story *f, const struct pgo_costs *c,
	const struct pgo_cost *row, double weight, struct pgo_err *err)
{
	const struct pgo_cost_rep *rep = &c->reps[row->rep];
	double cost = (double)row->value * weight;
	const char *build = pgo_costs_str(c, rep->build), *host = pgo_costs_str(c, rep->host);
	char day[32];
	int rc;

	if (weight <= 0) {
		f->left_out += (double)row->value;
		f->left_out_profiles++;
		return 0;
	}
	f->cost += cost;
	f->samples += row->samples;
	f->profiles_with++;
	pgo_format_time(rep->start_ns, day, sizeof day);
	day[10] = '\0';
	rc = add_origin(&f->hosts, host[0] != '\0' ? host : "(no host)", cost, err);
	if (rc == 0)
		rc = add_origin(&f->builds, build[0] != '\0' ? build : "(no build-id)", cost, err);
	return rc == 0 ? add_origin(&f->days, rep->start_ns != 0 ? day : "(no time)", cost, err)
		       : rc;
}

static double item_cost(
	const struct pgo_costs *c, const struct pgo_cost_item *item, const double *weights)
{
	double sum = 0;

	for (uint32_t i = item->first; i < item->first + item->n_rows; i++)
		sum += (double)c->rows[i].value * weights[c->rows[i].rep];
	return sum;
}

static void rank(struct pgo_function_story *f, const struct pgo_costs *c, uint32_t item,
	const double *weights)
{
	f->rank = 1;
	for (uint32_t i = 0; i < c->n_items; i++) {
		double cost = item_cost(c, &c->items[i], weights);

		f->total += cost;
		if (!is_function(c, i))
			continue;
		f->n_functions++;
		if (i != item && (cost > f->cost || (cost == f->cost && i < item))) {
			f->rank++;
			f->warmer += cost;
		}
	}
}

static int sum_up(
	struct reading *rd, const struct pgo_costs *c, const char *name, struct pgo_err *err)
{
	struct pgo_function_story *f = rd->story;
	double *weights;
	uint32_t item;
	int rc = find_item(c, name, &item, err);

	if (rc < 0)
		return rc;
	weights = weights_of(rd->x, c);
	f->name = pgo_strdup(pgo_costs_str(c, c->items[item].name));
	f->unit = pgo_strdup(c->unit != NULL ? c->unit : "");
	if (weights == NULL || f->name == NULL || f->unit == NULL)
		rc = pgo_err_nomem(err);
	for (uint32_t i = 0; i < c->items[item].n_rows && rc == 0; i++) {
		const struct pgo_cost *row = &c->rows[c->items[item].first + i];

		rc = add_row(f, c, row, weights[row->rep], err);
	}
	if (rc == 0)
		rank(f, c, item, weights);
	qsort(f->hosts.of, f->hosts.n, sizeof *f->hosts.of, by_cost);
	qsort(f->builds.of, f->builds.n, sizeof *f->builds.of, by_cost);
	qsort(f->days.of, f->days.n, sizeof *f->days.of, by_cost);
	pgo_free(weights);
	return rc;
}

/* ------------------------------------------------------------------ what the outputs say */

static int add_written(
	struct pgo_function_story *f, const char *file, char *text, struct pgo_err *err)
{
	struct pgo_written *w = PGO_VEC_PUSH(f->written, f->n_written, f->written_room);

	if (w == NULL || text == NULL) {
		pgo_free(text);
		return pgo_err_nomem(err);
	}
	w->text = text;
	w->file = pgo_strdup(file);
	return w->file != NULL ? 0 : pgo_err_nomem(err);
}

/* Are these one function, as far as names go? */
static bool same_name(const char *a, const char *canonical)
{
	struct pgo_buf text;
	bool same;

	pgo_buf_init(&text, (size_t)1 << 20);
	pgo_name_canonical(a, strlen(a), &text);
	same = !text.failed && text.data != NULL && strcmp(text.data, canonical) == 0;
	pgo_buf_fini(&text);
	return same;
}

static uint64_t body(const struct pgo_fn *f)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < f->n_pos; i++)
		sum += f->pos[i].count;
	return sum;
}

/* Its bodies inlined into `f`. */
static void inlined(const struct pgo_fnprof *p, const struct pgo_fn *f, const char *name,
	uint64_t *sum, size_t *n)
{
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn *callee = f->calls[i].callee;

		if (same_name(pgo_strtab_get(&p->strs, callee->name), name)) {
			*sum += body(callee);
			++*n;
		}
		inlined(p, callee, name, sum, n);
	}
}

static int read_fnprof(struct pgo_function_story *f, const char *file,
	const struct pgo_format *format, const struct pgo_buf *data, struct pgo_err *err)
{
	struct pgo_fnprof *p = format->read(file, data->data, data->len, err);
	uint64_t own = 0, heads = 0, within = 0;
	size_t n_within = 0, rank_of = 1;
	bool found = false;
	char *text;

	if (p == NULL)
		return err->code;
	for (size_t i = 0; i < p->n_fns; i++) {
		if (same_name(pgo_strtab_get(&p->strs, p->fns[i]->name), f->name)) {
			found = true;
			own += body(p->fns[i]);
			heads += p->fns[i]->head;
		}
		inlined(p, p->fns[i], f->name, &within, &n_within);
	}
	for (size_t i = 0; i < p->n_fns; i++)
		rank_of += body(p->fns[i]) > own;
	if (found && n_within == 0)
		text = pgo_asprintf("counts of %" PRIu64 " in its own body (number %zu of %zu), "
				    "entered %" PRIu64 " times",
			own, rank_of, p->n_fns, heads);
	else if (found)
		text = pgo_asprintf("counts of %" PRIu64 " in its own body (number %zu of %zu), "
				    "entered %" PRIu64 " times; %" PRIu64
				    " more inlined at %zu places",
			own, rank_of, p->n_fns, heads, within, n_within);
	else if (n_within != 0)
		text = pgo_asprintf(
			"only inlined: counts of %" PRIu64 " at %zu places", within, n_within);
	else
		text = pgo_strdup("not in it: the compiler will take it for cold");
	pgo_fnprof_free(p);
	return add_written(f, file, text, err);
}

/* "name/1" and "name/file.c/1" are local names. */
static bool same_symbol(const char *symbol, const char *canonical)
{
	size_t len = strcspn(symbol, "/");
	char *name = pgo_strndup(symbol, len);
	bool same = name != NULL && same_name(name, canonical);

	pgo_free(name);
	return same;
}

static int read_fdata(struct pgo_function_story *f, const char *file, const struct pgo_buf *data,
	struct pgo_err *err)
{
	struct pgo_fdata *d = pgo_fdata_read(file, data->data, data->len, err);
	uint64_t in = 0, out = 0, within = 0;
	size_t edges = 0;
	char *text;

	if (d == NULL)
		return err->code;
	for (size_t i = 0; i < d->n_edges; i++) {
		const struct pgo_fdata_edge *e = &d->edges[i];
		bool from = same_symbol(pgo_strtab_get(&d->strs, e->from.name), f->name);
		bool to = same_symbol(pgo_strtab_get(&d->strs, e->to.name), f->name);

		edges += from || to;
		within += from && to ? e->count : 0;
		out += from && !to ? e->count : 0;
		in += to && !from ? e->count : 0;
	}
	if (edges != 0)
		text = pgo_asprintf("%zu edges: %" PRIu64 " within it, %" PRIu64
				    " into it, %" PRIu64 " out of it",
			edges, within, in, out);
	else
		text = pgo_strdup("not in it");
	pgo_fdata_free(d);
	return add_written(f, file, text, err);
}

static int read_outputs(
	const struct pgo_explained *x, struct pgo_function_story *f, struct pgo_err *err)
{
	const struct pgo_jval *outputs = pgo_jval_get(x->manifest, "outputs");
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(outputs) && rc == 0; i++) {
		const char *file = pgo_state_output_file(pgo_jval_at(outputs, i));
		char *path = pgo_asprintf("%s/%s", x->entry->dir, file);
		const struct pgo_format *format;
		struct pgo_buf data;

		if (path == NULL)
			return pgo_err_nomem(err);
		pgo_buf_init(&data, OUTPUT_MAX);
		rc = pgo_file_read(path, OUTPUT_MAX, &data, err);
		format = rc == 0 ? pgo_format_probe(data.data, data.len) : NULL;
		if (format != NULL)
			rc = read_fnprof(f, file, format, &data, err);
		else if (rc == 0 && pgo_fdata_probe(data.data, data.len))
			rc = read_fdata(f, file, &data, err);
		pgo_buf_fini(&data);
		pgo_free(path);
	}
	return rc;
}

/* ------------------------------------------------------------------ the whole */

/* The column that most of the inputs were counted by. */
static char *column_of(const struct pgo_explained *x)
{
	const struct pgo_jval *plan = pgo_jval_get(x->manifest, "plan");

	for (size_t i = 0; i < pgo_jval_len(plan); i++) {
		const struct pgo_jval *in = pgo_jval_at(plan, i);
		const char *column = pgo_jval_text(in, "column");

		if (int_of(in, "weight") > 0 && column[0] != '\0' &&
			!pgo_jval_bool(pgo_jval_get(in, "blend"), false))
			return pgo_strndup(column, strcspn(column, "/"));
	}
	return NULL;
}

int pgo_explain_function(const struct pgo_explained *x, const char *binary, const char *name,
	struct pgo_function_story *ret, struct pgo_err *err)
{
	struct reading rd = {.x = x, .story = ret};
	char build_id[129], *column = column_of(x);
	struct pgo_attrib_options o = {.sample_type = column};
	struct pgo_err ignored = PGO_ERR_INIT;
	struct pgo_costs costs = {0};
	int rc;

	*ret = (struct pgo_function_story){0};
	/* Another build's addresses mean other functions. */
	if (binary != NULL && pgo_elf_build_id(binary, build_id, &ignored) == 0 &&
		strcmp(build_id, pgo_jval_text(x->manifest, "build_id")) == 0)
		o.binary = binary;
	rc = pgo_attrib_init(&rd.attrib, false, &o, err);
	if (rc < 0) {
		pgo_free(column);
		return rc;
	}
	rc = pgo_costs_init(&costs, err);
	if (rc == 0)
		rc = read_inputs(&rd, o.binary, err);
	if (rc == 0)
		rc = pgo_attrib_finish(&rd.attrib, &costs, err);
	if (rc == 0)
		rc = pgo_costs_sort(&costs, err);
	if (rc == 0)
		rc = sum_up(&rd, &costs, name, err);
	if (rc == 0)
		rc = read_outputs(x, ret, err);
	pgo_costs_fini(&costs);
	pgo_attrib_fini(&rd.attrib);
	pgo_free(column);
	return rc;
}

static void origins_fini(struct pgo_origins *o)
{
	for (size_t i = 0; i < o->n; i++)
		pgo_free(o->of[i].name);
	pgo_free(o->of);
}

void pgo_function_story_fini(struct pgo_function_story *f)
{
	for (size_t i = 0; i < f->n_written; i++) {
		pgo_free(f->written[i].file);
		pgo_free(f->written[i].text);
	}
	pgo_free(f->written);
	origins_fini(&f->hosts);
	origins_fini(&f->builds);
	origins_fini(&f->days);
	pgo_free(f->name);
	pgo_free(f->unit);
	*f = (struct pgo_function_story){0};
}

/* ------------------------------------------------------------------ in words */

static double share(const struct pgo_function_story *f, double cost)
{
	return f->total > 0 ? cost * 100 / f->total : 0;
}

static void put_origins(
	const char *what, const struct pgo_origins *o, double all, struct pgo_buf *out)
{
	const size_t most = 10;

	for (size_t i = 0; i < o->n && i < most; i++)
		pgo_buf_printf(out, "  %-9s %6.2f%%  %s (%zu profile%s)\n", i == 0 ? what : "",
			all > 0 ? o->of[i].cost * 100 / all : 0, o->of[i].name, o->of[i].profiles,
			o->of[i].profiles == 1 ? "" : "s");
	if (o->n > most)
		pgo_buf_printf(out, "  %-9s          ... and %zu more\n", "", o->n - most);
}

void pgo_function_story_text(
	const struct pgo_explained *x, const struct pgo_function_story *f, struct pgo_buf *out)
{
	double above = share(f, f->warmer);

	pgo_buf_printf(out, "%s in %s %s\n", f->name, x->state->target, x->entry->id);
	pgo_buf_printf(out,
		"  cost      %.4g%% of %s, by the weights of the plan; %" PRIu64
		" samples, in %zu of %zu profiles\n",
		share(f, f->cost), f->unit, f->samples, f->profiles_with, f->profiles);
	pgo_buf_printf(out, "  %-9s number %zu of %zu functions; those above it have %.4g%%%s\n",
		above < 99 ? "hot" : "cold", f->rank, f->n_functions, above,
		above < 99 ? ", so it is among those that hold 99%"
			   : ": the functions above it hold 99% without it");
	put_origins("hosts", &f->hosts, f->cost, out);
	put_origins("builds", &f->builds, f->cost, out);
	put_origins("days", &f->days, f->cost, out);
	for (size_t i = 0; i < f->n_written; i++)
		pgo_buf_printf(out, "  %-9s %s: %s\n", i == 0 ? "written" : "", f->written[i].file,
			f->written[i].text);
	if (f->left_out_profiles != 0)
		pgo_buf_printf(out,
			"  left out  %.6g of it, in %zu profiles that were left out of the merge\n",
			f->left_out, f->left_out_profiles);
	if (f->gone != 0)
		pgo_buf_printf(out,
			"  missing   %zu profiles are not kept any more; shares are of the "
			"others\n",
			f->gone);
}

static void json_origins(struct pgo_json *j, const char *key, const struct pgo_origins *o)
{
	pgo_json_key(j, key);
	pgo_json_array(j);
	for (size_t i = 0; i < o->n; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", o->of[i].name);
		pgo_json_kv_double(j, "cost", o->of[i].cost);
		pgo_json_kv_u64(j, "profiles", o->of[i].profiles);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

void pgo_function_story_json(const struct pgo_function_story *f, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "schema", 1);
	pgo_json_kv_str(j, "kind", "function");
	pgo_json_kv_str(j, "name", f->name);
	pgo_json_kv_str(j, "unit", f->unit);
	pgo_json_kv_double(j, "cost", f->cost);
	pgo_json_kv_double(j, "total", f->total);
	pgo_json_kv_double(j, "above", f->warmer);
	pgo_json_kv_u64(j, "rank", f->rank);
	pgo_json_kv_u64(j, "functions", f->n_functions);
	pgo_json_kv_u64(j, "samples", f->samples);
	pgo_json_kv_u64(j, "profiles", f->profiles);
	pgo_json_kv_u64(j, "profiles_with_it", f->profiles_with);
	pgo_json_kv_u64(j, "profiles_gone", f->gone);
	pgo_json_kv_double(j, "left_out", f->left_out);
	pgo_json_kv_u64(j, "left_out_profiles", f->left_out_profiles);
	json_origins(j, "hosts", &f->hosts);
	json_origins(j, "builds", &f->builds);
	json_origins(j, "days", &f->days);
	pgo_json_key(j, "written");
	pgo_json_array(j);
	for (size_t i = 0; i < f->n_written; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "file", f->written[i].file);
		pgo_json_kv_str(j, "says", f->written[i].text);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}
