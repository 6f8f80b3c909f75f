/* SPDX-License-Identifier: Apache-2.0 */
/* The perf.data reader on files written field by field: what it tells its sink, as text. */
#include "fetch/perf_data.h"
#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"
#include "tests/lib/perfbytes.h"
#include "tests/lib/reclog.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

#define BUILD_ID "0123456789abcdef0123456789abcdef01234567"
#define NO_LIMIT ((uint64_t)1 << 32)

static int read_bytes(const void *data, size_t len, struct pgo_buf *log, struct pgo_rec_info *info,
	struct pgo_err *err)
{
	struct pgo_recording_sink s = reclog_sink(log);

	memset(info, 0, sizeof *info);
	return pgo_perf_data_read_memory(data, len, NO_LIMIT, &s, info, err);
}

/* Reads what was built; it must succeed. */
static void read_ok(struct perfbytes *p, struct pgo_buf *log, struct pgo_rec_info *info)
{
	struct pgo_err err = PGO_ERR_INIT;

	perfbytes_finish(p);
	if (read_bytes(p->out.data, p->out.len, log, info, &err) != 0)
		fail_msg("%s", err.msg);
}

/* Reads it; it must fail with a sentence that holds `part`. */
static void read_bad(struct perfbytes *p, const char *part)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct pgo_buf log;

	perfbytes_finish(p);
	assert_int_equal(read_bytes(p->out.data, p->out.len, &log, &info, &err), PGO_EFORMAT);
	assert_has(err.msg, part);
	pgo_buf_fini(&log);
	perfbytes_fini(p);
}

static struct perfbytes_event lbr_event(void)
{
	return (struct perfbytes_event){.name = "cycles:u",
		.period = 1000,
		.sample_type = PERFBYTES_SAMPLE_LBR,
		.branch_type = PERFBYTES_BRANCH_ANY,
		.id = 4711};
}

static const struct perfbytes_branch ring[] = {
	{0x401020, 0x401100, true, 7, 1, 0},
	{0x4010f0, 0x401010, false, 300, 6, 1},
	{0x401030, 0x4010e0, false, 0, 20, 2},
};

static void small_recording(struct perfbytes *p, unsigned flags)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes_sample s = {.ip = 0x401104,
		.time = 3000,
		.period = 1000,
		.pid = 42,
		.tid = 43,
		.branch = ring,
		.n_branches = 3};
	struct pgo_buf host;

	perfbytes_init(p, flags);
	perfbytes_event(p, &e);
	pgo_buf_init(&host, 4096);
	perfbytes_counted(p, &host, "web-1");
	perfbytes_feature(p, 3, &host);
	pgo_buf_fini(&host);
	perfbytes_comm(p, 42, "app", true, 1000);
	perfbytes_mmap2(p, 42, 0x401000, 0x2000, 0x1000, BUILD_ID, "/usr/bin/app", 1500);
	perfbytes_mmap2(p, 42, 0x7f0000000000, 0x3000, 0, NULL, "/lib/libc.so.6", 1600);
	for (int i = 0; i < 20; i++) {
		s.time += 100;
		s.ip += 2;
		perfbytes_sample(p, &s);
		if (i % 7 == 0)
			perfbytes_round(p);
	}
	perfbytes_fork(p, 50, 42, 6000);
}

/* ---------------------------------------------------------------- forms of the same recording */

static const char small_head[] =
	"event 0 cycles:u type=0 config=0 period=1000 unit=3 ring=101\n"
	"exec 42 app t=1000\n"
	"map 42 401000+2000@1000 /usr/bin/app " BUILD_ID " t=1500\n"
	"map 42 7f0000000000+3000@0 /lib/libc.so.6 - t=1600\n"
	"sample 0 42/43 mode=2 ip=401106 t=3100 p=1000 [401020>401100 f=1 c=7 t=1 s=0] "
	"[4010f0>401010 f=2 c=300 t=6 s=1] [401030>4010e0 f=2 c=0 t=20 s=2]\n"
	"sample 0 42/43 mode=2 ip=401108 t=3200 ";

