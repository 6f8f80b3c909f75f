/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are compiled here; without gcc the tests that need them are skipped. */
#include "convert/debugfile.h"
#include "convert/lines.h"
#include "convert/linetab.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ discriminators */

static void discriminators_are_split_by_their_encoding(void **state)
{
	static const struct {
		enum pgo_disc_encoding enc;
		uint32_t raw, base, factor, copy;
	} t[] = {
		{PGO_DISC_PLAIN, 33792, 33792, 1, 0},
		{PGO_DISC_CLANG, 0, 0, 1, 0},
		{PGO_DISC_CLANG, 2, 1, 1, 0},
		{PGO_DISC_CLANG, 4, 2, 1, 0},
		{PGO_DISC_CLANG, 33, 0, 8, 0},
		{PGO_DISC_CLANG, 2050, 1, 8, 0},
		{PGO_DISC_CLANG, 2060, 6, 8, 0},
		/* 14 bits: 100 = 3 * 32 + 4, so 0 00100 1 0000011 */
		{PGO_DISC_CLANG, 4 << 1 | 1 << 6 | 3 << 7 | 1 << 14, 100, 1, 0},
		{PGO_DISC_GCC16, 0x8400, 0, 4, 1},
		{PGO_DISC_GCC16, 33794, 2, 4, 1},
		{PGO_DISC_GCC16, 65536, 0, 1, 2},
		{PGO_DISC_GCC16, 5, 5, 1, 0},
		{PGO_DISC_LLVM_FS, 793601, 793601, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		uint32_t base, factor, copy;

		pgo_disc_decode(t[i].enc, t[i].raw, &base, &factor, &copy);
		assert_int_equal(base, t[i].base);
		assert_int_equal(factor, t[i].factor);
		assert_int_equal(copy, t[i].copy);
	}
}

static void encoding_follows_the_producer(void **state)
{
	(void)state;
	assert_int_equal(pgo_disc_encoding_of("GNU C17 12.2.0 -O2 -g"), PGO_DISC_PLAIN);
	assert_int_equal(pgo_disc_encoding_of("GNU C++17 15.3.0"), PGO_DISC_PLAIN);
	assert_int_equal(pgo_disc_encoding_of("GNU GIMPLE 16.2.0 -O2"), PGO_DISC_GCC16);
	assert_int_equal(pgo_disc_encoding_of("GNU C23 16.1.0"), PGO_DISC_GCC16);
	assert_int_equal(pgo_disc_encoding_of("GNU AS 2.40"), PGO_DISC_PLAIN);
	assert_int_equal(pgo_disc_encoding_of("GNU"), PGO_DISC_CLANG);
	assert_int_equal(pgo_disc_encoding_of("Debian clang version 14.0.6"), PGO_DISC_CLANG);
	assert_int_equal(pgo_disc_encoding_of("rustc version 1.95.0"), PGO_DISC_CLANG);
	assert_int_equal(pgo_disc_encoding_of("Go cmd/compile go1.26"), PGO_DISC_PLAIN);
	assert_int_equal(pgo_disc_encoding_of(NULL), PGO_DISC_CLANG);
}

/* ------------------------------------------------------------------ tables */

static struct pgo_lines_hit find(const struct pgo_linetab *t, uint64_t addr)
{
	struct pgo_lines_hit hit;

	pgo_linetab_find(t, addr, &hit);
	return hit;
}

static void innermost_interval_wins_and_overlaps_are_cut(void **state)
{
	struct pgo_linetab t = {0};

	(void)state;
	pgo_linetab_add_interval(&t, 100, 200, 0, 0);
	pgo_linetab_add_interval(&t, 120, 160, 1, 1);
	pgo_linetab_add_interval(&t, 130, 140, 2, 2);
	pgo_linetab_add_interval(&t, 190, 250, 3, 1); /* runs over its function's end */
	pgo_linetab_add_interval(&t, 300, 310, 4, 0);
	pgo_linetab_add_interval(&t, 50, 40, 5, 0); /* empty */
	assert_int_equal(pgo_linetab_finish(&t), 0);
	assert_int_equal(find(&t, 99).node, UINT32_MAX);
	assert_int_equal(find(&t, 99).end, 100);
	assert_int_equal(find(&t, 100).node, 0);
	assert_int_equal(find(&t, 100).end, 120);
	assert_int_equal(find(&t, 125).node, 1);
	assert_int_equal(find(&t, 130).node, 2);
	assert_int_equal(find(&t, 140).node, 1);
	assert_int_equal(find(&t, 160).node, 0);
	assert_int_equal(find(&t, 195).node, 3);
	assert_int_equal(find(&t, 205).node, UINT32_MAX);
	assert_int_equal(find(&t, 305).node, 4);
	assert_true(find(&t, 310).end == UINT64_MAX);
	pgo_linetab_fini(&t);
}

static void last_row_of_an_address_counts_but_not_the_one_of_an_ending_sequence(void **state)
{
	struct pgo_linetab t = {0};

	(void)state;
	pgo_linetab_add_interval(&t, 100, 200, 0, 0);
	pgo_linetab_add_row(&t, 150, 84, 0, PGO_DISC_PLAIN, false);
	pgo_linetab_add_row(&t, 150, 86, 3, PGO_DISC_PLAIN, false);
	pgo_linetab_add_row(&t, 180, 87, 0, PGO_DISC_PLAIN, true);
	/* The sequence before it in memory comes later in the table. */
	pgo_linetab_add_row(&t, 100, 795, 0, PGO_DISC_PLAIN, false);
	pgo_linetab_add_row(&t, 120, 0, 0, PGO_DISC_PLAIN, false);
	pgo_linetab_add_row(&t, 140, 795, 0, PGO_DISC_PLAIN, false);
	pgo_linetab_add_row(&t, 150, 795, 0, PGO_DISC_PLAIN, false);
	pgo_linetab_add_row(&t, 150, 795, 0, PGO_DISC_PLAIN, true);
	assert_int_equal(pgo_linetab_finish(&t), 0);
	assert_int_equal(find(&t, 110).line, 795);
	assert_int_equal(find(&t, 110).end, 120);
	assert_int_equal(find(&t, 130).line, 0);
	assert_int_equal(find(&t, 150).line, 86);
	assert_int_equal(find(&t, 179).disc, 3);
	assert_int_equal(find(&t, 180).line, 0);
	pgo_linetab_fini(&t);
}

/* ------------------------------------------------------------------ real debug information */

static const char program[] =
	"volatile int sink;\n"                                           /* 1 */
	"static inline __attribute__((always_inline)) int leaf(int x)\n" /* 2 */
	"{\n"                                                            /* 3 */
	"\tsink = x;\n"                                                  /* 4 */
	"\treturn x * 3;\n"                                              /* 5 */
	"}\n"                                                            /* 6 */
	"static inline __attribute__((always_inline)) int mid(int x)\n"  /* 7 */
	"{\n"                                                            /* 8 */
	"\tsink = x + 1;\n"                                              /* 9 */
	"\treturn leaf(x + 2);\n"                                        /* 10 */
	"}\n"                                                            /* 11 */
	"__attribute__((noinline)) int work(int x)\n"                    /* 12 */
	"{\n"                                                            /* 13 */
	"\treturn mid(x) + leaf(x);\n"                                   /* 14 */
	"}\n"                                                            /* 15 */
	"__attribute__((noinline)) int other(int x)\n"                   /* 16 */
	"{\n"                                                            /* 17 */
	"\treturn x / 7;\n"                                              /* 18 */
	"}\n"                                                            /* 19 */
	"int main(int n, char **v)\n"                                    /* 20 */
	"{\n"                                                            /* 21 */
	"\t(void)v;\n"                                                   /* 22 */
	"\treturn work(n) + other(n);\n"                                 /* 23 */
	"}\n";

static char *compile(void *state, const char *name, const char *flags)
{
	char cmd[2048];
	const char *from;
	char *to;

	if (system("command -v gcc >/dev/null 2>&1 && command -v objcopy >/dev/null 2>&1") != 0)
		skip();
	from = scratch_file(state, "prog.c", program, strlen(program));
	to = scratch_path(state, name);
	snprintf(cmd, sizeof cmd, "gcc -O1 -Wl,--build-id %s -o %s %s", flags, to, from);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	return to;
}

static struct pgo_elf *open_elf(const char *path)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = pgo_elf_open(path, &err);

	if (e == NULL)
		fail_msg("%s", err.msg);
	return e;
}

