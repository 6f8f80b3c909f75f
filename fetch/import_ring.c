/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples -> sums.  A sample gives a stack (its address and its callers) and, if it has a branch
 * ring, traces: entry k of a ring, newest first, is the branch source_k -> target_k, after which
 * execution ran from target_k to source_(k-1).  The newest one's run is cut by the sample: its end
 * is not known.
 *
 * What does not become a trace, and what that does to its neighbours:
 *
 *	wrong path      never happened: taken out, the older entry's run goes on to the next newer
 *	                one
 *	duplicate top   entries 0 and 1 identical and far backwards (a defect of some processors):
 *	                entry 0 is dropped
 *	address 0       on both sides: dropped; the older entry's end is not known.  On one side it
 *	                stands for the kernel: so Arm's branch record buffer shows that the
 *	                recorder may not see that side
 *	kernel          entries inside the kernel are dropped.  user -> kernel .. kernel -> user: if
 *	                it came back to where it left (an interrupt) or just behind (a system call),
 *	                the run around it is one run; else the older run ends where the user left,
 *	                and the return is a branch from outside, which a lone return also is
 *	no mapping      both sides in code of no file: dropped.  One side: the branch is kept with
 *	                "external" for the other side
 *	bogus range     backwards, over 1 MiB, or from one file into another: the branch is kept,
 *	                its end is not known
 */
#include "fetch/import_impl.h"
#include "pgo/core/vec.h"

#include <string.h>

/* ---------------------------------------------------------------- traces */

static inline uint64_t trace_hash(uint64_t source, uint64_t target, uint64_t end)
{
	uint64_t h = source * 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 29 ^ target) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 32 ^ end) * 0x94d049bb133111ebu;
	return h ^ h >> 29;
}

static int grow_slots(struct pgo_imp_group *g)
{
	size_t n = g->n_slots != 0 ? g->n_slots * 2 : 4096;
	struct pgo_imp_slot *slots = pgo_calloc(n, sizeof *slots);

	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < g->n_traces; i++) {
		const struct pgo_imp_trace *t = &g->traces[i];
		uint64_t h = trace_hash(t->source, t->target, t->end);
		size_t at = h & (n - 1);

		while (slots[at].index1 != 0)
			at = (at + 1) & (n - 1);
		slots[at].index1 = (uint32_t)i + 1;
		slots[at].tag = (uint32_t)(h >> 32);
	}
	pgo_free(g->slots);
	g->slots = slots;
	g->n_slots = n;
	return 0;
}

static struct pgo_imp_trace *new_trace(
	struct pgo_imp_group *g, uint64_t source, uint64_t target, uint64_t end)
{
	struct pgo_imp_trace *t;

	if (g->n_traces >= PGO_SPOOL_MISPREDICTED - 1)
		return NULL;
	t = PGO_VEC_PUSH(g->traces, g->n_traces, g->traces_room);
	if (t == NULL)
		return NULL;
	t->source = source;
	t->target = target;
	t->end = end;
	return t;
}

/* A trace on its way into the table. */
struct pending {
	uint64_t source, target, end, hash;
	const struct pgo_branch *b;
	uint32_t slot; /* the ring's entry it is of */
};

/* The slot of a trace, or the free one where it belongs; the table has one. */
static inline struct pgo_imp_slot *find_slot(struct pgo_imp_slot *slots, size_t mask,
	const struct pgo_imp_trace *traces, const struct pending *p)
{
	uint32_t tag = (uint32_t)(p->hash >> 32);

	for (size_t at = p->hash & mask;; at = (at + 1) & mask) {
		const struct pgo_imp_trace *t;

		if (slots[at].index1 == 0)
			return &slots[at];
		t = &traces[slots[at].index1 - 1];
		if (slots[at].tag == tag && t->source == p->source && t->target == p->target &&
			t->end == p->end)
			return &slots[at];
	}
}

/*
 * Adds one occurrence of each trace of a batch, and notes its number as that of its entry.  The
 * table is larger than any cache, so what they need is asked for ahead; their slots were when they
 * were put into the batch.  0 or -1 when out of memory.
 */
