/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/applied.h"

#include "convert/lines.h"
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"
#include "verify/applied_code.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS ((size_t)4 << 30)
/* Less than this share of what counts is nothing; from the other on it is most. */
#define NOTHING 0.05
#define MOST 0.50
#define HOT 0.99

static const char *const names[] = {"applied", "partly", "nothing", "untold"};

const char *pgo_applied_name(enum pgo_applied_result r)
{
	return r <= PGO_APPLIED_UNTOLD ? names[r] : "?";
}

/* ---- what the binary was told */

static const char *const profile_options[] = {"-fauto-profile", "-fprofile-use",
	"-fprofile-sample-use", "-fprofile-instr-use", "-fbranch-probabilities", "-Cprofile-use",
	"-Cprofile-sample-use", "-Zprofile-sample-use", "-pgo="};

/* The first option of profile use in a command line: its length, 0 if there is none. */
static size_t find_option(const char *text, const char **ret)
{
	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, " \n\t");

		for (size_t i = 0; i < sizeof profile_options / sizeof profile_options[0]; i++) {
			size_t n = strlen(profile_options[i]);

			if (len >= n && strncmp(p, profile_options[i], n) == 0) {
				*ret = p;
				return len;
			}
		}
		p += len + strspn(p + len, " \n\t");
	}
	return 0;
}

struct producer {
	char *name;
	uint64_t units;
};

struct telling {
	struct pgo_applied_side *side;
	struct producer *p;
	size_t n, room;
};

static int take_option(struct pgo_applied_side *side, const char *text)
{
	const char *option = NULL;
	size_t len = find_option(text, &option);

	side->units_told += len != 0;
	if (len == 0 || side->option != NULL)
		return 0;
	side->option = pgo_strndup(option, len);
	return side->option != NULL ? 0 : -1;
}

/* "GNU C17 12.2.0 -mtune=... -O2": who it is ends where the options begin. */
static int take_producer(void *ctx, const char *text)
{
	struct telling *t = ctx;
	const char *end = strstr(text, " -"), *path = strstr(text, " /");
	size_t len;

	end = end == NULL || (path != NULL && path < end) ? path : end;
	len = end != NULL ? (size_t)(end - text) : strlen(text);
	t->side->units++;
	t->side->options_recorded |= end != NULL;
	if (take_option(t->side, text) < 0)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		if (strlen(t->p[i].name) == len && memcmp(t->p[i].name, text, len) == 0) {
			t->p[i].units++;
			return 0;
		}
	}
	if (PGO_VEC_RESERVE(t->p, t->room, t->n + 1) < 0)
		return -1;
	t->p[t->n] = (struct producer){pgo_strndup(text, len), 1};
	return t->p[t->n++].name != NULL ? 0 : -1;
}