static uint64_t address(const struct pgo_elf *e, const char *name)
{
	for (size_t i = 0; i < e->n_symbols; i++) {
		if (strcmp(e->symbols[i].name, name) == 0)
			return e->symbols[i].addr;
	}
	fail_msg("no symbol %s", name);
	return 0;
}

/* Does [lo, hi) have a place with exactly this chain, as "leaf:2 mid:3 work:2"? */
static bool has_chain(const struct pgo_lines *l, const struct pgo_strtab *strs, uint64_t lo,
	uint64_t hi, const char *want)
{
	struct pgo_frame f[PGO_MAX_FRAMES];
	uint64_t end;

	for (uint64_t at = lo; at < hi; at = end) {
		size_t n = pgo_lines_at(l, at, f, &end);
		char text[1024] = "";

		assert_true(end > at);
		for (size_t i = 0; i < n; i++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s:%u",
				i != 0 ? " " : "", pgo_strtab_get(strs, f[i].function),
				f[i].line_offset);
		if (strcmp(text, want) == 0)
			return true;
	}
	return false;
}

static void check_chains(void *state, const char *flags)
{
	struct pgo_elf *e = open_elf(compile(state, "prog", flags));
	struct pgo_err err = PGO_ERR_INIT;
	const struct pgo_lines_fn *fn;
	uint64_t work = address(e, "work");
	struct pgo_strtab strs;
	struct pgo_lines *l;

	assert_int_equal(pgo_strtab_init(&strs, 1 << 20), 0);
	l = pgo_lines_open(e, NULL, &work, 1, &strs, &err);
	if (l == NULL)
		fail_msg("%s", err.msg);
	assert_string_equal(pgo_lines_debug_file(l), e->path);
	assert_true(has_chain(l, &strs, work, work + 64, "mid:2 work:2"));
	assert_true(has_chain(l, &strs, work, work + 64, "leaf:2 mid:3 work:2"));
	assert_true(has_chain(l, &strs, work, work + 64, "leaf:2 work:2"));
	fn = pgo_lines_fn_at(l, work);
	assert_non_null(fn);
	assert_true(fn->entry == work);
	assert_int_equal(fn->decl_line, 12);
	assert_string_equal(pgo_strtab_get(&strs, fn->name), "work");
	assert_string_equal(pgo_strtab_get(&strs, fn->file), "prog.c");
	/* Only what was wanted is read. */
	assert_int_equal(pgo_lines_n_fns(l), 1);
	assert_null(pgo_lines_fn_at(l, address(e, "other")));
	pgo_lines_close(l);
	pgo_strtab_fini(&strs);
	pgo_elf_close(e);
}

