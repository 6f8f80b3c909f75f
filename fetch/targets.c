/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/targets.h"

#include "fetch/http.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 64
#define GROUP_LABELS_MAX 256 /* with those that are left out */

/* ---------------------------------------------------------------- one target */

static void target_fini(struct pgo_target *t)
{
	for (size_t i = 0; i < t->n_labels; i++) {
		pgo_free(t->labels[i].key);
		pgo_free(t->labels[i].value);
	}
	pgo_free(t->labels);
	pgo_free(t->url);
	pgo_free(t->name);
}

static int add_label(
	struct pgo_target *t, const char *key, const char *value, size_t len, struct pgo_err *err)
{
	struct pgo_kv *kv = PGO_VEC_PUSH(t->labels, t->n_labels, t->labels_room);

	if (kv == NULL)
		return pgo_err_nomem(err);
	kv->key = pgo_strdup(key);
	kv->value = pgo_strndup(value, len);
	return kv->key != NULL && kv->value != NULL ? 0 : pgo_err_nomem(err);
}

static bool has_label(const struct pgo_target *t, const char *key)
{
	for (size_t i = 0; i < t->n_labels; i++)
		if (strcmp(t->labels[i].key, key) == 0)
			return true;
	return false;
}

/* Who it is, by the address that is asked: HOST:PORT of it, and HOST without brackets. */
static int add_own_labels(struct pgo_target *t, struct pgo_err *err)
{
	const char *host = strstr(t->name, "://"), *end;
	size_t len;
	int rc = 0;

	if (host == NULL)
		return 0;
	host += 3;
	len = strcspn(host, "/?#");
	if (!has_label(t, "instance"))
		rc = add_label(t, "instance", host, len, err);
	if (rc < 0 || has_label(t, "host") || has_label(t, "hostname") || has_label(t, "node"))
		return rc;
	if (host[0] == '[' && (end = memchr(host, ']', len)) != NULL)
		return add_label(t, "host", host + 1, (size_t)(end - host - 1), err);
	end = memchr(host, ':', len);
	return add_label(t, "host", host, end != NULL ? (size_t)(end - host) : len, err);
}

