/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources, profiles and samples of one message -> sums.
 */
#include "fetch/otlp_impl.h"

#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 64
#define COLUMNS_MAX 64
/* Bounds what ranges that overlap in the oldest revision can grow to. */
#define STACK_MAX ((uint64_t)1 << 16)

struct label_set {
	struct pgo_otlp_label at[LABELS_MAX];
	size_t n;
};

struct at_profile { /* where we are */
	const struct label_set *resource;
	uint32_t program; /* of the resource; string */
	uint32_t resource_labels;
	uint32_t columns[COLUMNS_MAX];
	size_t n_columns;
	struct pgo_otlp_group key;
	struct label_set labels; /* resource and profile */
	int64_t from_ns, to_ns;
	uint32_t *locations; /* numbers here: of the oldest revision */
	size_t n_locations, locations_room;
	/* The group of the last sample. */
	uint32_t program_of_group, group;
};

/* ---------------------------------------------------------------- labels */

static const char *str(const struct pgo_otlp *otlp, uint32_t id)
{
	return pgo_strtab_get(&otlp->strs, id);
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* Says which process, thread or processor it was, not what ran: would keep equal things apart. */
static bool is_of_one(const char *key)
{
	return begins(key, "process.") || begins(key, "thread.") || begins(key, "cpu.") ||
	       begins(key, "telemetry.") || begins(key, "os.") || begins(key, "host.ip") ||
	       begins(key, "host.mac") || strcmp(key, "host.id") == 0 ||
	       strcmp(key, "service.instance.id") == 0;
}

/* Our names for the three that everything else asks for. */
static uint32_t label_key(struct pgo_otlp *otlp, uint32_t key)
{
	if (key == otlp->s_host)
		return pgo_strtab_puts(&otlp->strs, "host");
	if (key == otlp->s_service)
		return pgo_strtab_puts(&otlp->strs, "service");
	if (key == otlp->s_version)
		return pgo_strtab_puts(&otlp->strs, "version");
	return key;
}

/* Adds or replaces; past the maximum labels are left out. */
static void set_label(struct label_set *set, struct pgo_otlp_label l)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->at[i].key == l.key) {
			set->at[i] = l;
			return;
		}
	if (set->n < LABELS_MAX)
		set->at[set->n++] = l;
}

static int set_text(struct pgo_otlp *otlp, struct label_set *set, const char *key,
	const char *value, struct pgo_err *err)
{
	struct pgo_otlp_label l = {0};

	if (value == NULL || value[0] == '\0')
		return 0;
	l.key = pgo_strtab_puts(&otlp->strs, key);
	l.str = pgo_strtab_puts(&otlp->strs, value);
	if (l.key == PGO_STR_NONE || l.str == PGO_STR_NONE)
		return pgo_err_nomem(err);
	set_label(set, l);
	return 0;
}

static int put_attribute(struct pgo_otlp *otlp, const struct pgo_otlp_attribute *a,
	struct label_set *set, struct pgo_err *err)
{
	struct pgo_otlp_label l = {.str = a->str, .num = a->is_number ? a->num : 0};

	if (a->key == 0 || is_of_one(str(otlp, a->key)) || (a->str == 0 && !a->is_number))
		return 0;
	l.key = label_key(otlp, a->key);
	if (l.key == PGO_STR_NONE)
		return pgo_err_nomem(err);
	set_label(set, l);
	return 0;
}

static int cmp_labels(const void *a, const void *b, void *ctx)
{
	const struct pgo_otlp_label *x = a, *y = b;

	return strcmp(str(ctx, x->key), str(ctx, y->key));
}

static int intern_labels(
	struct pgo_otlp *otlp, struct label_set *set, uint32_t *ret, struct pgo_err *err)
{
	qsort_r(set->at, set->n, sizeof set->at[0], cmp_labels, otlp);
	*ret = set->n == 0 ? 0
			   : pgo_otlp_intern(&otlp->labels, set->at, set->n * sizeof set->at[0]);
	return *ret != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
}

/* The name of the program by an attribute, as a string of its own; 0: not said. */
static int program_name(struct pgo_otlp *otlp, const struct pgo_otlp_attribute *a, uint32_t *ret,
	struct pgo_err *err)
{
	if (a->str != 0 && a->key == otlp->s_program) {
		*ret = a->str;
	} else if (a->str != 0 && a->key == otlp->s_path && *ret == 0) {
		*ret = pgo_strtab_puts(&otlp->strs, pgo_path_base(str(otlp, a->str)));
		if (*ret == PGO_STR_NONE)
			return pgo_err_nomem(err);
	}
	return 0;
}