static void file_mode_tells_events_maps_tasks_and_samples(void **state)
{
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;

	(void)state;
	small_recording(&p, 0);
	read_ok(&p, &log, &info);
	assert_memory_equal(log.data, small_head, sizeof small_head - 1);
	assert_has(log.data, "fork 50  t=6000\n");
	assert_string_equal(info.host, "web-1");
	assert_int_equal(info.records, 3 + 20 + 3 + 1);
	assert_int_equal(info.unknown + info.late + info.lost, 0);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void every_form_of_a_recording_reads_the_same(void **state)
{
	static const unsigned forms[] = {PERFBYTES_BIG, PERFBYTES_PIPE,
		PERFBYTES_PIPE | PERFBYTES_BIG, PERFBYTES_COMPRESS, PERFBYTES_COMPRESS2,
		PERFBYTES_COMPRESS | PERFBYTES_PIPE, PERFBYTES_COMPRESS2 | PERFBYTES_BIG};
	struct pgo_buf want, log;
	struct pgo_rec_info info;
	struct perfbytes p;

	(void)state;
	small_recording(&p, 0);
	read_ok(&p, &want, &info);
	perfbytes_fini(&p);
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		small_recording(&p, forms[i]);
		read_ok(&p, &log, &info);
		assert_string_equal(log.data, want.data);
		assert_string_equal(info.host, "web-1");
		pgo_buf_fini(&log);
		perfbytes_fini(&p);
	}
	pgo_buf_fini(&want);
}

/* Through gzip there are no offsets: the header features come last. */
static void a_gzipped_file_streams_to_the_same_records(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf want, log, gz;
	struct pgo_recording_sink s;
	struct pgo_rec_info info = {0};
	struct pgo_stream *stream;
	struct perfbytes p;

	(void)state;
	small_recording(&p, 0);
	read_ok(&p, &want, &info);
	pgo_buf_init(&gz, NO_LIMIT);
	assert_int_equal(pgo_gzip(p.out.data, p.out.len, &gz, &err), 0);
	stream = pgo_stream_memory("x.gz", gz.data, gz.len, NO_LIMIT, &err);
	assert_non_null(stream);
	s = reclog_sink(&log);
	memset(&info, 0, sizeof info);
	assert_int_equal(pgo_perf_data_read("x.gz", stream, NO_LIMIT, &s, &info, &err), 0);
	/* Only the name of the event is late. */
	assert_has(log.data, "event 0 cycles type=0");
	assert_has(log.data, "event 0 cycles:u type=0");
	assert_string_equal(strstr(log.data, "exec 42"),
		strstr(want.data, "exec 42") == NULL ? "" : strstr(log.data, "exec 42"));
	assert_memory_equal(strstr(log.data, "exec 42"), strstr(want.data, "exec 42"),
		strlen(strstr(want.data, "exec 42")));
	assert_string_equal(info.host, "web-1");
	pgo_stream_close(stream);
	pgo_buf_fini(&gz);
	pgo_buf_fini(&want);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

/* ---------------------------------------------------------------- fields */

static void fields_before_the_branch_stack_are_measured_rightly(void **state)
{
	static const uint64_t formats[] = {0, 1, 3, 7, 0x17, 8, 0xb, 0x1f};
	static const uint64_t chain[] = {(uint64_t)-128, 0xffffffff81000000, 0xffffffff81000010,
		(uint64_t)-512, 0x401104, 0x401200, 0x401300};

	(void)state;
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		for (unsigned big = 0; big < 2; big++) {
			/* Everything up to and after the branch stack, hardware index, counters. */
			struct perfbytes_event e = {.name = "r1c4:u",
				.type = 4,
				.config = 0x1c4,
				.period = 7,
				.sample_type = 0x14fff,
				.read_format = formats[i],
				.branch_type = PERFBYTES_BRANCH_ANY | 1 << 17 | 1 << 19,
				.id = 9};
			struct perfbytes_sample s = {.ip = 0x401104,
				.time = 5,
				.period = 12,
				.pid = 3,
				.chain = chain,
				.n_chain = 7,
				.raw_len = 20,
				.branch = ring,
				.n_branches = 3};
			struct pgo_rec_info info;
			struct perfbytes p;
			struct pgo_buf log;

			perfbytes_init(&p, big ? PERFBYTES_BIG : 0);
			perfbytes_event(&p, &e);
			perfbytes_sample(&p, &s);
			read_ok(&p, &log, &info);
			assert_string_equal(log.data,
				"event 0 r1c4:u type=4 config=1c4 period=7 unit=1 ring=101\n"
				"sample 0 3/3 mode=2 ip=401104 t=5 p=12 kernel=2 chain 401104 "
				"401200 401300 [401020>401100 f=1 c=7 t=1 s=0] [4010f0>401010 f=2 "
				"c=300 t=6 s=1] [401030>4010e0 f=2 c=0 t=20 s=2]\n");
			pgo_buf_fini(&log);
			perfbytes_fini(&p);
		}
}

static void flags_and_cycles_that_are_void_are_not_read(void **state)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes_sample s = {.ip = 1, .pid = 1, .branch = ring, .n_branches = 1};
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;

	(void)state;
	e.branch_type |= 1 << 14 | 1 << 15;
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	perfbytes_sample(&p, &s);
	read_ok(&p, &log, &info);
	assert_has(log.data, "[401020>401100 f=0 c=0 t=1 s=0]");
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void the_fixed_period_stands_in_where_samples_have_none(void **state)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes_sample s = {.ip = 1, .pid = 1};
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;

	(void)state;
	e.sample_type &= ~0x100ull;
	e.attr_size = 64; /* the smallest there is, without a word on branches */
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	perfbytes_sample(&p, &s);
	read_ok(&p, &log, &info);
	assert_has(log.data, "sample 0 1/1 mode=2 ip=1 t=0 p=1000\n");
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void samples_find_their_event_by_identifier_or_id(void **state)
{
	(void)state;
	for (int by_id = 0; by_id < 2; by_id++) {
		uint64_t type = by_id ? 0x947 : 0x10907;
		struct perfbytes_event a = {
			.name = "instructions", .config = 1, .sample_type = type, .id = 100};
		struct perfbytes_event b = {
			.name = "cpu-clock", .type = 1, .sample_type = type, .id = 200};
		struct perfbytes_sample s = {.ip = 1, .pid = 1, .event = 1, .period = 3};
		struct pgo_rec_info info;
		struct perfbytes p;
		struct pgo_buf log;

		perfbytes_init(&p, 0);
		perfbytes_event(&p, &a);
		perfbytes_event(&p, &b);
		perfbytes_sample(&p, &s);
		s.event = 0;
		perfbytes_sample(&p, &s);
		p.event[0].id = 300; /* an id of no event */
		perfbytes_sample(&p, &s);
		p.event[0].id = 100;
		read_ok(&p, &log, &info);
		assert_has(log.data, "event 0 instructions type=0 config=1 period=0 unit=2");
		assert_has(log.data, "event 1 cpu-clock type=1 config=0 period=0 unit=4");
		assert_has(log.data, "\nsample 1 1/1");
		assert_has(log.data, "\nsample 0 1/1");
		assert_has(log.data, "\nsample -1 0/0");
		pgo_buf_fini(&log);
		perfbytes_fini(&p);
	}
}

static void events_without_identifier_and_of_unlike_layouts_are_refused(void **state)
{
	struct perfbytes_event a = {.name = "a", .sample_type = 0x107, .id = 1};
	struct perfbytes_event b = {.name = "b", .sample_type = 0x147, .id = 2};
	struct perfbytes_sample s = {.ip = 1, .pid = 1};
	struct perfbytes p;

	(void)state;
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &a);
	perfbytes_event(&p, &b);
	perfbytes_sample(&p, &s);
	read_bad(&p, "no identifier to tell them apart");
}

