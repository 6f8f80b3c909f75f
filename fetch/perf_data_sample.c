/* SPDX-License-Identifier: Apache-2.0 */
/* One record of a perf.data -> the sink.  Every length in a record is checked against its size. */
#include "fetch/perf_data_impl.h"

#define PROT_EXEC_BIT 4u

/* Call chain markers are the last 4095 values: which mode the frames after it belong to. */
#define CONTEXT_FIRST ((uint64_t)-4095)
#define CONTEXT_USER ((uint64_t)-512)
#define CONTEXT_USER_DEFERRED ((uint64_t)-640)

const char *pgo_perf_text(struct pgo_perf *p, const uint8_t *at, size_t len)
{
	size_t n = strnlen((const char *)at, len);

	if (n >= sizeof p->text)
		n = sizeof p->text - 1;
	memcpy(p->text, at, n);
	p->text[n] = '\0';
	return p->text;
}

/* The event of a sample; UINT32_MAX if its id belongs to none. */
static uint32_t sample_event(const struct pgo_perf *p, const uint8_t *rec, uint32_t size)
{
	uint8_t at = p->identifier ? 8 : p->events[0].at_id;

	if (p->n_events == 1 || p->n_ids == 0 || at == PGO_PERF_NO_FIELD)
		return 0;
	if (size < at + 8u)
		return UINT32_MAX;
	return pgo_perf_find_event(p, pgo_perf_u64(p, rec + at));
}

/* The event whose layout the trailer of another record has. */
static const struct pgo_perf_event *trailer_event(
	struct pgo_perf *p, const uint8_t *rec, uint32_t size)
{
	uint32_t event;

	if (!p->identifier || p->n_events == 1 || size < 16)
		return &p->events[0];
	event = pgo_perf_event_of_id(p, pgo_perf_u64(p, rec + size - 8));
	return &p->events[event != UINT32_MAX ? event : 0];
}

uint64_t pgo_perf_time(struct pgo_perf *p, const uint8_t *rec, uint32_t size)
{
	const struct pgo_perf_event *e;
	uint32_t event;

	switch (pgo_perf_type(p, rec)) {
	case REC_SAMPLE:
		event = sample_event(p, rec, size);
		e = &p->events[event != UINT32_MAX ? event : 0];
		if (e->at_time == PGO_PERF_NO_FIELD || size < e->at_time + 8u)
			return 0;
		return pgo_perf_u64(p, rec + e->at_time);
	case REC_FORK:
	case REC_EXIT:
		return size >= 32 ? pgo_perf_u64(p, rec + 24) : 0;
	default:
		e = trailer_event(p, rec, size);
		if (e->trailer_time == 0 || size < 8u + e->trailer)
			return 0;
		return pgo_perf_u64(p, rec + size - e->trailer_time);
	}
}

static int short_record(const struct pgo_perf *p, const uint8_t *rec, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"a record of type %u has %u bytes, too few for what it must hold: the file is "
		"damaged",
		pgo_perf_type(p, rec), pgo_perf_size(p, rec));
}

/* The end of a record's own fields, in front of the trailer. */
static uint32_t body_end(struct pgo_perf *p, const uint8_t *rec, uint32_t size, uint32_t min)
{
	uint32_t trailer = trailer_event(p, rec, size)->trailer;

	return size >= min + trailer ? size - trailer : size;
}

static int deliver_map(struct pgo_perf *p, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	bool v2 = pgo_perf_type(p, rec) == REC_MMAP2;
	uint32_t misc = pgo_perf_misc(p, rec), name_at = v2 ? 72 : 40, end;
	char hex[41] = "";
	struct pgo_rec_map m = {.build_id = hex};

	if (size < name_at + 1)
		return short_record(p, rec, err);
	end = body_end(p, rec, size, name_at);
	if (v2 ? (pgo_perf_u32(p, rec + 64) & PROT_EXEC_BIT) == 0 : (misc & MISC_BIT13) != 0)
		return 0;
	if ((misc & MISC_CPUMODE) != MISC_USER && (misc & MISC_CPUMODE) != 0)
		return 0; /* the kernel's and guests' own memory */
	if (v2 && (misc & MISC_MMAP_BUILD_ID) != 0 && rec[40] <= 20)
		for (unsigned i = 0; i < rec[40]; i++) {
			hex[2 * i] = "0123456789abcdef"[rec[44 + i] >> 4];
			hex[2 * i + 1] = "0123456789abcdef"[rec[44 + i] & 15];
		}
	m.pid = (int32_t)pgo_perf_u32(p, rec + 8);
	m.addr = pgo_perf_u64(p, rec + 16);
	m.len = pgo_perf_u64(p, rec + 24);
	m.pgoff = pgo_perf_u64(p, rec + 32);
	m.time = pgo_perf_time(p, rec, size);
	m.filename = pgo_perf_text(p, rec + name_at, end - name_at);
	return p->sink->map(p->sink->ctx, &m, err);
}

