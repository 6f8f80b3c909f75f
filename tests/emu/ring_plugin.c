/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_plugin: branch records without the hardware. A plugin for QEMU's user-mode emulator that
 * watches a real program run, keeps for each thread a ring of its last taken branches as a
 * processor's last-branch records would, samples that ring, and counts every branch exactly in the
 * same run.
 *
 * How: the emulator calls on_block() before each translated straight run. If the run does not start
 * where the one before it ended, or that one ended in an unconditional branch, its last instruction
 * was a taken branch. Not branches: runs that end without one, a repeated string instruction
 * entered again, and what the kernel does (return from a system call, signal delivery and return).
 *
 * What is emulated and what is not is said in ringdump.h. Known small errors: a conditional branch
 * to the instruction after it counts as not taken; a block that faults half-way counts as whole; a
 * signal hides the one branch it interrupts; code that is replaced at the same address shares its
 * predictor; no dump is written when a signal kills the guest.
 *
 * Options (name=value, after the plugin's file name, separated by commas):
 *   out=FILE       the dump; a forked child writes FILE.PID
 *   count=FILE     text: instructions and taken branches; without out= nothing is sampled
 *   event=branches|instructions|cycles   period=N   jitter=PERCENT   seed=N   skid=N
 *   depth=N (1..32)   cyclesfield=0|1   callchain=0|1   maxsamples=N
 */
#include "ring_state.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

EMU_EXPORT int qemu_plugin_version = EMU_QEMU_API;
EMU_EXPORT int qemu_plugin_install(
	emu_qemu_id id, const struct emu_qemu_info *info, int argc, char **argv);

struct ring_state R = {
	.sampling = 1,
	.depth = 32,
	.jitter = 10,
	.period = 100003,
	.seed = 1,
	.flags = RING_F_CYCLES,
	.max_samples = 8000000,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

/* What a thread comes from at its first block: leads nowhere. */
static struct rblock birth;

void *ring_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p) {
		fputs("ring_plugin: out of memory\n", stderr);
		_exit(125);
	}
	return p;
}

uint64_t ring_hash(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ (b << 32 | b >> 32)) * 0x9e3779b97f4a7c15u;

	h ^= h >> 32;
	return h * 0xd6e8feb86659fd93u;
}

/* The cost model, in quarter cycles: 0.25, 1, 4, 15 cycles for 70, 20, 8, 2 % of all instructions.
 */
uint32_t ring_insn_cost(const struct rblock *b, uint64_t addr)
{
	unsigned r = (unsigned)(ring_hash(addr - b->key, 0x636f7374) >> 32) % 100;

	return r < 70 ? 1 : r < 90 ? 4 : r < 98 ? 16 : 60;
}

#define RING_MISPREDICT_COST 60

static inline void bump(uint64_t *counter)
{
	if (__builtin_expect(R.threaded, 0))
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	else
		(*counter)++;
}

static RING_COLD struct redge *edge_new(
	struct redge **bucket, struct redge *found, uint64_t from, uint64_t to, uint32_t type)
{
	pthread_mutex_lock(&R.lock);
	for (found = *bucket; found && (found->from != from || found->to != to);
		found = found->next)
		;
	if (!found) {
		found = ring_alloc(sizeof(*found));
		found->from = from;
		found->to = to;
		found->type = type;
		found->id = R.n_edges++;
		found->next = *bucket;
		__atomic_store_n(bucket, found, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&R.lock);
	return found;
}

static struct redge *edge_get(uint64_t from, uint64_t to, uint32_t type)
{
	struct redge **bucket = &R.edges[ring_hash(from, to) >> (64 - RING_TABLE_BITS)];
	struct redge *e;

	for (e = __atomic_load_n(bucket, __ATOMIC_ACQUIRE); e; e = e->next)
		if (e->from == from && e->to == to)
			return e;
	return edge_new(bucket, e, from, to, type);
}

/* The edge from the end of p to b, or NULL if no branch of p leads there (the kernel did it). */
static struct redge *find_edge(struct rblock *p, const struct rblock *b)
{
	struct redge *e;