/* "HOST:PORT" with what is missing; NULL: memory. */
static char *authority(const struct pgo_target_rule *rule, const char *address)
{
	const char *colon = strchr(address, ':');
	bool bare_v6 = address[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL;
	bool has_port = !bare_v6 && strrchr(address, ':') != NULL &&
			strchr(strrchr(address, ':'), ']') == NULL;
	bool by_number =
		rule->port != NULL && strspn(rule->port, "0123456789") == strlen(rule->port);

	return pgo_asprintf("%s%s%s%s%s", bare_v6 ? "[" : "", address, bare_v6 ? "]" : "",
		!has_port && by_number ? ":" : "", !has_port && by_number ? rule->port : "");
}

/* A URL that ends with its host gets the rule's path. */
static char *whole_url(const struct pgo_target_rule *rule, const char *address)
{
	const char *host = strstr(address, "://");
	char *where, *url;

	if (host != NULL)
		return pgo_asprintf(
			"%s%s", address, strpbrk(host + 3, "/?") == NULL ? rule->path : "");
	where = authority(rule, address);
	url = where != NULL ? pgo_asprintf("%s://%s%s", rule->scheme, where, rule->path) : NULL;
	pgo_free(where);
	return url;
}

static int check_address(const char *address, struct pgo_err *err)
{
	const char *scheme = strstr(address, "://");
	bool known = scheme == NULL || strncmp(address, "http://", 7) == 0 ||
		     strncmp(address, "https://", 8) == 0;

	if (!known)
		return pgo_err_set(err, PGO_EFORMAT,
			"'%s' is no target: its address should begin with http:// or https://",
			address);
	for (const char *c = address; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == '"' || *c == '<' || *c == '>' || *c == '\\')
			known = false;
	scheme = scheme != NULL ? scheme + 3 : address;
	/* "::1" is a host, ":80" is not. */
	if (!known || (strcspn(scheme, "/?#:") == 0 && strncmp(address, "::", 2) != 0))
		return pgo_err_set(
			err, PGO_EFORMAT, "'%s' is no target: HOST, HOST:PORT or a URL", address);
	return 0;
}

int pgo_targets_add(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *address,
	const struct pgo_kv *labels, size_t n_labels, struct pgo_err *err)
{
	struct pgo_target *to;
	int rc = check_address(address, err);

	if (rc < 0)
		return rc;
	to = PGO_VEC_PUSH(t->of, t->n, t->room);
	if (to == NULL)
		return pgo_err_nomem(err);
	to->url = whole_url(rule, address);
	to->name = to->url != NULL ? pgo_http_redact(to->url) : NULL;
	if (to->name == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n_labels && rc == 0; i++)
		if (labels[i].value[0] != '\0')
			rc = add_label(
				to, labels[i].key, labels[i].value, strlen(labels[i].value), err);
	return rc == 0 ? add_own_labels(to, err) : rc;
}

/* ---------------------------------------------------------------- text */

/* Takes the next word of the line in place; NULL at its end. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, " \t\r,"), *end = word + strcspn(word, " \t\r,");

	if (*word == '\0' || *word == '#')
		return NULL;
	*line = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

static int parse_line(
	struct pgo_targets *t, const struct pgo_target_rule *rule, char *line, struct pgo_err *err)
{
	struct pgo_kv labels[LABELS_MAX];
	size_t n = 0;
	char *address = next_word(&line), *word;

	if (address == NULL)
		return 0;
	while ((word = next_word(&line)) != NULL) {
		char *eq = strchr(word, '=');

		if (eq == NULL || eq == word)
			return pgo_err_set(err, PGO_EFORMAT,
				"'%s' is no label: behind a target stand KEY=VALUE", word);
		if (n == LABELS_MAX)
			return pgo_err_set(err, PGO_ELIMIT, "more than %d labels", LABELS_MAX);
		*eq = '\0';
		labels[n++] = (struct pgo_kv){word, eq + 1};
	}
	return pgo_targets_add(t, rule, address, labels, n, err);
}

static int parse_text(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *name,
	const char *text, size_t len, struct pgo_err *err)
{
	unsigned number = 0;
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - text) - at : len - at;
		char *line = pgo_strndup(text + at, n);

		number++;
		rc = line != NULL ? parse_line(t, rule, line, err) : pgo_err_nomem(err);
		if (rc < 0)
			pgo_err_prefix(err, "%s, line %u", name, number);
		pgo_free(line);
		at += n + 1;
	}
	return rc;
}

/* ---------------------------------------------------------------- Prometheus */

/* A label of a group, with what it changes of the rule. */
static void heed(const char *key, const char *value, struct pgo_target_rule *rule)
{
	if (strcmp(key, "__scheme__") == 0 &&
		(strcmp(value, "http") == 0 || strcmp(value, "https") == 0))
		rule->scheme = value;
}

/* The rule's path with another number of seconds; NULL: memory. */
static char *with_seconds(const char *path, const char *seconds)
{
	const char *at = strstr(path, "seconds=");

	if (seconds == NULL || strspn(seconds, "0123456789") != strlen(seconds) || *seconds == 0)
		return pgo_strdup(path);
	if (at == NULL)
		return pgo_asprintf(
			"%s%cseconds=%s", path, strchr(path, '?') != NULL ? '&' : '?', seconds);
	return pgo_asprintf("%.*s%s%s", (int)(at - path) + 8, path, seconds,
		at + 8 + strspn(at + 8, "0123456789"));
}

static int parse_group(struct pgo_targets *t, const struct pgo_target_rule *base,
	const struct pgo_jval *group, struct pgo_err *err)
{
	const struct pgo_jval *targets = pgo_jval_get(group, "targets");
	const struct pgo_jval *said = pgo_jval_get(group, "labels");
	struct pgo_target_rule rule = *base;
	struct pgo_kv labels[LABELS_MAX];
	const char *seconds = NULL, *key;
	const struct pgo_jval *v;
	size_t n = 0;
	char *path;
	int rc = 0;

	if (targets == NULL)
		return pgo_err_set(err, PGO_EFORMAT, "a group has no \"targets\"");
	for (size_t i = 0; i < GROUP_LABELS_MAX && (v = pgo_jval_member(said, i, &key)) != NULL;
		i++) {
		const char *value = pgo_jval_str(v, NULL);

		if (value == NULL)
			continue;
		heed(key, value, &rule);
		if (strcmp(key, "__param_seconds") == 0)
			seconds = value;
		/* pgo_kv holds plain pointers; nothing is written through these. */
		if (strncmp(key, "__", 2) != 0 && n < LABELS_MAX)
			labels[n++] =
				(struct pgo_kv){(char *)(uintptr_t)key, (char *)(uintptr_t)value};
	}
	path = with_seconds(rule.path, seconds);
	if (path == NULL)
		return pgo_err_nomem(err);
	rule.path = path;
	for (size_t i = 0; i < pgo_jval_len(targets) && rc == 0; i++)
		rc = pgo_targets_add(
			t, &rule, pgo_jval_str(pgo_jval_at(targets, i), ""), labels, n, err);
	pgo_free(path);
	return rc;
}

static int parse_json(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *name,
	const char *text, size_t len, struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_jdoc_parse(name, text, len, err);
	int rc = 0;

	if (doc == NULL)
		return err != NULL ? err->code : PGO_EFORMAT;
	if (text[0] != '[')
		rc = pgo_targets_kube(t, rule, name, doc, err);
	for (size_t i = 0; i < pgo_jval_len(doc) && rc == 0; i++) {
		rc = parse_group(t, rule, pgo_jval_at(doc, i), err);
		if (rc < 0)
			pgo_err_prefix(err, "%s: group %zu", name, i);
	}
	pgo_jdoc_free(doc);
	return rc;
}

int pgo_targets_parse(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *name,
	const char *text, size_t len, struct pgo_err *err)
{
	while (len > 0 && strchr(" \t\r\n", text[0]) != NULL && text[0] != '\0') {
		text++;
		len--;
	}
	if (len > 0 && (text[0] == '{' || text[0] == '['))
		return parse_json(t, rule, name, text, len, err);
	return parse_text(t, rule, name, text, len, err);
}

/* ---------------------------------------------------------------- all of them */

static int cmp_names(const void *a, const void *b)
{
	const struct pgo_target *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : strcmp(x->url, y->url);
}

void pgo_targets_sort(struct pgo_targets *t)
{
	size_t n = 0;

	if (t->n > 0)
		qsort(t->of, t->n, sizeof *t->of, cmp_names);
	for (size_t i = 0; i < t->n; i++) {
		if (n > 0 && strcmp(t->of[n - 1].name, t->of[i].name) == 0)
			target_fini(&t->of[i]);
		else
			t->of[n++] = t->of[i];
	}
	t->n = n;
}

void pgo_targets_fini(struct pgo_targets *t)
{
	for (size_t i = 0; i < t->n; i++)
		target_fini(&t->of[i]);
	pgo_free(t->of);
	memset(t, 0, sizeof *t);
}
