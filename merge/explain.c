/* SPDX-License-Identifier: Apache-2.0 */
/* The plan for people and for programs: every input with its weight and the reason. */
#include "merge/plan.h"

#include "pgo/core/opt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_NS 86400e9

/* "3.5 d", "2.0 h"; "-" without a time. */
static void put_age(const struct pgo_plan_input *in, char *ret, size_t size)
{
	double days = (double)in->age_ns / DAY_NS;

	if (in->time_ns == 0)
		snprintf(ret, size, "-");
	else if (days >= 2 || in->age_ns == 0)
		snprintf(ret, size, "%.1f d", days);
	else
		snprintf(ret, size, "%.1f h", days * 24);
}

static void put_weight(
	const struct pgo_plan *p, const struct pgo_plan_input *in, char *ret, size_t size)
{
	if (in->drop != PGO_PLAN_KEPT)
		snprintf(ret, size, "0");
	else
		snprintf(ret, size, "%.6f", (double)in->weight / (double)p->weight_one);
}

static void put_reason(
	const struct pgo_plan *p, const struct pgo_plan_input *in, struct pgo_buf *out)
{
	switch (in->drop) {
	case PGO_PLAN_TOO_OLD:
		pgo_buf_printf(out, "left out: older than the window of %.1f d",
			(double)p->options.window_ns / DAY_NS);
		return;
	case PGO_PLAN_NO_SAMPLES:
		pgo_buf_puts(out, "left out: no samples");
		return;
	case PGO_PLAN_DUPLICATE:
		pgo_buf_printf(out, "left out: same bytes as %s", in->twin);
		return;
	case PGO_PLAN_KEPT:
		break;
	}
	if (in->age_factor >= 1 && in->host_factor >= 1)
		pgo_buf_puts(out, p->weighted ? "in full" : "as it is");
	if (in->age_factor < 1)
		pgo_buf_printf(out, "age halves it %.2f times",
			(double)in->age_ns / (double)p->options.half_life_ns);
	if (in->host_factor < 1)
		pgo_buf_printf(out, "%shost %s held to %g x the median host",
			in->age_factor < 1 ? "; " : "", in->host, p->options.host_cap);
	if (p->options.half_life_ns > 0 && in->time_ns == 0)
		pgo_buf_puts(out, "; no time, counts as new");
}

static int wider(int width, const char *text)
{
	int len = (int)strlen(text);

	return len > width ? len : width;
}

void pgo_plan_explain(const struct pgo_plan *p, struct pgo_buf *out)
{
	int name = 5, host = 4, unit = 4;
	char age[32], weight[32], now[32] = "unknown";

	for (size_t i = 0; i < p->n; i++) {
		name = wider(name, p->inputs[i].name);
		host = wider(host, p->inputs[i].host);
		unit = wider(unit, p->inputs[i].unit);
	}
	pgo_buf_printf(out, "%-*s  %-*s  %8s  %10s  %12s  %-*s  %8s  %8s  %8s  %s\n", name, "input",
		host, "host", "age", "samples", "mass", unit, "unit", "age x", "host x", "weight",
		"why");
	for (size_t i = 0; i < p->n; i++) {
		const struct pgo_plan_input *in = &p->inputs[i];

		put_age(in, age, sizeof age);
		put_weight(p, in, weight, sizeof weight);
		pgo_buf_printf(out,
			"%-*s  %-*s  %8s  %10" PRIu64 "  %12.6g  %-*s  %8.6f  %8.6f  %8s  ", name,
			in->name, host, in->host[0] != '\0' ? in->host : "-", age, in->samples,
			in->mass, unit, in->unit, in->age_factor, in->host_factor, weight);
		put_reason(p, in, out);
		pgo_buf_putc(out, '\n');
	}
	if (p->now_ns != 0)
		pgo_format_time(p->now_ns, now, sizeof now);
	pgo_buf_printf(out,
		"%zu of %zu profiles, %zu hosts (as good as %.1f equal ones; the largest has "
		"%.1f %%), %zu days, age from %s\n",
		p->n_kept, p->n, p->n_hosts, p->effective_hosts, p->dominance * 100, p->n_days,
		now);
}

void pgo_plan_json(const struct pgo_plan *p, struct pgo_json *j)
{
	pgo_json_array(j);
	for (size_t i = 0; i < p->n; i++) {
		const struct pgo_plan_input *in = &p->inputs[i];
		struct pgo_buf why;

		pgo_buf_init(&why, 1 << 20);
		put_reason(p, in, &why);
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", in->name);
		pgo_json_kv_str(j, "digest", in->digest);
		pgo_json_kv_str(j, "host", in->host);
		pgo_json_kv_str(j, "build_id", in->build_id);
		pgo_json_kv_i64(j, "time_ns", in->time_ns);
		pgo_json_kv_i64(j, "age_ns", in->age_ns);
		pgo_json_kv_u64(j, "samples", in->samples);
		pgo_json_kv_str(j, "column", in->column);
		pgo_json_kv_i64(j, "total", in->total);
		pgo_json_kv_i64(j, "period", in->period);
		pgo_json_kv_double(j, "mass", in->mass);
		pgo_json_kv_str(j, "unit", in->unit);
		pgo_json_kv_double(j, "age_factor", in->age_factor);
		pgo_json_kv_double(j, "host_factor", in->host_factor);
		pgo_json_kv_u64(j, "weight", in->weight);
		if (in->drop != PGO_PLAN_KEPT)
			pgo_json_kv_str(j, "dropped", pgo_plan_drop_name(in->drop));
		pgo_json_kv_str(j, "why", why.failed || why.data == NULL ? "" : why.data);
		pgo_json_end_object(j);
		pgo_buf_fini(&why);
	}
	pgo_json_end_array(j);
}