static void inline_chains_in_every_dwarf_version(void **state)
{
	check_chains(*state, "-gdwarf-5");
	check_chains(*state, "-gdwarf-4");
	check_chains(*state, "-gdwarf-3");
	check_chains(*state, "-gdwarf-2");
}

static void inline_chains_without_full_debug_information(void **state)
{
	check_chains(*state, "-g1");
	check_chains(*state, "-g -gz=zlib");
	check_chains(*state, "-g -no-pie -fno-pie");
	check_chains(*state, "-g -ffunction-sections -Wl,--gc-sections");
}

/*
 * GCC says no declaration line for the body of a lambda.  The compiler counts its lines from the
 * introducer, so that is what must come out, whether a parameter stands there or none does.
 */
static void lambdas_are_declared_at_their_introducer(void **state)
{
	static const char lambdas[] = "volatile int sink;\n"                               /* 1 */
				      "__attribute__((noinline)) int work(int x)\n"        /* 2 */
				      "{\n"                                                /* 3 */
				      "\tint base = x * 3;\n"                              /* 4 */
				      "\tauto plain = [&]() __attribute__((noipa)) {\n"    /* 5 */
				      "\t\tsink = base;\n"                                 /* 6 */
				      "\t\treturn base + 1;\n"                             /* 7 */
				      "\t};\n"                                             /* 8 */
				      "\tauto one = [&](int y) __attribute__((noipa)) {\n" /* 9 */
				      "\t\tsink = y + base;\n"                             /* 10 */
				      "\t\treturn y;\n"                                    /* 11 */
				      "\t};\n"                                             /* 12 */
				      "\treturn plain() + one(x);\n"                       /* 13 */
				      "}\n"
				      "int main(int n, char **)\n"
				      "{\n"
				      "\treturn work(n);\n"
				      "}\n";
	static const struct {
		const char *symbol;
		uint32_t line;
	} want[] = {{"_ZZ4workiENKUlv", 5}, {"_ZZ4workiENKUli", 9}};
	char cmd[2048];
	const char *to = scratch_path(*state, "lambdas");

	if (system("command -v g++ >/dev/null 2>&1") != 0)
		skip();
	snprintf(cmd, sizeof cmd, "g++ -std=c++17 -O1 -g -Wl,--build-id -o %s %s", to,
		scratch_file(*state, "lambdas.cpp", lambdas, strlen(lambdas)));
	assert_int_equal(system(cmd), 0);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct pgo_elf *e = open_elf(to);
		uint64_t at = 0;
		const struct pgo_lines_fn *fn;
		struct pgo_strtab strs;
		struct pgo_lines *l;

		/* Compilers number lambdas differently; the beginning is the same. */
		for (size_t k = 0; k < e->n_symbols; k++)
			if (strncmp(e->symbols[k].name, want[i].symbol, strlen(want[i].symbol)) ==
				0)
				at = e->symbols[k].addr;
		assert_true(at != 0);
		assert_int_equal(pgo_strtab_init(&strs, 1 << 20), 0);
		l = pgo_lines_open(e, NULL, &at, 1, &strs, NULL);
		assert_non_null(l);
		fn = pgo_lines_fn_at(l, at);
		assert_non_null(fn);
		assert_int_equal(fn->decl_line, want[i].line);
		pgo_lines_close(l);
		pgo_strtab_fini(&strs);
		pgo_elf_close(e);
	}
}

