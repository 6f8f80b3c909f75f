/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/gates.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const verdict_names[] = {"pass", "warn", "fail", "skipped"};

const char *pgo_gate_verdict_name(enum pgo_gate_verdict v)
{
	return v <= PGO_GATE_SKIPPED ? verdict_names[v] : "?";
}

/* ---- the list */

void pgo_gates_init(struct pgo_gates *g)
{
	memset(g, 0, sizeof *g);
}

static void row_fini(struct pgo_gate_row *r)
{
	pgo_free(r->name);
	pgo_free(r->unit);
	pgo_free(r->source);
	pgo_free(r->why);
	memset(r, 0, sizeof *r);
}

void pgo_gates_fini(struct pgo_gates *g)
{
	for (size_t i = 0; i < g->n; i++)
		row_fini(&g->row[i]);
	pgo_free(g->row);
	memset(g, 0, sizeof *g);
}

static char *copy(const char *s)
{
	return pgo_strdup(s != NULL ? s : "");
}

int pgo_gates_add(struct pgo_gates *g, const struct pgo_gate_row *row, struct pgo_err *err)
{
	struct pgo_gate_row *r;

	if (PGO_VEC_RESERVE(g->row, g->room, g->n + 1) < 0)
		return pgo_err_nomem(err);
	r = &g->row[g->n];
	*r = *row;
	r->name = copy(row->name);
	r->unit = copy(row->unit);
	r->source = copy(row->source);
	r->why = copy(row->why);
	if (r->name == NULL || r->unit == NULL || r->source == NULL || r->why == NULL) {
		row_fini(r);
		return pgo_err_nomem(err);
	}
	g->n++;
	return 0;
}

static int add_sentence(struct pgo_gates *g, struct pgo_gate_row *row, const char *fmt, va_list ap,
	struct pgo_err *err)
{
	char why[PGO_ERR_MAX];
	int n = vsnprintf(why, sizeof why, fmt, ap);

	if (n >= (int)sizeof why)
		memcpy(why + sizeof why - 4, "...", 4);
	row->why = row->why != NULL ? row->why : why;
	return pgo_gates_add(g, row, err);
}

int pgo_gates_measure(struct pgo_gates *g, const struct pgo_gate_limits *l, const char *name,
	double value, struct pgo_err *err, const char *fmt, ...)
{
	struct pgo_gate_row row = {.name = (char *)name, .value = value};
	int rc = pgo_gate_judge(&row, l, err);
	char *source = row.source, off[] = "it is switched off";
	va_list ap;

	if (rc < 0) {
		pgo_free(source);
		return rc;
	}
	if (row.verdict == PGO_GATE_SKIPPED && isfinite(value))
		row.why = off;
	va_start(ap, fmt);
	rc = add_sentence(g, &row, fmt, ap, err);
	va_end(ap);
	pgo_free(source);
	return rc;
}

int pgo_gates_skip(struct pgo_gates *g, const char *name, struct pgo_err *err, const char *fmt, ...)
{
	const struct pgo_gate_rule *rule = pgo_gate_rule_find(name);
	struct pgo_gate_row row = {.name = (char *)name,
		.value = NAN,
		.warn = NAN,
		.fail = NAN,
		.unit = rule != NULL ? (char *)rule->unit : NULL,
		.above = rule != NULL && rule->above,
		.verdict = PGO_GATE_SKIPPED};
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = add_sentence(g, &row, fmt, ap, err);
	va_end(ap);
	return rc;
}

enum pgo_gate_verdict pgo_gates_worst(const struct pgo_gates *g)
{
	enum pgo_gate_verdict worst = PGO_GATE_PASS;

	for (size_t i = 0; i < g->n; i++)
		if (g->row[i].verdict != PGO_GATE_SKIPPED && g->row[i].verdict > worst)
			worst = g->row[i].verdict;
	return worst;
}

size_t pgo_gates_count(const struct pgo_gates *g, enum pgo_gate_verdict v)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += g->row[i].verdict == v;
	return n;
}

const struct pgo_gate_row *pgo_gates_find(const struct pgo_gates *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->row[i].name, name) == 0)
			return &g->row[i];
	return NULL;
}

/* ---- text */

static void number(double v, const char *unit, char *ret, size_t size)
{
	if (!isfinite(v))
		snprintf(ret, size, "-");
	else if (fabs(v) >= 1000 || v == nearbyint(v))
		snprintf(ret, size, "%.0f%s%s", v, unit[0] != '\0' ? " " : "", unit);
	else
		snprintf(ret, size, "%.*f%s%s", fabs(v) < 10 ? 2 : 1, v, unit[0] != '\0' ? " " : "",
			unit);
}

