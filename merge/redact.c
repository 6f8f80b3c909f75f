/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/redact.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <fnmatch.h>
#include <regex.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_MIN 16
#define KEY_MAX 4096
#define RULES_MAX ((size_t)64 << 20)
#define HASH_PREFIX "h:"
#define HASH_DIGITS 32

struct pattern {
	char *glob; /* NULL: a regular expression */
	regex_t re;
};

struct patterns {
	struct pattern *at;
	size_t n, room;
};

struct pgo_redact {
	struct patterns deny, allow;
	struct pgo_buf key; /* empty = none */
	const struct pgo_tags *labels;
	bool all;
};

/* ---------------------------------------------------------------- rules */

struct pgo_redact *pgo_redact_new(struct pgo_err *err)
{
	struct pgo_redact *r = pgo_calloc(1, sizeof *r);

	if (r == NULL)
		pgo_err_nomem(err);
	else
		pgo_buf_init(&r->key, KEY_MAX);
	return r;
}

static void patterns_fini(struct patterns *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->at[i].glob == NULL)
			regfree(&p->at[i].re);
		pgo_free(p->at[i].glob);
	}
	pgo_free(p->at);
}

void pgo_redact_free(struct pgo_redact *r)
{
	if (r == NULL)
		return;
	patterns_fini(&r->deny);
	patterns_fini(&r->allow);
	if (r->key.data != NULL)
		explicit_bzero(r->key.data, r->key.len);
	pgo_buf_fini(&r->key);
	pgo_free(r);
}

int pgo_redact_add_pattern(
	struct pgo_redact *r, bool allow, const char *pattern, struct pgo_err *err)
{
	struct patterns *p = allow ? &r->allow : &r->deny;
	struct pattern one = {0};
	char why[200];
	int rc;

	if (pattern[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE, "an empty pattern fits nothing");
	if (PGO_VEC_RESERVE(p->at, p->room, p->n + 1) < 0)
		return pgo_err_nomem(err);
	if (pattern[0] == '~') {
		rc = regcomp(&one.re, pattern + 1, REG_EXTENDED | REG_NOSUB);
		if (rc != 0) {
			regerror(rc, &one.re, why, sizeof why);
			return pgo_err_set(err, PGO_EUSAGE, "%s: %s", pattern, why);
		}
	} else if ((one.glob = pgo_strdup(pattern)) == NULL) {
		return pgo_err_nomem(err);
	}
	p->at[p->n++] = one;
	return 0;
}

static int add_line(struct pgo_redact *r, char *line, struct pgo_err *err)
{
	bool allow = strncmp(line, "allow ", 6) == 0;
	size_t len = strlen(line);

	if (len != 0 && line[len - 1] == '\r')
		line[len - 1] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (!allow && strncmp(line, "deny ", 5) != 0)
		return pgo_err_set(err, PGO_EUSAGE, "neither `deny PATTERN` nor `allow PATTERN`");
	return pgo_redact_add_pattern(r, allow, line + (allow ? 6 : 5), err);
}

int pgo_redact_add_file(struct pgo_redact *r, const char *path, struct pgo_err *err)
{
	struct pgo_buf b;
	unsigned number = 1;
	int rc = pgo_file_read(path, RULES_MAX, &b, err);
	char *line, *end;

	if (rc < 0)
		return rc;
	for (line = b.data; rc == 0 && line != NULL && line < b.data + b.len; number++) {
		end = strchrnul(line, '\n');
		*end = '\0';
		rc = add_line(r, line, err);
		if (rc < 0)
			pgo_err_prefix(err, "%s:%u", path, number);
		line = end + 1;
	}
	pgo_buf_fini(&b);
	return rc;
}

int pgo_redact_set_key(struct pgo_redact *r, const char *path, struct pgo_err *err)
{
	struct stat st;
	int rc;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s holds a key, and others than its owner may open it (mode %03o); chmod "
			"600",
			path, (unsigned)(st.st_mode & 0777));
	rc = pgo_file_read(path, KEY_MAX, &r->key, err);
	if (rc < 0)
		return rc;
	if (r->key.len != 0 && r->key.data[r->key.len - 1] == '\n')
		r->key.len--;
	if (r->key.len < KEY_MIN)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: a key of %zu bytes can be guessed; make one of %d at least", path,
			r->key.len, KEY_MIN);
	return 0;
}