/* ------------------------------------------------------------------ where it is */

static void shell(void *state, const char *cmd)
{
	char text[4096];

	snprintf(text, sizeof text, "cd %s && %s", scratch_dir(state), cmd);
	if (system(text) != 0)
		fail_msg("failed: %s", text);
}

static char *find_debug(const char *binary, const char *debug, struct pgo_err *err)
{
	struct pgo_elf *e = open_elf(binary);
	const struct pgo_debug_places where = {
		.debug = &debug, .n_debug = debug != NULL, .sole = true};
	char *found = pgo_debugfile_find(e, &where, err);

	pgo_elf_close(e);
	return found;
}

static void separate_file_is_found_by_debug_link_and_by_name(void **state)
{
	char *prog = compile(*state, "prog", "-g"), *found;
	char want[512];

	shell(*state, "mkdir .debug named && objcopy --only-keep-debug prog .debug/prog.dbg && "
		      "strip prog && objcopy --add-gnu-debuglink=.debug/prog.dbg prog");
	snprintf(want, sizeof want, "%s/.debug/prog.dbg", scratch_dir(*state));
	found = find_debug(prog, NULL, NULL);
	assert_string_equal(found, want);
	pgo_free(found);
	shell(*state, "mv .debug/prog.dbg named/prog.dbg");
	assert_null(find_debug(prog, NULL, NULL));
	snprintf(want, sizeof want, "%s/named", scratch_dir(*state));
	found = find_debug(prog, want, NULL);
	assert_has(found, "named/prog.dbg");
	pgo_free(found);
	snprintf(want, sizeof want, "%s/named/prog.dbg", scratch_dir(*state));
	found = find_debug(prog, want, NULL);
	assert_string_equal(found, want);
	pgo_free(found);
}