/* Attributes by index, as a sample or a profile has them. */
static int put_indices(struct pgo_otlp *otlp, struct pgo_wire_field f, struct label_set *set,
	uint32_t *program, struct pgo_err *err)
{
	uint64_t v;

	while (pgo_otlp_number(&f, &v)) {
		if (v >= otlp->t.n_attributes)
			return pgo_otlp_outside(err, "attribute", v, otlp->t.n_attributes);
		if (program_name(otlp, &otlp->t.attributes[v], program, err) < 0 ||
			put_attribute(otlp, &otlp->t.attributes[v], set, err) < 0)
			return err != NULL ? err->code : PGO_ENOMEM;
	}
	return 0;
}

/* ---------------------------------------------------------------- groups, columns, sums */

static uint32_t find_or_add(struct pgo_map *map, void **array, size_t *n, size_t *room,
	size_t stride, const void *key, size_t key_size)
{
	uint32_t i = pgo_map_find_key(map, *array, stride, key, key_size);

	if (i != PGO_MAP_NONE)
		return i;
	if (*n >= PGO_NONE || (*n >= *room && pgo_vec_grow(array, room, *n + 1, stride) < 0) ||
		pgo_map_add_key(map, key, key_size, (uint32_t)*n) < 0)
		return PGO_NONE;
	memset((char *)*array + *n * stride, 0, stride);
	memcpy((char *)*array + *n * stride, key, key_size);
	return (uint32_t)(*n)++;
}

static uint32_t host_of(const struct pgo_otlp *otlp, const struct label_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(str(otlp, set->at[i].key), "host") == 0)
			return set->at[i].str;
	return 0;
}

static void stretch(struct pgo_otlp_group *g, const struct at_profile *at)
{
	if (at->from_ns == 0)
		return;
	if (g->from_ns == 0 || at->from_ns < g->from_ns)
		g->from_ns = at->from_ns;
	if (at->to_ns > g->to_ns)
		g->to_ns = at->to_ns;
}

static int find_group(
	struct pgo_otlp *otlp, struct at_profile *at, uint32_t program, struct pgo_err *err)
{
	struct pgo_otlp_group key = at->key;
	size_t n = otlp->n_groups;
	uint32_t host;

	if (at->group != PGO_NONE && at->program_of_group == program)
		return 0;
	key.program = otlp->o->split_processes ? program : 0;
	key.labels = otlp->o->split_processes ? at->resource_labels : 0;
	at->group = find_or_add(&otlp->group_map, (void **)&otlp->groups, &otlp->n_groups,
		&otlp->groups_room, sizeof key, &key, offsetof(struct pgo_otlp_group, host));
	if (at->group == PGO_NONE)
		return pgo_err_nomem(err);
	at->program_of_group = program;
	host = host_of(otlp, at->resource);
	if (otlp->n_groups > n)
		otlp->groups[at->group].host = host;
	else if (otlp->groups[at->group].host != host)
		otlp->groups[at->group].host = PGO_NONE;
	stretch(&otlp->groups[at->group], at);
	return 0;
}

static int add_column(struct pgo_otlp *otlp, struct pgo_wire in, bool period, struct at_profile *at,
	struct pgo_err *err)
{
	struct pgo_otlp_column c = {0};
	struct pgo_wire_field f;

	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a sample type");
		if (f.number != 1 && f.number != 2)
			continue;
		if (f.v >= otlp->t.n_strings)
			return pgo_otlp_outside(err, "string", f.v, otlp->t.n_strings);
		*(f.number == 1 ? &c.type : &c.unit) = otlp->t.strings[f.v];
	}
	if (period) {
		at->key.period_type = c.type;
		at->key.period_unit = c.unit;
		return 0;
	}
	if (at->n_columns == COLUMNS_MAX)
		return pgo_err_set(err, PGO_ELIMIT, "more than %d sample types", COLUMNS_MAX);
	if (c.type == 0) {
		c.type = pgo_strtab_puts(&otlp->strs, "samples");
		c.unit = pgo_strtab_puts(&otlp->strs, "count");
	}
	at->columns[at->n_columns] = find_or_add(&otlp->column_map, (void **)&otlp->columns,
		&otlp->n_columns, &otlp->columns_room, sizeof c, &c, sizeof c);
	return at->columns[at->n_columns++] != PGO_NONE ? 0 : pgo_err_nomem(err);
}

