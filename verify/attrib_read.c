/* SPDX-License-Identifier: Apache-2.0 */
/* One profile: which column, whose code, which host; then every sample into a row. */
#include "verify/attrib.h"

#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <stdio.h>

static bool is_lbr_type(const struct pgo_profile *p, uint32_t column)
{
	return strncmp(pgo_profile_str(p, p->sample_types[column].type), "lbr", 3) == 0;
}

/* The column that says what execution costs: as asked, else CPU time, else the default type, else
 * the last that is no branch record. */
static uint32_t cost_column(const struct pgo_profile *p, const char *asked)
{
	uint32_t c = pgo_profile_sample_type(p, asked != NULL ? asked : "cpu");

	if (c != PGO_NONE || asked != NULL)
		return c;
	if (p->default_sample_type != 0)
		c = pgo_profile_sample_type(p, pgo_profile_str(p, p->default_sample_type));
	if (c != PGO_NONE && !is_lbr_type(p, c))
		return c;
	for (c = (uint32_t)p->n_sample_types; c-- > 0;)
		if (!is_lbr_type(p, c))
			return c;
	return PGO_NONE;
}

static int check_unit(struct pgo_attrib *a, const struct pgo_profile *p, uint32_t column,
	const char *name, struct pgo_err *err)
{
	char *unit;
	int rc = 0;

	if (column == PGO_NONE)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s has no sample type '%s'; `pgo show` lists those it has", name,
			a->o.sample_type != NULL ? a->o.sample_type : "cpu");
	unit = pgo_asprintf("%s/%s", pgo_profile_str(p, p->sample_types[column].type),
		pgo_profile_str(p, p->sample_types[column].unit));
	if (unit == NULL)
		return pgo_err_nomem(err);
	if (a->unit == NULL) {
		a->unit = unit;
		return 0;
	}
	if (strcmp(a->unit, unit) != 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"%s measures %s but the profiles before it measure %s; choose one with "
			"--sample-type",
			name, unit, a->unit);
	pgo_free(unit);
	return rc;
}

/* ---- one profile in hand */

#define NOT_YET UINT32_MAX

/* Stacks come again and again, for every host at least: where each is in the tree. */
#define KNOWN_STACKS ((size_t)1 << 16)
#define KNOWN_WAYS 4 /* places where one may be */
struct known_stack {
	uint64_t hash;
	uint32_t n, leaf, node;
	bool cut;
};

struct reading {
	struct pgo_attrib *a;
	const struct pgo_profile *p;
	struct pgo_resolver resolver;
	uint32_t column, count, work; /* value indices; the latter two may be PGO_NONE */
	uint32_t host_key, work_key, arm_key, control_str; /* strings, or PGO_STR_NONE */
	uint32_t main_mapping;                             /* without a binary: the program's */
	uint32_t unknown;          /* frame of code that nothing is known of */
	uint32_t *frame_of;        /* by location, as a leaf */
	uint32_t *caller_of;       /* by location, as one that called */
	struct known_stack *known; /* by hash of the stack: a cache */
	uint64_t known_cuts;
	uint32_t *rep_of;            /* by arm and string: the host's replicate */
	struct pgo_cost_rep blank;   /* what all replicates of this profile have */
	uint32_t last_key, last_rep; /* samples of a host come together, mostly */
	double counted;
	struct pgo_lbr_columns lbr;
	bool has_lbr;
};

/* Without a binary the program is the first file that is neither a library nor the kernel. */
static uint32_t main_mapping(const struct pgo_profile *p)
{
	for (size_t i = 0; i < p->n_mappings; i++) {
		const char *name = pgo_path_base(pgo_profile_str(p, p->mappings[i].filename));

		if (name[0] != '[' && strstr(name, ".so") == NULL &&
			strncmp(name, "vmlinux", 7) != 0)
			return (uint32_t)i;
	}
	return 0;
}

static enum pgo_item_place place_of(const struct reading *r, uint32_t loc)
{
	uint32_t mapping = r->p->locations[loc].mapping;

