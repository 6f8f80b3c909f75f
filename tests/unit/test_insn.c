/* SPDX-License-Identifier: Apache-2.0 */
/* The words are what an assembler makes of the text beside them. */
#include "pgo/core/insn_x86.h"
#include "tests/lib/scratch.h"

#include <string.h>

static void arm64_words_have_their_kinds_and_targets(void **state)
{
	static const struct {
		uint32_t word;
		uint8_t kind;
		uint64_t target; /* the instruction lies at 0x10000 */
	} t[] = {
		{0x14000001, PGO_INSN_JUMP, 0x10004},    /* b .+4 */
		{0x17ffffff, PGO_INSN_JUMP, 0xfffc},     /* b .-4 */
		{0x97fffc00, PGO_INSN_CALL, 0xf000},     /* bl .-0x1000 */
		{0x54000041, PGO_INSN_COND, 0x10008},    /* b.ne .+8 */
		{0x54ffffeb, PGO_INSN_COND, 0xfffc},     /* b.lt .-4 */
		{0x54000050, PGO_INSN_COND, 0x10008},    /* bc.eq .+8 */
		{0xb4000040, PGO_INSN_COND, 0x10008},    /* cbz x0, .+8 */
		{0x35ffffe3, PGO_INSN_COND, 0xfffc},     /* cbnz w3, .-4 */
		{0x36180040, PGO_INSN_COND, 0x10008},    /* tbz w0, #3, .+8 */
		{0xb7fbffe1, PGO_INSN_COND, 0x17ffc},    /* tbnz x1, #63, .+0x7ffc */
		{0x74c10040, PGO_INSN_COND, 0x10008},    /* cbeq w0, w1, .+8 */
		{0xf5c5c040, PGO_INSN_OTHER, 0},         /* no such instruction */
		{0x75c28040, PGO_INSN_COND, 0x10008},    /* cbeq w0, #5, .+8 */
		{0x74c18040, PGO_INSN_COND, 0x10008},    /* cbbeq w0, w1, .+8 */
		{0xf4c18040, PGO_INSN_OTHER, 0},         /* bytes have no 64-bit form */
		{0xd61f0200, PGO_INSN_JUMP_INDIRECT, 0}, /* br x16 */
		{0xd71f0a11, PGO_INSN_JUMP_INDIRECT, 0}, /* braa x16, x17 */
		{0xd61f0a1f, PGO_INSN_JUMP_INDIRECT, 0}, /* braaz x16 */
		{0xd63f0100, PGO_INSN_CALL_INDIRECT, 0}, /* blr x8 */
		{0xd73f0d09, PGO_INSN_CALL_INDIRECT, 0}, /* blrab x8, x9 */
		{0xd65f03c0, PGO_INSN_RET, 0},           /* ret */
		{0xd65f0bff, PGO_INSN_RET, 0},           /* retaa */
		{0x5500005f, PGO_INSN_RET, 0},           /* retaasppc .-8 */
		{0xd69f03e0, PGO_INSN_RET, 0},           /* eret */
		{0xd4200020, PGO_INSN_TRAP, 0},          /* brk #1 */
		{0x00000000, PGO_INSN_TRAP, 0},          /* udf #0 */
		{0xd4000001, PGO_INSN_OTHER, 0},         /* svc #0 */
		{0xd503201f, PGO_INSN_NOP, 0},           /* nop */
		{0xd503245f, PGO_INSN_OTHER, 0},         /* bti c */
		{0x8b020020, PGO_INSN_OTHER, 0},         /* add x0, x1, x2 */
	};
	struct pgo_insn_decoder d;

	(void)state;
	pgo_insn_decoder_init(&d, PGO_MACHINE_AARCH64);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct pgo_insn insn;

		assert_true(pgo_insn_decode(&d, 0x10000, (const uint8_t *)&t[i].word, 4, &insn));
		if (insn.kind != t[i].kind || insn.target != t[i].target)
			fail_msg("%08x: kind %u, target %llx", t[i].word, insn.kind,
				(unsigned long long)insn.target);
		assert_int_equal(insn.size, 4);
		assert_false(insn.leader);
		assert_false(pgo_insn_decode(&d, 0x10000, (const uint8_t *)&t[i].word, 3, &insn));
	}
}

