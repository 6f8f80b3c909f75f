/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside import: what its files share.
 *
 *	import.c        what kind of file, which reader; options, refusals, the account
 *	import_space.c  processes, what they have mapped, images; an address -> a point
 *	import_ring.c   samples and branch rings -> sums
 *	import_lane.c   sums of several threads -> one
 *	import_write.c  sums -> profiles
 *	import_place.c  points -> mappings and locations
 *	unbias_import.c rings -> executions of traces, by unbias.c; unbias_length.c measures runs
 *
 * A point is a place in a mapped file, as one 64-bit number: 31 bits of file offset, and above them
 * the number of a window (a 2 GiB piece of one image).  It is the same for every process and every
 * load address, and arithmetic within a window is arithmetic on addresses.  What is no place in a
 * file has window 0.
 */
#ifndef PGO_FETCH_IMPORT_IMPL_H
#define PGO_FETCH_IMPORT_IMPL_H

#include "fetch/import.h"
#include "fetch/recording.h"
#include "fetch/unbias_spool.h"
#include "pgo/core/elf.h"
#include "pgo/core/map.h"
#include "pgo/core/strtab.h"

enum {
	POINT_ZERO,     /* address 0: the recorder has none */
	POINT_KERNEL,   /* upper half of the address space */
	POINT_UNMAPPED, /* in no file that was mapped */
	POINT_EXTERNAL, /* as an end of a trace: somewhere else */
	POINT_EXTERNAL_RETURN,
	POINT_BRANCH_ONLY, /* as an end of a trace: not known */
	N_POINTS_SPECIAL,
};

#define WINDOW_BITS 31
#define WINDOW_MASK (((uint64_t)1 << WINDOW_BITS) - 1)
#define POINT_IS_ADDRESS(p) ((p) >> 32 != 0)

/* Fall-throughs longer than this are no fall-throughs. */
#define RANGE_MAX ((uint64_t)1 << 20)

struct pgo_imp_image {               /* a mapped file of one build */
	uint32_t filename, build_id; /* strings: as the recording has them at the mapping; begin
					of the struct: the key */
	uint32_t late_build_id;      /* from a list of build-ids, by name */
	uint64_t low, high;          /* file offsets mapped */
};

struct pgo_imp_window {
	uint32_t image;
	uint32_t number; /* of 2 GiB within the file */
};

struct pgo_imp_map { /* executable memory [start, start + len) of a process */
	uint64_t start, len;
	uint64_t base; /* point = address + base */
};

struct pgo_imp_maps { /* sorted by start; shared after a fork until one side changes */
	size_t n, room;
	struct pgo_imp_map *map;
	uint32_t refs;
};

struct pgo_imp_process {
	int32_t pid;
	uint32_t comm;       /* string */
	uint32_t main_image; /* the first file mapped since exec, or PGO_NONE */
	uint32_t group;      /* or PGO_NONE: not decided since the last change */
	struct pgo_imp_maps *maps;
};

/* A process as one thread looks at it. */
struct pgo_imp_view {
	int32_t pid;
	uint32_t process, changes; /* index; imp->changes at the time */
	bool filled;
	/* The two maps that were looked up last: branches go to and fro between two files.  len 0 =
	 * nowhere. */
	struct pgo_imp_map last, before;
};

#define PGO_IMP_VIEWS 16 /* power of two; by pid */

struct pgo_imp_trace { /* begins with its key */
	uint64_t source, target, end;
	uint64_t count, mispredicts, cycles;
};

struct pgo_imp_stack {
	size_t first; /* in points */
	uint32_t n, event;
	uint64_t hash;
	uint64_t count, value;
};

struct pgo_imp_slot {
	uint32_t index1, tag;
};

