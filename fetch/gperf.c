/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/gperf.h"

#include "fetch/map_line.h"
#include "pgo/core/vec.h"

#include <byteswap.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_WORDS 5
#define PID 1 /* the format has none; one process is all there is */

struct words {
	const uint8_t *data;
	size_t n;      /* whole words */
	unsigned size; /* 4 or 8 */
	bool swap;
};

static uint64_t word(const struct words *w, size_t i)
{
	uint64_t v64;
	uint32_t v32;

	if (w->size == 8) {
		memcpy(&v64, w->data + 8 * i, 8);
		return w->swap ? bswap_64(v64) : v64;
	}
	memcpy(&v32, w->data + 4 * i, 4);
	return w->swap ? bswap_32(v32) : v32;
}

/* Finds word size and byte order by the header. */
static bool recognise(struct words *w, const void *data, size_t len)
{
	for (unsigned i = 0; i < 4; i++) {
		w->data = data;
		w->size = i < 2 ? 8 : 4;
		w->swap = i % 2 != 0;
		w->n = len / w->size;
		if (w->n >= HEADER_WORDS && word(w, 0) == 0 && word(w, 1) == 3 && word(w, 2) == 0 &&
			word(w, 3) > 0 && word(w, 3) <= 1000000000 && word(w, 4) == 0)
			return true;
	}
	return false;
}

bool pgo_gperf_probe(const void *head, size_t len)
{
	struct words w;

	return recognise(&w, head, len);
}

struct stack {        /* a record */
	size_t first; /* in frames */
	uint32_t n;
	uint64_t count;
};

struct profile {
	struct words w;
	struct stack *stacks;
	size_t n_stacks, stacks_room;
	uint64_t *frames;
	size_t n_frames, frames_room;
	size_t text; /* where the list of mappings begins, in bytes */
};

static int cut_off(const struct profile *p, size_t at, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"the profile is cut off at byte %zu, before the record that ends its stacks; copy "
		"or "
		"record it again",
		at * p->w.size);
}

static int read_stacks(struct profile *p, struct pgo_err *err)
{
	size_t at = HEADER_WORDS;

	for (;;) {
		uint64_t count, n;
		struct stack *s;

		if (p->w.n - at < 2)
			return cut_off(p, p->w.n, err);
		count = word(&p->w, at);
		n = word(&p->w, at + 1);
		if (n > p->w.n - at - 2)
			return cut_off(p, p->w.n, err);
		if (count == 0 && n == 1 && word(&p->w, at + 2) == 0) {
			p->text = (at + 3) * p->w.size;
			return 0;
		}
		s = PGO_VEC_PUSH(p->stacks, p->n_stacks, p->stacks_room);
		if (s == NULL || PGO_VEC_RESERVE(p->frames, p->frames_room, p->n_frames + n) < 0)
			return pgo_err_nomem(err);
		s->first = p->n_frames;
		s->n = (uint32_t)n;
		s->count = count;
		for (size_t i = 0; i < n; i++)
			p->frames[p->n_frames++] = word(&p->w, at + 2 + i);
		at += 2 + n;
	}
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void drop_second(struct profile *p, struct stack *s)
{
	uint64_t *f = p->frames + s->first;

	memmove(f + 1, f + 2, (s->n - 2) * sizeof *f);
	s->n--;
}

/* One round: the second frame that all but one in 32 stacks share goes.  0, 1 if one went, or -1.
 */
static int drop_shared_frame(struct profile *p)
{
	uint64_t *seconds = pgo_calloc(p->n_stacks, sizeof *seconds);
	size_t n = 0, run = 0, enough = p->n_stacks - p->n_stacks / 32;
	uint64_t shared = 0;
	bool found = false;

	if (seconds == NULL)
		return -1;
	for (size_t i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].n > 1)
			seconds[n++] = p->frames[p->stacks[i].first + 1];
	if (n > 0)
		qsort(seconds, n, sizeof *seconds, cmp_u64);
	for (size_t i = 0; i < n && !found; i++) {
		run = i > 0 && seconds[i] == seconds[i - 1] ? run + 1 : 1;
		found = run >= enough;
		shared = seconds[i];
	}
	pgo_free(seconds);
	for (size_t i = 0; i < p->n_stacks && found; i++)
		if (p->stacks[i].n > 1 && p->frames[p->stacks[i].first + 1] == shared)
			drop_second(p, &p->stacks[i]);
	return found;
}

