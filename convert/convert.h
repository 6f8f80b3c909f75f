/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address-level profile + binaries -> one source-level profile and a .fdata for each, in one pass
 * over the profile.
 *
 *	reader --resolve--> traces of each binary
 *	       --ranges.c-> counts per address range, branches, heads
 *	       --lines.c--> per (inline chain, line, discriminator) counts --> struct pgo_fnprof
 *	                    --> .afdo, LLVM
 *	       --cfg.c----> block boundaries of hot functions --> struct pgo_fdata --> BOLT
 *
 * Only the DWARF units and functions that samples hit are looked at.
 *
 *	c = pgo_convert_new(&o, err);
 *	pgo_convert_add(c, reader, err) ...;
 *	pgo_convert_run(c, err);
 *	then take the results; pgo_convert_free(c);
 *
 * Several binaries: a program and its shared libraries.  A branch from one into another leaves the
 * one and enters the other.  Functions of one name (templates, inline functions, static libraries
 * linked twice) are one function to the compiler, and their counts are added; the order in which
 * the binaries were named has no influence.
 */
#ifndef PGO_CONVERT_CONVERT_H
#define PGO_CONVERT_CONVERT_H

#include "convert/debugfile.h"
#include "convert/fdata.h"
#include "convert/fnprof.h"
#include "convert/reanchor.h"
#include "convert/stale.h"
#include "convert/symbolic.h"
#include "convert/trim.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/profile.h"
#include "pgo/core/resolve.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_convert_options {         /* all borrowed for as long as the conversion lives */
	const char *const *binaries; /* the profiled ELFs */
	size_t n_binaries;
	const char *const *binary_dirs; /* where files are looked for by the build-ids that the
					   profile names */
	size_t n_binary_dirs;
	struct pgo_debug_places where; /* of debug information */
	bool want_fnprof;              /* for --gcc and --clang */
	bool want_fdata;               /* for --bolt */
	bool want_go;                  /* for --go and --go-preprofile */
	bool only_go;   /* and nothing else: then there need be neither binaries nor addresses */
	bool no_unbias; /* count records, even if executions were estimated */
	struct pgo_trim_options trim; /* of the source-level profile */
	const char *target;           /* a newer build to compare that with, or NULL */
	bool carry_over;              /* builds other than the target become counts of the target */
	unsigned affinity;   /* thousandths that a count of a function that moved is worth then */
	bool allow_symbolic; /* use samples that have names and lines only */
};

struct pgo_convert_missing {  /* a file that was profiled and not given */
	const char *name;     /* as the profile has it */
	const char *build_id; /* "" if the profile has none */
	uint64_t count;
};

#define PGO_ACCOUNT_TOP 10

/* How profiles without branch records were made into counts; see convert/plain.h. */
struct pgo_plain_estimate {
	uint64_t samples; /* that were put on the code */
	size_t functions,
		blocks;        /* that got counts; split-off parts are not counted on their own */
	size_t blocks_sampled; /* the others' counts come from their neighbours alone */
	size_t functions_thin; /* with fewer than PGO_PLAIN_FEW samples */
	uint64_t samples_thin; /* in those */
	size_t jumps_unknown;  /* indirect ones that lead out of the known code */
	size_t sites, sites_known;   /* indirect calls that ran; with targets from call stacks */
	uint64_t calls, calls_known; /* their executions, in thousandths of a sample */
	bool stacks_unreliable;      /* callers are missing on the stacks: they were not used */
};

/*
 * Where everything went.  Counts are of branch records where there are any, else of samples; read =
 * used + losses.  There is one of each binary, for which the others are "other binary", and one of
 * all together.
 */
