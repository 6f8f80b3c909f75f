/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers for a monitoring system, in Prometheus' text form, as the textfile collector of
 * node_exporter reads them: for each metric a line "# HELP", a line "# TYPE", then its values with
 * their labels; labels in quotes with \\, \" and \n escaped; a value is a float, NaN and +Inf allowed;
 * lines end in \n.  All are gauges: a run knows how things are now, not how often it ran.
 *
 * Metrics come out in the order of the table, the values of one in the order of adding.
 */
#ifndef PGO_METRICS_H
#define PGO_METRICS_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stddef.h>

enum pgo_metric {
	PGO_METRIC_BUILD_INFO,
	PGO_METRIC_LAST_GOOD,
	PGO_METRIC_LAST_GOOD_TIME,
	PGO_METRIC_LAST_GOOD_CONFIRMED,
	PGO_METRIC_LAST_GOOD_AGE,
	PGO_METRIC_LAST_GOOD_INFO,
	PGO_METRIC_PROFILES,
	PGO_METRIC_HOSTS,
	PGO_METRIC_EFFECTIVE_HOSTS,
	PGO_METRIC_DAYS,
	PGO_METRIC_LARGEST_HOST,
	PGO_METRIC_MAPPED,
	PGO_METRIC_OUTPUT_BYTES,
	PGO_METRIC_PINNED,
	PGO_METRIC_PUBLISHED,
	PGO_METRIC_QUARANTINED,
	PGO_METRIC_GATE_VALUE,
	PGO_METRIC_GATE_VERDICT,
	PGO_METRIC_DECISION,
	PGO_METRIC_DECISION_TIME,
	PGO_METRIC_RUN_TIME,
	PGO_METRIC_RUN_EXIT,
	PGO_METRIC_RUN_SECONDS,
	PGO_METRIC_RUN_LISTED,
	PGO_METRIC_RUN_FETCHED,
	PGO_METRIC_RUN_BYTES,
	PGO_N_METRICS,
};

struct pgo_metric_value {
	enum pgo_metric which;
	char *labels; /* as they are written, with braces; "" if none */
	double value;
};

struct pgo_metrics {
	struct pgo_metric_value *of;
	size_t n, room;
};

/* `labels`: names and values in turn, NULL at the end; values that are NULL are left out. */
int pgo_metrics_add(struct pgo_metrics *m, enum pgo_metric which, double value,
	const char *const *labels, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_metrics_fini(struct pgo_metrics *m);
void pgo_metrics_text(const struct pgo_metrics *m, struct pgo_buf *out);

#endif
