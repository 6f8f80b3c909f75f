/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct values {
	bool flag, on;
	const char *output;
	struct pgo_opt_list label;
	uint64_t count, size;
	double share;
	int64_t age, since;
};

#define AT(f) offsetof(struct values, f)
static const struct pgo_opt opts[] = {
	{"Outputs", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"output", 'o', "FILE", "where the result goes", PGO_OPT_STR, AT(output)},
	{"label", 'l', "KEY=VALUE", "a label (repeatable)", PGO_OPT_LIST, AT(label)},
	{"Limits", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"count", 0, "N", "how many", PGO_OPT_U64, AT(count)},
	{"max-size", 0, "BYTES", "how large", PGO_OPT_SIZE, AT(size)},
	{"min-share", 0, "SHARE",
		"a help text which is so long that it cannot stand on one line of eighty columns "
		"and "
		"has to be wrapped",
		PGO_OPT_DOUBLE, AT(share)},
	{"half-life", 0, "DURATION", "how long", PGO_OPT_DURATION, AT(age)},
	{"since", 0, "TIME", "from when", PGO_OPT_TIME, AT(since)},
	{"flag", 'f', NULL, "switch it on", PGO_OPT_FLAG, AT(flag)},
	{"no-thing", 0, NULL, "switch it off", PGO_OPT_NOFLAG, AT(on)},
	PGO_OPT_END,
};
static const struct pgo_opt_table table = {
	"demo", "[OPTION]... FILE... -- FILE...", "Shows options.", opts};

static struct values v;
static struct pgo_opt_globals g;
static struct pgo_err err;
static char *argv[32];
static int argc, first, dashdash;

/* Splits `line` at blanks into argv and parses it. */
static int parse(const char *line)
{
	static char text[1000];

	pgo_opt_list_free(&v.label);
	v = (struct values){.on = true};
	g = (struct pgo_opt_globals){0};
	err = (struct pgo_err)PGO_ERR_INIT;
	snprintf(text, sizeof text, "demo %s", line);
	argc = 0;
	for (char *save, *p = strtok_r(text, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save))
		argv[argc++] = p;
	argv[argc] = NULL;
	first = dashdash = -1;
	return pgo_opt_parse(&table, argc, argv, &v, &g, &first, &dashdash, &err);
}

static void every_kind_of_value_lands_in_its_place(void **state)
{
	(void)state;
	assert_int_equal(parse("-o out --label a=1 -lb=2 --count=10k --max-size 64k "
			       "--min-share=0.25 --half-life 36h --since @5 -f --no-thing in"),
		0);
	assert_string_equal(v.output, "out");
	assert_int_equal(v.label.n, 2);
	assert_string_equal(v.label.item[0], "a=1");
	assert_string_equal(v.label.item[1], "b=2");
	assert_int_equal(v.count, 10000);
	assert_int_equal(v.size, 65536);
	assert_true(v.share == 0.25);
	assert_int_equal(v.age, INT64_C(36) * 3600 * 1000000000);
	assert_int_equal(v.since, INT64_C(5000000000));
	assert_true(v.flag);
	assert_false(v.on);
	assert_int_equal(first, argc - 1);
	assert_string_equal(argv[first], "in");
}

static void global_options_are_understood_by_every_command(void **state)
{
	(void)state;
	assert_int_equal(parse("-qvv --verbose --json --progress never x"), 0);
	assert_true(g.quiet && g.json && !g.help);
	assert_int_equal(g.verbose, 3);
	assert_string_equal(g.progress, "never");
	assert_int_equal(parse("--help"), 0);
	assert_true(g.help);
	assert_int_equal(parse("--progress=sometimes"), PGO_EUSAGE);
	assert_string_equal(
		err.msg, "option --progress: \"sometimes\" is not one of auto, never, always");
}

