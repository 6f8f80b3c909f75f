/* SPDX-License-Identifier: Apache-2.0 */
#include "mkrecords.h"

#include "perfwrite.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROUND 1000 /* samples between FINISHED_ROUND records */

/* Type and config that perf gives these events; rHEX is a raw one. */
static int find_event(const char *name, struct pw_event *ret_event)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint64_t config;
	} known[] = {{"cycles", 0, 0}, {"cpu-cycles", 0, 0}, {"instructions", 0, 1},
		{"branches", 0, 4}, {"branch-instructions", 0, 4},
		{"br_inst_retired.near_taken", 4, 0x20c4}, {"cpu-clock", 1, 0},
		{"task-clock", 1, 1}};
	const char *colon = strchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : strlen(name), i;
	char *end;

	ret_event->name = name;
	ret_event->user_only = colon && strchr(colon, 'u') && !strchr(colon, 'k');
	for (; colon && *colon; colon++)
		ret_event->precise += *colon == 'p';
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) == len && !strncmp(known[i].name, name, len)) {
			ret_event->type = known[i].type;
			ret_event->config = known[i].config;
			return 0;
		}
	}
	ret_event->type = 4;
	ret_event->config = strtoull(name + 1, &end, 16);
	return name[0] == 'r' && end == name + len && len > 1 ? 0 : -1;
}

static const char *default_event(enum ring_event event)
{
	static const char *const names[] = {
		"br_inst_retired.near_taken:u", "instructions:u", "cycles:u"};

	return names[event];
}

static uint64_t sample_type(const struct mk_options *o, int ids)
{
	uint64_t t = PW_IP | PW_TID | PW_TIME | PW_PERIOD | (ids ? PW_IDENTIFIER : 0);

	if (o->mode == MK_LBR || o->mode == MK_LBR_CALLCHAIN || o->mode == MK_CALLSTACK)
		t |= PW_BRANCH_STACK;
	if (o->mode == MK_CALLCHAIN || o->mode == MK_LBR_CALLCHAIN)
		t |= PW_CALLCHAIN;
	return t;
}

static uint64_t branch_type(const struct mk_options *o, uint32_t dump_flags)
{
	uint64_t t = PW_BR_USER | (o->mode == MK_CALLSTACK ? PW_BR_CALL_STACK : PW_BR_ANY);

	if (o->trace) /* nothing was filtered, so nothing is said of kinds */
		return PW_BR_HW_INDEX;
	return t | (o->brbe ? PW_BR_PRIV_SAVE : 0) |
	       (dump_flags & RING_F_CYCLES ? 0 : PW_BR_NO_CYCLES) |
	       (o->save_type ? PW_BR_TYPE_SAVE : 0) | (o->hw_index ? PW_BR_HW_INDEX : 0);
}

/* One event per kind that the dumps were sampled by; event_of[] says which. */
static unsigned make_events(const struct mk_options *o, const struct plan *plan,
	struct pw_event *events, unsigned event_of[PLAN_EVENTS])
{
	unsigned i, k, n = 0, seen[PLAN_EVENTS] = {0};

	for (i = 0; i < plan->n_dumps; i++) {
		const struct ring_header *h = plan->dumps[i].head;
		struct pw_event *e;

		if (h->event >= PLAN_EVENTS || seen[h->event])
			continue;
		seen[h->event] = 1;
		event_of[h->event] = o->event ? 0 : n;
		if (o->event && n)
			continue;
		e = &events[n++];
		memset(e, 0, sizeof(*e));
		if (find_event(o->event ? o->event : default_event((enum ring_event)h->event), e)) {
			fprintf(stderr, "mkperf: event '%s' is not known\n", o->event);
			exit(2);
		}
		e->period = h->period * o->weight;
		e->id = 1000 + n;
		e->branch_type = branch_type(o, h->flags);
	}
	for (k = 0; k < n; k++) {
		events[k].sample_type = sample_type(o, n > 1);
		if (!(events[k].sample_type & PW_BRANCH_STACK))
			events[k].branch_type = 0;
	}
	return n;
}

struct maker {
	const struct mk_options *o;
	const struct plan *plan;
	struct pw_file w;
	struct pw_event events[PLAN_EVENTS];
	unsigned event_of[PLAN_EVENTS];
};

/* The trailer of every record that is no sample. */
static void end_record(struct maker *m, struct pw_buf *b, uint32_t pid, uint32_t tid, uint64_t time)
{
	pw_u32(b, pid);
	pw_u32(b, tid);
	pw_u64(b, time);
	if (m->events[0].sample_type & PW_IDENTIFIER)
		pw_u64(b, m->events[0].id);
	pw_record_end(&m->w);
}

