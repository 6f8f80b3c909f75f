/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/examine.h"

#include "fetch/import.h"
#include "pgo/core/alloc.h"
#include "pgo/core/lbr.h"
#include "pgo/core/pprof.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

int pgo_examine_kind(const char *path, bool *ret, struct pgo_err *err)
{
	enum pgo_input_kind kind = PGO_INPUT_UNKNOWN;
	int rc = pgo_input_probe(path, &kind, err);

	if (rc == 0)
		*ret = kind != PGO_INPUT_UNKNOWN;
	return rc;
}

/* ---------------------------------------------------------------- labels */

/* Labels that all samples so far agree on. */
struct common {
	struct pgo_label *labels;
	size_t n, room;
	bool any; /* a sample was seen */
};

static bool same_label(const struct pgo_label *a, const struct pgo_label *b)
{
	return a->key == b->key && a->str == b->str;
}

/* A key that is there twice with different values says nothing. */
static bool has_label(const struct pgo_sample *s, const struct pgo_label *want)
{
	bool found = false;

	for (uint32_t i = 0; i < s->n_label; i++) {
		if (s->label[i].key != want->key || s->label[i].str == 0)
			continue;
		if (!same_label(&s->label[i], want))
			return false;
		found = true;
	}
	return found;
}

static int join_labels(struct common *c, const struct pgo_sample *s)
{
	size_t n = 0;

	if (!c->any) {
		c->any = true;
		if (PGO_VEC_RESERVE(c->labels, c->room, s->n_label) < 0)
			return -1;
		for (uint32_t i = 0; i < s->n_label; i++)
			if (s->label[i].str != 0)
				c->labels[c->n++] = s->label[i];
	}
	for (size_t i = 0; i < c->n; i++)
		if (has_label(s, &c->labels[i]))
			c->labels[n++] = c->labels[i];
	c->n = n;
	return 0;
}

static int set_if_empty(char **field, const char *value, struct pgo_err *err)
{
	return *field == NULL || (*field)[0] == '\0' ? pgo_record_set(field, value, err) : 0;
}

static int put_label(struct pgo_record *r, const char *key, const char *value, struct pgo_err *err)
{
	int rc = 0;

	if (strcmp(key, "host") == 0)
		return pgo_record_set(&r->host, value, err);
	if (strcmp(key, "service") == 0)
		return pgo_record_set(&r->service, value, err);
	if (strcmp(key, "version") == 0)
		return pgo_record_set(&r->version, value, err);
	if (strcmp(key, "hostname") == 0)
		rc = set_if_empty(&r->host, value, err);
	else if (strcmp(key, "service_name") == 0)
		rc = set_if_empty(&r->service, value, err);
	return rc == 0 ? pgo_record_label(r, key, value, err) : rc;
}

/* ---------------------------------------------------------------- one profile */

static int cmp_str(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_build_ids(struct pgo_record *r)
{
	size_t n = 0;

	if (r->n_build_ids != 0)
		qsort(r->build_ids, r->n_build_ids, sizeof *r->build_ids, cmp_str);
	for (size_t i = 0; i < r->n_build_ids; i++) {
		if (n != 0 && strcmp(r->build_ids[n - 1], r->build_ids[i]) == 0)
			pgo_free(r->build_ids[i]);
		else
			r->build_ids[n++] = r->build_ids[i];
	}
	r->n_build_ids = n;
}

static int put_build_ids(struct pgo_record *r, const struct pgo_profile *p, struct pgo_err *err)
{
	for (size_t i = 0; i < p->n_mappings; i++) {
		char id[129];
		int rc;

		pgo_build_id_normalize(pgo_profile_str(p, p->mappings[i].build_id), id);
		if (id[0] == '\0')
			continue;
		rc = pgo_record_list_add(
			&r->build_ids, &r->n_build_ids, &r->build_ids_room, id, err);
		if (rc < 0)
			return rc;
	}
	sort_build_ids(r);
	return 0;
}

static int put_types(struct pgo_record *r, const struct pgo_profile *p, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_sample_types && rc == 0; i++) {
		char *type = pgo_asprintf("%s/%s", pgo_profile_str(p, p->sample_types[i].type),
			pgo_profile_str(p, p->sample_types[i].unit));

		rc = type == NULL ? pgo_err_nomem(err)
				  : pgo_record_list_add(&r->sample_types, &r->n_sample_types,
					    &r->sample_types_room, type, err);
		pgo_free(type);
	}
	return rc;
}

