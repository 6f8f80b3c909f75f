/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in: fetched profiles, and the digest of all that decides what comes out. */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/sha256.h"
#include "pgo/pipeline_impl.h"
#include "pgo/target_fetch.h"

#include <inttypes.h>
#include <string.h>

int pgo_pipeline_fetch(struct pgo_pipeline *p, struct pgo_err *err)
{
	int rc = pgo_target_fetch(
		p->target, p->state.raw, p->since_ns, p->until_ns, &p->fetch, &p->records, err);

	if (rc < 0)
		return rc;
	pgo_buf_printf(&p->text,
		"fetch    %" PRIu64 " listed, %" PRIu64 " new (%" PRIu64 " bytes), %" PRIu64
		" known; %zu profiles in all\n",
		p->fetch.listed, p->fetch.fetched, p->fetch.fetched_bytes, p->fetch.unchanged,
		p->records.n_records);
	return rc;
}

bool pgo_pipeline_in_window(const struct pgo_pipeline *p, const struct pgo_record *rec)
{
	if (rec->time_ns == 0)
		return true;
	return (p->since_ns == 0 || rec->time_ns >= p->since_ns) &&
	       (p->until_ns == 0 || rec->time_ns <= p->until_ns);
}

/* ---- the fingerprint */

static void hash_str(struct pgo_sha256 *h, const char *s)
{
	pgo_sha256_add(h, s, strlen(s) + 1);
}

static void hash_weights(struct pgo_sha256 *h, const struct pgo_target *t)
{
	const bool flags[4] = {t->season, t->builds, t->outliers, t->allow_outliers};

	hash_str(h, t->mode);
	hash_str(h, t->class_mix);
	hash_str(h, t->class_label);
	for (size_t i = 0; i < t->n_class_of; i++)
		hash_str(h, t->class_of[i]);
	for (size_t i = 0; i < t->n_sampling_probability; i++)
		hash_str(h, t->sampling_probability[i]);
	pgo_sha256_add(h, flags, sizeof flags);
	pgo_sha256_add(h, &t->blend, sizeof t->blend);
	pgo_sha256_add(h, &t->min_samples, sizeof t->min_samples);
}

static void hash_target(struct pgo_sha256 *h, const struct pgo_pipeline *p)
{
	const struct pgo_target *t = p->target;
	const double cap = t->host_cap;

	hash_str(h, PGO_VERSION);
	hash_str(h, p->binary_id);
	pgo_sha256_add(h, &t->half_life_ns, sizeof t->half_life_ns);
	pgo_sha256_add(h, &t->window_ns, sizeof t->window_ns);
	pgo_sha256_add(h, &cap, sizeof cap);
	for (size_t i = 0; i < t->n_older_builds; i++)
		hash_str(h, pgo_conf_relative(p->conf, t->older_builds[i]));
	hash_weights(h, t);
	for (size_t i = 0; i < p->outputs.n; i++) {
		const struct pgo_output *o = &p->outputs.of[i];

		hash_str(h, pgo_output_kind_name(o->kind));
		hash_str(h, o->name);
		hash_str(h, o->variant);
		pgo_sha256_add(h, &o->fo.gcc_release, sizeof o->fo.gcc_release);
	}
}

static void finish(const struct pgo_sha256 *h, char ret[65])
{
	struct pgo_sha256 copy = *h;
	uint8_t digest[32];

	pgo_sha256_final(&copy, digest);
	pgo_sha256_hex(digest, ret);
}

int pgo_pipeline_fingerprint(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_sha256 h;
	int rc = pgo_elf_build_id(p->target->binary, p->binary_id, err);

	if (rc == 0 && p->binary_id[0] == '\0')
		rc = pgo_sha256_file(p->target->binary, p->binary_id, err);
	if (rc < 0)
		return rc;
	pgo_sha256_init(&h);
	hash_target(&h, p);
	finish(&h, p->settings);
	for (size_t i = 0; i < p->target->n_gates; i++)
		hash_str(&h, p->target->gates[i]);
	/* Records are sorted, so the order of fetching does not show. */
	for (size_t i = 0; i < p->records.n_records; i++)
		if (pgo_pipeline_in_window(p, &p->records.records[i]))
			hash_str(&h, p->records.records[i].digest);
	finish(&h, p->fingerprint);
	return 0;
}