static void put_task(struct maker *m, enum pw_record type, uint32_t pid, uint32_t ppid,
	uint32_t tid, uint32_t ptid, uint64_t time)
{
	struct pw_buf *b = pw_record(&m->w, type, 0);

	pw_u32(b, pid);
	pw_u32(b, ppid);
	pw_u32(b, tid);
	pw_u32(b, ptid);
	pw_u64(b, time);
	end_record(m, b, pid, tid, time);
}

static void put_comm(struct maker *m, const struct plan_proc *p)
{
	struct pw_buf *b = pw_record(&m->w, PW_REC_COMM, 1 << 13);

	pw_u32(b, p->pid);
	pw_u32(b, p->pid);
	pw_name(b, p->comm);
	end_record(m, b, p->pid, p->pid, p->start_ns);
}

static void put_map(struct maker *m, const struct plan_proc *p, size_t i)
{
	const struct ring_map *map = &p->dump->maps[i];
	int by_id = m->o->ids == MK_IDS_MMAP && map->build_id_size;
	struct pw_buf *b = pw_record(&m->w, PW_REC_MMAP2, (uint16_t)(2 | (by_id ? 1 << 14 : 0)));

	pw_u32(b, p->pid);
	pw_u32(b, p->pid);
	pw_u64(b, plan_map_start(p, i));
	pw_u64(b, map->len);
	pw_u64(b, map->pgoff);
	if (by_id) {
		pw_u8(b, (uint8_t)map->build_id_size);
		pw_u8(b, 0);
		pw_u16(b, 0);
		pw_raw(b, map->build_id, RING_BUILD_ID_MAX);
	} else {
		pw_u32(b, map->maj);
		pw_u32(b, map->min);
		pw_u64(b, map->ino);
		pw_u64(b, 0);
	}
	pw_u32(b, map->prot);
	pw_u32(b, 2); /* MAP_PRIVATE */
	pw_name(b, plan_path(m->plan, map));
	end_record(m, b, p->pid, p->pid, p->start_ns + map->time_ns);
}

static void put_branches(struct maker *m, struct pw_buf *b, const struct plan_item *item)
{
	struct plan_branch br[RING_DEPTH_MAX];
	unsigned n = plan_ring(m->plan, item, br), i;

	if (m->o->mode == MK_CALLSTACK && item->sample->n_chain) {
		const uint64_t *chain = ring_sample_chain(item->sample);

		/* call sites; where they called is the frame further in */
		n = item->sample->n_chain < RING_DEPTH_MAX ? item->sample->n_chain : RING_DEPTH_MAX;
		for (i = 0; i < n; i++) {
			br[i] = (struct plan_branch){.from = plan_addr(item->proc, chain[i]),
				.to = plan_addr(item->proc, i ? chain[i - 1] : item->sample->ip)};
		}
	}
	pw_u64(b, n);
	if (m->o->trace)
		pw_u64(b, UINT64_MAX);
	else if (m->o->hw_index)
		pw_u64(b, item->order % RING_DEPTH_MAX);
	for (i = 0; i < n; i++) {
		pw_u64(b, br[i].from);
		pw_u64(b, br[i].to);
		pw_u64(b, m->o->trace ? pw_branch_flags(&m->w, 0, 0, 0, 0)
				      : pw_branch_flags(&m->w, br[i].mispred, br[i].cycles,
						m->o->save_type ? br[i].type : 0,
						(unsigned)m->o->brbe));
	}
}

static void put_sample(struct maker *m, const struct plan_item *item)
{
	const struct pw_event *e = &m->events[m->event_of[item->proc->dump->head->event]];
	const struct ring_sample *s = item->sample;
	struct pw_buf *b =
		pw_record(&m->w, PW_REC_SAMPLE, (uint16_t)(2 | (e->precise ? 1 << 14 : 0)));
	const uint64_t *chain = ring_sample_chain(s);
	unsigned i;

	if (e->sample_type & PW_IDENTIFIER)
		pw_u64(b, e->id);
	pw_u64(b, plan_addr(item->proc, s->ip));
	pw_u32(b, item->proc->pid);
	pw_u32(b, plan_tid(item->proc, s));
	pw_u64(b, item->time_ns);
	pw_u64(b, s->period * m->o->weight);
	if (e->sample_type & PW_CALLCHAIN) {
		pw_u64(b, s->n_chain + 2u);
		pw_u64(b, (uint64_t)-512); /* what follows is user code */
		pw_u64(b, plan_addr(item->proc, s->ip));
		for (i = 0; i < s->n_chain; i++)
			pw_u64(b, plan_addr(item->proc, chain[i]));
	}
	if (e->sample_type & PW_BRANCH_STACK)
		put_branches(m, b, item);
	pw_record_end(&m->w);
}