static int add_value(struct pgo_otlp *otlp, const struct at_profile *at, uint32_t stack,
	uint32_t labels, uint32_t column, int64_t value, struct pgo_err *err)
{
	struct pgo_otlp_entry key = {at->group, stack, labels, column, 0};
	uint32_t i;

	i = find_or_add(&otlp->entry_map, (void **)&otlp->entries, &otlp->n_entries,
		&otlp->entries_room, sizeof key, &key, offsetof(struct pgo_otlp_entry, value));
	if (i == PGO_NONE)
		return pgo_err_nomem(err);
	if (__builtin_add_overflow(otlp->entries[i].value, value, &otlp->entries[i].value))
		otlp->entries[i].value = INT64_MAX;
	return 0;
}

/* ---------------------------------------------------------------- a sample */

struct sample {
	uint64_t stack, first, length;
	int64_t sums[COLUMNS_MAX];
	uint64_t n_values, n_times;
	struct label_set labels;
	uint32_t program;
};

/* Values are several observations of one sample type, or (ranges) one of each. */
static int add_values(
	const struct pgo_otlp *otlp, struct pgo_wire_field f, struct sample *s, struct pgo_err *err)
{
	uint64_t v;

	while (pgo_otlp_number(&f, &v)) {
		size_t column = otlp->layout.ranges ? s->n_values : 0;

		if ((int64_t)v < 0)
			return pgo_err_set(err, PGO_EFORMAT, "its value is %" PRId64, (int64_t)v);
		if (column >= COLUMNS_MAX)
			return pgo_err_set(
				err, PGO_EFORMAT, "it has more than %d values", COLUMNS_MAX);
		if (__builtin_add_overflow(s->sums[column], (int64_t)v, &s->sums[column]))
			s->sums[column] = INT64_MAX;
		s->n_values++;
	}
	return 0;
}

static uint64_t count_times(struct pgo_wire_field f, bool varints)
{
	uint64_t n = 0, v;

	if (!varints && f.type == PGO_WIRE_BYTES)
		return (uint64_t)(f.in.end - f.in.p) / 8;
	while (pgo_otlp_number(&f, &v))
		n++;
	return n;
}

static int read_sample(
	struct pgo_otlp *otlp, struct pgo_wire in, struct sample *s, struct pgo_err *err)
{
	const struct pgo_otlp_layout *l = &otlp->layout;
	struct pgo_wire_field f;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "it");
		if (f.number == 1)
			s->stack = s->first = f.v;
		else if (l->ranges && f.number == 2)
			s->length = f.v;
		else if (f.number == l->s_values)
			rc = add_values(otlp, f, s, err);
		else if (f.number == l->s_attributes)
			rc = put_indices(otlp, f, &s->labels, &s->program, err);
		else if (f.number == l->s_times)
			s->n_times += count_times(f, l->ranges);
	}
	return rc;
}

static int find_stack(struct pgo_otlp *otlp, const struct at_profile *at, const struct sample *s,
	uint32_t *ret, struct pgo_err *err)
{
	if (!otlp->layout.ranges) {
		if (s->stack >= otlp->t.n_stacks)
			return pgo_otlp_outside(err, "stack", s->stack, otlp->t.n_stacks);
		*ret = otlp->t.stacks[s->stack];
		return 0;
	}
	if (s->first > at->n_locations || s->length > at->n_locations - s->first)
		return pgo_err_set(err, PGO_EFORMAT,
			"its locations %" PRIu64 "+%" PRIu64
			" are named, but the profile has only %zu",
			s->first, s->length, at->n_locations);
	if (s->length > STACK_MAX)
		return pgo_err_set(err, PGO_ELIMIT, "its stack has %" PRIu64 " frames", s->length);
	*ret = s->length == 0 ? 0 : pgo_otlp_stack(otlp, at->locations + s->first, s->length);
	return *ret != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
}

static int put_sample(
	struct pgo_otlp *otlp, struct at_profile *at, struct sample *s, struct pgo_err *err)
{
	size_t n_columns = otlp->layout.ranges ? at->n_columns : 1;
	uint32_t stack, labels;
	bool any = false;