static void x86_bytes_have_their_kinds_and_targets(void **state)
{
	static const struct {
		uint8_t code[8], size, kind;
		uint64_t target; /* the instruction lies at 0x10000 */
	} t[] = {
		{{0xeb, 0x10}, 2, PGO_INSN_JUMP, 0x10012},
		{{0xe9, 0xfb, 0xff, 0xff, 0xff}, 5, PGO_INSN_JUMP, 0x10000},
		{{0x75, 0xfe}, 2, PGO_INSN_COND, 0x10000},
		{{0x0f, 0x84, 1, 0, 0, 0}, 6, PGO_INSN_COND, 0x10007},
		{{0xe2, 0xfe}, 2, PGO_INSN_COND, 0x10000}, /* loop */
		{{0xe3, 0x00}, 2, PGO_INSN_COND, 0x10002}, /* jrcxz */
		{{0xe8, 0, 0, 0, 0}, 5, PGO_INSN_CALL, 0x10005},
		{{0xf2, 0xe9, 0, 0, 0, 0}, 6, PGO_INSN_JUMP, 0x10006}, /* bnd jmp */
		{{0x3e, 0xff, 0xe0}, 3, PGO_INSN_JUMP_INDIRECT, 0},    /* notrack jmp *%rax */
		{{0xff, 0xd0}, 2, PGO_INSN_CALL_INDIRECT, 0},
		{{0xf3, 0xc3}, 2, PGO_INSN_RET, 0}, /* repz ret */
		{{0x48, 0xcf}, 2, PGO_INSN_RET, 0}, /* iretq */
		{{0x0f, 0x0b}, 2, PGO_INSN_TRAP, 0},
		{{0xf3, 0x0f, 0x1e, 0xfa}, 4, PGO_INSN_OTHER, 0}, /* endbr64 */
		{{0x90}, 1, PGO_INSN_NOP, 0},
	};
	struct pgo_insn_decoder d;

	(void)state;
	pgo_insn_decoder_init(&d, PGO_MACHINE_X86_64);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct pgo_insn insn;

		assert_true(pgo_insn_decode(&d, 0x10000, t[i].code, 8, &insn));
		if (insn.kind != t[i].kind || insn.target != t[i].target || insn.size != t[i].size)
			fail_msg("%zu: kind %u, size %u, target %llx", i, insn.kind, insn.size,
				(unsigned long long)insn.target);
		assert_false(pgo_insn_decode(&d, 0x10000, t[i].code, t[i].size - 1u, &insn));
	}
}

/* Everything that this program is made of, and what its bytes look like from their middle. */
static void tables_and_library_agree(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = pgo_elf_open("/proc/self/exe", &err);
	const struct pgo_section *text;
	struct pgo_insn_decoder d;
	size_t n = 0, by_table = 0, next = 0;

	(void)state;
	assert_non_null(e);
	if (e->machine != PGO_MACHINE_X86_64)
		skip();
	text = pgo_elf_section(e, ".text");
	pgo_insn_decoder_init(&d, e->machine);
	for (size_t at = 0; at + 32 < text->size; at++) {
		struct pgo_insn a, b;
		bool common =
			pgo_insn_x86_common(text->addr + at, text->data + at, text->size - at, &a);
		bool any = pgo_insn_x86_library(
			&d, text->addr + at, text->data + at, text->size - at, &b);

		if (common &&
			(!any || a.size != b.size || a.kind != b.kind || a.target != b.target))
			fail_msg("+%zx: size %u, kind %u, by the library %u, %u", at, a.size,
				a.kind, any ? b.size : 0, b.kind);
		if (at != next)
			continue;
		next = at + (any ? b.size : 1);
		n++;
		by_table += common;
	}
	assert_true(n > 10000);
	assert_true(by_table > n - n / 10);
	pgo_elf_close(e);
}

