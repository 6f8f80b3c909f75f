/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings -> profiles: what becomes of rings, stacks, address spaces, events and labels. */
#include "fetch/import.h"
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/pprof.h"
#include "tests/lib/perfbytes.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ID_APP "aa00000000000000000000000000000000000001"
#define ID_LIB "bb00000000000000000000000000000000000002"
#define KERNEL 0xffffffff81000000
/* Code in no file. */
#define JIT 0x10000000u
/* Where the two files are mapped: file offsets are 0x1000 and on, 0 and on. */
#define APP 0x555555555000u
#define LIB 0x7f0000000000u

/* ---------------------------------------------------------------- profiles as text */

static void put_loc(struct pgo_buf *out, const struct pgo_profile *p, uint32_t loc)
{
	const struct pgo_location *l = &p->locations[loc];

	if (l->n_lines > 0) {
		assert_int_equal(l->addr, 0);
		assert_int_equal(l->mapping, PGO_NONE);
		pgo_buf_puts(out,
			pgo_profile_str(p, p->functions[p->lines[l->first_line].function].name));
		return;
	}
	assert_true(l->mapping < p->n_mappings);
	assert_true(l->addr >= p->mappings[l->mapping].start);
	assert_true(l->addr < p->mappings[l->mapping].limit);
	assert_false(p->mappings[l->mapping].has_functions);
	pgo_buf_printf(out, "%s+%llx",
		pgo_path_base(pgo_profile_str(p, p->mappings[l->mapping].filename)),
		(unsigned long long)l->addr);
}

/* Column by column in the head; then leaf first, and the values. */
static void put_profile(struct pgo_buf *out, const struct pgo_profile *p)
{
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(pgo_profile_check_tables(p, &err), 0);
	for (size_t i = 0; i < p->n_sample_types; i++)
		pgo_buf_printf(out, "%s%s/%s", i > 0 ? " " : "",
			pgo_profile_str(p, p->sample_types[i].type),
			pgo_profile_str(p, p->sample_types[i].unit));
	pgo_buf_putc(out, '\n');
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);

		assert_int_equal(pgo_profile_check_sample(p, &s, &err), 0);
		for (uint32_t k = 0; k < s.n_loc; k++) {
			if (k > 0)
				pgo_buf_putc(out, ' ');
			put_loc(out, p, s.loc[k]);
		}
		pgo_buf_putc(out, ':');
		for (size_t k = 0; k < p->n_sample_types; k++)
			pgo_buf_printf(out, " %lld", (long long)s.value[k]);
		for (uint32_t k = 0; k < s.n_label; k++)
			pgo_buf_printf(out, " %s=%s", pgo_profile_str(p, s.label[k].key),
				pgo_profile_str(p, s.label[k].str));
		pgo_buf_putc(out, '\n');
	}
}

static void assert_account(const struct pgo_import_stats *s)
{
	assert_int_equal(s->samples, s->samples_used + s->samples_kernel + s->samples_no_mapping +
					     s->samples_other_event + s->samples_no_data +
					     s->samples_idle);
	assert_int_equal(s->branches,
		s->branches_used + s->branches_kernel + s->branches_no_mapping + s->branches_zero +
			s->branches_wrong_path + s->branches_duplicate_top + s->branches_filtered);
}

static struct pgo_imported import_with(struct perfbytes *p, const struct pgo_import_options *o)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;

	perfbytes_finish(p);
	if (pgo_import_memory("perf.data", p->out.data, p->out.len, o, &in, &err) != 0)
		fail_msg("%s", err.msg);
	assert_account(&in.stats);
	perfbytes_fini(p);
	return in;
}

/* What becomes of single entries; what is estimated from whole rings is tests/unit/test_unbias.c. */
static const struct pgo_import_options plain = {.ignore_paths = true, .no_unbias = true};

static struct pgo_imported import(struct perfbytes *p)
{
	return import_with(p, &plain);
}

/* The text of profile `i` must be `want`. */
static void assert_profile(const struct pgo_imported *in, size_t i, const char *want)
{
	struct pgo_buf out;

	assert_true(i < in->n);
	pgo_buf_init(&out, (size_t)1 << 24);
	put_profile(&out, in->profiles[i]);
	assert_string_equal(out.data, want);
	pgo_buf_fini(&out);
}

static void import_fails(
	struct perfbytes *p, const struct pgo_import_options *o, int code, const char *part)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;

	perfbytes_finish(p);
	assert_int_equal(
		pgo_import_memory("perf.data", p->out.data, p->out.len, o, &in, &err), code);
	assert_has(err.msg, part);
	assert_int_equal(strncmp(err.msg, "perf.data: ", 11), 0);
	perfbytes_fini(p);
}

/* ---------------------------------------------------------------- rings */

static struct perfbytes_event lbr_event(void)
{
	return (struct perfbytes_event){.name = "br_inst_retired.near_taken:u",
		.type = 4,
		.config = 0x20c4,
		.period = 100,
		.sample_type = PERFBYTES_SAMPLE_LBR,
		.branch_type = PERFBYTES_BRANCH_ANY,
		.id = 1};
}

static void map_both(struct perfbytes *p, uint32_t pid)
{
	perfbytes_mmap2(p, pid, APP, 0x200000, 0x1000, ID_APP, "/opt/app", 1);
	perfbytes_mmap2(p, pid, LIB, 0x2000, 0, ID_LIB, "/lib/libx.so", 1);
}

static struct perfbytes started(void)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes p;

	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	perfbytes_comm(&p, 7, "app", true, 1);
	map_both(&p, 7);
	return p;
}

