/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/mkprofile.h"

#include "tests/lib/scratch.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 4096, VALUES = 64, LABELS = 64, LINES = 64, WORD = 4096 };

struct maker {
	struct pgo_profile *p;
	char **frames; /* text of each location */
	size_t n_frames, room;
	const char *line; /* the one being read, for messages */
};

static void bad(const struct maker *m, const char *why)
{
	fail_msg("mkprofile: %s: %s", why, m->line);
}

static uint32_t str(struct maker *m, const char *s)
{
	uint32_t id = pgo_strtab_puts(&m->p->strs, strcmp(s, "-") == 0 ? "" : s);

	assert_int_not_equal(id, PGO_STR_NONE);
	return id;
}

/* ---------------------------------------------------------------- words */

/* The next word up to one of `stops` (a blank always stops); \ takes the next character as it is if
 * `plain` is set, else is kept.  Returns the character it stopped at. */
static char take(const char **at, const char *stops, bool plain, char ret[WORD])
{
	const char *s = *at;
	size_t n = 0;

	while (*s != '\0' && *s != ' ' && strchr(stops, *s) == NULL) {
		if (*s == '\\' && s[1] != '\0') {
			if (!plain)
				ret[n++] = *s;
			s++;
		}
		assert_true(n + 2 < WORD);
		ret[n++] = *s++;
	}
	ret[n] = '\0';
	*at = *s != '\0' ? s + 1 : s;
	return *s;
}

static bool word(const char **at, char ret[WORD])
{
	while (**at == ' ')
		++*at;
	take(at, "", true, ret);
	return ret[0] != '\0';
}

static uint64_t hex(struct maker *m, const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 16);

	if (end == s || *end != '\0')
		bad(m, "not a hexadecimal number");
	return v;
}

static bool integer(const char *s, int64_t *ret)
{
	char *end;

	if (*s == '\0')
		return false;
	/* As many values are written as unsigned. */
	*ret = s[0] == '-' ? strtoll(s, &end, 10) : (int64_t)strtoull(s, &end, 10);
	return *end == '\0';
}

static int64_t number(struct maker *m, const char *s)
{
	int64_t v = 0;

	if (!integer(s, &v))
		bad(m, "not a number");
	return v;
}

/* ---------------------------------------------------------------- header lines */

static void split_type(struct maker *m, char *s, const char **ret_unit)
{
	char *slash = strchr(s, '/');

	if (slash == NULL) {
		bad(m, "a type is written NAME/UNIT");
		return;
	}
	*slash = '\0';
	*ret_unit = slash + 1;
}

static void mapping_line(struct maker *m, const char *at)
{
	struct pgo_mapping map = {0};
	char w[WORD];

	word(&at, w);
	map.start = hex(m, w);
	word(&at, w);
	map.limit = hex(m, w);
	word(&at, w);
	map.offset = hex(m, w);
	if (word(&at, w))
		map.filename = str(m, w);
	if (word(&at, w))
		map.build_id = str(m, w);
	if (word(&at, w)) {
		map.has_functions = strchr(w, 'f') != NULL;
		map.has_filenames = strchr(w, 'n') != NULL;
		map.has_line_numbers = strchr(w, 'l') != NULL;
		map.has_inline_frames = strchr(w, 'i') != NULL;
	}
	assert_int_not_equal(pgo_profile_add_mapping(m->p, &map), PGO_NONE);
}

static uint32_t function(struct maker *m, const char *name)
{
	struct pgo_function f = {.name = str(m, name), .system_name = str(m, name)};
	uint32_t i;

	for (i = 0; i < m->p->n_functions; i++)
		if (m->p->functions[i].name == f.name)
			return i;
	i = pgo_profile_add_function(m->p, &f);
	assert_int_not_equal(i, PGO_NONE);
	return i;
}

static void function_line(struct maker *m, const char *at)
{
	char w[WORD];
	uint32_t i;

	word(&at, w);
	i = function(m, w);
	if (word(&at, w))
		m->p->functions[i].filename = str(m, w);
	if (word(&at, w))
		m->p->functions[i].start_line = number(m, w);
}