/* Those labels into the record. */
static int put_labels(struct pgo_record *r, const struct pgo_profile *p, const struct common *c,
	struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < c->n && rc == 0; i++)
		rc = put_label(r, pgo_profile_str(p, c->labels[i].key),
			pgo_profile_str(p, c->labels[i].str), err);
	return rc;
}

static int draw(struct pgo_reader *rd, struct common *c, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(rd, &s, err)) > 0)
		if (join_labels(c, &s) < 0)
			return pgo_err_nomem(err);
	return rc;
}

/* ---------------------------------------------------------------- addresses */

uint64_t pgo_address_account_total(const struct pgo_address_account *a)
{
	return a->inside + a->bare + a->outside + a->unmapped + a->named + a->erased + a->markers;
}

enum pgo_address_class pgo_address_account_class(const struct pgo_address_account *a)
{
	if (a->inside + a->bare + a->outside + a->unmapped != 0)
		return PGO_ADDRESSED;
	if (a->named != 0)
		return PGO_SYMBOLIC;
	return a->erased != 0 ? PGO_ERASED : PGO_BLANK;
}

static void add_accounts(struct pgo_address_account *to, const struct pgo_address_account *a)
{
	to->inside += a->inside;
	to->bare += a->bare;
	to->outside += a->outside;
	to->unmapped += a->unmapped;
	to->named += a->named;
	to->erased += a->erased;
	to->markers += a->markers;
	to->no_build_id += a->no_build_id;
	to->json_build_id += a->json_build_id;
}

void pgo_address_stats_add(struct pgo_address_stats *s, const struct pgo_address_account *a)
{
	enum pgo_address_class class = pgo_address_account_class(a);

	s->profiles++;
	s->addressed += class == PGO_ADDRESSED;
	s->symbolic += class == PGO_SYMBOLIC;
	s->erased += class == PGO_ERASED;
	s->blank += class == PGO_BLANK;
	s->outside += a->outside != 0;
	s->no_build_id += a->no_build_id != 0;
	s->json_build_id += a->json_build_id != 0;
	add_accounts(&s->locations, a);
}