/* One ring; the sample itself is in the kernel, so that only traces come out. */
static struct pgo_imported import_ring(const struct perfbytes_branch *branch, size_t n)
{
	struct perfbytes p = started();
	struct perfbytes_sample s = {.misc = 1,
		.ip = KERNEL,
		.time = 10,
		.period = 100,
		.pid = 7,
		.branch = branch,
		.n_branches = n};

	perfbytes_sample(&p, &s);
	return import(&p);
}

#define HEAD                                                                                       \
	"samples/count br_inst_retired_near_taken/count lbr_traces/count lbr_mispredicts/count\n"

/* A branch; further fields by name. */
#define E(f, t, ...)                                                                               \
	{                                                                                          \
		.from = (f), .to = (t), __VA_ARGS__                                                \
	}

#define RING(...)                                                                                  \
	static const struct perfbytes_branch ring[] = {__VA_ARGS__};                               \
	struct pgo_imported in = import_ring(ring, sizeof ring / sizeof ring[0]);                  \
	(void)state

static void a_ring_becomes_branches_and_the_runs_between_them(void **state)
{
	RING(E(APP + 0x30, APP + 0x80, .mispredicted = true), E(APP + 0x90, APP + 0x10),
		E(APP + 0x60, APP + 0x88));

	/* Newest first: its end is not known. */
	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1080 app+1030: 0 0 1 1\n"
		     "app+1090 app+1088 app+1060: 0 0 1 0\n"
		     "app+1030 app+1010 app+1090: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_used, 3);
	pgo_imported_fini(&in);
}

static void equal_traces_of_all_processes_and_load_addresses_are_summed(void **state)
{
	struct perfbytes p = started();

	(void)state;
	for (uint32_t pid = 7; pid < 12; pid++) {
		uint64_t app = pid == 7 ? APP : APP + pid * 0x100000;
		struct perfbytes_branch ring[] = {
			E(app + 0x30, app + 0x10, .cycles = 3, .mispredicted = pid & 1),
			E(app + 0x30, app + 0x10, .cycles = 4)};
		struct perfbytes_sample s = {.ip = app + 0x20,
			.time = 10,
			.period = 100,
			.pid = pid,
			.branch = ring,
			.n_branches = 2};

		if (pid != 7) {
			perfbytes_comm(&p, pid, "app", true, 1);
			perfbytes_mmap2(&p, pid, app, 0x200000, 0x1000, ID_APP, "/opt/app", 1);
		}
		perfbytes_sample(&p, &s);
	}
	struct pgo_imported in = import(&p);

	assert_int_equal(in.n, 1);
	assert_profile(&in, 0,
		"samples/count br_inst_retired_near_taken/count lbr_traces/count "
		"lbr_mispredicts/count lbr_cycles/cycles\n"
		"app+1020: 5 500 0 0 0\n"
		"app+1030 app+1010 app+1030: 0 0 5 0 20\n"
		"[lbr:branch_only] app+1010 app+1030: 0 0 5 3 15\n");
	pgo_imported_fini(&in);
}

/* A busy recording: processes that come and map while others are sampled. */
static struct perfbytes busy(void)
{
	struct perfbytes p = started();
	uint64_t x = 88172645463325252u;

	for (unsigned n = 0; n < 6000; n++) {
		struct perfbytes_branch ring[32];
		unsigned pid = 20 + n / 1500 * 10 + n % 7;
		uint64_t app = APP + pid * 0x10000000u, lib = LIB + pid * 0x100000u;
		struct perfbytes_sample s = {.ip = app + 0x20,
			.time = 10 + n,
			.pid = pid,
			.period = 1000 + n % 3,
			.branch = ring,
			.n_branches = 32};

		if (n % 1500 < 7) {
			perfbytes_comm(&p, pid, pid % 2 != 0 ? "app" : "other", true, 9 + n);
			perfbytes_mmap2(&p, pid, app, 0x200000, 0x1000, ID_APP, "/opt/app", 9 + n);
			perfbytes_mmap2(&p, pid, lib, 0x2000, 0, ID_LIB, "/lib/libx.so", 9 + n);
		}
		for (unsigned k = 0; k < 32; k++) {
			uint64_t to;

			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			to = (x & 15) == 0 ? KERNEL : (x & 7) == 0 ? lib + 0x100 : app;
			ring[k] = (struct perfbytes_branch){.from = app + (x >> 8 & 0xfff),
				.to = to + (x >> 20 & 0x7ff),
				.mispredicted = (x >> 32 & 3) == 0,
				.cycles = 1 + (x >> 34 & 31)};
		}
		perfbytes_sample(&p, &s);
	}
	return p;
}

static void assert_threads_do_not_show(const struct pgo_import_options *o)
{
	struct pgo_import_stats stats = {0};
	struct pgo_buf first, out;

	pgo_buf_init(&first, (size_t)1 << 26);
	for (unsigned n = 1; n <= 4; n++) {
		struct pgo_imported in;
		struct perfbytes p = busy();
		char threads[4];

		snprintf(threads, sizeof threads, "%u", n);
		setenv("PGO_THREADS", threads, 1);
		in = import_with(&p, o);
		pgo_buf_init(&out, (size_t)1 << 26);
		for (size_t i = 0; i < in.n; i++)
			put_profile(n == 1 ? &first : &out, in.profiles[i]);
		if (n == 1) {
			stats = in.stats;
			assert_true(in.n == 2 && stats.samples == 6000 && first.len > 10000);
		} else {
			assert_memory_equal(&stats, &in.stats, sizeof stats);
			assert_string_equal(out.data, first.data);
		}
		pgo_buf_fini(&out);
		pgo_imported_fini(&in);
	}
	unsetenv("PGO_THREADS");
	pgo_buf_fini(&first);
}