void pgo_redact_set_all(struct pgo_redact *r, bool all)
{
	r->all = all;
}

void pgo_redact_set_labels(struct pgo_redact *r, const struct pgo_tags *tags)
{
	r->labels = tags;
}

/* ---------------------------------------------------------------- names */

static bool fits(const struct patterns *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].glob != NULL ? fnmatch(p->at[i].glob, name, 0) == 0
					  : regexec(&p->at[i].re, name, 0, NULL, 0) == 0)
			return true;
	return false;
}

/* Nothing that a redaction wrote is hidden again. */
static bool is_written(const char *name)
{
	if (name[0] == '\0' || strcmp(name, PGO_REDACT_HIDDEN) == 0 ||
		strcmp(name, PGO_REDACT_RARE) == 0)
		return true;
	return strncmp(name, HASH_PREFIX, 2) == 0 && strlen(name) == 2 + HASH_DIGITS &&
	       strspn(name + 2, "0123456789abcdef") == HASH_DIGITS;
}

bool pgo_redact_hides(const struct pgo_redact *r, const char *name)
{
	if (is_written(name))
		return false;
	if (fits(&r->deny, name))
		return true;
	return r->allow.n != 0 ? !fits(&r->allow, name) : r->all && r->deny.n == 0;
}

/* The pseudo-function of branch records is no name of the program. */
static bool is_ours(const char *name)
{
	return strcmp(name, PGO_LBR_BRANCH_ONLY) == 0;
}

static void hash_name(
	const struct pgo_redact *r, const char *kind, const char *name, char ret[2 + 64 + 1])
{
	struct pgo_hmac_sha256 h;
	uint8_t digest[32];

	pgo_hmac_sha256_init(&h, r->key.data, r->key.len);
	pgo_hmac_sha256_add(&h, kind, strlen(kind) + 1); /* with its NUL: kinds never meet */
	pgo_hmac_sha256_add(&h, name, strlen(name));
	pgo_hmac_sha256_final(&h, digest);
	memcpy(ret, HASH_PREFIX, 2);
	pgo_sha256_hex(digest, ret + 2);
	ret[2 + HASH_DIGITS] = '\0';
}

/* The string that stands for a hidden name; PGO_STR_NONE when out of memory. */
static uint32_t cover(
	const struct pgo_redact *r, struct pgo_profile *p, const char *kind, const char *name)
{
	char text[2 + 64 + 1] = PGO_REDACT_HIDDEN;

	if (name[0] == '\0')
		return 0;
	if (r->key.len != 0)
		hash_name(r, kind, name, text);
	return pgo_strtab_puts(&p->strs, text);
}

/* ---------------------------------------------------------------- applying */

/* A file that stands alone; PGO_STR_NONE when out of memory. */
static uint32_t redact_file(const struct pgo_redact *r, struct pgo_profile *p, uint32_t file,
	bool with_function, struct pgo_redact_account *a)
{
	const char *name = pgo_profile_str(p, file);

	if (is_written(name) || (!with_function && !pgo_redact_hides(r, name)))
		return file;
	a->files_hidden++;
	return cover(r, p, "file", name);
}

static bool hides_function(
	const struct pgo_redact *r, const struct pgo_profile *p, const struct pgo_function *f)
{
	const char *name = pgo_profile_str(p, f->name);
	const char *system = pgo_profile_str(p, f->system_name);
	const char *file = pgo_profile_str(p, f->filename);
	bool allowed;

	if (is_ours(name))
		return false;
	if (is_written(name) && is_written(system))
		return false;
	if (fits(&r->deny, name) || fits(&r->deny, system) || fits(&r->deny, file))
		return true;
	allowed = fits(&r->allow, name) || fits(&r->allow, system) || fits(&r->allow, file);
	return r->allow.n != 0 ? !allowed : r->all && r->deny.n == 0;
}

