/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pgo/core/alloc.h"
#include "verify/attrib.h"
#include "verify/calltree.h"
#include "verify/folded.h"
#include "verify/groups.h"

#include <stdio.h>
#include <string.h>

/* Profiles are written down as text: one sample a line,
 *	HOST VALUE FRAME[,FRAME...]
 * frames leaf first; "a<b" is a inlined into b; a frame that begins with "@" is of a library.
 */
static uint32_t function(struct pgo_profile *p, const char *name, size_t len)
{
	struct pgo_function f = {.name = pgo_strtab_add(&p->strs, name, len)};

	return pgo_profile_add_function(p, &f);
}

static uint32_t location(struct pgo_profile *p, const char *frame, size_t len)
{
	struct pgo_line lines[8];
	uint32_t n = 0, mapping = frame[0] == '@';

	if (mapping != 0) {
		frame++;
		len--;
	}
	while (len > 0) {
		const char *end = memchr(frame, '<', len);
		size_t part = end != NULL ? (size_t)(end - frame) : len;

		lines[n++] = (struct pgo_line){.function = function(p, frame, part), .line = 1};
		part += end != NULL;
		frame += part;
		len -= part;
	}
	return pgo_profile_add_location(p, mapping, 0, lines, n);
}

static void add_line(struct pgo_profile *p, const char *line)
{
	char host[32], frames[256];
	struct pgo_label label = {.key = pgo_strtab_puts(&p->strs, "host")};
	uint32_t locs[16], n = 0;
	long long value;
	int64_t values[2];

	assert_int_equal(sscanf(line, "%31s %lld %255s", host, &value, frames), 3);
	label.str = pgo_strtab_puts(&p->strs, host);
	for (const char *f = frames; *f != '\0';) {
		size_t len = strcspn(f, ",");

		locs[n++] = location(p, f, len);
		f += len + (f[len] == ',');
	}
	values[0] = values[1] = value;
	assert_int_equal(pgo_profile_add_sample(p, &(struct pgo_sample){.loc = locs,
							   .value = values,
							   .label = &label,
							   .n_loc = n,
							   .n_label = strcmp(host, "-") != 0}),
		0);
}

static struct pgo_profile *profile_of(const char *text, int64_t time_ns)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	char line[320];

	assert_non_null(p);
	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, "cpu", "nanoseconds");
	pgo_profile_add_mapping(p, &(struct pgo_mapping){.start = 1,
					   .limit = 2,
					   .filename = pgo_strtab_puts(&p->strs, "/bin/app"),
					   .build_id = pgo_strtab_puts(&p->strs, "abcd")});
	pgo_profile_add_mapping(p,
		&(struct pgo_mapping){
			.start = 3, .limit = 4, .filename = pgo_strtab_puts(&p->strs, "libz.so")});
	p->time_ns = time_ns;
	p->duration_ns = 1000000000;
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		assert_true(len < sizeof line);
		memcpy(line, text, len);
		line[len] = '\0';
		add_line(p, line);
		text += len + (text[len] == '\n');
	}
	return p;
}

struct sides {
	struct pgo_attrib before, after;
	struct pgo_costs costs;
};

static void begin(struct sides *s, const struct pgo_attrib_options *o)
{
	static const struct pgo_attrib_options plain;

	memset(s, 0, sizeof *s);
	assert_int_equal(pgo_costs_init(&s->costs, NULL), 0);
	assert_int_equal(pgo_attrib_init(&s->before, false, o != NULL ? o : &plain, NULL), 0);
	assert_int_equal(pgo_attrib_init(&s->after, true, o != NULL ? o : &plain, NULL), 0);
}