static void the_number_of_threads_does_not_show(void **state)
{
	static const struct pgo_import_options estimated = {.ignore_paths = true,
						       .split_processes = true},
					       raw = {.ignore_paths = true,
						       .split_processes = true,
						       .no_unbias = true};

	(void)state;
	assert_threads_do_not_show(&raw);
	assert_threads_do_not_show(&estimated);
}

static void an_interrupt_does_not_cut_the_run_around_it(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(KERNEL + 8, APP + 0x50), E(KERNEL, KERNEL + 4),
		E(APP + 0x50, KERNEL), E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "app+1090 app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_kernel, 3);
	pgo_imported_fini(&in);
}

static void a_return_from_the_kernel_to_elsewhere_is_a_branch_from_outside(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(KERNEL + 8, APP + 0x88), E(APP + 0x50, KERNEL),
		E(APP + 0x20, APP + 0x40));

	/* The older run ends where the user left; the newer one starts in the handler. */
	assert_profile(&in, 0,
		HEAD "app+1050 app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n"
		     "app+1090 app+1088 [lbr:external]: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_kernel, 1);
	pgo_imported_fini(&in);
}

static void a_lone_return_from_the_kernel_leaves_the_older_end_unknown(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(KERNEL + 8, APP + 0x88), E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n"
		     "app+1090 app+1088 [lbr:external]: 0 0 1 0\n");
	pgo_imported_fini(&in);
}

static void a_return_from_the_kernel_as_oldest_entry_is_kept(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(KERNEL + 8, APP + 0x88));

	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n"
		     "app+1090 app+1088 [lbr:external]: 0 0 1 0\n");
	pgo_imported_fini(&in);
}

static void two_returns_in_a_row_are_two_branches_from_outside(void **state)
{
	RING(E(KERNEL + 8, APP + 0x90), E(KERNEL + 8, APP + 0x88), E(KERNEL, KERNEL + 1));

	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1088 [lbr:external]: 0 0 1 0\n"
		     "[lbr:branch_only] app+1090 [lbr:external]: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_kernel, 1);
	pgo_imported_fini(&in);
}

static void address_zero_ends_what_is_known(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(0, 0), E(APP + 0x50, APP + 0x50),
		E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "app+1050 app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1050 app+1050: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_zero, 1);
	pgo_imported_fini(&in);
}

/* Arm's branch records of user code only: an interrupt is a record without a target, the return one
 * without a source. */
static void a_side_of_zero_is_the_kernels(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(0, APP + 0x50), E(APP + 0x50, 0),
		E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "app+1090 app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_kernel, 2);
	assert_int_equal(in.stats.branches_zero, 0);
	pgo_imported_fini(&in);
}

