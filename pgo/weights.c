/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/weights.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

static bool is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

void pgo_weights_fini(struct pgo_weights *w)
{
	for (size_t i = 0; i < w->n_class_of; i++) {
		pgo_free(w->class_of[i].pattern);
		pgo_free(w->class_of[i].class);
	}
	for (size_t i = 0; i < w->n_probability; i++)
		pgo_free(w->probability[i].pattern);
	pgo_free(w->mix);
	pgo_free(w->classes);
	pgo_free(w->class_of);
	pgo_free(w->probability);
	pgo_free(w->blend_path);
	pgo_target_names_free(w->names);
	memset(w, 0, sizeof *w);
}

/* ---------------------------------------------------------------- the words */

static int parse_mode(struct pgo_weights *w, const char *mode, struct pgo_err *err)
{
	if (!is_set(mode) || strcmp(mode, "fleet-cost") == 0)
		return 0;
	if (strcmp(mode, "equal-host") != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"the mode \"%s\" is none of fleet-cost and equal-host", mode);
	w->po.mode = PGO_PLAN_EQUAL_HOST;
	return 0;
}

/* One "field=75" of the mix, in place. */
static int add_class(struct pgo_weights *w, char *text, size_t *room, struct pgo_err *err)
{
	struct pgo_plan_class *c;
	char *equals = strchr(text, '=');
	double share;

	if (equals == NULL || equals == text || pgo_parse_double(equals + 1, &share, NULL) < 0 ||
		!isfinite(share) || !(share > 0))
		return pgo_err_set(err, PGO_EUSAGE,
			"\"%s\" is not a class and its share above 0, as in field=75,benchmark=25",
			text);
	*equals = '\0';
	for (size_t i = 0; i < w->po.n_classes; i++)
		if (strcmp(w->classes[i].name, text) == 0)
			return pgo_err_set(
				err, PGO_EUSAGE, "the class mix names the class %s twice", text);
	c = PGO_VEC_PUSH(w->classes, w->po.n_classes, *room);
	if (c == NULL)
		return pgo_err_nomem(err);
	*c = (struct pgo_plan_class){text, share};
	return 0;
}

static int parse_mix(struct pgo_weights *w, const char *mix, struct pgo_err *err)
{
	size_t room = 0;
	char *at;

	if (!is_set(mix))
		return 0;
	at = w->mix = pgo_strdup(mix);
	if (at == NULL)
		return pgo_err_nomem(err);
	while (at != NULL) {
		char *comma = strchr(at, ',');

		if (comma != NULL)
			*comma++ = '\0';
		if (add_class(w, at, &room, err) < 0)
			return err->code;
		at = comma;
	}
	w->po.classes = w->classes;
	return 0;
}

static int parse_class_of(
	struct pgo_weights *w, const struct pgo_weight_words *in, struct pgo_err *err)
{
	w->class_of = pgo_calloc(in->n_class_of, sizeof *w->class_of);
	if (w->class_of == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < in->n_class_of; i++) {
		struct pgo_weight_rule *r = &w->class_of[i];
		const char *text = in->class_of[i], *equals = strchr(text, '=');

		if (equals == NULL || equals == text || equals[1] == '\0')
			return pgo_err_set(err, PGO_EUSAGE,
				"\"%s\" is not a class and a pattern of names, as in "
				"benchmark=bench/*",
				text);
		w->n_class_of++;
		r->class = pgo_strndup(text, (size_t)(equals - text));
		r->pattern = pgo_strdup(equals + 1);
		if (r->class == NULL || r->pattern == NULL)
			return pgo_err_nomem(err);
	}
	return 0;
}

static int parse_probability(
	struct pgo_weights *w, const struct pgo_weight_words *in, struct pgo_err *err)
{
	w->probability = pgo_calloc(in->n_probability, sizeof *w->probability);
	if (w->probability == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < in->n_probability; i++) {
		struct pgo_weight_rule *r = &w->probability[i];
		const char *text = in->probability[i], *equals = strrchr(text, '=');
		const char *number = equals != NULL ? equals + 1 : text;

		r->pattern = equals != NULL ? pgo_strndup(text, (size_t)(equals - text))
					    : pgo_strdup("*");
		if (r->pattern == NULL)
			return pgo_err_nomem(err);
		w->n_probability++;
		if (pgo_parse_double(number, &r->probability, NULL) < 0 || !(r->probability > 0) ||
			r->probability > 1)
			return pgo_err_set(err, PGO_EUSAGE,
				"\"%s\" is not a probability above 0 and at most 1, with a pattern "
				"of names before it or none, as in batch/*=0.01",
				text);
	}
	return 0;
}