static void operands_and_options_mix_and_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(parse("a -o out b --flag c -"), 0);
	assert_int_equal(argc - first, 4);
	assert_string_equal(argv[first], "a");
	assert_string_equal(argv[first + 1], "b");
	assert_string_equal(argv[first + 2], "c");
	assert_string_equal(argv[first + 3], "-");
	assert_int_equal(dashdash, argc);
	assert_string_equal(v.output, "out");
}

static void a_double_dash_divides_the_operands(void **state)
{
	(void)state;
	assert_int_equal(parse("a --count 1 b -- c --flag d"), 0);
	assert_int_equal(argc - first, 4);
	assert_int_equal(dashdash - first, 2);
	assert_string_equal(argv[first], "a");
	assert_string_equal(argv[dashdash], "c");
	assert_string_equal(argv[dashdash + 1], "d");
	assert_true(v.flag);
	assert_int_equal(v.count, 1);
	/* The second one ends the options. */
	assert_int_equal(parse("a -- b -- --flag --"), 0);
	assert_int_equal(argc - first, 4);
	assert_string_equal(argv[dashdash], "b");
	assert_string_equal(argv[dashdash + 1], "--flag");
	assert_string_equal(argv[dashdash + 2], "--");
	assert_false(v.flag);
	assert_int_equal(parse("a -- b --nonsense"), PGO_EUSAGE);
	assert_has(err.msg, "--nonsense");
	/* As the value of an option it divides nothing. */
	assert_int_equal(parse("a -o -- b c"), 0);
	assert_string_equal(v.output, "--");
	assert_int_equal(argc - first, 3);
	assert_int_equal(dashdash, argc);
	assert_int_equal(parse("-- a"), 0);
	assert_int_equal(dashdash, first);
	assert_string_equal(argv[first], "a");
	assert_int_equal(parse("a --"), 0);
	assert_int_equal(argc - first, 1);
	assert_int_equal(dashdash, argc);
	assert_int_equal(parse(""), 0);
	assert_int_equal(first, argc);
}

static void without_groups_a_double_dash_ends_the_options(void **state)
{
	char *words[] = {(char[]){"demo"}, (char[]){"a"}, (char[]){"--flag"}, (char[]){"--"},
		(char[]){"--output"}, (char[]){"--"}, NULL};

	(void)state;
	pgo_opt_list_free(&v.label);
	v = (struct values){0};
	assert_int_equal(pgo_opt_parse(&table, 6, words, &v, &g, &first, NULL, &err), 0);
	assert_true(v.flag);
	assert_null(v.output);
	assert_int_equal(first, 3);
	assert_string_equal(words[3], "a");
	assert_string_equal(words[4], "--output");
	assert_string_equal(words[5], "--");
}

static void the_environment_does_not_change_parsing(void **state)
{
	(void)state;
	setenv("POSIXLY_CORRECT", "1", 1);
	assert_int_equal(parse("a --flag b"), 0);
	unsetenv("POSIXLY_CORRECT");
	assert_true(v.flag);
	assert_int_equal(argc - first, 2);
}

static void mistakes_are_named_with_the_nearest_option(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"--ouput x", "unknown option --ouput; did you mean --output?"},
		{"--helf", "unknown option --helf; did you mean --help?"},
		{"--half-live=3d", "unknown option --half-live; did you mean --half-life?"},
		{"--zzzzzzzz", "unknown option --zzzzzzzz; `pgo demo --help` lists them"},
		{"-z", "unknown option -z; `pgo demo --help` lists them"},
		{"-fz", "unknown option -z; `pgo demo --help` lists them"},
		{"-o", "option -o needs a value: FILE"},
		{"a --output", "option --output needs a value: FILE"},
		{"--flag=yes", "option --flag takes no value"},
		{"--json=yes", "option --json takes no value"},
		{"--count=12x", "option --count: \"12x\" is not a whole number"},
		{"--max-size=-1", "option --max-size: \"-1\" is not a size"},
		{"--min-share=1,5", "option --min-share: \"1,5\" is not a number"},
		{"--half-life=7q", "option --half-life: \"7q\" is not a duration"},
		{"--since=yesterday", "option --since: \"yesterday\" is not a time"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(parse(rows[i].line), PGO_EUSAGE);
		assert_has(err.msg, rows[i].says);
	}
}