static void a_system_call_with_sides_of_zero_is_within_one_run(void **state)
{
	RING(E(0, APP + 0x54), E(APP + 0x50, 0), E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0, HEAD "[lbr:branch_only] app+1040 app+1020: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_kernel, 2);
	pgo_imported_fini(&in);
}

#define TAG ((uint64_t)0xb4 << 56)

static void tags_in_the_top_byte_of_addresses_do_not_count(void **state)
{
	RING(E(TAG | (APP + 0x90), TAG | (APP + 0x10)), E(APP + 0x50, TAG | (APP + 0x80)),
		E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "app+1050 app+1040 app+1020: 0 0 1 0\n"
		     "app+1090 app+1080 app+1050: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_kernel, 0);
	pgo_imported_fini(&in);
}

static void a_wrong_path_never_happened(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(APP + 0x60, APP + 0x1000, .spec = 1),
		E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "app+1090 app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_wrong_path, 1);
	pgo_imported_fini(&in);
}

static void a_far_backward_duplicate_on_top_is_dropped(void **state)
{
	RING(E(APP + 0x2000, APP + 0x10), E(APP + 0x2000, APP + 0x10), E(APP + 0x20, APP + 0x1f00));

	assert_profile(&in, 0,
		HEAD "app+3000 app+2f00 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+3000: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_duplicate_top, 1);
	pgo_imported_fini(&in);
}

static void a_tight_loop_on_top_is_not_a_duplicate(void **state)
{
	RING(E(APP + 0x40, APP + 0x10), E(APP + 0x40, APP + 0x10));

	assert_profile(&in, 0,
		HEAD "app+1040 app+1010 app+1040: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1040: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_duplicate_top, 0);
	pgo_imported_fini(&in);
}

static void runs_that_cannot_be_lose_their_end_not_their_branch(void **state)
{
	/* Newest to oldest: run into another file; over 1 MiB; exactly 1 MiB; backwards. */
	RING(E(APP + 0x08, APP + 0x10), E(LIB + 0x80, APP + 0x20), E(APP + 0x180010, LIB + 0x40),
		E(APP + 0x200, APP + 0x80000), E(APP + 0x100200, APP + 0x40),
		E(APP + 0x50, APP + 0x200));

	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1010 app+1008: 0 0 1 0\n"
		     "app+101200 app+1200 app+1050: 0 0 1 0\n"
		     "[lbr:branch_only] app+81000 app+1200: 0 0 1 0\n"
		     "app+1200 app+1040 app+101200: 0 0 1 0\n"
		     "libx.so+80 libx.so+40 app+181010: 0 0 1 0\n"
		     "[lbr:branch_only] app+1020 libx.so+80: 0 0 1 0\n");
	assert_int_equal(in.stats.ranges_bogus, 2);
	assert_int_equal(in.stats.branches_used, 6);
	pgo_imported_fini(&in);
}

static void code_in_no_file_is_external(void **state)
{
	RING(E(APP + 0x90, APP + 0x10), E(JIT + 0x40, APP + 0x80, .type = 6),
		E(JIT + 8, JIT + 0x20), E(APP + 0x50, JIT), E(APP + 0x20, APP + 0x40));

	assert_profile(&in, 0,
		HEAD "app+1050 app+1040 app+1020: 0 0 1 0\n"
		     "[lbr:branch_only] [lbr:external] app+1050: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n"
		     "app+1090 app+1080 [lbr:external_return]: 0 0 1 0\n");
	assert_int_equal(in.stats.branches_no_mapping, 1);
	pgo_imported_fini(&in);
}

static void a_ring_of_some_kinds_of_branches_has_no_runs(void **state)
{
	static const struct perfbytes_branch ring[] = {
		E(APP + 0x30, APP + 0x80), E(APP + 0x90, APP + 0x10)};
	struct perfbytes_event e = lbr_event();
	struct perfbytes_sample s = {
		.ip = KERNEL, .misc = 1, .time = 10, .pid = 7, .branch = ring, .n_branches = 2};
	struct pgo_imported in;
	struct perfbytes p;

	(void)state;
	e.branch_type = 1 | 1 << 4; /* calls only */
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	map_both(&p, 7);
	perfbytes_sample(&p, &s);
	in = import(&p);
	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1080 app+1030: 0 0 1 0\n"
		     "[lbr:branch_only] app+1010 app+1090: 0 0 1 0\n");
	pgo_imported_fini(&in);
}

/* perf inject makes rings of a trace, of everything that ran, and asks for no kind of branch. */
static void a_ring_made_of_a_trace_has_runs(void **state)
{
	static const struct perfbytes_branch ring[] = {
		E(APP + 0x30, APP + 0x80), E(APP + 0x90, APP + 0x10)};
	struct perfbytes_event e = lbr_event();
	struct perfbytes_sample s = {
		.ip = KERNEL, .misc = 1, .time = 10, .pid = 7, .branch = ring, .n_branches = 2};
	struct pgo_imported in;
	struct perfbytes p;

	(void)state;
	e.branch_type = 1 << 17; /* there is an index, and that is all */
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	map_both(&p, 7);
	perfbytes_sample(&p, &s);
	in = import(&p);
	assert_profile(&in, 0,
		HEAD "[lbr:branch_only] app+1080 app+1030: 0 0 1 0\n"
		     "app+1030 app+1010 app+1090: 0 0 1 0\n");
	pgo_imported_fini(&in);
}

/* ---------------------------------------------------------------- address spaces */

static void ip_sample(struct perfbytes *p, uint32_t pid, uint64_t ip, uint64_t time)
{
	struct perfbytes_sample s = {.ip = ip, .time = time, .period = 100, .pid = pid};

	perfbytes_sample(p, &s);
}

static struct perfbytes ip_recording(void)
{
	struct perfbytes_event e = {
		.name = "cpu-clock:u", .type = 1, .period = 100, .sample_type = 0x10107, .id = 1};
	struct perfbytes p;

	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	return p;
}

#define CPU "samples/count cpu/nanoseconds\n"

static void a_fork_copies_what_is_mapped_and_an_exec_forgets_it(void **state)
{
	struct perfbytes p = ip_recording();
	struct pgo_imported in;

	(void)state;
	map_both(&p, 7);
	perfbytes_fork(&p, 8, 7, 100);
	ip_sample(&p, 8, LIB + 0x10, 110); /* the parent's */
	perfbytes_mmap2(&p, 8, LIB, 0x1000, 0, ID_APP, "/opt/other", 120);
	ip_sample(&p, 8, LIB + 0x10, 130);
	ip_sample(&p, 7, LIB + 0x10, 140);   /* not the child's */
	ip_sample(&p, 8, LIB + 0x1010, 145); /* what the child's new map did not cover */
	perfbytes_comm(&p, 8, "next", true, 150);
	ip_sample(&p, 8, LIB + 0x10, 160); /* nothing mapped */
	in = import(&p);
	assert_profile(&in, 0,
		CPU "libx.so+10: 2 200\n"
		    "libx.so+1010: 1 100\n"
		    "other+10: 1 100\n");
	assert_int_equal(in.stats.samples_no_mapping, 1);
	pgo_imported_fini(&in);
}

static void a_new_map_cuts_out_what_it_covers(void **state)
{
	struct perfbytes p = ip_recording();
	struct pgo_imported in;

	(void)state;
	perfbytes_mmap2(&p, 7, 0x10000, 0x6000, 0, ID_APP, "/a", 1);
	perfbytes_mmap2(&p, 7, 0x12000, 0x2000, 0x9000, ID_LIB, "/b", 2); /* in the middle */
	perfbytes_mmap2(&p, 7, 0x15800, 0x1000, 0, ID_LIB, "/c", 3);      /* over the end */
	perfbytes_mmap2(
		&p, 7, 0xf800, 0x1000, 0, ID_LIB, "//anon", 4); /* over the start: no file */
	for (uint64_t at = 0xf000; at < 0x17000; at += 0x800)
		ip_sample(&p, 7, at + 4, 100);
	in = import(&p);
	assert_profile(&in, 0,
		CPU "a+804: 1 100\n"
		    "a+1004: 1 100\n"
		    "a+1804: 1 100\n"
		    "a+4004: 1 100\n"
		    "a+4804: 1 100\n"
		    "a+5004: 1 100\n"
		    "b+9004: 1 100\n"
		    "b+9804: 1 100\n"
		    "b+a004: 1 100\n"
		    "b+a804: 1 100\n"
		    "c+4: 1 100\n"
		    "c+804: 1 100\n");
	assert_int_equal(in.stats.samples_no_mapping, 4);
	pgo_imported_fini(&in);
}

static void file_offsets_beyond_two_gigabytes_keep_apart(void **state)
{
	struct perfbytes p = ip_recording();
	struct pgo_imported in;

	(void)state;
	perfbytes_mmap2(&p, 7, 0x100000000, 0x200000000, 0x7ffff000, ID_APP, "/big", 1);
	ip_sample(&p, 7, 0x100000010, 10);
	ip_sample(&p, 7, 0x100001010, 10);
	ip_sample(&p, 7, 0x2fffffff0, 10);
	in = import(&p);
	assert_profile(
		&in, 0, CPU "big+7ffff010: 1 100\nbig+80000010: 1 100\nbig+27fffeff0: 1 100\n");
	pgo_imported_fini(&in);
}

static void groups_are_programs_by_name_and_build(void **state)
{
	struct pgo_import_options o = {
		.split_processes = true, .ignore_paths = true, .no_unbias = true};
	struct perfbytes p = ip_recording();
	struct pgo_imported in;

	(void)state;
	perfbytes_comm(&p, 1, "zeta", true, 1);
	perfbytes_mmap2(&p, 1, APP, 0x1000, 0, ID_APP, "/opt/zeta", 1);
	perfbytes_comm(&p, 2, "app", true, 1);
	perfbytes_mmap2(&p, 2, APP, 0x1000, 0, ID_LIB, "/opt/app", 1);
	perfbytes_comm(&p, 3, "app", true, 1);
	perfbytes_mmap2(&p, 3, APP, 0x1000, 0, ID_APP, "/opt/app", 1);
	perfbytes_comm(&p, 4, "app", true, 1);
	perfbytes_mmap2(&p, 4, APP, 0x1000, 0, ID_APP, "/opt/app", 1);
	for (uint32_t pid = 1; pid <= 4; pid++)
		ip_sample(&p, pid, APP + pid, 10);
	in = import_with(&p, &o);
	assert_int_equal(in.n, 3);
	assert_string_equal(in.groups[0], "app");
	assert_string_equal(in.groups[1], "app");
	assert_string_equal(in.groups[2], "zeta");
	assert_profile(&in, 0, CPU "app+3: 1 100\napp+4: 1 100\n");
	assert_profile(&in, 1, CPU "app+2: 1 100\n");
	assert_profile(&in, 2, CPU "zeta+1: 1 100\n");
	pgo_imported_fini(&in);
}

static void a_thread_that_renames_itself_stays_in_its_group(void **state)
{
	struct pgo_import_options o = {
		.split_processes = true, .ignore_paths = true, .no_unbias = true};
	struct perfbytes p = ip_recording();
	struct pgo_imported in;

	(void)state;
	perfbytes_comm(&p, 7, "app", true, 1);
	map_both(&p, 7);
	perfbytes_comm(&p, 7, "worker", false, 5);
	p.records.data[p.record + 12] = 9; /* tid */
	ip_sample(&p, 7, APP, 10);
	in = import_with(&p, &o);
	assert_int_equal(in.n, 1);
	assert_string_equal(in.groups[0], "app");
	pgo_imported_fini(&in);
}

/* ---------------------------------------------------------------- files and build-ids */

static void build_ids_listed_apart_reach_their_mappings(void **state)
{
	for (unsigned flags = 0; flags <= PERFBYTES_PIPE; flags += PERFBYTES_PIPE) {
		struct perfbytes_event e = {.name = "cpu-clock",
			.type = 1,
			.period = 100,
			.sample_type = 0x10107,
			.id = 1};
		struct pgo_imported in;
		struct perfbytes p;
		struct pgo_buf b;

		(void)state;
		perfbytes_init(&p, flags);
		perfbytes_event(&p, &e);
		pgo_buf_init(&b, 4096);
		perfbytes_build_id(&p, &b, ID_APP, "/opt/app");
		perfbytes_feature(&p, 2, &b);
		pgo_buf_fini(&b);
		perfbytes_mmap(&p, 7, APP, 0x1000, 0x3000, "/opt/app (deleted)", 1);
		ip_sample(&p, 7, APP + 4, 10);
		in = import(&p);
		assert_int_equal(in.profiles[0]->n_mappings, 1);
		assert_string_equal(
			pgo_profile_str(in.profiles[0], in.profiles[0]->mappings[0].build_id),
			ID_APP);
		assert_string_equal(
			pgo_profile_str(in.profiles[0], in.profiles[0]->mappings[0].filename),
			"/opt/app");
		/* Without the file: offsets, and a mapping that says so. */
		assert_int_equal(in.profiles[0]->mappings[0].start, 0x3000);
		assert_int_equal(in.profiles[0]->mappings[0].offset, 0x3000);
		assert_int_equal(in.profiles[0]->mappings[0].limit, 0x4000);
		pgo_imported_fini(&in);
	}
}

/* This very test program is the ELF at hand. */
struct self {
	struct pgo_elf *elf;
	const struct pgo_segment *code;
	char path[4096];
};

static struct self self(void)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct self s = {0};

	assert_non_null(realpath("/proc/self/exe", s.path));
	s.elf = pgo_elf_open(s.path, &err);
	if (s.elf == NULL)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < s.elf->n_segments; i++)
		if (s.elf->segments[i].exec)
			s.code = &s.elf->segments[i];
	assert_non_null(s.code);
	return s;
}