/* FILE=beta, where FILE may hold "=" itself. */
static int parse_blend(struct pgo_weights *w, const char *text, struct pgo_err *err)
{
	const char *equals = is_set(text) ? strrchr(text, '=') : NULL;
	double beta;

	if (!is_set(text))
		return 0;
	if (equals == NULL || pgo_parse_double(equals + 1, &beta, NULL) < 0) {
		w->blend_path = pgo_strdup(text);
	} else {
		if (!isfinite(beta) || !(beta > 0))
			return pgo_err_set(err, PGO_EUSAGE,
				"the last good profile cannot be blended in with weight %s: give a "
				"number above 0, as in FILE=0.25",
				equals + 1);
		w->po.blend = beta;
		w->blend_path = pgo_strndup(text, (size_t)(equals - text));
	}
	return w->blend_path != NULL ? 0 : pgo_err_nomem(err);
}

static int open_target(struct pgo_weights *w, const char *path, struct pgo_err *err)
{
	if (!is_set(path))
		return 0;
	w->names = pgo_target_names_open(path, w->build_id, err);
	if (w->names == NULL)
		return err->code;
	w->target = (struct pgo_plan_target){w->build_id, pgo_target_has, w->names};
	w->po.target = &w->target;
	return 0;
}

int pgo_weights_init(struct pgo_weights *ret, const struct pgo_plan_options *po,
	const struct pgo_weight_words *words, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	int rc;

	memset(ret, 0, sizeof *ret);
	ret->po = *po;
	ret->po.class_label = is_set(words->class_label) ? words->class_label : NULL;
	rc = parse_mode(ret, words->mode, &local);
	if (rc == 0)
		rc = parse_mix(ret, words->class_mix, &local);
	if (rc == 0)
		rc = parse_class_of(ret, words, &local);
	if (rc == 0)
		rc = parse_probability(ret, words, &local);
	if (rc == 0)
		rc = parse_blend(ret, words->blend, &local);
	if (rc == 0)
		rc = open_target(ret, words->target, &local);
	if (rc < 0)
		pgo_weights_fini(ret);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

/* ---------------------------------------------------------------- inputs */

static bool fits(const char *pattern, const struct pgo_merge_input *in)
{
	return fnmatch(pattern, in->path, 0) == 0 ||
	       (in->name != NULL && fnmatch(pattern, in->name, 0) == 0);
}

/* What the store knew of it; patterns of the user come after. */
static void apply_record(const struct pgo_weights *w, struct pgo_merge_input *in)
{
	const char *label = w->po.class_label != NULL ? w->po.class_label : "class";
	const char *q = pgo_record_get_label(in->record, "sampling_probability");

	in->class = pgo_record_get_label(in->record, label);
	if (q != NULL && pgo_parse_double(q, &in->probability, NULL) < 0)
		in->probability = 0;
}

void pgo_weights_apply(const struct pgo_weights *w, struct pgo_merge_input *in)
{
	if (in->record != NULL)
		apply_record(w, in);
	for (size_t i = w->n_class_of; i-- > 0;)
		if (fits(w->class_of[i].pattern, in))
			in->class = w->class_of[i].class;
	for (size_t i = w->n_probability; i-- > 0;)
		if (fits(w->probability[i].pattern, in))
			in->probability = w->probability[i].probability;
}

bool pgo_weights_any(const struct pgo_weights *w)
{
	const struct pgo_plan_options *o = &w->po;

	return o->half_life_ns > 0 || o->window_ns > 0 || o->host_cap > 0 ||
	       o->mode != PGO_PLAN_FLEET_COST || o->season || o->n_classes != 0 ||
	       w->n_probability != 0 || w->blend_path != NULL || o->target != NULL || o->outliers;
}
