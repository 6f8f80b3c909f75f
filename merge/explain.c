/* SPDX-License-Identifier: Apache-2.0 */
/* The plan for people: every input with its weight and the reason. */
#include "merge/plan.h"

#include "pgo/core/opt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_NS 86400e9

static const char *or_dash(const char *s)
{
	return s[0] != '\0' ? s : "-";
}

/* ---------------------------------------------------------------- reasons */

/* What an input is left out for; false if it is not. */
static bool put_drop(const struct pgo_plan *p, const struct pgo_plan_input *in, struct pgo_buf *out)
{
	uint64_t least =
		p->options.min_samples != 0 ? p->options.min_samples : PGO_PLAN_MIN_SAMPLES;

	if (in->drop != PGO_PLAN_KEPT)
		pgo_buf_puts(out, "left out: ");
	switch (in->drop) {
	case PGO_PLAN_TOO_OLD:
		pgo_buf_printf(out, "older than the window of %.1f d",
			(double)p->options.window_ns / DAY_NS);
		return true;
	case PGO_PLAN_NO_SAMPLES:
		pgo_buf_puts(out, "no samples");
		return true;
	case PGO_PLAN_DUPLICATE:
		pgo_buf_printf(out, "same bytes as %s", in->twin);
		return true;
	case PGO_PLAN_CONTAINED:
		pgo_buf_printf(out, "its samples are in %s", in->twin);
		return true;
	case PGO_PLAN_OTHER_CLASS:
		pgo_buf_printf(out, "class %s is not in the mix",
			in->class[0] != '\0' ? in->class : "(none)");
		return true;
	case PGO_PLAN_OTHER_BUILD:
		pgo_buf_puts(out, "of another build, and no function of it is in the target");
		return true;
	case PGO_PLAN_FEW_SAMPLES:
		pgo_buf_printf(
			out, "with the others of its host fewer than %" PRIu64 " samples", least);
		return true;
	case PGO_PLAN_UNMAPPED:
		pgo_buf_printf(out, "only %.1f %% of it at known code", in->mapped * 100);
		return true;
	case PGO_PLAN_OUTLIER:
		pgo_buf_printf(out, "outlier, %.3f in common with the others", in->overlap);
		return true;
	case PGO_PLAN_KEPT:
		break;
	}
	return false;
}

/* Reasons of one input, with "; " between them. */
struct reasons {
	struct pgo_buf *out;
	bool any;
};

static struct pgo_buf *next(struct reasons *r)
{
	if (r->any)
		pgo_buf_puts(r->out, "; ");
	r->any = true;
	return r->out;
}

static void put_host(struct reasons *r, const struct pgo_plan *p, const struct pgo_plan_input *in)
{
	if (p->options.mode == PGO_PLAN_EQUAL_HOST)
		pgo_buf_printf(next(r), "host %s brought to the median host", or_dash(in->host));
	else
		pgo_buf_printf(next(r), "host %s held to %g x the median host", in->host,
			p->options.host_cap);
}

static void put_terms(struct reasons *r, const struct pgo_plan *p, const struct pgo_plan_input *in)
{
	if (in->blend)
		pgo_buf_printf(
			next(r), "the last good profile, at %g of its mass", in->blend_factor);
	if (in->probability_factor != 1)
		pgo_buf_printf(next(r), "taken with probability %g", in->probability);
	if (in->age_factor < 1)
		pgo_buf_printf(next(r), "age halves it %.2f times",
			(double)in->age_ns / (double)p->options.half_life_ns);
	if (in->season_factor != 1)
		pgo_buf_printf(next(r), "its hour of the week has %s profiles than others",
			in->season_factor < 1 ? "more" : "fewer");
	if (in->build_factor < 1)
		pgo_buf_printf(next(r), "another build: %.1f %% of it still in the target",
			in->build_factor * 100);
	if (in->host_factor != 1)
		put_host(r, p, in);
	if (in->class_factor != 1)
		pgo_buf_printf(next(r), "class %s brought to its share", or_dash(in->class));
}

void pgo_plan_reason(const struct pgo_plan *p, const struct pgo_plan_input *in, struct pgo_buf *out)
{
	struct reasons r = {.out = out};

	if (put_drop(p, in, out))
		return;
	put_terms(&r, p, in);
	if (!r.any)
		pgo_buf_puts(next(&r), p->weighted ? "in full" : "as it is");
	if (p->options.half_life_ns > 0 && in->time_ns == 0)
		pgo_buf_puts(next(&r), "no time, counts as new");
	if (p->options.target != NULL && !in->own_build && in->survival < 0)
		pgo_buf_puts(next(&r), "another build without linkage names, not judged");
}

/* ---------------------------------------------------------------- the table */

