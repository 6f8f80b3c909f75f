/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dump that ring_plugin writes and that mkperf and exact read: what one process did, seen by a
 * test instrument, not by a processor.
 *
 * What is true in it: every control transfer of the guest program's user code, counted exactly
 * (edges and blocks), its mappings, and the branch rings, which hold the branches that really
 * preceded each sample. What is a model: cycles, time, mispredictions (a two-bit counter per
 * conditional branch, last target for indirect branches, a return stack for returns), and the
 * sampling events derived from them. What is not there: the kernel, interrupts, speculation,
 * caches, the page-fault and hypervisor effects of a real machine. Samples have no skid unless
 * asked for.
 *
 * Layout, all little-endian, every section 8-aligned, at the offset that the header gives:
 *
 *   struct ring_header
 *   command line        cmdline_size bytes, arguments each ended by NUL
 *   struct ring_map     [n_maps]      executable mappings in the order they were made
 *   struct ring_edge    [n_edges]     every taken branch, sorted by (from, to)
 *   struct ring_block   [n_blocks]    every straight run the emulator translated, sorted by (start,
 * last) samples             n_samples times { struct ring_sample; struct ring_entry[n_ring], newest
 * first; uint64_t chain[n_chain], return addresses, innermost first }
 *
 * Samples of one thread are in time order; those of several threads follow each other.
 * Addresses are the guest's. In a map's file they are at file offset addr - start + pgoff and at
 * ELF virtual address addr - start + pgoff + vaddr_off.
 *
 * Blocks overlap: code entered in the middle is translated again from there. An instruction ran as
 * often as the blocks that contain it, summed. A conditional branch fell through as often as the
 * blocks it ends ran, less its taken edges.
 */
#ifndef TESTS_EMU_RINGDUMP_H
#define TESTS_EMU_RINGDUMP_H

#include <stdint.h>

#define RING_MAGIC "EMURING1"
#define RING_BUILD_ID_MAX 20
#define RING_PATH_MAX 1024
#define RING_DEPTH_MAX 32
/* Model clock: cycles are counted in quarters; three cycles are one nanosecond. */
#define RING_QUARTERS_PER_NS 12

enum ring_event { RING_EV_BRANCHES, RING_EV_INSTRUCTIONS, RING_EV_CYCLES };

enum ring_flag {
	RING_F_CYCLES = 1, /* ring entries carry cycles */
	RING_F_CHAIN = 2,  /* samples carry call chains */
};

struct ring_header {
	char magic[8];
	uint32_t header_size;
	uint32_t isa; /* ELF e_machine of the guest */
	uint32_t event, flags;
	uint32_t depth, skid;
	uint64_t period, seed;
	uint32_t jitter; /* per cent of the period, both ways */
	uint32_t pid, ppid, cmdline_size;
	char comm[16];
	uint64_t wall_ns; /* wall clock at the start, ns since the epoch */
	/* totals of the whole process, all threads */
	uint64_t insns, branches, mispredicts, quarters;
	uint64_t breaks; /* transfers by the kernel (signals): neither branch nor fall-through */
	uint64_t lost;   /* samples over the limit, not stored */
	uint64_t cmdline_off;
	uint64_t maps_off, n_maps;
	uint64_t edges_off, n_edges;
	uint64_t blocks_off, n_blocks;
	uint64_t samples_off, n_samples, samples_size;
};

struct ring_map {
	uint64_t start, len, pgoff;
	uint64_t vaddr_off; /* p_vaddr - p_offset of the segment, modulo 2^64 */
	uint64_t time_ns; /* model time when mapped; 0 = by the loader, before the first instruction
			   */
	uint64_t gone_ns; /* when unmapped, or UINT64_MAX */
	uint64_t ino;
	uint32_t maj, min;
	uint32_t prot;
	uint16_t elf_type; /* ET_EXEC, ET_DYN, 0 = no ELF file */
	uint16_t build_id_size;
	uint8_t build_id[RING_BUILD_ID_MAX];
	uint32_t main; /* 1 = the program itself */
	char path[RING_PATH_MAX];
};

struct ring_edge {
	uint64_t from, to;
	uint64_t count, mispreds;
	uint32_t type; /* enum ring_branch of ring_isa.h */
	uint32_t pad;
};

struct ring_block {
	uint64_t start, last, end; /* first and last instruction; address after the last */
	uint64_t count;
	uint32_t n_insns, type;
};

struct ring_entry {
	uint32_t edge;   /* index into the edges */
	uint16_t cycles; /* since the previous branch, rounded down, at most 65535 */
	uint8_t mispred, pad;
};

struct ring_sample {
	uint64_t ip, time_ns;
	uint64_t period; /* events since the previous sample of this thread */
	uint32_t tid;
	uint16_t n_ring, n_chain;
};

#endif