static void add(struct sides *s, bool after, const char *text, int64_t time_ns, const char *name)
{
	struct pgo_reader *r = pgo_profile_reader(profile_of(text, time_ns), name, true, NULL);
	struct pgo_err err = PGO_ERR_INIT;

	assert_non_null(r);
	if (pgo_attrib_add(after ? &s->after : &s->before, r, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_reader_close(r);
}

static void finish(struct sides *s)
{
	assert_int_equal(pgo_attrib_finish(&s->before, &s->costs, NULL), 0);
	assert_int_equal(pgo_attrib_finish(&s->after, &s->costs, NULL), 0);
	assert_int_equal(pgo_costs_sort(&s->costs, NULL), 0);
}

static void end(struct sides *s)
{
	pgo_attrib_fini(&s->before);
	pgo_attrib_fini(&s->after);
	pgo_costs_fini(&s->costs);
}

static int64_t cost(const struct pgo_costs *c, const char *name, const char *host, bool after)
{
	int64_t sum = 0;

	for (size_t i = 0; i < c->n_rows; i++) {
		const struct pgo_cost_rep *r = &c->reps[c->rows[i].rep];

		if (strcmp(pgo_costs_str(c, c->items[c->rows[i].item].name), name) == 0 &&
			(host == NULL || strcmp(pgo_costs_str(c, r->host), host) == 0) &&
			r->after == after)
			sum += c->rows[i].value;
	}
	return sum;
}

#define S ((int64_t)1000000000)
#define DAY (86400 * S)

static void a_profile_of_many_hosts_is_split_into_them(void **state)
{
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "web-1 10 f,main\nweb-2 20 f,main\nweb-1 5 g\n- 3 @inflate", DAY, "one");
	add(&s, false, "web-1 7 f", 2 * DAY, "two");
	add(&s, true, "web-2 9 f", 3 * DAY, "three");
	finish(&s);
	assert_int_equal(s.costs.n_before, 4);
	assert_int_equal(s.costs.n_reps, 5);
	assert_int_equal(cost(&s.costs, "f", "web-1", false), 17);
	assert_int_equal(cost(&s.costs, "f", "web-2", false), 20);
	assert_int_equal(cost(&s.costs, "f", "web-2", true), 9);
	/* Unknown hosts sort first; windows of a host by time. */
	assert_string_equal(pgo_costs_str(&s.costs, s.costs.reps[0].host), "");
	assert_int_equal(pgo_cost_rep_day(&s.costs.reps[1]), 1);
	assert_int_equal(pgo_cost_rep_day(&s.costs.reps[2]), 2);
	assert_int_equal(s.costs.reps[1].end_ns, DAY + S);
	assert_string_equal(pgo_costs_str(&s.costs, s.costs.reps[1].build), "abcd");
	assert_true(s.costs.reps[0].elsewhere == 3 && s.costs.reps[0].total == 3);
	assert_true(s.costs.reps[1].rebuilt == 15 && s.costs.reps[1].total == 15);
	assert_int_equal(s.before.account.read, 5);
	assert_int_equal(s.before.account.counted, 5);
	end(&s);
}

static void every_sample_is_accounted_for(void **state)
{
	struct sides s;
	double rows = 0, totals = 0;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 10 f\na 0 f\na -4 f\nb 5 @z", 0, "one");
	add(&s, true, "a 1 f", 0, "two");
	finish(&s);
	assert_int_equal(s.before.account.read, 4);
	assert_int_equal(s.before.account.counted, 2);
	assert_int_equal(s.before.account.without, 1);
	assert_int_equal(s.before.account.negative, 1);
	for (size_t i = 0; i < s.costs.n_rows; i++)
		rows += (double)s.costs.rows[i].value;
	for (size_t i = 0; i < s.costs.n_reps; i++) {
		const struct pgo_cost_rep *r = &s.costs.reps[i];

		totals += r->total;
		assert_true(r->total == r->rebuilt + r->elsewhere + r->unnamed);
	}
	assert_true(rows == totals && rows == 16);
	end(&s);
}

static void the_order_of_inputs_does_not_matter(void **state)
{
	static const char *const texts[] = {"b 1 f,main\na 2 g<f,main", "a 3 f\nc 4 g", "a 5 h<g"};
	struct pgo_buf folded[2];

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct sides s;
		struct pgo_calltree *t;

		begin(&s, NULL);
		for (int i = 0; i < 3; i++) {
			int k = round == 0 ? i : 2 - i;
			char name[2] = {(char)('x' + k), 0};

			add(&s, false, texts[k], DAY * (k + 1), name);
		}
		add(&s, true, "a 1 f,main", 9 * DAY, "z");
		finish(&s);
		for (size_t i = 0; i + 1 < s.costs.n_items; i++)
			assert_true(
				strcmp(pgo_costs_str(&s.costs, s.costs.items[i].name),
					pgo_costs_str(&s.costs, s.costs.items[i + 1].name)) < 0);
		t = pgo_calltree_new(&s.before, &s.after, &s.costs, NULL, NULL);
		assert_non_null(t);
		pgo_buf_init(&folded[round], 1 << 20);
		pgo_folded_write(t, &folded[round]);
		pgo_calltree_free(t);
		end(&s);
	}
	assert_string_equal(folded[0].data, folded[1].data);
	assert_string_equal(folded[0].data, "f 20000000 0\n"
					    "g 26666667 0\n"
					    "g;h 33333333 0\n"
					    "main;f 6666667 100000000\n"
					    "main;f;g 13333333 0\n");
	pgo_buf_fini(&folded[0]);
	pgo_buf_fini(&folded[1]);
}

