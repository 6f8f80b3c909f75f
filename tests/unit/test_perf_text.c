/* SPDX-License-Identifier: Apache-2.0 */
/* Text of perf script with branch stacks, in the forms that its -F option gives. */
#include "fetch/import.h"
#include "fetch/perf_text.h"
#include "pgo/core/alloc.h"
#include "tests/lib/reclog.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_text(
	const char *text, struct pgo_buf *log, struct pgo_rec_info *info, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_stream_memory("x", text, strlen(text), 1 << 30, err);
	struct pgo_recording_sink sink = reclog_sink(log);
	int rc;

	assert_non_null(s);
	memset(info, 0, sizeof *info);
	rc = pgo_perf_text_read(s, NULL, &sink, info, err);
	pgo_stream_close(s);
	return rc;
}

#define MMAP                                                                                       \
	"app 42 1.5: PERF_RECORD_MMAP2 42/42: [0x401000(0x2000) @ 0x1000 08:01 4711 0]: r-xp "     \
	"/usr/bin/app\n"

/* The log of MMAP + text, without the line of the map. */
static void assert_log(const char *text, const char *want)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct pgo_buf log;
	char *all = NULL;

	assert_true(asprintf(&all, "%s%s", MMAP, text) > 0);
	if (read_text(all, &log, &info, &err) != 0)
		fail_msg("%s", err.msg);
	assert_string_equal(strchr(log.data, '\n') + 1, want);
	pgo_buf_fini(&log);
	free(all);
}

#define EVENT(name, unit)                                                                          \
	"event 0 " name " type=4294967295 config=0 period=0 unit=" unit " ring=101\n"
#define ENTRIES " 0x401020/0x401100/M/-/-/7/COND/-  0x4010f0/0x401010/P/-/-/0/RET/SPEC_WRONG_PATH "
#define RING " [401020>401100 f=1 c=7 t=1 s=0] [4010f0>401010 f=2 c=0 t=6 s=1]\n"

static void forms_of_the_head_are_told_apart(void **state)
{
	(void)state;
	/* -F ip,brstack and -F brstack */
	assert_log("          401104 " ENTRIES "\n",
		EVENT("brstack", "0") "sample 0 42/42 mode=0 ip=401104 t=0 p=1" RING);
	assert_log(ENTRIES "\n", EVENT("brstack", "0") "sample 0 42/42 mode=0 ip=0 t=0 p=1" RING);
	/* -F ip,sym,brstack; a symbol may look like a number */
	assert_log("          401104 add " ENTRIES "\n",
		EVENT("brstack", "0") "sample 0 42/42 mode=0 ip=401104 t=0 p=1" RING);
	assert_log("    7f1234567890 main+0x14 (/usr/bin/app) " ENTRIES "\n",
		EVENT("brstack", "0") "sample 0 42/42 mode=0 ip=7f1234567890 t=0 p=1" RING);
	/* -F pid,time,event,ip,brstack */
	assert_log("   43  12.000345: cycles:u:           401104 " ENTRIES "\n",
		EVENT("cycles:u", "3") "sample 0 43/43 mode=0 ip=401104 t=12000345000 p=1" RING);
	/* the default head: comm (with blanks), pid/tid, cpu, time, period, event */
	assert_log("my app  43/44 [003]  12.000345678:     250123 cycles:u:   401104 main " ENTRIES
		   "\n",
		EVENT("cycles:u",
			"3") "sample 0 43/43 mode=0 ip=401104 t=12000345678 p=250123" RING);
	/* -F pid,ip,brstack */
	assert_log("   43     401104 " ENTRIES "\n",
		EVENT("brstack", "0") "sample 0 43/43 mode=0 ip=401104 t=0 p=1" RING);
}

