/* SPDX-License-Identifier: Apache-2.0 */
/* What is pushed: addresses of the file wherever a process had it, pieces that merge to the whole, the
 * same bytes for the same profile; names of it in directories. */
#include "fetch/push.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char warned[4096];

static void sink(void *ctx, enum pgo_level level, const char *domain, const char *text)
{
	size_t len = strlen(warned);

	(void)ctx;
	(void)domain;
	if (level == PGO_LEVEL_WARN)
		snprintf(warned + len, sizeof warned - len, "%s\n", text);
}

static int up(void **state)
{
	pgo_diag_set_sink(sink, NULL);
	warned[0] = '\0';
	return scratch_up(state);
}

/* ---------------------------------------------------------------- a process of this program */

struct self {
	struct pgo_push_elfs elfs;
	const struct pgo_segment *code;
	uint64_t vaddr; /* of some instruction */
};

static struct self self_open(void)
{
	struct self s = {{0}, NULL, 0};

	assert_int_equal(pgo_push_elfs_add(&s.elfs, "/proc/self/exe", NULL), 0);
	for (size_t i = 0; i < s.elfs.of[0]->n_segments; i++)
		if (s.elfs.of[0]->segments[i].exec)
			s.code = &s.elfs.of[0]->segments[i];
	assert_non_null(s.code);
	s.vaddr = s.code->vaddr + 0x100;
	return s;
}

/* A profile of it loaded at `base`: call stacks with lines, and a trace of branches. */
static struct pgo_profile *process_at(const struct self *s, uint64_t base, bool turned_round)
{
	const char *id = s->elfs.of[0]->build_id;
	uint64_t page = s->code->offset & ~(uint64_t)4095;
	uint64_t start = base + (s->code->vaddr & ~(uint64_t)4095);
	uint64_t a = base + s->vaddr;
	char text[4096];

	snprintf(text, sizeof text,
		"type samples/count\ntype cpu-clock:u/nanoseconds\ntype lbr_traces/count\n"
		"time 1700000000000000000\ncomment made by a test\n"
		"mapping %" PRIx64 " %" PRIx64 " %" PRIx64 " /bin/app %s fnl\n"
		"%s1@0x%" PRIx64 "=main:3;1@0x%" PRIx64 "=work:7 2 20 0 host=a tid:1\n"
		"1@0x%" PRIx64 "=main:3;1@0x%" PRIx64 "=work:7 3 30 0 host=a tid:2\n"
		"1@0x%" PRIx64 ";1@0x%" PRIx64 ";[lbr\\:branch_only] 0 0 9 host=a\n%s",
		start, start + 0x5000, page, id, turned_round ? "0x10 0 0 0 host=a\n" : "", a,
		a + 8, a, a + 8, a + 16, a + 32, "");
	return mkprofile(text);
}