static void separate_file_is_found_below_a_build_id_tree(void **state)
{
	char *prog = compile(*state, "prog", "-g"), *found;
	struct pgo_elf *e = open_elf(prog);
	char cmd[1024], tree[512];

	snprintf(cmd, sizeof cmd,
		"mkdir -p tree/.build-id/%.2s && objcopy --only-keep-debug prog "
		"tree/.build-id/%.2s/%s.debug && strip prog",
		e->build_id, e->build_id, e->build_id + 2);
	pgo_elf_close(e);
	shell(*state, cmd);
	snprintf(tree, sizeof tree, "%s/tree", scratch_dir(*state));
	found = find_debug(prog, tree, NULL);
	assert_has(found, "tree/.build-id/");
	pgo_free(found);
}

static void debug_link_without_build_id_goes_by_checksum(void **state)
{
	char *prog = compile(*state, "prog", "-g -Wl,--build-id=none"), *found;

	shell(*state, "objcopy --only-keep-debug prog prog.dbg && strip prog && "
		      "objcopy --add-gnu-debuglink=prog.dbg prog");
	found = find_debug(prog, NULL, NULL);
	assert_has(found, "/prog.dbg");
	pgo_free(found);
	shell(*state, "printf x >>prog.dbg");
	assert_null(find_debug(prog, NULL, NULL));
	assert_int_equal(pgo_crc32(0, "123456789", 9), 0xcbf43926);
}

static void missing_debug_information_names_places_and_flags(void **state)
{
	char *prog = compile(*state, "prog", "-g0");
	struct pgo_err err = PGO_ERR_INIT;

	assert_null(find_debug(prog, NULL, &err));
	assert_int_equal(err.code, PGO_ENOTFOUND);
	assert_has(err.msg, prog);
	assert_has(err.msg, "/usr/lib/debug/.build-id/");
	assert_has(err.msg, "-g");
	assert_has(err.msg, "-fdebug-info-for-profiling");
}

static void named_file_of_another_build_is_refused(void **state)
{
	char *other = compile(*state, "other", "-g -DOTHER -O2"), *prog;
	struct pgo_err err = PGO_ERR_INIT;

	prog = compile(*state, "prog", "-g0");
	assert_null(find_debug(prog, other, &err));
	assert_int_equal(err.code, PGO_EMISMATCH);
	assert_null(find_debug(prog, "/nonexistent/file", &err));
	assert_int_equal(err.code, PGO_ENOTFOUND);
}

/* ------------------------------------------------------------------ damage */