struct pgo_imp_group {             /* what becomes one profile */
	uint32_t comm, main_image; /* the key */
	struct pgo_imp_trace *traces;
	struct pgo_imp_slot *slots; /* over traces; power of two */
	size_t n_traces, traces_room, n_slots;
	uint64_t *executions; /* of each trace; NULL = not estimated */
	struct pgo_imp_stack *stacks;
	struct pgo_map stack_map;
	uint64_t *points;
	size_t n_stacks, stacks_room, n_points, points_room;
	uint64_t first_time, last_time; /* of samples used; 0 = none */
};

struct pgo_imp_event {
	char *name;
	uint32_t type;
	uint64_t config, period;
	enum pgo_event_unit unit;
	bool wanted, has_ring, call_stack, ring_all;
	bool user_only;       /* does not count in the kernel */
	uint64_t n_used;      /* samples */
	uint64_t sum_periods; /* of them */
	uint32_t ring_depth;  /* longest ring seen */
	uint32_t hardware_depth;
	uint64_t n_rings, rings_single, rings_long;
	unsigned __int128 periods, periods_squared; /* sums over rings kept, below 2^40 each */
	uint64_t n_periods;
	bool has_cycles, no_periods;
};

/* What is known of an image once everything has been read. */
struct pgo_imp_image_out {
	const char *build_id; /* "" = unknown; of the recording or of the ELF */
	const struct pgo_elf *elf;
	struct pgo_elf *own; /* elf, if it was opened here */
	bool looked_up;
};

/* A ring entry whose addresses are points. */
struct pgo_imp_branch {
	uint64_t source, target;
};

/*
 * What a thread that takes samples has of its own.  All other things are only looked at while several
 * do.  Sums are put together at the end, so it does not matter which lane a sample took.
 */
struct pgo_imp_lane {
	struct pgo_import_stats *stats;
	struct pgo_imp_event *events; /* definitions as imp->events has them; own counts */
	size_t n_events, events_room;
	struct pgo_imp_group *groups; /* as many as imp->groups; own sums */
	size_t n_groups, groups_room;
	struct pgo_import_stats own;
	struct pgo_imp_view views[PGO_IMP_VIEWS];

	/* One sample's ring and stack with addresses made points. */
	struct pgo_imp_branch *ring;
	size_t ring_room;
	bool ring_plain;        /* all its entries happened, and go from a file to a file */
	struct pgo_spool rings; /* all of them, as numbers of traces */
	uint32_t *ids;          /* of one ring */
	uint16_t *cycles;
	size_t ids_room, cycles_room;
	uint64_t *stack;
	size_t stack_room;
};

struct pgo_imp {
	const char *path;
	const void *memory; /* instead of a file; or NULL */
	size_t memory_len;
	const struct pgo_import_options *o;
	struct pgo_import_stats *stats;
	struct pgo_rec_info info;
	struct pgo_strtab strs;
	struct pgo_elf **binaries; /* of the options */
	size_t n_binaries;
	int64_t mtime_ns;

	struct pgo_imp_event *events;
	size_t n_events, events_room;
	struct pgo_imp_image *images;
	struct pgo_imp_image_out *images_out; /* after reading: one for each */
	struct pgo_map image_map;
	size_t n_images, images_room;
	struct pgo_imp_window *windows; /* [0] is no window */
	struct pgo_map window_map;
	size_t n_windows, windows_room;
	struct pgo_imp_process *processes;
	struct pgo_map process_map;
	size_t n_processes, processes_room;
	uint32_t last_process;
	size_t n_maps; /* of all processes, for the limit */
	struct pgo_imp_group *groups;
	struct pgo_map group_map;
	size_t n_groups, groups_room;

	uint32_t changes;           /* of processes and what they have mapped, counted */
	struct pgo_imp_lane *lanes; /* [0] sums up in `groups`, `events` and `stats` themselves */
	size_t n_lanes;
};

