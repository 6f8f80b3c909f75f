/* SPDX-License-Identifier: Apache-2.0 */
/* One program, made by the compiler at hand, seen through every address convention. */
#include "pgo/core/alloc.h"
#include "pgo/core/resolve.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID "0123456789abcdef0123456789abcdef01234567"

/* .text in one executable segment, .hot in another that lies elsewhere in the file than in memory;
 * `app` is fixed at 0x400000. */
struct world {
	void *scratch;
	struct pgo_elf *elf;
	struct pgo_profile *p;
	struct pgo_resolver r;
	uint64_t main, hot;         /* ELF addresses */
	uint64_t main_off, hot_off; /* file offsets */
	uint64_t rodata;
};

static uint64_t address(const struct pgo_elf *e, const char *name)
{
	for (size_t i = 0; i < e->n_symbols; i++)
		if (strcmp(e->symbols[i].name, name) == 0)
			return e->symbols[i].addr;
	fail_msg("no symbol %s", name);
	return 0;
}

static void *build(const char *dir, const char *source, const char *flags)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e;
	char cmd[1024];

	snprintf(cmd, sizeof cmd,
		"cd %s && gcc -O1 -no-pie -fno-pie -Wl,-z,separate-code "
		"-Wl,--section-start=.hot=0x800000 %s -o app %s",
		dir, flags, source);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	snprintf(cmd, sizeof cmd, "%s/app", dir);
	e = pgo_elf_open(cmd, &err);
	if (e == NULL)
		fail_msg("%s", err.msg);
	return e;
}

static int up(void **state)
{
	static const char source[] = "#include <stdio.h>\n"
				     "__attribute__((section(\".hot\"), noinline)) int hot(int x)\n"
				     "{ return x * 3; }\n"
				     "int main(int argc, char **argv)\n"
				     "{ puts(argv[0]); return hot(argc); }\n";
	struct world *w = calloc(1, sizeof *w);

	if (w == NULL || scratch_up(&w->scratch) < 0)
		return -1;
	*state = w;
	if (system("command -v gcc >/dev/null 2>&1") != 0)
		return 0;
	scratch_file(w->scratch, "app.c", source, sizeof source - 1);
	w->elf = build(scratch_dir(w->scratch), "app.c", "-Wl,--build-id=0x" ID);
	w->main = address(w->elf, "main");
	w->hot = address(w->elf, "hot");
	w->rodata = pgo_elf_section(w->elf, ".rodata")->addr;
	assert_true(pgo_elf_vaddr_to_offset(w->elf, w->main, &w->main_off));
	assert_true(pgo_elf_vaddr_to_offset(w->elf, w->hot, &w->hot_off));
	return 0;
}

static void forget(struct world *w)
{
	if (w->p != NULL)
		pgo_resolver_fini(&w->r);
	pgo_profile_free(w->p);
	w->p = NULL;
}

static int down(void **state)
{
	struct world *w = *state;

	forget(w);
	pgo_elf_close(w->elf);
	scratch_down(&w->scratch);
	free(w);
	return 0;
}

static void resolve(struct world *w, const char *alias, const char *fmt, ...) PGO_PRINTF(3, 4);
static void resolve(struct world *w, const char *alias, const char *fmt, ...)
{
	struct pgo_err err = PGO_ERR_INIT;
	char *text;
	va_list ap;

	if (w->elf == NULL)
		skip(); /* no compiler */
	forget(w);
	va_start(ap, fmt);
	assert_true(vasprintf(&text, fmt, ap) > 0);
	va_end(ap);
	w->p = mkprofile(text);
	free(text);
	assert_int_equal(pgo_resolver_init(&w->r, w->p, w->elf, alias, &err), 0);
	assert_int_equal(w->r.n_locations, w->p->n_locations);
	assert_int_equal(w->r.n_mappings, w->p->n_mappings);
}

static void assert_at(const struct world *w, size_t location, uint64_t vaddr)
{
	if (w->r.at[location].loss != PGO_LOSS_NONE || w->r.at[location].vaddr != vaddr)
		fail_msg("location %zu: %s at %" PRIx64 ", not at %" PRIx64, location + 1,
			pgo_loss_name(w->r.at[location].loss), w->r.at[location].vaddr, vaddr);
}

