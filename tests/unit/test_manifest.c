/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/scratch.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/manifest.h"

#include <string.h>

#define D1 "1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "2222222222222222222222222222222222222222222222222222222222222222"

static void add(struct pgo_manifest *m, const char *digest, int64_t time_ns)
{
	struct pgo_record *r = pgo_manifest_add(m);

	assert_non_null(r);
	memcpy(r->digest, digest, 65);
	r->time_ns = time_ns;
	assert_int_equal(pgo_record_set(&r->kind, "pprof", NULL), 0);
	assert_int_equal(pgo_record_set(&r->source, "dir/a \"b\".pb.gz", NULL), 0);
	assert_int_equal(pgo_record_set(&r->host, "web-1", NULL), 0);
	assert_int_equal(pgo_record_label(r, "zone", "b", NULL), 0);
	assert_int_equal(pgo_record_label(r, "app", "x\ny", NULL), 0);
	assert_int_equal(pgo_record_label(r, "zone", "c", NULL), 0);
	assert_int_equal(pgo_record_list_add(
				 &r->build_ids, &r->n_build_ids, &r->build_ids_room, "ab12", NULL),
		0);
	assert_int_equal(pgo_record_list_add(&r->sample_types, &r->n_sample_types,
				 &r->sample_types_room, "cpu/nanoseconds", NULL),
		0);
	r->bytes = 12345678901;
	r->source_size = 7;
	r->source_mtime_ns = 1700000000123456789;
}

static void what_was_saved_is_loaded(void **state)
{
	char *path = scratch_path(*state, "manifest.jsonl");
	struct pgo_manifest m, back;
	const struct pgo_record *r;

	pgo_manifest_init(&m);
	pgo_manifest_init(&back);
	add(&m, D2, 5);
	assert_int_equal(pgo_manifest_save(&m, path, NULL), 0);
	assert_int_equal(pgo_manifest_load(&back, path, NULL), 0);
	assert_int_equal(back.n_records, 1);
	r = pgo_manifest_find(&back, D2);
	assert_non_null(r);
	assert_string_equal(r->source, "dir/a \"b\".pb.gz");
	assert_string_equal(pgo_record_get_label(r, "host"), "web-1");
	assert_string_equal(pgo_record_get_label(r, "zone"), "c");
	assert_string_equal(pgo_record_get_label(r, "app"), "x\ny");
	assert_null(pgo_record_get_label(r, "service"));
	assert_null(pgo_record_get_label(r, "other"));
	assert_int_equal(r->n_labels, 2);
	assert_string_equal(r->labels[0].key, "app");
	assert_string_equal(r->build_ids[0], "ab12");
	assert_string_equal(r->sample_types[0], "cpu/nanoseconds");
	assert_int_equal(r->bytes, 12345678901);
	assert_int_equal(r->source_mtime_ns, 1700000000123456789);
	assert_null(pgo_manifest_find(&back, D1));
	pgo_manifest_fini(&m);
	pgo_manifest_fini(&back);
}

static void order_of_adding_does_not_show(void **state)
{
	char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b");
	struct pgo_buf text;
	struct pgo_manifest m;

	pgo_manifest_init(&m);
	add(&m, D1, 9);
	add(&m, D2, 5);
	add(&m, D1, 5);
	assert_int_equal(pgo_manifest_save(&m, a, NULL), 0);
	pgo_manifest_fini(&m);
	add(&m, D1, 5);
	add(&m, D1, 9);
	add(&m, D2, 5);
	assert_int_equal(pgo_manifest_save(&m, b, NULL), 0);
	assert_int_equal(m.records[0].time_ns, 5);
	assert_string_equal(m.records[0].digest, D1);
	assert_int_equal(m.records[2].time_ns, 9);
	pgo_manifest_fini(&m);
	pgo_buf_init(&text, 1 << 20);
	assert_int_equal(pgo_file_read(a, 1 << 20, &text, NULL), 0);
	assert_file(b, text.data, text.len);
	pgo_buf_fini(&text);
}

static void a_missing_file_is_an_empty_manifest(void **state)
{
	struct pgo_manifest m;

	pgo_manifest_init(&m);
	assert_int_equal(pgo_manifest_load(&m, scratch_path(*state, "none"), NULL), 0);
	assert_int_equal(m.n_records, 0);
	pgo_manifest_fini(&m);
}

static void refused(void **state, const char *text, const char *part)
{
	char *path = scratch_file(*state, "bad.jsonl", text, strlen(text));
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_manifest m;

	pgo_manifest_init(&m);
	assert_int_equal(pgo_manifest_load(&m, path, &err), PGO_EFORMAT);
	assert_has(err.msg, "bad.jsonl:2");
	assert_has(err.msg, part);
	pgo_manifest_fini(&m);
}

#define GOOD "{\"v\":1,\"digest\":\"" D1 "\"}\n"

static void a_damaged_line_is_named_by_its_number(void **state)
{
	refused(state, GOOD "{\"v\":1,\"digest\":\"11", "record");
	refused(state, GOOD "not json\n", "record");
	refused(state, GOOD "{\"v\":1,\"digest\":\"../../etc/passwd\"}\n", "64 hexadecimal");
	refused(state, GOOD "{\"v\":1,\"digest\":\"" D1 "1\"}\n", "64 hexadecimal");
	refused(state, GOOD "{\"digest\":\"" D1 "\"}\n", "schema version");
	refused(state, GOOD "[1]\n", "schema version");
}

static void a_newer_schema_is_refused_by_its_version(void **state)
{
	refused(state, GOOD "{\"v\":2,\"digest\":\"" D1 "\"}\n", "schema version 2");
}

static void a_torn_last_line_is_left_out_where_that_is_asked_for(void **state)
{
	static const char text[] = GOOD "{\"v\":1,\"digest\":\"" D1;
	char *path = scratch_file(*state, "torn.jsonl", text, strlen(text));
	struct pgo_manifest m;

	pgo_manifest_init(&m);
	assert_int_equal(pgo_manifest_load_torn(&m, path, NULL), 0);
	assert_int_equal(m.n_records, 1);
	assert_string_equal(m.records[0].digest, D1);
	pgo_manifest_fini(&m);
}

static void every_failed_allocation_is_an_error_without_a_leak(void **state)
{
	static const char text[] = GOOD "{\"v\":1,\"digest\":\"" D2
					"\",\"labels\":[[\"a\",\"b\"]],\"build_ids\":[\"1\"]}\n";
	char *path = scratch_file(*state, "x.jsonl", text, strlen(text));
	uint64_t live = pgo_alloc_live();

	for (uint64_t n = 0;; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_manifest m;
		int rc;

		pgo_manifest_init(&m);
		pgo_alloc_fail_after(n);
		rc = pgo_manifest_load(&m, path, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			assert_int_equal(m.n_records, 2);
		pgo_manifest_fini(&m);
		assert_int_equal(pgo_alloc_live(), live);
		if (rc == 0)
			break;
		assert_int_equal(err.code, PGO_ENOMEM);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_saved_is_loaded),
		TEST(order_of_adding_does_not_show),
		TEST(a_missing_file_is_an_empty_manifest),
		TEST(a_damaged_line_is_named_by_its_number),
		TEST(a_newer_schema_is_refused_by_its_version),
		TEST(a_torn_last_line_is_left_out_where_that_is_asked_for),
		TEST(every_failed_allocation_is_an_error_without_a_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