/* An allowed function shows its other name and its file too, unless a pattern denies them. */
static int redact_function(const struct pgo_redact *r, const struct pgo_hosts *hosts,
	struct pgo_profile *p, size_t i, bool *ret_hidden, struct pgo_redact_account *a)
{
	struct pgo_function *f = &p->functions[i];
	const char *key = pgo_hosts_function(p, f);
	bool rare = hosts != NULL && !is_ours(key) && key[0] != '\0' &&
		    strcmp(key, PGO_REDACT_RARE) != 0 &&
		    pgo_hosts_of(hosts, key) < pgo_hosts_limit(hosts);

	*ret_hidden = rare || hides_function(r, p, f);
	if (!*ret_hidden)
		return 0;
	a->functions_rare += rare;
	a->functions_hidden += !rare;
	f->name = rare ? pgo_strtab_puts(&p->strs, PGO_REDACT_RARE) : cover(r, p, "function", key);
	f->system_name = f->name;
	f->filename = rare ? 0 : redact_file(r, p, f->filename, true, a);
	f->start_line = 0;
	return f->name == PGO_STR_NONE || f->filename == PGO_STR_NONE ? -1 : 0;
}

static int redact_functions(const struct pgo_redact *r, const struct pgo_hosts *hosts,
	struct pgo_profile *p, struct pgo_redact_account *a)
{
	bool *hidden = pgo_calloc(p->n_functions, sizeof *hidden);
	int rc = hidden != NULL ? 0 : -1;

	for (size_t i = 0; i < p->n_functions && rc == 0; i++)
		rc = redact_function(r, hosts, p, i, &hidden[i], a);
	for (size_t i = 0; i < p->n_lines && rc == 0; i++)
		if (hidden[p->lines[i].function])
			p->lines[i].line = p->lines[i].column = 0;
	a->functions += p->n_functions;
	pgo_free(hidden);
	return rc;
}

static bool is_origin(const char *comment, const char *head, const char *letters)
{
	size_t len = strlen(head);

	return strncmp(comment, head, len) == 0 &&
	       comment[len + strspn(comment + len, letters)] == '\0';
}

/* Digests of inputs and the days they are from say nothing else. */
static bool is_digest(const char *comment)
{
	return is_origin(comment, PGO_PPROF_INPUT, "0123456789abcdef#") ||
	       is_origin(comment, PGO_PPROF_DAY, "0123456789-");
}

static bool keeps_label(
	const struct pgo_redact *r, const struct pgo_profile *p, const struct pgo_label *l)
{
	return r->labels != NULL && pgo_tags_keep(r->labels, pgo_profile_str(p, l->key)) &&
	       !fits(&r->deny, pgo_profile_str(p, l->str));
}

static void redact_labels(
	const struct pgo_redact *r, struct pgo_profile *p, struct pgo_redact_account *a)
{
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_label *l = p->sample_labels + p->samples[i].first_label;
		uint32_t n = 0;

		for (uint32_t k = 0; k < p->samples[i].n_label; k++)
			if (keeps_label(r, p, &l[k]))
				l[n++] = l[k];
		a->labels_dropped += p->samples[i].n_label - n;
		p->samples[i].n_label = n;
	}
}

int pgo_redact_apply(const struct pgo_redact *r, const struct pgo_hosts *hosts,
	struct pgo_profile *p, struct pgo_redact_account *ret, struct pgo_err *err)
{
	struct pgo_redact_account a = {0};
	size_t n = 0;

	if (redact_functions(r, hosts, p, &a) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_mappings; i++) {
		struct pgo_mapping *m = &p->mappings[i];

		m->filename = redact_file(r, p, m->filename, false, &a);
		if (m->filename == PGO_STR_NONE)
			return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < p->n_functions; i++) {
		struct pgo_function *f = &p->functions[i];

		/* Of a function that is shown, what is denied is still not. */
		if (fits(&r->deny, pgo_profile_str(p, f->filename)))
			f->filename = redact_file(r, p, f->filename, true, &a);
		if (f->filename == PGO_STR_NONE)
			return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < p->n_comments; i++)
		if (is_digest(pgo_profile_str(p, p->comments[i])))
			p->comments[n++] = p->comments[i];
	a.comments_dropped = p->n_comments - n;
	p->n_comments = n;
	p->drop_frames = p->keep_frames = p->doc_url = 0;
	redact_labels(r, p, &a);
	*ret = a;
	return 0;
}