static void assert_lost(const struct world *w, size_t location, enum pgo_loss loss)
{
	if (w->r.at[location].loss != loss)
		fail_msg("location %zu: %s, not %s", location + 1,
			pgo_loss_name(w->r.at[location].loss), pgo_loss_name(loss));
}

/* ---------------------------------------------------------------- conventions */

static void run_time_addresses_go_through_the_file_offset(void **state)
{
	struct world *w = *state;
	uint64_t base = 0x555500000000;

	resolve(w, NULL,
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n"
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n"
		"0x%" PRIx64 ";0x%" PRIx64 ";0x%" PRIx64 " 1\n",
		base, base + 0x1000, w->main_off & ~0xfffu, base + 0x700000, base + 0x701000,
		w->hot_off & ~0xfffu, base + (w->main_off & 0xfff),
		base + (w->main_off & 0xfff) + 1, base + 0x700000 + (w->hot_off & 0xfff));
	assert_at(w, 0, w->main);
	assert_at(w, 1, w->main + 1);
	assert_at(w, 2, w->hot);
	assert_int_equal(w->r.convention[0], PGO_CONV_MAPPED);
	assert_true(w->r.ours[0] && w->r.ours[1]);
	assert_false(w->r.by_name);
}

static void elf_addresses_in_elf_mappings_stay_what_they_are(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n"
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n"
		"0x%" PRIx64 ";0x%" PRIx64 " 1\n",
		w->main & ~0xfffu, (w->main & ~0xfffu) + 0x1000, w->main_off & ~0xfffu, w->hot,
		w->hot + 0x10, w->hot_off, w->main, w->hot);
	assert_at(w, 0, w->main);
	assert_at(w, 1, w->hot);
	assert_int_equal(w->r.convention[1], PGO_CONV_MAPPED);
}

static void file_offsets_in_file_offset_mappings_resolve(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n0x%" PRIx64 " 1\n",
		w->hot_off, w->hot_off + 0x10, w->hot_off, w->hot_off);
	assert_at(w, 0, w->hot);
}

static void addresses_in_an_empty_mapping_are_elf_addresses(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 0 0 0 /bin/app " ID "\n1@0x%" PRIx64 ";1@0x%" PRIx64 ";1@0x10 1\n",
		w->main, w->hot);
	assert_int_equal(w->r.convention[0], PGO_CONV_ELF);
	assert_at(w, 0, w->main);
	assert_at(w, 1, w->hot);
	assert_lost(w, 2, PGO_LOSS_NOT_CODE);
}

static void elf_addresses_outside_a_run_time_mapping_are_recognised(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 555500000000 555500001000 1000 /bin/app " ID "\n"
		"1@0x%" PRIx64 ";1@0x%" PRIx64 ";1@0x7fffffffff 1\n",
		w->main, w->hot);
	assert_int_equal(w->r.convention[0], PGO_CONV_ELF);
	assert_at(w, 0, w->main);
	assert_at(w, 1, w->hot);
	assert_lost(w, 2, PGO_LOSS_OUTSIDE);
}

static void the_majority_of_addresses_decides_not_the_first(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 555500000000 555500001000 1000 /bin/app " ID "\n"
		"0x555500000010;1@0x%" PRIx64 ";1@0x%" PRIx64 " 1\n",
		w->main, w->hot);
	assert_int_equal(w->r.convention[0], PGO_CONV_ELF);
	assert_lost(w, 0, PGO_LOSS_OUTSIDE);
	assert_at(w, 1, w->main);
	assert_at(w, 2, w->hot);
}

static void a_mapping_without_an_end_reaches_as_far_as_the_file(void **state)
{
	struct world *w = *state;

	resolve(w, NULL, "mapping 555500000000 0 %" PRIx64 " /bin/app " ID "\n1@0x%" PRIx64 " 1\n",
		w->main_off & ~0xfffu, 0x555500000000 + (w->main_off & 0xfff));
	assert_int_equal(w->r.convention[0], PGO_CONV_MAPPED);
	assert_at(w, 0, w->main);
}

