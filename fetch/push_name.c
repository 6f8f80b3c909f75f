/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/push.h"
#include "pgo/core/opt.h"

#include <string.h>

static const char *extension(const char *kind)
{
	if (strcmp(kind, "pprof") == 0)
		return ".pb.gz";
	if (strcmp(kind, "perf.data") == 0)
		return ".perf.data";
	if (strcmp(kind, "brstack") == 0)
		return ".txt";
	return ".prof";
}

static bool is(const struct pgo_key_part *p, const char *name)
{
	return strlen(name) == p->len && memcmp(p->text, name, p->len) == 0;
}

/* Where a name of time lies in 2026-11-20T10:00:00Z; 0 for other names. */
static size_t time_part(const struct pgo_key_part *p, size_t *at)
{
	static const struct {
		const char *name;
		size_t at, len;
	} parts[] = {
		{"date", 0, 10}, {"year", 0, 4}, {"month", 5, 2}, {"day", 8, 2}, {"hour", 11, 2}};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (is(p, parts[i].name)) {
			*at = parts[i].at;
			return parts[i].len;
		}
	return 0;
}

/* One part of a path, whatever the label holds. */
static void escape(const char *value, struct pgo_buf *out)
{
	bool dots = value[strspn(value, ".")] == '\0';

	for (const char *p = value; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '/' || c == '\\' || c == '%' || c < ' ' || c == 127 || dots)
			pgo_buf_printf(out, "%%%02X", c);
		else
			pgo_buf_putc(out, (char)c);
	}
}

static const char *value_of(const struct pgo_record *rec, const char *name)
{
	if (strcmp(name, "build_id") == 0)
		return rec->n_build_ids == 1 ? rec->build_ids[0] : NULL;
	return pgo_record_get_label(rec, name);
}

static int fill_in(const struct pgo_key_template *t, const struct pgo_key_part *p,
	const struct pgo_record *rec, struct pgo_buf *out, struct pgo_err *err)
{
	char name[64], when[40];
	const char *value;
	size_t at = 0, len = time_part(p, &at);

	if (len != 0) {
		if (rec->time_ns <= 0)
			return pgo_err_set(err, PGO_EUSAGE,
				"the template '%s' asks for the time, which this profile does not "
				"say",
				t->text);
		pgo_format_time(rec->time_ns, when, sizeof when);
		pgo_buf_add(out, when + at, len);
		return 0;
	}
	if (is(p, "*"))
		return pgo_err_set(err, PGO_EUSAGE,
			"the template '%s' has a *, which is no name for a new profile", t->text);
	if (p->len >= sizeof name)
		return pgo_err_set(
			err, PGO_EUSAGE, "the template '%s' has too long a name", t->text);
	memcpy(name, p->text, p->len);
	name[p->len] = '\0';
	value = value_of(rec, name);
	if (value == NULL || *value == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"the profile says no %s, which the template '%s' needs; give it with "
			"--label %s=... (or --service, --host, --version)",
			name, t->text, name);
	escape(value, out);
	return 0;
}

int pgo_push_name(const struct pgo_key_template *t, const struct pgo_push_item *item,
	struct pgo_buf *out, struct pgo_err *err)
{
	const struct pgo_record *rec = item->record;
	size_t before = out->len;
	int rc = 0;

	for (size_t i = 0; i < t->n && rc == 0; i++) {
		const struct pgo_key_part *p = &t->part[i];

		if (p->name)
			rc = fill_in(t, p, rec, out, err);
		else
			pgo_buf_add(out, p->text, p->len);
	}
	if (rc < 0)
		return rc;
	if (out->len > before && out->data[out->len - 1] != '/')
		pgo_buf_putc(out, '/');
	pgo_buf_printf(out, "%s%s", rec->digest, extension(rec->kind != NULL ? rec->kind : ""));
	return pgo_buf_check(out, "the name of a profile", err);
}
