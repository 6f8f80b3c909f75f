/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/core/pprof_impl.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include "profile.pb-c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---------------------------------------------------------------- encoding by hand */

static struct pgo_buf raw(void)
{
	struct pgo_buf b;

	pgo_buf_init(&b, (size_t)1 << 30);
	return b;
}

static void put_int(struct pgo_buf *b, unsigned field, uint64_t v)
{
	pgo_buf_uleb(b, field << 3);
	pgo_buf_uleb(b, v);
}

static void put_bytes(struct pgo_buf *b, unsigned field, const void *data, size_t len)
{
	pgo_buf_uleb(b, field << 3 | 2);
	pgo_buf_uleb(b, len);
	pgo_buf_add(b, data, len);
}

static void put_str(struct pgo_buf *b, const char *s)
{
	put_bytes(b, PGO_PPROF_STRING, s, strlen(s));
}

/* Takes `m`. */
static void put_msg(struct pgo_buf *b, unsigned field, struct pgo_buf m)
{
	put_bytes(b, field, m.data != NULL ? m.data : "", m.len);
	pgo_buf_fini(&m);
}

/* A message of numbers: field 1, 2, ... */
static struct pgo_buf ints(size_t n, const uint64_t *v)
{
	struct pgo_buf m = raw();

	for (size_t i = 0; i < n; i++)
		if (v[i] != 0)
			put_int(&m, (unsigned)i + 1, v[i]);
	return m;
}
#define INTS(...)                                                                                  \
	ints(sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__})

/* The smallest useful profile; location ids are the caller's. */
static struct pgo_buf small(uint64_t location, uint64_t mapping)
{
	struct pgo_buf b = raw();

	put_msg(&b, PGO_PPROF_SAMPLE_TYPE, INTS(1, 2));
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(location, 5));
	put_msg(&b, PGO_PPROF_MAPPING, INTS(mapping, 0x1000, 0x2000));
	put_msg(&b, PGO_PPROF_LOCATION, INTS(location, mapping, 0x1234));
	put_str(&b, "");
	put_str(&b, "samples");
	put_str(&b, "count");
	return b;
}

static struct pgo_reader *open_buf(
	const struct pgo_buf *b, const struct pgo_pprof_limits *limits, struct pgo_err *err)
{
	return pgo_pprof_open_memory("mem", b->data != NULL ? b->data : "", b->len, limits, err);
}

/* Takes `b`; opening or reading its samples must fail like this. */
static void expect_refused(struct pgo_buf b, int code, const char *sentence)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = open_buf(&b, NULL, &err);
	struct pgo_sample s;
	int rc = r == NULL ? (int)err.code : 1;

	while (rc > 0)
		rc = pgo_reader_next(r, &s, &err);
	if (rc != code)
		fail_msg("got %d (%s) instead of %d (%s)", rc, err.msg, code, sentence);
	assert_has(err.msg, "mem: ");
	assert_has(err.msg, sentence);
	pgo_reader_close(r);
	pgo_buf_fini(&b);
}

/* Takes `b`; its samples as text. */
static char *lines_of(struct pgo_buf b, const struct pgo_pprof_limits *limits)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = open_buf(&b, limits, &err);
	char *text;

	if (r == NULL)
		fail_msg("%s", err.msg);
	text = profile_lines(r);
	pgo_reader_close(r);
	pgo_buf_fini(&b);
	return text;
}

static void assert_lines(struct pgo_buf b, const char *want)
{
	char *got = lines_of(b, NULL);

	assert_string_equal(got, want);
	free(got);
}

static struct pgo_buf encode(const char *text, bool gzip)
{
	struct pgo_profile *p = mkprofile(text);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b = raw();

