/* SPDX-License-Identifier: Apache-2.0 */
/* Functions are assembled here, with labels where blocks must begin; without gcc the tests skip. */
#include "convert/cfg.h"
#include "convert/codefns.h"
#include "convert/landing.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pgo_elf *assemble_by(
	const char *compiler, void *state, const char *suffix, const char *text, const char *flags)
{
	struct pgo_err err = PGO_ERR_INIT;
	char name[32], cmd[2048];
	const char *from;
	struct pgo_elf *e;
	char *to;

	snprintf(cmd, sizeof cmd, "command -v %s >/dev/null 2>&1", compiler);
	if (system(cmd) != 0)
		skip();
	snprintf(name, sizeof name, "f.%s", suffix);
	from = scratch_file(state, name, text, strlen(text));
	to = scratch_path(state, "f.so");
	snprintf(cmd, sizeof cmd, "%s -shared -nostdlib -Wl,--build-id -Wl,-Bsymbolic %s -o %s %s",
		compiler, flags, to, from);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	e = pgo_elf_open(to, &err);
	if (e == NULL)
		fail_msg("%s", err.msg);
	return e;
}

static struct pgo_elf *assemble(
	void *state, const char *suffix, const char *text, const char *flags)
{
	return assemble_by("gcc", state, suffix, text, flags);
}

static struct pgo_elf *assemble_arm64(void *state, const char *text, const char *flags)
{
	return assemble_by("aarch64-linux-gnu-gcc", state, "s", text, flags);
}

static const struct pgo_symbol *symbol(const struct pgo_elf *e, const char *name)
{
	for (size_t i = 0; i < e->n_symbols; i++) {
		if (strcmp(e->symbols[i].name, name) == 0)
			return &e->symbols[i];
	}
	fail_msg("no symbol %s", name);
	return NULL;
}

