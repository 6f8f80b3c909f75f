/* SPDX-License-Identifier: Apache-2.0 */
#include "mkplan.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PID_STEP 100 /* room for the threads of each process */
#define START_STEP_NS 10000000u

static void *get(size_t n, size_t each)
{
	void *p = calloc(n + 1, each);

	if (!p) {
		fputs("mkperf: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a + 0x9e3779b97f4a7c15u) ^ (b * 0xd6e8feb86659fd93u);

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

static uint64_t hash_text(const char *s)
{
	uint64_t h = 1;

	for (; *s; s++)
		h = mix(h, (unsigned char)*s);
	return h;
}

/* The address of file offset 0: all mappings of one loaded file agree in it. */
static uint64_t load_base(const struct ring_map *m)
{
	return m->start - m->pgoff;
}

/*
 * New load addresses as Linux gives them: the program at 0x55.., libraries at 0x7f.., each file's
 * mappings moved together. A file's slot follows from its place among the files, so that no two
 * overlap (up to 4 GiB each).
 */
static void place_maps(struct plan_proc *proc, const struct plan_options *opt, unsigned serial)
{
	const struct ring_dump *d = proc->dump;
	size_t i, k, n_libs = 0;

	proc->delta = get(d->head->n_maps, sizeof(*proc->delta));
	for (i = 0; i < d->head->n_maps; i++) {
		const struct ring_map *m = &d->maps[i];
		uint64_t r = mix(mix(opt->aslr, serial), hash_text(m->path));
		uint64_t base = load_base(m);

		for (k = 0; k < i && strcmp(d->maps[k].path, m->path); k++)
			;
		if (m->elf_type != ET_DYN)
			continue;
		if (k < i && load_base(&d->maps[k]) == load_base(m)) {
			proc->delta[i] = proc->delta[k];
			continue;
		}
		if (m->main && opt->base)
			base = opt->base;
		else if (opt->aslr && m->main)
			base = 0x550000000000u + (r & 0xffffffffu) * 0x1000;
		else if (opt->aslr)
			base = 0x7f0000000000u + n_libs * 0x100000000u + (r & 0x7ffff) * 0x1000;
		n_libs++;
		proc->delta[i] = base - load_base(m);
	}
}

uint64_t plan_map_start(const struct plan_proc *proc, size_t map)
{
	return proc->dump->maps[map].start + proc->delta[map];
}

uint64_t plan_addr(const struct plan_proc *proc, uint64_t addr)
{
	const struct ring_map *m = ring_dump_map(proc->dump, addr);

	return m ? addr + proc->delta[m - proc->dump->maps] : addr;
}

uint32_t plan_tid(const struct plan_proc *proc, const struct ring_sample *s)
{
	return proc->pid + (s->tid - proc->dump->head->pid) % PID_STEP;
}

const char *plan_path(const struct plan *plan, const struct ring_map *map)
{
	if (plan->opt.rename_from && !strcmp(map->path, plan->opt.rename_from))
		return plan->opt.rename_to;
	return map->path;
}

int plan_inherited(const struct plan_proc *proc, size_t map)
{
	const struct ring_map *m = &proc->dump->maps[map], *pm;
	uint64_t i;

	if (!proc->parent)
		return 0;
	for (i = 0; i < proc->parent->dump->head->n_maps; i++) {
		pm = &proc->parent->dump->maps[i];
		if (pm->start == m->start && pm->pgoff == m->pgoff && m->time_ns == 0 &&
			pm->time_ns + proc->parent->start_ns <= proc->start_ns &&
			!strcmp(pm->path, m->path))
			return 1;
	}
	return 0;
}

/* Forked children follow their parents: same load addresses, their own time. */
static void adopt(struct plan *plan, struct plan_proc *child, unsigned copy)
{
	unsigned i;

	for (i = 0; i < plan->n_procs; i++) {
		struct plan_proc *p = &plan->procs[i];

		if (p != child && i % plan->opt.processes == copy &&
			p->dump->head->pid == child->dump->head->ppid &&
			p->dump->head->wall_ns <= child->dump->head->wall_ns) {
			child->parent = p;
			child->ppid = p->pid;
			child->start_ns =
				p->start_ns + child->dump->head->wall_ns - p->dump->head->wall_ns;
		}
	}
}

static void make_procs(struct plan *plan)
{
	unsigned i, n = plan->opt.processes, root;

	plan->n_procs = plan->n_dumps * n;
	plan->procs = get(plan->n_procs, sizeof(*plan->procs));
	for (i = 0; i < plan->n_procs; i++) {
		struct plan_proc *p = &plan->procs[i];

		p->dump = &plan->dumps[i / n];
		p->ppid = 1;
		p->pid = plan->opt.pid ? plan->opt.pid + i * PID_STEP
				       : p->dump->head->pid + i % n * PID_STEP;
		p->start_ns = plan->opt.mono_ns + i * START_STEP_NS;
		snprintf(p->comm, sizeof(p->comm), "%.15s",
			plan->opt.comm ? plan->opt.comm : p->dump->head->comm);
	}
	for (i = 0; i < plan->n_procs; i++)
		adopt(plan, &plan->procs[i], i % n);
	for (i = 0; i < plan->n_procs; i++) {
		struct plan_proc *p = &plan->procs[i];

		while (p->parent)
			p = p->parent;
		root = (unsigned)(p - plan->procs);
		place_maps(&plan->procs[i], &plan->opt, root);
	}
}

static int item_cmp(const void *a, const void *b)
{
	const struct plan_item *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* Keeps a random subset of k items (selection sampling: each subset equally likely). */
static void choose(struct plan *plan, uint64_t k)
{
	size_t i, kept = 0, n = plan->n_items;

	for (i = 0; i < n && kept < k; i++)
		if (mix(plan->opt.seed, i) % (n - i) < k - kept)
			plan->items[kept++] = plan->items[i];
	plan->n_items = kept;
}

static void make_items(struct plan *plan)
{
	size_t n = 0;
	unsigned i;
	uint64_t k;

	for (i = 0; i < plan->n_procs; i++)
		n += plan->procs[i].dump->head->n_samples;
	plan->items = get(n, sizeof(*plan->items));
	for (i = 0; i < plan->n_procs; i++) {
		const struct plan_proc *p = &plan->procs[i];

		for (k = 0; k < p->dump->head->n_samples; k++) {
			struct plan_item *item = &plan->items[plan->n_items];

			item->order = plan->n_items++;
			item->proc = p;
			item->sample = p->dump->samples[k];
			item->time_ns = p->start_ns + item->sample->time_ns;
		}
	}
	if (plan->opt.max_samples && plan->opt.max_samples < n)
		choose(plan, plan->opt.max_samples);
	qsort(plan->items, plan->n_items, sizeof(*plan->items), item_cmp);
}

void plan_make(struct plan *plan, const struct plan_options *opt, char **paths, unsigned n)
{
	unsigned i;

	memset(plan, 0, sizeof(*plan));
	plan->opt = *opt;
	plan->n_dumps = n;
	plan->dumps = get(n, sizeof(*plan->dumps));
	for (i = 0; i < n; i++)
		ring_dump_load(&plan->dumps[i], paths[i]);
	make_procs(plan);
	make_items(plan);
}

void plan_free(struct plan *plan)
{
	unsigned i;

	for (i = 0; i < plan->n_procs; i++)
		free(plan->procs[i].delta);
	for (i = 0; i < plan->n_dumps; i++)
		ring_dump_free(&plan->dumps[i]);
	free(plan->procs);
	free(plan->dumps);
	free(plan->items);
}

/*
 * An interrupt leaves an entry from the kernel to where the program goes on. It comes before the
 * branch at out[k]: there the program went on at the target of the entry before.
 */
static void interrupt(struct plan_branch *b, uint64_t resume, uint64_t random)
{
	b->from = 0xffffffff81000000u + (random & 0xfffff);
	b->to = resume;
	b->mispred = 0;
	b->cycles = 200;
	b->type = 0;
}

/*
 * The same as Arm's branch record buffer has it when only user code may be recorded: the return has
 * no source, and before it (behind it in the ring) is the interrupt, which has no target.  It came
 * at one of the instructions of the run from the target of `old` to the source of `young`.
 */
static unsigned brbe_interrupt(
	struct plan_branch *b, unsigned room, uint64_t from, uint64_t to, uint64_t random)
{
	uint64_t at = from;

	if (to > from)
		at += random % ((to - from) / 4 + 1) * 4;
	b[0] = (struct plan_branch){.to = at, .type = 11, .mispred = -1};
	if (room < 2)
		return 1;
	b[1] = (struct plan_branch){.from = at, .type = 12, .cycles = 9};
	return 2;
}

unsigned plan_ring(const struct plan *plan, const struct plan_item *item,
	struct plan_branch out[RING_DEPTH_MAX])
{
	const struct ring_entry *e = ring_sample_ring(item->sample);
	const struct ring_edge *edges = item->proc->dump->edges;
	unsigned k, n = 0, depth = item->proc->dump->head->depth;

	for (k = 0; k < item->sample->n_ring && n < depth; k++) {
		struct plan_branch *b = &out[n++];
		uint64_t r = mix(mix(plan->opt.seed + 1, item->order), k), resume;

		b->from = plan_addr(item->proc, edges[e[k].edge].from);
		b->to = plan_addr(item->proc, edges[e[k].edge].to);
		b->cycles = e[k].cycles;
		b->mispred = e[k].mispred;
		b->type = edges[e[k].edge].type;
		if (r % 100 >= plan->opt.kernel_noise || n >= depth ||
			k + 1 >= item->sample->n_ring)
			continue;
		resume = plan_addr(item->proc, edges[e[k + 1].edge].to);
		if (plan->opt.brbe)
			n += brbe_interrupt(&out[n], depth - n, resume, b->from, r >> 8);
		else
			interrupt(&out[n++], resume, r >> 8);
	}
	return n;
}