/* import_space.c */
int pgo_imp_space_init(struct pgo_imp *imp, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_imp_space_fini(struct pgo_imp *imp);
void pgo_imp_group_fini(struct pgo_imp_group *g);
int pgo_imp_on_map(void *ctx, const struct pgo_rec_map *m, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_imp_on_task(void *ctx, const struct pgo_rec_task *t, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_imp_on_build_id(
	void *ctx, const char *filename, const char *build_id, struct pgo_err *err) PGO_MUST_CHECK;
/* The process, made if it was never heard of; NULL when out of memory. */
struct pgo_imp_process *pgo_imp_process(struct pgo_imp *imp, int32_t pid, struct pgo_err *err);
/* Its group, made if need be; NULL when out of memory. */
struct pgo_imp_group *pgo_imp_group(
	struct pgo_imp *imp, struct pgo_imp_process *p, struct pgo_err *err);
/* A lane's view of a process; NULL: it was never heard of. */
struct pgo_imp_view *pgo_imp_view(
	const struct pgo_imp *imp, struct pgo_imp_lane *lane, int32_t pid);
/* In neither of the two maps: the point, and remembers its map for the older one. */
uint64_t pgo_imp_point_slow(const struct pgo_imp *imp, struct pgo_imp_view *v, uint64_t addr);

static inline uint64_t pgo_imp_point(
	const struct pgo_imp *imp, struct pgo_imp_view *v, uint64_t addr)
{
	if (addr - v->last.start < v->last.len)
		return addr + v->last.base;
	if (addr - v->before.start < v->before.len)
		return addr + v->before.base;
	return pgo_imp_point_slow(imp, v, addr);
}

/* import_ring.c */
int pgo_imp_on_sample(
	void *ctx, const struct pgo_rec_sample *s, struct pgo_err *err) PGO_MUST_CHECK;
/* Adds the sums of a trace to those of a group's; gives its index, or UINT32_MAX (memory). */
uint32_t pgo_imp_add_trace(struct pgo_imp_group *g, const struct pgo_imp_trace *t);
int pgo_imp_add_stack(struct pgo_imp_group *g, const uint64_t *points, uint32_t n, uint32_t event,
	uint64_t count, uint64_t value);

/* import_lane.c */
int pgo_imp_lanes_init(struct pgo_imp *imp, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_imp_lanes_fini(struct pgo_imp *imp);
/* For samples of these processes: makes what is missing, and gives every lane its places. */
int pgo_imp_on_prepare(
	void *ctx, const int32_t *pids, size_t n, struct pgo_err *err) PGO_MUST_CHECK;
/* After events or groups have changed. */
int pgo_imp_prepare_lanes(struct pgo_imp *imp, struct pgo_err *err) PGO_MUST_CHECK;
/* Everything to lane 0; the rings of the others behind its own. */
int pgo_imp_merge_lanes(struct pgo_imp *imp, struct pgo_err *err) PGO_MUST_CHECK;

/* import_place.c: what is known of an image; looks for its file at the first call. */
struct pgo_imp_image_out *pgo_imp_image_out(struct pgo_imp *imp, uint32_t index);

/* unbias_import.c: executions of all traces, if they can be had; says in `ret` how. */
int pgo_imp_unbias(
	struct pgo_imp *imp, struct pgo_imported *ret, struct pgo_err *err) PGO_MUST_CHECK;

/* unbias_length.c */
struct pgo_imp_lengths {
	uint32_t mean, per_byte;     /* of runs that are not known, as fetch/unbias.h has them */
	uint64_t runs, runs_counted; /* by count of traces: known, and known in instructions */
};
/* Fills the length of every trace, of group g in traces[g]: in instructions where the code is at
 * hand, else by bytes in proportion. */
struct pgo_unbias_trace;
void pgo_imp_lengths(
	struct pgo_imp *imp, struct pgo_unbias_trace *const *traces, struct pgo_imp_lengths *ret);

/* import_write.c */
int pgo_imp_write(
	struct pgo_imp *imp, struct pgo_imported *ret, struct pgo_err *err) PGO_MUST_CHECK;
/* Appends a profile and its name; takes `p` in every case. */
int pgo_imp_push(struct pgo_imported *ret, struct pgo_profile *p, const char *group,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