struct pgo_account {
	struct { /* of --go: stacks, or branches, by weight */
		bool wanted;
		uint64_t read, used;
		uint64_t unnamed; /* lost: in no function that is known */
		uint64_t
			no_start; /* of the used: a function has no first line, and will not match */
	} go;
	const char *name;       /* base name of the binary; NULL: of several */
	const char *build_id;   /* likewise */
	bool lbr;               /* made from branch records */
	bool executions_coarse; /* they were not, having less resolution than the records */
	bool executions_used;   /* what is counted are executions as estimated with each record;
				 flows of the account are of records nevertheless */
	uint64_t unestimated;   /* records without such an estimate, though others have it */
	uint64_t inputs, inputs_plain;         /* all; without branch records */
	uint64_t plain_unused;                 /* samples of the latter, if others have them */
	uint64_t samples_read;                 /* pprof samples (distinct stacks or traces) */
	uint64_t branches_read, branches_used; /* taken branches, by count */
	uint64_t branch_loss[PGO_N_LOSSES];    /* both ends elsewhere */
	uint64_t branches_entering,
		branches_leaving;          /* one end elsewhere: used, as entry or exit */
	uint64_t ranges_read, ranges_used; /* fall-through ranges, by count */
	uint64_t range_loss[PGO_N_LOSSES];
	uint64_t ranges_backward, ranges_too_long, ranges_no_function, ranges_cross_function,
		ranges_cross_jump, ranges_misaligned; /* bogus ones, by kind */
	uint64_t ranges_stub; /* in linkage stubs (PLT): sound, but nothing counts them */
	uint64_t plain_read, plain_used,
		plain_loss[PGO_N_LOSSES]; /* instruction samples, without LBR */
	/* of those, in the program, but: in linkage stubs, where no function is, on no instruction */
	uint64_t plain_stub, plain_no_function, plain_misplaced;
	struct pgo_plain_estimate estimate;
	struct pgo_symbolic_report symbolic; /* if asked for */
	uint64_t instructions_hit;           /* distinct, in ranges */
	uint64_t no_line;                    /* executions of instructions without a source line */
	uint64_t executions;                 /* sum of counts over instructions */
	size_t functions, functions_hot;     /* with any count; covering 99 % of the counts */
	/* How well hot functions are covered, as llvm-bolt and as llvm-profgen have it; the second one
	 * only of all together, and only where there is a source-level output. */
	double density, density_llvm;
	double mapped_share;    /* used / read */
	const char *debug_file; /* where debug information was found; NULL: of several, or none */
	const char *split_file; /* the first .dwo or .dwp file used, or NULL */
	uint64_t split_units, split_missing; /* units that ran whose split part was found, or not */
	struct {
		const char *name;
		uint64_t count; /* executed instructions */
		double share;
	} hottest[PGO_ACCOUNT_TOP];
	size_t n_hottest;
	/* Of all together only. */
	const struct pgo_account *const *binaries; /* each, by (name, build-id) */
	size_t n_binaries;
	struct pgo_convert_missing missing[PGO_ACCOUNT_TOP]; /* the largest, largest first */
	size_t n_missing, n_missing_all;     /* how many are above; how many there are */
	struct pgo_trim_account trim;        /* what was left out as asked */
	struct pgo_reanchor_account carried; /* from other builds */
	struct pgo_stale stale;              /* what the target cannot use */
};

struct pgo_convert;
/* Opens the binaries.  PGO_EUSAGE: two of them are one build. */
struct pgo_convert *pgo_convert_new(const struct pgo_convert_options *o, struct pgo_err *err);
void pgo_convert_free(struct pgo_convert *c);
/* Draws all samples of `r`; borrows it.  Looks for binaries in the directories as the profile names
 * them.  PGO_EUSAGE: two binaries may be what the profile means. */
int pgo_convert_add(
	struct pgo_convert *c, struct pgo_reader *r, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * PGO_EMISMATCH: nothing belongs to any binary (both build-ids are named); PGO_EEMPTY: nothing
 * usable, with the largest loss named; PGO_ENOTFOUND: no debug information and want_fnprof.  Of
 * several binaries one without a use is warned about and stands in the account.
 */
int pgo_convert_run(struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
/* The binaries at hand: those named, and after adding profiles those found; after the run sorted by
 * (base name, build-id). */
size_t pgo_convert_n_binaries(const struct pgo_convert *c);
const struct pgo_elf *pgo_convert_binary(const struct pgo_convert *c, size_t i);
/* Are there outputs of binary i alone?  Where other builds are carried over, of the target only. */
bool pgo_convert_has_own(const struct pgo_convert *c, size_t i);
/* Borrowed; NULL unless asked for. Sorted. */
const struct pgo_fnprof *pgo_convert_fnprof(const struct pgo_convert *c);
/* What Go's compiler wants (convert/gopgo.h), or NULL; borrowed. */
struct pgo_gopgo;
const struct pgo_gopgo *pgo_convert_go(const struct pgo_convert *c);
/* Of binary i; NULL as well if nothing in it ran. */
struct pgo_fdata *pgo_convert_fdata(const struct pgo_convert *c, size_t i);
/* What outputs are made from that need neither lines nor blocks of the pass, of binary i;
 * borrowed. */
struct pgo_codefns;
struct pgo_ranges;
struct pgo_convert_view {
	const struct pgo_elf *elf;       /* instructions */
	const struct pgo_elf *symbols;   /* names: the ELF, or its debug file */
	const struct pgo_ranges *ranges; /* sorted */
	const struct pgo_codefns *fns;   /* finished */
	const char *event;               /* of plain samples, or NULL */
};
void pgo_convert_look(const struct pgo_convert *c, size_t i, struct pgo_convert_view *ret);
const struct pgo_account *pgo_convert_account(const struct pgo_convert *c);
/* One screen for people; one object for machines. */
void pgo_account_text(const struct pgo_account *a, struct pgo_buf *out);
void pgo_account_json(const struct pgo_account *a, struct pgo_json *j);

#endif