static struct pgo_imported import_self(const struct self *s, const char *name, const char *build_id,
	const char *binary, bool ignore_paths)
{
	struct pgo_import_options o = {
		.binaries = &binary, .n_binaries = binary != NULL, .ignore_paths = ignore_paths};
	struct perfbytes p = ip_recording();
	uint64_t page = s->code->offset & ~(uint64_t)4095;

	perfbytes_mmap2(&p, 7, APP, 0x100000, page, build_id, name, 1);
	ip_sample(&p, 7, APP + (s->code->offset - page) + 0x10, 10);
	return import_with(&p, &o);
}

static bool placed(const struct self *s, const struct pgo_imported *in)
{
	const struct pgo_profile *p = in->profiles[0];
	const struct pgo_mapping *m = &p->mappings[0];

	if (p->locations[0].addr == s->code->offset + 0x10 && m->start == m->offset &&
		s->code->vaddr != s->code->offset)
		return false;
	assert_int_equal(p->locations[0].addr, s->code->vaddr + 0x10);
	if (m->start == s->code->vaddr && m->offset == s->code->offset) {
		assert_int_equal(m->limit, s->code->vaddr + s->code->memsz);
		return true;
	}
	return false;
}

static void elf_addresses_come_from_the_file_of_that_build(void **state)
{
	struct self s = self();
	char id[129];
	struct pgo_imported in;

	(void)state;
	if (strlen(s.elf->build_id) != 40) {
		pgo_elf_close(s.elf);
		skip();
	}
	snprintf(id, sizeof id, "%s", s.elf->build_id);
	/* At the recorded path. */
	in = import_self(&s, s.path, id, NULL, false);
	assert_true(placed(&s, &in));
	pgo_imported_fini(&in);
	/* Given by the user, recorded under another name. */
	in = import_self(&s, "/opt/renamed", id, s.path, true);
	assert_true(placed(&s, &in));
	pgo_imported_fini(&in);
	/* No build-id recorded: by name, and the build-id is the file's. */
	in = import_self(&s, s.path, NULL, s.path, true);
	assert_true(placed(&s, &in));
	assert_string_equal(
		pgo_profile_str(in.profiles[0], in.profiles[0]->mappings[0].build_id), id);
	pgo_imported_fini(&in);
	/* Another build: the file must not be used, and the recorded build-id stays. */
	in = import_self(&s, s.path, ID_APP, s.path, false);
	assert_int_equal(in.profiles[0]->mappings[0].start, in.profiles[0]->mappings[0].offset);
	assert_int_equal(
		in.profiles[0]->mappings[0].limit - in.profiles[0]->mappings[0].start, 0x100000);
	assert_string_equal(
		pgo_profile_str(in.profiles[0], in.profiles[0]->mappings[0].build_id), ID_APP);
	pgo_imported_fini(&in);
	pgo_elf_close(s.elf);
}