/* Flips bytes inside .debug_* sections: no crash, no endless walk, whatever comes out. */
static void damaged_debug_information_does_no_harm(void **state)
{
	static const char *const sections[] = {
		".debug_info", ".debug_abbrev", ".debug_line", ".debug_rnglists", ".debug_str"};
	char *prog = compile(*state, "prog", "-g"), *copy = scratch_path(*state, "copy");
	struct pgo_elf *e = open_elf(prog);
	uint64_t wanted[3] = {address(e, "work"), address(e, "other"), address(e, "main")};
	uint32_t seed = 1;

	if (wanted[0] > wanted[1] || wanted[1] > wanted[2])
		wanted[0] = wanted[1] = wanted[2] = address(e, "work");
	pgo_diag_set_verbosity(-1);
	for (int round = 0; round < 400; round++) {
		const struct pgo_section *s = pgo_elf_section(e, sections[round % 5]);
		struct pgo_strtab strs;
		struct pgo_lines *l;
		struct pgo_elf *d;
		char cmd[2048];
		FILE *f;

		if (s == NULL || s->size == 0)
			continue;
		snprintf(cmd, sizeof cmd, "cp %s %s", prog, copy);
		assert_int_equal(system(cmd), 0);
		f = fopen(copy, "r+b");
		assert_non_null(f);
		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525u + 1013904223u;
			fseek(f, (long)(s->offset + (seed >> 8) % s->size), SEEK_SET);
			fputc((int)(seed >> 16 & 0xff), f);
		}
		fclose(f);
		alarm(60);
		d = open_elf(copy);
		assert_int_equal(pgo_strtab_init(&strs, 1 << 24), 0);
		l = pgo_lines_open(d, NULL, wanted, 3, &strs, NULL);
		if (l != NULL)
			has_chain(l, &strs, wanted[0], wanted[0] + 256, "none");
		pgo_lines_close(l);
		pgo_strtab_fini(&strs);
		pgo_elf_close(d);
		alarm(0);
	}
	pgo_diag_set_verbosity(0);
	pgo_elf_close(e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

/* ------------------------------------------------------------------ work */

/* The program with `n` more units that nobody asks about, each with more debug information. */
static struct pgo_lines_work work_beside(void *state, int n, const char *flags)
{
	char cmd[8192], text[2048];
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_lines_work work;
	struct pgo_strtab strs;
	struct pgo_lines *l;
	struct pgo_elf *e;
	uint64_t wanted;
	size_t len;
	char *path = scratch_path(state, "many");

	if (system("command -v gcc >/dev/null 2>&1") != 0)
		skip();
	len = (size_t)snprintf(cmd, sizeof cmd, "gcc -g -O1 %s -o %s %s", flags, path,
		scratch_file(state, "prog.c", program, strlen(program)));
	for (int i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof name, "cold%d.c", i);
		snprintf(text, sizeof text,
			"struct s%d { int a, b; char c[9]; enum { A%d, B%d } d; };\n"
			"int cold%d(struct s%d *s) { int k = s->a; for (int i = 0; i < s->b; i++)"
			" k += s->c[i %% 9]; return k; }\n",
			i, i, i, i, i);
		len += (size_t)snprintf(cmd + len, sizeof cmd - len, " %s",
			scratch_file(state, name, text, strlen(text)));
	}
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	e = open_elf(path);
	wanted = address(e, "work");
	assert_int_equal(pgo_strtab_init(&strs, (size_t)1 << 20), 0);
	l = pgo_lines_open(e, NULL, &wanted, 1, &strs, &err);
	assert_non_null(l);
	work = pgo_lines_work(l);
	pgo_lines_close(l);
	pgo_strtab_fini(&strs);
	pgo_elf_close(e);
	return work;
}

static void code_that_nobody_asks_about_costs_next_to_nothing(void **state)
{
	static const char *const flags[] = {"-gdwarf-4", "-gdwarf-5"};

	for (size_t i = 0; i < 2; i++) {
		struct pgo_lines_work few = work_beside(*state, 1, flags[i]),
				      many = work_beside(*state, 5, flags[i]);

		assert_int_equal(many.units, few.units + 4);
		assert_int_equal(few.units_read, 1);
		assert_int_equal(many.units_read, 1);
		assert_true(few.entries > 10);
		assert_int_equal(many.entries, few.entries);
		assert_int_equal(few.functions, 1);
		assert_int_equal(many.functions, 1);
		assert_true(few.rows > 0 && few.rows < 16);
		assert_int_equal(many.rows, few.rows);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discriminators_are_split_by_their_encoding),
		cmocka_unit_test(encoding_follows_the_producer),
		cmocka_unit_test(innermost_interval_wins_and_overlaps_are_cut),
		cmocka_unit_test(
			last_row_of_an_address_counts_but_not_the_one_of_an_ending_sequence),
		TEST(inline_chains_in_every_dwarf_version),
		TEST(inline_chains_without_full_debug_information),
		TEST(lambdas_are_declared_at_their_introducer),
		TEST(separate_file_is_found_by_debug_link_and_by_name),
		TEST(separate_file_is_found_below_a_build_id_tree),
		TEST(debug_link_without_build_id_goes_by_checksum),
		TEST(missing_debug_information_names_places_and_flags),
		TEST(named_file_of_another_build_is_refused),
		TEST(damaged_debug_information_does_no_harm),
		TEST(code_that_nobody_asks_about_costs_next_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