	if (pgo_pprof_encode(p, gzip, &b, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_profile_free(p);
	return b;
}

static const char rich[] = "type samples/count\n"
			   "type cpu/nanoseconds\n"
			   "mapping 400000 500000 1000 /bin/app 0123abcd fnli\n"
			   "mapping 7f0000 7f8000 0 /lib/libc.so.6 -\n"
			   "period 10000000 cpu/nanoseconds\n"
			   "time 1700000000123456789\n"
			   "duration 1500000000\n"
			   "comment made for a test\n"
			   "comment second\n"
			   "default cpu\n"
			   "doc https://example.org/\n"
			   "drop runtime.*\n"
			   "keep main\n"
			   "function parse parse.c 40\n";
static const char rich_samples[] =
	"main;parse:47;1@0x400100=hash:9<mix:3 12 -13 host=web bytes:16:kb\n"
	"1@0x400100=hash:9<mix:3;2@0x7f0010;2@0xdead 9223372036854775807 0\n"
	"- 3 4\n"
	"0@0x77 1 -9223372036854775808 n:-5\n";

static char *rich_text(void)
{
	char *all = NULL;

	assert_true(asprintf(&all, "%s%s", rich, rich_samples) > 0);
	return all;
}

/* ---------------------------------------------------------------- round trips */

static void check_rich(const struct pgo_profile *p)
{
	assert_int_equal(p->n_sample_types, 2);
	assert_string_equal(pgo_profile_str(p, p->sample_types[1].unit), "nanoseconds");
	assert_int_equal(p->mappings[0].start, 0x400000);
	assert_int_equal(p->mappings[0].limit, 0x500000);
	assert_int_equal(p->mappings[0].offset, 0x1000);
	assert_string_equal(pgo_profile_str(p, p->mappings[0].build_id), "0123abcd");
	assert_true(p->mappings[0].has_functions && p->mappings[0].has_filenames &&
		    p->mappings[0].has_line_numbers && p->mappings[0].has_inline_frames);
	assert_false(p->mappings[1].has_functions);
	assert_string_equal(pgo_profile_str(p, p->mappings[1].filename), "/lib/libc.so.6");
	assert_int_equal(p->period, 10000000);
	assert_string_equal(pgo_profile_str(p, p->period_type.type), "cpu");
	assert_int_equal(p->time_ns, 1700000000123456789);
	assert_int_equal(p->duration_ns, 1500000000);
	assert_int_equal(p->n_comments, 2);
	assert_string_equal(pgo_profile_str(p, p->comments[0]), "made for a test");
	assert_string_equal(pgo_profile_str(p, p->default_sample_type), "cpu");
	assert_string_equal(pgo_profile_str(p, p->doc_url), "https://example.org/");
	assert_string_equal(pgo_profile_str(p, p->drop_frames), "runtime.*");
	assert_string_equal(pgo_profile_str(p, p->keep_frames), "main");
	assert_string_equal(pgo_profile_str(p, p->functions[0].name), "parse");
	assert_string_equal(pgo_profile_str(p, p->functions[0].filename), "parse.c");
	assert_int_equal(p->functions[0].start_line, 40);
}

static void every_field_survives_writing_and_reading(void **state)
{
	char *text = rich_text();

	(void)state;
	for (int gzip = 0; gzip < 2; gzip++) {
		struct pgo_buf b = encode(text, gzip);
		struct pgo_reader *r = open_buf(&b, NULL, NULL);

		assert_non_null(r);
		check_rich(r->head);
		pgo_reader_close(r);
		assert_lines(b, rich_samples);
	}
	free(text);
}

static void column_and_folded_survive(void **state)
{
	struct pgo_profile *p = mkprofile("0@0x10=f:3 1\n");
	struct pgo_buf b = raw();
	struct pgo_reader *r;

	(void)state;
	p->locations[0].folded = true;
	p->lines[0].column = 17;
	assert_int_equal(pgo_pprof_encode(p, false, &b, NULL), 0);
	r = open_buf(&b, NULL, NULL);
	assert_true(r->head->locations[0].folded);
	assert_int_equal(r->head->lines[0].column, 17);
	pgo_reader_close(r);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
}

static void protobuf_c_writes_the_same_bytes(void **state)
{
	char *text = rich_text();
	struct pgo_buf b = encode(text, false);
	Perftools__Profiles__Profile *m =
		perftools__profiles__profile__unpack(NULL, b.len, (const uint8_t *)b.data);
	uint8_t *again = malloc(b.len);

	(void)state;
	assert_non_null(m);
	assert_int_equal(m->n_sample, 4);
	assert_int_equal(perftools__profiles__profile__get_packed_size(m), b.len);
	assert_int_equal(perftools__profiles__profile__pack(m, again), b.len);
	assert_memory_equal(again, b.data, b.len);
	perftools__profiles__profile__free_unpacked(m, NULL);
	free(again);
	pgo_buf_fini(&b);
	free(text);
}

static void writing_twice_gives_the_same_file(void **state)
{
	char *text = rich_text();
	struct pgo_buf a = encode(text, true), b = encode(text, true);
	char *path = scratch_path(*state, "p.pb.gz");
	struct pgo_profile *p = mkprofile(text), *back;

	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_int_equal(pgo_pprof_write(p, path, NULL), 0);
	assert_file(path, a.data, a.len);
	back = pgo_pprof_load(path, NULL, NULL);
	assert_non_null(back);
	check_rich(back);
	assert_int_equal(back->n_samples, 4);
	assert_int_equal(pgo_pprof_write(back, path, NULL), 0);
	assert_file(path, a.data, a.len);
	pgo_profile_free(back);
	pgo_profile_free(p);
	pgo_buf_fini(&a);
	pgo_buf_fini(&b);
	free(text);
}

static void strings_that_nothing_names_are_not_written(void **state)
{
	struct pgo_profile *p = mkprofile("main;leaf 1\n");
	struct pgo_buf b = raw();

	(void)state;
	assert_int_not_equal(pgo_strtab_puts(&p->strs, "unused-secret"), PGO_STR_NONE);
	assert_int_equal(pgo_pprof_encode(p, false, &b, NULL), 0);
	assert_null(memmem(b.data, b.len, "unused-secret", 13));
	assert_non_null(memmem(b.data, b.len, "leaf", 4));
	pgo_buf_fini(&b);
	pgo_profile_free(p);
}

static void strings_keep_every_byte(void **state)
{
	static const char odd[] = "a\0b\xff\xc3";
	struct pgo_profile *p = mkprofile("main 1\n");
	struct pgo_buf b = raw();
	struct pgo_reader *r;
	const struct pgo_str *s;

	(void)state;
	p->functions[0].name = pgo_strtab_add(&p->strs, odd, 5);
	assert_int_equal(pgo_pprof_encode(p, false, &b, NULL), 0);
	r = open_buf(&b, NULL, NULL);
	assert_non_null(r);
	s = &r->head->strs.strs[r->head->functions[0].name];
	assert_int_equal(s->len, 5);
	assert_memory_equal(s->s, odd, 5);
	pgo_reader_close(r);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
}

static void an_invalid_profile_is_not_written(void **state)
{
	struct pgo_profile *p = mkprofile("main 1\n");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b = raw();

	(void)state;
	p->sample_locs[0] = 3;
	assert_int_equal(pgo_pprof_encode(p, false, &b, &err), PGO_EFORMAT);
	assert_has(err.msg, "sample 1");
	pgo_buf_fini(&b);
	pgo_profile_free(p);
}

/* ---------------------------------------------------------------- accepted forms */

static void ids_may_be_any_numbers_in_any_order(void **state)
{
	struct pgo_buf b = raw();

	(void)state;
	put_msg(&b, PGO_PPROF_SAMPLE_TYPE, INTS(1, 2));
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(UINT64_MAX, 5));
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(7, 6));
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(1, 7));
	put_msg(&b, PGO_PPROF_LOCATION, INTS(1, 900, 0x11));
	put_msg(&b, PGO_PPROF_LOCATION, INTS(UINT64_MAX, 5, 0x22));
	put_msg(&b, PGO_PPROF_LOCATION, INTS(7, 0, 0x33));
	put_msg(&b, PGO_PPROF_MAPPING, INTS(900, 0x10, 0x20));
	put_msg(&b, PGO_PPROF_MAPPING, INTS(5, 0x20, 0x30));
	put_str(&b, "");
	put_str(&b, "samples");
	put_str(&b, "count");
	assert_lines(b, "2@0x22 5\n0@0x33 6\n1@0x11 7\n");
}