/* ---------------------------------------------------------------- stacks, events, head */

static void callers_step_back_into_their_calls_and_kernel_frames_go(void **state)
{
	static const uint64_t chain[] = {(uint64_t)-128, KERNEL, KERNEL + 4, (uint64_t)-512,
		APP + 0x10, APP + 0x105, 0x1234, LIB + 0x205};
	struct perfbytes_event e = {.name = "cycles", .sample_type = 0x10127, .period = 9, .id = 1};
	struct perfbytes_sample s = {
		.ip = APP + 0x10, .time = 5, .period = 9, .pid = 7, .chain = chain, .n_chain = 8};
	struct pgo_imported in;
	struct perfbytes p;

	(void)state;
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	map_both(&p, 7);
	perfbytes_sample(&p, &s);
	perfbytes_sample(&p, &s);
	s.chain += 4;
	s.n_chain = 3;
	perfbytes_sample(&p, &s);
	s.misc = 1; /* interrupted in the kernel: says nothing about user code */
	s.ip = KERNEL;
	perfbytes_sample(&p, &s);
	in = import(&p);
	assert_profile(&in, 0,
		"samples/count cycles/count\n"
		"app+1010 app+1104: 1 9\n"
		"app+1010 app+1104 libx.so+204: 2 18\n");
	assert_int_equal(in.stats.samples_kernel, 1);
	assert_int_equal(in.stats.frames_kernel, 2 + 2 + 0 + 3);
	assert_int_equal(in.stats.frames_no_mapping, 3);
	pgo_imported_fini(&in);
}

static void each_event_has_its_column_and_one_can_be_chosen(void **state)
{
	(void)state;
	for (int choose = 0; choose < 2; choose++) {
		struct pgo_import_options o = {
			.ignore_paths = true, .event = choose ? "instructions" : NULL};
		struct perfbytes_event a = {
			.name = "cpu_core/Cycles/u", .sample_type = 0x10107, .id = 1};
		struct perfbytes_event b = {
			.name = "instructions:u", .config = 1, .sample_type = 0x10107, .id = 2};
		struct perfbytes_sample s = {.ip = APP, .time = 5, .period = 10, .pid = 7};
		struct pgo_imported in;
		struct perfbytes p;

		perfbytes_init(&p, 0);
		perfbytes_event(&p, &a);
		perfbytes_event(&p, &b);
		map_both(&p, 7);
		perfbytes_sample(&p, &s);
		s.event = 1;
		s.period = 70;
		perfbytes_sample(&p, &s);
		s.period = 90;
		perfbytes_sample(&p, &s);
		in = import_with(&p, &o);
		if (choose) {
			assert_profile(&in, 0,
				"samples/count instructions/count\n"
				"app+1000: 2 160\n");
			assert_int_equal(in.stats.samples_other_event, 1);
			assert_int_equal(in.profiles[0]->period, 80); /* varies: the mean */
		} else {
			assert_profile(&in, 0,
				"samples/count cycles/count instructions/count\n"
				"app+1000: 3 10 160\n");
		}
		pgo_imported_fini(&in);
	}
}

static void the_idle_task_and_unplaced_samples_are_counted(void **state)
{
	struct perfbytes p = ip_recording();
	struct pgo_imported in;

	(void)state;
	map_both(&p, 7);
	ip_sample(&p, 0, APP, 5);
	ip_sample(&p, 7, 0x99, 5);
	ip_sample(&p, 8, APP, 5); /* a process nobody told of */
	ip_sample(&p, 7, 0, 5);
	ip_sample(&p, 7, APP, 5);
	in = import(&p);
	assert_int_equal(in.stats.samples, 5);
	assert_int_equal(in.stats.samples_idle, 1);
	assert_int_equal(in.stats.samples_no_mapping, 2);
	assert_int_equal(in.stats.samples_no_data, 1);
	assert_int_equal(in.stats.samples_used, 1);
	pgo_imported_fini(&in);
}