static void features_say_host_names_build_ids_clock_and_depth(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 4; flags++) {
		struct perfbytes_event e = lbr_event();
		struct perfbytes_sample s = {.ip = 1, .pid = 1};
		struct pgo_rec_info info;
		struct pgo_buf b, log;
		struct perfbytes p;

		perfbytes_init(&p, flags);
		perfbytes_event(&p, &e);
		pgo_buf_init(&b, 4096);
		perfbytes_build_id(&p, &b, BUILD_ID, "/usr/bin/app");
		perfbytes_build_id(&p, &b, "ff" BUILD_ID, "/lib/ld.so");
		perfbytes_feature(&p, 2, &b);
		pgo_buf_clear(&b);
		perfbytes_u32(&p, &b, 1); /* one property */
		perfbytes_counted(&p, &b, "branches");
		perfbytes_counted(&p, &b, "32");
		perfbytes_feature(&p, 28, &b);
		pgo_buf_clear(&b);
		perfbytes_u32(&p, &b, 1); /* version */
		perfbytes_u32(&p, &b, 1); /* CLOCK_MONOTONIC */
		perfbytes_u64(&p, &b, 1790000000000000000);
		perfbytes_u64(&p, &b, 5000);
		perfbytes_feature(&p, 29, &b);
		perfbytes_sample(&p, &s);
		pgo_buf_fini(&b);
		read_ok(&p, &log, &info);
		assert_has(log.data, "build-id /usr/bin/app " BUILD_ID "\n");
		assert_has(log.data, "build-id /lib/ld.so ff");
		assert_has(log.data, "event 0 cycles:u ");
		assert_true(info.has_clock);
		assert_true(info.wall_ns == 1790000000000000000 && info.clock_ns == 5000);
		assert_int_equal(info.ring_depth, 32);
		pgo_buf_fini(&log);
		perfbytes_fini(&p);
	}
}

