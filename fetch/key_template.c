/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/key_template.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DAY_NS ((int64_t)86400 * 1000000000)

/* ---------------------------------------------------------------- the template */

static bool is_called(const struct pgo_key_part *p, const char *name)
{
	return p->name && strlen(name) == p->len && memcmp(p->text, name, p->len) == 0;
}

static int bad(const struct pgo_key_template *t, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EUSAGE, "the template '%s' %s", t->text, what);
}

static int add_part(
	struct pgo_key_template *t, const char *text, size_t len, bool name, struct pgo_err *err)
{
	if (len == 0 && !name)
		return 0;
	if (t->n == PGO_KEY_MAX_PARTS)
		return bad(t, "has too many parts", err);
	if (name && t->n > 0 && t->part[t->n - 1].name)
		return bad(t, "has two names with nothing between them", err);
	t->part[t->n++] = (struct pgo_key_part){text, len, name};
	return 0;
}

static int parse(struct pgo_key_template *t, struct pgo_err *err)
{
	const char *p = t->text;
	int rc = 0;

	while (*p != '\0' && rc == 0) {
		size_t len = strcspn(p, "{}*");

		rc = add_part(t, p, len, false, err);
		p += len;
		if (rc < 0 || *p == '\0')
			break;
		if (*p == '*') {
			rc = add_part(t, "*", 1, true, err);
			p++;
			continue;
		}
		len = strspn(
			p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		if (*p == '}' || len == 0 || p[1 + len] != '}')
			return bad(
				t, "has a brace that is no {NAME} of letters, digits and _", err);
		rc = add_part(t, p + 1, len, true, err);
		p += len + 2;
	}
	return rc;
}

int pgo_key_template_init(struct pgo_key_template *t, const char *text, struct pgo_err *err)
{
	int rc;

	memset(t, 0, sizeof *t);
	t->text = pgo_strdup(text);
	rc = t->text != NULL ? parse(t, err) : pgo_err_nomem(err);
	if (rc < 0)
		pgo_key_template_fini(t);
	return rc;
}

void pgo_key_template_fini(struct pgo_key_template *t)
{
	pgo_free(t->text);
	memset(t, 0, sizeof *t);
}

size_t pgo_key_template_fixed(const struct pgo_key_template *t)
{
	return t->n > 0 && !t->part[0].name ? t->part[0].len : 0;
}

/* ---------------------------------------------------------------- matching */

struct value {
	const char *text;
	size_t len;
};

/* Digits, with dashes after the fourth and the sixth if it is a date. */
static size_t digits(const char *key, size_t want, bool dashes)
{
	size_t at = 0;

	for (size_t i = 0; i < want; i++) {
		if (dashes && (i == 4 || i == 6) && key[at++] != '-')
			return 0;
		if (!isdigit((unsigned char)key[at++]))
			return 0;
	}
	return at;
}

/* Length of what a name stands for at `key`, with `next` behind it (NULL: nothing more); 0 = none. */
static size_t length_of(
	const struct pgo_key_part *p, const struct pgo_key_part *next, const char *key)
{
	size_t segment = strcspn(key, "/");

	if (is_called(p, "date"))
		return digits(key, 8, true);
	if (is_called(p, "year"))
		return digits(key, 4, false);
	if (is_called(p, "month") || is_called(p, "day") || is_called(p, "hour"))
		return digits(key, 2, false);
	if (next == NULL)
		return segment;
	for (size_t len = 1; len <= segment; len++)
		if (strncmp(key + len, next->text, next->len) == 0)
			return len;
	return 0;
}

static bool match(const struct pgo_key_template *t, const char *key, struct value *v)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct pgo_key_part *p = &t->part[i];

		v[i].text = key;
		v[i].len = p->len;
		if (p->name) {
			v[i].len = length_of(p, i + 1 < t->n ? p + 1 : NULL, key);
			if (v[i].len == 0)
				return false;
		} else if (strncmp(key, p->text, p->len) != 0) {
			return false;
		}
		key += v[i].len;
	}
	return true;
}

static bool is_time(const struct pgo_key_part *p)
{
	return is_called(p, "date") || is_called(p, "year") || is_called(p, "month") ||
	       is_called(p, "day") || is_called(p, "hour");
}

