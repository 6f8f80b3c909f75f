/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/metrics.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <math.h>
#include <string.h>

#define LABELS_MAX ((size_t)64 << 10)

static const struct {
	const char *name, *help;
} table[PGO_N_METRICS] = {
	[PGO_METRIC_BUILD_INFO] = {"pgo_build_info",
		"The version of pgo that wrote this; always 1."},
	[PGO_METRIC_LAST_GOOD] = {"pgo_last_good_present",
		"1 if the target has a published profile, 0 if builds get none."},
	[PGO_METRIC_LAST_GOOD_TIME] = {"pgo_last_good_timestamp_seconds",
		"When the published profile was published."},
	[PGO_METRIC_LAST_GOOD_CONFIRMED] = {"pgo_last_good_confirmed_timestamp_seconds",
		"When a run last found the published profile to be as good as a newer one."},
	[PGO_METRIC_LAST_GOOD_AGE] = {"pgo_last_good_age_seconds",
		"Age of the published profile at the time of the run, since it was confirmed."},
	[PGO_METRIC_LAST_GOOD_INFO] = {"pgo_last_good_info",
		"The id of the published profile; always 1."},
	[PGO_METRIC_PROFILES] = {"pgo_profiles", "Profiles in the published profile."},
	[PGO_METRIC_HOSTS] = {"pgo_hosts", "Hosts in the published profile."},
	[PGO_METRIC_EFFECTIVE_HOSTS] = {"pgo_effective_hosts",
		"Hosts of equal weight that the published profile is worth."},
	[PGO_METRIC_DAYS] = {"pgo_dates", "Different days in the published profile."},
	[PGO_METRIC_LARGEST_HOST] = {"pgo_largest_host_ratio",
		"Share of the heaviest host in the published profile."},
	[PGO_METRIC_MAPPED] = {"pgo_mapped_ratio", "Share of the program's samples that belong to "
						   "the build, in the published profile."},
	[PGO_METRIC_OUTPUT_BYTES] = {"pgo_output_bytes", "Size of a published output."},
	[PGO_METRIC_PINNED] = {"pgo_pinned",
		"1 while a person holds the published profile in place."},
	[PGO_METRIC_PUBLISHED] = {"pgo_published_results", "Published results that are kept."},
	[PGO_METRIC_QUARANTINED] = {"pgo_quarantined_results",
		"Results that a gate refused, as far as they are kept."},
	[PGO_METRIC_GATE_VALUE] = {"pgo_gate_value",
		"What a gate measured on the newest candidate."},
	[PGO_METRIC_GATE_VERDICT] = {"pgo_gate_verdict",
		"What a gate said: 0 passed, 1 warned, 2 failed, -1 skipped."},
	[PGO_METRIC_DECISION] = {"pgo_decision", "The newest decision in the log; always 1."},
	[PGO_METRIC_DECISION_TIME] = {"pgo_decision_timestamp_seconds",
		"When the newest decision in the log was made."},
	[PGO_METRIC_RUN_TIME] = {"pgo_run_timestamp_seconds", "When the run ended."},
	[PGO_METRIC_RUN_EXIT] = {"pgo_run_exit_code", "Exit code of the run for the target: 0 new, "
						      "3 failed, 10 unchanged, 11 refused by a "
						      "gate, 20 no profile to use."},
	[PGO_METRIC_RUN_SECONDS] = {"pgo_run_seconds", "Time that a stage of the run took."},
	[PGO_METRIC_RUN_LISTED] = {"pgo_run_listed_profiles", "Profiles that the sources offered."},
	[PGO_METRIC_RUN_FETCHED] = {"pgo_run_fetched_profiles", "Profiles that the run fetched."},
	[PGO_METRIC_RUN_BYTES] = {"pgo_run_fetched_bytes", "Bytes that the run fetched."},
};

static void put_value(struct pgo_buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			pgo_buf_puts(out, "\\n");
		else if (*text == '"' || *text == '\\')
			pgo_buf_printf(out, "\\%c", *text);
		else
			pgo_buf_putc(out, *text);
	}
}

static void put_labels(struct pgo_buf *out, const char *const *labels)
{
	size_t n = 0;

	for (size_t i = 0; labels[i] != NULL; i += 2) {
		if (labels[i + 1] == NULL)
			continue;
		pgo_buf_printf(out, "%c%s=\"", n++ == 0 ? '{' : ',', labels[i]);
		put_value(out, labels[i + 1]);
		pgo_buf_putc(out, '"');
	}
	pgo_buf_puts(out, n != 0 ? "}" : "");
}

int pgo_metrics_add(struct pgo_metrics *m, enum pgo_metric which, double value,
	const char *const *labels, struct pgo_err *err)
{
	struct pgo_metric_value *v = PGO_VEC_PUSH(m->of, m->n, m->room);
	struct pgo_buf text;
	int rc;

	if (v == NULL)
		return pgo_err_nomem(err);
	pgo_buf_init(&text, LABELS_MAX);
	put_labels(&text, labels);
	rc = pgo_buf_check(&text, "the labels of a metric", err);
	v->which = which;
	v->value = value;
	v->labels = rc == 0 ? pgo_strndup(text.data != NULL ? text.data : "", text.len) : NULL;
	if (rc == 0 && v->labels == NULL)
		rc = pgo_err_nomem(err);
	if (rc < 0)
		m->n--;
	pgo_buf_fini(&text);
	return rc;
}

void pgo_metrics_fini(struct pgo_metrics *m)
{
	for (size_t i = 0; i < m->n; i++)
		pgo_free(m->of[i].labels);
	pgo_free(m->of);
	*m = (struct pgo_metrics){0};
}

static void put_number(struct pgo_buf *out, double v)
{
	if (isnan(v))
		pgo_buf_puts(out, "NaN");
	else if (isinf(v))
		pgo_buf_puts(out, v > 0 ? "+Inf" : "-Inf");
	else
		pgo_buf_printf(out, "%.15g", v);
}

void pgo_metrics_text(const struct pgo_metrics *m, struct pgo_buf *out)
{
	for (unsigned which = 0; which < PGO_N_METRICS; which++) {
		bool headed = false;

		for (size_t i = 0; i < m->n; i++) {
			const struct pgo_metric_value *v = &m->of[i];

			if (v->which != which)
				continue;
			if (!headed)
				pgo_buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n",
					table[which].name, table[which].help, table[which].name);
			headed = true;
			pgo_buf_printf(out, "%s%s ", table[which].name, v->labels);
			put_number(out, v->value);
			pgo_buf_putc(out, '\n');
		}
	}
}