static void windows_are_put_together_when_rows_get_too_many(void **state)
{
	struct pgo_attrib_options few = {.max_rows = 4};
	struct sides s;

	(void)state;
	begin(&s, &few);
	for (int i = 0; i < 10; i++) {
		char name[2] = {(char)('0' + i), 0};

		add(&s, false, "a 1 f\na 2 g\nb 4 f", DAY + i * 3600 * S, name);
	}
	add(&s, true, "a 1 f", DAY, "after");
	finish(&s);
	assert_true(s.costs.coarse);
	assert_int_equal(s.costs.n_before, 2);
	assert_int_equal(s.costs.reps[0].start_ns, DAY);
	assert_int_equal(s.costs.reps[0].end_ns, DAY + 9 * 3600 * S + S);
	assert_int_equal(cost(&s.costs, "f", "a", false), 10);
	assert_int_equal(cost(&s.costs, "g", "a", false), 20);
	assert_int_equal(cost(&s.costs, "f", "b", false), 40);
	end(&s);
}

static void clones_and_parts_have_their_functions_name(void **state)
{
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false,
		"a 1 f.part.0\na 2 f.cold\na 4 f.constprop.0.isra.0\na 8 _ZN1AC1Ev\n"
		"a 16 _ZN1AC2Ev\na 32 _ZN3foo3bar17h0123456789abcdefE",
		0, "x");
	add(&s, true, "a 1 f\na 1 _ZN1AC4Ev\na 64 _ZN3foo3bar17hfedcba9876543210E", 0, "y");
	finish(&s);
	assert_int_equal(s.costs.n_items, 3);
	assert_int_equal(cost(&s.costs, "f", NULL, false), 7);
	assert_int_equal(cost(&s.costs, "_ZN1AC2Ev", NULL, false), 24);
	assert_int_equal(cost(&s.costs, "_ZN1AC2Ev", NULL, true), 1);
	end(&s);
}

static uint32_t group_of(const struct sides *s, const struct pgo_groups *g, const char *name)
{
	return g->group_of[pgo_costs_find_item(&s->costs, name, PGO_ITEM_REBUILT)];
}

static void callers_and_callees_whose_inlining_changed_are_a_group(void **state)
{
	struct pgo_groups g;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 1000 callee\na 3000 caller\na 2000 same<user\na 2000 user\na 900 alone",
		0, "x");
	add(&s, true,
		"a 900 callee<caller\na 3100 caller\na 2000 same<user\na 1900 user\na 900 alone", 0,
		"y");
	finish(&s);
	assert_int_equal(pgo_groups_find(&s.before, &s.after, &s.costs, &g, NULL), 0);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].n, 2);
	assert_int_equal(group_of(&s, &g, "caller"), 0);
	assert_int_equal(group_of(&s, &g, "callee"), 0);
	assert_int_equal(group_of(&s, &g, "same"), UINT32_MAX);
	assert_int_equal(group_of(&s, &g, "user"), UINT32_MAX);
	assert_int_equal(group_of(&s, &g, "alone"), UINT32_MAX);
	pgo_groups_fini(&g);
	end(&s);
}

static void what_is_inside_an_inlined_callee_comes_along(void **state)
{
	struct pgo_groups g;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 1000 inner<callee\na 500 callee\na 3000 caller", 0, "x");
	add(&s, true, "a 1000 inner<callee<caller\na 500 callee<caller\na 3000 caller", 0, "y");
	finish(&s);
	assert_int_equal(pgo_groups_find(&s.before, &s.after, &s.costs, &g, NULL), 0);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].n, 3);
	pgo_groups_fini(&g);
	end(&s);
}