static void a_mapping_of_the_whole_image_keeps_distances_in_memory(void **state)
{
	struct world *w = *state;
	uint64_t base = 0x7f0000000000, size = w->hot - 0x400000 + 0x1000;

	resolve(w, NULL,
		"mapping %" PRIx64 " %" PRIx64 " 0 /bin/app " ID "\n"
		"0x%" PRIx64 ";0x%" PRIx64 " 1\n",
		base, base + size, base + (w->main - 0x400000), base + (w->hot - 0x400000));
	assert_at(w, 0, w->main);
	assert_at(w, 1, w->hot);
}

static void a_stray_address_is_lost_alone(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n"
		"0x%" PRIx64 ";0x%" PRIx64 ";1@0x7fff00000000 1\n",
		w->main & ~0xfffu, (w->main & ~0xfffu) + 0x1000, w->main_off & ~0xfffu, w->main,
		w->main + 4);
	assert_at(w, 0, w->main);
	assert_at(w, 1, w->main + 4);
	assert_lost(w, 2, PGO_LOSS_OUTSIDE);
}

static void addresses_that_nothing_explains_are_all_outside(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 555500000000 555500001000 1000 /bin/app " ID "\n"
		"1@0x7fff00000000;1@0x7fff00000001 1\n");
	assert_int_equal(w->r.convention[0], PGO_CONV_UNMAPPABLE);
	assert_lost(w, 0, PGO_LOSS_OUTSIDE);
	assert_lost(w, 1, PGO_LOSS_OUTSIDE);
}

static void data_is_not_code(void **state)
{
	struct world *w = *state;
	uint64_t offset;

	if (w->elf == NULL)
		skip();
	assert_true(pgo_elf_vaddr_to_offset(w->elf, w->rodata, &offset));
	resolve(w, NULL,
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app " ID "\n0x%" PRIx64 " 1\n",
		w->rodata, w->rodata + 4, offset, w->rodata);
	assert_lost(w, 0, PGO_LOSS_NOT_CODE);
}

/* ---------------------------------------------------------------- names without addresses */

static void names_alone_are_counted_as_such(void **state)
{
	struct world *w = *state;

	resolve(w, NULL, "mapping 0 0 0 /bin/app " ID " f\n1@main:3;1@hot:7 1\n");
	assert_int_equal(w->r.convention[0], PGO_CONV_SYMBOL_ONLY);
	assert_lost(w, 0, PGO_LOSS_SYMBOL_ONLY);
	assert_lost(w, 1, PGO_LOSS_SYMBOL_ONLY);
}

static void an_erased_address_among_others_is_counted_as_erased(void **state)
{
	struct world *w = *state;

	resolve(w, NULL, "mapping 0 0 0 /bin/app " ID "\n1@main:3;1@0x%" PRIx64 " 1\n", w->hot);
	assert_lost(w, 0, PGO_LOSS_ERASED);
	assert_at(w, 1, w->hot);
}

static void a_name_that_holds_the_address_gives_it_back(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 0 0 0 /srv/app " ID " f\n"
		"1@app+0x%" PRIx64 ";1@libx+0x%" PRIx64 ";1@app+0x;1@app+0x12zz 1\n",
		w->hot, w->hot);
	assert_at(w, 0, w->hot);
	for (size_t i = 1; i < 4; i++)
		assert_lost(w, i, PGO_LOSS_SYMBOL_ONLY);
}

/* ---------------------------------------------------------------- whose mapping */

static void other_files_builds_and_no_file_are_told_apart(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 1000 2000 0 /lib/libc.so.6 ffff\n"
		"mapping 2000 3000 0 /old/app ffff\n"
		"mapping 3000 4000 0 //anon -\n"
		"mapping 4000 5000 0 /tmp/perf-77.map -\n"
		"mapping 5000 6000 0 [kernel.kallsyms] -\n"
		"mapping 6000 7000 0 - -\n"
		"0x1001;0x2001;0x3001;0x4001;0x5001;0x6001;0@0x7001;stub 1\n");
	assert_lost(w, 0, PGO_LOSS_OTHER_BINARY);
	assert_lost(w, 1, PGO_LOSS_OTHER_BUILD);
	assert_lost(w, 2, PGO_LOSS_NO_MAPPING);
	assert_lost(w, 3, PGO_LOSS_NO_MAPPING);
	assert_lost(w, 4, PGO_LOSS_OTHER_BINARY);
	assert_lost(w, 5, PGO_LOSS_NO_MAPPING);
	assert_lost(w, 6, PGO_LOSS_NO_MAPPING);
	assert_lost(w, 7, PGO_LOSS_NO_MAPPING);
	for (size_t i = 0; i < 6; i++) {
		assert_false(w->r.ours[i]);
		assert_int_equal(w->r.convention[i], PGO_CONV_UNKNOWN);
	}
}