/* A factor has a column where it is not 1 for all; age and host always have. */
struct column {
	const char *title;
	size_t offset;
	bool shown;
};

enum { AGE, HOST, N_FIXED, PROBABILITY = N_FIXED, SEASON, BUILD, CLASS, BLEND, N_COLUMNS };

#define AT(field) offsetof(struct pgo_plan_input, field)

static void choose_columns(const struct pgo_plan *p, struct column c[N_COLUMNS])
{
	const struct column all[N_COLUMNS] = {
		[AGE] = {"age x", AT(age_factor), true},
		[HOST] = {"host x", AT(host_factor), true},
		[PROBABILITY] = {"1 / q", AT(probability_factor), false},
		[SEASON] = {"season x", AT(season_factor), false},
		[BUILD] = {"build x", AT(build_factor), false},
		[CLASS] = {"class x", AT(class_factor), false},
		[BLEND] = {"blend x", AT(blend_factor), false},
	};

	memcpy(c, all, sizeof all);
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = N_FIXED; k < N_COLUMNS; k++)
			if (*(const double *)((const char *)&p->inputs[i] + c[k].offset) != 1)
				c[k].shown = true;
}

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

static int wider(int width, const char *text)
{
	int len = (int)strlen(text);

	return len > width ? len : width;
}

struct widths {
	int name, host, unit, class;
	bool classes;
};

static void put_header(const struct widths *w, const struct column *c, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%-*s  %-*s  ", w->name, "input", w->host, "host");
	if (w->classes)
		pgo_buf_printf(out, "%-*s  ", w->class, "class");
	pgo_buf_printf(out, "%8s  %10s  %12s  %-*s  ", "age", "samples", "mass", w->unit, "unit");
	for (size_t k = 0; k < N_COLUMNS; k++)
		if (c[k].shown)
			pgo_buf_printf(out, "%8s  ", c[k].title);
	pgo_buf_printf(out, "%8s  %s\n", "weight", "why");
}

static void put_input(const struct pgo_plan *p, const struct pgo_plan_input *in,
	const struct widths *w, const struct column *c, struct pgo_buf *out)
{
	char age[32], weight[32];

	put_age(in, age, sizeof age);
	put_weight(p, in, weight, sizeof weight);
	pgo_buf_printf(out, "%-*s  %-*s  ", w->name, in->name, w->host, or_dash(in->host));
	if (w->classes)
		pgo_buf_printf(out, "%-*s  ", w->class, or_dash(in->class));
	pgo_buf_printf(out, "%8s  %10" PRIu64 "  %12.6g  %-*s  ", age, in->samples, in->mass,
		w->unit, in->unit);
	for (size_t k = 0; k < N_COLUMNS; k++)
		if (c[k].shown)
			pgo_buf_printf(
				out, "%8.6f  ", *(const double *)((const char *)in + c[k].offset));
	pgo_buf_printf(out, "%8s  ", weight);
	pgo_plan_reason(p, in, out);
	pgo_buf_putc(out, '\n');
}

static void put_summary(const struct pgo_plan *p, struct pgo_buf *out)
{
	char now[32] = "unknown";
	size_t outliers = 0;

	for (size_t i = 0; i < p->n; i++)
		outliers += p->inputs[i].drop >= PGO_PLAN_FEW_SAMPLES;
	if (p->now_ns != 0)
		pgo_format_time(p->now_ns, now, sizeof now);
	pgo_buf_printf(out,
		"%zu of %zu profiles, %zu hosts (as good as %.1f equal ones; the largest has "
		"%.1f %%), %zu days, %zu of 168 hours of the week, age from %s\n",
		p->n_kept, p->n, p->n_hosts, p->effective_hosts, p->dominance * 100, p->n_days,
		p->n_hours, now);
	if (p->options.outliers)
		pgo_buf_printf(out, "%zu outliers, with %.2f %% of the mass\n", outliers,
			p->outlier_share * 100);
}

void pgo_plan_explain(const struct pgo_plan *p, struct pgo_buf *out)
{
	struct widths w = {.name = 5, .host = 4, .unit = 4, .class = 5};
	struct column columns[N_COLUMNS];

	for (size_t i = 0; i < p->n; i++) {
		w.name = wider(w.name, p->inputs[i].name);
		w.host = wider(w.host, p->inputs[i].host);
		w.unit = wider(w.unit, p->inputs[i].unit);
		w.class = wider(w.class, p->inputs[i].class);
		w.classes = w.classes || p->inputs[i].class[0] != '\0';
	}
	choose_columns(p, columns);
	put_header(&w, columns, out);
	for (size_t i = 0; i < p->n; i++)
		put_input(p, &p->inputs[i], &w, columns, out);
	put_summary(p, out);
}