static int deliver_comm(struct pgo_perf *p, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	struct pgo_rec_task t = {.kind = PGO_TASK_COMM};
	uint32_t end;

	if (size < 17)
		return short_record(p, rec, err);
	end = body_end(p, rec, size, 16);
	if (pgo_perf_misc(p, rec) & MISC_BIT13)
		t.kind = PGO_TASK_EXEC;
	t.pid = (int32_t)pgo_perf_u32(p, rec + 8);
	t.tid = (int32_t)pgo_perf_u32(p, rec + 12);
	t.time = pgo_perf_time(p, rec, size);
	t.comm = pgo_perf_text(p, rec + 16, end - 16);
	return p->sink->task(p->sink->ctx, &t, err);
}

static int deliver_fork(struct pgo_perf *p, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	struct pgo_rec_task t = {.kind = PGO_TASK_FORK, .comm = ""};

	if (size < 32)
		return short_record(p, rec, err);
	if (pgo_perf_type(p, rec) == REC_EXIT)
		t.kind = PGO_TASK_EXIT;
	t.pid = (int32_t)pgo_perf_u32(p, rec + 8);
	t.ppid = (int32_t)pgo_perf_u32(p, rec + 12);
	t.tid = (int32_t)pgo_perf_u32(p, rec + 16);
	t.time = pgo_perf_u64(p, rec + 24);
	return p->sink->task(p->sink->ctx, &t, err);
}

/* What follows `at` if `bytes` bytes are there; else NULL. */
static const uint8_t *step(const uint8_t *at, const uint8_t *end, uint64_t bytes)
{
	return at != NULL && (uint64_t)(end - at) >= bytes ? at + bytes : NULL;
}

static const uint8_t *skip_read(const struct pgo_perf *p, const struct pgo_perf_event *e,
	const uint8_t *at, const uint8_t *end)
{
	uint64_t f = e->read_format, times = 0, each = 8, n = 1;

	times = ((f & READ_ENABLED) != 0) * 8u + ((f & READ_RUNNING) != 0) * 8u;
	each += ((f & READ_ID) != 0) * 8u + ((f & READ_LOST) != 0) * 8u;
	if (f & READ_GROUP) {
		if (step(at, end, 8) == NULL)
			return NULL;
		n = pgo_perf_u64(p, at);
		if (n > PGO_PERF_RECORD_MAX / 8)
			return NULL;
		times += 8;
	}
	return step(at, end, times + n * each);
}

static const uint8_t *skip_raw(const struct pgo_perf *p, const uint8_t *at, const uint8_t *end)
{
	if (step(at, end, 4) == NULL)
		return NULL;
	return step(at, end, ((uint64_t)pgo_perf_u32(p, at) + 4 + 7) & ~(uint64_t)7);
}

static const uint8_t *read_chain(
	const struct pgo_perf *p, const uint8_t *at, const uint8_t *end, struct pgo_rec_sample *s)
{
	uint64_t *chain = p->lanes[s->lane].chain;
	bool user = s->mode == PGO_MODE_USER;
	uint64_t n;

	if (step(at, end, 8) == NULL)
		return NULL;
	n = pgo_perf_u64(p, at);
	at += 8;
	if (n > (uint64_t)(end - at) / 8)
		return NULL;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t ip = pgo_perf_u64(p, at + 8 * i);

		if (ip >= CONTEXT_FIRST)
			user = ip == CONTEXT_USER || ip == CONTEXT_USER_DEFERRED;
		else if (user)
			chain[s->n_chain++] = ip;
		else
			s->n_chain_kernel++;
	}
	s->chain = chain;
	return at + 8 * n;
}

/* Flags word: mispredicted, predicted, in transaction, abort; 16 bits of cycles; 4 of type, 2 of
 * speculation, 4 of the extended type, 3 of privilege. */
static inline void unpack_flags(struct pgo_branch *b, uint64_t f)
{
	unsigned type = f >> 20 & 15;

	b->flags = f & 15;
	b->cycles = (uint16_t)(f >> 4);
	b->type = (uint8_t)(type == 15 ? 16 + (f >> 26 & 15) : type);
	b->spec = f >> 24 & 3;
	b->priv = f >> 30 & 7;
	b->unused[0] = b->unused[1] = 0;
}

static inline uint64_t flags_of_big_endian(uint64_t f)
{
	return (f >> 63 & 1) | (f >> 62 & 1) << 1 | (f >> 61 & 1) << 2 | (f >> 60 & 1) << 3 |
	       (f >> 44 & 0xffff) << 4 | (f >> 40 & 15) << 20 | (f >> 38 & 3) << 24 |
	       (f >> 34 & 15) << 26 | (f >> 31 & 7) << 30;
}