static int add_traces(struct pgo_imp_group *g, const struct pending *p, size_t n, uint32_t *ids)
{
	struct pgo_imp_trace *traces = g->traces;
	struct pgo_imp_slot *slots;
	size_t mask;

	while ((g->n_traces + n) * 2 >= g->n_slots)
		if (grow_slots(g) < 0)
			return -1;
	slots = g->slots;
	mask = g->n_slots - 1;
	for (size_t i = 0; i < n; i++) {
		uint32_t index1 = slots[p[i].hash & mask].index1;

		if (index1 != 0)
			__builtin_prefetch(&traces[index1 - 1], 1);
	}
	for (size_t i = 0; i < n; i++) {
		struct pgo_imp_slot *slot = find_slot(slots, mask, traces, &p[i]);
		struct pgo_imp_trace *t;

		if (slot->index1 == 0) {
			if (new_trace(g, p[i].source, p[i].target, p[i].end) == NULL)
				return -1;
			traces = g->traces;
			slot->index1 = (uint32_t)g->n_traces;
			slot->tag = (uint32_t)(p[i].hash >> 32);
		}
		ids[p[i].slot] = slot->index1 - 1;
		if ((p[i].b->flags & PGO_BRANCH_MISPREDICTED) != 0)
			ids[p[i].slot] |= PGO_SPOOL_MISPREDICTED;
		t = &traces[slot->index1 - 1];
		t->count++;
		t->mispredicts += p[i].b->flags & PGO_BRANCH_MISPREDICTED;
		t->cycles += p[i].b->cycles;
	}
	return 0;
}

uint32_t pgo_imp_add_trace(struct pgo_imp_group *g, const struct pgo_imp_trace *t)
{
	struct pending p = {.source = t->source,
		.target = t->target,
		.end = t->end,
		.hash = trace_hash(t->source, t->target, t->end)};
	struct pgo_imp_slot *slot;
	struct pgo_imp_trace *to;

	if ((g->n_traces + 1) * 2 >= g->n_slots && grow_slots(g) < 0)
		return UINT32_MAX;
	slot = find_slot(g->slots, g->n_slots - 1, g->traces, &p);
	if (slot->index1 == 0) {
		if (new_trace(g, t->source, t->target, t->end) == NULL)
			return UINT32_MAX;
		slot->index1 = (uint32_t)g->n_traces;
		slot->tag = (uint32_t)(p.hash >> 32);
	}
	to = &g->traces[slot->index1 - 1];
	to->count += t->count;
	to->mispredicts += t->mispredicts;
	to->cycles += t->cycles;
	return slot->index1 - 1;
}

/* ---------------------------------------------------------------- rings */

#define BATCH 32 /* traces; a ring, as a rule */

struct splitter {
	struct pgo_imp_group *g;
	struct pgo_import_stats *stats;
	uint64_t end; /* of the next older entry's run */
	bool ring_all;
	bool returned;     /* a kernel -> user entry waits for where it had left */
	uint64_t back_at;  /* its target, */
	uint64_t back_end; /* and the end of the run after it */
	const struct pgo_branch *back_entry;
	uint32_t back_slot;
	uint64_t used;
	uint32_t *ids; /* by slot: what became of the entry, see unbias_spool.h */
	uint32_t slot;
	struct pending pending[BATCH];
	size_t n_pending;
};

static int flush(struct splitter *s)
{
	int rc = add_traces(s->g, s->pending, s->n_pending, s->ids);

	s->n_pending = 0;
	return rc;
}

static int emit(struct splitter *s, uint64_t source, uint64_t target, uint64_t end,
	const struct pgo_branch *b, uint32_t slot)
{
	uint64_t hash;

	if (!s->ring_all)
		end = POINT_BRANCH_ONLY;
	if (POINT_IS_ADDRESS(end) && (!POINT_IS_ADDRESS(target) || end - target > RANGE_MAX)) {
		s->stats->ranges_bogus++;
		end = POINT_BRANCH_ONLY;
	}
	s->used++;
	hash = trace_hash(source, target, end);
	if (s->g->n_slots != 0)
		__builtin_prefetch(&s->g->slots[hash & (s->g->n_slots - 1)], 1);
	s->pending[s->n_pending++] = (struct pending){source, target, end, hash, b, slot};
	return s->n_pending == BATCH ? flush(s) : 0;
}