static void instructions_newer_than_the_library_have_their_lengths(void **state)
{
	static const struct {
		uint8_t code[12], size, kind;
	} t[] = {
		{{0xd5, 0x18, 0x89, 0xc8}, 4, PGO_INSN_OTHER},         /* mov %rcx,%r16 */
		{{0xd5, 0x10, 0xff, 0xd0}, 4, PGO_INSN_CALL_INDIRECT}, /* call *%r16 */
		{{0xd5, 0x10, 0xff, 0xe1}, 4, PGO_INSN_JUMP_INDIRECT}, /* jmp *%r17 */
		{{0xd5, 0x18, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}, 11, PGO_INSN_OTHER}, /* movabs */
		{{0xd5, 0x18, 0x81, 0xc0, 1, 2, 3, 4}, 8, PGO_INSN_OTHER},        /* add $..,%r16 */
		{{0xd5, 0x98, 0xaf, 0xc1}, 4, PGO_INSN_OTHER}, /* imul %r17,%rax */
		{{0xd5, 0x00, 0xa1, 0, 0, 1, 0, 0, 0, 0, 0}, 11, PGO_INSN_JUMP}, /* jmpabs */
		{{0x62, 0xf4, 0xfc, 0x18, 0x01, 0xcb}, 6, PGO_INSN_OTHER}, /* add %rcx,%rbx,%rax */
		{{0x62, 0xf4, 0xfc, 0x18, 0x83, 0xc3, 0x11}, 7,
			PGO_INSN_OTHER}, /* add $17,%rbx,%rax */
		{{0x62, 0xf4, 0xfc, 0x18, 0x81, 0xc3, 1, 2, 3, 4}, 10, PGO_INSN_OTHER},
	};
	struct pgo_insn_decoder d;

	(void)state;
	pgo_insn_decoder_init(&d, PGO_MACHINE_X86_64);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct pgo_insn insn;

		assert_true(pgo_insn_decode(&d, 0x10000, t[i].code, 12, &insn));
		if (insn.size != t[i].size || insn.kind != t[i].kind)
			fail_msg("%zu: size %u, kind %u", i, insn.size, insn.kind);
		assert_false(pgo_insn_decode(&d, 0x10000, t[i].code, t[i].size - 1u, &insn));
	}
}

static void runs_are_counted_to_their_last_instruction(void **state)
{
	static const uint8_t x86[] = {0x90, 0x48, 0x89, 0xc3, 0xeb, 0x10, 0xc3, 0x06, 0x90};
	static const uint32_t arm64[] = {0xd503201f, 0xd503201f, 0xd65f03c0};
	struct pgo_insn_decoder d;

	(void)state;
	pgo_insn_decoder_init(&d, PGO_MACHINE_X86_64);
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 0), 1);
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 4), 3);
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 6), 4);
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 2), 0); /* inside one */
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 7), 0); /* none there */
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 8), 0); /* nor on the way */
	assert_int_equal(pgo_insn_count(&d, x86, sizeof x86, 9), 0);
	assert_int_equal(pgo_insn_count(&d, x86, 5, 4), 0); /* cut short */
	pgo_insn_decoder_init(&d, PGO_MACHINE_AARCH64);
	assert_int_equal(pgo_insn_count(&d, (const uint8_t *)arm64, sizeof arm64, 0), 1);
	assert_int_equal(pgo_insn_count(&d, (const uint8_t *)arm64, sizeof arm64, 8), 3);
	assert_int_equal(pgo_insn_count(&d, (const uint8_t *)arm64, sizeof arm64, 6), 0);
	assert_int_equal(pgo_insn_count(&d, (const uint8_t *)arm64, sizeof arm64, 12), 0);
	assert_int_equal(pgo_insn_count(&d, (const uint8_t *)arm64, 10, 8), 0);
	assert_int_equal(pgo_insn_count(&d, (const uint8_t *)arm64, sizeof arm64, UINT64_MAX), 0);
}