static bool is_marker(const struct pgo_profile *p, const struct pgo_location *l)
{
	static const char *const names[] = {PGO_LBR_BRANCH_ONLY, PGO_LBR_FALLTHROUGH_ONLY,
		PGO_LBR_EXTERNAL, PGO_LBR_EXTERNAL_RETURN};
	const char *name;

	if (l->addr != 0 || l->n_lines != 1)
		return false;
	name = pgo_profile_str(p, p->functions[p->lines[l->first_line].function].name);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void account_for(
	struct pgo_address_account *a, const struct pgo_profile *p, const struct pgo_location *l)
{
	const struct pgo_mapping *m = l->mapping != PGO_NONE ? &p->mappings[l->mapping] : NULL;

	if (is_marker(p, l))
		a->markers++;
	else if (l->addr == 0 && l->n_lines != 0)
		a->named++;
	else if (l->addr == 0)
		a->erased++;
	else if (m == NULL)
		a->unmapped++;
	else if (m->start == 0 && m->limit == 0)
		a->bare++;
	else if (l->addr >= m->start && l->addr < m->limit)
		a->inside++;
	else
		a->outside++;
}

/* Of memory without a file nobody expects a build-id. */
static int account_for_builds(
	struct pgo_address_account *a, const struct pgo_profile *p, struct pgo_err *err)
{
	bool *used = pgo_calloc(p->n_mappings, sizeof *used);

	if (used == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_locations; i++)
		if (p->locations[i].addr != 0 && p->locations[i].mapping != PGO_NONE)
			used[p->locations[i].mapping] = true;
	for (size_t i = 0; i < p->n_mappings; i++) {
		const char *id = pgo_profile_str(p, p->mappings[i].build_id);
		const char *name = pgo_profile_str(p, p->mappings[i].filename);

		a->no_build_id += used[i] && *id == '\0' && *name == '/';
		a->json_build_id += used[i] && *id == '{';
	}
	pgo_free(used);
	return 0;
}

static int examine_reader(struct pgo_reader *rd, struct pgo_record *r,
	struct pgo_address_account *account, struct pgo_err *err)
{
	const struct pgo_profile *p = rd->head;
	struct common c = {0};
	int rc = draw(rd, &c, err);

	for (size_t i = 0; i < p->n_locations && account != NULL; i++)
		account_for(account, p, &p->locations[i]);
	if (rc == 0 && account != NULL)
		rc = account_for_builds(account, p, err);
	if (rc == 0)
		rc = put_build_ids(r, p, err);
	if (rc == 0)
		rc = put_types(r, p, err);
	if (rc == 0)
		rc = put_labels(r, p, &c, err);
	if (p->time_ns > 0 && (r->time_ns == 0 || p->time_ns < r->time_ns))
		r->time_ns = p->time_ns;
	if (p->duration_ns > r->duration_ns)
		r->duration_ns = p->duration_ns;
	pgo_free(c.labels);
	return rc;
}

/* ---------------------------------------------------------------- kinds */

static int examine_pprof(const char *path, struct pgo_record *r,
	struct pgo_address_account *account, struct pgo_err *err)
{
	struct pgo_reader *rd = pgo_pprof_open(path, NULL, err);
	int rc = rd != NULL ? examine_reader(rd, r, account, err) : err->code;

	pgo_reader_close(rd);
	return rc;
}

static bool has_type(const struct pgo_record *r, const char *type)
{
	for (size_t i = 0; i < r->n_sample_types; i++)
		if (strcmp(r->sample_types[i], type) == 0)
			return true;
	return false;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* Another profile of the same file into the record: labels that both have, types and builds that
 * either has. */
static int join_record(struct pgo_record *r, const struct pgo_record *one, struct pgo_err *err)
{
	size_t n = 0;
	int rc = 0;

	if (!same_text(r->host, one->host))
		rc = pgo_record_set(&r->host, "", err);
	if (rc == 0 && !same_text(r->service, one->service))
		rc = pgo_record_set(&r->service, "", err);
	if (rc == 0 && !same_text(r->version, one->version))
		rc = pgo_record_set(&r->version, "", err);
	for (size_t i = 0; i < r->n_labels; i++) {
		if (same_text(r->labels[i].value, pgo_record_get_label(one, r->labels[i].key))) {
			r->labels[n++] = r->labels[i];
			continue;
		}
		pgo_free(r->labels[i].key);
		pgo_free(r->labels[i].value);
	}
	r->n_labels = n;
	for (size_t i = 0; i < one->n_sample_types && rc == 0; i++)
		if (!has_type(r, one->sample_types[i]))
			rc = pgo_record_list_add(&r->sample_types, &r->n_sample_types,
				&r->sample_types_room, one->sample_types[i], err);
	for (size_t i = 0; i < one->n_build_ids && rc == 0; i++)
		rc = pgo_record_list_add(
			&r->build_ids, &r->n_build_ids, &r->build_ids_room, one->build_ids[i], err);
	sort_build_ids(r);
	if (one->time_ns > 0 && (r->time_ns == 0 || one->time_ns < r->time_ns))
		r->time_ns = one->time_ns;
	if (one->duration_ns > r->duration_ns)
		r->duration_ns = one->duration_ns;
	return rc;
}

/* A recording of several processes, or profiles of several hosts: what all of them say. */
static int examine_recording(const char *path, struct pgo_record *r,
	struct pgo_address_account *account, struct pgo_err *err)
{
	const struct pgo_import_options o = {.labels = true, .no_unbias = true};
	struct pgo_imported in;
	int rc = pgo_import(path, &o, &in, err);

	/* Text that can only be read beside its program is good, but says nothing here. */
	if (rc == PGO_EUSAGE) {
		pgo_err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < in.n && rc == 0; i++) {
		struct pgo_reader *rd = pgo_profile_reader(in.profiles[i], path, false, err);
		struct pgo_record one = {0};

		rc = rd != NULL ? examine_reader(rd, i == 0 ? r : &one, account, err) : err->code;
		if (rc == 0 && i > 0)
			rc = join_record(r, &one, err);
		pgo_record_fini(&one);
		pgo_reader_close(rd);
	}
	pgo_imported_fini(&in);
	return rc;
}

int pgo_examine(const char *path, struct pgo_record *r, struct pgo_address_account *ret_account,
	bool *ret_profile, struct pgo_err *err)
{
	enum pgo_input_kind kind = PGO_INPUT_UNKNOWN;
	struct pgo_err local = PGO_ERR_INIT; /* its code is needed even if the caller's is NULL */
	int rc = pgo_input_probe(path, &kind, &local);

	if (rc == 0)
		rc = pgo_record_set(&r->kind,
			kind != PGO_INPUT_UNKNOWN ? pgo_input_kind_name(kind) : "none", &local);
	if (rc == 0 && kind == PGO_INPUT_PPROF)
		rc = examine_pprof(path, r, ret_account, &local);
	else if (rc == 0 && kind != PGO_INPUT_UNKNOWN)
		rc = examine_recording(path, r, ret_account, &local);
	if (rc == 0)
		*ret_profile = kind != PGO_INPUT_UNKNOWN;
	else if (err != NULL)
		*err = local;
	return rc;
}