static void limit(const struct pgo_gate_row *r, char *ret, size_t size)
{
	char warn[32], fail[32];

	number(r->warn, "", warn, sizeof warn);
	number(r->fail, "", fail, sizeof fail);
	snprintf(ret, size, "%c %s / %s", r->above ? '>' : '<', warn, fail);
}

void pgo_gates_text(const struct pgo_gates *g, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%-9s%-19s%15s  %-16s%s\n", "verdict", "gate", "value", "warn / fail",
		"why (limits from)");
	for (size_t i = 0; i < g->n; i++) {
		const struct pgo_gate_row *r = &g->row[i];
		char value[64], limits[80];

		number(r->value, r->unit, value, sizeof value);
		limit(r, limits, sizeof limits);
		if (r->verdict == PGO_GATE_SKIPPED)
			pgo_buf_printf(out, "%-9s%-19s%15s  %-16s%s\n", "skipped", r->name, "-",
				"-", r->why);
		else
			pgo_buf_printf(out, "%-9s%-19s%15s  %-16s%s (%s)\n",
				verdict_names[r->verdict], r->name, value, limits, r->why,
				r->source);
	}
}

/* ---- JSON */

void pgo_gates_json(const struct pgo_gates *g, struct pgo_json *j)
{
	pgo_json_array(j);
	for (size_t i = 0; i < g->n; i++) {
		const struct pgo_gate_row *r = &g->row[i];

		pgo_json_object(j);
		pgo_json_kv_str(j, "name", r->name);
		pgo_json_kv_str(j, "verdict", pgo_gate_verdict_name(r->verdict));
		pgo_json_kv_double(j, "value", r->value);
		pgo_json_kv_str(j, "unit", r->unit);
		pgo_json_kv_double(j, "warn", r->warn);
		pgo_json_kv_double(j, "fail", r->fail);
		pgo_json_kv_bool(j, "above", r->above);
		pgo_json_kv_str(j, "source", r->source);
		pgo_json_kv_str(j, "why", r->why);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static int row_from_json(struct pgo_gate_row *r, const struct pgo_jval *v)
{
	const char *verdict = pgo_jval_str(pgo_jval_get(v, "verdict"), "");

	r->name = (char *)pgo_jval_str(pgo_jval_get(v, "name"), "");
	r->value = pgo_jval_double(pgo_jval_get(v, "value"), NAN);
	r->unit = (char *)pgo_jval_str(pgo_jval_get(v, "unit"), "");
	r->warn = pgo_jval_double(pgo_jval_get(v, "warn"), NAN);
	r->fail = pgo_jval_double(pgo_jval_get(v, "fail"), NAN);
	r->above = pgo_jval_bool(pgo_jval_get(v, "above"), false);
	r->source = (char *)pgo_jval_str(pgo_jval_get(v, "source"), "");
	r->why = (char *)pgo_jval_str(pgo_jval_get(v, "why"), "");
	for (size_t k = 0; k <= PGO_GATE_SKIPPED; k++) {
		if (strcmp(verdict, verdict_names[k]) == 0) {
			r->verdict = (enum pgo_gate_verdict)k;
			return r->name[0] != '\0' ? 0 : -1;
		}
	}
	return -1;
}

int pgo_gates_from_json(
	struct pgo_gates *g, const struct pgo_jval *v, const char *what, struct pgo_err *err)
{
	const struct pgo_jval *rows =
		pgo_jval_get(v, "gates") != NULL ? pgo_jval_get(v, "gates") : v;
	int rc = 0;

	/* An object without "gates" is no list, an empty array is one. */
	if (rows == NULL || pgo_jval_member(rows, 0, &(const char *){NULL}) != NULL)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s is no list of gates; give what `pgo check --json` or a published "
			"result's "
			"gates.json says",
			what);
	for (size_t i = 0; i < pgo_jval_len(rows) && rc == 0; i++) {
		struct pgo_gate_row row = {0};

		if (row_from_json(&row, pgo_jval_at(rows, i)) < 0)
			return pgo_err_set(err, PGO_EFORMAT,
				"%s: gate %zu has no name or no verdict of pass, warn, fail, "
				"skipped",
				what, i + 1);
		rc = pgo_gates_add(g, &row, err);
	}
	return rc;
}
