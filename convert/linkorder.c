/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/linkorder.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

#define NAMES_BUDGET ((size_t)4 << 30)
#define HOT ".text.hot."
#define PLAIN ".text."
#define LD_HEAD ".text : {\n"
#define LD_TAIL "}\n"

static const char *const form_names[] = {"lld", "gold", "gnu-ld", "calls"};

int pgo_link_form_parse(const char *name, enum pgo_link_form *ret, struct pgo_err *err)
{
	*ret = PGO_LINK_LLD;
	if (name == NULL || name[0] == '\0')
		return 0;
	for (size_t i = PGO_LINK_LLD; i <= PGO_LINK_GNU_LD; i++)
		if (strcmp(name, form_names[i]) == 0) {
			*ret = (enum pgo_link_form)i;
			return 0;
		}
	return pgo_err_set(err, PGO_EUSAGE,
		"'%s' is no linker that takes an order of symbols; use lld, gold or gnu-ld", name);
}

const char *pgo_link_form_name(enum pgo_link_form form)
{
	return form_names[form];
}

int pgo_linkorder_init(struct pgo_linkorder *l, struct pgo_err *err)
{
	*l = (struct pgo_linkorder){0};
	return pgo_strtab_init(&l->strs, NAMES_BUDGET) < 0 ? pgo_err_nomem(err) : 0;
}

void pgo_linkorder_fini(struct pgo_linkorder *l)
{
	pgo_strtab_fini(&l->strs);
	pgo_free(l->lines);
	*l = (struct pgo_linkorder){0};
}

/* Blanks at the ends are trimmed by the linker, '#' begins a comment, sections may be patterns. */
static bool fits(enum pgo_link_form form, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || name[0] == '#' || strpbrk(name, "\n\r\t") != NULL || name[0] == ' ' ||
		name[len - 1] == ' ')
		return false;
	switch (form) {
	case PGO_LINK_CALLS:
		return strchr(name, ' ') == NULL;
	case PGO_LINK_GOLD:
		return strpbrk(name, "*?[\\ ") == NULL && strncmp(name, "hot.", 4) != 0;
	case PGO_LINK_GNU_LD:
		return strpbrk(name, "*?[\\ \"(){};,") == NULL;
	case PGO_LINK_LLD:
		break;
	}
	return true;
}

int pgo_linkorder_add(struct pgo_linkorder *l, enum pgo_link_form form, const char *name,
	const char *to, uint64_t count)
{
	size_t known = l->strs.n_strs;
	struct pgo_link_line line = {.count = count};
	struct pgo_link_line *p;

	if (!fits(form, name) || (to != NULL && !fits(form, to))) {
		l->n_unfit++;
		return 0;
	}
	line.name = pgo_strtab_puts(&l->strs, name);
	if (to == NULL &&
		line.name < known) /* an alias of local functions: the first place counts */
		return 0;
	if (to != NULL)
		line.to = pgo_strtab_puts(&l->strs, to);
	if (line.name == PGO_STR_NONE || line.to == PGO_STR_NONE)
		return PGO_ENOMEM;
	p = PGO_VEC_PUSH(l->lines, l->n_lines, l->lines_room);
	if (p == NULL)
		return PGO_ENOMEM;
	*p = line;
	return 0;
}