	if (mapping == PGO_NONE)
		return r->p->n_mappings == 0 ? PGO_ITEM_REBUILT : PGO_ITEM_ELSEWHERE;
	if (r->a->elf == NULL)
		return mapping == r->main_mapping ? PGO_ITEM_REBUILT : PGO_ITEM_ELSEWHERE;
	return r->resolver.at[loc].loss == PGO_LOSS_OTHER_BINARY ? PGO_ITEM_ELSEWHERE
								 : PGO_ITEM_REBUILT;
}

/* The place that a profile itself names: its lines from the outermost in; UINT32_MAX: no memory. */
static uint32_t own_frame(struct reading *r, uint32_t loc)
{
	const struct pgo_profile *p = r->p;
	const struct pgo_location *l = &p->locations[loc];
	enum pgo_item_place place = place_of(r, loc);
	uint32_t up = 0, f = UINT32_MAX;

	for (uint32_t i = l->n_lines; i-- > 0;) {
		const struct pgo_function *fn = &p->functions[p->lines[l->first_line + i].function];
		const char *text =
			pgo_profile_str(p, fn->system_name != 0 ? fn->system_name : fn->name);
		uint32_t name = pgo_attrib_name(r->a, text);

		f = name == PGO_STR_NONE
			    ? UINT32_MAX
			    : pgo_attrib_frame(r->a, 0, name, up,
				      pgo_name_is_pseudo(text) ? PGO_ITEM_UNNAMED : place);
		if (f == UINT32_MAX)
			return f;
		up = f + 1;
	}
	return f;
}

/* A location without lines: its file. */
static uint32_t file_frame(struct reading *r, uint32_t loc)
{
	const struct pgo_location *l = &r->p->locations[loc];
	char file[300];
	uint32_t name;

	if (l->mapping == PGO_NONE)
		return r->unknown;
	snprintf(file, sizeof file, "[%s]",
		pgo_path_base(pgo_profile_str(r->p, r->p->mappings[l->mapping].filename)));
	name = pgo_strtab_puts(&r->a->names, file);
	return name == PGO_STR_NONE ? UINT32_MAX
				    : pgo_attrib_frame(r->a, 0, name, 0, PGO_ITEM_UNNAMED);
}

/* `back`: bytes before the address that are meant. */
static uint32_t make_frame(struct reading *r, uint32_t loc, uint64_t back)
{
	struct pgo_attrib *a = r->a;
	uint32_t own = NOT_YET, f;

	if (r->p->locations[loc].n_lines != 0 && (own = own_frame(r, loc)) == UINT32_MAX)
		return UINT32_MAX;
	if (a->elf == NULL || r->resolver.at[loc].loss != PGO_LOSS_NONE)
		return own != NOT_YET ? own : file_frame(r, loc);
	f = pgo_attrib_frame(a, r->resolver.at[loc].vaddr - back, 0, 0, PGO_FRAME_ADDRESS);
	if (f != UINT32_MAX && a->frames[f].own == UINT32_MAX)
		a->frames[f].own = own;
	return f;
}

static uint32_t frame_of(struct reading *r, uint32_t loc)
{
	if (r->frame_of[loc] == NOT_YET)
		r->frame_of[loc] = make_frame(r, loc, 0);
	return r->frame_of[loc];
}

/*
 * A caller's address is the return address, or one less, as the producer has it: one less again is
 * inside the call both times, which is two bytes at least.
 */
static uint32_t caller_of(struct reading *r, uint32_t loc)
{
	if (r->caller_of[loc] == NOT_YET)
		r->caller_of[loc] = make_frame(r, loc, 1);
	return r->caller_of[loc];
}

/* ---- hosts */

static uint32_t new_rep(struct reading *r, uint32_t host, bool control)
{
	struct pgo_attrib *a = r->a;
	struct pgo_cost_rep *rep =
		a->n_reps < UINT32_MAX ? PGO_VEC_PUSH(a->reps, a->n_reps, a->reps_room) : NULL;

	if (rep == NULL)
		return UINT32_MAX;
	*rep = r->blank;
	rep->control = control;
	if (host != 0)
		rep->host = pgo_strtab_take(&a->names, &r->p->strs.strs[host]);
	return rep->host == PGO_STR_NONE ? UINT32_MAX : (uint32_t)(a->n_reps - 1);
}