static int by_units(const void *pa, const void *pb)
{
	const struct producer *a = pa, *b = pb;

	if (a->units != b->units)
		return a->units > b->units ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int name_compilers(struct telling *t)
{
	struct pgo_buf out;

	if (t->n != 0)
		qsort(t->p, t->n, sizeof *t->p, by_units);
	pgo_buf_init(&out, 1 << 12);
	for (size_t i = 0; i < t->n && i < 5; i++)
		pgo_buf_printf(&out, "%s%s (%" PRIu64 " unit%s)", i != 0 ? ", " : "",
			t->p[i].name[0] != '\0' ? t->p[i].name : "unknown", t->p[i].units,
			t->p[i].units != 1 ? "s" : "");
	t->side->compilers = pgo_strdup(out.data != NULL ? out.data : "");
	pgo_buf_fini(&out);
	return t->side->compilers != NULL ? 0 : -1;
}

/* Strings of .GCC.command.line: one a unit, each with its NUL. */
static int read_command_lines(struct pgo_applied_side *side, const struct pgo_elf *e)
{
	size_t len, one;
	const char *p = (const char *)pgo_elf_section_data(e, ".GCC.command.line", &len);
	uint64_t told = side->units_told;

	for (size_t at = 0; p != NULL && at < len; at += one + 1) {
		char *line;
		int rc;

		one = strnlen(p + at, len - at);
		if (one == 0)
			continue;
		side->options_recorded = true;
		line = pgo_strndup(p + at, one);
		rc = line != NULL ? take_option(side, line) : -1;
		pgo_free(line);
		if (rc < 0)
			return -1;
	}
	/* The same units, told twice. */
	side->units_told = told != 0 ? told : side->units_told;
	return 0;
}

/* llvm-bolt's note: "BOLT revision: ..., command line: ...". */
static int read_bolt(struct pgo_applied_side *side, const struct pgo_elf *e)
{
	size_t len;
	const char *p = (const char *)pgo_elf_section_data(e, ".note.bolt_info", &len);
	const char *text = p != NULL ? memmem(p, len, "BOLT", 4) : NULL;

	if (text != NULL)
		side->bolt = pgo_strndup(text, strnlen(text, len - (size_t)(text - p)));
	else
		side->bolt = pgo_strdup(
			pgo_elf_section(e, ".bolt.org.text") != NULL ? "BOLT, without a note" : "");
	return side->bolt != NULL ? 0 : -1;
}

static int read_told(struct pgo_applied_side *side, const struct pgo_elf *e,
	const struct pgo_debug_places *where)
{
	struct telling t = {.side = side};
	int rc = pgo_lines_producers(e, where, take_producer, &t, NULL);

	/* Without debug information nothing is said, which is no error. */
	rc = rc == PGO_ENOMEM ? -1 : 0;
	if (rc == 0)
		rc = name_compilers(&t);
	if (rc == 0)
		rc = read_command_lines(side, e);
	if (rc == 0)
		rc = read_bolt(side, e);
	if (rc == 0 && side->option == NULL)
		side->option = pgo_strdup("");
	for (size_t i = 0; i < t.n; i++)
		pgo_free(t.p[i].name);
	pgo_free(t.p);
	return rc < 0 || side->option == NULL ? -1 : 0;
}

/* ---- both sides */

struct matter { /* what counts: a function and its mass */
	uint32_t name;
	double mass;
};

struct laying {
	const struct pgo_applied_options *o;
	struct pgo_applied *ret;
	struct pgo_strtab own, *strs;
	struct pgo_elf *elf[2];
	struct pgo_bodies code[2];
	struct matter *matter;
	size_t n, room;
	double total;
	uint32_t *inlined; /* names, sorted; of bodies inlined after */
	size_t n_inlined, inlined_room;
};

static int read_side(struct laying *l, size_t i, const char *path, struct pgo_err *err)
{
	struct pgo_applied_side *side = i == 0 ? &l->ret->before : &l->ret->after;
	int rc;

	l->elf[i] = pgo_elf_open(path, err);
	if (l->elf[i] == NULL)
		return err != NULL && err->code != PGO_OK ? (int)err->code : PGO_EIO;
	side->name = pgo_strdup(pgo_path_base(path));
	memcpy(side->build_id, l->elf[i]->build_id, sizeof side->build_id);
	if (side->name == NULL || read_told(side, l->elf[i], l->o->where) < 0)
		return pgo_err_nomem(err);
	rc = pgo_bodies_read(&l->code[i], l->elf[i], l->strs, err);
	side->functions = l->code[i].n;
	side->text = l->code[i].text;
	side->cold_parts = l->code[i].cold_parts;
	side->cold_bytes = l->code[i].cold_bytes;
	side->hot_section = l->code[i].hot_section;
	side->cold_section = l->code[i].cold_section;
	return rc;
}

static int by_id(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return (a > b) - (a < b);
}

static int by_matter_name(const void *pa, const void *pb)
{
	return by_id(&((const struct matter *)pa)->name, &((const struct matter *)pb)->name);
}

static int by_mass(const void *pa, const void *pb)
{
	const struct matter *a = pa, *b = pb;

	if (a->mass != b->mass)
		return a->mass > b->mass ? -1 : 1;
	return by_id(&a->name, &b->name);
}

static int push_matter(struct laying *l, uint32_t name, double mass)
{
	struct matter *m = name != PGO_STR_NONE ? PGO_VEC_PUSH(l->matter, l->n, l->room) : NULL;

	if (m == NULL)
		return -1;
	*m = (struct matter){name, mass};
	l->total += mass;
	return 0;
}

/* By the profile if there is one, else by the bytes before. */
static int list_matter(struct laying *l)
{
	const struct pgo_fit_view *p = l->o->profile;
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; p != NULL && i < p->symbols.n && rc == 0; i++)
		rc = push_matter(l,
			pgo_body_name(l->strs, pgo_strtab_get(l->strs, p->symbols.row[i].name)),
			(double)p->symbols.row[i].mass);
	for (size_t i = 0; p == NULL && i < l->code[0].n && rc == 0; i++)
		rc = push_matter(l, l->code[0].fn[i].name, (double)l->code[0].fn[i].size);
	if (rc < 0 || l->n == 0)
		return rc;
	qsort(l->matter, l->n, sizeof *l->matter, by_matter_name);
	for (size_t i = 0; i < l->n; i++) {
		if (n > 0 && l->matter[n - 1].name == l->matter[i].name)
			l->matter[n - 1].mass += l->matter[i].mass;
		else
			l->matter[n++] = l->matter[i];
	}
	l->n = n;
	qsort(l->matter, l->n, sizeof *l->matter, by_mass);
	return 0;
}

