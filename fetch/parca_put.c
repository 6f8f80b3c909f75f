/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles into Parca. */
#include "fetch/parca_impl.h"
#include "fetch/push.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX ((size_t)64 << 20)
#define REPLY_MAX ((size_t)1 << 20)

/* Names as the query language has them. */
static char *legal_name(const char *text)
{
	char *name = pgo_strdup(text);

	for (char *p = name; p != NULL && *p != '\0'; p++)
		if ((*p < 'a' || *p > 'z') && (*p < 'A' || *p > 'Z') &&
			(p == name || *p < '0' || *p > '9'))
			*p = '_';
	return name;
}

struct series {
	struct pgo_kv *kv;
	size_t n, room;
};

static int add_label(struct series *to, const char *key, const char *value, struct pgo_err *err)
{
	struct pgo_kv *kv;

	if (value == NULL || *value == '\0')
		return 0;
	kv = PGO_VEC_PUSH(to->kv, to->n, to->room);
	if (kv == NULL || (kv->key = legal_name(key)) == NULL ||
		(kv->value = pgo_strdup(value)) == NULL)
		return pgo_err_nomem(err);
	return 0;
}

static int cmp_label(const void *a, const void *b)
{
	return strcmp(((const struct pgo_kv *)a)->key, ((const struct pgo_kv *)b)->key);
}

/* The host goes by the name that Parca's own agent gives it. */
static int series_of(const struct pgo_record *rec, struct series *to, struct pgo_err *err)
{
	const char *name = pgo_record_get_label(rec, "__name__");
	int rc = add_label(to, "__name__", name != NULL ? name : "process_cpu", err);

	if (rc == 0)
		rc = add_label(to, "node", rec->host, err);
	if (rc == 0)
		rc = add_label(to, "service", rec->service, err);
	if (rc == 0)
		rc = add_label(to, "version", rec->version, err);
	for (size_t i = 0; i < rec->n_labels && rc == 0; i++) {
		const char *key = rec->labels[i].key;

		if (strcmp(key, "__name__") != 0 && strcmp(key, "node") != 0)
			rc = add_label(to, key, rec->labels[i].value, err);
	}
	if (rc < 0)
		return rc;
	qsort(to->kv, to->n, sizeof *to->kv, cmp_label);
	for (size_t i = 1; i < to->n; i++)
		if (cmp_label(&to->kv[i - 1], &to->kv[i]) == 0)
			return pgo_err_set(err, PGO_EUSAGE,
				"two labels are both %s where other characters than letters, "
				"digits "
				"and _ are replaced, as Parca's query language needs it",
				to->kv[i].key);
	return 0;
}

int pgo_parca_put(struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err)
{
	struct pgo_parca_source *s = (struct pgo_parca_source *)src;
	struct pgo_buf profile, message, reply;
	struct series series = {0};
	int rc;

	pgo_buf_init(&message, MESSAGE_MAX);
	pgo_buf_init(&reply, REPLY_MAX);
	rc = pgo_file_read(item->path, MESSAGE_MAX, &profile, err);
	if (rc == 0)
		rc = series_of(item->record, &series, err);
	if (rc == 0) {
		pgo_parca_put_profile(&message, series.kv, series.n, profile.data, profile.len);
		rc = pgo_buf_check(&message, "a profile for Parca", err);
	}
	if (rc == 0)
		rc = pgo_parca_ask(s, PGO_PARCA_WRITE, &message, &reply, err);
	for (size_t i = 0; i < series.n; i++) {
		pgo_free(series.kv[i].key);
		pgo_free(series.kv[i].value);
	}
	pgo_free(series.kv);
	pgo_buf_fini(&profile);
	pgo_buf_fini(&message);
	pgo_buf_fini(&reply);
	return rc;
}
