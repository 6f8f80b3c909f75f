/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence that is signed. */
#include "verify/total.h"

#include "pgo/core/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "cpu/nanoseconds" -> "CPU"; other types as they are. */
static void what(const struct pgo_verdict *v, char *ret, size_t size)
{
	size_t len = strcspn(v->design.unit, "/");

	if (len == 3 && strncmp(v->design.unit, "cpu", 3) == 0)
		snprintf(ret, size, "CPU");
	else
		snprintf(ret, size, "%.*s", (int)len, v->design.unit);
}

static const char *plural(double n, const char *one, const char *more)
{
	return n == 1 ? one : more;
}

static void add_size(const struct pgo_verdict *v, struct pgo_buf *out)
{
	const struct pgo_verdict_design *d = &v->design;
	double days = d->days_before < d->days_after ? d->days_before : d->days_after;

	if (d->hosts_before > 0 && d->hosts_after > 0 && d->replicate != PGO_REPLICATE_PROFILE)
		pgo_buf_printf(out, ", %zu + %zu hosts", d->hosts_before, d->hosts_after);
	else
		pgo_buf_printf(out, ", %zu + %zu profiles", v->before.profiles, v->after.profiles);
	if (!d->timed)
		return;
	if (d->concurrent)
		pgo_buf_printf(out, ", %.0f %s concurrent", days, plural(days, "day", "days"));
	else
		pgo_buf_printf(out, ", %.0f %s before and %.0f after", d->days_before,
			plural(d->days_before, "day", "days"), d->days_after);
}

static void add_design(const struct pgo_verdict *v, struct pgo_buf *out)
{
	switch (v->design.kind) {
	case PGO_DESIGN_PAIRED:
		pgo_buf_printf(out, ", paired by %s", pgo_replicate_name(v->design.replicate));
		break;
	case PGO_DESIGN_DID:
		pgo_buf_puts(out, ", difference in differences against a control arm");
		break;
	case PGO_DESIGN_WELCH:
		pgo_buf_printf(
			out, ", separate %ss (Welch)", pgo_replicate_name(v->design.replicate));
		break;
	case PGO_DESIGN_BEFORE_AFTER:
		pgo_buf_printf(out, ", before against after (Welch over %ss; not causal)",
			pgo_replicate_name(v->design.replicate));
		break;
	default:
		pgo_buf_printf(out, ", from numbers of samples alone (design effect %.1f%s)",
			v->design_effect, v->design_effect_assumed ? " assumed" : "");
	}
}

static void add_doubt(const struct pgo_verdict *v, struct pgo_buf *out)
{
	const struct pgo_verdict_total *t = &v->total;

	if (!isnan(t->minimum_detectable))
		pgo_buf_printf(out, ", minimum detectable %.1f %%", t->minimum_detectable * 100);
	if (v->calibration.valid)
		pgo_buf_printf(
			out, ", A/A false positives %.1f %%", v->calibration.false_positives * 100);
	if (v->outcome != PGO_OUTCOME_NONE_SHOWN || t->hosts_needed == 0 ||
		t->minimum_detectable <= t->wanted)
		return;
	pgo_buf_printf(out, "; to show %.1f %%: %llu hosts a side", t->wanted * 100,
		(unsigned long long)t->hosts_needed);
	if (t->days_needed > 0)
		pgo_buf_printf(out, ", or these for about %.0f days", t->days_needed);
}

static void add_total(const struct pgo_verdict *v, struct pgo_buf *out)
{
	const struct pgo_verdict_total *t = &v->total;
	char type[64];

	what(v, type, sizeof type);
	if (v->outcome == PGO_OUTCOME_NONE_SHOWN)
		pgo_buf_puts(out, "no effect shown: ");
	if (v->outcome == PGO_OUTCOME_LOSS)
		pgo_buf_puts(out, "loss: ");
	pgo_buf_printf(out, "%s per %s %+.1f %% (95 %% CI %+.1f to %+.1f)", type, v->design.per,
		t->change * 100, t->low * 100, t->high * 100);
}

static void add_shares(const struct pgo_verdict *v, struct pgo_buf *out)
{
	pgo_buf_printf(out,
		"the whole is not comparable: there are only shares, not cost per unit of work; "
		"%zu of %zu functions regressed, %zu improved, as shares",
		v->n_verdicts[PGO_REGRESSED], v->n_findings, v->n_verdicts[PGO_IMPROVED]);
}

int pgo_conclude(struct pgo_verdict *v, struct pgo_err *err)
{
	const struct pgo_verdict_total *t = &v->total;
	struct pgo_buf out;
	int rc;

	if (!t->valid || isnan(t->change))
		v->outcome = PGO_OUTCOME_INCOMPARABLE;
	else
		v->outcome = t->high < 0  ? PGO_OUTCOME_WIN
			     : t->low > 0 ? PGO_OUTCOME_LOSS
					  : PGO_OUTCOME_NONE_SHOWN;
	pgo_buf_init(&out, 1 << 16);
	if (v->outcome == PGO_OUTCOME_INCOMPARABLE)
		add_shares(v, &out);
	else
		add_total(v, &out);
	add_size(v, &out);
	add_design(v, &out);
	if (v->outcome != PGO_OUTCOME_INCOMPARABLE)
		add_doubt(v, &out);
	if (v->design.by == PGO_PER_CONTROL)
		pgo_buf_puts(&out, "; work estimated from functions that were not rebuilt");
	rc = pgo_buf_check(&out, "the sentence of the verdict", err);
	if (rc == 0 && (v->sentence = pgo_strdup(out.data)) == NULL)
		rc = pgo_err_nomem(err);
	pgo_buf_fini(&out);
	return rc;
}