/* What the labels of a sample say. */
struct said {
	uint32_t host; /* string; 0 = nothing */
	bool control;
	const struct pgo_label *work; /* or NULL */
};

static struct said read_labels(const struct reading *r, const struct pgo_sample *s)
{
	struct said said = {.control = r->blank.control};

	for (uint32_t i = 0; i < s->n_label; i++) {
		const struct pgo_label *l = &s->label[i];

		if (l->key == r->host_key && said.host == 0)
			said.host = l->str;
		else if (l->key == r->work_key && said.work == NULL)
			said.work = l;
		else if (l->key == r->arm_key && l->str == r->control_str)
			said.control = true;
	}
	return said;
}

static bool is_control(const struct reading *r, const struct pgo_sample *s)
{
	return r->arm_key != PGO_STR_NONE && read_labels(r, s).control;
}

static uint32_t rep_of(struct reading *r, const struct said *said)
{
	uint32_t key = said->host * 2 + said->control;

	if (key == r->last_key && r->last_rep != NOT_YET)
		return r->last_rep;
	if (r->rep_of[key] == NOT_YET)
		r->rep_of[key] = new_rep(r, said->host, said->control);
	r->last_key = key;
	r->last_rep = r->rep_of[key];
	return r->last_rep;
}

/* A label that says how much work its host did says the same on every sample. */
static int take_work(
	struct reading *r, uint32_t rep, const struct pgo_label *l, struct pgo_err *err)
{
	struct pgo_cost_rep *to = &r->a->reps[rep];
	double work = (double)l->num;

	if (l->str != 0 && pgo_parse_double(pgo_profile_str(r->p, l->str), &work, NULL) < 0)
		work = -1;
	if (work < 0)
		return pgo_err_set(err, PGO_EFORMAT, "the label %s is '%s', no amount of work",
			r->a->o.work_label,
			l->str != 0 ? pgo_profile_str(r->p, l->str) : "below 0");
	if (to->work >= 0 && to->work != work)
		return pgo_err_set(err, PGO_EMISMATCH,
			"the label %s says %.17g and %.17g for one host; it must say the work of "
			"the "
			"whole profile on every sample",
			r->a->o.work_label, to->work, work);
	to->work = work;
	return 0;
}

/* ---- samples */

static void count_sample(struct pgo_attrib_account *account, int64_t v)
{
	account->read++;
	account->without += v == 0;
	account->negative += v < 0;
	account->counted += v > 0;
}

struct stack_walk {
	struct reading *r;
	const struct pgo_sample *s;
};

static uint32_t stack_frame(void *ctx, uint32_t i)
{
	const struct stack_walk *w = ctx;

	return i == 0 ? frame_of(w->r, w->s->loc[0]) : caller_of(w->r, w->s->loc[i]);
}

/* Where the stack is, or may be put: in place of another one if need be. */
static struct known_stack *find_known(
	const struct reading *r, uint64_t hash, const struct pgo_sample *s)
{
	struct known_stack *at = &r->known[hash % (KNOWN_STACKS / KNOWN_WAYS) * KNOWN_WAYS];

	for (int i = 0; i < KNOWN_WAYS; i++)
		if (at[i].n == 0 ||
			(at[i].hash == hash && at[i].n == s->n_loc && at[i].leaf == s->loc[0]))
			return &at[i];
	return &at[hash >> 60 & (KNOWN_WAYS - 1)];
}

static int take_stack(struct reading *r, const struct pgo_sample *s, int64_t v)
{
	struct pgo_stacks *stacks = &r->a->stacks;
	struct stack_walk walk = {r, s};
	uint64_t hash = pgo_hash(s->loc, s->n_loc * sizeof *s->loc);
	struct known_stack *known;
	int64_t *sum;

	if (r->known_cuts != stacks->cuts) {
		memset(r->known, 0, KNOWN_STACKS * sizeof *r->known);
		r->known_cuts = stacks->cuts;
	}
	known = find_known(r, hash, s);
	if (known->hash != hash || known->n != s->n_loc || known->leaf != s->loc[0]) {
		*known = (struct known_stack){hash, s->n_loc, s->loc[0], 0, false};
		known->node = pgo_stacks_node(stacks, s->n_loc, stack_frame, &walk, &known->cut);
		if (known->node == UINT32_MAX)
			return -1;
	}
	sum = known->cut ? &stacks->nodes[known->node].other : &stacks->nodes[known->node].self;
	/* One frame's values do not overflow, as was seen before. */
	*sum += v;
	return pgo_stacks_bound(stacks);
}

