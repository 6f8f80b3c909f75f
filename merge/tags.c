/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/tags.h"

#include "merge/units.h"
#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REGEX 16 /* in one expression: a bit each */

/* One expression. */
struct rule {
	char *key; /* NULL = any */
	regex_t re[MAX_REGEX];
	unsigned n_re;
	bool numeric;
	int64_t low, high; /* inclusive */
	bool has_low, has_high;
	struct pgo_unit low_unit, high_unit;
	bool low_has_unit, high_has_unit;
};

struct pgo_tags {
	struct rule *focus, *ignore;
	char **keep;
	size_t n_keep, keep_room;
	bool keep_all;
};

/* What a text label says to all regular expressions. */
struct seen {
	uint32_t key, str; /* strings of the input */
	uint32_t focus, ignore;
};

struct pgo_tag_seen {
	struct pgo_map map;
	struct seen *at;
	size_t n, room;
};

/* ---------------------------------------------------------------- expressions */

static void rule_free(struct rule *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < r->n_re; i++)
		regfree(&r->re[i]);
	pgo_free(r->key);
	pgo_free(r);
}

void pgo_tags_free(struct pgo_tags *t)
{
	if (t == NULL)
		return;
	rule_free(t->focus);
	rule_free(t->ignore);
	for (size_t i = 0; i < t->n_keep; i++)
		pgo_free(t->keep[i]);
	pgo_free(t->keep);
	pgo_free(t);
}

/* "-12kb" at *p: moves past it.  False if there is no number there. */
static bool amount(const char **p, int64_t *ret, struct pgo_unit *unit, bool *has_unit)
{
	char *end, name[32];
	size_t n = 0;

	if (!isdigit((unsigned char)(*p)[**p == '-' || **p == '+']))
		return false;
	errno = 0;
	*ret = strtoll(*p, &end, 10);
	if (errno != 0)
		return false;
	while (isalpha((unsigned char)end[n]))
		n++;
	*p = end + n;
	*has_unit = false;
	if (n == 0 || n >= sizeof name)
		return n == 0;
	memcpy(name, end, n);
	name[n] = '\0';
	*has_unit = pgo_unit_find(name, unit);
	return true;
}

/* AMOUNT, AMOUNT:, :AMOUNT, AMOUNT:AMOUNT; false for anything else. */
static bool parse_range(struct rule *r, const char *p)
{
	r->has_low = amount(&p, &r->low, &r->low_unit, &r->low_has_unit);
	if (r->has_low && *p == '\0') {
		r->has_high = true;
		r->high = r->low;
		r->high_unit = r->low_unit;
		r->high_has_unit = r->low_has_unit;
		return true;
	}
	if (*p++ != ':')
		return false;
	r->has_high = amount(&p, &r->high, &r->high_unit, &r->high_has_unit);
	return *p == '\0' && (r->has_low || r->has_high);
}

static int add_regex(struct rule *r, const char *text, size_t len, struct pgo_err *err)
{
	char *one = pgo_strndup(text, len);
	char why[200];
	int rc;

	if (one == NULL)
		return pgo_err_nomem(err);
	if (r->n_re == MAX_REGEX) {
		rc = pgo_err_set(err, PGO_EUSAGE,
			"more than %d expressions with commas between; join them with |",
			MAX_REGEX);
	} else {
		rc = regcomp(&r->re[r->n_re], one, REG_EXTENDED | REG_NOSUB);
		if (rc == 0) {
			r->n_re++;
		} else {
			regerror(rc, &r->re[r->n_re], why, sizeof why);
			rc = pgo_err_set(err, PGO_EUSAGE, "%s: %s", one, why);
		}
	}
	pgo_free(one);
	return rc;
}

static int rule_new(const char *text, struct rule **ret, struct pgo_err *err)
{
	struct rule *r = pgo_calloc(1, sizeof *r);
	const char *value = strchr(text, '=');
	int rc = 0;

	if (r == NULL)
		return pgo_err_nomem(err);
	*ret = r; /* freed with the rest */
	if (value != NULL) {
		r->key = pgo_strndup(text, (size_t)(value - text));
		if (r->key == NULL)
			return pgo_err_nomem(err);
	}
	value = value != NULL ? value + 1 : text;
	r->numeric = parse_range(r, value);
	while (!r->numeric && rc == 0) {
		const char *end = strchrnul(value, ',');

		rc = add_regex(r, value, (size_t)(end - value), err);
		if (*end == '\0')
			break;
		value = end + 1;
	}
	return rc;
}

static int add_keep(struct pgo_tags *t, const char *text, struct pgo_err *err)
{
	for (;;) {
		const char *end = strchrnul(text, ',');
		char **to = PGO_VEC_PUSH(t->keep, t->n_keep, t->keep_room);

		if (to == NULL || (*to = pgo_strndup(text, (size_t)(end - text))) == NULL) {
			t->n_keep -= to != NULL;
			return pgo_err_nomem(err);
		}
		if (*end == '\0')
			return 0;
		text = end + 1;
	}
}

struct pgo_tags *pgo_tags_new(const struct pgo_tag_options *o, struct pgo_err *err)
{
	struct pgo_tags *t = pgo_calloc(1, sizeof *t);
	int rc = 0;