static const uint8_t *read_ring(const struct pgo_perf *p, const struct pgo_perf_event *e,
	const uint8_t *at, const uint8_t *end, struct pgo_rec_sample *s)
{
	struct pgo_branch *b = p->lanes[s->lane].branches;
	uint64_t n;

	if (step(at, end, 8) == NULL)
		return NULL;
	n = pgo_perf_u64(p, at);
	at = step(at + 8, end, (e->branch_type & B_HW_INDEX) != 0 ? 8 : 0);
	if (at == NULL || n > (uint64_t)(end - at) / 24)
		return NULL;
	if (!p->swap) {
		for (uint64_t i = 0; i < n; i++, at += 24) {
			uint64_t w[3];

			memcpy(w, at, sizeof w);
			b[i].from = w[0];
			b[i].to = w[1];
			unpack_flags(&b[i], w[2]);
		}
	} else {
		for (uint64_t i = 0; i < n; i++, at += 24) {
			b[i].from = pgo_perf_u64(p, at);
			b[i].to = pgo_perf_u64(p, at + 8);
			unpack_flags(&b[i], flags_of_big_endian(pgo_perf_u64(p, at + 16)));
		}
	}
	if (e->branch_type & B_NO_FLAGS)
		for (uint64_t i = 0; i < n; i++)
			b[i].flags = 0;
	if (e->branch_type & B_NO_CYCLES)
		for (uint64_t i = 0; i < n; i++)
			b[i].cycles = 0;
	s->ring.entry = b;
	s->ring.n = (uint32_t)n;
	s->ring.depth = p->info->ring_depth;
	return at;
}

static enum pgo_cpumode mode_of(uint32_t misc)
{
	switch (misc & MISC_CPUMODE) {
	case MISC_KERNEL:
	case 3: /* hypervisor */
		return PGO_MODE_KERNEL;
	case MISC_USER:
		return PGO_MODE_USER;
	case 4: /* guest kernel, guest user */
	case 5:
		return PGO_MODE_GUEST;
	default:
		return PGO_MODE_UNKNOWN;
	}
}

int32_t pgo_perf_pid(const struct pgo_perf *p, const uint8_t *rec)
{
	uint32_t size = pgo_perf_size(p, rec), event = sample_event(p, rec, size);
	const struct pgo_perf_event *e = event != UINT32_MAX ? &p->events[event] : NULL;

	if (e == NULL || e->at_tid == PGO_PERF_NO_FIELD || size < e->at_tid + 4u)
		return -1;
	return (int32_t)pgo_perf_u32(p, rec + e->at_tid);
}

int pgo_perf_deliver_sample(
	const struct pgo_perf *p, unsigned lane, const uint8_t *rec, struct pgo_err *err)
{
	uint32_t size = pgo_perf_size(p, rec), event = sample_event(p, rec, size);
	struct pgo_rec_sample s = {
		.event = event, .mode = mode_of(pgo_perf_misc(p, rec)), .count = 1, .lane = lane};
	const uint8_t *end = rec + size, *at;
	const struct pgo_perf_event *e;

	if (event == UINT32_MAX)
		return p->sink->sample(p->sink->ctx, &s, err);
	e = &p->events[event];
	at = step(rec, end, e->fixed);
	if (at == NULL)
		return short_record(p, rec, err);
	if (e->at_ip != PGO_PERF_NO_FIELD)
		s.ip = pgo_perf_u64(p, rec + e->at_ip);
	if (e->at_tid != PGO_PERF_NO_FIELD) {
		s.pid = (int32_t)pgo_perf_u32(p, rec + e->at_tid);
		s.tid = (int32_t)pgo_perf_u32(p, rec + e->at_tid + 4);
	} else {
		s.pid = s.tid = -1;
	}
	if (e->at_time != PGO_PERF_NO_FIELD)
		s.time = pgo_perf_u64(p, rec + e->at_time);
	s.period =
		e->at_period != PGO_PERF_NO_FIELD ? pgo_perf_u64(p, rec + e->at_period) : e->period;
	if (e->sample_type & S_READ)
		at = skip_read(p, e, at, end);
	if (e->sample_type & S_CALLCHAIN)
		at = read_chain(p, at, end, &s);
	if (e->sample_type & S_RAW)
		at = skip_raw(p, at, end);
	if (e->sample_type & S_BRANCH_STACK)
		at = read_ring(p, e, at, end, &s);
	if (at == NULL)
		return short_record(p, rec, err);
	return p->sink->sample(p->sink->ctx, &s, err);
}

int pgo_perf_deliver(struct pgo_perf *p, const uint8_t *rec, struct pgo_err *err)
{
	uint32_t size = pgo_perf_size(p, rec);

	switch (pgo_perf_type(p, rec)) {
	case REC_SAMPLE:
		return pgo_perf_deliver_sample(p, 0, rec, err);
	case REC_MMAP:
	case REC_MMAP2:
		return deliver_map(p, rec, size, err);
	case REC_COMM:
		return deliver_comm(p, rec, size, err);
	case REC_FORK:
	case REC_EXIT:
		return deliver_fork(p, rec, size, err);
	default:
		return 0;
	}
}