static void files_and_offsets_behind_addresses_are_passed_over(void **state)
{
	(void)state;
	assert_log("401104 0x401020(/usr/bin/app)/0x401100+0x1f(/usr/bin/app)/P/-/-/0\n",
		EVENT("brstack", "0") "sample 0 42/42 mode=0 ip=401104 t=0 p=1 "
				      "[401020>401100 f=2 c=0 t=0 s=0]\n");
}

static void flags_are_read_in_every_writing(void **state)
{
	(void)state;
	assert_log("1 0x401020/0x401100/-/X/A/70000 0x401020/0x401100/MN/-/-/5/IND_CALL\n",
		EVENT("brstack", "0") "sample 0 42/42 mode=0 ip=1 t=0 p=1 "
				      "[401020>401100 f=c c=65535 t=0 s=0] "
				      "[401020>401100 f=1 c=5 t=5 s=0]\n");
}

static void mappings_and_tasks_are_told(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct pgo_buf log;
	const char *text =
		"app 42 1.1: PERF_RECORD_COMM exec: my app:42/42\n"
		"app 42 1.2: PERF_RECORD_MMAP2 42/42: [0x401000(0x2000) @ 0x1000 "
		"<0123456789abcdef0123456789abcdef01234567>]: r-xp /usr/bin/my app\n"
		"app 42 1.2: PERF_RECORD_MMAP2 42/42: [0x601000(0x2000) @ 0 08:01 1 0]: rw-p "
		"/data\n"
		"app 42 1.2: PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x100) @ 0]: x "
		"[kernel]_text\n"
		"app 42 1.2: PERF_RECORD_MMAP 42/42: [0x701000(0x2000) @ 0]: x /lib/x.so\r\n"
		"app 42 1.3: PERF_RECORD_FORK(43:43):(42:42)\n"
		"app 42 1.3: PERF_RECORD_EXIT(43:43):(42:42)\n";

	(void)state;
	assert_int_equal(read_text(text, &log, &info, &err), 0);
	assert_string_equal(log.data,
		"exec 42 my app t=0\n"
		"map 42 401000+2000@1000 /usr/bin/my app 0123456789abcdef0123456789abcdef01234567 "
		"t=0\n"
		"map 42 701000+2000@0 /lib/x.so - t=0\n"
		"fork 43  t=0\n");
	assert_int_equal(info.records, 7);
	pgo_buf_fini(&log);
}

static void lines_without_branches_are_counted(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct pgo_buf log;

	(void)state;
	assert_int_equal(read_text(MMAP "# a comment\n\n   401104 main (/usr/bin/app)\n"
					"401104 0x12/0x/P 0x401020/0x401100/P/-/-/0",
				 &log, &info, &err),
		0);
	assert_has(log.data, "[401020>401100"); /* of a last line without an end */
	assert_int_equal(info.unknown, 2);
	assert_int_equal(info.records, 5);
	pgo_buf_fini(&log);
}

static void addresses_without_mappings_need_a_binary(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct pgo_buf log;

	(void)state;
	assert_int_equal(
		read_text("401104 0x401020/0x401100/P/-/-/0\n", &log, &info, &err), PGO_EUSAGE);
	assert_has(err.msg, "--binary");
	assert_has(err.msg, "line 1");
	pgo_buf_fini(&log);
}