static void tables_may_come_in_any_order(void **state)
{
	struct pgo_buf b = raw(), line = raw(), loc;

	(void)state;
	/* A location that uses a function, that uses a string, none of which is there yet. */
	put_int(&line, 1, 40);
	put_int(&line, 2, 12);
	loc = INTS(1, 3, 0x99);
	put_msg(&loc, 4, line);
	put_msg(&b, PGO_PPROF_LOCATION, loc);
	put_msg(&b, PGO_PPROF_FUNCTION, INTS(40, 3, 3, 4, 2));
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(1, 5));
	put_str(&b, "");
	put_str(&b, "samples");
	put_str(&b, "count");
	put_str(&b, "f");
	put_str(&b, "f.c");
	put_msg(&b, PGO_PPROF_MAPPING, INTS(3));
	put_msg(&b, PGO_PPROF_SAMPLE_TYPE, INTS(1, 2));
	assert_lines(b, "1@0x99=f:12 5\n");
}

static void repeated_numbers_may_be_packed_or_not_or_both(void **state)
{
	static const uint8_t packed[] = {2, 1, 1};
	struct pgo_buf b = raw(), s = raw();

	(void)state;
	put_int(&s, 1, 1);
	put_bytes(&s, 1, packed, 3);
	put_int(&s, 1, 2);
	put_int(&s, 2, 7);
	put_msg(&b, PGO_PPROF_SAMPLE_TYPE, INTS(1, 2));
	put_msg(&b, PGO_PPROF_SAMPLE, s);
	put_msg(&b, PGO_PPROF_LOCATION, INTS(1, 0, 0x11));
	put_msg(&b, PGO_PPROF_LOCATION, INTS(2, 0, 0x22));
	put_str(&b, "");
	put_str(&b, "samples");
	put_str(&b, "count");
	put_int(&b, PGO_PPROF_COMMENT, 1);
	put_bytes(&b, PGO_PPROF_COMMENT, packed, 2);
	assert_lines(b, "0x22;0x11;0x11;0x22;0x11 7\n");
}

static void unknown_fields_are_skipped_everywhere(void **state)
{
	static const uint8_t fixed[] = {
		(99 << 3 & 0x7f) | 0x80 | 1, 99 >> 4, 1, 2, 3, 4, 5, 6, 7, 8};
	struct pgo_buf b = small(1, 1), s = INTS(1, 8), loc = INTS(2, 1, 0x1300);

	(void)state;
	put_int(&b, 77, 5);
	pgo_buf_add(&b, fixed, sizeof fixed);
	put_bytes(&b, 1000, "whatever", 8);
	put_int(&s, 9, 1);
	put_bytes(&s, 100, "x", 1);
	put_msg(&b, PGO_PPROF_SAMPLE, s);
	put_bytes(&loc, 6, "abc", 3);
	put_msg(&b, PGO_PPROF_LOCATION, loc);
	assert_lines(b, "1@0x1234 5\n1@0x1234 8\n");
}

static void samples_past_the_limit_are_read_in_a_second_pass(void **state)
{
	struct pgo_pprof_limits limits = pgo_pprof_default_limits;
	char *text = rich_text();
	struct pgo_buf gz = encode(text, true);
	char *path = scratch_file(*state, "p.pb.gz", gz.data, gz.len);
	struct pgo_reader *r;
	char *got;

	limits.max_held = 10;
	got = lines_of(encode(text, false), &limits);
	assert_string_equal(got, rich_samples);
	free(got);
	r = pgo_pprof_open(path, &limits, NULL);
	assert_non_null(r);
	got = profile_lines(r);
	assert_string_equal(got, rich_samples);
	free(got);
	pgo_reader_close(r);
	pgo_buf_fini(&gz);
	free(text);
}

static void a_pipe_is_read_once_and_says_so_when_that_is_not_enough(void **state)
{
	struct pgo_pprof_limits limits = pgo_pprof_default_limits;
	struct pgo_err err = PGO_ERR_INIT;
	char *text = rich_text();
	struct pgo_buf b = encode(text, true);
	char *path = scratch_path(*state, "fifo");

	assert_int_equal(mkfifo(path, 0600), 0);
	for (int small_limit = 0; small_limit < 2; small_limit++) {
		pid_t child = fork();
		struct pgo_reader *r;
		int status;

		if (child == 0) {
			int fd = open(path, O_WRONLY);

			_exit(fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len);
		}
		limits.max_held = small_limit ? 10 : 1000;
		r = pgo_pprof_open(path, &limits, &err);
		waitpid(child, &status, 0);
		if (small_limit) {
			assert_null(r);
			assert_int_equal(err.code, PGO_ELIMIT);
			assert_has(err.msg, "pipe");
		} else {
			char *got = profile_lines(r);

			assert_string_equal(got, rich_samples);
			free(got);
		}
		pgo_reader_close(r);
	}
	pgo_buf_fini(&b);
	free(text);
}