	if (!p->branch || (p->direct && p->target != b->start))
		return NULL;
	if (!p->direct && ring_is_handler(b->start))
		return NULL;
	e = edge_get(p->last, b->start, p->type);
	p->edge = e;
	return e;
}

/* Pops the shadow stack at a return to `to`; was it the address that the stack predicted? */
static int pop_return(struct rvcpu *v, uint64_t to)
{
	uint32_t i, d = v->depth;

	if (d && v->stack[(d - 1) % RING_STACK] == to) {
		v->depth = d - 1;
		return 1;
	}
	/* left by longjmp, unwinding or a switched stack: drop the frames in between, if it is
	 * there */
	for (i = d; i > 0 && d - i < RING_STACK; i--) {
		if (v->stack[(i - 1) % RING_STACK] == to) {
			v->depth = i - 1;
			break;
		}
	}
	return 0;
}

static inline int predicted(struct rvcpu *v, struct rblock *p, uint64_t to)
{
	int ok = 1;

	switch (p->type) {
	case RING_BR_COND:
		ok = p->branch->counter >= 2;
		if (p->branch->counter < 3)
			p->branch->counter++;
		break;
	case RING_BR_IND_CALL:
		v->stack[v->depth++ % RING_STACK] = p->end;
		/* fall through */
	case RING_BR_IND:
		ok = p->branch->last_to == to;
		p->branch->last_to = to;
		break;
	case RING_BR_CALL:
		v->stack[v->depth++ % RING_STACK] = p->end;
		break;
	case RING_BR_RET:
		ok = pop_return(v, to);
		break;
	default:
		break;
	}
	return ok;
}

static inline void not_taken(struct rvcpu *v, struct rblock *p)
{
	if (p->branch->counter >= 2) {
		v->quarters += RING_MISPREDICT_COST;
		v->mispredicts++;
	}
	if (p->branch->counter > 0)
		p->branch->counter--;
}

/* The doubtful last instruction of p did run: p is the whole block. */
static RING_COLD void settle(struct rvcpu *v, struct rblock *p)
{
	pthread_mutex_lock(&R.lock);
	if (p->unsure) {
		v->insns += p->whole->n_insns - p->n_insns;
		v->quarters += p->whole->cost - p->cost;
		p->n_insns = p->whole->n_insns;
		p->cost = p->whole->cost;
		p->type = p->whole->type;
		p->direct = p->whole->direct;
		p->target = p->whole->target;
		p->last = p->whole->last;
		p->end = p->whole->end;
		p->branch = p->whole->branch;
		p->fall = p->whole->fall;
		p->unsure = 0;
	}
	pthread_mutex_unlock(&R.lock);
}

/* Control went from p to b, not straight. False if b is the rest of p's last instruction. */
static int leave(struct rvcpu *v, struct rblock *p, struct rblock *b)
{
	struct redge *e = p->edge;
	struct rslot *slot;

	if (__builtin_expect(!e || e->to != b->start, 0)) {
		if (p->unsure) {
			settle(v, p);
			if (b->start != p->fall)
				return leave(v, p, b);
			if (p->type == RING_BR_COND)
				not_taken(v, p);
			return 1;
		}
		if (p->type == RING_BR_REP && b->start == p->last)
			return 0;
		e = find_edge(p, b);
		if (!e) {
			if (p != &birth)
				bump(&R.breaks);
			return 1;
		}
	}
	slot = &v->ring[v->head++ % RING_DEPTH_MAX];
	slot->edge = e;
	slot->cycles = (uint32_t)((v->quarters - v->branch_at) >> 2);
	slot->mispred = 0;
	v->branch_at = v->quarters;
	v->branches++;
	bump(&e->count);
	if (!predicted(v, p, b->start)) {
		slot->mispred = 1;
		v->quarters += RING_MISPREDICT_COST;
		v->mispredicts++;
		bump(&e->mispreds);
	}
	return 1;
}

static void on_block(unsigned vcpu, void *data)
{
	struct rvcpu *v = R.vcpu[vcpu];
	struct rblock *b = data, *p = v->prev;

	if (b->start != p->fall) {
		if (!leave(v, p, b))
			return;
	} else if (p->type == RING_BR_COND) {
		not_taken(v, p);
	}
	v->prev = b;
	bump(&b->count);
	v->insns += b->n_insns;
	v->quarters += b->cost;
	if (__builtin_expect(v->quarters >= v->stall_due, 0))
		ring_stall(v);
	if (__builtin_expect(*v->clock >= v->due, 0))
		ring_overflow(v, b);
}

static struct rbranch *branch_get(uint64_t from)
{
	struct rbranch **bucket = &R.branches[ring_hash(from, 0) >> (64 - RING_TABLE_BITS)], *br;

