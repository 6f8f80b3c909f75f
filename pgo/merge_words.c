/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/merge_words.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

#define AT(field) PGO_MERGE_AT(field)

static const struct pgo_opt content[] = {PGO_MERGE_CONTENT_OPTS, PGO_OPT_END};
static const struct pgo_opt_table table = {"merge", "", "", content};

int pgo_merge_words_weights(
	const struct pgo_merge_words *w, struct pgo_weights *ret, struct pgo_err *err)
{
	const struct pgo_plan_options po = {
		.half_life_ns = w->half_life,
		.window_ns = w->window,
		.now_ns = w->now,
		.host_cap = w->host_cap,
		.season = w->season,
		.no_probability = w->no_probability,
		.outliers = w->outliers || w->allow_outliers,
		.allow_outliers = w->allow_outliers,
		.min_samples = w->min_samples,
	};
	const struct pgo_weight_words words = {
		.mode = w->mode,
		.class_mix = w->class_mix,
		.class_label = w->class_label,
		.blend = w->blend,
		.target = w->target,
		.class_of = w->class_of.item,
		.n_class_of = w->class_of.n,
		.probability = w->probability.item,
		.n_probability = w->probability.n,
	};

	if (w->host_cap < 0 || w->half_life < 0 || w->window < 0)
		return pgo_err_set(
			err, PGO_EUSAGE, "--half-life, --window and --host-cap cannot be negative");
	return pgo_weights_init(ret, &po, &words, err);
}

int pgo_merge_words_inputs(const struct pgo_weights *w, struct pgo_operands *s, struct pgo_err *err)
{
	int rc = 0;

	if (w->blend_path != NULL) {
		rc = pgo_operands_add(s, w->blend_path, err);
		if (rc == 0)
			s->in[s->n - 1].blend = true;
	}
	for (size_t i = 0; i < s->n && rc == 0; i++)
		pgo_weights_apply(w, &s->in[i]);
	return rc;
}

int pgo_merge_words_options(
	const struct pgo_merge_words *w, struct pgo_merge_options *ret, struct pgo_err *err)
{
	const struct pgo_tag_options to = {w->tag_focus, w->tag_ignore, w->tag_keep};
	struct pgo_tags *tags = NULL;

	if (to.focus != NULL || to.ignore != NULL || to.keep != NULL) {
		tags = pgo_tags_new(&to, err);
		if (tags == NULL)
			return err->code;
	}
	ret->keep_labels = w->keep_labels || w->tag_keep != NULL;
	ret->tags = tags;
	ret->no_origins = w->no_origins;
	return 0;
}

void pgo_merge_words_options_fini(struct pgo_merge_options *o)
{
	pgo_tags_free((struct pgo_tags *)(uintptr_t)o->tags);
	o->tags = NULL;
}

/* ---------------------------------------------------------------- words and back */

/* Takes `text`. */
static int add_arg(struct pgo_opt_list *l, char *text, struct pgo_err *err)
{
	const char **to = text != NULL ? PGO_VEC_PUSH(l->item, l->n, l->room) : NULL;

	if (to == NULL) {
		pgo_free(text);
		return pgo_err_nomem(err);
	}
	*to = text;
	return 0;
}

/* Every option of the table that is set. */
static int add_opt(const struct pgo_merge_words *w, const struct pgo_opt *o,
	struct pgo_opt_list *ret, struct pgo_err *err)
{
	const void *at = (const char *)w + o->offset;
	const char *text;
	uint64_t n;
	int rc = 0;

	switch (o->kind) {
	case PGO_OPT_FLAG:
		return *(const bool *)at ? add_arg(ret, pgo_asprintf("--%s", o->name), err) : 0;
	case PGO_OPT_STR:
		text = *(const char *const *)at;
		return text != NULL ? add_arg(ret, pgo_asprintf("--%s=%s", o->name, text), err) : 0;
	case PGO_OPT_LIST:
		for (size_t i = 0; i < ((const struct pgo_opt_list *)at)->n && rc == 0; i++) {
			text = ((const struct pgo_opt_list *)at)->item[i];
			rc = add_arg(ret, pgo_asprintf("--%s=%s", o->name, text), err);
		}
		return rc;
	case PGO_OPT_U64:
	case PGO_OPT_SIZE:
		n = *(const uint64_t *)at;
		return n != 0 ? add_arg(ret, pgo_asprintf("--%s=%" PRIu64, o->name, n), err) : 0;
	case PGO_OPT_GROUP:
		return 0;
	case PGO_OPT_NOFLAG:
	case PGO_OPT_DOUBLE:
	case PGO_OPT_DURATION:
	case PGO_OPT_TIME:
		break;
	}
	return pgo_err_set(err, PGO_EUSAGE, "--%s cannot be kept in a plan", o->name);
}

int pgo_merge_words_args(
	const struct pgo_merge_words *w, struct pgo_opt_list *ret, struct pgo_err *err)
{
	int rc = 0;

	for (const struct pgo_opt *o = content; o->name != NULL && rc == 0; o++)
		rc = add_opt(w, o, ret, err);
	return rc;
}

void pgo_merge_args_free(struct pgo_opt_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		pgo_free((char *)(uintptr_t)l->item[i]);
	pgo_opt_list_free(l);
}

int pgo_merge_words_parse(
	struct pgo_merge_words *ret, char *const *args, size_t n, struct pgo_err *err)
{
	struct pgo_opt_globals g = {0};
	static char name[] = "merge";
	char **argv = pgo_calloc(n + 2, sizeof *argv);
	int first, rc;

	memset(ret, 0, sizeof *ret);
	if (argv == NULL)
		return pgo_err_nomem(err);
	argv[0] = name;
	if (n != 0)
		memcpy(argv + 1, args, n * sizeof *argv);
	rc = pgo_opt_parse(&table, (int)n + 1, argv, ret, &g, &first, NULL, err);
	if (rc == 0 && first != (int)n + 1)
		rc = pgo_err_set(err, PGO_EFORMAT, "'%s' is no option", argv[first]);
	if (rc < 0)
		pgo_err_prefix(err, "the options in the plan");
	pgo_free(argv);
	return rc;
}

void pgo_merge_words_fini(struct pgo_merge_words *w)
{
	pgo_opt_list_free(&w->class_of);
	pgo_opt_list_free(&w->probability);
}