static void the_build_id_decides_whatever_the_file_is_called(void **state)
{
	struct world *w = *state;

	resolve(w, NULL,
		"mapping 0 0 0 /elsewhere/renamed " ID "\n"
		"mapping 0 0 0 /bin/app 0123456789ABCDEF0123456789ABCDEF01234567\n"
		"mapping 0 0 0 x {\"git_ref\"\\:\"1\",\"build_id\"\\:\"" ID "\"}\n"
		"mapping 0 0 0 /bin/app {\"git_ref\"\\:\"1\"}\n"
		"mapping 0 0 0 /bin/app 0123456789abcdef0123456789abcdef\n"
		"1@0x%" PRIx64 " 1\n",
		w->main);
	assert_true(w->r.ours[0] && w->r.ours[1] && w->r.ours[2]);
	assert_true(w->r.ours[3] && w->r.by_name); /* an object without an id: by name */
	assert_false(w->r.ours[4]);
	assert_at(w, 0, w->main);
}

static void a_file_id_in_place_of_the_build_id_decides_too(void **state)
{
	struct world *w = *state;
	char cmd[1024], id[33], want[33] = "";
	FILE *out;

	if (w->elf == NULL)
		skip();
	pgo_elf_file_id(w->elf, id);
	/* The same by other means: the length has fewer than four digits in base 256. */
	snprintf(cmd, sizeof cmd,
		"f=%s; n=$(wc -c <$f); { head -c 4096 $f; tail -c 4096 $f; "
		"printf \"$(printf "
		"'\\\\000\\\\000\\\\000\\\\000\\\\000\\\\%%03o\\\\%%03o\\\\%%03o' "
		"$((n / 65536)) $((n / 256 %% 256)) $((n %% 256)))\"; } | sha256sum | cut -c 1-32",
		w->elf->path);
	out = popen(cmd, "r");
	assert_non_null(out);
	assert_non_null(fgets(want, sizeof want, out));
	pclose(out);
	assert_string_equal(id, want);
	resolve(w, NULL, "mapping 0 0 0 /x/y %s\nmapping 0 0 0 /x/y %.31s\n1@0x%" PRIx64 " 1\n", id,
		id, w->main);
	assert_true(w->r.ours[0]);
	assert_false(w->r.ours[1]);
	assert_false(w->r.by_name);
	assert_at(w, 0, w->main);
}

static void without_build_ids_the_file_name_decides(void **state)
{
	struct world *w = *state;

	resolve(w, "service",
		"mapping 0 0 0 /srv/app -\n"
		"mapping 0 0 0 /srv/service -\n"
		"mapping 0 0 0 /srv/app\\ (deleted) -\n"
		"mapping 0 0 0 /srv/application -\n"
		"1@0x%" PRIx64 ";4@0x%" PRIx64 " 1\n",
		w->main, w->main);
	assert_true(w->r.by_name);
	assert_true(w->r.ours[0] && w->r.ours[1] && w->r.ours[2]);
	assert_false(w->r.ours[3]);
	assert_at(w, 0, w->main);
	assert_lost(w, 1, PGO_LOSS_OTHER_BINARY);
}