/* The user came back from the kernel, and nothing says from where it had gone. */
static int emit_return(struct splitter *s)
{
	s->returned = false;
	return emit(s, POINT_EXTERNAL, s->back_at, s->back_end, s->back_entry, s->back_slot);
}

/* An entry with a side in the kernel. */
static int kernel_entry(
	struct splitter *s, uint64_t source, uint64_t target, const struct pgo_branch *b)
{
	int rc = 0;

	if (POINT_IS_ADDRESS(target)) { /* kernel -> user */
		if (s->returned)
			rc = emit_return(s);
		s->returned = true;
		s->back_at = target;
		s->back_end = s->end;
		s->back_entry = b;
		s->back_slot = s->slot;
		s->ids[s->slot] = PGO_SPOOL_GAP; /* part of the run around the kernel, if it is */
		s->end = POINT_BRANCH_ONLY;
		return rc;
	}
	s->stats->branches_kernel++;
	if (source == POINT_KERNEL) { /* within */
		s->end = POINT_BRANCH_ONLY;
		return 0;
	}
	/* user -> kernel */
	if (s->returned && POINT_IS_ADDRESS(source) && s->back_at - source <= 15) {
		s->returned = false;
		s->stats->branches_kernel++;
		s->end = s->back_end;
		return 0;
	}
	if (s->returned)
		rc = emit_return(s);
	s->end = POINT_IS_ADDRESS(source) ? source : POINT_BRANCH_ONLY;
	return rc;
}

static int user_entry(
	struct splitter *s, uint64_t source, uint64_t target, const struct pgo_branch *b)
{
	uint64_t end = s->end;

	s->end = POINT_IS_ADDRESS(source) ? source : POINT_BRANCH_ONLY;
	if (POINT_IS_ADDRESS(source) && POINT_IS_ADDRESS(target))
		return emit(s, source, target, end, b, s->slot);
	if (POINT_IS_ADDRESS(target))
		return emit(s, b->type == PGO_BRANCH_RET ? POINT_EXTERNAL_RETURN : POINT_EXTERNAL,
			target, end, b, s->slot);
	if (POINT_IS_ADDRESS(source))
		return emit(s, source, POINT_EXTERNAL, POINT_BRANCH_ONLY, b, s->slot);
	s->stats->branches_no_mapping++;
	return 0;
}

static int split(struct splitter *s, const struct pgo_imp_branch *at, const struct pgo_branch *b)
{
	int rc = 0;

	if (b->spec == PGO_SPEC_WRONG_PATH) {
		s->stats->branches_wrong_path++;
		return 0;
	}
	if (POINT_IS_ADDRESS(at->source) && POINT_IS_ADDRESS(at->target) && !s->returned)
		return user_entry(s, at->source, at->target, b);
	if (at->source != POINT_ZERO && at->target != POINT_ZERO &&
		(at->source == POINT_KERNEL || at->target == POINT_KERNEL))
		return kernel_entry(s, at->source, at->target, b);
	if (s->returned)
		rc = emit_return(s);
	if (rc < 0 || (at->source != POINT_ZERO && at->target != POINT_ZERO))
		return rc < 0 ? rc : user_entry(s, at->source, at->target, b);
	s->stats->branches_zero++;
	s->end = POINT_BRANCH_ONLY;
	return 0;
}

static bool duplicate_top(const struct pgo_ring *r)
{
	const struct pgo_branch *e = r->entry;

	return r->n >= 2 && e[0].from == e[1].from && e[0].to == e[1].to && e[0].from > e[0].to &&
	       e[0].from - e[0].to > 0x1000;
}

/*
 * A ring of branches within files, as nearly all are: what import_ring() does, without the cases.
 */