int pgo_linkorder_write(const struct pgo_linkorder *l, enum pgo_link_form form, struct pgo_buf *out,
	struct pgo_err *err)
{
	if (l->n_lines == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			form == PGO_LINK_CALLS ? "no call between two functions was recorded"
					       : "no function has a count");
	if (form == PGO_LINK_GNU_LD)
		pgo_buf_puts(out, LD_HEAD);
	for (size_t i = 0; i < l->n_lines; i++) {
		const struct pgo_link_line *line = &l->lines[i];
		const char *name = pgo_strtab_get(&l->strs, line->name);

		switch (form) {
		case PGO_LINK_LLD:
			pgo_buf_printf(out, "%s\n", name);
			break;
		case PGO_LINK_GOLD:
			pgo_buf_printf(out, HOT "%s\n" PLAIN "%s\n", name, name);
			break;
		case PGO_LINK_GNU_LD:
			pgo_buf_printf(out, "*(\"" HOT "%s\" \"" PLAIN "%s\")\n", name, name);
			break;
		case PGO_LINK_CALLS:
			pgo_buf_printf(out, "%s %s %" PRIu64 "\n", name,
				pgo_strtab_get(&l->strs, line->to), line->count);
			break;
		}
	}
	if (form == PGO_LINK_GNU_LD)
		pgo_buf_puts(out, LD_TAIL);
	return pgo_buf_check(out, "the order for the linker", err);
}

/* ------------------------------------------------------------------ reading */

/* Text between a prefix and a suffix, or NULL. */
static const char *between(
	const char *s, size_t len, const char *head, const char *tail, size_t *ret_len)
{
	size_t h = strlen(head), t = strlen(tail);

	if (len <= h + t || memcmp(s, head, h) != 0 || memcmp(s + len - t, tail, t) != 0)
		return NULL;
	*ret_len = len - h - t;
	return s + h;
}

static bool parse_count(const char *s, size_t len, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*ret = v;
	return len != 0;
}

/* One line -> names (NUL-terminated in `text`); false: not such a line; `*ret_skip`: nothing in it. */
static bool parse_line(enum pgo_link_form form, char *s, size_t len, char **ret_name, char **ret_to,
	uint64_t *ret_count, bool *ret_skip)
{
	const char *name;
	char *blank, *second;
	size_t n;

	*ret_name = s;
	*ret_to = NULL;
	*ret_skip = len == 0;
	*ret_count = 0;
	switch (form) {
	case PGO_LINK_LLD:
		*ret_skip |= s[0] == '#';
		return true;
	case PGO_LINK_GOLD:
		*ret_skip |= between(s, len, HOT, "", &n) != NULL;
		name = between(s, len, PLAIN, "", &n);
		*ret_name = s + (sizeof PLAIN - 1);
		return *ret_skip || name != NULL;
	case PGO_LINK_GNU_LD:
		*ret_skip |= strcmp(s, ".text : {") == 0 || strcmp(s, "}") == 0;
		name = between(s, len, "*(\"" HOT, "\")", &n);
		if (*ret_skip || name == NULL)
			return *ret_skip;
		*ret_name = s + (name - s);
		second = strchr(*ret_name, '"');
		if (second == NULL)
			return false;
		*second = '\0';
		return true;
	case PGO_LINK_CALLS:
		*ret_skip |= s[0] == '#';
		blank = strchr(s, ' ');
		second = blank != NULL ? strchr(blank + 1, ' ') : NULL;
		if (*ret_skip || second == NULL)
			return *ret_skip;
		*blank = *second = '\0';
		*ret_to = blank + 1;
		return parse_count(second + 1, strlen(second + 1), ret_count);
	}
	return false;
}

int pgo_linkorder_read(struct pgo_linkorder *l, enum pgo_link_form form, const char *what,
	const void *data, size_t len, struct pgo_err *err)
{
	const char *s = data;
	size_t line = 0;
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0;) {
		const char *nl = memchr(s + at, '\n', len - at);
		size_t n = nl != NULL ? (size_t)(nl - s) - at : len - at;
		char *text = pgo_strndup(s + at, n), *name, *to;
		uint64_t count;
		bool skip;

		line++;
		if (text == NULL)
			return pgo_err_nomem(err);
		if (!parse_line(form, text, strlen(text), &name, &to, &count, &skip))
			rc = pgo_err_set(err, PGO_EFORMAT, "%s, line %zu: not a line of %s", what,
				line, form_names[form]);
		else if (!skip && pgo_linkorder_add(l, form, name, to, count) < 0)
			rc = pgo_err_nomem(err);
		pgo_free(text);
		at += n + 1;
	}
	return rc;
}