/* Which functions have bodies inlined somewhere after?  Only debug information knows. */
static int list_inlined(struct laying *l)
{
	struct pgo_lines *lines = pgo_lines_open_target(l->elf[1], l->o->where, l->strs, NULL);
	int rc = 0;

	for (size_t i = 0; lines != NULL && i < pgo_lines_n_nodes(lines) && rc == 0; i++) {
		const struct pgo_lines_node *d = pgo_lines_node(lines, (uint32_t)i);
		uint32_t name, *x;

		if (d->parent == UINT32_MAX)
			continue;
		name = pgo_body_name(l->strs, pgo_strtab_get(l->strs, d->name));
		x = name != PGO_STR_NONE ? PGO_VEC_PUSH(l->inlined, l->n_inlined, l->inlined_room)
					 : NULL;
		rc = x != NULL ? 0 : -1;
		if (x != NULL)
			*x = name;
	}
	pgo_lines_close(lines);
	if (l->n_inlined != 0)
		qsort(l->inlined, l->n_inlined, sizeof *l->inlined, by_id);
	return rc;
}

/* ---- laying one over the other */

static bool is_same(const struct pgo_body *a, const struct pgo_body *b)
{
	return a != NULL && a->hash == b->hash && a->size == b->size;
}

static int tell_top(struct laying *l, const struct matter *m, const struct pgo_body *a,
	const struct pgo_body *b, double share)
{
	struct pgo_applied *r = l->ret;
	struct pgo_applied_function *f;

	if (r->n_top == PGO_APPLIED_TOP)
		return 0;
	f = &r->top[r->n_top];
	*f = (struct pgo_applied_function){.name = pgo_strdup(pgo_strtab_get(l->strs, m->name)),
		.before = a != NULL ? a->size : 0,
		.after = b != NULL ? b->size : 0,
		.share = share,
		.same = b != NULL && is_same(a, b),
		.straight = b != NULL && is_same(a, b) && !a->branches};
	if (f->name == NULL)
		return -1;
	r->n_top++;
	return 0;
}

