/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single instructions as pgo/core/insn.h sees them, for comparison with a disassembler.
 *
 *	insn_tool words SEED N          N words that are or resemble A64 instructions, to stdout
 *	insn_tool arm64|x86 ADDRESS     code from stdin that lies at ADDRESS (hexadecimal): a line
 *	                                `ADDRESS SIZE KIND TARGET` for each instruction
 */
#include "pgo/core/insn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t draw(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

/* Half of them in the group of branches and system instructions, of which half with the fixed
 * fields of those through registers; some with all bits of a field set. */
static void put_words(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		uint32_t w = draw(), how = draw();

		if ((how & 1) != 0)
			w = (w & ~0x1c000000u) | 0x14000000;
		if ((how & 3) == 3) {
			w = (w & 0x01ffffff) | 0xd6000000;
			w |= (how & 0x10) != 0 ? 0x1f0000 : 0;
			w &= (how & 0x20) != 0 ? ~0xf000u : ~0u;
			w |= (how & 0x40) != 0 ? 0x3e0 : 0;
			w = (how & 0x180) == 0 ? w | 0x1f : (how & 0x180) == 0x80 ? w & ~0x1fu : w;
			w &= (how & 0x200) != 0 ? ~0x1e00000u : ~0u;
			w |= (draw() & 15) << 21;
			w = (how & 0xc00) == 0 ? w & ~0xfc00u : w;
		} else if ((how & 7) == 1) {
			w = (w & 0x00ffffff) | 0xd4000000;
			w &= (how & 0x10) != 0 ? ~0x1eu : ~0u;
		}
		if ((how & 0xf0000) == 0)
			w &= 0xffff;
		fwrite(&w, sizeof w, 1, stdout);
	}
}

static void show(enum pgo_machine machine, uint64_t addr, const uint8_t *code, size_t len)
{
	static const char *const names[] = {"other", "cond", "jump", "jump-indirect", "call",
		"call-indirect", "ret", "trap", "nop"};
	struct pgo_insn_decoder d;
	struct pgo_insn insn;

	pgo_insn_decoder_init(&d, machine);
	for (size_t at = 0; at < len; at += insn.size) {
		if (!pgo_insn_decode(&d, addr + at, code + at, len - at, &insn)) {
			printf("%" PRIx64 " 1 bad 0\n", addr + at);
			insn.size = 1;
			continue;
		}
		printf("%" PRIx64 " %u %s %" PRIx64 "\n", insn.addr, insn.size, names[insn.kind],
			insn.target);
	}
}

int main(int argc, char **argv)
{
	size_t len = 0, room = 1 << 24, n;
	uint8_t *code = malloc(room);

	if (code == NULL || argc < 3)
		return 2;
	if (strcmp(argv[1], "words") == 0 && argc == 4) {
		state = strtoul(argv[2], NULL, 0);
		put_words(strtoul(argv[3], NULL, 0));
		free(code);
		return 0;
	}
	while ((n = fread(code + len, 1, room - len, stdin)) != 0) {
		len += n;
		if (len == room && (code = realloc(code, room *= 2)) == NULL)
			return 2;
	}
	show(strcmp(argv[1], "x86") == 0 ? PGO_MACHINE_X86_64 : PGO_MACHINE_AARCH64,
		strtoul(argv[2], NULL, 16), code, len);
	free(code);
	return 0;
}
