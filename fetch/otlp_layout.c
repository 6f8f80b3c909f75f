/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which revision of the messages this is.  None says so; but numbers of fields changed their types
 * with it, and one sample or profile that uses such a field is enough.
 */
#include "fetch/otlp_impl.h"

const struct pgo_otlp_layout pgo_otlp_current = {.time = 3,
	.duration = 4,
	.period_type = 5,
	.period = 6,
	.attributes = 11,
	.s_values = 4,
	.s_attributes = 2,
	.s_times = 5};

struct evidence {
	uint64_t ranges, stacks;        /* fields that only these have */
	uint64_t attributes_first;      /* samples of the current revision */
	uint64_t values_first;          /* samples of the one before */
	uint64_t comments, no_comments; /* profiles with a list of comments, or certainly without */
	bool in_range; /* all numbers in field 2 could be distinct attributes of one sample */
	size_t n_attributes;
};

static size_t count_numbers(struct pgo_wire_field f)
{
	uint64_t v;
	size_t n = 0;

	while (pgo_otlp_number(&f, &v))
		n++;
	return n;
}

/* Could it be the attributes of one sample?  Few, so the square does not hurt. */
static bool distinct_attributes(struct pgo_wire_field f, size_t n_attributes)
{
	uint64_t seen[64], v;
	size_t n = 0;

	while (pgo_otlp_number(&f, &v)) {
		if (v == 0 || v >= n_attributes || n == 64)
			return false;
		for (size_t i = 0; i < n; i++)
			if (seen[i] == v)
				return false;
		seen[n++] = v;
	}
	return true;
}

static void look_at_sample(struct pgo_wire in, struct evidence *e)
{
	struct pgo_wire_field f, second = {0};
	bool old = false, current = false;
	size_t n_times = 0;

	while (in.p < in.end && pgo_wire_next(&in, &f)) {
		bool many = f.type == PGO_WIRE_BYTES;

		if (f.number == 2 && many)
			second = f;
		else if (f.number == 6 || f.number == 2)
			e->ranges++;
		if (f.number == 3 || f.number == 4) {
			old = old || many == (f.number == 3);
			current = current || many == (f.number == 4);
		}
		if (f.number == 5 && many)
			n_times += (size_t)(f.in.end - f.in.p) / 8;
	}
	if (second.number == 0 && !old && !current)
		return;
	/* Without anything in fields 3 and 4 the second is values, unless there are as many times
	 * as a count needs. */
	if (!old && !current && n_times == 0)
		old = true;
	else if (!old && !current && n_times != count_numbers(second))
		current = true;
	e->values_first += old;
	e->attributes_first += current;
	if (!old && !current && !distinct_attributes(second, e->n_attributes))
		e->in_range = false;
}

static void look_at_profile(struct pgo_wire in, struct evidence *e)
{
	struct pgo_wire_field f;

	while (in.p < in.end && pgo_wire_next(&in, &f)) {
		if (f.number == OTLP_SAMPLES && f.type == PGO_WIRE_BYTES)
			look_at_sample(f.in, e);
		else if (f.number == 3 && f.type == PGO_WIRE_FIXED64)
			e->stacks++;
		else if (f.number == 3 || f.number > 12)
			e->ranges++;
		else if (f.number == 8 || f.number == 9)
			*((f.type == PGO_WIRE_BYTES) == (f.number == 8) ? &e->comments
									: &e->no_comments) += 1;
		else if (f.number == 12)
			e->comments++;
	}
}

static void look_at_resource(struct pgo_wire in, struct evidence *e)
{
	struct pgo_wire_field scope, f;

	while (in.p < in.end && pgo_wire_next(&in, &scope)) {
		if (scope.number != OTLP_SCOPES || scope.type != PGO_WIRE_BYTES)
			continue;
		while (scope.in.p < scope.in.end && pgo_wire_next(&scope.in, &f))
			if (f.number == OTLP_PROFILES && f.type == PGO_WIRE_BYTES)
				look_at_profile(f.in, e);
	}
}

int pgo_otlp_layout(struct pgo_wire message, size_t n_attributes, struct pgo_otlp_layout *ret,
	struct pgo_err *err)
{
	static const struct pgo_otlp_layout ranges = {.ranges = true,
		.time = 4,
		.duration = 5,
		.period_type = 6,
		.period = 7,
		.attributes = 14,
		.s_values = 3,
		.s_attributes = 4,
		.s_times = 6};
	struct pgo_otlp_layout l = pgo_otlp_current;
	struct evidence e = {.in_range = true, .n_attributes = n_attributes};
	struct pgo_wire_field f;

	while (message.p < message.end && pgo_wire_next(&message, &f))
		if (f.number == OTLP_RESOURCES && f.type == PGO_WIRE_BYTES)
			look_at_resource(f.in, &e);
	if (e.ranges > 0 && e.stacks == 0) {
		*ret = ranges;
		return 0;
	}
	if (e.ranges > 0 || (e.values_first > 0 && e.attributes_first > 0))
		return pgo_err_set(err, PGO_EFORMAT,
			"its samples are of more than one revision of OTLP profiles, or of one "
			"that this pgo does not know");
	if (e.comments > 0 && e.no_comments == 0)
		l.attributes = 12;
	if (e.values_first > 0 || (e.attributes_first == 0 && !e.in_range)) {
		l.s_values = 2;
		l.s_attributes = 3;
	}
	*ret = l;
	return 0;
}