static void arm64_words_show_their_arithmetic(void **state)
{
	static const struct {
		uint32_t word;
		struct pgo_insn_operands want;
	} t[] = {
		/* adr x2, .-4 */
		{0x10ffffe2, {PGO_FORM_ADDRESS, 2, 255, 255, 0, 0, false, false, 0x12344}},
		/* adrp x1, .+0x2000 */
		{0xd0000001, {PGO_FORM_ADDRESS, 1, 255, 255, 0, 0, false, false, 0x14000}},
		/* add x1, x1, #0x2a8 */
		{0x910aa021, {PGO_FORM_ADD, 1, 1, 255, 0, 8, false, false, 0x2a8}},
		/* add x9, x10, x11, lsl #2 */
		{0x8b0b0949, {PGO_FORM_ADD, 9, 10, 11, 2, 8, false, false, 0}},
		/* add x1, x2, w1, sxtb #2 */
		{0x8b218841, {PGO_FORM_ADD, 1, 2, 1, 2, 1, true, false, 0}},
		/* mov x3, x4 */
		{0xaa0403e3, {PGO_FORM_ADD, 3, 4, 255, 0, 0, false, false, 0}},
		/* ldrb w1, [x1, w0, uxtw] */
		{0x38604821, {PGO_FORM_LOAD, 1, 1, 0, 0, 1, false, false, 0}},
		/* ldrh w1, [x1, w0, uxtw #1] */
		{0x78605821, {PGO_FORM_LOAD, 1, 1, 0, 1, 2, false, false, 0}},
		/* ldrsw x11, [x9, x8, lsl #2] */
		{0xb8a8792b, {PGO_FORM_LOAD, 11, 9, 8, 2, 4, true, false, 0}},
		/* ldr x17, [x16, #0xfd8] */
		{0xf947ee11, {PGO_FORM_LOAD, 17, 16, 255, 0, 8, false, false, 0xfd8}},
		/* br x17 */
		{0xd61f0220, {PGO_FORM_JUMP, 255, 17, 255, 0, 0, false, false, 0}},
		/* str w0, [x1, x2] */
		{0xb8226820, {PGO_FORM_OTHER, 255, 255, 255, 0, 0, false, false, 0}},
	};
	struct pgo_insn_decoder d;

	(void)state;
	pgo_insn_decoder_init(&d, PGO_MACHINE_AARCH64);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		const struct pgo_insn_operands *w = &t[i].want;
		struct pgo_insn_operands o;

		assert_true(
			pgo_insn_read_operands(&d, 0x12348, (const uint8_t *)&t[i].word, 4, &o));
		if (o.form != w->form || o.dst != w->dst || o.base != w->base ||
			o.index != w->index || o.shift != w->shift || o.width != w->width ||
			o.is_signed != w->is_signed || o.memory != w->memory || o.value != w->value)
			fail_msg("%08x: form %u, %u = %u + %u << %u, width %u, value %llx",
				t[i].word, o.form, o.dst, o.base, o.index, o.shift, o.width,
				(unsigned long long)o.value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arm64_words_have_their_kinds_and_targets),
		cmocka_unit_test(x86_bytes_have_their_kinds_and_targets),
		cmocka_unit_test(tables_and_library_agree),
		cmocka_unit_test(instructions_newer_than_the_library_have_their_lengths),
		cmocka_unit_test(runs_are_counted_to_their_last_instruction),
		cmocka_unit_test(arm64_words_show_their_arithmetic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