static int tidy(struct profile *p, struct pgo_err *err)
{
	for (int round = 0; round < 2; round++)
		if (drop_shared_frame(p) < 0)
			return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_stacks; i++) {
		const uint64_t *f = p->frames + p->stacks[i].first;

		/* The leaf twice: once from the signal's context, once from unwinding. */
		if (p->stacks[i].n > 1 && f[0] == f[1])
			drop_second(p, &p->stacks[i]);
	}
	return 0;
}

static bool is_library(const struct pgo_rec_map *m)
{
	const char *base = strrchr(m->filename, '/');

	return strstr(base != NULL ? base : m->filename, ".so") != NULL || m->filename[0] == '[';
}

/* The program's own file: the first that is no library. */
static int send_program(const struct pgo_map_line *lines, size_t n,
	const struct pgo_recording_sink *sink, struct pgo_err *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = lines[i].map.filename, *slash = strrchr(name, '/');
		struct pgo_rec_task comm = {.kind = PGO_TASK_COMM,
			.pid = PID,
			.tid = PID,
			.comm = slash != NULL ? slash + 1 : name};
		int rc;

		if (is_library(&lines[i].map))
			continue;
		rc = sink->task(sink->ctx, &comm, err);
		return rc < 0 ? rc : sink->map(sink->ctx, &lines[i].map, err);
	}
	return 0;
}

static int send_maps(
	const char *text, size_t len, const struct pgo_recording_sink *sink, struct pgo_err *err)
{
	struct pgo_map_line *lines = NULL;
	size_t n = 0, room = 0;
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n_line = end != NULL ? (size_t)(end - (text + at)) : len - at;
		struct pgo_map_line *line = PGO_VEC_PUSH(lines, n, room);

		if (line == NULL)
			rc = pgo_err_nomem(err);
		else if (!pgo_map_line_parse(text + at, n_line, line))
			n--; /* not executable, or no mapping at all */
		else
			line->map.pid = PID;
		at += n_line + 1;
	}
	for (size_t i = 0; i < n; i++) { /* now that they stay where they are */
		lines[i].map.filename = lines[i].filename;
		lines[i].map.build_id = lines[i].build_id;
	}
	if (rc == 0)
		rc = send_program(lines, n, sink, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = sink->map(sink->ctx, &lines[i].map, err);
	pgo_free(lines);
	return rc;
}

static int send_stacks(
	const struct profile *p, const struct pgo_recording_sink *sink, struct pgo_err *err)
{
	uint64_t period = word(&p->w, 3) * 1000;
	struct pgo_rec_event e = {
		.name = "cpu-clock", .type = 1, .period = period, .unit = PGO_UNIT_TIME};
	int rc = sink->event(sink->ctx, 0, &e, err);

	for (size_t i = 0; i < p->n_stacks && rc == 0; i++) {
		const struct stack *s = &p->stacks[i];
		struct pgo_rec_sample out = {.pid = PID,
			.tid = PID,
			.mode = PGO_MODE_USER,
			.count = s->count,
			.period = s->count > UINT64_MAX / period ? UINT64_MAX : s->count * period,
			.chain = p->frames + s->first,
			.n_chain = s->n};

		rc = sink->sample(sink->ctx, &out, err);
	}
	return rc;
}

int pgo_gperf_read(const void *data, size_t len, const struct pgo_recording_sink *sink,
	struct pgo_rec_info *info, struct pgo_err *err)
{
	struct profile p = {0};
	int rc = 0;

	if (!recognise(&p.w, data, len))
		return pgo_err_set(err, PGO_EFORMAT, "this is not a gperftools CPU profile");
	rc = read_stacks(&p, err);
	if (rc == 0)
		rc = tidy(&p, err);
	if (rc == 0)
		rc = send_maps((const char *)data + p.text, len - p.text, sink, err);
	if (rc == 0)
		rc = send_stacks(&p, sink, err);
	info->records = p.n_stacks;
	pgo_free(p.stacks);
	pgo_free(p.frames);
	return rc;
}
