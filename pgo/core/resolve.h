/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of a profile -> (build-id, ELF virtual address), the key of everything.
 *
 * Four conventions exist in the wild for Mapping and Location.address:
 *   runtime    start/limit/offset describe the process; address is a run-time address (Go,
 * gperftools, perf_to_profile) elf-mapped start is the ELF vaddr of the segment, address an ELF
 * vaddr, file_offset real (OpenTelemetry, our own files).  Arithmetic is that of `runtime`.
 *   elf-bare   start = limit = offset = 0, address is an ELF vaddr (Parca agent)
 *   elf-foreign the mapping is the run-time one but addresses are ELF vaddrs, hence outside it
 * (ddprof) The rule, decided once per mapping and reported: (1) if start < limit and most addresses
 * lie inside: file offset = address - start + offset, then the PT_LOAD that holds it; (2) else if
 * the mapping is empty, or most addresses lie in the ELF's executable segments: the address is an
 * ELF vaddr; (3) else, where there are lines: symbol-only; (4) else unmappable.  Whatever does not
 * resolve is counted under a name, never dropped in silence.
 */
#ifndef PGO_CORE_RESOLVE_H
#define PGO_CORE_RESOLVE_H

#include "pgo/core/elf.h"
#include "pgo/core/profile.h"

enum pgo_convention {
	PGO_CONV_UNKNOWN,
	PGO_CONV_MAPPED,
	PGO_CONV_ELF,
	PGO_CONV_SYMBOL_ONLY,
	PGO_CONV_UNMAPPABLE
};

/* What became of an address; the order is that of the account on the screen. */
enum pgo_loss {
	PGO_LOSS_NONE,         /* resolved to the target binary */
	PGO_LOSS_OTHER_BINARY, /* another file: libraries, the kernel */
	PGO_LOSS_OTHER_BUILD,  /* a file of that name with another build-id */
	PGO_LOSS_NO_MAPPING,   /* location without a mapping (JIT, stubs) */
	PGO_LOSS_ERASED,       /* address 0: a store or agent dropped it */
	PGO_LOSS_OUTSIDE,      /* outside its mapping, and no convention explains it (merged without
				  regard to address randomisation) */
	PGO_LOSS_NOT_CODE,     /* resolved, but not in executable code of the binary */
	PGO_LOSS_SYMBOL_ONLY,  /* names but no address */
	PGO_N_LOSSES
};
/* "other binary", ...: for people; and "other_binary", ...: for JSON. */
const char *pgo_loss_name(enum pgo_loss loss);
const char *pgo_loss_key(enum pgo_loss loss);

struct pgo_resolved {
	uint64_t vaddr; /* valid if loss is PGO_LOSS_NONE */
	uint8_t loss;   /* enum pgo_loss */
};

struct pgo_resolver {
	enum pgo_convention *convention; /* per mapping */
	bool *ours;                      /* per mapping: belongs to the target */
	struct pgo_resolved *at;         /* per location */
	size_t n_mappings, n_locations;
	bool by_name; /* matched by file name because the profile has no build-id at all */
};

/*
 * Resolves every location of `p` against `elf`.  A mapping is the target's if its build-id (plain,
 * or inside the JSON object that Pyroscope writes) equals the ELF's build-id or file id; if one of the two has no
 * build-id, if its base name equals that of the ELF or of `alias` (may be NULL) - then `by_name` is
 * set.  "Most" addresses of a mapping means: more than half of its distinct locations.
 *
 * A mapping that spans several segments is read by file offset, or, where that finds less code, by
 * distance from its start.  A location without address whose only name is `BASENAME+0xVADDR` has
 * that address.
 */
int pgo_resolver_init(struct pgo_resolver *r, const struct pgo_profile *p,
	const struct pgo_elf *elf, const char *alias, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_resolver_fini(struct pgo_resolver *r);
/* The plain hex build-id in a Mapping.build_id, into `ret` ("" if none): unwraps Pyroscope's JSON,
 * lower-cases. */
void pgo_build_id_normalize(const char *text, char ret[129]);

#endif