static int judge_function(struct laying *l, const struct matter *m, double *hot)
{
	struct pgo_applied *r = l->ret;
	const struct pgo_body *a = pgo_bodies_find(&l->code[0], m->name);
	const struct pgo_body *b = pgo_bodies_find(&l->code[1], m->name);
	double share = l->total > 0 ? m->mass / l->total : 0;

	if (b != NULL) {
		r->in_hot_section += b->section == 1 ? share : 0;
		r->rewritten += b->section != 3 ? share : 0;
	}
	if (*hot < HOT && l->o->profile != NULL) {
		r->before.hot_bytes += a != NULL ? a->size - a->cold : 0;
		r->after.hot_bytes += b != NULL ? b->size - b->cold : 0;
	}
	*hot += share;
	if (b == NULL &&
		bsearch(&m->name, l->inlined, l->n_inlined, sizeof m->name, by_id) != NULL) {
		r->inlined += share;
		r->functions_inlined++;
	} else if (b == NULL) {
		r->gone += share;
		r->functions_gone++;
	} else if (is_same(a, b) && !a->branches) {
		r->straight += share;
		r->functions_straight++;
	} else if (is_same(a, b)) {
		r->same += share;
		r->functions_same++;
	} else {
		r->changed += share;
		r->functions_changed++;
	}
	return tell_top(l, m, a, b, share);
}

static int lay(struct laying *l)
{
	double hot = 0;

	for (size_t i = 0; i < l->n; i++)
		if (judge_function(l, &l->matter[i], &hot) < 0)
			return -1;
	for (size_t i = 0; i < l->code[1].n; i++)
		l->ret->functions_new +=
			pgo_bodies_find(&l->code[0], l->code[1].fn[i].name) == NULL;
	l->ret->rewritten = l->ret->after.bolt[0] != '\0' ? l->ret->rewritten : 0;
	return 0;
}

/* ---- the verdict */

/* Of what a profile could change, what is not as it was. */
static double affected(const struct pgo_applied *r)
{
	double could = r->same + r->changed + r->inlined + r->gone;

	return could > 0.01 ? (r->changed + r->inlined) / could : r->changed + r->inlined;
}

static void judge(struct pgo_applied *r)
{
	bool bolted = r->after.bolt[0] != '\0' && strcmp(r->after.bolt, r->before.bolt) != 0;
	bool told = bolted || r->after.option[0] != '\0';
	double other = affected(r);

	if (other < NOTHING && !(bolted && r->rewritten >= MOST))
		r->result = PGO_APPLIED_NOTHING;
	else if (!told)
		r->result = PGO_APPLIED_UNTOLD;
	else
		r->result = other >= MOST ? PGO_APPLIED : PGO_APPLIED_PARTLY;
}

static int write_sentence(struct pgo_applied *r)
{
	const char *of = r->by_mass ? "the counts" : "the code";
	const char *who = r->after.bolt[0] != '\0' ? "llvm-bolt" : r->after.option;
	double other = affected(r) * 100;

	switch (r->result) {
	case PGO_APPLIED:
	case PGO_APPLIED_PARTLY:
		r->sentence = pgo_asprintf("The profile was applied%s (%s): of %s in functions "
					   "that branch or call, %.1f %% "
					   "belong to code that is not what it was%s.",
			r->result == PGO_APPLIED ? "" : " in part", who, of, other,
			other < NOTHING * 100 ? ", and functions were moved" : "");
		break;
	case PGO_APPLIED_NOTHING:
		r->sentence = pgo_asprintf(
			"The profile did nothing: of %s in functions that branch or call, %.1f %% "
			"belong "
			"to code that is the same, instruction for instruction%s%s%s%s.",
			of, 100 - other - (r->gone > 0 ? r->gone * 100 : 0),
			r->gone > NOTHING ? ", and of others to functions that are not in it" : "",
			who[0] != '\0' ? "; it was given one ("
				       : "; nothing says that it was given one",
			who, who[0] != '\0' ? "), whose names or lines do not fit" : "");
		break;
	case PGO_APPLIED_UNTOLD:
		r->sentence = pgo_asprintf("Of %s in functions that branch or call, %.1f %% belong "
					   "to code that is not what "
					   "it was, and nothing says that a profile did it%s.",
			of, other,
			r->after.options_recorded
				? ": the options that are recorded use none"
				: ": the compiler's options are not recorded (clang: "
				  "-grecord-command-line; gcc: -g)");
	}
	return r->sentence != NULL ? 0 : -1;
}

