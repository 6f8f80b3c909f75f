/* SPDX-License-Identifier: Apache-2.0 */
/* Functions are assembled here and sampled at labels; without gcc the tests skip. */
#include "convert/plain.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
	struct pgo_elf *elf;
	struct pgo_ranges ranges;
	struct pgo_callstack stacks;
	struct pgo_account account;
};

static void up(struct bench *b, void *state, const char *text, const char *flags)
{
	const char *from = scratch_file(state, "f.s", text, strlen(text));
	struct pgo_err err = PGO_ERR_INIT;
	char *to = scratch_path(state, "f.so"), cmd[2048];

	if (system("command -v gcc >/dev/null 2>&1") != 0)
		skip();
	snprintf(cmd, sizeof cmd, "gcc -shared -nostdlib -Wl,-Bsymbolic %s -o %s %s", flags, to,
		from);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	*b = (struct bench){0};
	b->elf = pgo_elf_open(to, &err);
	if (b->elf == NULL)
		fail_msg("%s", err.msg);
	if (b->elf->machine != PGO_MACHINE_X86_64)
		skip();
	pgo_ranges_init(&b->ranges);
	pgo_callstack_init(&b->stacks, b->elf, b->elf);
}

static void down(struct bench *b)
{
	pgo_callstack_fini(&b->stacks);
	pgo_ranges_fini(&b->ranges);
	pgo_elf_close(b->elf);
}

static uint64_t at(const struct bench *b, const char *label)
{
	for (size_t i = 0; i < b->elf->n_symbols; i++) {
		if (strcmp(b->elf->symbols[i].name, label) == 0)
			return b->elf->symbols[i].addr;
	}
	fail_msg("no symbol %s", label);
	return 0;
}

/* n samples on each instruction of a function between two labels. */
static void sample(struct bench *b, const char *fn, const char *from, const char *to, uint64_t n)
{
	uint64_t start = at(b, fn), first = at(b, from), last = at(b, to);
	struct pgo_cfg c = {0};

	assert_int_equal(pgo_cfg_decode(&c, b->elf, start, last, NULL, 0, NULL), 0);
	for (size_t i = 0; i < c.n_insns; i++) {
		if (c.insns[i].addr < first)
			continue;
		assert_int_equal(pgo_ranges_add_ip(&b->ranges, c.insns[i].addr, n), 0);
		b->account.plain_read += n;
		b->account.plain_used += n;
	}
	pgo_cfg_fini(&c);
}

static void estimate(struct bench *b)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_account *a = &b->account;

	pgo_ranges_sort(&b->ranges, false);
	if (pgo_plain_to_ranges(&b->ranges, b->elf, b->elf, &b->stacks, 1, a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a->plain_read,
		a->plain_used + a->plain_stub + a->plain_no_function + a->plain_misplaced);
	assert_int_equal(a->plain_used, a->estimate.samples);
}

/* The count of the branch from the instruction in front of label `from`. */
static uint64_t branch(const struct bench *b, const char *from, const char *to)
{
	uint64_t sum = 0, behind = at(b, from), target = at(b, to);

	for (size_t i = 0; i < b->ranges.n_traces; i++) {
		const struct pgo_trace *t = &b->ranges.traces[i];

		if (t->target == target && pgo_at_inside(t->source) && t->source < behind &&
			behind - t->source <= 6)
			sum += t->count;
	}
	return sum;
}

static uint64_t executions(const struct bench *b, const char *label)
{
	uint64_t sum = 0, addr = at(b, label);

	for (size_t i = 0; i < b->ranges.n_traces; i++) {
		const struct pgo_trace *t = &b->ranges.traces[i];

		if (pgo_at_inside(t->target) && pgo_at_inside(t->end) && t->target <= addr &&
			t->end >= addr)
			sum += t->count;
	}
	return sum;
}

static uint64_t entered(const struct bench *b, const char *fn)
{
	for (size_t i = 0; i < b->ranges.n_traces; i++) {
		const struct pgo_trace *t = &b->ranges.traces[i];

		if (t->source == PGO_AT_OUTSIDE && t->target == at(b, fn))
			return t->count;
	}
	return 0;
}

static void assert_near(uint64_t have, uint64_t want)
{
	if (have * 100 < want * 90 || have * 100 > want * 110)
		fail_msg("%llu should be about %llu", (unsigned long long)have,
			(unsigned long long)want);
}

#define FN(name) ".globl " name "\n.type " name ",@function\n" name ":\n"
#define END(name) ".size " name ",.-" name "\nnop\n"
#define L(name) ".globl " name "\n" name ":\n"

