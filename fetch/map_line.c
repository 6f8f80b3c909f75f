/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/map_line.h"

#include <string.h>

struct text {
	const char *at, *end;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex(struct text *t, uint64_t *ret)
{
	const char *start = t->at;

	*ret = 0;
	for (; t->at < t->end && digit(*t->at) >= 0 && t->at - start < 16; t->at++)
		*ret = *ret << 4 | (unsigned)digit(*t->at);
	return t->at > start;
}

static bool one(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static void blanks(struct text *t)
{
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\t'))
		t->at++;
}

/* Up to the next blank. */
static struct text field(struct text *t)
{
	struct text f;

	blanks(t);
	f.at = t->at;
	while (t->at < t->end && *t->at != ' ' && *t->at != '\t')
		t->at++;
	f.end = t->at;
	return f;
}

static bool copy(char *to, size_t room, struct text f)
{
	size_t n = (size_t)(f.end - f.at);

	if (n == 0 || n >= room)
		return false;
	memcpy(to, f.at, n);
	to[n] = '\0';
	return true;
}

/* "r-xp": four of rwxps- */
static bool is_perms(struct text f)
{
	if (f.end - f.at != 4)
		return false;
	for (const char *c = f.at; c < f.end; c++)
		if (strchr("rwxps-", *c) == NULL || *c == '\0')
			return false;
	return true;
}

/* perms offset device inode file */
static bool proc_form(struct text t, struct pgo_map_line *ret)
{
	struct text perms = field(&t), offset = field(&t);

	if (perms.at[2] != 'x' || !hex(&offset, &ret->map.pgoff) || offset.at != offset.end)
		return false;
	field(&t);
	field(&t);
	blanks(&t);
	return copy(ret->filename, sizeof ret->filename, t);
}

/* file [(@offset)] [build-id] */
static bool brief_form(struct text t, struct pgo_map_line *ret)
{
	struct text rest;

	if (!copy(ret->filename, sizeof ret->filename, field(&t)))
		return false;
	blanks(&t);
	rest = t;
	if (one(&rest, '(') && one(&rest, '@') && hex(&rest, &ret->map.pgoff) && one(&rest, ')'))
		t = rest;
	rest = field(&t);
	if (rest.at == rest.end)
		return true;
	for (const char *c = rest.at; c < rest.end; c++)
		if (digit(*c) < 0)
			return true;
	copy(ret->build_id, sizeof ret->build_id, rest);
	for (char *c = ret->build_id; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'F' ? *c | 0x20 : *c);
	return true;
}

bool pgo_map_line_parse(const char *line, size_t len, struct pgo_map_line *ret)
{
	struct text t = {line, line + len}, perms;
	uint64_t limit;

	memset(&ret->map, 0, sizeof ret->map);
	ret->filename[0] = ret->build_id[0] = '\0';
	if (len > 0 && line[len - 1] == '\r')
		t.end--;
	blanks(&t);
	if (!hex(&t, &ret->map.addr) || !one(&t, '-') || !hex(&t, &limit) || limit <= ret->map.addr)
		return false;
	one(&t, ':');
	ret->map.len = limit - ret->map.addr;
	perms = t;
	return is_perms(field(&perms)) ? proc_form(t, ret) : brief_form(t, ret);
}
