/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/reclog.h"

#include <string.h>

static int log_event(void *ctx, uint32_t i, const struct pgo_rec_event *e, struct pgo_err *err)
{
	(void)err;
	pgo_buf_printf(ctx, "event %u %s type=%u config=%llx period=%llu unit=%d ring=%d%d%d\n", i,
		e->name, e->type, (unsigned long long)e->config, (unsigned long long)e->period,
		e->unit, e->has_ring, e->call_stack, e->ring_all);
	return 0;
}

static int log_map(void *ctx, const struct pgo_rec_map *m, struct pgo_err *err)
{
	(void)err;
	pgo_buf_printf(ctx, "map %d %llx+%llx@%llx %s %s t=%llu\n", m->pid,
		(unsigned long long)m->addr, (unsigned long long)m->len,
		(unsigned long long)m->pgoff, m->filename, m->build_id[0] ? m->build_id : "-",
		(unsigned long long)m->time);
	return 0;
}

static int log_task(void *ctx, const struct pgo_rec_task *t, struct pgo_err *err)
{
	static const char *const kind[] = {"comm", "exec", "fork", "exit"};

	(void)err;
	pgo_buf_printf(ctx, "%s %d %s t=%llu\n", kind[t->kind], t->pid, t->comm,
		(unsigned long long)t->time);
	return 0;
}

static int log_sample(void *ctx, const struct pgo_rec_sample *s, struct pgo_err *err)
{
	(void)err;
	pgo_buf_printf(ctx, "sample %d %d/%d mode=%d ip=%llx t=%llu p=%llu", (int)s->event, s->pid,
		s->tid, s->mode, (unsigned long long)s->ip, (unsigned long long)s->time,
		(unsigned long long)s->period);
	if (s->n_chain + s->n_chain_kernel > 0)
		pgo_buf_printf(ctx, " kernel=%u chain", s->n_chain_kernel);
	for (uint32_t i = 0; i < s->n_chain; i++)
		pgo_buf_printf(ctx, " %llx", (unsigned long long)s->chain[i]);
	for (uint32_t i = 0; i < s->ring.n; i++) {
		const struct pgo_branch *b = &s->ring.entry[i];

		pgo_buf_printf(ctx, " [%llx>%llx f=%x c=%u t=%u s=%u]", (unsigned long long)b->from,
			(unsigned long long)b->to, b->flags, b->cycles, b->type, b->spec);
	}
	if (s->ring.depth != 0)
		pgo_buf_printf(ctx, " depth=%u", s->ring.depth);
	pgo_buf_putc(ctx, '\n');
	return 0;
}

static int log_build_id(void *ctx, const char *file, const char *id, struct pgo_err *err)
{
	(void)err;
	pgo_buf_printf(ctx, "build-id %s %s\n", file, id);
	return 0;
}

struct pgo_recording_sink reclog_sink(struct pgo_buf *log)
{
	struct pgo_recording_sink s = {
		log, log_event, log_map, log_task, log_sample, log_build_id, 1, NULL};

	pgo_buf_init(log, (size_t)16 << 20);
	return s;
}