static int import_plain_ring(struct pgo_imp_lane *lane, struct pgo_imp_group *g,
	const struct pgo_ring *ring, uint32_t first, bool *ret_cycles)
{
	const struct pgo_imp_branch *at = lane->ring;
	uint64_t end = POINT_BRANCH_ONLY, mask = g->n_slots - 1;
	struct pending pending[BATCH];
	uint32_t cycles = 0, n = 0;

	for (uint32_t k = first; k < ring->n; k++) {
		const struct pgo_branch *b = &ring->entry[k];
		struct pending *p = &pending[n];

		p->source = at[k].source;
		p->target = at[k].target;
		p->end = end;
		/* The newest has no end, which is not bogus; others have one. */
		if (n != 0 && end - p->target > RANGE_MAX) {
			lane->stats->ranges_bogus++;
			p->end = POINT_BRANCH_ONLY;
		}
		end = p->source;
		p->hash = trace_hash(p->source, p->target, p->end);
		p->b = b;
		p->slot = n;
		if (g->slots != NULL)
			__builtin_prefetch(&g->slots[p->hash & mask], 1);
		lane->cycles[n++] = b->cycles;
		cycles |= b->cycles;
	}
	*ret_cycles = cycles != 0;
	return add_traces(g, pending, n, lane->ids);
}

/*
 * What is kept of an entry that becomes no trace: the bytes from its target to the next newer source
 * (0 within the kernel, if the event does not count there).
 */
static uint32_t gap_of(const struct pgo_imp_event *event, const struct pgo_ring *ring,
	const struct pgo_imp_branch *at, uint32_t k)
{
	uint64_t bytes;

	if (at[k].target == POINT_KERNEL && event->user_only)
		return PGO_SPOOL_GAP;
	if (k == 0 || at[k].target == POINT_ZERO || at[k - 1].source == POINT_ZERO)
		return PGO_SPOOL_GAP_UNKNOWN;
	bytes = ring->entry[k - 1].from - ring->entry[k].to;
	return bytes <= RANGE_MAX ? PGO_SPOOL_GAP | (uint32_t)bytes : PGO_SPOOL_GAP_UNKNOWN;
}

/* Keeps a ring, of which s->slot entries have become something, for the estimate of executions. */
static int keep_ring(const struct pgo_imp *imp, struct pgo_imp_lane *lane,
	struct pgo_imp_event *event, const struct splitter *s, const struct pgo_rec_sample *sample,
	bool has_cycles, struct pgo_err *err)
{
	struct pgo_spool_ring r;

	event->n_rings++;
	if (imp->o->no_unbias)
		return 0;
	if (s->slot < 2) {
		event->rings_single++;
		return 0;
	}
	if (s->slot > PGO_SPOOL_RING_MAX) {
		event->rings_long++;
		return 0;
	}
	memset(&r, 0, sizeof r);
	r.period = sample->period;
	r.event = sample->event;
	r.group = (uint32_t)(s->g - lane->groups);
	r.n = s->slot;
	r.taken = (uint16_t)(sample->ring.n - s->slot < UINT16_MAX ? sample->ring.n - s->slot
								   : UINT16_MAX);
	r.has_cycles = has_cycles;
	event->has_cycles |= has_cycles;
	event->no_periods |= sample->period == 0;
	if (sample->period != 0 && sample->period >> 40 == 0) {
		event->periods += sample->period;
		event->periods_squared += (unsigned __int128)sample->period * sample->period;
		event->n_periods++;
	}
	return pgo_spool_add(&lane->rings, &r, lane->ids, lane->cycles, err);
}

/*
 * One whole ring: `ring` as recorded, `at[k]` its entries as points (of images, the same in every
 * process), `event` with its unit (what the chance of being sampled follows) and the longest ring
 * seen, `sample` with its period.  What the estimate of executions needs passes here, once, while
 * the ring is whole: it is kept as a row of numbers of traces (unbias_spool.h).
 */