static void put_round(struct maker *m)
{
	pw_record(&m->w, PW_REC_FINISHED_ROUND, 0);
	pw_record_end(&m->w);
}

static void put_start(struct maker *m, const struct plan_proc *p)
{
	size_t i;

	put_task(m, PW_REC_FORK, p->pid, p->ppid, p->pid, p->ppid, p->start_ns);
	if (!p->parent)
		put_comm(m, p);
	for (i = 0; i < p->dump->head->n_maps; i++)
		if (p->dump->maps[i].time_ns == 0 && !plan_inherited(p, i))
			put_map(m, p, i);
}

/* A record that is no sample: a process starts, maps a file, starts a thread or ends. */
struct task_event {
	uint64_t time;
	unsigned order;
	const struct plan_proc *proc;
	long what; /* >= 0 a mapping; see below */
	uint32_t tid;
};

enum { EVENT_START = -1, EVENT_THREAD = -2, EVENT_EXIT = -3 };

struct task_events {
	struct task_event *e;
	size_t n, cap;
};

static void event_add(
	struct task_events *ev, uint64_t time, const struct plan_proc *p, long what, uint32_t tid)
{
	if (ev->n == ev->cap) {
		ev->cap = ev->cap ? 2 * ev->cap : 64;
		ev->e = realloc(ev->e, ev->cap * sizeof(*ev->e));
		if (!ev->e)
			exit(1);
	}
	ev->e[ev->n] = (struct task_event){time, (unsigned)ev->n, p, what, tid};
	ev->n++;
}