static void a_profile_without_samples_is_valid(void **state)
{
	struct pgo_buf b = raw();

	(void)state;
	put_str(&b, "");
	assert_lines(b, "");
}

/* ---------------------------------------------------------------- refused forms */

static void an_empty_file_and_other_files_are_refused(void **state)
{
	struct pgo_buf text = raw(), elf = raw();

	(void)state;
	expect_refused(raw(), PGO_EFORMAT, "empty");
	pgo_buf_puts(&text, "main;parse;hash 12\n");
	expect_refused(text, PGO_EFORMAT, "byte 0");
	pgo_buf_add(&elf, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0", 18);
	expect_refused(elf, PGO_EFORMAT, "byte 0");
}

static void bad_ids_are_refused_by_name(void **state)
{
	struct pgo_buf b;

	(void)state;
	expect_refused(small(0, 1), PGO_EFORMAT, "location has id 0");
	expect_refused(small(1, 0), PGO_EFORMAT, "mapping has id 0");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_LOCATION, INTS(1, 1));
	expect_refused(b, PGO_EFORMAT, "location 1 is there twice");
	b = small(1000, 1);
	put_msg(&b, PGO_PPROF_LOCATION, INTS(1000, 1));
	expect_refused(b, PGO_EFORMAT, "location 1000 is there twice");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(2, 1));
	expect_refused(b, PGO_EFORMAT, "sample 2, at byte 51: location 2 is not in the table");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_LOCATION, INTS(2, 9));
	expect_refused(b, PGO_EFORMAT, "location 2: mapping 9 is not in the table");
	b = small(1, 1);
	{
		struct pgo_buf loc = INTS(2, 1);

		put_msg(&loc, 4, INTS(6, 1));
		put_msg(&b, PGO_PPROF_LOCATION, loc);
	}
	expect_refused(b, PGO_EFORMAT, "function 6 is not in the table");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_FUNCTION, INTS(1));
	put_msg(&b, PGO_PPROF_FUNCTION, INTS(1));
	expect_refused(b, PGO_EFORMAT, "function 1 is there twice");
}

static void bad_strings_are_refused(void **state)
{
	struct pgo_buf b = small(1, 1), label = raw();

	(void)state;
	put_msg(&b, PGO_PPROF_FUNCTION, INTS(1, 3));
	expect_refused(b, PGO_EFORMAT, "function 1 names string 3, but there are only 3");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_FUNCTION, INTS(1, UINT64_MAX));
	expect_refused(b, PGO_EFORMAT, "string -1 is not in the table");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_MAPPING, INTS(2, 0, 0, 0, 4));
	expect_refused(b, PGO_EFORMAT, "mapping 2 names string 4");
	b = small(1, 1);
	put_int(&b, PGO_PPROF_COMMENT, 50);
	expect_refused(b, PGO_EFORMAT, "comment 1 names string 50");
	b = small(1, 1);
	put_int(&label, 2, 5);
	put_msg(&label, 3, INTS(17, 1));
	put_msg(&b, PGO_PPROF_SAMPLE, label);
	expect_refused(b, PGO_EFORMAT, "label names string 17");
	b = raw();
	put_str(&b, "samples");
	expect_refused(b, PGO_EFORMAT, "first string");
	b = raw();
	put_int(&b, PGO_PPROF_PERIOD, 5);
	expect_refused(b, PGO_EFORMAT, "no string table");
}

static void value_counts_must_match_the_sample_types(void **state)
{
	struct pgo_buf b = small(1, 1), two = INTS(1, 2);

	(void)state;
	put_int(&two, 2, 3);
	put_msg(&b, PGO_PPROF_SAMPLE, two);
	expect_refused(b, PGO_EFORMAT, "more values than the 1 sample types");
	b = small(1, 1);
	put_msg(&b, PGO_PPROF_SAMPLE, INTS(1));
	expect_refused(b, PGO_EFORMAT, "0 values for 1 sample types");
	b = raw();
	put_msg(&b, PGO_PPROF_SAMPLE, raw());
	put_str(&b, "");
	expect_refused(b, PGO_EFORMAT, "no sample type");
}

static void a_mapping_must_not_end_before_it_starts(void **state)
{
	struct pgo_buf b = small(1, 1);

	(void)state;
	put_msg(&b, PGO_PPROF_MAPPING, INTS(2, 0x2000, 0x1000));
	expect_refused(b, PGO_EFORMAT, "mapping 2 ends at 0x1000 before it starts at 0x2000");
}

static void two_profiles_one_after_the_other_are_refused(void **state)
{
	struct pgo_buf b = small(1, 1), c = small(1, 1), a = raw(), gz = raw();

	(void)state;
	/* By ids, also in two gzip members. */
	assert_int_equal(pgo_gzip(b.data, b.len, &gz, NULL), 0);
	assert_int_equal(pgo_gzip(b.data, b.len, &gz, NULL), 0);
	expect_refused(gz, PGO_EFORMAT, "one after the other");
	pgo_buf_add(&b, c.data, c.len);
	expect_refused(b, PGO_EFORMAT, "one after the other");
	pgo_buf_fini(&c);
	/* By time, where nothing has ids. */
	for (int i = 0; i < 2; i++) {
		put_str(&a, "");
		put_int(&a, PGO_PPROF_TIME, 5);
	}
	expect_refused(a, PGO_EFORMAT, "one after the other");
}