static int take_value(
	struct reading *r, const struct pgo_sample *s, uint32_t rep, int64_t v, struct pgo_err *err)
{
	struct pgo_attrib *a = r->a;
	uint64_t n =
		r->count != PGO_NONE && s->value[r->count] > 0 ? (uint64_t)s->value[r->count] : 1;
	uint32_t f = s->n_loc == 0 ? r->unknown : frame_of(r, s->loc[0]);

	if (f == UINT32_MAX || pgo_attrib_push_row(a, f, rep, v, n) < 0)
		return pgo_err_nomem(err);
	r->counted += (double)v;
	if (a->reps[rep].control)
		return 0;
	if (__builtin_add_overflow(a->frames[f].value, v, &a->frames[f].value) ||
		__builtin_add_overflow(a->counted, v, &a->counted))
		return pgo_err_set(
			err, PGO_ELIMIT, "the values of the profiles add up to more than 2^63");
	a->frames[f].samples += n;
	if (!a->o.no_stacks && s->n_loc != 0 && take_stack(r, s, v) < 0)
		return pgo_err_nomem(err);
	a->stackless += s->n_loc == 0 ? v : 0;
	return 0;
}

static int take_sample(struct reading *r, const struct pgo_sample *s, struct pgo_err *err)
{
	int64_t v = s->value[r->column], work = r->work != PGO_NONE ? s->value[r->work] : 0;
	struct said said;
	uint32_t rep;
	int rc = 0;

	count_sample(&r->a->account, v);
	if (r->has_lbr && !r->blank.control && !is_control(r, s)) {
		rc = pgo_layout_add(&r->a->layout, &r->lbr, r->p, r->resolver.at, s, err);
		if (rc < 0)
			return rc;
	}
	if (v <= 0 && work <= 0)
		return 0;
	said = read_labels(r, s);
	rep = rep_of(r, &said);
	if (rep == UINT32_MAX)
		return pgo_err_nomem(err);
	if (said.work != NULL)
		rc = take_work(r, rep, said.work, err);
	else if (work > 0)
		r->a->reps[rep].work =
			(double)work + (r->a->reps[rep].work < 0 ? 0 : r->a->reps[rep].work);
	return rc == 0 && v > 0 ? take_value(r, s, rep, v, err) : rc;
}

static int take_samples(struct reading *r, struct pgo_reader *in, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(in, &s, err)) > 0) {
		rc = take_sample(r, &s, err);
		if (rc == 0 && r->a->n_rows >= r->a->settle_at)
			rc = pgo_attrib_settle(r->a, false, err);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return pgo_err_prefix(err, "%s", in->name);
	return 0;
}

static uint32_t put(struct pgo_attrib *a, const char *text)
{
	return text == NULL ? 0 : pgo_strtab_puts(&a->names, text);
}

/* The build-id of the program that ran. */
static const char *build_of(const struct reading *r, char room[129])
{
	room[0] = '\0';
	for (size_t i = 0; i < r->p->n_mappings && room[0] == '\0'; i++)
		if (r->a->elf != NULL ? r->resolver.ours[i] : i == r->main_mapping)
			pgo_build_id_normalize(
				pgo_profile_str(r->p, r->p->mappings[i].build_id), room);
	return room;
}

static int describe(struct reading *r, const struct pgo_reader *in,
	const struct pgo_attrib_input *about, struct pgo_err *err)
{
	const struct pgo_profile *p = r->p;
	struct pgo_attrib *a = r->a;
	int64_t time = about->time_ns != 0 ? about->time_ns : p->time_ns;
	int64_t lasted = p->duration_ns != 0 ? p->duration_ns : about->duration_ns;
	char build[129];

	r->blank = (struct pgo_cost_rep){
		.after = a->after,
		.control = a->o.control,
		.host = put(a, about->host),
		.input = put(a, about->name != NULL ? about->name : in->name),
		.build = put(a, build_of(r, build)),
		.version = put(a, about->version),
		.start_ns = time,
		.end_ns = lasted > 0 && time <= INT64_MAX - lasted ? time + lasted : time,
		.work = about->work > 0 ? about->work : -1,
	};
	return r->blank.host == PGO_STR_NONE || r->blank.input == PGO_STR_NONE ||
			       r->blank.build == PGO_STR_NONE || r->blank.version == PGO_STR_NONE
		       ? pgo_err_nomem(err)
		       : 0;
}