/* ---------------------------------------------------------------- order */

static struct perfbytes ordered(void)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes p;

	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	return p;
}

static void sample_at(struct perfbytes *p, uint64_t time)
{
	struct perfbytes_sample s = {.ip = time, .time = time, .pid = 1};

	perfbytes_sample(p, &s);
}

static void a_map_from_another_processors_buffer_comes_before_its_samples(void **state)
{
	struct perfbytes p = ordered();
	struct pgo_rec_info info;
	struct pgo_buf log;
	const char *at;

	(void)state;
	/* First buffer: samples at 20, 40, 60.  Second: exec at 10, map at 30; a fork at 60. */
	sample_at(&p, 20);
	sample_at(&p, 40);
	sample_at(&p, 60);
	perfbytes_comm(&p, 1, "app", true, 10);
	perfbytes_mmap(&p, 1, 0x1000, 0x1000, 0, "/bin/app", 30);
	perfbytes_fork(&p, 2, 1, 60);
	perfbytes_round(&p);
	sample_at(&p, 70);
	read_ok(&p, &log, &info);
	at = strchr(log.data, '\n') + 1;
	assert_int_equal(strncmp(at, "exec", 4), 0);
	assert_non_null(at = strstr(at, "ip=14 "));
	assert_non_null(at = strstr(at, "map 1"));
	assert_non_null(at = strstr(at, "ip=28 "));
	assert_non_null(at = strstr(at, "fork 2"));
	assert_non_null(at = strstr(at, "ip=3c "));
	assert_non_null(strstr(at, "ip=46 "));
	assert_int_equal(info.late, 0);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void a_map_of_the_next_round_still_comes_before_older_samples(void **state)
{
	struct perfbytes p = ordered();
	struct pgo_rec_info info;
	struct pgo_buf log;

	(void)state;
	sample_at(&p, 50);
	perfbytes_round(&p);
	perfbytes_mmap(&p, 1, 0x1000, 0x1000, 0, "/bin/app", 40);
	sample_at(&p, 90);
	perfbytes_round(&p);
	/* By now everything up to 50 is out: this one is too late, and counted. */
	perfbytes_mmap(&p, 1, 0x2000, 0x1000, 0, "/bin/late", 45);
	perfbytes_round(&p);
	read_ok(&p, &log, &info);
	assert_true(strstr(log.data, "/bin/app") < strstr(log.data, "t=50 "));
	assert_true(strstr(log.data, "/bin/late") > strstr(log.data, "t=50 "));
	assert_int_equal(info.late, 1);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void records_without_a_time_keep_their_place(void **state)
{
	struct perfbytes_event e = {.name = "cycles", .sample_type = 0x3, .id = 1};
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;

	(void)state;
	perfbytes_init(&p, PERFBYTES_NO_TRAILERS);
	perfbytes_event(&p, &e);
	sample_at(&p, 1);
	perfbytes_mmap(&p, 1, 0x1000, 0x1000, 0, "/bin/app", 0);
	sample_at(&p, 2);
	read_ok(&p, &log, &info);
	assert_true(strstr(log.data, "ip=1 ") < strstr(log.data, "/bin/app"));
	assert_true(strstr(log.data, "/bin/app") < strstr(log.data, "ip=2 "));
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

/* Many megabytes without any FINISHED_ROUND: memory stays bounded, nothing is lost or twice. */
static void a_recording_without_rounds_is_handed_on_in_halves(void **state)
{
	struct perfbytes p = ordered();
	struct perfbytes_branch many[200] = {{1, 2, 0, 0, 0, 0}};
	struct perfbytes_sample s = {.ip = 5, .pid = 1, .branch = many, .n_branches = 200};
	struct pgo_recording_sink sink;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info = {0};
	struct pgo_buf log;
	unsigned n = 9000; /* of 4.8 KB: 43 MB */

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		s.time = 1000 + (i * 7919u) % n; /* in no order */
		perfbytes_sample(&p, &s);
	}
	perfbytes_finish(&p);
	sink = reclog_sink(&log);
	log.max = NO_LIMIT;
	assert_int_equal(
		pgo_perf_data_read_memory(p.out.data, p.out.len, NO_LIMIT, &sink, &info, &err), 0);
	/* strstr() would measure the rest of the log each time under a sanitizer. */
	for (const char *at = log.data; (at = strchr(at, '\n')) != NULL; at++)
		n -= strncmp(at + 1, "sample", 6) == 0;
	assert_int_equal(n, 0);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

/* ---------------------------------------------------------------- other records */

static void unknown_records_and_hardware_traces_are_passed_over(void **state)
{
	struct perfbytes p = ordered();
	struct pgo_rec_info info;
	struct pgo_buf log;

	(void)state;
	perfbytes_begin(&p, 39, 0); /* of no kernel yet */
	perfbytes_u64(&p, &p.records, 1);
	perfbytes_end(&p);
	perfbytes_begin(&p, 71, 0); /* AUXTRACE: 5000 bytes follow the record */
	perfbytes_u64(&p, &p.records, 5000);
	for (int i = 0; i < 4; i++)
		perfbytes_u64(&p, &p.records, 0);
	perfbytes_end(&p);
	for (int i = 0; i < 5000; i++)
		pgo_buf_putc(&p.records, (char)0xff);
	perfbytes_begin(&p, 2, 0); /* LOST */
	perfbytes_u64(&p, &p.records, 4711);
	perfbytes_u64(&p, &p.records, 30);
	perfbytes_trailer(&p, 1, 9);
	perfbytes_end(&p);
	perfbytes_begin(&p, 13, 0); /* LOST_SAMPLES */
	perfbytes_u64(&p, &p.records, 4);
	perfbytes_trailer(&p, 1, 9);
	perfbytes_end(&p);
	sample_at(&p, 7);
	read_ok(&p, &log, &info);
	assert_has(log.data, "sample 0 1/1 mode=2 ip=7");
	assert_int_equal(info.unknown, 1);
	assert_int_equal(info.aux_records, 1);
	assert_int_equal(info.lost, 34);
	assert_int_equal(info.records, 5);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void tracing_data_of_a_pipe_is_passed_over(void **state)
{
	struct perfbytes_event e = lbr_event();
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;

	(void)state;
	perfbytes_init(&p, PERFBYTES_PIPE);
	perfbytes_event(&p, &e);
	perfbytes_begin(&p, 66, 0);
	perfbytes_u32(&p, &p.records, 1001); /* padded to 1008 */
	perfbytes_u32(&p, &p.records, 0);
	perfbytes_end(&p);
	for (int i = 0; i < 1008; i++)
		pgo_buf_putc(&p.records, (char)0xff);
	sample_at(&p, 7);
	read_ok(&p, &log, &info);
	assert_has(log.data, "sample 0 1/1 mode=2 ip=7");
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void only_executable_user_memory_is_told(void **state)
{
	struct perfbytes p = ordered();
	struct pgo_rec_info info;
	struct pgo_buf log;

	(void)state;
	perfbytes_mmap2(&p, 1, 0x1000, 0x1000, 0, NULL, "/data", 1);
	memcpy(p.records.data + p.record + 64, "\1\0\0\0", 4); /* r-- */
	perfbytes_mmap(&p, 1, 0x1000, 0x1000, 0, "/data", 1);
	p.records.data[p.record + 5] = 0x20; /* MMAP_DATA */
	perfbytes_mmap(&p, 1, 0x1000, 0x1000, 0, "[kernel.kallsyms]_text", 1);
	p.records.data[p.record + 4] = 1;
	perfbytes_mmap(&p, 1, 0x1000, 0x1000, 0, "/code", 1);
	sample_at(&p, 2);
	read_ok(&p, &log, &info);
	assert_null(strstr(log.data, "/data"));
	assert_null(strstr(log.data, "kallsyms"));
	assert_has(log.data, "/code");
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

/* ---------------------------------------------------------------- damage */

static void a_file_cut_anywhere_is_an_error_with_the_offset(void **state)
{
	static const unsigned forms[] = {0, PERFBYTES_BIG, PERFBYTES_COMPRESS};

	(void)state;
	for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
		struct pgo_rec_info info;
		struct perfbytes p;
		struct pgo_buf log;

		small_recording(&p, forms[f]);
		perfbytes_finish(&p);
		for (size_t len = 0; len < p.out.len; len++) {
			struct pgo_err err = PGO_ERR_INIT;

			assert_int_equal(
				read_bytes(p.out.data, len, &log, &info, &err), PGO_EFORMAT);
			assert_has(err.msg, "cut off at byte");
			pgo_buf_fini(&log);
		}
		perfbytes_fini(&p);
	}
}

/* A pipe has no end mark: cut between two records it is a shorter recording. */
static void a_pipe_cut_inside_a_record_is_an_error(void **state)
{
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;
	size_t next = 16;
	unsigned whole = 0;

	(void)state;
	small_recording(&p, PERFBYTES_PIPE);
	perfbytes_finish(&p);
	for (size_t len = 16; len < p.out.len; len++) {
		struct pgo_err err = PGO_ERR_INIT;
		int rc = read_bytes(p.out.data, len, &log, &info, &err);

		if (len == next) {
			assert_int_equal(rc, 0);
			whole++;
			next += (uint8_t)p.out.data[len + 6] | (size_t)p.out.data[len + 7] << 8;
		} else {
			assert_int_equal(rc, PGO_EFORMAT);
			assert_has(err.msg, "cut off at byte");
		}
		pgo_buf_fini(&log);
	}
	assert_int_equal(whole, 3 + 3 + 20 + 3 + 1);
	perfbytes_fini(&p);
}

static void compressed_records_that_end_inside_a_record_are_an_error(void **state)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes p;

	(void)state;
	perfbytes_init(&p, PERFBYTES_COMPRESS);
	perfbytes_event(&p, &e);
	sample_at(&p, 7);
	p.records.len -= 8;
	read_bad(&p, "end in the middle of a record");
}

static void a_record_smaller_than_its_header_is_an_error_with_the_offset(void **state)
{
	(void)state;
	for (unsigned size = 0; size < 8; size++) {
		struct perfbytes p = ordered();

		sample_at(&p, 7);
		sample_at(&p, 8);
		p.records.data[p.record + 6] = (char)size;
		read_bad(&p, "less than its own header");
	}
}

static void counts_larger_than_their_record_are_errors(void **state)
{
	/* Where nr is: of the branch stack; of the call chain; of the raw data. */
	static const struct {
		uint64_t type;
		size_t at;
	} cases[] = {{PERFBYTES_SAMPLE_LBR, 48}, {0x27, 32}, {0x407, 32}, {0x17, 32}};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (unsigned v = 0; v < 4; v++) {
			static const uint64_t evil[] = {
				1000, 0x1fffffffffffffff, UINT64_MAX, 0xaaaaaaaaaaaaaab};
			struct perfbytes_event e = lbr_event();
			struct perfbytes p;

			e.sample_type = cases[i].type;
			e.read_format = 8;
			perfbytes_init(&p, 0);
			perfbytes_event(&p, &e);
			sample_at(&p, 7);
			memcpy(p.records.data + p.record + cases[i].at, &evil[v], 8);
			read_bad(&p, "too few for what it must hold");
		}
}

static void records_too_short_for_their_kind_are_errors(void **state)
{
	static const uint32_t types[] = {1, 3, 4, 7, 9, 10};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct perfbytes p = ordered();

		perfbytes_begin(&p, types[i], 2);
		perfbytes_u32(&p, &p.records, 1);
		perfbytes_end(&p);
		read_bad(&p, "too few for what it must hold");
	}
}

static void strings_without_an_end_stop_at_the_end_of_the_record(void **state)
{
	struct perfbytes p = ordered();
	struct pgo_rec_info info;
	struct pgo_buf log;

	(void)state;
	perfbytes_begin(&p, 3, 0);
	perfbytes_u64(&p, &p.records, 1);
	for (int i = 0; i < 5000; i++)
		pgo_buf_putc(&p.records, 'x');
	perfbytes_end(&p);
	sample_at(&p, 1);
	read_ok(&p, &log, &info);
	assert_has(log.data, "comm 1 xxxx");
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

/* Overwrites 8 bytes of the finished header. */
static void bad_header(size_t at, uint64_t v, const char *part)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log;

	small_recording(&p, 0);
	perfbytes_finish(&p);
	memcpy(p.out.data + at, &v, 8);
	assert_int_equal(read_bytes(p.out.data, p.out.len, &log, &info, &err), PGO_EFORMAT);
	assert_has(err.msg, part);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void headers_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	bad_header(8, 100, "header of 100 bytes");
	bad_header(16, 0, "make no sense");
	bad_header(16, 79, "make no sense");
	bad_header(16, 1 << 20, "make no sense");
	bad_header(24, UINT64_MAX - 3, "cut off");
	bad_header(32, 144 * (1ull << 40), ""); /* what follows is taken for attributes */
	bad_header(40, 8, "makes no sense");
	bad_header(40, UINT64_MAX, "makes no sense");
	bad_header(48, 0, "perf record was killed");
	bad_header(48, UINT64_MAX / 2, "cut off");
	bad_header(72, UINT64_MAX, "");                   /* every feature there could be */
	bad_header(104 + 128, UINT64_MAX - 7, "cut off"); /* ids of the event */
	bad_header(104 + 136, UINT64_MAX & ~7ull, "claims");
}

static void other_formats_of_perf_are_named(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct perfbytes p;
	struct pgo_buf log, b;

	(void)state;
	assert_int_equal(
		read_bytes("PERFFILE0123456789abcdef", 24, &log, &info, &err), PGO_EFORMAT);
	assert_has(err.msg, "PERFFILE");
	pgo_buf_fini(&log);
	assert_int_equal(
		read_bytes("not a recording.........", 24, &log, &info, &err), PGO_EFORMAT);
	assert_has(err.msg, "not a perf.data");
	pgo_buf_fini(&log);
	p = ordered();
	pgo_buf_init(&b, 64);
	perfbytes_u64(&p, &b, 1);
	perfbytes_feature(&p, 24, &b); /* DIR_FORMAT */
	pgo_buf_fini(&b);
	sample_at(&p, 1);
	read_bad(&p, "--threads");
}

static void features_that_end_in_the_middle_are_refused(void **state)
{
	static const unsigned bits[] = {2, 3, 12, 28, 29, 31};

	(void)state;
	for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
		struct perfbytes p = ordered();
		struct pgo_buf b;

		p.event[0].name = NULL; /* no names but these */
		pgo_buf_init(&b, 64);
		perfbytes_u32(&p, &b, UINT32_MAX);
		perfbytes_u32(&p, &b, UINT32_MAX);
		perfbytes_feature(&p, bits[i], &b);
		pgo_buf_fini(&b);
		sample_at(&p, 1);
		read_bad(&p, "ends in the middle");
	}
}

static void an_attribute_record_that_lies_about_its_size_is_refused(void **state)
{
	static const uint32_t sizes[] = {1000, 0x80000000, 0xfffffff8, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct perfbytes_event e = lbr_event();
		struct perfbytes p;

		perfbytes_init(&p, PERFBYTES_PIPE);
		perfbytes_event(&p, &e);
		memcpy(p.records.data + 12, &sizes[i], 4);
		sample_at(&p, 1);
		read_bad(&p, "attribute");
	}
}

static void records_before_any_event_are_refused(void **state)
{
	struct perfbytes p;

	(void)state;
	perfbytes_init(&p, PERFBYTES_PIPE);
	perfbytes_comm(&p, 1, "app", false, 1);
	read_bad(&p, "before any event");
}

static void a_compressed_record_with_a_wrapped_size_is_refused(void **state)
{
	struct perfbytes p = ordered();

	(void)state;
	perfbytes_begin(&p, 83, 0);
	perfbytes_u64(&p, &p.records, 65600);
	perfbytes_u64(&p, &p.records, 0);
	perfbytes_end(&p);
	read_bad(&p, "record without -z");
}

static void a_bomb_stops_at_the_limit(void **state)
{
	struct pgo_recording_sink sink;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info = {0};
	struct perfbytes_event e = lbr_event();
	struct perfbytes p;
	struct pgo_buf log;

	(void)state;
	perfbytes_init(&p, PERFBYTES_COMPRESS);
	perfbytes_event(&p, &e);
	for (int i = 0; i < 5000; i++)
		sample_at(&p, 5);
	perfbytes_finish(&p);
	sink = reclog_sink(&log);
	assert_int_equal(
		pgo_perf_data_read_memory(p.out.data, p.out.len, 100000, &sink, &info, &err),
		PGO_ELIMIT);
	pgo_buf_fini(&log);
	perfbytes_fini(&p);
}

static void running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
	struct perfbytes p;
	uint64_t before;
	int rc = -1;

	(void)state;
	small_recording(&p, PERFBYTES_COMPRESS);
	perfbytes_finish(&p);
	before = pgo_alloc_live();
	for (uint64_t n = 0; rc != 0 && n < 500; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_rec_info info;
		struct pgo_buf log;

		pgo_alloc_fail_after(n);
		rc = read_bytes(p.out.data, p.out.len, &log, &info, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_buf_fini(&log);
		assert_true(rc == 0 || rc == PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), before);
	}
	assert_int_equal(rc, 0);
	perfbytes_fini(&p);
}

static void units_follow_type_config_and_name(void **state)
{
	(void)state;
	assert_int_equal(pgo_event_unit_of(0, 0, "x"), PGO_UNIT_CYCLES);
	assert_int_equal(pgo_event_unit_of(0, 0x400000001, "x"), PGO_UNIT_INSTRUCTIONS);
	assert_int_equal(pgo_event_unit_of(0, 4, "x"), PGO_UNIT_BRANCHES);
	assert_int_equal(pgo_event_unit_of(1, 1, "x"), PGO_UNIT_TIME);
	assert_int_equal(pgo_event_unit_of(1, 2, "page-faults"), PGO_UNIT_OTHER);
	assert_int_equal(pgo_event_unit_of(4, 0x20c4, "r20c4"), PGO_UNIT_BRANCHES);
	assert_int_equal(pgo_event_unit_of(4, 0x1c0, "r1c0"), PGO_UNIT_INSTRUCTIONS);
	assert_int_equal(
		pgo_event_unit_of(4, 0xd1, "BR_INST_RETIRED.NEAR_TAKEN:u"), PGO_UNIT_BRANCHES);
	assert_int_equal(pgo_event_unit_of(9, 0, "cpu_core/cycles/u"), PGO_UNIT_CYCLES);
	assert_int_equal(pgo_event_unit_of(9, 0, "foo"), PGO_UNIT_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_mode_tells_events_maps_tasks_and_samples),
		cmocka_unit_test(every_form_of_a_recording_reads_the_same),
		cmocka_unit_test(a_gzipped_file_streams_to_the_same_records),
		cmocka_unit_test(fields_before_the_branch_stack_are_measured_rightly),
		cmocka_unit_test(flags_and_cycles_that_are_void_are_not_read),
		cmocka_unit_test(the_fixed_period_stands_in_where_samples_have_none),
		cmocka_unit_test(samples_find_their_event_by_identifier_or_id),
		cmocka_unit_test(events_without_identifier_and_of_unlike_layouts_are_refused),
		cmocka_unit_test(features_say_host_names_build_ids_clock_and_depth),
		cmocka_unit_test(a_map_from_another_processors_buffer_comes_before_its_samples),
		cmocka_unit_test(a_map_of_the_next_round_still_comes_before_older_samples),
		cmocka_unit_test(records_without_a_time_keep_their_place),
		cmocka_unit_test(a_recording_without_rounds_is_handed_on_in_halves),
		cmocka_unit_test(unknown_records_and_hardware_traces_are_passed_over),
		cmocka_unit_test(tracing_data_of_a_pipe_is_passed_over),
		cmocka_unit_test(only_executable_user_memory_is_told),
		cmocka_unit_test(a_file_cut_anywhere_is_an_error_with_the_offset),
		cmocka_unit_test(a_pipe_cut_inside_a_record_is_an_error),
		cmocka_unit_test(compressed_records_that_end_inside_a_record_are_an_error),
		cmocka_unit_test(a_record_smaller_than_its_header_is_an_error_with_the_offset),
		cmocka_unit_test(counts_larger_than_their_record_are_errors),
		cmocka_unit_test(records_too_short_for_their_kind_are_errors),
		cmocka_unit_test(strings_without_an_end_stop_at_the_end_of_the_record),
		cmocka_unit_test(headers_that_make_no_sense_are_refused),
		cmocka_unit_test(other_formats_of_perf_are_named),
		cmocka_unit_test(features_that_end_in_the_middle_are_refused),
		cmocka_unit_test(an_attribute_record_that_lies_about_its_size_is_refused),
		cmocka_unit_test(records_before_any_event_are_refused),
		cmocka_unit_test(a_compressed_record_with_a_wrapped_size_is_refused),
		cmocka_unit_test(a_bomb_stops_at_the_limit),
		cmocka_unit_test(running_out_of_memory_anywhere_leaves_nothing_behind),
		cmocka_unit_test(units_follow_type_config_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