static int put_label(
	struct pgo_record *rec, const char *name, const char *text, struct pgo_err *err)
{
	if (strcmp(name, "build_id") == 0)
		return rec->n_build_ids != 0
			       ? 0
			       : pgo_record_list_add(&rec->build_ids, &rec->n_build_ids,
					 &rec->build_ids_room, text, err);
	if (pgo_record_get_label(rec, name) != NULL)
		return 0;
	if (strcmp(name, "host") == 0)
		return pgo_record_set(&rec->host, text, err);
	if (strcmp(name, "service") == 0)
		return pgo_record_set(&rec->service, text, err);
	if (strcmp(name, "version") == 0)
		return pgo_record_set(&rec->version, text, err);
	return pgo_record_label(rec, name, text, err);
}

int pgo_key_template_match(const struct pgo_key_template *t, const char *key,
	struct pgo_record *rec, struct pgo_err *err)
{
	struct value v[PGO_KEY_MAX_PARTS];

	if (!match(t, key, v))
		return 0;
	for (size_t i = 0; i < t->n && rec != NULL; i++) {
		const struct pgo_key_part *p = &t->part[i];
		char *name, *text;
		int rc;

		if (!p->name || is_time(p) || is_called(p, "*"))
			continue;
		name = pgo_strndup(p->text, p->len);
		text = pgo_strndup(v[i].text, v[i].len);
		rc = name != NULL && text != NULL ? put_label(rec, name, text, err)
						  : pgo_err_nomem(err);
		pgo_free(name);
		pgo_free(text);
		if (rc < 0)
			return rc;
	}
	return 1;
}

/* ---------------------------------------------------------------- time */

bool pgo_key_template_in_time(
	const struct pgo_key_template *t, const char *key, int64_t since_ns, int64_t until_ns)
{
	struct value v[PGO_KEY_MAX_PARTS];
	char year[8] = "", month[8] = "", day[8] = "", date[32];
	int64_t from;

	if (!match(t, key, v))
		return true;
	for (size_t i = 0; i < t->n; i++) {
		const struct pgo_key_part *p = &t->part[i];

		if (is_called(p, "date"))
			sscanf(v[i].text, "%4[0-9]-%2[0-9]-%2[0-9]", year, month, day);
		else if (is_called(p, "year"))
			sscanf(v[i].text, "%4[0-9]", year);
		else if (is_called(p, "month"))
			sscanf(v[i].text, "%2[0-9]", month);
		else if (is_called(p, "day"))
			sscanf(v[i].text, "%2[0-9]", day);
	}
	snprintf(date, sizeof date, "%s-%s-%s", year, month, day);
	if (pgo_parse_time(date, 0, &from, NULL) < 0)
		return true;
	/* Clocks differ, and a profile may begin before midnight. */
	return (since_ns == 0 || from + 2 * DAY_NS > since_ns) &&
	       (until_ns == 0 || from - DAY_NS < until_ns);
}

int pgo_key_template_prefixes(const struct pgo_key_template *t, int64_t since_ns, int64_t until_ns,
	int64_t now_ns, int (*each)(void *ctx, const char *prefix, struct pgo_err *err), void *ctx,
	struct pgo_err *err)
{
	size_t fixed = pgo_key_template_fixed(t), at = fixed != 0;
	int64_t last = until_ns != 0 && until_ns < now_ns ? until_ns : now_ns;
	int64_t from = since_ns / DAY_NS - 1, to = last / DAY_NS + 1;
	bool by_day = at < t->n && is_called(&t->part[at], "date") && since_ns > DAY_NS &&
		      to - from <= PGO_KEY_MAX_DAYS;
	int rc = 0;

	for (int64_t d = by_day ? from : to; d <= to && rc == 0; d++) {
		char date[40] = "", *prefix;

		if (by_day) {
			pgo_format_time(d * DAY_NS, date, sizeof date);
			date[strlen("2026-11-20")] = '\0';
		}
		prefix = pgo_asprintf("%.*s%s", (int)fixed, t->text, date);
		if (prefix == NULL)
			return pgo_err_nomem(err);
		rc = each(ctx, prefix, err);
		pgo_free(prefix);
	}
	return rc;
}