/* ---------------------------------------------------------------- proof */

struct check {
	const struct pgo_redact *r;
	const struct pgo_profile *p;
	pgo_redact_finding *each;
	void *ctx;
	uint64_t n;
	bool *said; /* per string: its place is one where it may be, or it was told */
};

static void found(struct check *c, const char *what, uint32_t str)
{
	char sentence[400];

	c->said[str] = true;
	c->n++;
	snprintf(sentence, sizeof sentence, "%s \"%.300s\"", what, pgo_profile_str(c->p, str));
	c->each(c->ctx, sentence);
}

static void check_functions(struct check *c)
{
	const struct pgo_profile *p = c->p;

	for (size_t i = 0; i < p->n_functions; i++) {
		const struct pgo_function *f = &p->functions[i];
		bool hidden = hides_function(c->r, p, f);

		if (hidden && !is_written(pgo_profile_str(p, f->name)))
			found(c, "the function", f->name);
		if (hidden && !is_written(pgo_profile_str(p, f->system_name)))
			found(c, "the linkage name", f->system_name);
		if ((hidden || fits(&c->r->deny, pgo_profile_str(p, f->filename))) &&
			!is_written(pgo_profile_str(p, f->filename)))
			found(c, "the source file", f->filename);
		if (!hidden) /* shown by the rules, each of them */
			c->said[f->name] = c->said[f->system_name] = c->said[f->filename] = true;
	}
	for (size_t i = 0; i < p->n_mappings; i++)
		if (pgo_redact_hides(c->r, pgo_profile_str(p, p->mappings[i].filename)))
			found(c, "the mapped file", p->mappings[i].filename);
}

static void check_label(struct check *c, const struct pgo_label *l)
{
	if (!keeps_label(c->r, c->p, l)) {
		if (!c->said[l->key])
			found(c, "the label", l->key);
		if (l->str != 0 && !c->said[l->str])
			found(c, "the value of a label", l->str);
		return;
	}
	c->said[l->key] = c->said[l->str] = c->said[l->num_unit] = true;
}

static void check_header(struct check *c)
{
	const struct pgo_profile *p = c->p;
	const uint32_t none[] = {p->drop_frames, p->keep_frames, p->doc_url};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (none[i] != 0)
			found(c, "the header field", none[i]);
	for (size_t i = 0; i < p->n_comments; i++) {
		if (!is_digest(pgo_profile_str(p, p->comments[i])))
			found(c, "the comment", p->comments[i]);
		c->said[p->comments[i]] = true;
	}
	for (size_t i = 0; i < p->n_sample_types; i++)
		c->said[p->sample_types[i].type] = c->said[p->sample_types[i].unit] = true;
	c->said[p->period_type.type] = c->said[p->period_type.unit] = true;
	c->said[p->default_sample_type] = true;
	for (size_t i = 0; i < p->n_mappings; i++)
		c->said[p->mappings[i].build_id] = true;
}

int pgo_redact_check(const struct pgo_redact *r, const struct pgo_profile *p,
	pgo_redact_finding *each, void *ctx, uint64_t *ret_findings, struct pgo_err *err)
{
	struct check c = {.r = r, .p = p, .each = each, .ctx = ctx};

	c.said = pgo_calloc(p->strs.n_strs, sizeof *c.said);
	if (c.said == NULL)
		return pgo_err_nomem(err);
	check_functions(&c);
	check_header(&c);
	for (size_t i = 0; i < p->n_sample_labels; i++)
		check_label(&c, &p->sample_labels[i]);
	/* What stands in the table of strings can be read, whether something names it or not. */
	for (uint32_t i = 0; i < p->strs.n_strs; i++) {
		const char *text = pgo_profile_str(p, i);

		if (!c.said[i] && !is_ours(text) && pgo_redact_hides(r, text))
			found(&c, "the string", i);
	}
	pgo_free(c.said);
	*ret_findings = c.n;
	return 0;
}
