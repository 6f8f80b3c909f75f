/* SPDX-License-Identifier: Apache-2.0 */
/* gperftools CPU profiles in both word sizes and byte orders. */
#include "fetch/gperf.h"
#include "fetch/import.h"
#include "fetch/map_line.h"
#include "pgo/core/alloc.h"
#include "tests/lib/reclog.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

struct form {
	unsigned size;
	bool big;
};

static const struct form forms[] = {{8, false}, {8, true}, {4, false}, {4, true}};

static void put(struct pgo_buf *b, struct form f, uint64_t v)
{
	for (unsigned i = 0; i < f.size; i++)
		pgo_buf_putc(b, (char)(v >> 8 * (f.big ? f.size - 1 - i : i)));
}

static void put_all(struct pgo_buf *b, struct form f, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(b, f, words[i]);
}

static const uint64_t header[] = {0, 3, 0, 10000, 0};
static const uint64_t trailer[] = {0, 1, 0};
static const char maps[] =
	"00300000-00301000 r-xp 00000000 08:01 5 /lib/libc.so.6\n"
	"00400000-00402000 r-xp 00001000 08:01 1                          /usr/bin/my app\n"
	"00402000-00403000 rw-p 00003000 08:01 1                          /usr/bin/my app\n"
	"7ffd0000-7ffd1000 r-xp 00000000 00:00 0 [vdso]\n"
	"build=/x\n";

static void start(struct pgo_buf *b, struct form f)
{
	pgo_buf_init(b, 1 << 20);
	put_all(b, f, header, 5);
}

static void finish(struct pgo_buf *b, struct form f, const char *text)
{
	put_all(b, f, trailer, 3);
	pgo_buf_puts(b, text);
}

static void read_ok(const struct pgo_buf *b, struct pgo_buf *log)
{
	struct pgo_recording_sink sink = reclog_sink(log);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info = {0};

	assert_true(pgo_gperf_probe(b->data, b->len));
	if (pgo_gperf_read(b->data, b->len, &sink, &info, &err) != 0)
		fail_msg("%s", err.msg);
}

static void every_word_size_and_byte_order_reads_the_same(void **state)
{
	static const uint64_t stacks[] = {
		5, 2, 0x400136, 0x400160, 3, 1, 0x300140, 2, 3, 0x400150, 0x400160, 0x400170};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct pgo_buf b, log;

		start(&b, forms[i]);
		put_all(&b, forms[i], stacks, 12);
		finish(&b, forms[i], maps);
		read_ok(&b, &log);
		/* The program first, although a library is mapped lower. */
		assert_string_equal(log.data,
			"comm 1 my app t=0\n"
			"map 1 400000+2000@1000 /usr/bin/my app - t=0\n"
			"map 1 300000+1000@0 /lib/libc.so.6 - t=0\n"
			"map 1 400000+2000@1000 /usr/bin/my app - t=0\n"
			"map 1 7ffd0000+1000@0 [vdso] - t=0\n"
			"event 0 cpu-clock type=1 config=0 period=10000000 unit=4 ring=000\n"
			"sample 0 1/1 mode=2 ip=0 t=0 p=50000000 kernel=0 chain 400136 400160\n"
			"sample 0 1/1 mode=2 ip=0 t=0 p=30000000 kernel=0 chain 300140\n"
			"sample 0 1/1 mode=2 ip=0 t=0 p=20000000 kernel=0 chain 400150 400160 "
			"400170\n");
		pgo_buf_fini(&b);
		pgo_buf_fini(&log);
	}
}

static void a_frame_of_the_signal_handler_is_dropped(void **state)
{
	struct pgo_buf b, log;
	unsigned n = 0;

	(void)state;
	/* 32 stacks, one of which lacks it. */
	start(&b, forms[0]);
	for (uint64_t i = 0; i < 32; i++) {
		uint64_t stack[] = {
			1, 3, 0x400100 + i, i == 7 ? 0x4007 : 0x300bad, 0x400200 + i % 2};

		put_all(&b, forms[0], stack, 5);
	}
	finish(&b, forms[0], maps);
	read_ok(&b, &log);
	assert_null(strstr(log.data, "300bad"));
	assert_has(log.data, "chain 400107 4007 400201\n");
	assert_has(log.data, "chain 400108 400200\n");
	for (const char *at = log.data; (at = strstr(at, " 40020")) != NULL; at++)
		n++;
	assert_int_equal(n, 32);
	pgo_buf_fini(&b);
	pgo_buf_fini(&log);
}