static uint32_t find(const struct pgo_profile *p, const char *text)
{
	return text == NULL ? PGO_STR_NONE : pgo_strtab_find(&p->strs, text, strlen(text));
}

static int begin(struct reading *r, struct pgo_err *err)
{
	struct pgo_attrib *a = r->a;
	const struct pgo_profile *p = r->p;
	uint32_t unknown = pgo_strtab_puts(&a->names, "[unknown]");
	int rc = 0;

	r->count = pgo_profile_sample_type(p, "samples");
	r->work = a->o.work_label != NULL ? pgo_profile_sample_type(p, a->o.work_label) : PGO_NONE;
	r->host_key = find(p, a->o.host_label);
	r->work_key = find(p, a->o.work_label);
	r->arm_key = find(p, a->o.arm_label);
	r->control_str = find(p, "control");
	r->main_mapping = main_mapping(p);
	r->frame_of = pgo_malloc((p->n_locations + 1) * sizeof *r->frame_of);
	r->caller_of = pgo_malloc((p->n_locations + 1) * sizeof *r->caller_of);
	r->known = pgo_calloc(KNOWN_STACKS, sizeof *r->known);
	r->known_cuts = a->stacks.cuts;
	r->rep_of = pgo_malloc((p->strs.n_strs + 1) * 2 * sizeof *r->rep_of);
	r->last_rep = NOT_YET;
	r->unknown = unknown == PGO_STR_NONE ? UINT32_MAX
					     : pgo_attrib_frame(a, 0, unknown, 0, PGO_ITEM_UNNAMED);
	if (r->frame_of == NULL || r->caller_of == NULL || r->known == NULL || r->rep_of == NULL ||
		r->unknown == UINT32_MAX)
		return pgo_err_nomem(err);
	memset(r->frame_of, 0xff, p->n_locations * sizeof *r->frame_of);
	memset(r->caller_of, 0xff, p->n_locations * sizeof *r->caller_of);
	memset(r->rep_of, 0xff, p->strs.n_strs * 2 * sizeof *r->rep_of);
	if (a->elf != NULL)
		rc = pgo_resolver_init(&r->resolver, p, a->elf, NULL, err);
	/* Branch records mean something only where the program's code is there. */
	if (rc == 0 && a->elf != NULL)
		rc = pgo_lbr_columns_init(&r->lbr, p, &r->has_lbr, err);
	return rc;
}

int pgo_attrib_add(struct pgo_attrib *a, struct pgo_reader *in,
	const struct pgo_attrib_input *about, struct pgo_err *err)
{
	static const struct pgo_attrib_input nothing;
	struct reading r = {.a = a, .p = in->head};
	int rc;

	a->settled = false;
	r.column = cost_column(r.p, a->o.sample_type);
	rc = check_unit(a, r.p, r.column, in->name, err);
	if (rc < 0)
		return rc;
	rc = begin(&r, err);
	if (rc == 0)
		rc = describe(&r, in, about != NULL ? about : &nothing, err);
	if (rc == 0)
		rc = take_samples(&r, in, err);
	if (rc == 0 && r.counted <= 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"%s has no samples with a %s value; choose another --sample-type (`pgo "
			"show` lists them)",
			in->name, a->unit);
	if (rc == 0 && (a->coarse || a->n_rows > a->o.max_rows))
		rc = pgo_attrib_settle(a, true, err);
	pgo_resolver_fini(&r.resolver);
	pgo_lbr_columns_fini(&r.lbr);
	pgo_free(r.frame_of);
	pgo_free(r.caller_of);
	pgo_free(r.known);
	pgo_free(r.rep_of);
	return rc;
}