static int add_gates(
	struct pgo_applied *r, const struct pgo_gate_limits *limits, struct pgo_err *err)
{
	double other = affected(r) * 100;
	double grown = r->before.text != 0
			       ? 100 * ((double)r->after.text / (double)r->before.text - 1)
			       : 0;
	int rc;

	/* llvm-bolt may do no more than move functions. */
	if (r->after.bolt[0] != '\0' && r->rewritten * 100 > other)
		other = r->rewritten * 100;
	rc = pgo_gates_measure(&r->gates, limits, "applied", other, err, "%s", r->sentence);
	if (rc < 0)
		return rc;
	return pgo_gates_measure(&r->gates, limits, "text", grown, err,
		"functions have %" PRIu64 " bytes of code and had %" PRIu64, r->after.text,
		r->before.text);
}

static int find(struct laying *l, struct pgo_err *err)
{
	int rc = read_side(l, 0, l->o->before, err);

	if (rc == 0)
		rc = read_side(l, 1, l->o->after, err);
	if (rc < 0)
		return rc;
	if (l->elf[0]->machine != l->elf[1]->machine)
		return pgo_err_set(err, PGO_EMISMATCH, "%s and %s are for different machines",
			l->o->before, l->o->after);
	if (list_matter(l) < 0 || list_inlined(l) < 0 || lay(l) < 0)
		return pgo_err_nomem(err);
	judge(l->ret);
	if (write_sentence(l->ret) < 0)
		return pgo_err_nomem(err);
	return add_gates(l->ret, l->o->limits, err);
}

int pgo_applied_find(
	const struct pgo_applied_options *o, struct pgo_applied *ret, struct pgo_err *err)
{
	struct laying l = {.o = o, .ret = ret, .strs = o->strs};
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_gates_init(&ret->gates);
	ret->by_mass = o->profile != NULL;
	if (l.strs == NULL) {
		if (pgo_strtab_init(&l.own, STRINGS) < 0)
			return pgo_err_nomem(err);
		l.strs = &l.own;
	}
	rc = find(&l, err);
	for (size_t i = 0; i < 2; i++) {
		pgo_bodies_fini(&l.code[i]);
		pgo_elf_close(l.elf[i]);
	}
	pgo_free(l.matter);
	pgo_free(l.inlined);
	if (l.strs == &l.own)
		pgo_strtab_fini(&l.own);
	if (rc < 0)
		pgo_applied_fini(ret);
	return rc;
}

static void side_fini(struct pgo_applied_side *s)
{
	pgo_free(s->name);
	pgo_free(s->compilers);
	pgo_free(s->option);
	pgo_free(s->bolt);
}

char *pgo_program_compilers(const struct pgo_elf *e, const struct pgo_debug_places *where)
{
	struct pgo_applied_side side = {0};
	char *ret = NULL;

	if (read_told(&side, e, where) == 0) {
		ret = side.compilers;
		side.compilers = NULL;
	}
	side_fini(&side);
	return ret;
}

void pgo_applied_fini(struct pgo_applied *a)
{
	side_fini(&a->before);
	side_fini(&a->after);
	pgo_free(a->sentence);
	for (size_t i = 0; i < a->n_top; i++)
		pgo_free(a->top[i].name);
	pgo_gates_fini(&a->gates);
	memset(a, 0, sizeof *a);
}