static void host_service_and_version_become_labels_of_every_sample(void **state)
{
	struct pgo_import_options o = {
		.service = "shop", .version = "1.2", .labels = true, .ignore_paths = true};
	struct perfbytes p = ip_recording();
	struct pgo_imported in;
	struct pgo_buf b;

	(void)state;
	pgo_buf_init(&b, 64);
	perfbytes_counted(&p, &b, "web-1");
	perfbytes_feature(&p, 3, &b);
	pgo_buf_fini(&b);
	map_both(&p, 7);
	ip_sample(&p, 7, APP, 5);
	in = import_with(&p, &o);
	assert_profile(&in, 0, CPU "app+1000: 1 100 host=web-1 service=shop version=1.2\n");
	assert_string_equal(in.host, "web-1");
	pgo_imported_fini(&in);
}

static void the_clock_of_the_file_gives_the_time_of_the_first_sample(void **state)
{
	struct pgo_import_options o = plain;

	(void)state;
	for (int given = 0; given < 2; given++) {
		struct perfbytes p = ip_recording();
		struct pgo_imported in;
		struct pgo_buf b;

		pgo_buf_init(&b, 64);
		perfbytes_u32(&p, &b, 1);
		perfbytes_u32(&p, &b, 1);
		perfbytes_u64(&p, &b, 1790000000000000000);
		perfbytes_u64(&p, &b, 1000);
		perfbytes_feature(&p, 29, &b);
		pgo_buf_fini(&b);
		map_both(&p, 7);
		ip_sample(&p, 7, APP, 9000);
		ip_sample(&p, 7, APP, 5000);
		o.time_ns = given ? 77 : 0;
		in = import_with(&p, &o);
		assert_true(in.profiles[0]->time_ns == (given ? 77 : 1790000000000004000));
		assert_int_equal(in.profiles[0]->duration_ns, 4000);
		pgo_imported_fini(&in);
	}
}

static void the_order_of_records_does_not_show(void **state)
{
	struct pgo_buf first;

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		struct perfbytes p = started();
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in;
		struct pgo_buf bytes;

		for (int i = 0; i < 300; i++) {
			unsigned k = (unsigned)(turn ? 299 - i : i);
			struct perfbytes_branch ring[] = {E(APP + k * 16, APP + 0x40 + k % 7 * 64),
				E(LIB + k % 100, LIB + k % 13)};
			struct perfbytes_sample s = {.ip = APP + k % 50,
				.time = 10 + k,
				.period = 3,
				.pid = 7,
				.branch = ring,
				.n_branches = 2};

			perfbytes_sample(&p, &s);
		}
		in = import(&p);
		pgo_buf_init(&bytes, (size_t)1 << 24);
		assert_int_equal(pgo_pprof_encode(in.profiles[0], true, &bytes, &err), 0);
		if (turn == 0) {
			first = bytes;
		} else {
			assert_int_equal(bytes.len, first.len);
			assert_memory_equal(bytes.data, first.data, first.len);
			pgo_buf_fini(&bytes);
		}
		pgo_imported_fini(&in);
	}
	pgo_buf_fini(&first);
}

/* ---------------------------------------------------------------- refusals */

static void call_stacks_in_the_branch_buffer_are_refused(void **state)
{
	struct perfbytes_event e = lbr_event();
	struct perfbytes p;

	(void)state;
	e.branch_type |= 1 << 11;
	perfbytes_init(&p, 0);
	perfbytes_event(&p, &e);
	map_both(&p, 7);
	ip_sample(&p, 7, APP, 5);
	import_fails(&p, &plain, PGO_EFORMAT, "record with perf record -b");
}

static void a_recording_of_hardware_trace_only_is_refused_with_the_way_out(void **state)
{
	struct perfbytes p = ip_recording();

	(void)state;
	map_both(&p, 7);
	perfbytes_begin(&p, 71, 0);
	for (int i = 0; i < 5; i++)
		perfbytes_u64(&p, &p.records, 0);
	perfbytes_end(&p);
	import_fails(&p, &plain, PGO_EEMPTY, "perf inject");
}

static void recordings_that_give_nothing_are_empty_with_the_reason(void **state)
{
	struct pgo_import_options o = {.event = "cycles"};
	struct perfbytes p = ip_recording();

	(void)state;
	map_both(&p, 7);
	import_fails(&p, &plain, PGO_EEMPTY, "no samples");
	p = ip_recording();
	ip_sample(&p, 7, APP, 5);
	import_fails(&p, &plain, PGO_EEMPTY, "1 outside any mapped file");
	p = ip_recording();
	ip_sample(&p, 7, APP, 5);
	import_fails(&p, &o, PGO_ENOTFOUND, "no event \"cycles\" in it; there is cpu-clock:u");
}