static struct pgo_shaped shape(struct pgo_profile *p, const struct pgo_push_elfs *elfs,
	uint32_t max, struct pgo_shape_stats *stats)
{
	struct pgo_record rec = {0};
	struct pgo_shape_options o = {.elfs = elfs, .record = &rec, .max_samples = max};
	struct pgo_reader *rd = pgo_profile_reader(p, "p", true, NULL);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_shaped out;

	rec.host = pgo_strdup("a");
	memset(stats, 0, sizeof *stats);
	if (pgo_push_shape(rd, &o, &out, stats, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_reader_close(rd);
	pgo_record_fini(&rec);
	return out;
}

static void assert_same_bytes(const struct pgo_profile *a, const struct pgo_profile *b)
{
	struct pgo_buf x, y;

	pgo_buf_init(&x, 1 << 24);
	pgo_buf_init(&y, 1 << 24);
	assert_int_equal(pgo_pprof_encode(a, false, &x, NULL), 0);
	assert_int_equal(pgo_pprof_encode(b, false, &y, NULL), 0);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	pgo_buf_fini(&x);
	pgo_buf_fini(&y);
}

static void addresses_are_those_of_the_file_wherever_it_was_loaded(void **state)
{
	struct self s = self_open();
	struct pgo_shape_stats one, two;
	struct pgo_shaped a = shape(process_at(&s, 0x555500000000, false), &s.elfs, 0, &one);
	struct pgo_shaped b = shape(process_at(&s, 0x7f0000000000, false), &s.elfs, 0, &two);
	const struct pgo_profile *p = a.parts[0];
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(a.n, 1);
	assert_same_bytes(a.parts[0], b.parts[0]);
	assert_int_equal(p->n_mappings, 1);
	assert_int_equal(p->mappings[0].start, s.code->vaddr & ~(uint64_t)4095);
	assert_int_equal(p->mappings[0].offset, s.code->offset & ~(uint64_t)4095);
	assert_false(p->mappings[0].has_functions || p->mappings[0].has_filenames ||
		     p->mappings[0].has_line_numbers || p->mappings[0].has_inline_frames);
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct pgo_location *l = &p->locations[i];

		if (l->addr == 0) {
			assert_int_equal(l->n_lines, 1);
			continue;
		}
		seen |= l->addr - s.vaddr;
		assert_int_equal(l->n_lines, 0);
		assert_in_range(l->addr, p->mappings[0].start, p->mappings[0].limit - 1);
	}
	assert_int_equal(seen, 8 | 16 | 32);
	assert_int_equal(one.rebased, 4);
	assert_int_equal(one.without, 1);
	assert_int_equal(one.already + one.left, 0);
	pgo_shaped_fini(&a);
	pgo_shaped_fini(&b);
	pgo_push_elfs_fini(&s.elfs);
}

static void equal_stacks_are_summed_and_what_is_left_out_is_counted(void **state)
{
	struct self s = self_open();
	struct pgo_shape_stats st;
	struct pgo_shaped a = shape(process_at(&s, 0x555500000000, true), &s.elfs, 0, &st);
	const struct pgo_profile *p = a.parts[0];
	uint32_t cpu;

	(void)state;
	assert_int_equal(st.samples, 4);
	assert_int_equal(st.samples_put, 2); /* one had no value at all */
	assert_int_equal(p->n_samples, 2);
	assert_int_equal(st.lines, 2);
	assert_int_equal(st.labels, 2); /* the two tid; host goes with the whole */
	assert_int_equal(st.comments, 1);
	cpu = pgo_profile_sample_type(p, "cpu_clock_u"); /* as stores can ask for it */
	assert_int_not_equal(cpu, PGO_NONE);
	assert_string_equal(pgo_profile_str(p, p->period_type.type), "cpu_clock_u");
	assert_true(p->period > 0);
	for (size_t i = 0; i < 2; i++) {
		struct pgo_sample in = pgo_profile_sample(p, i);

		assert_int_equal(in.n_label, 0);
		assert_int_equal(in.value[cpu], in.n_loc == 2 ? 50 : 0);
		assert_int_equal(in.value[2], in.n_loc == 3 ? 9 : 0);
	}
	pgo_shaped_fini(&a);
	pgo_push_elfs_fini(&s.elfs);
}

static void without_the_program_addresses_are_left_and_named(void **state)
{
	struct self s = self_open();
	struct pgo_push_elfs none = {0};
	struct pgo_shape_stats st;
	struct pgo_shaped a = shape(process_at(&s, 0x555500000000, false), &none, 0, &st);

	(void)state;
	assert_int_equal(st.left, 4);
	assert_int_equal(st.rebased + st.already, 0);
	assert_string_equal(a.left_name, "/bin/app");
	assert_int_equal(
		a.parts[0]->mappings[0].start, 0x555500000000 + (s.code->vaddr & ~(uint64_t)4095));
	pgo_shaped_fini(&a);
	/* A file by its own addresses needs no program. */
	a = shape(mkprofile("mapping 1000 3000 1000 /bin/app abcd\n0x1100 1\n"), &none, 0, &st);
	assert_int_equal(st.already, 1);
	assert_null(a.left_name);
	pgo_shaped_fini(&a);
	pgo_push_elfs_fini(&s.elfs);
}

static void the_order_of_samples_and_tables_does_not_show(void **state)
{
	static const char forth[] = "mapping 1000 9000 1000 /bin/app abcd\n"
				    "mapping 20000 30000 20000 /lib/one cdef\n"
				    "0x1100;0x20010 1\n0x1200 2\n2@0x20020;1@0x1300 3\n";
	static const char back[] = "mapping 1000 9000 1000 /bin/app ABCD\n"
				   "mapping 20000 30000 20000 /lib/one cdef\n"
				   "2@0x20020;1@0x1300 3\n0x1200 1\n0x1100;0x20010 1\n0x1200 1\n";
	struct pgo_push_elfs none = {0};
	struct pgo_shape_stats st;
	struct pgo_shaped a = shape(mkprofile(forth), &none, 0, &st);
	struct pgo_shaped b = shape(mkprofile(back), &none, 0, &st);

	(void)state;
	assert_same_bytes(a.parts[0], b.parts[0]);
	pgo_shaped_fini(&a);
	pgo_shaped_fini(&b);
}

/* ---------------------------------------------------------------- pieces */

static char *lines_of(const struct pgo_profile *p)
{
	struct pgo_reader *r = pgo_profile_reader((struct pgo_profile *)p, "p", false, NULL);
	char *lines = profile_sorted_lines(r);

	pgo_reader_close(r);
	return lines;
}

static struct pgo_profile *many(size_t n)
{
	struct pgo_profile *p = mkprofile("type cpu/nanoseconds\ntype lbr_traces/count\n"
					  "time 1700000000000000000\n"
					  "mapping 1000 900000 1000 /bin/app abcd\n");

	for (size_t i = 0; i < n; i++) {
		uint32_t loc[3];
		int64_t value[2] = {i % 3 == 0 ? (int64_t)i + 1 : 0, i % 3 == 0 ? 0 : 7};
		struct pgo_sample s = {.loc = loc, .value = value, .n_loc = 3};

		for (unsigned k = 0; k < 3; k++)
			loc[k] = pgo_profile_add_location(p, 0, 0x1000 + i * 16 + k * 4, NULL, 0);
		assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	}
	return p;
}

static void pieces_keep_to_the_limit_and_merge_to_the_whole(void **state)
{
	struct pgo_push_elfs none = {0};
	struct pgo_shape_stats st;
	struct pgo_shaped whole = shape(many(1000), &none, 0, &st);
	struct pgo_shaped cut = shape(many(1000), &none, 70, &st);
	struct pgo_profile *all = pgo_profile_new(NULL);
	char *x, *y;
	size_t total = 0;

	(void)state;
	assert_int_equal(whole.n, 1);
	assert_in_range(cut.n, 15, 24); /* no more than half again as many as there must be */
	pgo_profile_add_sample_type(all, "cpu", "nanoseconds");
	pgo_profile_add_sample_type(all, "lbr_traces", "count");
	for (size_t i = 0; i < cut.n; i++) {
		const struct pgo_profile *p = cut.parts[i];
		uint32_t m = pgo_profile_add_mapping(all, &p->mappings[0]);

		/* a millisecond apart */
		assert_int_equal(p->time_ns, 1700000000000000000 + (int64_t)i * 1000000);
		assert_in_range(p->n_samples, 1, 70);
		assert_int_equal(p->n_mappings, 1);
		total += p->n_samples;
		for (size_t k = 0; k < p->n_samples; k++) {
			struct pgo_sample in = pgo_profile_sample(p, k);
			uint32_t loc[3];

			for (unsigned j = 0; j < 3; j++)
				loc[j] = pgo_profile_add_location(
					all, m, p->locations[in.loc[j]].addr, NULL, 0);
			in.loc = loc;
			assert_int_equal(pgo_profile_add_sample(all, &in), 0);
		}
		all->mappings[m].filename = all->mappings[m].build_id = 0;
	}
	assert_int_equal(total, 1000);
	/* Stacks by address; the mappings of the pieces are one and the same. */
	for (size_t i = 0; i < all->n_locations; i++)
		all->locations[i].mapping = PGO_NONE;
	for (size_t i = 0; i < whole.parts[0]->n_locations; i++)
		whole.parts[0]->locations[i].mapping = PGO_NONE;
	x = lines_of(all);
	y = lines_of(whole.parts[0]);
	assert_string_equal(x, y);
	free(x);
	free(y);
	pgo_profile_free(all);
	pgo_shaped_fini(&whole);
	pgo_shaped_fini(&cut);
}

static void a_sum_that_does_not_fit_is_refused(void **state)
{
	struct pgo_record rec = {0};
	struct pgo_push_elfs none = {0};
	struct pgo_shape_options o = {.elfs = &none, .record = &rec};
	struct pgo_shape_stats st = {0};
	struct pgo_shaped out;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *rd = mkreader("0x10 9223372036854775807\n0x10 1\n");

	(void)state;
	assert_int_equal(pgo_push_shape(rd, &o, &out, &st, &err), PGO_ELIMIT);
	pgo_reader_close(rd);
	rd = mkreader("0x10 0\n");
	assert_int_equal(pgo_push_shape(rd, &o, &out, &st, &err), PGO_EEMPTY);
	pgo_reader_close(rd);
}

/* ---------------------------------------------------------------- directories */

static void write_profile(const char *path, const char *text)
{
	struct pgo_profile *p = mkprofile(text);

	assert_int_equal(pgo_pprof_write(p, path, NULL), 0);
	pgo_profile_free(p);
}

static int push(const char *file, const char *url, struct pgo_push_options o,
	struct pgo_push_stats *st, struct pgo_err *err)
{
	const char *files[] = {file};

	o.files = files;
	o.n_files = 1;
	o.url = url;
	pgo_err_clear(err);
	return pgo_push(&o, st, err);
}

static size_t below(const char *dir, struct pgo_paths *ret)
{
	memset(ret, 0, sizeof *ret);
	assert_int_equal(pgo_paths_list(dir, ret, NULL), 0);
	return ret->n;
}

static void a_directory_gets_the_bytes_once_under_the_name_its_template_makes(void **state)
{
	char *file = scratch_path(*state, "cpu.pb.gz"), *store = scratch_path(*state, "store");
	char url[4096];
	struct pgo_push_options o = {.service = "a/../b", .version = "1%"};
	struct pgo_push_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_paths paths;

	write_profile(file, "time 1700000000000000000\nmain 1 host=web-1\n");
	snprintf(url, sizeof url, "file:%s/{service}/dt={date}/{host}-{version}/", store);
	assert_int_equal(push(file, url, o, &st, &err), 0);
	assert_int_equal(st.pieces, 1);
	assert_int_equal(st.present, 0);
	assert_int_equal(push(file, url, o, &st, &err), 0);
	assert_int_equal(st.present, 1);
	assert_int_equal(below(store, &paths), 1);
	assert_has(paths.path[0], "/store/a%2F..%2Fb/dt=2023-11-14/web-1-1%25/");
	assert_has(paths.path[0], ".pb.gz");
	pgo_paths_free(&paths);
	assert_string_equal(warned, "");
	/* A label that nothing keeps is warned of; one that is missing is named. */
	snprintf(url, sizeof url, "%s/{zone}", store);
	assert_int_equal(push(file, url, o, &st, &err), PGO_EUSAGE);
	assert_has(err.msg, "zone");
	assert_int_equal(push(file, store, o, &st, &err), 0);
	assert_has(warned, "{service}");
}

static void what_is_torn_or_no_profile_is_not_pushed(void **state)
{
	char *file = scratch_path(*state, "cpu.pb.gz"), *store = scratch_path(*state, "store");
	char *torn, *text = scratch_file(*state, "text", "no profile\n", 11);
	struct pgo_push_options o = {0};
	struct pgo_push_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf b;

	write_profile(file, "main;work 1\nmain;other 3\n");
	assert_int_equal(pgo_file_read(file, 1 << 20, &b, NULL), 0);
	torn = scratch_file(*state, "torn.pb.gz", b.data, b.len - 9);
	pgo_buf_fini(&b);
	assert_int_equal(push(torn, store, o, &st, &err), PGO_EFORMAT);
	assert_has(err.msg, "torn.pb.gz");
	assert_int_equal(push(text, store, o, &st, &err), PGO_EFORMAT);
	assert_false(pgo_path_exists(store));
	assert_int_equal(push(file, "http://127.0.0.1:1/", o, &st, &err), PGO_EUSAGE);
	assert_has(err.msg, "takes no profiles");
}

static void a_file_that_changes_while_it_is_pushed_is_refused(void **state)
{
	char *file = scratch_path(*state, "cpu.pb.gz"), *store = scratch_path(*state, "store");
	struct pgo_record rec = {.bytes = 1 << 20};
	struct pgo_source *s = pgo_source_open(store, NULL, NULL);
	struct pgo_err err = PGO_ERR_INIT;
	const struct pgo_push_item bad_item = {file, &rec, 0, 1};
	struct pgo_paths paths;

	write_profile(file, "main;work 1\n");
	memset(rec.digest, 'a', 64);
	assert_int_equal(s->ops->put(s, &bad_item, &err), PGO_EFORMAT);
	assert_has(err.msg, "changed while");
	assert_int_equal(below(store, &paths), 0);
	pgo_paths_free(&paths);
	pgo_source_close(s);
}

/* ---------------------------------------------------------------- profile stores */

/* What a store of our own was given: the pieces as files of the scratch directory, and their records
 * as text. */
static char given[4096], put_dir[4096];
static unsigned n_given;

static struct pgo_source *keeper_open(const char *url, struct pgo_err *err);

static void keeper_close(struct pgo_source *s)
{
	pgo_free(s);
}

static int keeper_put(struct pgo_source *s, const struct pgo_push_item *item, struct pgo_err *err)
{
	const struct pgo_record *r = item->record;
	size_t len = strlen(given);
	char path[4200], digest[65];
	struct pgo_buf bytes;

	(void)s;
	assert_int_equal(pgo_sha256_file(item->path, digest, NULL), 0);
	assert_string_equal(digest, r->digest);
	assert_int_equal(pgo_file_read(item->path, 1 << 20, &bytes, err), 0);
	assert_int_equal(bytes.len, r->bytes);
	snprintf(path, sizeof path, "%s/piece%u.pb.gz", put_dir, n_given++);
	assert_int_equal(pgo_file_write(path, bytes.data, bytes.len, NULL), 0);
	pgo_buf_fini(&bytes);
	snprintf(given + len, sizeof given - len, "%s %s %s %s zone=%s %u/%u %s %s\n", r->kind,
		r->service, r->host, r->version,
		pgo_record_get_label(r, "zone") != NULL ? pgo_record_get_label(r, "zone") : "-",
		item->part, item->parts, r->sample_types[0],
		r->n_build_ids != 0 ? r->build_ids[0] : "-");
	return 0;
}

static const struct pgo_source_ops keeper_ops = {
	.scheme = "keeper",
	.about = "a store of the test",
	.push_shaped = true,
	.push_samples = 2,
	.open = keeper_open,
	.close = keeper_close,
	.put = keeper_put,
};

static struct pgo_source *keeper_open(const char *url, struct pgo_err *err)
{
	struct pgo_source *s = pgo_calloc(1, sizeof *s);

	(void)url;
	(void)err;
	s->ops = &keeper_ops;
	return s;
}

static void profile_stores_get_pieces_with_the_labels_of_the_whole(void **state)
{
	static const char *const labels[] = {"zone=a"};
	char *file = scratch_path(*state, "cpu.pb.gz");
	struct pgo_push_options o = {
		.service = "shop", .labels = labels, .n_labels = 1, .extra = &keeper_ops};
	struct pgo_push_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	int64_t sum = 0;

	given[0] = '\0';
	n_given = 0;
	snprintf(put_dir, sizeof put_dir, "%s", scratch_dir(*state));
	write_profile(file,
		"time 1700000000000000000\ntype cpu/nanoseconds\n"
		"mapping 1000 9000 1000 /bin/app abcd\n"
		"0x1100 1 host=web-1 zone=b\n0x1200 2 host=web-1 zone=b\n0x1300 3 host=web-1 "
		"zone=b\n0x1400 4 host=web-1 zone=b\n0x1400;0x1500 5 host=web-1 zone=b\n");
	assert_int_equal(push(file, "keeper://x", o, &st, &err), 0);
	assert_true(st.shaped);
	assert_int_equal(st.profiles, 1);
	assert_true(n_given >= 3);
	assert_int_equal(st.pieces, n_given);
	/* What the user says goes before what the profile says, which is then lost, and counted. */
	assert_int_equal(st.shape.labels, 5);
	for (unsigned i = 0; i < n_given; i++) {
		char want[200], path[4200];
		struct pgo_profile *p;

		snprintf(want, sizeof want, "pprof shop web-1  zone=a %u/%u cpu/nanoseconds abcd\n",
			i, n_given);
		assert_has(given, want);
		snprintf(path, sizeof path, "%s/piece%u.pb.gz", put_dir, i);
		p = pgo_pprof_load(path, NULL, NULL);
		assert_non_null(p);
		assert_in_range(p->n_samples, 1, 2);
		for (size_t k = 0; k < p->n_samples; k++)
			sum += pgo_profile_sample(p, k).value[0];
		pgo_profile_free(p);
	}
	assert_int_equal(sum, 15);
	/* A dry run gives it nothing. */
	n_given = 0;
	o.dry_run = true;
	assert_int_equal(push(file, "keeper://x", o, &st, &err), 0);
	assert_int_equal(n_given, 0);
	assert_true(st.pieces >= 3);
}

static void passwords_in_addresses_are_in_no_message(void **state)
{
	char *file = scratch_path(*state, "cpu.pb.gz");
	struct pgo_push_options o = {0};
	struct pgo_push_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	static const char *const urls[] = {"ftp://user:hunter2@host/", "http://user:hunter2@host/",
		"parca://user:hunter2@host:1/", "pyroscope://user:hunter2@host:1/"};

	write_profile(file, "main;work 1\n");
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		assert_true(push(file, urls[i], o, &st, &err) < 0);
		assert_null(strstr(err.msg, "hunter2"));
		assert_null(strstr(warned, "hunter2"));
	}
}

