/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/merge_written.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"

#include <inttypes.h>
#include <string.h>

/* What of the reader's tables is still needed when it is gone. */
static int keep_types(
	struct pgo_merge_written *w, const struct pgo_profile *head, struct pgo_err *err)
{
	w->types = pgo_profile_new(err);
	if (w->types == NULL)
		return PGO_ENOMEM;
	w->file.totals = pgo_calloc(head->n_sample_types, sizeof *w->file.totals);
	if (w->file.totals == NULL)
		return pgo_err_nomem(err);
	for (size_t c = 0; c < head->n_sample_types; c++)
		if (pgo_profile_add_sample_type(w->types,
			    pgo_profile_str(head, head->sample_types[c].type),
			    pgo_profile_str(head, head->sample_types[c].unit)) == PGO_NONE)
			return pgo_err_nomem(err);
	return 0;
}

/* Takes `r`, which may be NULL: then `err` says why. */
static int write_reader(
	struct pgo_reader *r, const char *path, struct pgo_merge_written *ret, struct pgo_err *err)
{
	int rc;

	memset(ret, 0, sizeof *ret);
	rc = r != NULL ? keep_types(ret, r->head, err) : (int)err->code;
	if (rc == 0)
		rc = pgo_pprof_write_reader(r, path, &ret->file, err);
	pgo_reader_close(r);
	return rc;
}

int pgo_merge_write(
	struct pgo_merge *m, const char *path, struct pgo_merge_written *ret, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	int rc = write_reader(pgo_merge_stream(m, &local), path, ret, &local);

	ret->stats = *pgo_merge_stats_of(m);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

int pgo_merge_write_profile(
	struct pgo_profile *p, const char *path, struct pgo_merge_written *ret, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	int rc = write_reader(
		pgo_profile_reader(p, "the merged profile", false, &local), path, ret, &local);

	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

void pgo_merge_written_fini(struct pgo_merge_written *w)
{
	pgo_profile_free(w->types);
	pgo_free(w->file.totals);
	memset(w, 0, sizeof *w);
}

static void columns_json(const struct pgo_merge_written *w, struct pgo_json *j)
{
	pgo_json_array(j);
	for (size_t c = 0; c < w->types->n_sample_types; c++) {
		const struct pgo_value_type *t = &w->types->sample_types[c];

		pgo_json_object(j);
		pgo_json_kv_str(j, "type", pgo_profile_str(w->types, t->type));
		pgo_json_kv_str(j, "unit", pgo_profile_str(w->types, t->unit));
		pgo_json_kv_double(j, "total", w->file.totals[c]);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void stats_json(const struct pgo_merge_stats *s, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "profiles", s->profiles);
	pgo_json_kv_u64(j, "samples_in", s->samples_in);
	pgo_json_kv_u64(j, "samples_zero", s->samples_zero);
	pgo_json_kv_u64(j, "samples_filtered", s->samples_filtered);
	pgo_json_kv_u64(j, "samples_out", s->samples_out);
	pgo_json_kv_u64(j, "locations_in", s->locations_in);
	pgo_json_kv_u64(j, "locations_outside", s->locations_outside);
	pgo_json_kv_u64(j, "locations_out", s->locations_out);
	pgo_json_end_object(j);
}

void pgo_merge_written_json(const struct pgo_merge_written *w, const char *path, struct pgo_json *j)
{
	pgo_json_kv_str(j, "output", path != NULL ? pgo_path_base(path) : NULL);
	pgo_json_kv_str(j, "digest", w->file.digest);
	pgo_json_kv_u64(j, "bytes", w->file.bytes);
	pgo_json_key(j, "columns");
	columns_json(w, j);
	pgo_json_key(j, "account");
	stats_json(&w->stats, j);
}

void pgo_merge_written_text(
	const struct pgo_merge_written *w, const char *path, struct pgo_buf *out)
{
	const struct pgo_merge_stats *s = &w->stats;

	pgo_buf_printf(out,
		"%s: %" PRIu64 " profiles, %" PRIu64 " samples -> %" PRIu64 ", %" PRIu64
		" locations -> %" PRIu64 ", %" PRIu64 " bytes",
		path != NULL ? path : "not written", s->profiles, s->samples_in, s->samples_out,
		s->locations_in, s->locations_out, w->file.bytes);
}

/* Addresses outside of their mapping are often the trace of a store that merged hosts without
 * regard to their load addresses: then they are lost, and the user should know. */
void pgo_merge_warn_outside(const struct pgo_merge_stats *s)
{
	if (s->locations_outside == 0)
		return;
	pgo_warn("%" PRIu64 " of %" PRIu64
		 " locations lie outside of their mapping; they are taken "
		 "for addresses of the ELF file, which is right for agents that write those, and "
		 "wrong after a store has merged hosts: then fetch the hosts one by one",
		s->locations_outside, s->locations_in);
}