	for (br = *bucket; br; br = br->next)
		if (br->from == from)
			return br;
	br = ring_alloc(sizeof(*br));
	br->from = from;
	br->counter = 1;
	br->next = *bucket;
	*bucket = br;
	return br;
}

static int same_code(const struct rblock *a, const struct rblock *b)
{
	return a->start == b->start && a->end == b->end && a->last == b->last &&
	       a->n_insns == b->n_insns && a->type == b->type && a->target == b->target;
}

/* Trims the doubtful last instruction off b; see struct rblock. */
static void doubt_last(struct rblock *b)
{
	b->whole = ring_alloc(sizeof(*b));
	*b->whole = *b;
	b->unsure = 1;
	b->end = b->fall = b->last;
	b->n_insns--;
	b->cost -= ring_insn_cost(b, b->last);
	b->last = b->start + b->offset[b->n_insns - 1];
	b->type = RING_BR_NONE;
	b->direct = 0;
	b->target = 0;
	b->branch = NULL;
}

/* A block for the run just translated: the one of an earlier translation if it is the same code. */
static struct rblock *block_get(const struct rblock *want, struct qemu_plugin_tb *tb)
{
	struct rblock **bucket = &R.blocks[ring_hash(want->start, 0) >> (64 - RING_TABLE_BITS)], *b;
	unsigned i;

	for (b = *bucket; b; b = b->next)
		if (same_code(b->whole ? b->whole : b, want))
			return b;
	b = ring_alloc(sizeof(*b));
	*b = *want;
	b->key = ring_maps_key(b->start);
	b->offset = ring_alloc(sizeof(*b->offset) * b->n_insns);
	for (i = 0; i < b->n_insns; i++) {
		uint64_t addr = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i));

		b->offset[i] = (uint16_t)(addr - b->start);
		b->cost += ring_insn_cost(b, addr);
	}
	if (R.isa == RING_ISA_X86_64 && b->n_insns > 1 && (-b->end & 4095) < 8)
		doubt_last(b);
	b->next = *bucket;
	*bucket = b;
	return b;
}

static void on_translate(emu_qemu_id id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), size;
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1);
	struct rblock want = {.start = qemu_plugin_tb_vaddr(tb)}, *b;
	struct ring_insn in;

	(void)id;
	size = qemu_plugin_insn_size(last);
	want.last = qemu_plugin_insn_vaddr(last);
	want.end = want.last + size;
	want.n_insns = (uint16_t)n;
	in = ring_isa_classify(R.isa, qemu_plugin_insn_data(last), size, want.last);
	want.type = (uint8_t)in.type;
	want.direct = (uint8_t)in.direct;
	want.target = in.target;
	want.fall = want.end;
	if (in.type != RING_BR_NONE && in.type != RING_BR_COND && in.type < RING_BR_REP)
		want.fall = RING_NO_FALL;
	pthread_mutex_lock(&R.lock);
	if (!R.started) {
		R.started = 1;
		R.guest_base = (uint64_t)(uintptr_t)qemu_plugin_insn_haddr(last) - want.last;
		ring_maps_start();
	}
	if (in.type != RING_BR_NONE && in.type < RING_BR_REP)
		want.branch = branch_get(want.last);
	b = block_get(&want, tb);
	pthread_mutex_unlock(&R.lock);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, EMU_QEMU_CB_NO_REGS, b);
}