	if (t == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	t->keep_all = o->keep == NULL;
	if (o->focus != NULL && (rc = rule_new(o->focus, &t->focus, err)) < 0)
		pgo_err_prefix(err, "--tag-focus");
	if (rc == 0 && o->ignore != NULL && (rc = rule_new(o->ignore, &t->ignore, err)) < 0)
		pgo_err_prefix(err, "--tag-ignore");
	if (rc == 0 && o->keep != NULL)
		rc = add_keep(t, o->keep, err);
	if (rc == 0)
		return t;
	pgo_tags_free(t);
	return NULL;
}

bool pgo_tags_filter(const struct pgo_tags *t)
{
	return t->focus != NULL || t->ignore != NULL;
}

bool pgo_tags_keep(const struct pgo_tags *t, const char *key)
{
	for (size_t i = 0; i < t->n_keep; i++)
		if (strcmp(t->keep[i], key) == 0)
			return true;
	return t->keep_all;
}

/* ---------------------------------------------------------------- matching */

struct pgo_tag_seen *pgo_tag_seen_new(void)
{
	return pgo_calloc(1, sizeof(struct pgo_tag_seen));
}

void pgo_tag_seen_reset(struct pgo_tag_seen *c)
{
	pgo_map_fini(&c->map);
	c->n = 0;
}

void pgo_tag_seen_free(struct pgo_tag_seen *c)
{
	if (c == NULL)
		return;
	pgo_map_fini(&c->map);
	pgo_free(c->at);
	pgo_free(c);
}

/* A bit for each expression that matches. */
static int match_text(const struct rule *r, const char *key, const char *value, uint32_t *ret)
{
	char *both = NULL;

	*ret = 0;
	if (r == NULL || r->numeric || (r->key != NULL && strcmp(r->key, key) != 0))
		return 0;
	if (r->key == NULL) {
		both = pgo_asprintf("%s:%s", key, value);
		if (both == NULL)
			return -1;
	}
	for (unsigned i = 0; i < r->n_re; i++)
		if (regexec(&r->re[i], both != NULL ? both : value, 0, NULL, 0) == 0)
			*ret |= 1u << i;
	pgo_free(both);
	return 0;
}

static const struct seen *look_up(const struct pgo_tags *t, struct pgo_tag_seen *c,
	const struct pgo_profile *head, const struct pgo_label *l)
{
	struct seen want = {l->key, l->str, 0, 0}, *to;
	const size_t key_size = offsetof(struct seen, focus);
	uint32_t i = pgo_map_find_key(&c->map, c->at, sizeof *c->at, &want, key_size);
	const char *key, *value;

	if (i != PGO_MAP_NONE)
		return &c->at[i];
	key = pgo_profile_str(head, l->key);
	value = pgo_profile_str(head, l->str);
	if (match_text(t->focus, key, value, &want.focus) < 0 ||
		match_text(t->ignore, key, value, &want.ignore) < 0)
		return NULL;
	to = PGO_VEC_PUSH(c->at, c->n, c->room);
	if (to == NULL)
		return NULL;
	*to = want;
	return pgo_map_add_key(&c->map, &want, key_size, (uint32_t)c->n - 1) < 0 ? NULL : to;
}

/* -1, 0, 1: how a value stands to a limit. */
static int compare(int64_t v, const struct pgo_unit *unit, bool known, int64_t limit,
	const struct pgo_unit *limit_unit, bool limit_known)
{
	__int128 a = v, b = limit;

	if (known && limit_known && unit->dimension == limit_unit->dimension) {
		a *= unit->factor;
		b *= limit_unit->factor;
	}
	return (a > b) - (a < b);
}

static bool match_number(
	const struct rule *r, const struct pgo_profile *head, const struct pgo_label *l)
{
	const char *key = pgo_profile_str(head, l->key);
	const char *unit = pgo_profile_str(head, l->num_unit);
	struct pgo_unit u;
	bool known;

	if (r->key != NULL && strcmp(r->key, key) != 0)
		return false;
	if (unit[0] == '\0')
		unit = strcmp(key, "request") == 0 || strcmp(key, "alignment") == 0 ? "bytes" : key;
	known = pgo_unit_find(unit, &u);
	return (!r->has_low ||
		       compare(l->num, &u, known, r->low, &r->low_unit, r->low_has_unit) >= 0) &&
	       (!r->has_high ||
		       compare(l->num, &u, known, r->high, &r->high_unit, r->high_has_unit) <= 0);
}

/* With a key any expression will do, without one each must match something. */
static bool fits(const struct rule *r, uint32_t matched, bool number)
{
	if (r->numeric)
		return number;
	return r->key != NULL ? matched != 0 : matched == (1u << r->n_re) - 1;
}

int pgo_tags_take(const struct pgo_tags *t, struct pgo_tag_seen *c, const struct pgo_profile *head,
	const struct pgo_sample *s)
{
	uint32_t focus = 0, ignore = 0;
	bool focus_number = false, ignore_number = false;

	for (uint32_t i = 0; i < s->n_label; i++) {
		const struct pgo_label *l = &s->label[i];

		if (l->str != 0) {
			const struct seen *seen = look_up(t, c, head, l);

			if (seen == NULL)
				return PGO_ENOMEM;
			focus |= seen->focus;
			ignore |= seen->ignore;
			continue;
		}
		if (t->focus != NULL && t->focus->numeric)
			focus_number = focus_number || match_number(t->focus, head, l);
		if (t->ignore != NULL && t->ignore->numeric)
			ignore_number = ignore_number || match_number(t->ignore, head, l);
	}
	return (t->focus == NULL || fits(t->focus, focus, focus_number)) &&
	       (t->ignore == NULL || !fits(t->ignore, ignore, ignore_number));
}
