/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of ring_plugin while the guest runs, shared by its four files:
 *   ring_plugin.c  options, translation, the path that every block takes
 *   ring_sample.c  what happens when the event counter overflows
 *   ring_maps.c    mappings and signal handlers, learnt from system calls
 *   ring_out.c     the dump
 *
 * Blocks, branches and edges are never freed: the emulator keeps pointers to blocks in translated
 * code. With one thread all counters are plain; from the second thread on, shared counters are
 * added to atomically. `lock` guards the tables and is taken on slow paths only.
 */
#ifndef TESTS_EMU_RING_STATE_H
#define TESTS_EMU_RING_STATE_H

#include "emu_qemu.h"
#include "ring_isa.h"
#include "ringdump.h"

#include <pthread.h>

#define RING_TABLE_BITS 18
#define RING_VCPUS 4096
#define RING_STACK 4096 /* shadow frames kept per thread; deeper ones overwrite the oldest */
#define RING_NO_FALL 1  /* no instruction starts here: the block never falls through */
#define RING_COLD __attribute__((noinline, cold))

/* One taken branch: a (from, to) pair. */
struct redge {
	uint64_t from, to;
	uint64_t count, mispreds;
	uint32_t type, id;
	struct redge *next;
};

/* One branch instruction, shared by all blocks that it ends: its predictor. */
struct rbranch {
	uint64_t from;
	uint64_t last_to; /* indirect: last target */
	uint8_t counter;  /* conditional: 0..3, taken is predicted from 2 */
	struct rbranch *next;
};

/* One translated straight run. */
struct rblock {
	uint64_t start;
	uint64_t fall; /* address after the last instruction, or RING_NO_FALL */
	struct redge *edge;
	struct rbranch *branch; /* NULL if the last instruction is no branch */
	uint64_t count;
	uint32_t cost; /* quarter cycles */
	uint16_t n_insns;
	uint8_t type, direct; /* of the last instruction */
	uint64_t last, end, target;
	uint64_t key;     /* address less this is what the cost model hashes: the same at every load
			     address */
	uint16_t *offset; /* of each instruction from start */
	/*
	 * x86: the emulator gives up on an instruction that would cross into the next page and
	 * leaves it to the next block, yet still lists it. What it lists is kept in `whole`, the
	 * block itself ends one instruction earlier, and while `unsure`, the first departure to
	 * elsewhere proves the instruction ran.
	 */
	struct rblock *whole;
	int unsure;
	struct rblock *next;
};

struct rslot {
	struct redge *edge;
	uint32_t cycles;
	uint32_t mispred;
};

struct rchunk {
	struct rchunk *next;
	size_t used;
	unsigned char data[(1 << 20) - 32];
};

struct rvcpu {
	struct rblock *prev;
	uint64_t insns, quarters, branches; /* up to the end of prev */
	const uint64_t *clock;              /* the one that is the event */
	uint64_t due;                       /* when *clock reaches it, ring_overflow() */
	uint64_t stall_due;
	uint64_t branch_at; /* quarters at the newest branch */
	uint32_t head, n_ring;
	uint32_t depth; /* of the shadow stack, may pass RING_STACK */
	struct rslot ring[RING_DEPTH_MAX];
	uint64_t mispredicts;
	/* sampling */
	uint64_t sampled_at; /* *clock at the previous sample */
	uint64_t overflow;   /* clock value of the next overflow */
	int64_t skid; /* instructions still to go before the ring is captured; -1 = none pending */
	uint64_t random, stall_random;
	uint32_t tid;
	uint64_t n_samples;
	struct rchunk *first, *chunk;
	/* the system call under way */
	int64_t sys_num;
	uint64_t sys_arg[6];
	struct rvcpu *older;
	uint64_t stack[RING_STACK];
};

struct ring_state {
	/* options */
	const char *out, *count_out;
	enum ring_event event;
	int sampling;
	uint32_t depth, skid, jitter, flags;
	uint64_t period, seed, max_samples;
	/* guest */
	enum ring_isa isa;
	int threaded, started;
	uint64_t guest_base;
	uint64_t wall_ns;
	uint32_t pid;
	struct rvcpu *vcpu[RING_VCPUS];
	struct rvcpu *all; /* every thread that ever ran, newest first */
	uint32_t n_edges;
	uint64_t breaks, n_samples, lost;
	pthread_mutex_t lock;
	struct rblock *blocks[1 << RING_TABLE_BITS];
	struct rbranch *branches[1 << RING_TABLE_BITS];
	struct redge *edges[1 << RING_TABLE_BITS];
};

extern struct ring_state R;

void *ring_alloc(size_t size); /* zeroed; never fails, ends the run instead */
uint64_t ring_hash(uint64_t a, uint64_t b);
uint32_t ring_insn_cost(const struct rblock *b, uint64_t addr);

/* ring_sample.c */
void ring_vcpu_reset(struct rvcpu *v, unsigned index);
void ring_overflow(struct rvcpu *v, const struct rblock *b);
void ring_stall(struct rvcpu *v);

/* ring_maps.c */
void ring_maps_start(void);
uint64_t ring_maps_key(uint64_t addr); /* for struct rblock's key */
int ring_is_handler(uint64_t addr);
void ring_syscall(emu_qemu_id id, unsigned vcpu, int64_t num, uint64_t a1, uint64_t a2, uint64_t a3,
	uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
void ring_sysret(emu_qemu_id id, unsigned vcpu, int64_t num, int64_t ret);
void ring_maps_forked(void); /* what is mapped now is there from the child's start */
/* Fills the layout, build-ids included; gives the array, free() it. */
struct ring_map *ring_maps_export(uint64_t *ret_n);

/* ring_out.c */
void ring_out(emu_qemu_id id, void *data);
void ring_forked(struct rvcpu *v);

#endif
