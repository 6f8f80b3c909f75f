/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the kinds in a verdict, and its end. */
#include "verify/verify.h"

#include "pgo/core/alloc.h"
#include "verify/applied.h"
#include "verify/calltree.h"
#include "verify/gates.h"

#include <string.h>

static const char *const designs[] = {
	"auto", "paired", "difference-in-differences", "welch", "before-after", "counts"};

const char *pgo_change_name(enum pgo_change c)
{
	static const char *const names[] = {
		"unchanged", "regressed", "improved", "moved", "unclear"};

	return names[c];
}

const char *pgo_outcome_name(enum pgo_outcome o)
{
	static const char *const names[] = {"no_effect_shown", "win", "loss", "not_comparable"};

	return names[o];
}

const char *pgo_replicate_name(enum pgo_replicate_kind k)
{
	static const char *const names[] = {"host", "host-day", "profile"};

	return names[k];
}

const char *pgo_design_name(enum pgo_design_kind k)
{
	return designs[k];
}

int pgo_design_parse(const char *name, enum pgo_design_kind *ret, struct pgo_err *err)
{
	for (size_t i = 0; i < sizeof designs / sizeof *designs; i++)
		if (strcmp(designs[i], name) == 0) {
			*ret = (enum pgo_design_kind)i;
			return 0;
		}
	return pgo_err_set(err, PGO_EUSAGE,
		"'%s' is no design; write auto, paired, difference-in-differences, welch, "
		"before-after or counts",
		name);
}

static void free_strings(char **s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pgo_free(s[i]);
	pgo_free(s);
}

void pgo_verdict_fini(struct pgo_verdict *v)
{
	for (size_t i = 0; i < v->n_findings; i++)
		pgo_free(v->findings[i].name);
	for (size_t i = 0; i < v->n_fail_if; i++)
		pgo_free(v->fail_if[i].text);
	for (size_t i = 0; i < v->n_groups; i++) {
		pgo_free(v->groups[i].id);
		free_strings(v->groups[i].members, v->groups[i].n_members);
	}
	if (v->gates != NULL)
		pgo_gates_fini(v->gates);
	pgo_free(v->gates);
	pgo_calltree_free(v->calltree);
	pgo_free(v->layout_before);
	pgo_free(v->layout_after);
	free_strings(v->design.notes, v->design.n_notes);
	pgo_free(v->findings);
	pgo_free(v->fail_if);
	pgo_free(v->groups);
	pgo_free(v->design.unit);
	pgo_free(v->design.per);
	pgo_free(v->calibration.why);
	pgo_free(v->sentence);
	if (v->applied != NULL)
		pgo_applied_fini(v->applied);
	pgo_free(v->applied);
	memset(v, 0, sizeof *v);
}