static void on_vcpu(emu_qemu_id id, unsigned index)
{
	struct rvcpu *v;

	(void)id;
	if (index >= RING_VCPUS) {
		fprintf(stderr, "ring_plugin: more than %d threads at once\n", RING_VCPUS);
		_exit(125);
	}
	v = ring_alloc(sizeof(*v));
	v->prev = &birth;
	pthread_mutex_lock(&R.lock);
	if (R.all)
		R.threaded = 1;
	ring_vcpu_reset(v, index);
	v->older = R.all;
	R.all = v;
	R.vcpu[index] = v;
	pthread_mutex_unlock(&R.lock);
}

static int set_event(const char *name)
{
	static const char *const names[] = {"branches", "instructions", "cycles"};
	unsigned i;

	for (i = 0; i < 3; i++)
		if (!strcmp(name, names[i])) {
			R.event = (enum ring_event)i;
			return 0;
		}
	return -1;
}

static int set_flag(uint32_t flag, uint64_t on)
{
	R.flags = on ? R.flags | flag : R.flags & ~flag;
	return on > 1 ? -1 : 0;
}

static int set_option(const char *arg)
{
	const char *eq = strchr(arg, '='), *text = eq ? eq + 1 : "";
	char *end;
	uint64_t n = strtoull(text, &end, 0);
	int numeric = *text && !*end;
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg);

#define IS(name) (len == strlen(name) && !strncmp(arg, name, len))
	if (IS("out") && *text)
		return R.out = strdup(text), 0;
	if (IS("count") && *text)
		return R.count_out = strdup(text), 0;
	if (IS("event"))
		return set_event(text);
	if (!numeric)
		return -1;
	if (IS("period") && n > 0)
		return R.period = n, 0;
	if (IS("jitter") && n < 100)
		return R.jitter = (uint32_t)n, 0;
	if (IS("seed"))
		return R.seed = n, 0;
	if (IS("skid") && n < 1000)
		return R.skid = (uint32_t)n, 0;
	if (IS("depth") && n > 0 && n <= RING_DEPTH_MAX)
		return R.depth = (uint32_t)n, 0;
	if (IS("maxsamples"))
		return R.max_samples = n, 0;
	if (IS("cyclesfield"))
		return set_flag(RING_F_CYCLES, n);
	if (IS("callchain"))
		return set_flag(RING_F_CHAIN, n);
#undef IS
	return -1;
}

int qemu_plugin_install(emu_qemu_id id, const struct emu_qemu_info *info, int argc, char **argv)
{
	struct timespec now;
	int i;

	R.isa = ring_isa_by_name(info->target_name);
	if (info->system_emulation || R.isa == RING_ISA_NONE) {
		fprintf(stderr, "ring_plugin: cannot watch %s guests of this emulator\n",
			info->target_name);
		return -1;
	}
	for (i = 0; i < argc; i++) {
		if (set_option(argv[i])) {
			fprintf(stderr,
				"ring_plugin: option '%s' is unknown or its value is wrong\n",
				argv[i]);
			return -1;
		}
	}
	R.sampling = R.out != NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	R.wall_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	R.pid = (uint32_t)getpid();
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_vcpu_syscall_cb(id, ring_syscall);
	qemu_plugin_register_vcpu_syscall_ret_cb(id, ring_sysret);
	qemu_plugin_register_atexit_cb(id, ring_out, NULL);
	return 0;
}