static int import_ring(const struct pgo_imp *imp, struct pgo_imp_lane *lane,
	struct pgo_imp_group *g, struct pgo_imp_event *event, const struct pgo_rec_sample *sample,
	uint64_t *ret_used, struct pgo_err *err)
{
	const struct pgo_ring *ring = &sample->ring;
	const struct pgo_imp_branch *at = lane->ring;
	struct splitter s;
	bool has_cycles = false;
	uint32_t first = 0;
	int rc = 0;

	s.g = g;
	s.stats = lane->stats;
	s.end = POINT_BRANCH_ONLY;
	s.ring_all = event->ring_all;
	s.returned = false;
	s.used = s.n_pending = 0; /* the batch itself is not cleared: it is large */
	s.ids = lane->ids;
	s.slot = 0;
	if (ring->n > event->ring_depth)
		event->ring_depth = ring->n;
	if (ring->depth > event->hardware_depth)
		event->hardware_depth = ring->depth;
	if (duplicate_top(ring)) {
		lane->stats->branches_duplicate_top++;
		first = 1;
	}
	if (lane->ring_plain && event->ring_all && ring->n <= BATCH) {
		rc = import_plain_ring(lane, g, ring, first, &has_cycles);
		s.slot = ring->n - first;
		s.used = s.slot;
		first = ring->n;
	}
	for (uint32_t k = first; k < ring->n && rc == 0; k++) {
		const struct pgo_branch *b = &ring->entry[k];

		lane->cycles[s.slot] = b->cycles;
		has_cycles |= b->cycles != 0;
		if (!POINT_IS_ADDRESS(at[k].source) || !POINT_IS_ADDRESS(at[k].target))
			s.ids[s.slot] = gap_of(event, ring, at, k);
		rc = split(&s, &at[k], b);
		s.slot += b->spec != PGO_SPEC_WRONG_PATH;
	}
	if (rc == 0 && s.returned)
		rc = emit_return(&s);
	if (rc == 0)
		rc = flush(&s);
	if (rc < 0)
		return pgo_err_nomem(err);
	lane->stats->branches_used += s.used;
	*ret_used = s.used;
	return s.used > 0 ? keep_ring(imp, lane, event, &s, sample, has_cycles, err) : 0;
}

static int resolve_ring(const struct pgo_imp *imp, struct pgo_imp_lane *lane,
	struct pgo_imp_view *v, const struct pgo_ring *ring)
{
	struct pgo_imp_branch *at;
	bool plain = true;

	if (PGO_VEC_RESERVE(lane->ring, lane->ring_room, ring->n) < 0 ||
		PGO_VEC_RESERVE(lane->ids, lane->ids_room, ring->n) < 0 ||
		PGO_VEC_RESERVE(lane->cycles, lane->cycles_room, ring->n) < 0)
		return -1;
	at = lane->ring;
	for (uint32_t k = 0; k < ring->n; k++) {
		at[k].source = pgo_imp_point(imp, v, ring->entry[k].from);
		at[k].target = pgo_imp_point(imp, v, ring->entry[k].to);
		if (POINT_IS_ADDRESS(at[k].source) && POINT_IS_ADDRESS(at[k].target)) {
			plain &= ring->entry[k].spec != PGO_SPEC_WRONG_PATH;
			continue;
		}
		plain = false;
		if (at[k].source == POINT_ZERO && at[k].target != POINT_ZERO)
			at[k].source = POINT_KERNEL;
		else if (at[k].target == POINT_ZERO && at[k].source != POINT_ZERO)
			at[k].target = POINT_KERNEL;
	}
	lane->ring_plain = plain;
	return 0;
}

/* ---------------------------------------------------------------- stacks */

struct stack_key {
	const struct pgo_imp_group *g;
	const uint64_t *points;
	uint32_t n, event;
};

static bool stack_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct stack_key *k = key;
	const struct pgo_imp_stack *s = &k->g->stacks[index];

	(void)ctx;
	return s->n == k->n && s->event == k->event &&
	       memcmp(k->g->points + s->first, k->points, k->n * sizeof *k->points) == 0;
}

int pgo_imp_add_stack(struct pgo_imp_group *g, const uint64_t *points, uint32_t n, uint32_t event,
	uint64_t count, uint64_t value)
{
	struct stack_key key = {g, points, n, event};
	uint64_t hash =
		(n == 1 ? pgo_hash_u64(points[0]) : pgo_hash(points, n * sizeof *points)) + event;
	uint32_t i = pgo_map_find(&g->stack_map, hash, stack_eq, NULL, &key);
	struct pgo_imp_stack *s;

	if (i == PGO_MAP_NONE) {
		i = (uint32_t)g->n_stacks;
		s = PGO_VEC_PUSH(g->stacks, g->n_stacks, g->stacks_room);
		if (s == NULL || PGO_VEC_RESERVE(g->points, g->points_room, g->n_points + n) < 0 ||
			pgo_map_add(&g->stack_map, hash, i) < 0)
			return -1;
		memcpy(g->points + g->n_points, points, n * sizeof *points);
		s->first = g->n_points;
		s->n = n;
		s->event = event;
		g->n_points += n;
	}
	g->stacks[i].count += count;
	g->stacks[i].value += value;
	return 0;
}