static void a_caller_that_many_but_not_nearly_all_share_stays(void **state)
{
	struct pgo_buf b, log;

	(void)state;
	start(&b, forms[0]);
	for (uint64_t i = 0; i < 32; i++) {
		uint64_t stack[] = {1, 3, 0x400100 + i, i < 2 ? 0x4007 : 0x300bad, 0x400200};

		put_all(&b, forms[0], stack, 5);
	}
	finish(&b, forms[0], maps);
	read_ok(&b, &log);
	assert_has(log.data, "chain 400110 300bad 400200\n");
	pgo_buf_fini(&b);
	pgo_buf_fini(&log);
}

static void a_leaf_recorded_twice_is_one(void **state)
{
	static const uint64_t stacks[] = {1, 3, 0x400136, 0x400136, 0x400160, 1, 2, 0x400140,
		0x400150, 1, 2, 0x400141, 0x400151};
	struct pgo_buf b, log;

	(void)state;
	start(&b, forms[0]);
	put_all(&b, forms[0], stacks, 13);
	finish(&b, forms[0], maps);
	read_ok(&b, &log);
	assert_has(log.data, "chain 400136 400160\n");
	assert_has(log.data, "chain 400140 400150\n");
	pgo_buf_fini(&b);
	pgo_buf_fini(&log);
}

static void a_profile_cut_before_its_trailer_is_an_error(void **state)
{
	static const uint64_t stacks[] = {5, 2, 0x400136, 0x400160, 3, 1, 0x300140};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct pgo_buf b;
		size_t end;

		start(&b, forms[i]);
		put_all(&b, forms[i], stacks, 7);
		finish(&b, forms[i], "");
		end = b.len;
		for (size_t len = 5 * forms[i].size; len < end; len++) {
			struct pgo_err err = PGO_ERR_INIT;
			struct pgo_rec_info info = {0};
			struct pgo_recording_sink sink;
			struct pgo_buf log;

			sink = reclog_sink(&log);
			assert_int_equal(
				pgo_gperf_read(b.data, len, &sink, &info, &err), PGO_EFORMAT);
			assert_has(err.msg, "cut off at byte");
			pgo_buf_fini(&log);
		}
		pgo_buf_fini(&b);
	}
}

static void counts_beyond_the_file_are_errors(void **state)
{
	static const uint64_t evil[] = {100, UINT64_MAX, UINT64_MAX / 8, 1ull << 61};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_rec_info info = {0};
		struct pgo_recording_sink sink;
		struct pgo_buf b, log;

		start(&b, forms[0]);
		put(&b, forms[0], 1);
		put(&b, forms[0], evil[i]);
		finish(&b, forms[0], maps);
		sink = reclog_sink(&log);
		assert_int_equal(pgo_gperf_read(b.data, b.len, &sink, &info, &err), PGO_EFORMAT);
		pgo_buf_fini(&b);
		pgo_buf_fini(&log);
	}
}

static void other_headers_are_not_taken_for_it(void **state)
{
	static const uint64_t bad[][5] = {{1, 3, 0, 10000, 0}, {0, 2, 0, 10000, 0},
		{0, 3, 1, 10000, 0}, {0, 3, 0, 0, 0}, {0, 3, 0, 10000, 1}};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct pgo_buf b;

		pgo_buf_init(&b, 1024);
		put_all(&b, forms[0], bad[i], 5);
		assert_false(pgo_gperf_probe(b.data, b.len));
		pgo_buf_fini(&b);
	}
	assert_false(pgo_gperf_probe("", 0));
}

static void map_line(const char *text, const char *want)
{
	struct pgo_map_line l;
	char got[4400] = "none";

	if (pgo_map_line_parse(text, strlen(text), &l))
		snprintf(got, sizeof got, "%llx+%llx@%llx %s %s", (unsigned long long)l.map.addr,
			(unsigned long long)l.map.len, (unsigned long long)l.map.pgoff, l.filename,
			l.build_id);
	assert_string_equal(got, want);
}