static void every_failed_allocation_is_an_error_without_a_leak(void **state)
{
	char *file = scratch_path(*state, "cpu.pb.gz"), *store = scratch_path(*state, "store");
	struct pgo_push_options o = {.service = "s"};
	struct pgo_push_stats st;
	struct pgo_err err = PGO_ERR_INIT;
	uint64_t live = pgo_alloc_live();
	int rc = -1;

	write_profile(file, "mapping 1000 9000 1000 /bin/app abcd\n0x1100;0x1200 1\n0x1300 4\n");
	for (uint64_t n = 0; rc < 0; n++) {
		struct pgo_reader *rd = mkreader(
			"mapping 1000 9000 1000 /bin/app abcd\n0x1100;0x1200 1\nmain;x 4\n");
		struct pgo_push_elfs none = {0};
		struct pgo_record rec = {0};
		struct pgo_shape_options so = {.elfs = &none, .record = &rec, .max_samples = 1};
		struct pgo_shape_stats ss = {0};
		struct pgo_shaped out;

		pgo_alloc_fail_after(n);
		rc = pgo_push_shape(rd, &so, &out, &ss, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			pgo_shaped_fini(&out);
		else
			assert_int_equal(rc, PGO_ENOMEM);
		pgo_reader_close(rd);
		assert_int_equal(pgo_alloc_live(), live);
	}
	rc = -1;
	for (uint64_t n = 0; rc < 0; n++) {
		pgo_alloc_fail_after(n);
		rc = push(file, store, o, &st, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		assert_int_equal(pgo_alloc_live(), live);
		assert_true(n < 100000);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses_are_those_of_the_file_wherever_it_was_loaded),
		T(equal_stacks_are_summed_and_what_is_left_out_is_counted),
		T(without_the_program_addresses_are_left_and_named),
		T(the_order_of_samples_and_tables_does_not_show),
		T(pieces_keep_to_the_limit_and_merge_to_the_whole),
		T(a_sum_that_does_not_fit_is_refused),
		T(a_directory_gets_the_bytes_once_under_the_name_its_template_makes),
		T(what_is_torn_or_no_profile_is_not_pushed),
		T(a_file_that_changes_while_it_is_pushed_is_refused),
		T(profile_stores_get_pieces_with_the_labels_of_the_whole),
		T(passwords_in_addresses_are_in_no_message),
		T(every_failed_allocation_is_an_error_without_a_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