static void wrong_wire_types_are_refused(void **state)
{
	static const struct {
		unsigned field, type;
	} cases[] = {{1, 0}, {2, 0}, {3, 5}, {4, 1}, {5, 0}, {6, 0}, {7, 2}, {9, 2}, {11, 0},
		{12, 1}, {13, 5}, {15, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_buf b = small(1, 1);

		pgo_buf_uleb(&b, cases[i].field << 3 | cases[i].type);
		pgo_buf_add(&b, "\0\0\0\0\0\0\0\0",
			cases[i].type == 1   ? 8
			: cases[i].type == 5 ? 4
					     : 1);
		expect_refused(b, PGO_EFORMAT, "wire type");
	}
}

static void malformed_nested_messages_are_refused(void **state)
{
	static const struct {
		unsigned field;
		const char *data;
		size_t len;
		const char *sentence;
	} cases[] = {
		{PGO_PPROF_SAMPLE, "\x0a\x05\x01", 3, "malformed"},     /* length past the end */
		{PGO_PPROF_SAMPLE, "\x0a\x02\x01\x80", 4, "malformed"}, /* varint cut off */
		{PGO_PPROF_SAMPLE, "\x1a\x7f", 2, "malformed"},         /* label past the end */
		{PGO_PPROF_SAMPLE, "\x1a\x02\x0a\x01", 4, "malformed"}, /* label of wrong type */
		{PGO_PPROF_SAMPLE, "\x0d\0\0\0\0", 5, "malformed"},     /* fixed32 location */
		{PGO_PPROF_SAMPLE, "\x18\x01", 2, "malformed"},         /* label that is a number */
		{PGO_PPROF_SAMPLE, "\x0b", 1, "malformed"},             /* group */
		{PGO_PPROF_LOCATION, "\x22\x7f", 2, "Location message is malformed"},
		{PGO_PPROF_LOCATION, "\x08\x05\x22\x02\x0a\x00", 6,
			"Location message is malformed"},
		{PGO_PPROF_MAPPING, "\x0a\x00", 2, "Mapping message is malformed"},
		{PGO_PPROF_FUNCTION, "\x08", 1, "Function message is malformed"},
		{PGO_PPROF_PERIOD_TYPE, "\x08", 1, "ValueType message is malformed"},
		{PGO_PPROF_COMMENT, "\x80", 1, "comments are malformed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pgo_buf b = small(1, 1);

		put_bytes(&b, cases[i].field, cases[i].data, cases[i].len);
		expect_refused(b, PGO_EFORMAT, cases[i].sentence);
	}
}

/* ---------------------------------------------------------------- truncation */

static bool at_boundary(const struct pgo_buf *b, size_t cut)
{
	struct pgo_wire w = {(const uint8_t *)b->data, (const uint8_t *)b->data + b->len};
	struct pgo_wire_field f;

	while (w.p < w.end && (size_t)(w.p - (const uint8_t *)b->data) < cut)
		assert_true(pgo_wire_next(&w, &f));
	return (size_t)(w.p - (const uint8_t *)b->data) == cut;
}

static void a_cut_inside_a_field_is_always_noticed(void **state)
{
	char *text = rich_text();
	struct pgo_buf b = encode(text, false);
	size_t boundaries = 0;

	(void)state;
	for (size_t cut = 0; cut < b.len; cut++) {
		struct pgo_err err = PGO_ERR_INIT;
		/* A copy of its own, so that a memory checker sees a read past the cut. */
		char *copy = malloc(cut != 0 ? cut : 1);
		struct pgo_reader *r;
		struct pgo_sample s;
		int rc = 1;

		memcpy(copy, b.data, cut);
		r = pgo_pprof_open_memory("cut", copy, cut, NULL, &err);
		if (at_boundary(&b, cut)) {
			boundaries++;
			while (r != NULL && rc > 0)
				rc = pgo_reader_next(r, &s, &err);
		} else {
			assert_null(r);
			assert_has(err.msg, cut != 0 ? "truncated" : "empty");
		}
		if (r == NULL) {
			assert_int_equal(err.code, PGO_EFORMAT);
			assert_has(err.msg, "cut: ");
		}
		pgo_reader_close(r);
		free(copy);
	}
	assert_true(boundaries > 20);
	pgo_buf_fini(&b);
	free(text);
}

static void a_cut_in_a_compressed_profile_is_always_noticed(void **state)
{
	char *text = rich_text();
	struct pgo_buf b = encode(text, true);

	(void)state;
	for (size_t cut = 0; cut < b.len; cut++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_reader *r = pgo_pprof_open_memory("cut", b.data, cut, NULL, &err);

		assert_null(r);
		assert_int_equal(err.code, PGO_EFORMAT);
	}
	pgo_buf_fini(&b);
	free(text);
}

/* Single bytes changed in every way that matters: never a crash, never an endless loop. */
static void damaged_profiles_are_read_or_refused(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x12};
	struct pgo_pprof_limits limits = {1 << 20, 1 << 20, 64};
	char *text = rich_text();
	struct pgo_buf b = encode(text, false);
	size_t refused = 0;

	(void)state;
	for (size_t i = 0; i < b.len; i++) {
		for (size_t k = 0; k < sizeof values; k++) {
			char *copy = malloc(b.len);
			struct pgo_err err = PGO_ERR_INIT;
			struct pgo_reader *r;
			struct pgo_sample s;
			int rc = 1;

			memcpy(copy, b.data, b.len);
			copy[i] = (char)values[k];
			r = pgo_pprof_open_memory("damaged", copy, b.len, &limits, &err);
			while (r != NULL && rc > 0)
				rc = pgo_reader_next(r, &s, &err);
			refused += r == NULL || rc < 0;
			if (r == NULL || rc < 0)
				assert_true(err.msg[0] != '\0');
			pgo_reader_close(r);
			free(copy);
		}
	}
	assert_true(refused > b.len);
	pgo_buf_fini(&b);
	free(text);
}

/* ---------------------------------------------------------------- hostile sizes */

static void claimed_lengths_cost_no_memory(void **state)
{
	static const uint64_t claims[] = {1000, 1 << 20, INT32_MAX, (uint64_t)1 << 40, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		for (unsigned field = 1; field <= 6; field++) {
			struct pgo_buf b = small(1, 1);

			pgo_buf_uleb(&b, field << 3 | 2);
			pgo_buf_uleb(&b, claims[i]);
			pgo_buf_puts(&b, "only this");
			expect_refused(b, PGO_EFORMAT,
				claims[i] > INT32_MAX ? "more than protobuf allows" : "truncated");
		}
	}
}

static void endless_strings_end_at_the_budget(void **state)
{
	struct pgo_pprof_limits limits = pgo_pprof_default_limits;
	struct pgo_err err = PGO_ERR_INIT;
	size_t n = 20u << 20;
	char *plain = malloc(2 * n);
	struct pgo_buf gz = raw();

	(void)state;
	assert_non_null(plain);
	for (size_t i = 0; i < n; i++)
		memcpy(plain + 2 * i, "\x32\x00", 2); /* string_table: "" */
	assert_int_equal(pgo_gzip(plain, 2 * n, &gz, NULL), 0);
	free(plain);
	assert_true(gz.len < 1 << 20);
	limits.max_tables = 8 << 20;
	assert_null(open_buf(&gz, &limits, &err));
	assert_int_equal(err.code, PGO_ELIMIT);
	assert_has(err.msg, "limit of 8388608 bytes");
	limits.max_tables = (uint64_t)2 << 30;
	limits.max_inflated = 1 << 20;
	assert_null(open_buf(&gz, &limits, &err));
	assert_int_equal(err.code, PGO_ELIMIT);
	pgo_buf_fini(&gz);
}

static void long_strings_end_at_the_budget(void **state)
{
	struct pgo_pprof_limits limits = pgo_pprof_default_limits;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b = raw();
	char text[4096];

	(void)state;
	put_str(&b, "");
	memset(text, 'x', sizeof text);
	for (uint32_t i = 0; i < 1024; i++) {
		memcpy(text, &i, sizeof i);
		put_bytes(&b, PGO_PPROF_STRING, text, sizeof text);
	}
	limits.max_tables = 1 << 20;
	assert_null(open_buf(&b, &limits, &err));
	assert_int_equal(err.code, PGO_ELIMIT);
	pgo_buf_fini(&b);
}

static void many_inlined_lines_are_kept_in_order_and_charged(void **state)
{
	struct pgo_pprof_limits limits = pgo_pprof_default_limits;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b = small(1, 1), loc = INTS(2, 1, 0x1300);
	struct pgo_reader *r;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		put_msg(&loc, 4, INTS(1, i + 1));
	put_msg(&b, PGO_PPROF_LOCATION, loc);
	put_msg(&b, PGO_PPROF_FUNCTION, INTS(1, 1));
	r = open_buf(&b, NULL, &err);
	assert_non_null(r);
	assert_int_equal(r->head->locations[1].n_lines, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(r->head->lines[r->head->locations[1].first_line + i].line, i + 1);
	pgo_reader_close(r);
	limits.max_tables = 20000;
	assert_null(open_buf(&b, &limits, &err));
	assert_int_equal(err.code, PGO_ELIMIT);
	pgo_buf_fini(&b);
}

static void a_sample_of_millions_of_frames_is_refused(void **state)
{
	size_t len = (size_t)PGO_PPROF_SAMPLE_MAX + 1;
	char *big = calloc(len, 1);
	struct pgo_buf b = small(1, 1);

	(void)state;
	assert_non_null(big);
	put_bytes(&b, PGO_PPROF_SAMPLE, big, len);
	free(big);
	expect_refused(b, PGO_ELIMIT, "a sample of");
}

static void loading_charges_the_samples_too(void **state)
{
	struct pgo_pprof_limits limits = pgo_pprof_default_limits;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b = small(1, 1);
	char *path;

	for (int i = 0; i < 10000; i++)
		put_msg(&b, PGO_PPROF_SAMPLE, INTS(1, 1));
	path = scratch_file(*state, "many.pb", b.data, b.len);
	limits.max_tables = 64 << 10;
	assert_null(pgo_pprof_load(path, &limits, &err));
	assert_int_equal(err.code, PGO_ELIMIT);
	assert_has(err.msg, path);
	pgo_buf_fini(&b);
}

/* ---------------------------------------------------------------- protobuf-c as the oracle */

static uint64_t rng = 88172645463325252u;

static uint64_t any(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

/* Numbers of every length. */
static uint64_t any_number(void)
{
	uint64_t bits = any(65);

	return bits == 0 ? 0 : any(UINT64_MAX) >> (64 - bits);
}

static void put_unknown(struct pgo_buf *b)
{
	if (any(8) == 0)
		put_int(b, 20 + (unsigned)any(1000), any_number());
	if (any(8) == 0)
		put_bytes(b, 20 + (unsigned)any(1000), "unknown", any(8));
}

static struct pgo_buf any_location(void)
{
	struct pgo_buf m = raw();

	for (uint64_t n = any(8); n > 0; n--) {
		switch (any(5)) {
		case 0:
			put_int(&m, 1, any_number());
			break;
		case 1:
			put_int(&m, 2, any_number());
			break;
		case 2:
			put_int(&m, 3, any_number());
			break;
		case 3:
			put_int(&m, 5, any(3));
			break;
		default: {
			struct pgo_buf line = INTS(any_number(), any_number(), any_number());

			put_unknown(&line);
			put_msg(&m, 4, line);
		}
		}
		put_unknown(&m);
	}
	return m;
}

static struct pgo_wire wire(const struct pgo_buf *b)
{
	const uint8_t *p = (const uint8_t *)(b->data != NULL ? b->data : "");

	return (struct pgo_wire){p, p + b->len};
}

static void assert_same_location(const struct pgo_buf *b, bool must_be_good)
{
	struct pgo_pprof_line lines[64];
	struct pgo_pprof_location l;
	bool good = pgo_pprof_location_decode(wire(b), &l, lines, 64);
	Perftools__Profiles__Location *m =
		perftools__profiles__location__unpack(NULL, b->len, wire(b).p);

	/* protobuf-c takes field number 0 and tags that are too long; we do not. */
	assert_true(!good || m != NULL);
	assert_true(!must_be_good || good);
	if (good) {
		assert_int_equal(l.id, m->id);
		assert_int_equal(l.mapping_id, m->mapping_id);
		assert_int_equal(l.addr, m->address);
		assert_int_equal(l.folded, m->is_folded);
		assert_int_equal(l.n_lines, m->n_line);
		for (size_t i = 0; i < l.n_lines && i < 64; i++) {
			assert_int_equal(lines[i].function_id, m->line[i]->function_id);
			assert_int_equal(lines[i].line, m->line[i]->line);
			assert_int_equal(lines[i].column, m->line[i]->column);
		}
	}
	if (m != NULL)
		perftools__profiles__location__free_unpacked(m, NULL);
}

static void locations_decode_as_protobuf_c_does(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct pgo_buf b = any_location();

		assert_same_location(&b, true);
		if (b.len != 0) { /* and one changed byte */
			b.data[any(b.len)] ^= (char)(1 << any(8));
			assert_same_location(&b, false);
		}
		pgo_buf_fini(&b);
	}
}

/* Tables for samples: locations 1 to 1000 (or odd ones only), three sample types, ten strings. */
static void make_tables(struct pgo_pprof_tables *t, bool sparse)
{
	struct pgo_profile *p = pgo_profile_new(NULL);

	pgo_pprof_tables_init(t, p, &pgo_pprof_default_limits);
	for (int i = 0; i < 3; i++)
		pgo_profile_add_sample_type(p, "t", "u");
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(pgo_pprof_ids_add(&t->location_ids, sparse ? 2 * i + 1 : i + 1,
					 "location", NULL),
			0);
	t->strings = pgo_calloc(10, sizeof *t->strings);
	for (uint32_t i = 0; i < 10; i++)
		t->strings[i] = i;
	t->n_strings = 10;
}

static struct pgo_buf any_sample(bool sparse)
{
	struct pgo_buf m = raw(), packed = raw();
	uint64_t n_loc = any(20), n_label = any(4);
	bool pack = any(2) != 0;

	for (uint64_t i = 0; i < n_loc; i++) {
		uint64_t id = sparse ? 2 * any(1000) + 1 : any(1000) + 1;

		if (pack)
			pgo_buf_uleb(&packed, id);
		else
			put_int(&m, 1, id);
	}
	if (pack)
		put_msg(&m, 1, packed);
	put_unknown(&m);
	packed = raw();
	for (int i = 0; i < 3; i++) {
		if (pack)
			pgo_buf_uleb(&packed, any_number());
		else
			put_int(&m, 2, any_number());
	}
	if (pack)
		put_msg(&m, 2, packed);
	for (uint64_t i = 0; i < n_label; i++) {
		struct pgo_buf label = INTS(any(10), any(10), any_number(), any(10));

		put_unknown(&label);
		put_msg(&m, 3, label);
	}
	return m;
}

static void assert_same_sample(
	const struct pgo_buf *b, const struct pgo_pprof_tables *t, bool sparse, bool must_be_good)
{
	struct pgo_pprof_sample_buf buf = {0};
	struct pgo_sample s;
	bool good = pgo_pprof_sample_decode(&buf, t, wire(b), &s, NULL) == 0;
	Perftools__Profiles__Sample *m =
		perftools__profiles__sample__unpack(NULL, b->len, wire(b).p);

	assert_true(!good || m != NULL);
	assert_true(!must_be_good || good);
	if (good) {
		assert_int_equal(s.n_loc, m->n_location_id);
		for (uint32_t i = 0; i < s.n_loc; i++)
			assert_int_equal(
				sparse ? 2 * s.loc[i] + 1 : s.loc[i] + 1, m->location_id[i]);
		assert_int_equal(m->n_value, 3);
		assert_memory_equal(s.value, m->value, 3 * sizeof *s.value);
		assert_int_equal(s.n_label, m->n_label);
		for (uint32_t i = 0; i < s.n_label; i++) {
			assert_int_equal(s.label[i].key, m->label[i]->key);
			assert_int_equal(s.label[i].str, m->label[i]->str);
			assert_int_equal(s.label[i].num, m->label[i]->num);
			assert_int_equal(s.label[i].num_unit, m->label[i]->num_unit);
		}
	}
	if (m != NULL)
		perftools__profiles__sample__free_unpacked(m, NULL);
	pgo_pprof_sample_buf_fini(&buf);
}

static void samples_decode_as_protobuf_c_does(void **state)
{
	(void)state;
	for (int sparse = 0; sparse < 2; sparse++) {
		struct pgo_pprof_tables t;

		make_tables(&t, sparse);
		for (int i = 0; i < 10000; i++) {
			struct pgo_buf b = any_sample(sparse);

			assert_same_sample(&b, &t, sparse, true);
			b.data[any(b.len)] ^= (char)(1 << any(8));
			assert_same_sample(&b, &t, sparse, false);
			pgo_buf_fini(&b);
		}
		pgo_profile_free(t.p);
		pgo_pprof_tables_fini(&t);
	}
}

/* ---------------------------------------------------------------- the rest */

static void varints_have_the_size_that_is_computed_for_them(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits <= 64; bits++) {
		uint64_t v = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;

		for (int i = 0; i < 2; i++, v++) {
			struct pgo_buf b = raw();
			struct pgo_wire w;
			uint8_t direct[10];
			uint64_t back;

			pgo_buf_uleb(&b, v);
			assert_int_equal(pgo_wire_size(v), b.len);
			assert_int_equal(pgo_wire_put(direct, v) - direct, b.len);
			assert_memory_equal(direct, b.data, b.len);
			w = wire(&b);
			assert_true(pgo_wire_varint(&w, &back));
			assert_true(w.p == w.end);
			assert_true(back == v);
			pgo_buf_fini(&b);
		}
	}
}

static void profiles_are_told_from_other_files_by_their_first_bytes(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} others[] = {
		{"", 0},
		{"PERFILE2h\0\0\0\0\0\0\0", 16},
		{"\177ELF\2\1\1\0\0\0\0\0\0\0\0\0", 16},
		{"main;parse;hash 12\n", 19},
		{"app 1234 5678.9: 1000 cycles: 0x1/0x2/P/-/-/0\n", 46},
		{"\n\nBRSTACK text\n", 15},
		{"{\"json\": 1}", 11},
		{"\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x27\0\0\0\0\0\0", 32},
		{"\x1f\x8b\x08\0\0\0\0\0\0\0", 10},
	};
	char *text = rich_text();
	struct pgo_buf b = encode(text, false);

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (pgo_pprof_probe(others[i].data, others[i].len))
			fail_msg("case %zu was taken for a profile", i);
	for (size_t len = 6; len <= b.len; len++)
		if (!pgo_pprof_probe(b.data, len))
			fail_msg("the first %zu bytes were not recognised", len);
	pgo_buf_fini(&b);
	free(text);
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
	char *text = rich_text();
	struct pgo_buf b = encode(text, false), gz = encode(text, true);
	struct pgo_profile *p = mkprofile(text);
	uint64_t before = pgo_alloc_live();
	bool finished = false;

	(void)state;
	for (uint64_t n = 0; n < 1000 && !finished; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_buf out = raw();
		struct pgo_reader *r;
		struct pgo_sample s;
		int rc = PGO_ENOMEM;

		pgo_alloc_fail_after(n);
		r = open_buf(&gz, NULL, &err);
		if (r != NULL) {
			while ((rc = pgo_reader_next(r, &s, &err)) > 0)
				;
			pgo_reader_close(r);
		}
		if (rc == 0)
			rc = pgo_pprof_encode(p, true, &out, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc < 0 && err.code != PGO_ENOMEM)
			fail_msg("allocation %u: %s", (unsigned)n, err.msg);
		finished = rc == 0;
		pgo_buf_fini(&out);
		assert_int_equal(pgo_alloc_live(), before);
	}
	assert_true(finished);
	pgo_profile_free(p);
	pgo_buf_fini(&b);
	pgo_buf_fini(&gz);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_survives_writing_and_reading),
		cmocka_unit_test(column_and_folded_survive),
		cmocka_unit_test(protobuf_c_writes_the_same_bytes),
		cmocka_unit_test_setup_teardown(
			writing_twice_gives_the_same_file, scratch_up, scratch_down),
		cmocka_unit_test(strings_that_nothing_names_are_not_written),
		cmocka_unit_test(strings_keep_every_byte),
		cmocka_unit_test(an_invalid_profile_is_not_written),
		cmocka_unit_test(ids_may_be_any_numbers_in_any_order),
		cmocka_unit_test(tables_may_come_in_any_order),
		cmocka_unit_test(repeated_numbers_may_be_packed_or_not_or_both),
		cmocka_unit_test(unknown_fields_are_skipped_everywhere),
		cmocka_unit_test_setup_teardown(
			samples_past_the_limit_are_read_in_a_second_pass, scratch_up, scratch_down),
		cmocka_unit_test_setup_teardown(
			a_pipe_is_read_once_and_says_so_when_that_is_not_enough, scratch_up,
			scratch_down),
		cmocka_unit_test(a_profile_without_samples_is_valid),
		cmocka_unit_test(an_empty_file_and_other_files_are_refused),
		cmocka_unit_test(bad_ids_are_refused_by_name),
		cmocka_unit_test(bad_strings_are_refused),
		cmocka_unit_test(value_counts_must_match_the_sample_types),
		cmocka_unit_test(a_mapping_must_not_end_before_it_starts),
		cmocka_unit_test(two_profiles_one_after_the_other_are_refused),
		cmocka_unit_test(wrong_wire_types_are_refused),
		cmocka_unit_test(malformed_nested_messages_are_refused),
		cmocka_unit_test(a_cut_inside_a_field_is_always_noticed),
		cmocka_unit_test(a_cut_in_a_compressed_profile_is_always_noticed),
		cmocka_unit_test(damaged_profiles_are_read_or_refused),
		cmocka_unit_test(claimed_lengths_cost_no_memory),
		cmocka_unit_test(endless_strings_end_at_the_budget),
		cmocka_unit_test(long_strings_end_at_the_budget),
		cmocka_unit_test(many_inlined_lines_are_kept_in_order_and_charged),
		cmocka_unit_test(a_sample_of_millions_of_frames_is_refused),
		cmocka_unit_test_setup_teardown(
			loading_charges_the_samples_too, scratch_up, scratch_down),
		cmocka_unit_test(locations_decode_as_protobuf_c_does),
		cmocka_unit_test(samples_decode_as_protobuf_c_does),
		cmocka_unit_test(varints_have_the_size_that_is_computed_for_them),
		cmocka_unit_test(profiles_are_told_from_other_files_by_their_first_bytes),
		cmocka_unit_test(every_failed_allocation_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