static void decode(struct pgo_cfg *c, const struct pgo_elf *e, const char *name,
	const uint64_t *extra, size_t n_extra)
{
	const struct pgo_symbol *s = symbol(e, name);
	struct pgo_err err = PGO_ERR_INIT;

	if (pgo_cfg_decode(c, e, s->addr, s->addr + s->size, extra, n_extra, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Blocks begin exactly where the source has a label L0, L1, ... */
static void assert_leaders(const struct pgo_cfg *c, const struct pgo_elf *e)
{
	for (size_t i = 0; i < c->n_insns; i++) {
		bool want = i == 0;

		for (size_t k = 0; k < e->n_symbols && !want; k++)
			want = e->symbols[k].name[0] == 'L' &&
			       e->symbols[k].addr == c->insns[i].addr;
		if (c->insns[i].leader != want)
			fail_msg("instruction %zu at +%llu: leader %d, should be %d", i,
				(unsigned long long)(c->insns[i].addr - c->start),
				c->insns[i].leader, want);
	}
}

static void kinds_sizes_and_targets(void **state)
{
	static const char text[] =
		".globl f\n.type f,@function\nf:\n"
		"nop\nnopw 0(%rax,%rax,1)\njne L1\nL0: jmp L1\nL1: call f\n"
		"call *%rax\ncall *(%rax)\njmp *%rax\nL2: ud2\nL3: hlt\nL4: ret\n"
		".size f,.-f\n";
	static const struct {
		uint8_t kind, size;
	} want[] = {{PGO_INSN_NOP, 1}, {PGO_INSN_NOP, 5}, {PGO_INSN_COND, 2}, {PGO_INSN_JUMP, 2},
		{PGO_INSN_CALL, 5}, {PGO_INSN_CALL_INDIRECT, 2}, {PGO_INSN_CALL_INDIRECT, 2},
		{PGO_INSN_JUMP_INDIRECT, 2}, {PGO_INSN_TRAP, 2}, {PGO_INSN_TRAP, 1},
		{PGO_INSN_RET, 1}};
	struct pgo_elf *e = assemble(*state, "s", text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_true(c.complete);
	assert_int_equal(c.n_insns, sizeof want / sizeof *want);
	for (size_t i = 0; i < c.n_insns; i++) {
		assert_int_equal(c.insns[i].kind, want[i].kind);
		assert_int_equal(c.insns[i].size, want[i].size);
		assert_int_equal(pgo_insn_kind_at(e, c.insns[i].addr), want[i].kind);
		assert_int_equal(pgo_cfg_at(&c, c.insns[i].addr), i);
	}
	assert_true(c.insns[2].target == c.insns[4].addr);
	assert_true(c.insns[4].target == c.start);
	assert_int_equal(pgo_cfg_at(&c, c.insns[1].addr + 1), UINT32_MAX);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

static void blocks_begin_at_targets_and_behind_branches(void **state)
{
	static const char text[] = ".globl f\n.type f,@function\nf:\n"
				   "test %edi,%edi\nje L2\nL1: inc %eax\ncall g\nL2: dec %eax\n"
				   "jmp L3\nL9: nop\nL3: cmp $3,%eax\njb L1\nL4: ret\n.size f,.-f\n"
				   ".globl g\n.type g,@function\ng: ret\n.size g,.-g\n";
	struct pgo_elf *e = assemble(*state, "s", text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_leaders(&c, e);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

static void jump_behind_conditional_stays_in_its_block_unless_it_leaves(void **state)
{
	/* No label at the two jumps: the first pair is one block; the second jump is a tail call. */
	static const char text[] = ".globl f\n.type f,@function\nf:\n"
				   "test %edi,%edi\nje L1\njmp L2\nL1: inc %eax\nL2: dec %eax\n"
				   "jne L1\nL3: jmp g\n.size f,.-f\n"
				   ".globl g\n.type g,@function\ng: ret\n.size g,.-g\n";
	struct pgo_elf *e = assemble(*state, "s", text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_leaders(&c, e);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

static void targets_of_relative_jump_tables_are_found(void **state)
{
	static const char text[] =
		".globl f\n.type f,@function\nf:\n"
		"cmp $3,%edi\nja L9\nL0: lea table(%rip),%rdx\nmovslq (%rdx,%rdi,4),%rax\n"
		"add %rdx,%rax\nnotrack jmp *%rax\n"
		"L1: inc %eax\nret\nL2: dec %eax\nL3: inc %ecx\nret\nL9: ret\n.size f,.-f\n"
		".section .rodata\ntable: .long L1-table,L2-table,L3-table,L9-table\n.long "
		"0x7fffffff\n";
	struct pgo_elf *e = assemble(*state, "s", text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_int_equal(c.n_jumps, 1);
	assert_int_equal(c.n_tables, 1);
	assert_leaders(&c, e);
	assert_int_equal(c.n_cases, 4);
	for (size_t i = 0; i < 4; i++) {
		static const char *const label[] = {"L1", "L2", "L3", "L9"};

		assert_int_equal(c.insns[c.cases[i].jump].kind, PGO_INSN_JUMP_INDIRECT);
		assert_int_equal(c.cases[i].target, symbol(e, label[i])->addr);
	}
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

/* A table of bytes is followed by what would pass for two more entries: only the comparison says
 * where it ends. */
static void targets_of_arm64_tables_of_bytes_are_found(void **state)
{
	static const char text[] =
		".globl f\n.type f,%function\nf:\n"
		"cmp w0, #3\nb.hi L9\nL0: adrp x1, table\nadd x1, x1, :lo12:table\n"
		"ldrb w1, [x1, w0, uxtw]\nadr x2, L1\nadd x1, x2, w1, sxtb #2\nbr x1\n"
		"L1: nop\nret\nL2: nop\nL3: nop\nret\nL9: nop\nnop\nret\n.size f,.-f\n"
		".section .rodata\ntable: .byte (L1-L1)/4,(L3-L1)/4,(L2-L1)/4,(L9-L1)/4,1,3\n";
	struct pgo_elf *e = assemble_arm64(*state, text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_true(c.complete);
	assert_int_equal(c.n_jumps, 1);
	assert_int_equal(c.n_tables, 1);
	assert_int_equal(c.n_cases, 4);
	assert_int_equal(c.cases[1].target, symbol(e, "L3")->addr);
	assert_leaders(&c, e);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

/* As clang writes them: 16 bits unsigned, counted in words; and 32 bits signed from the table. */
static void targets_of_wider_arm64_tables_are_found(void **state)
{
	static const char text[] =
		".globl f\n.type f,%function\nf:\n"
		"sub w8, w0, #7\ncmp w8, #2\nb.hi L9\nL0: adrp x9, halves\n"
		"add x9, x9, :lo12:halves\nadr x10, L1\nldrh w11, [x9, x8, lsl #1]\n"
		"add x10, x10, x11, lsl #2\nbr x10\n"
		"L1: nop\nL2: cmp w1, #1\nb.hi L9\nL4: adrp x9, words\nadd x9, x9, :lo12:words\n"
		"ldrsw x11, [x9, x1, lsl #2]\nadd x9, x9, x11\nbr x9\n"
		"L3: ret\nL5: nop\nL9: ret\n.size f,.-f\n"
		".section .rodata\n.p2align 2\nhalves: .hword (L1-L1)/4,(L2-L1)/4,(L3-L1)/4,1\n"
		".p2align 2\nwords: .word L5-words,L3-words\n.word L5-words+4\n";
	struct pgo_elf *e = assemble_arm64(*state, text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_int_equal(c.n_jumps, 2);
	assert_int_equal(c.n_tables, 2);
	assert_int_equal(c.n_cases, 5);
	assert_leaders(&c, e);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

/* Words among the code that look like a branch, a jump and a trap; assemblers mark them. */
static void data_among_arm64_code_is_no_code(void **state)
{
	static const char text[] = ".globl f\n.type f,%function\nf:\n"
				   "ldr w0, pool\ncbz w0, L1\nL0: nop\nb L1\n"
				   "pool: .word 0x54000041, 0xd61f0000, 0\n"
				   "L1: nop\nret\n.size f,.-f\n";
	struct pgo_elf *e = assemble_arm64(*state, text, "");
	const struct pgo_symbol *pool = symbol(e, "pool");
	struct pgo_cfg c = {0};

	assert_int_equal(e->n_islands, 1);
	assert_int_equal(e->islands[0].start, pool->addr);
	assert_int_equal(e->islands[0].end, pool->addr + 12);
	decode(&c, e, "f", NULL, 0);
	assert_true(c.complete);
	assert_int_equal(c.n_jumps, 0);
	for (uint32_t i = pgo_cfg_at(&c, pool->addr), k = 0; k < 3; k++, i++) {
		assert_int_equal(c.insns[i].kind, PGO_INSN_OTHER);
		assert_int_equal(c.insns[i].leader, k == 0); /* behind a jump */
	}
	assert_true(c.insns[pgo_cfg_at(&c, symbol(e, "L1")->addr)].leader);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

/* A call through a table of functions has the look of a switch's jump, but not its arithmetic. */
static void arm64_tail_calls_have_no_table(void **state)
{
	static const char text[] =
		".globl f\n.type f,%function\nf:\n"
		"adrp x1, table\nadd x1, x1, :lo12:table\nldr x1, [x1, w0, uxtw #3]\nbr x1\n"
		"L0: ldr x1, [x0]\nldr x1, [x1, #16]\nbr x1\n.size f,.-f\n"
		".data\n.p2align 3\ntable: .xword f,f+4\n";
	struct pgo_elf *e = assemble_arm64(*state, text, "");
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_int_equal(c.n_jumps, 2);
	assert_int_equal(c.n_tables, 0);
	assert_leaders(&c, e);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

static void a_jump_table_is_no_longer_than_its_guard_allows(void **state)
{
	static const struct {
		const char *guard;
		size_t cases;
	} of[] = {
		{"cmp $1,%edi\nja L9\n", 2},
		{"cmpb $1,%dil\nja L9\nmovzbl %dil,%edi\n", 2},
		{"cmpl $0x101,%edi\nja L9\n", 4},      /* all that look like entries */
		{"cmp $1,%esi\nja L9\n", 4},           /* guards something else */
		{"cmp $1,%edi\nja L9\ninc %edi\n", 4}, /* no longer what was compared */
		{"cmp $1,%edi\njg L9\n", 4},
	};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		struct pgo_cfg c = {0};
		struct pgo_elf *e;
		char text[1024];

		snprintf(text, sizeof text,
			".globl f\n.type f,@function\nf:\n%s"
			"lea table(%%rip),%%rdx\nmovslq (%%rdx,%%rdi,4),%%rax\n"
			"add %%rdx,%%rax\njmp *%%rax\n"
			"L1: inc %%eax\nL2: dec %%eax\nL3: inc %%ecx\nL9: ret\n.size f,.-f\n"
			".section .rodata\ntable: .long L1-table,L2-table,L3-table,L9-table\n"
			".long 0x7fffffff\n",
			of[i].guard);
		e = assemble(*state, "s", text, "");
		decode(&c, e, "f", NULL, 0);
		if (c.n_cases != of[i].cases)
			fail_msg("%s%zu cases, not %zu", of[i].guard, c.n_cases, of[i].cases);
		pgo_cfg_fini(&c);
		pgo_elf_close(e);
	}
}

static void observed_starts_are_taken_if_they_are_instructions_of_the_function(void **state)
{
	static const char text[] = ".globl f\n.type f,@function\nf:\n"
				   "movl $1,%eax\nL1: inc %eax\njmp *%rdi\nL2: ret\n.size f,.-f\n";
	struct pgo_elf *e = assemble(*state, "s", text, "");
	uint64_t at = symbol(e, "f")->addr, extra[4];
	struct pgo_cfg c = {0};

	extra[0] = at - 8;
	extra[1] = at + 2; /* inside the first instruction */
	extra[2] = symbol(e, "L1")->addr;
	extra[3] = at + 4096;
	decode(&c, e, "f", extra, 4);
	assert_leaders(&c, e);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

static void damage_ends_the_decoding(void **state)
{
	static const char text[] = ".globl f\n.type f,@function\nf:\n"
				   "nop\nnop\n.byte 0x06,0x06\nret\n.size f,.-f\n";
	struct pgo_elf *e = assemble(*state, "s", text, "");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_cfg c = {0};

	decode(&c, e, "f", NULL, 0);
	assert_false(c.complete);
	assert_int_equal(c.n_insns, 2);
	assert_int_equal(pgo_cfg_decode(&c, e, 1 << 30, (1 << 30) + 9, NULL, 0, &err), 0);
	assert_int_equal(c.n_insns, 0);
	assert_int_equal(pgo_insn_kind_at(e, 1 << 30), PGO_INSN_OTHER);
	pgo_cfg_fini(&c);
	pgo_elf_close(e);
}

static void landing_pads_are_where_the_unwinder_enters(void **state)
{
	static const char text[] =
		"void may_throw(int);\nint caught;\n"
		"extern \"C\" int f(int n) { try { may_throw(n); may_throw(n + 1); }\n"
		"catch (int) { caught++; return 1; }\nreturn 2; }\n";
	struct pgo_elf *e = assemble(*state, "cpp", text, "-O2 -fPIC -xc++");
	const struct pgo_symbol *s = symbol(e, "f");
	struct pgo_landing l;
	uint64_t *pads = NULL;
	size_t n = 0, room = 0;

	assert_int_equal(pgo_landing_init(&l, e), 0);
	assert_true(l.n_fns >= 1);
	assert_int_equal(pgo_landing_pads(&l, s->addr, &pads, &n, &room), 0);
	assert_true(n >= 1);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_symbol *at = pgo_elf_symbol(e, pads[i]);

		assert_non_null(at);
		assert_int_equal(strncmp(at->name, "f", 1), 0); /* f or f.cold */
	}
	n = 0;
	assert_int_equal(pgo_landing_pads(&l, s->addr + 1, &pads, &n, &room), 0);
	assert_int_equal(n, 0);
	pgo_free(pads);
	pgo_landing_fini(&l);
	pgo_elf_close(e);
}

static void functions_are_disjoint_and_parts_are_joined(void **state)
{
	static const char text[] =
		".globl f\n.type f,@function\nf: test %edi,%edi\njne f.cold\nback: ret\n.size "
		"f,.-f\n"
		".type f.cold,@function\nf.cold: inc %eax\njmp back\n.size f.cold,.-f.cold\n"
		".globl other\n.type other,@function\nother: nop\nret\n.size other,.-other\n";
	struct pgo_elf *e = assemble(*state, "s", text, "");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_codefns c;

	pgo_codefns_init(&c, e);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pgo_codefns_add(&c, symbol(e, "f")->addr + 2), 0);
		assert_int_equal(pgo_codefns_add(&c, symbol(e, "other")->addr), 0);
		assert_int_equal(pgo_codefns_add(&c, symbol(e, "f")->addr), 0);
	}
	assert_int_equal(pgo_codefns_add(&c, 1 << 30), 0);
	pgo_codefns_finish(&c);
	assert_int_equal(c.n_fns, 2);
	assert_true(c.fns[0].end <= c.fns[1].start);
	assert_int_equal(pgo_codefns_find(&c, symbol(e, "other")->addr + 1), 1);
	assert_int_equal(pgo_codefns_find(&c, symbol(e, "f.cold")->addr), UINT32_MAX);
	/* The cold part jumps back into the middle of f, although it was not touched itself. */
	assert_int_equal(pgo_codefns_find_joints(&c, e, &err), 0);
	assert_int_equal(c.n_joints, 1);
	assert_true(c.joints[0] == symbol(e, "back")->addr);
	pgo_codefns_fini(&c);
	pgo_elf_close(e);
}

static void names_lose_the_tails_of_parts_and_clones_only(void **state)
{
	static const struct {
		const char *name, *base;
		bool part;
	} t[] = {{"f", "f", false}, {"f.cold", "f", true}, {"f.cold.3", "f", true},
		{"f.part.0", "f", true}, {"f.constprop.0", "f", false},
		{"f.isra.0.cold", "f", true}, {"f.lto_priv.7", "f", false},
		{"f.llvm.123", "f.llvm.123", false}, {"f.colder", "f.colder", false},
		{"f.__uniq.9", "f.__uniq.9", false}, {"f.avx2.cold", "f.avx2", true},
		{".cold", ".cold", true}};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		assert_int_equal(pgo_codefn_base_len(t[i].name), strlen(t[i].base));
		assert_int_equal(pgo_codefn_is_part(t[i].name), t[i].part);
	}
}

/* Stubs end with their jump, whose address is what records have as a source. */
static void arm64_stubs_reach_to_their_jump(void **state)
{
	static const char text[] = ".globl f\n.type f,%function\nf: bl there\nbl elsewhere\nret\n"
				   ".size f,.-f\n";
	static const char *const flags[] = {"", "-Wl,-z,pac-plt"};

	for (size_t i = 0; i < 2; i++) {
		struct pgo_elf *e = assemble_arm64(*state, text, flags[i]);

		assert_int_equal(e->n_plt, 2);
		for (size_t k = 0; k < 2; k++) {
			const struct pgo_plt *p = &e->plt[k];

			assert_true(
				strcmp(p->name, "there") == 0 || strcmp(p->name, "elsewhere") == 0);
			assert_int_equal(p->size, i == 0 ? 16 : 20);
			assert_int_equal(
				pgo_insn_kind_at(e, p->addr + p->size - 4), PGO_INSN_JUMP_INDIRECT);
			assert_ptr_equal(pgo_plt_at(e, p->addr + p->size - 4), p);
		}
		pgo_elf_close(e);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kinds_sizes_and_targets),
		TEST(blocks_begin_at_targets_and_behind_branches),
		TEST(jump_behind_conditional_stays_in_its_block_unless_it_leaves),
		TEST(targets_of_relative_jump_tables_are_found),
		TEST(a_jump_table_is_no_longer_than_its_guard_allows),
		TEST(targets_of_arm64_tables_of_bytes_are_found),
		TEST(targets_of_wider_arm64_tables_are_found),
		TEST(data_among_arm64_code_is_no_code),
		TEST(arm64_tail_calls_have_no_table),
		TEST(observed_starts_are_taken_if_they_are_instructions_of_the_function),
		TEST(damage_ends_the_decoding),
		TEST(landing_pads_are_where_the_unwinder_enters),
		TEST(arm64_stubs_reach_to_their_jump),
		TEST(functions_are_disjoint_and_parts_are_joined),
		TEST(names_lose_the_tails_of_parts_and_clones_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
