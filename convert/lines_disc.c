/* SPDX-License-Identifier: Apache-2.0 */
/* Discriminators, as gcc and clang pack them. */
#include "convert/lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* One prefix-coded component; takes it off `*raw`. */
static uint32_t clang_component(uint32_t *raw)
{
	uint32_t v;

	if (*raw & 1) {
		*raw >>= 1;
		return 0;
	}
	v = *raw >> 1 & 31;
	if (*raw & 0x40) {
		v |= (*raw >> 7 & 0x7f) << 5;
		*raw >>= 14;
	} else {
		*raw >>= 7;
	}
	return v;
}

void pgo_disc_decode(enum pgo_disc_encoding enc, uint32_t raw, uint32_t *ret_base,
	uint32_t *ret_factor, uint32_t *ret_copy)
{
	*ret_base = raw;
	*ret_factor = 1;
	*ret_copy = 0;
	if (enc == PGO_DISC_CLANG) {
		*ret_base = clang_component(&raw);
		*ret_factor = clang_component(&raw);
		/* LLVM's copy ids tell clones apart; counts take the largest over them. */
	} else if (enc == PGO_DISC_GCC16) {
		*ret_base = raw & 0xff;
		*ret_factor = raw >> 8 & 0x7f;
		*ret_copy = raw >> 15 & 0x7ff;
	}
	if (*ret_factor == 0)
		*ret_factor = 1;
}

bool pgo_elf_has_fs_discriminators(const struct pgo_elf *elf)
{
	static const char name[] = "__llvm_fs_discriminator__";
	size_t len;
	const uint8_t *names = pgo_elf_section_data(elf, ".strtab", &len);

	/* A variable, which the table of functions does not hold. */
	return names != NULL && memmem(names, len, name, sizeof name) != NULL;
}

enum pgo_disc_encoding pgo_disc_encoding_of(const char *producer)
{
	const char *p;

	if (producer == NULL || strncmp(producer, "GNU ", 4) != 0)
		return producer != NULL && strncmp(producer, "Go ", 3) == 0 ? PGO_DISC_PLAIN
									    : PGO_DISC_CLANG;
	/* "GNU C++17 16.2.0 -O2": the release follows the language. */
	p = strchr(producer + 4, ' ');
	return p != NULL && isdigit((unsigned char)p[1]) && strtol(p + 1, NULL, 10) >= 16
		       ? PGO_DISC_GCC16
		       : PGO_DISC_PLAIN;
}