static void lines_of_mappings_are_read_in_both_forms(void **state)
{
	(void)state;
	map_line("00400000-00402000 r-xp 00001000 08:01 1  /bin/a b (deleted)\r",
		"400000+2000@1000 /bin/a b (deleted) ");
	map_line("00400000-00402000 r--p 00001000 08:01 1  /bin/a", "none");
	map_line("00400000-00402000 r-xp 00001000 08:01 0", "none"); /* no file */
	map_line("00402000-00400000 r-xp 00001000 08:01 1 /bin/a", "none");
	map_line("400000-402000: /bin/a", "400000+2000@0 /bin/a ");
	map_line("  400000-402000 /bin/a (@1000) ABcd12", "400000+2000@1000 /bin/a abcd12");
	map_line("400000-402000 /bin/a 12ab", "400000+2000@0 /bin/a 12ab");
	map_line("400000-402000 /bin/a (@zz)", "400000+2000@0 /bin/a ");
	map_line("400000", "none");
	map_line("", "none");
	map_line("MAPPED_LIBRARIES:", "none");
}

static void import_makes_a_profile_of_it(void **state)
{
	static const uint64_t stacks[] = {5, 2, 0x400136, 0x300160, 3, 1, 0x400136};
	struct pgo_import_options o = {.ignore_paths = true, .split_processes = true};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;
	struct pgo_sample s;
	struct pgo_buf b;

	(void)state;
	start(&b, forms[0]);
	put_all(&b, forms[0], stacks, 7);
	finish(&b, forms[0], maps);
	if (pgo_import_memory("x", b.data, b.len, &o, &in, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(in.kind, PGO_INPUT_GPERF);
	assert_string_equal(in.groups[0], "my app");
	assert_int_equal(in.stats.samples, 8);
	assert_int_equal(in.stats.samples_used, 8);
	assert_int_equal(in.profiles[0]->n_samples, 2);
	assert_int_equal(in.profiles[0]->period, 10000000);
	s = pgo_profile_sample(in.profiles[0], 1);
	assert_int_equal(s.n_loc, 2);
	/* By file offset: the leaf as it is, its caller one less. */
	assert_int_equal(in.profiles[0]->locations[s.loc[0]].addr, 0x1136);
	assert_int_equal(in.profiles[0]->locations[s.loc[1]].addr, 0x15f);
	assert_int_equal(s.value[0], 5);
	assert_int_equal(s.value[1], 50000000);
	pgo_imported_fini(&in);
	pgo_buf_fini(&b);
}

static void running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
	static const uint64_t stacks[] = {5, 2, 0x400136, 0x300160, 3, 1, 0x400136};
	struct pgo_buf b;
	uint64_t before;
	int rc = -1;

	(void)state;
	start(&b, forms[0]);
	put_all(&b, forms[0], stacks, 7);
	finish(&b, forms[0], maps);
	before = pgo_alloc_live();
	for (uint64_t n = 0; rc != 0 && n < 200; n++) {
		struct pgo_import_options o = {.ignore_paths = true};
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in;

		pgo_alloc_fail_after(n);
		rc = pgo_import_memory("x", b.data, b.len, &o, &in, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			pgo_imported_fini(&in);
		assert_true(rc == 0 || rc == PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), before);
	}
	assert_int_equal(rc, 0);
	pgo_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_size_and_byte_order_reads_the_same),
		cmocka_unit_test(a_frame_of_the_signal_handler_is_dropped),
		cmocka_unit_test(a_caller_that_many_but_not_nearly_all_share_stays),
		cmocka_unit_test(a_leaf_recorded_twice_is_one),
		cmocka_unit_test(a_profile_cut_before_its_trailer_is_an_error),
		cmocka_unit_test(counts_beyond_the_file_are_errors),
		cmocka_unit_test(other_headers_are_not_taken_for_it),
		cmocka_unit_test(lines_of_mappings_are_read_in_both_forms),
		cmocka_unit_test(import_makes_a_profile_of_it),
		cmocka_unit_test(running_out_of_memory_anywhere_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