	if (s->n_values == 0)
		for (size_t i = 0; i < n_columns; i++)
			s->sums[i] = s->n_times > INT64_MAX ? INT64_MAX : (int64_t)s->n_times;
	else if (otlp->layout.ranges && s->n_values != n_columns)
		return pgo_err_set(err, PGO_EFORMAT,
			"it has %" PRIu64 " values for %zu sample types", s->n_values, n_columns);
	if (find_stack(otlp, at, s, &stack, err) < 0 || find_group(otlp, at, s->program, err) < 0 ||
		intern_labels(otlp, &s->labels, &labels, err) < 0)
		return err != NULL ? err->code : PGO_EFORMAT;
	for (size_t i = 0; i < n_columns && stack != 0; i++) {
		if (s->sums[i] == 0)
			continue;
		any = true;
		if (add_value(otlp, at, stack, labels, at->columns[i], s->sums[i], err) < 0)
			return err != NULL ? err->code : PGO_ENOMEM;
	}
	otlp->stats->samples++;
	*(any ? &otlp->stats->samples_used : &otlp->stats->samples_no_data) += 1;
	return 0;
}

/* ---------------------------------------------------------------- a profile */

/* The list of locations that ranges are of. */
static int add_locations(
	struct pgo_otlp *otlp, struct pgo_wire_field f, struct at_profile *at, struct pgo_err *err)
{
	uint64_t v;

	while (pgo_otlp_number(&f, &v)) {
		if (v >= otlp->t.n_locations)
			return pgo_otlp_outside(err, "location", v, otlp->t.n_locations);
		if (PGO_VEC_RESERVE(at->locations, at->locations_room, at->n_locations + 1) < 0)
			return pgo_err_nomem(err);
		at->locations[at->n_locations++] = otlp->t.locations[v];
	}
	return 0;
}

/* Everything but the samples. */
static int read_head(
	struct pgo_otlp *otlp, struct pgo_wire in, struct at_profile *at, struct pgo_err *err)
{
	const struct pgo_otlp_layout *l = &otlp->layout;
	struct pgo_wire_field f;
	uint64_t time = 0, duration = 0, v;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "it");
		if (f.number == 1 && f.type == PGO_WIRE_BYTES)
			rc = add_column(otlp, f.in, false, at, err);
		else if (l->ranges && f.number == 3)
			rc = add_locations(otlp, f, at, err);
		else if (f.number == l->time && pgo_otlp_number(&f, &v))
			time = v;
		else if (f.number == l->duration)
			duration = f.v;
		else if (f.number == l->period_type && f.type == PGO_WIRE_BYTES)
			rc = add_column(otlp, f.in, true, at, err);
		else if (f.number == l->period)
			at->key.period = (int64_t)f.v;
		else if (f.number == l->attributes)
			rc = put_indices(otlp, f, &at->labels, &at->program, err);
	}
	if (rc == 0 && at->n_columns == 0)
		rc = add_column(otlp, (struct pgo_wire){NULL, NULL}, false, at, err);
	if (rc == 0 && at->n_columns > 1 && !l->ranges)
		return pgo_err_set(err, PGO_EFORMAT,
			"it has several sample types, but no values "
			"for each");
	if (time > 0 && time <= INT64_MAX) {
		at->from_ns = (int64_t)time;
		at->to_ns = duration > (uint64_t)INT64_MAX - time ? at->from_ns
								  : (int64_t)(time + duration);
	}
	return rc;
}

static int read_profile(
	struct pgo_otlp *otlp, struct pgo_wire in, struct at_profile *at, struct pgo_err *err)
{
	struct pgo_wire_field f;
	struct sample *s = pgo_malloc(sizeof *s);
	uint64_t n = 0;
	int rc = s != NULL ? read_head(otlp, in, at, err) : pgo_err_nomem(err);

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f)) {
			rc = pgo_otlp_broken(err, "it");
			break;
		}
		if (f.number != OTLP_SAMPLES || f.type != PGO_WIRE_BYTES)
			continue;
		memset(s, 0, offsetof(struct sample, labels));
		memcpy(s->labels.at, at->labels.at, at->labels.n * sizeof at->labels.at[0]);
		s->labels.n = at->labels.n;
		s->program = at->program;
		rc = read_sample(otlp, f.in, s, err);
		if (rc == 0)
			rc = put_sample(otlp, at, s, err);
		if (rc < 0)
			rc = pgo_err_prefix(err, "sample %" PRIu64, n);
		n++;
	}
	pgo_free(s);
	return rc;
}

