/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a made recording holds, whatever form it is then written in: processes with their own
 * pids, clocks and load addresses, and the samples chosen from the dumps, in time order.
 */
#ifndef TESTS_EMU_MKPLAN_H
#define TESTS_EMU_MKPLAN_H

#include "ringload.h"

#include <stddef.h>
#include <stdint.h>

#define PLAN_EVENTS 3

struct plan_options {
	uint64_t aslr;           /* seed of random load addresses, 0 = as recorded */
	uint64_t base;           /* load address of the program, 0 = as recorded or random */
	uint64_t seed;           /* of the choice of samples and of noise */
	uint64_t max_samples;    /* 0 = all */
	uint64_t mono_ns;        /* clock when the first process starts */
	unsigned kernel_noise;   /* per cent of the rings' entries */
	int brbe;                /* the kernel's side of a branch is 0, and interrupts are seen */
	unsigned processes;      /* per dump */
	uint32_t pid;            /* of the first process, 0 = as recorded */
	const char *comm;        /* NULL = as recorded */
	const char *rename_from; /* a mapped path to be replaced, or NULL */
	const char *rename_to;
};

struct plan_proc {
	struct ring_dump *dump;
	struct plan_proc *parent; /* of a fork within the plan */
	uint32_t pid, ppid;
	uint64_t start_ns;
	uint64_t *delta; /* per mapping: what is added to its addresses */
	char comm[16];
};

struct plan_item {
	uint64_t time_ns;
	uint64_t order; /* serial number, for ties and for the noise */
	const struct plan_proc *proc;
	const struct ring_sample *sample;
};

struct plan {
	struct plan_options opt;
	struct ring_dump *dumps;
	unsigned n_dumps;
	struct plan_proc *procs;
	unsigned n_procs;
	struct plan_item *items;
	size_t n_items;
};

struct plan_branch {
	uint64_t from, to;
	unsigned cycles, type;
	int mispred; /* -1: not known */
};

/* Loads the dumps and makes the plan. Ends the program with a sentence when it cannot. */
void plan_make(struct plan *plan, const struct plan_options *opt, char **paths, unsigned n);
void plan_free(struct plan *plan);

uint64_t plan_addr(const struct plan_proc *proc, uint64_t addr);
uint64_t plan_map_start(const struct plan_proc *proc, size_t map);
uint32_t plan_tid(const struct plan_proc *proc, const struct ring_sample *s);
const char *plan_path(const struct plan *plan, const struct ring_map *map);
/* Is this mapping one that the child got from its parent? */
int plan_inherited(const struct plan_proc *proc, size_t map);
/* The ring as it is written, newest first, noise included; returns the number of entries. */
unsigned plan_ring(const struct plan *plan, const struct plan_item *item,
	struct plan_branch out[RING_DEPTH_MAX]);

#endif