static void other_files_are_told_apart(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	enum pgo_input_kind kind;
	struct pgo_imported in;
	struct perfbytes p = ip_recording();
	struct pgo_buf gz;
	const char *path;

	assert_int_equal(pgo_import_memory("x", "", 0, &plain, &in, &err), PGO_EFORMAT);
	assert_has(err.msg, "empty");
	assert_int_equal(
		pgo_import_memory("x", "hello, world\n", 13, &plain, &in, &err), PGO_EFORMAT);
	assert_has(err.msg, "no profile that pgo knows");
	map_both(&p, 7);
	ip_sample(&p, 7, APP, 5);
	perfbytes_finish(&p);
	pgo_buf_init(&gz, (size_t)1 << 20);
	assert_int_equal(pgo_gzip(p.out.data, p.out.len, &gz, &err), 0);
	path = scratch_file(*state, "perf.data.gz", gz.data, gz.len);
	assert_int_equal(pgo_input_probe(path, &kind, &err), 0);
	assert_int_equal(kind, PGO_INPUT_PERF_DATA);
	assert_int_equal(pgo_import(path, &plain, &in, &err), 0);
	assert_int_equal(in.kind, PGO_INPUT_PERF_DATA);
	/* What came out is a pprof, which passes through as it is. */
	path = scratch_path(*state, "out.pb.gz");
	assert_int_equal(pgo_pprof_write(in.profiles[0], path, &err), 0);
	pgo_imported_fini(&in);
	assert_int_equal(pgo_import(path, &plain, &in, &err), 0);
	assert_int_equal(in.kind, PGO_INPUT_PPROF);
	assert_profile(&in, 0, CPU "app+1000: 1 100\n");
	pgo_imported_fini(&in);
	assert_int_equal(pgo_import("/nonexistent/perf.data", &plain, &in, &err), PGO_EIO);
	assert_has(err.msg, "/nonexistent/perf.data");
	pgo_buf_fini(&gz);
	perfbytes_fini(&p);
}

static void running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
	static const struct perfbytes_branch ring[] = {
		E(APP + 0x30, APP + 0x80), E(LIB + 0x90, LIB + 0x10)};
	struct pgo_import_options o = {
		.labels = true, .host = "h", .split_processes = true, .ignore_paths = true};
	struct perfbytes p = started();
	struct perfbytes_sample s = {
		.ip = APP, .time = 10, .period = 3, .pid = 7, .branch = ring, .n_branches = 2};
	uint64_t before;
	int rc = -1;

	(void)state;
	perfbytes_fork(&p, 8, 7, 5);
	perfbytes_mmap2(&p, 8, APP, 0x1000, 0, ID_LIB, "/opt/b", 6);
	perfbytes_sample(&p, &s);
	s.pid = 8;
	perfbytes_sample(&p, &s);
	perfbytes_finish(&p);
	before = pgo_alloc_live();
	for (uint64_t n = 0; rc != 0 && n < 3000; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in;

		pgo_alloc_fail_after(n);
		rc = pgo_import_memory("x", p.out.data, p.out.len, &o, &in, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			pgo_imported_fini(&in);
		assert_true(rc == 0 || rc == PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), before);
	}
	assert_int_equal(rc, 0);
	perfbytes_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_becomes_branches_and_the_runs_between_them),
		cmocka_unit_test(equal_traces_of_all_processes_and_load_addresses_are_summed),
		cmocka_unit_test(the_number_of_threads_does_not_show),
		cmocka_unit_test(an_interrupt_does_not_cut_the_run_around_it),
		cmocka_unit_test(a_return_from_the_kernel_to_elsewhere_is_a_branch_from_outside),
		cmocka_unit_test(a_lone_return_from_the_kernel_leaves_the_older_end_unknown),
		cmocka_unit_test(a_return_from_the_kernel_as_oldest_entry_is_kept),
		cmocka_unit_test(two_returns_in_a_row_are_two_branches_from_outside),
		cmocka_unit_test(address_zero_ends_what_is_known),
		cmocka_unit_test(a_side_of_zero_is_the_kernels),
		cmocka_unit_test(a_system_call_with_sides_of_zero_is_within_one_run),
		cmocka_unit_test(tags_in_the_top_byte_of_addresses_do_not_count),
		cmocka_unit_test(a_wrong_path_never_happened),
		cmocka_unit_test(a_far_backward_duplicate_on_top_is_dropped),
		cmocka_unit_test(a_tight_loop_on_top_is_not_a_duplicate),
		cmocka_unit_test(runs_that_cannot_be_lose_their_end_not_their_branch),
		cmocka_unit_test(code_in_no_file_is_external),
		cmocka_unit_test(a_ring_of_some_kinds_of_branches_has_no_runs),
		cmocka_unit_test(a_ring_made_of_a_trace_has_runs),
		cmocka_unit_test(a_fork_copies_what_is_mapped_and_an_exec_forgets_it),
		cmocka_unit_test(a_new_map_cuts_out_what_it_covers),
		cmocka_unit_test(file_offsets_beyond_two_gigabytes_keep_apart),
		cmocka_unit_test(groups_are_programs_by_name_and_build),
		cmocka_unit_test(a_thread_that_renames_itself_stays_in_its_group),
		cmocka_unit_test(build_ids_listed_apart_reach_their_mappings),
		cmocka_unit_test(elf_addresses_come_from_the_file_of_that_build),
		cmocka_unit_test(callers_step_back_into_their_calls_and_kernel_frames_go),
		cmocka_unit_test(each_event_has_its_column_and_one_can_be_chosen),
		cmocka_unit_test(the_idle_task_and_unplaced_samples_are_counted),
		cmocka_unit_test(host_service_and_version_become_labels_of_every_sample),
		cmocka_unit_test(the_clock_of_the_file_gives_the_time_of_the_first_sample),
		cmocka_unit_test(the_order_of_records_does_not_show),
		cmocka_unit_test(call_stacks_in_the_branch_buffer_are_refused),
		cmocka_unit_test(a_recording_of_hardware_trace_only_is_refused_with_the_way_out),
		cmocka_unit_test(recordings_that_give_nothing_are_empty_with_the_reason),
		cmocka_unit_test_setup_teardown(
			other_files_are_told_apart, scratch_up, scratch_down),
		cmocka_unit_test(running_out_of_memory_anywhere_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
