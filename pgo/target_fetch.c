/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/target_fetch.h"

#include "pgo/core/alloc.h"

static const char *or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

int pgo_target_fetch(const struct pgo_target *t, const char *raw, int64_t since_ns,
	int64_t until_ns, struct pgo_fetch_stats *stats, struct pgo_manifest *ret,
	struct pgo_err *err)
{
	struct pgo_fetch_options o = {
		.urls = (const char *const *)t->sources,
		.n_urls = t->n_sources,
		.out_dir = raw,
		.since_ns = since_ns,
		.until_ns = until_ns,
		.selects = (const char *const *)t->selects,
		.n_selects = t->n_selects,
		.types = (const char *const *)t->types,
		.n_types = t->n_types,
		.labels = (const char *const *)t->labels,
		.n_labels = t->n_labels,
		.by_host = or_null(t->by_host),
		.max_profiles = t->max_profiles,
		.max_object = t->max_object,
		.http = {.parallel = t->parallel,
			.tries = t->tries,
			.rate = t->rate,
			.netrc = t->netrc,
			.ca_file = or_null(t->ca_file)},
	};
	int rc = pgo_fetch(&o, stats, err);
	char *manifest;

	if (rc < 0)
		return rc;
	manifest = pgo_asprintf("%s/manifest.jsonl", raw);
	if (manifest == NULL)
		return pgo_err_nomem(err);
	rc = pgo_manifest_load(ret, manifest, err);
	pgo_free(manifest);
	return rc;
}