static void branches_and_switches_get_their_flow(void **state)
{
	static const char text[] = FN("f") "test %edi,%edi\njle Lb\n" L("La") /* 700 of 1000 */
		"lea table(%rip),%rdx\ncmp $2,%edi\nja Lb\n" L(
			"Lc") "movslq (%rdx,%rdi,4),%rax\n"
			      "add %rdx,%rax\njmp *%rax\n" L("C0") "inc %eax\ninc %ecx\nret\n" L(
				      "C"
				      "1") "dec %eax\ndec %ecx\nret\n" L("C2") "not %eax\nneg "
									       "%ecx\nret\n" L(
										       "Lb") "xor "
											     "%eax,"
											     "%"
											     "eax\n"
											     "ret"
											     "\n" L("Len"
												    "d")
												     END("f") "."
													      "s"
													      "e"
													      "c"
													      "t"
													      "i"
													      "o"
													      "n"
													      " "
													      "."
													      "r"
													      "o"
													      "d"
													      "a"
													      "t"
													      "a"
													      "\ntable: .long C0-table,C1-table,C2-table\n";
	struct bench b;

	up(&b, *state, text, "");
	sample(&b, "f", "f", "La", 1000);
	sample(&b, "f", "La", "C0", 700);
	sample(&b, "f", "C0", "C1", 500);
	sample(&b, "f", "C1", "C2", 200);
	sample(&b, "f", "Lb", "Lend", 300);
	estimate(&b);
	assert_near(entered(&b, "f"), 1000000);
	assert_near(executions(&b, "La"), 700000);
	assert_near(branch(&b, "La", "Lb"), 300000);
	assert_near(branch(&b, "C0", "C0"), 500000);
	assert_near(branch(&b, "C0", "C1"), 200000);
	assert_true(branch(&b, "C0", "C2") < 20000);
	assert_int_equal(b.account.estimate.jumps_unknown, 0);
	down(&b);
}

static void computed_gotos_lead_to_the_labels_whose_address_is_stored(void **state)
{
	static const char text[] = FN("f") "nop\njmp *%rdi\n" L(
		"A") "inc %eax\ninc %ecx\n"
		     "jmp *%rsi\n" L("A9") L("B") "dec %eax\ndec %ecx\njmp *%rdx\n" L("B9")
			     L("C") "neg %eax\nret\n" L("C9")
				     END("f") ".section .data.rel.ro,\"aw\"\n.quad A,B,C,f\n";
	struct bench b;

	up(&b, *state, text, "");
	sample(&b, "f", "f", "A", 10);
	sample(&b, "f", "A", "A9", 600);
	sample(&b, "f", "B", "B9", 200);
	sample(&b, "f", "C", "C9", 10);
	estimate(&b);
	assert_near(branch(&b, "A9", "A") + branch(&b, "B9", "A") + branch(&b, "A", "A"), 600000);
	/* from whom is not known: in proportion */
	assert_near(branch(&b, "A9", "B"), 200000 * 600 / 810);
	assert_int_equal(b.account.estimate.jumps_unknown, 0);
	down(&b);
}

static void calls_split_ranges_and_those_that_never_return_end_blocks(void **state)
{
	static const char text[] = FN("die") "sub $8,%rsp\n1: jmp 1b\n" END("die") FN(
		"g") "ret\n" END("g")
		FN("f") "test %edi,%edi\njs Ld\n" L("La") "call g\n" L("Lr") "inc %eax\njmp Lh\n" L(
			"Ld") "mov %edi,%esi\ncall die\n" L("Lh") "inc %ecx\nret\n" L("Lend")
			END("f");
	struct bench b;

	up(&b, *state, text, "");
	sample(&b, "f", "f", "La", 400);
	sample(&b, "f", "La", "Ld", 300);
	sample(&b, "f", "Ld", "Lh", 100);
	sample(&b, "f", "Lh", "Lend", 300);
	estimate(&b);
	assert_near(branch(&b, "Lr", "g"), executions(&b, "Lr"));
	assert_near(executions(&b, "La"), executions(&b, "Lr"));
	assert_true(branch(&b, "Lh", "die") > 0);
	/* Only those that jump come there. */
	assert_near(executions(&b, "Lh"), executions(&b, "Lr"));
	assert_int_equal(branch(&b, "Ld", "Lh"), executions(&b, "Lh"));
	for (size_t i = 0; i < b.ranges.n_traces; i++) {
		const struct pgo_trace *t = &b.ranges.traces[i];

		/* No range goes on behind a call. */
		assert_false(pgo_at_inside(t->end) && t->target < at(&b, "Lr") &&
			     t->end >= at(&b, "Lr"));
	}
	assert_int_equal(entered(&b, "g"), 0); /* every entry is a known call */
	down(&b);
}

static void a_split_off_part_is_in_the_same_flow(void **state)
{
	static const char text[] = FN("f") "test %edi,%edi\njs f.cold\n" L("La") "inc %eax\n" L(
		"Lback") "inc %ecx\nret\n" L("Lend")
		END("f") ".section .text.unlikely,\"ax\"\n"
			 ".type f.cold,@function\nf.cold:\ninc %edx\ninc %ebx\njmp Lback\n" L("Lc")
				 END("f.cold");
	struct bench b;

	up(&b, *state, text, "");
	sample(&b, "f", "f", "Lend", 1000);
	sample(&b, "f.cold", "f.cold", "Lc", 100);
	estimate(&b);
	assert_int_equal(b.account.estimate.functions, 1);
	assert_near(branch(&b, "Lc", "Lback"), branch(&b, "La", "f.cold"));
	assert_true(branch(&b, "Lc", "Lback") >= 50000);
	assert_int_equal(entered(&b, "f.cold"), 0);
	down(&b);
}