/* ---------------------------------------------------------------- resources */

static int read_resource(struct pgo_otlp *otlp, struct pgo_wire in, struct label_set *set,
	uint32_t *program, struct pgo_err *err)
{
	struct pgo_otlp_attribute a;
	struct pgo_wire_field f;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a resource");
		if (f.number != 1 || f.type != PGO_WIRE_BYTES)
			continue;
		rc = pgo_otlp_key_value(otlp, f.in, &a, err);
		if (rc == 0)
			rc = program_name(otlp, &a, program, err);
		/* Numbers of a resource say which, not what. */
		if (rc == 0 && a.str != 0)
			rc = put_attribute(otlp, &a, set, err);
	}
	return rc;
}

/* What the caller knows better; and nothing at all where no labels are wanted. */
static int finish_labels(struct pgo_otlp *otlp, struct label_set *set, struct pgo_err *err)
{
	const struct pgo_import_options *o = otlp->o;

	if (set_text(otlp, set, "host", o->host, err) < 0 ||
		set_text(otlp, set, "service", o->service, err) < 0 ||
		set_text(otlp, set, "version", o->version, err) < 0)
		return err != NULL ? err->code : PGO_ENOMEM;
	return 0;
}

static int read_profiles(struct pgo_otlp *otlp, struct pgo_wire scope, struct at_profile *at,
	uint64_t *n, struct pgo_err *err)
{
	struct pgo_wire_field f;
	uint32_t program = at->program;
	int rc = 0;

	while (scope.p < scope.end && rc == 0) {
		if (!pgo_wire_next(&scope, &f))
			return pgo_otlp_broken(err, "a scope");
		if (f.number != OTLP_PROFILES || f.type != PGO_WIRE_BYTES)
			continue;
		memset(&at->key, 0, sizeof at->key);
		at->n_columns = at->n_locations = 0;
		at->from_ns = at->to_ns = 0;
		at->group = PGO_NONE;
		at->program = program;
		at->labels.n = 0;
		if (otlp->o->labels)
			at->labels = *at->resource;
		rc = read_profile(otlp, f.in, at, err);
		if (rc < 0)
			rc = pgo_err_prefix(err, "profile %" PRIu64, *n);
		++*n;
	}
	at->program = program;
	return rc;
}

static int read_resource_profiles(struct pgo_otlp *otlp, struct pgo_wire in, struct at_profile *at,
	struct label_set *resource, uint64_t *n, struct pgo_err *err)
{
	struct pgo_wire again = in;
	struct pgo_wire_field f;
	int rc = 0;

	resource->n = 0;
	at->program = 0;
	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "the profiles of a resource");
		if (f.number == OTLP_RESOURCE && f.type == PGO_WIRE_BYTES)
			rc = read_resource(otlp, f.in, resource, &at->program, err);
	}
	if (rc == 0)
		rc = finish_labels(otlp, resource, err);
	if (rc == 0)
		rc = intern_labels(otlp, resource, &at->resource_labels, err);
	while (again.p < again.end && rc == 0 && pgo_wire_next(&again, &f))
		if (f.number == OTLP_SCOPES && f.type == PGO_WIRE_BYTES)
			rc = read_profiles(otlp, f.in, at, n, err);
	return rc;
}

int pgo_otlp_resources(struct pgo_otlp *otlp, struct pgo_wire message, struct pgo_err *err)
{
	struct at_profile *at = pgo_calloc(1, sizeof *at);
	struct label_set *resource = pgo_calloc(1, sizeof *resource);
	struct pgo_wire_field f;
	uint64_t n = 0;
	int rc = at != NULL && resource != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0)
		at->resource = resource;
	while (message.p < message.end && rc == 0) {
		if (!pgo_wire_next(&message, &f))
			rc = pgo_otlp_broken(err, "it");
		else if (f.number == OTLP_RESOURCES && f.type == PGO_WIRE_BYTES)
			rc = read_resource_profiles(otlp, f.in, at, resource, &n, err);
	}
	if (at != NULL)
		pgo_free(at->locations);
	pgo_free(at);
	pgo_free(resource);
	return rc;
}