static void cost_that_went_from_one_inlined_function_to_another_makes_a_group(void **state)
{
	struct pgo_groups g;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 9000 rest\na 3000 next<loop\na 500 test<loop\na 4000 loop\na 900 alone",
		0, "x");
	/* All of it 10 % cheaper but for what went to `loop`. */
	add(&s, true, "a 8100 rest\na 900 next<loop\na 450 test<loop\na 5300 loop\na 810 alone", 0,
		"y");
	finish(&s);
	assert_int_equal(pgo_groups_find(&s.before, &s.after, &s.costs, &g, NULL), 0);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].n, 2);
	assert_int_equal(group_of(&s, &g, "loop"), 0);
	assert_int_equal(group_of(&s, &g, "next"), 0);
	assert_int_equal(group_of(&s, &g, "test"), UINT32_MAX);
	pgo_groups_fini(&g);
	end(&s);
}

static void noise_in_where_a_callee_is_seen_makes_no_group(void **state)
{
	struct pgo_groups g;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	/* Samples of value 1: nine against six of a dozen are no finding. */
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < 12; i++)
			add(&s, side != 0, i < (side != 0 ? 6 : 9) ? "a 1 f<one" : "a 1 f<two", 0,
				i % 2 != 0 ? "x" : "y");
	add(&s, false, "a 1 one\na 1 two", 0, "w");
	add(&s, true, "a 1 one\na 1 two", 0, "w");
	finish(&s);
	assert_int_equal(pgo_groups_find(&s.before, &s.after, &s.costs, &g, NULL), 0);
	assert_int_equal(g.n_groups, 0);
	pgo_groups_fini(&g);
	end(&s);
}

static void a_helper_that_is_inlined_everywhere_does_not_glue_the_program(void **state)
{
	char before[2048] = "", after[2048] = "";
	struct pgo_groups g;
	struct sides s;
	size_t nb = 0, na = 0;

	(void)state;
	for (int i = 0; i < 30; i++) {
		nb += (size_t)snprintf(before + nb, sizeof before - nb, "a 500 fn%d\n", i);
		na += (size_t)snprintf(
			after + na, sizeof after - na, "a 500 fn%d\na 1000 helper<fn%d\n", i, i);
	}
	snprintf(before + nb, sizeof before - nb, "a 30000 helper");
	after[na - 1] = '\0';
	begin(&s, NULL);
	add(&s, false, before, 0, "x");
	add(&s, true, after, 0, "y");
	finish(&s);
	assert_int_equal(pgo_groups_find(&s.before, &s.after, &s.costs, &g, NULL), 0);
	for (size_t i = 0; i < g.n_groups; i++)
		assert_true(g.groups[i].n <= PGO_GROUP_MAX);
	pgo_groups_fini(&g);
	end(&s);
}

static const struct pgo_calltree_node *node(const struct pgo_calltree *t, const char *name)
{
	for (size_t i = 0; i < t->n_nodes; i++)
		if (strcmp(pgo_strtab_get(&t->strs, t->nodes[i].name), name) == 0)
			return &t->nodes[i];
	fail_msg("no node %s", name);
	return NULL;
}

static void near(double got, double want)
{
	if (!(fabs(got - want) < 1e-9))
		fail_msg("got %.12g, want %.12g", got, want);
}

static void the_tree_holds_what_the_verdict_says(void **state)
{
	/* Items by name: f, g, main. */
	const double before[] = {0.5, 0.3, 0.2}, after[] = {0.25, 0.6, 0};
	const struct pgo_calltree_scale scale = {before, after};
	struct pgo_calltree *t;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 1 f,main\na 3 f,g,main\na 5 g,main\na 2 main", 0, "x");
	add(&s, true, "a 8 f,g,main\na 8 g,main", 0, "y");
	finish(&s);
	t = pgo_calltree_new(&s.before, &s.after, &s.costs, &scale, NULL);
	assert_non_null(t);
	assert_true(t->called);
	assert_int_equal(t->n_nodes, 5);
	near(t->nodes[0].before, 1.0);
	near(t->nodes[0].after, 0.85);
	near(node(t, "main")->self_before, 0.2);
	near(node(t, "main")->before, 1.0);
	near(node(t, "f")->self_before, 0.125); /* the first: directly below main */
	near(node(t, "g")->before, 0.3 + 0.375);
	near(node(t, "g")->after, 0.85);
	assert_int_equal(t->nodes[0].below, 4);
	assert_int_equal(node(t, "g")->below, 1);
	pgo_calltree_free(t);
	end(&s);
}

