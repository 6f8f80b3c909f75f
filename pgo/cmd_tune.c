/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "merge/backtest.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/core/vec.h"
#include "pgo/operands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PRINT_MAX ((size_t)1 << 28)
#define DAY ((int64_t)86400 * 1000000000)
#define SCHEMA 1

struct tune_values {
	int64_t step;
	const char *service, *binary;
};

#define AT(field) offsetof(struct tune_values, field)

static const struct pgo_opt opts[] = {
	{"step", 0, "TIME", "predict this much at a time: 7d", PGO_OPT_DURATION, AT(step)},
	{"service", 0, "NAME", "only this service (default: each for itself)", PGO_OPT_STR,
		AT(service)},
	{"binary", 'b', "APP", "ELF file that helps to place the addresses of recordings",
		PGO_OPT_STR, AT(binary)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"tune",
	"[OPTION]... FILE|DIR...",
	"Tells which half-life and host cap would have predicted each week of a history best from "
	"the weeks before it.",
	opts,
};

/* 0 = none. The longest first, so that of equals the one that uses most of the history wins. */
static const int64_t half_lives[] = {0, 56 * DAY, 28 * DAY, 21 * DAY, 14 * DAY, 10 * DAY, 7 * DAY,
	5 * DAY, 3 * DAY, 2 * DAY, 1 * DAY};
static const double caps[] = {0, 10, 5, 3, 2, 1};

#define N_HALF_LIVES (sizeof half_lives / sizeof *half_lives)
#define N_CAPS (sizeof caps / sizeof *caps)
#define N_TRIALS (2 * N_HALF_LIVES * N_CAPS)

struct tune {
	struct pgo_plan plan;
	struct pgo_trial trial[N_TRIALS];
	struct pgo_buf text;
	struct pgo_json json;
	const struct tune_values *o;
	bool as_json;
};

static void fill_trials(struct pgo_trial *t)
{
	for (size_t i = 0; i < N_TRIALS; i++)
		t[i] = (struct pgo_trial){.half_life_ns = half_lives[i / N_CAPS % N_HALF_LIVES],
			.host_cap = caps[i % N_CAPS],
			.season = i >= N_TRIALS / 2};
}

/* ---------------------------------------------------------------- what is said */

static void put_half_life(int64_t ns, char ret[16])
{
	if (ns == 0)
		snprintf(ret, 16, "none");
	else
		snprintf(ret, 16, "%" PRId64 "d", ns / DAY);
}

static void put_cap(double cap, char ret[16])
{
	if (cap > 0)
		snprintf(ret, 16, "%g", cap);
	else
		snprintf(ret, 16, "none");
}

static void put_text(struct tune *t, const char *service, const struct pgo_backtest *b)
{
	const struct pgo_trial *best = &t->trial[b->best];
	size_t first = best->season ? N_TRIALS / 2 : 0;
	char half_life[16], cap[16];

	pgo_buf_printf(&t->text,
		"service %s: overlap of what was predicted with what came, mean over %zu steps of "
		"%.1f d%s\n",
		service[0] != '\0' ? service : "-", b->n_steps, (double)t->o->step / (double)DAY,
		best->season ? ", hours of the week alike" : "");
	pgo_buf_printf(&t->text, "  %-10s", "half-life");
	for (size_t c = 0; c < N_CAPS; c++) {
		put_cap(caps[c], cap);
		pgo_buf_printf(&t->text, "  cap %-5s", cap);
	}
	pgo_buf_putc(&t->text, '\n');
	for (size_t h = 0; h < N_HALF_LIVES; h++) {
		put_half_life(half_lives[h], half_life);
		pgo_buf_printf(&t->text, "  %-10s", half_life);
		for (size_t c = 0; c < N_CAPS; c++) {
			size_t i = first + h * N_CAPS + c;

			pgo_buf_printf(&t->text, "  %7.5f%c ", t->trial[i].overlap,
				i == b->best ? '*' : ' ');
		}
		pgo_buf_putc(&t->text, '\n');
	}
	put_half_life(best->half_life_ns, half_life);
	put_cap(best->host_cap, cap);
	pgo_buf_printf(&t->text,
		"  best: half-life %s, host cap %s, season %s: %.5f, %.5f in the worst step\n",
		half_life, cap, best->season ? "on" : "off", best->overlap, best->worst);
}

static void trial_json(const struct pgo_trial *t, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_i64(j, "half_life_ns", t->half_life_ns);
	pgo_json_kv_double(j, "host_cap", t->host_cap);
	pgo_json_kv_bool(j, "season", t->season);
	pgo_json_kv_double(j, "overlap", t->overlap);
	pgo_json_kv_double(j, "worst", t->worst);
	pgo_json_end_object(j);
}

static void put_json(struct tune *t, const char *service, const struct pgo_backtest *b)
{
	struct pgo_json *j = &t->json;

	pgo_json_object(j);
	pgo_json_kv_str(j, "service", service);
	pgo_json_kv_u64(j, "steps", b->n_steps);
	pgo_json_kv_i64(j, "step_ns", t->o->step);
	pgo_json_key(j, "best");
	trial_json(&t->trial[b->best], j);
	pgo_json_key(j, "trials");
	pgo_json_array(j);
	for (size_t i = 0; i < N_TRIALS; i++)
		trial_json(&t->trial[i], j);
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

/* ---------------------------------------------------------------- the command */

static int tune_service(struct tune *t, const char *service, struct pgo_err *err)
{
	struct pgo_backtest b;
	int rc;

	fill_trials(t->trial);
	rc = pgo_backtest(&t->plan, service, t->o->step, t->trial, N_TRIALS, &b, err);
	if (rc < 0)
		return rc;
	if (t->as_json)
		put_json(t, service, &b);
	else
		put_text(t, service, &b);
	return 0;
}

/* Services in byte order, each once. */
static int tune_services(struct tune *t, struct pgo_err *err)
{
	const char *last = NULL;
	int rc = 0;

	if (t->o->service != NULL)
		return tune_service(t, t->o->service, err);
	for (;;) {
		const char *next = NULL;

		for (size_t i = 0; i < t->plan.n; i++) {
			const char *s = t->plan.inputs[i].service;

			if ((last == NULL || strcmp(s, last) > 0) &&
				(next == NULL || strcmp(s, next) < 0))
				next = s;
		}
		if (next == NULL || rc < 0)
			return rc;
		rc = tune_service(t, next, err);
		last = next;
	}
}

static int tune(struct tune *t, struct pgo_operands *s, struct pgo_err *err)
{
	struct pgo_input_file *files = pgo_input_files(s->in, s->n, err);
	int rc = files != NULL ? 0 : PGO_ENOMEM;

	if (rc == 0)
		rc = pgo_plan_inputs(s->in, files, s->n, t->o->binary, NULL, &t->plan, err);
	if (rc == 0 && t->as_json) {
		pgo_json_object(&t->json);
		pgo_json_kv_u64(&t->json, "schema", SCHEMA);
		pgo_json_kv_str(&t->json, "kind", "tune");
		pgo_json_key(&t->json, "services");
		pgo_json_array(&t->json);
	}
	if (rc == 0)
		rc = tune_services(t, err);
	if (rc == 0 && t->as_json) {
		pgo_json_end_array(&t->json);
		pgo_json_end_object(&t->json);
		pgo_json_finish(&t->json);
	}
	pgo_input_files_free(files, s->n);
	return rc == 0 ? pgo_buf_check(&t->text, "the result", err) : rc;
}

static int check_usage(const struct tune_values *o, int n, struct pgo_err *err)
{
	if (n == 0)
		return pgo_err_set(err, PGO_EUSAGE, "no profile given; see pgo tune --help");
	if (o->step <= 0)
		return pgo_err_set(err, PGO_EUSAGE, "--step must be longer than nothing");
	return 0;
}

static int run(int argc, char **argv)
{
	const struct pgo_plan_options po = {.shares = true};
	struct tune_values o = {.step = 7 * DAY};
	struct tune *t = pgo_calloc(1, sizeof *t);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_operands inputs = {0};
	struct pgo_opt_globals g;
	int first, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_tune, argc, argv, &o, &g, &first, NULL, &code) != 0) {
		pgo_free(t);
		return code;
	}
	if (t == NULL) {
		pgo_err_nomem(&err);
		return pgo_cmd_fail(&pgo_cmd_tune, &g, &err);
	}
	t->o = &o;
	t->as_json = g.json;
	pgo_plan_init(&t->plan, &po);
	pgo_buf_init(&t->text, PRINT_MAX);
	pgo_json_init(&t->json, &t->text, false);
	rc = check_usage(&o, argc - first, &err);
	for (int i = first; i < argc && rc == 0; i++)
		rc = pgo_operands_add(&inputs, argv[i], &err);
	if (rc == 0)
		rc = tune(t, &inputs, &err);
	code = rc == 0 ? pgo_cmd_print(&pgo_cmd_tune, &g, t->text.data, t->text.len)
		       : pgo_cmd_fail(&pgo_cmd_tune, &g, &err);
	pgo_plan_fini(&t->plan);
	pgo_buf_fini(&t->text);
	pgo_free(t);
	pgo_operands_fini(&inputs);
	return code;
}

const struct pgo_cmd pgo_cmd_tune = {
	"tune", "find the half-life and host cap that predict best", &table, run};