static bool header_line(struct maker *m, const char *key, const char *at)
{
	struct pgo_profile *p = m->p;
	const char *unit = "";
	char w[WORD];

	if (strcmp(key, "mapping") == 0) {
		mapping_line(m, at);
	} else if (strcmp(key, "function") == 0) {
		function_line(m, at);
	} else if (strcmp(key, "type") == 0) {
		word(&at, w);
		split_type(m, w, &unit);
		assert_int_not_equal(pgo_profile_add_sample_type(p, w, unit), PGO_NONE);
	} else if (strcmp(key, "period") == 0) {
		word(&at, w);
		p->period = number(m, w);
		word(&at, w);
		split_type(m, w, &unit);
		p->period_type.type = str(m, w);
		p->period_type.unit = str(m, unit);
	} else if (strcmp(key, "time") == 0) {
		word(&at, w);
		p->time_ns = number(m, w);
	} else if (strcmp(key, "duration") == 0) {
		word(&at, w);
		p->duration_ns = number(m, w);
	} else if (strcmp(key, "comment") == 0) {
		assert_int_equal(pgo_profile_add_comment(p, at), 0);
	} else if (strcmp(key, "default") == 0) {
		p->default_sample_type = str(m, at);
	} else if (strcmp(key, "doc") == 0) {
		p->doc_url = str(m, at);
	} else if (strcmp(key, "drop") == 0) {
		p->drop_frames = str(m, at);
	} else if (strcmp(key, "keep") == 0) {
		p->keep_frames = str(m, at);
	} else {
		return false;
	}
	return true;
}

/* ---------------------------------------------------------------- frames */

static uint32_t mapping_of(const struct maker *m, uint64_t addr)
{
	for (uint32_t i = 0; i < m->p->n_mappings; i++)
		if (addr >= m->p->mappings[i].start && addr < m->p->mappings[i].limit)
			return i;
	return m->p->n_mappings != 0 ? 0 : PGO_NONE;
}

static uint32_t frame_lines(struct maker *m, const char *at, struct pgo_line lines[LINES])
{
	uint32_t n = 0;
	char w[WORD], stop;

	while (*at != '\0') {
		assert_true(n < LINES);
		stop = take(&at, "<:", true, w);
		lines[n] = (struct pgo_line){.function = function(m, w)};
		if (stop == ':') {
			take(&at, "<", true, w);
			lines[n].line = number(m, w);
		}
		n++;
	}
	return n;
}

static uint32_t frame(struct maker *m, const char *text)
{
	struct pgo_line lines[LINES];
	uint32_t mapping = PGO_NONE, n_lines, i;
	const char *at = text;
	uint64_t addr = 0;
	bool chosen;
	char w[WORD];

	for (i = 0; i < m->n_frames; i++)
		if (strcmp(m->frames[i], text) == 0)
			return i;
	chosen = take(&at, "@", false, w) == '@';
	if (chosen)
		mapping = (uint32_t)number(m, w) - 1; /* 0 - 1 = PGO_NONE */
	else
		at = text;
	if (strncmp(at, "0x", 2) == 0) {
		take(&at, "=", true, w);
		addr = hex(m, w);
		if (!chosen)
			mapping = mapping_of(m, addr);
	}
	n_lines = frame_lines(m, at, lines);
	i = pgo_profile_add_location(m->p, mapping, addr, lines, n_lines);
	assert_int_equal(i, m->n_frames);
	if (m->n_frames == m->room) {
		m->room = m->room != 0 ? m->room * 2 : 64;
		m->frames = realloc(m->frames, m->room * sizeof *m->frames);
		assert_non_null(m->frames);
	}
	m->frames[m->n_frames] = strdup(text);
	assert_non_null(m->frames[m->n_frames]);
	return (uint32_t)m->n_frames++;
}

/* ---------------------------------------------------------------- samples */

static struct pgo_label label(struct maker *m, const char *text)
{
	struct pgo_label l = {0};
	char key[WORD], w[WORD];
	const char *at = text;

	if (take(&at, "=:", true, key) == '=') {
		take(&at, "", true, w);
		l.str = str(m, w);
	} else {
		bool unit = take(&at, ":", true, w) == ':';

		l.num = number(m, w);
		if (unit && take(&at, "", true, w) == '\0')
			l.num_unit = str(m, w);
	}
	l.key = str(m, key);
	return l;
}

static void sample_line(struct maker *m, const char *at)
{
	struct pgo_label labels[LABELS];
	uint32_t loc[FRAMES];
	int64_t value[VALUES];
	struct pgo_sample s = {.loc = loc, .value = value, .label = labels};
	size_t n_values = 0;
	char w[WORD], stop;

	do {
		stop = take(&at, ";", false, w);
		assert_true(s.n_loc < FRAMES);
		if (strcmp(w, "-") != 0)
			loc[s.n_loc++] = frame(m, w);
	} while (stop == ';');
	for (uint32_t i = 0; i < s.n_loc / 2; i++) { /* leaf first */
		uint32_t swap = loc[i];

		loc[i] = loc[s.n_loc - 1 - i];
		loc[s.n_loc - 1 - i] = swap;
	}
	while (word(&at, w)) {
		int64_t v;

		assert_true(n_values < VALUES && s.n_label < LABELS);
		if (integer(w, &v))
			value[n_values++] = v;
		else
			labels[s.n_label++] = label(m, w);
	}
	if (m->p->n_sample_types == 0)
		pgo_profile_add_sample_type(m->p, "samples", "count");
	if (n_values != m->p->n_sample_types)
		bad(m, "wrong number of values");
	assert_int_equal(pgo_profile_add_sample(m->p, &s), 0);
}