static void nearness_counts_letters(void **state)
{
	(void)state;
	assert_int_equal(pgo_edit_distance("merge", "merge"), 0);
	assert_int_equal(pgo_edit_distance("mrege", "merge"), 1);
	assert_int_equal(pgo_edit_distance("emrgx", "merge"), 2);
	assert_int_equal(pgo_edit_distance("kitten", "sitting"), 3);
	assert_int_equal(pgo_edit_distance("", "show"), 4);
	assert_int_equal(pgo_edit_distance("convrt", "convert"), 1);
	assert_true(pgo_is_near("convrt", "convert"));
	assert_true(pgo_is_near("conv", "convert"));
	assert_false(pgo_is_near("show", "run"));
}

static void no_allocation_failure_leaks(void **state)
{
	uint64_t live;
	int r = PGO_ENOMEM;

	(void)state;
	pgo_opt_list_free(&v.label);
	live = pgo_alloc_live();
	for (uint64_t n = 0; r != 0; n++) {
		assert_in_range(n, 0, 30);
		pgo_alloc_fail_after(n);
		r = parse("--label x -o y z");
		pgo_alloc_fail_after(UINT64_MAX);
		assert_true(r == 0 || r == PGO_ENOMEM);
		pgo_opt_list_free(&v.label);
		assert_int_equal(pgo_alloc_live(), live);
	}
}

static void help_fits_eighty_columns_and_shows_every_option(void **state)
{
	struct pgo_buf b, names;

	(void)state;
	pgo_buf_init(&b, 100000);
	pgo_buf_init(&names, 100000);
	pgo_opt_help(&table, &b);
	pgo_opt_names(&table, &names);
	assert_false(b.failed || names.failed);
	for (const char *p = b.data; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		assert_in_range(n, 0, 79);
		assert_true(n == 0 || p[n - 1] != ' ');
		p += n + 1;
	}
	for (char *save, *p = strtok_r(names.data, "\n", &save); p != NULL;
		p = strtok_r(NULL, "\n", &save)) {
		char flag[64];

		snprintf(flag, sizeof flag, "--%s", p);
		assert_has(b.data, flag);
	}
	assert_has(b.data, "Usage: pgo demo [OPTION]... FILE... -- FILE...\n\nShows options.\n");
	assert_has(b.data, "\nLimits:\n");
	assert_has(b.data, "\nGeneral:\n");
	assert_has(b.data, "  -o, --output=FILE       where the result goes\n");
	assert_has(b.data, "      --count=N           how many\n");
	pgo_buf_fini(&b);
	pgo_buf_fini(&names);
}

static void names_list_own_and_global_options(void **state)
{
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 100000);
	pgo_opt_names(&table, &b);
	assert_string_equal(b.data,
		"output\nlabel\ncount\nmax-size\nmin-share\nhalf-life\nsince\nflag\nno-thing\n"
		"help\nquiet\nverbose\njson\nprogress\n");
	pgo_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_lands_in_its_place),
		cmocka_unit_test(global_options_are_understood_by_every_command),
		cmocka_unit_test(operands_and_options_mix_and_keep_their_order),
		cmocka_unit_test(a_double_dash_divides_the_operands),
		cmocka_unit_test(without_groups_a_double_dash_ends_the_options),
		cmocka_unit_test(the_environment_does_not_change_parsing),
		cmocka_unit_test(mistakes_are_named_with_the_nearest_option),
		cmocka_unit_test(nearness_counts_letters),
		cmocka_unit_test(no_allocation_failure_leaks),
		cmocka_unit_test(help_fits_eighty_columns_and_shows_every_option),
		cmocka_unit_test(names_list_own_and_global_options),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	pgo_opt_list_free(&v.label);
	return failed;
}