/* The sample's own address and its callers; frames in no file are left out and counted. */
static int resolve_stack(const struct pgo_imp *imp, struct pgo_imp_lane *lane,
	struct pgo_imp_view *v, const struct pgo_rec_sample *s, uint32_t *ret_n)
{
	uint64_t leaf = s->ip != 0 || s->n_chain == 0 ? s->ip : s->chain[0];
	uint32_t n = 0;

	*ret_n = 0;
	if (PGO_VEC_RESERVE(lane->stack, lane->stack_room, s->n_chain + 1) < 0)
		return -1;
	lane->stack[0] = pgo_imp_point(imp, v, leaf);
	if (!POINT_IS_ADDRESS(lane->stack[0]))
		return 0;
	n = 1;
	for (uint32_t i = 1; i < s->n_chain; i++) {
		/* A return address is behind the call: step back into it. */
		uint64_t point = pgo_imp_point(imp, v, s->chain[i] - (s->chain[i] != 0));

		if (POINT_IS_ADDRESS(point))
			lane->stack[n++] = point;
		else
			lane->stats->frames_no_mapping++;
	}
	*ret_n = n;
	return 0;
}

/* ---------------------------------------------------------------- samples */

static void note_time(struct pgo_imp_group *g, uint64_t time)
{
	if (time == 0)
		return;
	if (g->first_time == 0 || time < g->first_time)
		g->first_time = time;
	if (time > g->last_time)
		g->last_time = time;
}

int pgo_imp_on_sample(void *ctx, const struct pgo_rec_sample *s, struct pgo_err *err)
{
	struct pgo_imp *imp = ctx;
	struct pgo_imp_lane *lane = &imp->lanes[s->lane];
	struct pgo_import_stats *st = lane->stats;
	struct pgo_imp_view *v;
	struct pgo_imp_group *g;
	struct pgo_imp_event *e;
	uint64_t ring_used = 0;
	uint32_t n_stack = 0;
	bool kernel;
	int rc;

	st->samples += s->count;
	st->branches += s->ring.n;
	st->frames_kernel += s->n_chain_kernel;
	if (s->event >= lane->n_events || !lane->events[s->event].wanted) {
		st->samples_other_event += s->count;
		st->branches_filtered += s->ring.n;
		return 0;
	}
	e = &lane->events[s->event];
	if (s->pid == 0) { /* the idle task */
		st->samples_idle += s->count;
		st->branches_filtered += s->ring.n;
		return 0;
	}
	if (s->ip == 0 && s->n_chain == 0 && s->ring.n == 0) {
		st->samples_no_data += s->count;
		return 0;
	}
	v = pgo_imp_view(imp, lane, s->pid);
	/* Never among several threads: all was prepared. */
	if (v == NULL || imp->processes[v->process].group == PGO_NONE) {
		rc = pgo_imp_on_prepare(imp, &s->pid, 1, err);
		if (rc < 0)
			return rc;
		v = pgo_imp_view(imp, lane, s->pid);
	}
	g = &lane->groups[imp->processes[v->process].group];
	if (s->ring.n > 0 && resolve_ring(imp, lane, v, &s->ring) < 0)
		return pgo_err_nomem(err);
	if (s->ring.n > 0 && (rc = import_ring(imp, lane, g, e, s, &ring_used, err)) < 0)
		return rc;
	kernel = s->mode == PGO_MODE_KERNEL || s->mode == PGO_MODE_GUEST || s->ip >> 63 != 0;
	if (!kernel && resolve_stack(imp, lane, v, s, &n_stack) < 0)
		return pgo_err_nomem(err);
	if (n_stack == 0 && ring_used == 0) {
		if (kernel)
			st->samples_kernel += s->count;
		else
			st->samples_no_mapping += s->count;
		return 0;
	}
	if (n_stack > 0 &&
		pgo_imp_add_stack(g, lane->stack, n_stack, s->event, s->count, s->period) < 0)
		return pgo_err_nomem(err);
	st->samples_used += s->count;
	e->n_used += s->count;
	e->sum_periods += s->period;
	note_time(g, s->time);
	return 0;
}