struct pgo_profile *mkprofile(const char *text)
{
	struct maker m = {.p = pgo_profile_new(NULL)};
	char *copy = strdup(text), *rest = copy;

	assert_non_null(m.p);
	assert_non_null(copy);
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char key[WORD];
		const char *at = line;

		while (isspace((unsigned char)*line))
			line++;
		at = m.line = line;
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (take(&at, ";", true, key) != ' ' || !header_line(&m, key, at))
			sample_line(&m, line);
	}
	for (size_t i = 0; i < m.n_frames; i++)
		free(m.frames[i]);
	free(m.frames);
	free(copy);
	return m.p;
}

struct pgo_reader *mkreader(const char *text)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = pgo_profile_reader(mkprofile(text), "text", true, &err);

	if (r == NULL)
		fail_msg("mkreader: %s", err.msg);
	return r;
}

/* ---------------------------------------------------------------- back to text */

static void put_name(FILE *out, const char *name)
{
	for (; *name != '\0'; name++) {
		if (strchr(" ;@=<:\\", *name) != NULL)
			fputc('\\', out);
		fputc(*name, out);
	}
}

static void put_frame(FILE *out, const struct pgo_profile *p, uint32_t loc)
{
	const struct pgo_location *l = &p->locations[loc];

	if (l->mapping != PGO_NONE)
		fprintf(out, "%u@", l->mapping + 1);
	else if (l->addr != 0 && p->n_mappings != 0)
		fputs("0@", out); /* read back without it, it would get one */
	if (l->addr != 0)
		fprintf(out, "0x%" PRIx64 "%s", l->addr, l->n_lines != 0 ? "=" : "");
	for (uint32_t i = 0; i < l->n_lines; i++) {
		const struct pgo_line *line = &p->lines[l->first_line + i];

		if (i != 0)
			fputc('<', out);
		put_name(out, pgo_profile_str(p, p->functions[line->function].name));
		if (line->line != 0)
			fprintf(out, ":%" PRId64, line->line);
	}
}

static void put_label(FILE *out, const struct pgo_profile *p, const struct pgo_label *l)
{
	fputc(' ', out);
	put_name(out, pgo_profile_str(p, l->key));
	if (l->str != 0) {
		fputc('=', out);
		put_name(out, pgo_profile_str(p, l->str));
		return;
	}
	fprintf(out, ":%" PRId64, l->num);
	if (l->num_unit != 0) {
		fputc(':', out);
		put_name(out, pgo_profile_str(p, l->num_unit));
	}
}

char *profile_lines(struct pgo_reader *r)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_sample s;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int rc;

	assert_non_null(out);
	while ((rc = pgo_reader_next(r, &s, &err)) > 0) {
		if (s.n_loc == 0)
			fputc('-', out);
		for (uint32_t i = s.n_loc; i-- > 0;) {
			put_frame(out, r->head, s.loc[i]);
			if (i != 0)
				fputc(';', out);
		}
		for (size_t i = 0; i < r->head->n_sample_types; i++)
			fprintf(out, " %" PRId64, s.value[i]);
		for (uint32_t i = 0; i < s.n_label; i++)
			put_label(out, r->head, &s.label[i]);
		fputc('\n', out);
	}
	fclose(out);
	if (rc < 0)
		fail_msg("profile_lines: %s", err.msg);
	return text;
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *profile_sorted_lines(struct pgo_reader *r)
{
	char *text = profile_lines(r), *rest = text, *line, *sorted = NULL;
	size_t n = 0, i = 0, len = 0;
	char **lines;
	FILE *out = open_memstream(&sorted, &len);

	assert_non_null(out);
	for (const char *c = text; *c != '\0'; c++)
		n += *c == '\n';
	lines = calloc(n + 1, sizeof *lines);
	assert_non_null(lines);
	while (i < n && (line = strsep(&rest, "\n")) != NULL)
		lines[i++] = line;
	qsort(lines, n, sizeof *lines, line_cmp);
	for (i = 0; i < n; i++)
		fprintf(out, "%s\n", lines[i]);
	fclose(out);
	free(lines);
	free(text);
	return sorted;
}