static void samples_on_no_instruction_are_losses_with_a_name(void **state)
{
	static const char text[] =
		FN("f") "inc %eax\nret\n" END("f") ".fill 64,1,0x90\n" FN("g") "ret\n" END("g");
	struct bench b;

	up(&b, *state, text, "");
	assert_int_equal(pgo_ranges_add_ip(&b.ranges, at(&b, "f"), 10), 0);
	assert_int_equal(pgo_ranges_add_ip(&b.ranges, at(&b, "g") - 20, 7), 0);
	b.account.plain_read = b.account.plain_used = 17;
	estimate(&b);
	assert_int_equal(b.account.plain_no_function, 7);
	down(&b);
}

/* A target that is slow is on more stacks than one that is called as often and quick. */
static void call_stacks_name_targets_by_calls_not_by_time(void **state)
{
	static const char text[] = FN("slow") "inc %eax\n.rept 60\ninc %ecx\n.endr\nret\n" L(
		"Ls") END("slow") FN("quick") "inc %eax\nnop\nret\n" L("Lq") END("quick")
		FN("f") "nop\ncall *%rdi\n" L("Lr") ".rept 8\ninc %edx\n.endr\ncall *%rsi\n" L(
			"Lr2") "inc %ecx\nret\n" L("Lend") END("f");
	static const uint64_t behind[] = {0, 1};

	for (size_t k = 0; k < 2; k++) {
		uint32_t slow, quick, f;
		struct bench b;

		up(&b, *state, text, "");
		sample(&b, "f", "f", "Lend", 20);
		sample(&b, "slow", "slow", "Ls", 10);
		sample(&b, "quick", "quick", "Lq", 10);
		assert_int_equal(pgo_callstack_function(&b.stacks, at(&b, "slow"), &slow), 0);
		assert_int_equal(pgo_callstack_function(&b.stacks, at(&b, "quick"), &quick), 0);
		assert_int_equal(pgo_callstack_function(&b.stacks, at(&b, "f"), &f), 0);
		for (int i = 0; i < 620 + 30; i++) {
			uint32_t fn = i < 620 ? slow : quick;

			pgo_callstack_begin(&b.stacks);
			pgo_callstack_on(&b.stacks, fn, 1);
			/* both conventions for the address of a caller */
			assert_int_equal(
				pgo_callstack_under(&b.stacks, at(&b, "Lr") - behind[k], fn, 1), 0);
			pgo_callstack_on(&b.stacks, f, 1);
			/* recursion: once in a sample */
			assert_int_equal(
				pgo_callstack_under(&b.stacks, at(&b, "Lr") - behind[k], fn, 1), 0);
		}
		estimate(&b);
		assert_int_equal(b.account.estimate.sites, 2);
		assert_int_equal(b.account.estimate.sites_known, 1);
		assert_near(branch(&b, "Lr", "slow"), branch(&b, "Lr", "quick"));
		assert_near(
			branch(&b, "Lr", "slow") + branch(&b, "Lr", "quick"), executions(&b, "Lr"));
		assert_int_equal(branch(&b, "Lr2", "slow"), 0);
		down(&b);
	}
}

static void stacks_that_skip_callers_are_not_used(void **state)
{
	static const char text[] = FN("g") "nop\nret\n" L("Lg") END("g") FN("h") "nop\nret\n" END(
		"h") FN("f") "call g\n" L("L1") "call *%rdi\n" L("L2") "ret\n" L("Lend") END("f");
	struct bench b;
	uint32_t h;

	up(&b, *state, text, "");
	sample(&b, "f", "f", "Lend", 20);
	assert_int_equal(pgo_callstack_function(&b.stacks, at(&b, "h"), &h), 0);
	for (int i = 0; i < 10; i++) {
		pgo_callstack_begin(&b.stacks);
		/* h under a call of g: g's frame is missing */
		assert_int_equal(pgo_callstack_under(&b.stacks, at(&b, "L1"), h, 1), 0);
		assert_int_equal(pgo_callstack_under(&b.stacks, at(&b, "L2"), h, 1), 0);
	}
	estimate(&b);
	assert_true(b.account.estimate.stacks_unreliable);
	assert_int_equal(b.account.estimate.sites_known, 0);
	down(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(branches_and_switches_get_their_flow),
		TEST(computed_gotos_lead_to_the_labels_whose_address_is_stored),
		TEST(calls_split_ranges_and_those_that_never_return_end_blocks),
		TEST(a_split_off_part_is_in_the_same_flow),
		TEST(samples_on_no_instruction_are_losses_with_a_name),
		TEST(call_stacks_name_targets_by_calls_not_by_time),
		TEST(stacks_that_skip_callers_are_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