static void a_pruned_tree_still_holds_everything(void **state)
{
	struct pgo_calltree *t;
	double self = 0;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 40 f,main\na 30 g,main\na 2 h,main\na 1 i,h,main\na 4 j,main", 0, "x");
	add(&s, true, "a 40 f,main\na 30 g,main\na 2 h,main\na 1 k,main", 0, "y");
	finish(&s);
	t = pgo_calltree_new(&s.before, &s.after, &s.costs, NULL, NULL);
	assert_non_null(t);
	assert_int_equal(t->n_nodes, 8);
	assert_int_equal(pgo_calltree_prune(t, 4, NULL), 0);
	assert_int_equal(t->n_nodes, 5); /* all, main, f, g, (other) */
	assert_int_equal(t->pruned, 4);
	near(node(t, PGO_CALLTREE_OTHER)->before, 7.0 / 77);
	near(t->nodes[0].before, 1);
	near(t->nodes[0].after, 1);
	for (size_t i = 0; i < t->n_nodes; i++)
		self += t->nodes[i].self_before;
	near(self, 1);
	pgo_calltree_free(t);
	end(&s);
}

/* ---- stacks that are too many */

static uint32_t numbered(void *ctx, uint32_t i)
{
	const uint32_t *frames = ctx;

	return frames[i];
}

static void stacks_are_cut_at_one_depth_whatever_their_order(void **state)
{
	struct pgo_stacks s[2];
	int64_t sum = 0;

	(void)state;
	for (int round = 0; round < 2; round++) {
		pgo_stacks_init(&s[round], 50);
		for (uint32_t i = 0; i < 60; i++) {
			uint32_t k = round == 0 ? i : 59 - i, frames[6], n;
			bool cut;

			/* Outermost frames are few, deep ones many. */
			for (uint32_t d = 0; d < 6; d++)
				frames[5 - d] = d < 3 ? k % (d + 1) : 100 + k;
			n = pgo_stacks_node(&s[round], 6, numbered, frames, &cut);
			assert_true(n != UINT32_MAX);
			*(cut ? &s[round].nodes[n].other : &s[round].nodes[n].self) += 1;
			assert_int_equal(pgo_stacks_bound(&s[round]), 0);
		}
	}
	assert_int_equal(s[0].max_depth, 3);
	assert_int_equal(s[1].max_depth, 3);
	assert_int_equal(s[0].n_nodes, s[1].n_nodes);
	for (size_t i = 0; i < s[0].n_nodes; i++)
		sum += s[0].nodes[i].self + s[0].nodes[i].other;
	assert_int_equal(sum, 60);
	pgo_stacks_fini(&s[0]);
	pgo_stacks_fini(&s[1]);
}

static void names_in_folded_stacks_do_not_break_them(void **state)
{
	struct pgo_calltree *t;
	struct pgo_buf out;
	struct sides s;

	(void)state;
	begin(&s, NULL);
	add(&s, false, "a 1 b;c,main", 0, "x");
	add(&s, true, "a 1 b;c,main", 0, "y");
	finish(&s);
	t = pgo_calltree_new(&s.before, &s.after, &s.costs, NULL, NULL);
	assert_non_null(t);
	pgo_buf_init(&out, 1 << 20);
	pgo_folded_write(t, &out);
	assert_string_equal(out.data, "main;b:c 100000000 100000000\n");
	pgo_buf_fini(&out);
	pgo_calltree_free(t);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_of_many_hosts_is_split_into_them),
		cmocka_unit_test(every_sample_is_accounted_for),
		cmocka_unit_test(the_order_of_inputs_does_not_matter),
		cmocka_unit_test(windows_are_put_together_when_rows_get_too_many),
		cmocka_unit_test(clones_and_parts_have_their_functions_name),
		cmocka_unit_test(callers_and_callees_whose_inlining_changed_are_a_group),
		cmocka_unit_test(what_is_inside_an_inlined_callee_comes_along),
		cmocka_unit_test(cost_that_went_from_one_inlined_function_to_another_makes_a_group),
		cmocka_unit_test(noise_in_where_a_callee_is_seen_makes_no_group),
		cmocka_unit_test(a_helper_that_is_inlined_everywhere_does_not_glue_the_program),
		cmocka_unit_test(the_tree_holds_what_the_verdict_says),
		cmocka_unit_test(a_pruned_tree_still_holds_everything),
		cmocka_unit_test(stacks_are_cut_at_one_depth_whatever_their_order),
		cmocka_unit_test(names_in_folded_stacks_do_not_break_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