static void a_binary_stands_in_for_mappings(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	const char *self = "/proc/self/exe";
	struct pgo_import_options o = {.binaries = &self, .n_binaries = 1, .ignore_paths = true};
	struct pgo_elf *e = pgo_elf_open(self, &err);
	struct pgo_imported in;
	char text[256];
	uint64_t code = 0;

	(void)state;
	assert_non_null(e);
	for (size_t i = 0; i < e->n_segments; i++)
		if (e->segments[i].exec)
			code = e->segments[i].vaddr;
	snprintf(text, sizeof text,
		"%llx 0x%llx/0x%llx/P/-/-/0 0x%llx/0x%llx/P/-/-/0 0x1/0x2/P/-/-/0\n",
		(unsigned long long)code, (unsigned long long)code + 0x40,
		(unsigned long long)code + 0x10, (unsigned long long)code + 0x50,
		(unsigned long long)code + 0x20);
	if (pgo_import_memory("x", text, strlen(text), &o, &in, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(in.kind, PGO_INPUT_BRSTACK);
	assert_int_equal(in.stats.branches, 3);
	assert_int_equal(in.stats.branches_used, 2);
	assert_int_equal(in.stats.branches_no_mapping, 1);
	assert_int_equal(in.profiles[0]->locations[0].addr, code);
	assert_string_equal(
		pgo_profile_str(in.profiles[0], in.profiles[0]->mappings[0].build_id), e->build_id);
	pgo_imported_fini(&in);
	pgo_elf_close(e);
}

static void probing_wants_text_with_branches_or_mappings(void **state)
{
	static const char no[] = "401104 main\n0x401020 / 0x401100\n";
	static const char branches[] = "x\n  401104 0x401020/0x401100/P/-/-/0\n";
	static const char zero[] = "401104 0x401020/0x401100/P/-/-/0\n\0\1";

	(void)state;
	assert_false(pgo_perf_text_probe(no, sizeof no - 1));
	assert_false(pgo_perf_text_probe("", 0));
	assert_true(pgo_perf_text_probe(branches, sizeof branches - 1));
	assert_true(pgo_perf_text_probe(MMAP, sizeof MMAP - 1));
	assert_false(pgo_perf_text_probe(zero, sizeof zero - 1));
}

static void lines_may_straddle_blocks_but_not_be_endless(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_rec_info info;
	struct pgo_buf text, log;
	unsigned n = 0;

	(void)state;
	pgo_buf_init(&text, 1 << 30);
	pgo_buf_puts(&text, MMAP);
	for (int i = 0; i < 40000; i++) /* 3.6 MB, so three seams */
		pgo_buf_puts(&text, "401104 0x401020/0x401100/P/-/-/0   0x401020/0x401100/P/-/-/0 "
				    "0x401020/0x401100/P/-/-/0\n");
	assert_int_equal(read_text(text.data, &log, &info, &err), 0);
	for (const char *at = log.data; (at = strstr(at, "\nsample")) != NULL; at++)
		n++;
	assert_int_equal(n, 40000);
	pgo_buf_fini(&log);
	pgo_buf_clear(&text);
	pgo_buf_puts(&text, MMAP);
	for (int i = 0; i < 18 << 20; i++)
		pgo_buf_putc(&text, 'x');
	assert_int_equal(read_text(text.data, &log, &info, &err), PGO_ELIMIT);
	assert_has(err.msg, "line 2");
	pgo_buf_fini(&log);
	pgo_buf_fini(&text);
}

static void running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
	uint64_t before = pgo_alloc_live();
	int rc = -1;

	(void)state;
	for (uint64_t n = 0; rc != 0 && n < 100; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_import_options o = {.ignore_paths = true};
		const char *text = MMAP "401104" ENTRIES "\n";
		struct pgo_imported in;

		pgo_alloc_fail_after(n);
		rc = pgo_import_memory("x", text, strlen(text), &o, &in, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			pgo_imported_fini(&in);
		assert_true(rc == 0 || rc == PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), before);
	}
	assert_int_equal(rc, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_the_head_are_told_apart),
		cmocka_unit_test(files_and_offsets_behind_addresses_are_passed_over),
		cmocka_unit_test(flags_are_read_in_every_writing),
		cmocka_unit_test(mappings_and_tasks_are_told),
		cmocka_unit_test(lines_without_branches_are_counted),
		cmocka_unit_test(addresses_without_mappings_need_a_binary),
		cmocka_unit_test(a_binary_stands_in_for_mappings),
		cmocka_unit_test(probing_wants_text_with_branches_or_mappings),
		cmocka_unit_test(lines_may_straddle_blocks_but_not_be_endless),
		cmocka_unit_test(running_out_of_memory_anywhere_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
