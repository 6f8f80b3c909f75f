/* SPDX-License-Identifier: Apache-2.0 */
/* The plan for programs: every number that went into a weight. */
#include "merge/plan.h"

#include "pgo/core/alloc.h"

#include <string.h>

static void put_factors(const struct pgo_plan_input *in, struct pgo_json *j)
{
	pgo_json_kv_double(j, "probability_factor", in->probability_factor);
	pgo_json_kv_double(j, "age_factor", in->age_factor);
	pgo_json_kv_double(j, "season_factor", in->season_factor);
	pgo_json_kv_double(j, "build_factor", in->build_factor);
	pgo_json_kv_double(j, "host_factor", in->host_factor);
	pgo_json_kv_double(j, "class_factor", in->class_factor);
	pgo_json_kv_double(j, "blend_factor", in->blend_factor);
}

/* A number that is below 0 where it is unknown. */
static void put_known(struct pgo_json *j, const char *key, double v)
{
	pgo_json_key(j, key);
	if (v < 0)
		pgo_json_null(j);
	else
		pgo_json_double(j, v);
}

void pgo_plan_input_json(
	const struct pgo_plan *p, const struct pgo_plan_input *in, struct pgo_json *j)
{
	struct pgo_buf why;

	pgo_buf_init(&why, 1 << 20);
	pgo_plan_reason(p, in, &why);
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", in->name);
	pgo_json_kv_str(j, "digest", in->digest);
	pgo_json_kv_str(j, "host", in->host);
	pgo_json_kv_str(j, "service", in->service);
	pgo_json_kv_str(j, "class", in->class);
	pgo_json_kv_str(j, "build_id", in->build_id);
	pgo_json_kv_i64(j, "time_ns", in->time_ns);
	pgo_json_kv_i64(j, "age_ns", in->age_ns);
	pgo_json_kv_u64(j, "samples", in->samples);
	pgo_json_kv_u64(j, "samples_counted", in->n_counted);
	pgo_json_kv_str(j, "column", in->column);
	pgo_json_kv_i64(j, "total", in->total);
	pgo_json_kv_i64(j, "period", in->period);
	pgo_json_kv_double(j, "probability", in->probability);
	pgo_json_kv_double(j, "mass", in->mass);
	pgo_json_kv_str(j, "unit", in->unit);
	pgo_json_kv_bool(j, "blend", in->blend);
	pgo_json_kv_u64(j, "holds", in->n_leaves);
	put_factors(in, j);
	put_known(j, "mapped", in->mapped);
	put_known(j, "survival", in->survival);
	put_known(j, "overlap", in->overlap);
	pgo_json_kv_u64(j, "weight", in->weight);
	if (in->drop != PGO_PLAN_KEPT)
		pgo_json_kv_str(j, "dropped", pgo_plan_drop_name(in->drop));
	if (in->twin != NULL)
		pgo_json_kv_str(j, "counted_in", in->twin);
	pgo_json_kv_str(j, "why", why.failed || why.data == NULL ? "" : why.data);
	pgo_json_end_object(j);
	pgo_buf_fini(&why);
}

void pgo_plan_json(const struct pgo_plan *p, struct pgo_json *j)
{
	pgo_json_array(j);
	for (size_t i = 0; i < p->n; i++)
		pgo_plan_input_json(p, &p->inputs[i], j);
	pgo_json_end_array(j);
}

/* ---------------------------------------------------------------- the whole */

static void put_options(const struct pgo_plan *p, struct pgo_json *j)
{
	const struct pgo_plan_options *o = &p->options;

	pgo_json_kv_bool(j, "weighted", p->weighted);
	pgo_json_kv_u64(j, "weight_one", p->weight_one);
	pgo_json_kv_i64(j, "half_life_ns", o->half_life_ns);
	pgo_json_kv_i64(j, "window_ns", o->window_ns);
	pgo_json_kv_double(j, "host_cap", o->host_cap);
	pgo_json_kv_str(j, "mode", o->mode == PGO_PLAN_EQUAL_HOST ? "equal-host" : "fleet-cost");
	pgo_json_kv_bool(j, "season", o->season);
	pgo_json_kv_bool(j, "use_probability", !o->no_probability);
	pgo_json_key(j, "class_mix");
	pgo_json_array(j);
	for (size_t i = 0; i < o->n_classes; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "class", o->classes[i].name);
		pgo_json_kv_double(j, "share", o->classes[i].share);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_kv_double(j, "blend", o->blend > 0 ? o->blend : PGO_PLAN_BLEND);
	pgo_json_kv_str(j, "target_build_id", o->target != NULL ? o->target->build_id : NULL);
	pgo_json_kv_bool(j, "drop_outliers", o->outliers);
	pgo_json_kv_bool(j, "allow_outliers", o->allow_outliers);
}

/* Shares are of the mass of one unit. */
static void put_sums(const struct pgo_plan *p, bool hosts, struct pgo_json *j)
{
	size_t n = 0;
	struct pgo_plan_sum *s = pgo_plan_sums(p, hosts, &n);

	pgo_json_array(j);
	for (size_t i = 0, end; i < n; i = end) {
		double all = 0;

		for (end = i; end < n && strcmp(s[end].unit, s[i].unit) == 0; end++)
			all += s[end].mass;
		for (size_t k = i; k < end; k++) {
			pgo_json_object(j);
			pgo_json_kv_str(j, hosts ? "host" : "class", s[k].name);
			pgo_json_kv_str(j, "unit", s[k].unit);
			pgo_json_kv_u64(j, "profiles", s[k].profiles);
			pgo_json_kv_double(j, "weighted_mass", s[k].mass);
			pgo_json_kv_double(j, "share", all > 0 ? s[k].mass / all : 0);
			pgo_json_end_object(j);
		}
	}
	pgo_json_end_array(j);
	if (s == NULL)
		j->out->failed = true; /* never a list that silently lacks something */
	pgo_free(s);
}

void pgo_plan_summary_json(const struct pgo_plan *p, struct pgo_json *j)
{
	put_options(p, j);
	pgo_json_kv_i64(j, "now_ns", p->now_ns);
	pgo_json_kv_u64(j, "kept", p->n_kept);
	pgo_json_kv_u64(j, "hosts", p->n_hosts);
	pgo_json_kv_double(j, "effective_hosts", p->effective_hosts);
	pgo_json_kv_double(j, "dominance", p->dominance);
	pgo_json_kv_u64(j, "days", p->n_days);
	pgo_json_kv_u64(j, "hours_of_week", p->n_hours);
	pgo_json_kv_double(j, "outlier_share", p->outlier_share);
	pgo_json_key(j, "by_host");
	put_sums(p, true, j);
	pgo_json_key(j, "by_class");
	put_sums(p, false, j);
}