static int event_cmp(const void *a, const void *b)
{
	const struct task_event *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static void find_threads(struct task_events *ev, const struct plan_proc *p)
{
	uint64_t i;
	uint32_t seen = p->pid;

	for (i = 0; i < p->dump->head->n_samples; i++) {
		const struct ring_sample *s = p->dump->samples[i];
		uint32_t tid = plan_tid(p, s);

		/* samples of one thread are together in a dump */
		if (tid != p->pid && tid != seen)
			event_add(ev, p->start_ns + s->time_ns, p, EVENT_THREAD, tid);
		seen = tid;
	}
}

static void make_task_events(struct task_events *ev, const struct plan *plan)
{
	unsigned i;
	uint64_t k;

	for (i = 0; i < plan->n_procs; i++) {
		const struct plan_proc *p = &plan->procs[i];

		event_add(ev, p->start_ns, p, EVENT_START, p->pid);
		for (k = 0; k < p->dump->head->n_maps; k++)
			if (p->dump->maps[k].time_ns && !plan_inherited(p, k))
				event_add(ev, p->start_ns + p->dump->maps[k].time_ns, p, (long)k,
					p->pid);
		find_threads(ev, p);
		event_add(ev, p->start_ns + p->dump->head->quarters / RING_QUARTERS_PER_NS + 1, p,
			EVENT_EXIT, p->pid);
	}
	qsort(ev->e, ev->n, sizeof(*ev->e), event_cmp);
}

static void put_event(struct maker *m, const struct task_event *e)
{
	const struct plan_proc *p = e->proc;

	if (e->what == EVENT_START)
		put_start(m, p);
	else if (e->what == EVENT_THREAD)
		put_task(m, PW_REC_FORK, p->pid, p->pid, e->tid, p->pid, e->time);
	else if (e->what == EVENT_EXIT)
		put_task(m, PW_REC_EXIT, p->pid, p->ppid, p->pid, p->ppid, e->time);
	else
		put_map(m, p, (size_t)e->what);
}

static void put_records(struct maker *m)
{
	struct task_events ev = {0};
	size_t i, next = 0;

	make_task_events(&ev, m->plan);
	for (i = 0; i < m->plan->n_items; i++) {
		const struct plan_item *item = &m->plan->items[i];

		while (next < ev.n && ev.e[next].time <= item->time_ns)
			put_event(m, &ev.e[next++]);
		put_sample(m, item);
		if (i % ROUND == ROUND - 1)
			put_round(m);
	}
	while (next < ev.n)
		put_event(m, &ev.e[next++]);
	put_round(m);
	free(ev.e);
}

static void put_build_ids(struct maker *m)
{
	unsigned i, k;
	uint64_t a, b;

	for (i = 0; i < m->plan->n_dumps; i++) {
		const struct ring_dump *d = &m->plan->dumps[i];

		for (a = 0; a < d->head->n_maps; a++) {
			int seen = !d->maps[a].build_id_size;

			for (k = 0; k <= i && !seen; k++)
				for (b = 0;
					b < (k < i ? m->plan->dumps[k].head->n_maps : a) && !seen;
					b++)
					seen = !strcmp(
						m->plan->dumps[k].maps[b].path, d->maps[a].path);
			if (!seen)
				pw_build_id(&m->w, UINT32_MAX, d->maps[a].build_id,
					d->maps[a].build_id_size, plan_path(m->plan, &d->maps[a]));
		}
	}
}

static void put_features(struct maker *m)
{
	const struct mk_options *o = m->o;
	const struct ring_header *h = m->plan->dumps[0].head;
	int arm = h->isa == EM_AARCH64;
	struct pw_buf *b = pw_feature(&m->w, PW_FEAT_CMDLINE);
	const char *arg = m->plan->dumps[0].cmdline, *end = arg + h->cmdline_size;
	uint32_t n = 0;

	for (; arg < end; arg += strlen(arg) + 1)
		n++;
	pw_u32(b, n);
	for (arg = m->plan->dumps[0].cmdline; arg < end; arg += strlen(arg) + 1)
		pw_string(b, arg);
	pw_string(pw_feature(&m->w, PW_FEAT_HOSTNAME), o->host ? o->host : "emulated");
	pw_string(pw_feature(&m->w, PW_FEAT_OSRELEASE), "6.1.0-emulated");
	pw_string(pw_feature(&m->w, PW_FEAT_VERSION), "mkperf");
	pw_string(pw_feature(&m->w, PW_FEAT_ARCH), arm ? "aarch64" : "x86_64");
	pw_string(pw_feature(&m->w, PW_FEAT_CPUDESC), "emulated branch records");
	pw_string(pw_feature(&m->w, PW_FEAT_CPUID),
		arm ? "0x00000000410fd0c0" : "GenuineIntel,6,85,7");
	pw_u32(pw_feature(&m->w, PW_FEAT_NRCPUS), 4);
	pw_u32(pw_feature(&m->w, PW_FEAT_NRCPUS), 4);
	pw_u64(pw_feature(&m->w, PW_FEAT_SAMPLE_TIME),
		m->plan->n_items ? m->plan->items[0].time_ns : 0);
	pw_u64(pw_feature(&m->w, PW_FEAT_SAMPLE_TIME),
		m->plan->n_items ? m->plan->items[m->plan->n_items - 1].time_ns : 0);
	if (o->start_ns) {
		b = pw_feature(&m->w, PW_FEAT_CLOCK_DATA);
		pw_u32(b, 1); /* version */
		pw_u32(b, 1); /* CLOCK_MONOTONIC */
		pw_u64(b, o->start_ns);
		pw_u64(b, m->plan->opt.mono_ns);
		pw_u64(pw_feature(&m->w, PW_FEAT_CLOCKID), 1);
	}
	if (m->events[0].sample_type & PW_BRANCH_STACK)
		m->w.empty_features |= 1u << PW_FEAT_BRANCH_STACK;
	if (o->ids == MK_IDS_HEADER)
		put_build_ids(m);
}

/* perf takes the time of the recording from the file's: it ends when the last sample was taken. */
static void set_file_time(const struct maker *m)
{
	uint64_t end = m->o->start_ns;
	struct timespec t[2];

	if (!m->o->start_ns || !strcmp(m->o->out, "-"))
		return;
	if (m->plan->n_items)
		end += m->plan->items[m->plan->n_items - 1].time_ns - m->plan->opt.mono_ns;
	t[0].tv_sec = t[1].tv_sec = (time_t)(end / 1000000000u);
	t[0].tv_nsec = t[1].tv_nsec = (long)(end % 1000000000u);
	utimensat(AT_FDCWD, m->o->out, t, 0);
}

void mk_write_perf(const struct mk_options *o, const struct plan *plan)
{
	struct maker m = {.o = o, .plan = plan};

	m.w.pipe = o->pipe;
	m.w.compress = o->compress;
	m.w.big = o->big;
	m.w.clockid = o->start_ns ? 1 : -1;
	m.w.events = m.events;
	m.w.n_events = make_events(o, plan, m.events, m.event_of);
	pw_open(&m.w, o->out);
	put_features(&m);
	pw_begin(&m.w);
	put_records(&m);
	pw_close(&m.w);
	set_file_time(&m);
}