static void build_ids_padded_by_recorders_match(void **state)
{
	struct world *w = *state;
	struct pgo_elf *first;

	if (w->elf == NULL)
		skip();
	first = w->elf;
	w->elf = build(scratch_dir(w->scratch), "app.c",
		"-Wl,--build-id=0x0123456789abcdef0123456789abcdef");
	resolve(w, NULL,
		"mapping 0 0 0 /bin/app 0123456789abcdef0123456789abcdef00000000\n"
		"mapping 0 0 0 /bin/app 0123456789abcdef0123456789abcdef00000001\n"
		"mapping 0 0 0 /bin/app 0123456789abcdef\n"
		"1@0x%" PRIx64 " 1\n",
		w->main);
	assert_true(w->r.ours[0]);
	assert_false(w->r.ours[1]);
	assert_false(w->r.ours[2]);
	pgo_elf_close(first);
}

static void a_build_id_is_taken_out_of_its_wrapping(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {{"", ""}, {"ABCdef01", "abcdef01"}, {"{\"build_id\":\"AB\"}", "ab"},
		{"{\"repository\":\"r\"}", ""}, {"{\"build_id\":7}", ""}, {"{broken", ""},
		{"{", ""}};
	char long_id[300], got[129];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pgo_build_id_normalize(cases[i].text, got);
		assert_string_equal(got, cases[i].want);
	}
	memset(long_id, 'A', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	pgo_build_id_normalize(long_id, got);
	assert_int_equal(strlen(got), 128);
}

static void every_loss_has_a_name_and_a_key(void **state)
{
	(void)state;
	for (int i = 0; i < PGO_N_LOSSES; i++) {
		assert_true(strlen(pgo_loss_name((enum pgo_loss)i)) > 0);
		assert_null(strchr(pgo_loss_key((enum pgo_loss)i), ' '));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
				pgo_loss_key((enum pgo_loss)i), pgo_loss_key((enum pgo_loss)k));
	}
	assert_string_equal(pgo_loss_key((enum pgo_loss)99), "unknown");
}

static void a_profile_without_anything_resolves_to_nothing(void **state)
{
	struct world *w = *state;
	uint64_t live;

	resolve(w, NULL, "type samples/count\n");
	assert_int_equal(w->r.n_locations, 0);
	forget(w);
	live = pgo_alloc_live();
	w->p = mkprofile("mapping 0 0 0 /bin/app\n1@0x10 1\n");
	for (uint64_t n = 0; n < 7; n++) {
		struct pgo_resolver r;
		struct pgo_err err = PGO_ERR_INIT;

		pgo_alloc_fail_after(n);
		assert_int_equal(pgo_resolver_init(&r, w->p, w->elf, NULL, &err), PGO_ENOMEM);
		pgo_alloc_fail_after(UINT64_MAX);
	}
	pgo_profile_free(w->p);
	w->p = NULL;
	assert_int_equal(pgo_alloc_live(), live);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(run_time_addresses_go_through_the_file_offset),
		IN_WORLD(elf_addresses_in_elf_mappings_stay_what_they_are),
		IN_WORLD(file_offsets_in_file_offset_mappings_resolve),
		IN_WORLD(addresses_in_an_empty_mapping_are_elf_addresses),
		IN_WORLD(elf_addresses_outside_a_run_time_mapping_are_recognised),
		IN_WORLD(the_majority_of_addresses_decides_not_the_first),
		IN_WORLD(a_mapping_without_an_end_reaches_as_far_as_the_file),
		IN_WORLD(a_mapping_of_the_whole_image_keeps_distances_in_memory),
		IN_WORLD(a_stray_address_is_lost_alone),
		IN_WORLD(addresses_that_nothing_explains_are_all_outside),
		IN_WORLD(data_is_not_code),
		IN_WORLD(names_alone_are_counted_as_such),
		IN_WORLD(an_erased_address_among_others_is_counted_as_erased),
		IN_WORLD(a_name_that_holds_the_address_gives_it_back),
		IN_WORLD(other_files_builds_and_no_file_are_told_apart),
		IN_WORLD(the_build_id_decides_whatever_the_file_is_called),
		IN_WORLD(a_file_id_in_place_of_the_build_id_decides_too),
		IN_WORLD(without_build_ids_the_file_name_decides),
		IN_WORLD(build_ids_padded_by_recorders_match),
		cmocka_unit_test(a_build_id_is_taken_out_of_its_wrapping),
		cmocka_unit_test(every_loss_has_a_name_and_a_key),
		IN_WORLD(a_profile_without_anything_resolves_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
