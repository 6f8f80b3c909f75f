/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/redaction.h"

#include "merge/merge.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"

#include <inttypes.h>
#include <stdio.h>

bool pgo_redaction_asked(const struct pgo_redaction_values *v)
{
	return v->all || v->key != NULL || v->names != NULL || v->deny.n != 0 || v->allow.n != 0 ||
	       v->min_hosts != 0;
}

void pgo_redaction_fini(struct pgo_redaction_values *v)
{
	pgo_free(v->deny.item);
	pgo_free(v->allow.item);
	v->deny = v->allow = (struct pgo_opt_list){0};
}

static int add_all(struct pgo_redact *r, bool allow, const struct pgo_opt_list *l,
	const char *option, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc == 0; i++)
		rc = pgo_redact_add_pattern(r, allow, l->item[i], err);
	return rc < 0 ? pgo_err_prefix(err, "%s", option) : 0;
}

int pgo_redaction_compile(const struct pgo_redaction_values *v, const struct pgo_tags *tags,
	struct pgo_redact **ret, struct pgo_err *err)
{
	struct pgo_redact *r;
	int rc;

	*ret = NULL;
	if (!pgo_redaction_asked(v))
		return 0;
	if (v->all && (v->names != NULL || v->deny.n != 0 || v->allow.n != 0))
		return pgo_err_set(err, PGO_EUSAGE,
			"--redact hides all names; with patterns it would say two things");
	r = pgo_redact_new(err);
	if (r == NULL)
		return PGO_ENOMEM;
	pgo_redact_set_labels(r, tags);
	pgo_redact_set_all(r, v->all || v->key != NULL);
	rc = add_all(r, false, &v->deny, "--redact-deny", err);
	if (rc == 0)
		rc = add_all(r, true, &v->allow, "--redact-allow", err);
	if (rc == 0 && v->names != NULL)
		rc = pgo_redact_add_file(r, v->names, err);
	if (rc == 0 && v->key != NULL)
		rc = pgo_redact_set_key(r, v->key, err);
	if (rc < 0)
		pgo_redact_free(r);
	else
		*ret = r;
	return rc;
}

/* Equal stacks become one, and the order is that of the new names, by merging it alone. */
static struct pgo_profile *merge_alone(struct pgo_profile *p, bool keep_labels, struct pgo_err *err)
{
	const struct pgo_merge_options o = {.keep_labels = keep_labels};
	struct pgo_reader *r = pgo_profile_reader(p, "the redacted profile", true, err);
	struct pgo_merge *m = r != NULL ? pgo_merge_new(&o, err) : NULL;
	struct pgo_profile *out = NULL;

	if (m != NULL && pgo_merge_add(m, r, 1, err) == 0)
		out = pgo_merge_finish(m, err);
	pgo_merge_free(m);
	pgo_reader_close(r);
	return out;
}

int pgo_redaction_apply(const struct pgo_redact *r, const struct pgo_hosts *hosts, bool keep_labels,
	struct pgo_profile **p, struct pgo_redact_account *ret, struct pgo_err *err)
{
	int rc = pgo_redact_apply(r, hosts, *p, ret, err);

	if (rc < 0) {
		pgo_profile_free(*p);
		*p = NULL;
		return rc;
	}
	*p = merge_alone(*p, keep_labels, err);
	return *p != NULL ? 0 : err->code;
}

static void keep_first(void *ctx, const char *sentence)
{
	char *first = ctx;

	if (first[0] == '\0')
		snprintf(first, 400, "%s", sentence);
}

int pgo_redaction_prove(const struct pgo_redact *r, const char *name, const void *data, size_t len,
	struct pgo_err *err)
{
	struct pgo_profile *p = pgo_pprof_load_memory(name, data, len, NULL, err);
	char first[400] = "";
	uint64_t n = 0;
	int rc;

	if (p == NULL)
		return err->code;
	rc = pgo_redact_check(r, p, keep_first, first, &n, err);
	pgo_profile_free(p);
	if (rc == 0 && n != 0)
		rc = pgo_err_set(err, PGO_EIO,
			"%s would hold %" PRIu64
			" names that must not be in it, among them %s; nothing was written",
			name, n, first);
	return rc;
}
