/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/perf_data_impl.h"
#include "pgo/core/vec.h"

#include <stdio.h>

/* Offsets in struct perf_event_attr. */
enum {
	ATTR_TYPE = 0,
	ATTR_CONFIG = 8,
	ATTR_PERIOD = 16,
	ATTR_SAMPLE_TYPE = 24,
	ATTR_READ_FORMAT = 32,
	ATTR_FLAGS = 40,
	ATTR_BRANCH_TYPE = 72,
	ATTR_MIN = 64, /* the first published size */
};

#define FLAG_FREQ 10
#define FLAG_SAMPLE_ID_ALL 18

#define TYPE_HARDWARE 0
#define TYPE_SOFTWARE 1
#define TYPE_RAW 4

/* More events than any recording has; what bounds a hostile one. */
#define EVENTS_MAX 65536u
#define IDS_MAX (1u << 24)

static enum pgo_event_unit unit_of_name(const char *name)
{
	static const struct {
		const char *prefix;
		enum pgo_event_unit unit;
	} known[] = {
		{"cycles", PGO_UNIT_CYCLES},
		{"cpu-cycles", PGO_UNIT_CYCLES},
		{"cpu_clk_unhalted", PGO_UNIT_CYCLES},
		{"ls_not_halted_cyc", PGO_UNIT_CYCLES},
		{"ref-cycles", PGO_UNIT_CYCLES},
		{"instructions", PGO_UNIT_INSTRUCTIONS},
		{"inst_retired", PGO_UNIT_INSTRUCTIONS},
		{"ex_ret_instr", PGO_UNIT_INSTRUCTIONS},
		{"branch-instructions", PGO_UNIT_BRANCHES},
		{"branches", PGO_UNIT_BRANCHES},
		{"br_inst_retired", PGO_UNIT_BRANCHES},
		{"br_retired", PGO_UNIT_BRANCHES},
		{"ex_ret_brn", PGO_UNIT_BRANCHES},
		{"cpu-clock", PGO_UNIT_TIME},
		{"task-clock", PGO_UNIT_TIME},
	};
	const char *slash = strchr(name, '/');

	/* "cpu/event=0x3c/", "cpu_core/cycles/" */
	if (slash != NULL && unit_of_name(slash + 1) != PGO_UNIT_OTHER)
		return unit_of_name(slash + 1);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strncasecmp(name, known[i].prefix, strlen(known[i].prefix)) == 0)
			return known[i].unit;
	return PGO_UNIT_OTHER;
}

enum pgo_event_unit pgo_event_unit_of(uint32_t type, uint64_t config, const char *name)
{
	/* Without the processor type in the upper half, which hybrid machines put there. */
	uint32_t low = (uint32_t)config;

	if (type == TYPE_HARDWARE && (low == 0 || low == 9))
		return PGO_UNIT_CYCLES;
	if (type == TYPE_HARDWARE && low == 1)
		return PGO_UNIT_INSTRUCTIONS;
	if (type == TYPE_HARDWARE && low == 4)
		return PGO_UNIT_BRANCHES;
	if (type == TYPE_SOFTWARE && low <= 1)
		return PGO_UNIT_TIME;
	if (unit_of_name(name) != PGO_UNIT_OTHER)
		return unit_of_name(name);
	if (type != TYPE_RAW)
		return PGO_UNIT_OTHER;
	/* Event codes that Intel has kept through all its cores, and AMD's for the same. */
	switch (low & 0xff) {
	case 0xc4:
		return PGO_UNIT_BRANCHES;
	case 0xc0:
		return PGO_UNIT_INSTRUCTIONS;
	case 0x3c:
	case 0x76:
		return PGO_UNIT_CYCLES;
	default:
		return PGO_UNIT_OTHER;
	}
}

/* The name that perf gives an event if the file does not say. */
static void default_name(struct pgo_perf_event *e)
{
	static const char *const hardware[] = {"cycles", "instructions", "cache-references",
		"cache-misses", "branches", "branch-misses", "bus-cycles",
		"stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles"};
	static const char *const software[] = {"cpu-clock", "task-clock", "page-faults",
		"context-switches", "cpu-migrations", "minor-faults", "major-faults",
		"alignment-faults", "emulation-faults", "dummy"};

	if (e->type == TYPE_HARDWARE && (uint32_t)e->config < 10)
		snprintf(e->name, sizeof e->name, "%s", hardware[(uint32_t)e->config]);
	else if (e->type == TYPE_SOFTWARE && e->config < 10)
		snprintf(e->name, sizeof e->name, "%s", software[e->config]);
	else if (e->type == TYPE_RAW)
		snprintf(e->name, sizeof e->name, "r%llx", (unsigned long long)e->config);
	else
		snprintf(e->name, sizeof e->name, "event-%u-%llx", e->type,
			(unsigned long long)e->config);
}

/* Fields in front of anything of variable size, in the order the kernel writes them. */
static void lay_out(struct pgo_perf_event *e)
{
	uint64_t t = e->sample_type;
	uint8_t at = 8;
	const struct {
		uint64_t bit;
		uint8_t *field;
	} order[] = {
		{S_IDENTIFIER, &e->at_id},
		{S_IP, &e->at_ip},
		{S_TID, &e->at_tid},
		{S_TIME, &e->at_time},
		{S_ADDR, NULL},
		{S_ID, &e->at_id},
		{S_STREAM_ID, NULL},
		{S_CPU, NULL},
		{S_PERIOD, &e->at_period},
	};

	e->at_id = e->at_ip = e->at_tid = e->at_time = e->at_period = PGO_PERF_NO_FIELD;
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if ((t & order[i].bit) == 0)
			continue;
		if (order[i].field != NULL && *order[i].field == PGO_PERF_NO_FIELD)
			*order[i].field = at;
		at += 8;
	}
	e->fixed = at;
	/* The trailer has TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER. */
	e->trailer = e->trailer_time = 0;
	if (!e->sample_id_all)
		return;
	for (uint64_t late = t & (S_ID | S_STREAM_ID | S_CPU | S_IDENTIFIER); late != 0;
		late &= late - 1)
		e->trailer += 8;
	if (t & S_TIME)
		e->trailer_time = e->trailer += 8;
	if (t & S_TID)
		e->trailer += 8;
}

int pgo_perf_attr(struct pgo_perf *p, const uint8_t *attr, size_t len, uint32_t *ret_event,
	struct pgo_err *err)
{
	struct pgo_perf_event *e;
	uint64_t flags;

	if (len < ATTR_MIN)
		return pgo_err_set(err, PGO_EFORMAT,
			"an event attribute has %zu bytes, the smallest there is has %d: the file "
			"is "
			"damaged",
			len, ATTR_MIN);
	if (p->n_events >= EVENTS_MAX)
		return pgo_err_set(err, PGO_ELIMIT, "more than %u events", EVENTS_MAX);
	e = PGO_VEC_PUSH(p->events, p->n_events, p->events_room);
	if (e == NULL)
		return pgo_err_nomem(err);
	flags = pgo_perf_u64(p, attr + ATTR_FLAGS);
	e->type = pgo_perf_u32(p, attr + ATTR_TYPE);
	e->config = pgo_perf_u64(p, attr + ATTR_CONFIG);
	if (!pgo_perf_bit(p, flags, FLAG_FREQ))
		e->period = pgo_perf_u64(p, attr + ATTR_PERIOD);
	e->sample_type = pgo_perf_u64(p, attr + ATTR_SAMPLE_TYPE);
	e->read_format = pgo_perf_u64(p, attr + ATTR_READ_FORMAT);
	e->sample_id_all = pgo_perf_bit(p, flags, FLAG_SAMPLE_ID_ALL);
	if (len >= ATTR_BRANCH_TYPE + 8)
		e->branch_type = pgo_perf_u64(p, attr + ATTR_BRANCH_TYPE);
	default_name(e);
	lay_out(e);
	p->layouts_checked = false;
	*ret_event = (uint32_t)(p->n_events - 1);
	return 0;
}

int pgo_perf_add_id(struct pgo_perf *p, uint64_t id, uint32_t event, struct pgo_err *err)
{
	struct pgo_perf_id *new;

	if (pgo_map_find_key(&p->id_map, p->ids, sizeof *p->ids, &id, sizeof id) != PGO_MAP_NONE)
		return 0;
	if (p->n_ids >= IDS_MAX)
		return pgo_err_set(err, PGO_ELIMIT, "more than %u event ids", IDS_MAX);
	new = PGO_VEC_PUSH(p->ids, p->n_ids, p->ids_room);
	if (new == NULL)
		return pgo_err_nomem(err);
	new->id = id;
	new->event = event;
	if (pgo_map_add_key(&p->id_map, &id, sizeof id, (uint32_t)(p->n_ids - 1)) < 0)
		return pgo_err_nomem(err);
	p->last_event = UINT32_MAX;
	return 0;
}

uint32_t pgo_perf_find_event(const struct pgo_perf *p, uint64_t id)
{
	uint32_t i = pgo_map_find_key(&p->id_map, p->ids, sizeof *p->ids, &id, sizeof id);

	return i != PGO_MAP_NONE ? p->ids[i].event : UINT32_MAX;
}

uint32_t pgo_perf_event_of_id(struct pgo_perf *p, uint64_t id)
{
	uint32_t event;

	if (id == p->last_id && p->last_event != UINT32_MAX)
		return p->last_event;
	event = pgo_perf_find_event(p, id);
	if (event != UINT32_MAX) {
		p->last_id = id;
		p->last_event = event;
	}
	return event;
}

int pgo_perf_check_layouts(struct pgo_perf *p, struct pgo_err *err)
{
	if (p->layouts_checked)
		return 0;
	if (p->n_events == 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"records come before any event attribute: this is not a whole recording");
	p->identifier = true;
	for (size_t i = 0; i < p->n_events; i++)
		if ((p->events[i].sample_type & S_IDENTIFIER) == 0)
			p->identifier = false;
	for (size_t i = 1; i < p->n_events && !p->identifier; i++)
		if (p->events[i].sample_type != p->events[0].sample_type)
			return pgo_err_set(err, PGO_EFORMAT,
				"events %s and %s have samples of different layouts and no "
				"identifier to tell them apart; record them in two runs",
				p->events[0].name, p->events[i].name);
	p->layouts_checked = true;
	return 0;
}

int pgo_perf_announce(struct pgo_perf *p, uint32_t event, struct pgo_err *err)
{
	struct pgo_perf_event *e = &p->events[event];
	struct pgo_rec_event out = {
		.name = e->name,
		.type = e->type,
		.config = e->config,
		.period = e->period,
		.unit = pgo_event_unit_of(e->type, e->config, e->name),
		.has_ring = (e->sample_type & S_BRANCH_STACK) != 0,
		.call_stack = (e->branch_type & B_CALL_STACK) != 0,
		/* Rings that perf inject made of a trace have no filter, and say so of none. */
		.ring_all = (e->branch_type & B_ANY) != 0 || (e->branch_type & B_KINDS) == 0,
	};

	e->announced = true;
	return p->sink->event(p->sink->ctx, event, &out, err);
}

int pgo_perf_rename(
	struct pgo_perf *p, uint32_t event, const uint8_t *name, size_t len, struct pgo_err *err)
{
	struct pgo_perf_event *e = &p->events[event];
	size_t n = strnlen((const char *)name, len);

	if (n == 0)
		return 0;
	if (n >= sizeof e->name)
		n = sizeof e->name - 1;
	memcpy(e->name, name, n);
	e->name[n] = '\0';
	return e->announced ? pgo_perf_announce(p, event, err) : 0;
}

/* A reader of feature bodies that never leaves them. */
struct cursor {
	const struct pgo_perf *p;
	const uint8_t *at, *end;
	bool bad;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->bad || (size_t)(c->end - c->at) < n) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return at;
}

static uint32_t take_u32(struct cursor *c)
{
	const uint8_t *at = take(c, 4);

	return at != NULL ? pgo_perf_u32(c->p, at) : 0;
}

static uint64_t take_u64(struct cursor *c)
{
	const uint8_t *at = take(c, 8);

	return at != NULL ? pgo_perf_u64(c->p, at) : 0;
}

/* u32 length, then as many bytes with a NUL and padding among them. */
static const uint8_t *take_string(struct cursor *c, size_t *ret_len)
{
	uint32_t len = take_u32(c);
	const uint8_t *at = take(c, len);

	*ret_len = at != NULL ? strnlen((const char *)at, len) : 0;
	return at;
}

static int feature_host(struct cursor *c, struct pgo_perf *p)
{
	size_t len;
	const uint8_t *s = take_string(c, &len);

	if (s != NULL && len < sizeof p->info->host) {
		memcpy(p->info->host, s, len);
		p->info->host[len] = '\0';
	}
	return 0;
}

/* count, size of an attribute; then each: attribute, count of ids, name, ids. */
static int feature_events(struct cursor *c, struct pgo_perf *p, struct pgo_err *err)
{
	uint32_t n = take_u32(c), attr_size = take_u32(c);

	for (uint32_t i = 0; i < n && !c->bad; i++) {
		const uint8_t *attr = take(c, attr_size);
		uint32_t n_ids = take_u32(c), event = i;
		size_t len;
		const uint8_t *name = take_string(c, &len);

		if (attr == NULL || name == NULL)
			break;
		for (uint32_t k = 0; k < n_ids && !c->bad; k++) {
			uint32_t known = pgo_perf_event_of_id(p, take_u64(c));

			if (!c->bad && known != UINT32_MAX)
				event = known;
		}
		if (c->bad || event >= p->n_events)
			continue;
		if (pgo_perf_rename(p, event, name, len, err) < 0)
			return err != NULL ? err->code : PGO_EFORMAT;
	}
	return 0;
}

/* Pairs of strings; "branches" is the depth of the ring. */
static void take_caps(struct cursor *c, struct pgo_perf *p)
{
	uint32_t n = take_u32(c);

	for (uint32_t i = 0; i < n && !c->bad; i++) {
		size_t key_len, len;
		const uint8_t *key = take_string(c, &key_len);
		const uint8_t *value = take_string(c, &len);
		uint32_t depth = 0;

		if (key == NULL || value == NULL || key_len != 8 || memcmp(key, "branches", 8) != 0)
			continue;
		for (size_t k = 0; k < len && k < 4 && value[k] >= '0' && value[k] <= '9'; k++)
			depth = depth * 10 + (value[k] - '0');
		p->info->ring_depth = depth;
	}
}

int pgo_perf_build_id(struct pgo_perf *p, const uint8_t *rec, size_t size, struct pgo_err *err)
{
	uint32_t misc = pgo_perf_misc(p, rec);
	char hex[41];
	unsigned n = 20;

	/* header, pid, build-id[20], its size, 3 unused bytes, name */
	if (size < 36)
		return pgo_err_set(err, PGO_EFORMAT,
			"a build-id record has %zu bytes, too few for a build-id: the file is "
			"damaged",
			size);
	if ((misc & MISC_CPUMODE) != MISC_USER && (misc & MISC_CPUMODE) != 0)
		return 0;
	if ((misc & MISC_BUILD_ID_SIZE) != 0 && rec[32] <= 20)
		n = rec[32];
	for (unsigned i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", rec[12 + i]);
	hex[2 * n] = '\0';
	return p->sink->build_id(p->sink->ctx, pgo_perf_text(p, rec + 36, size - 36), hex, err);
}

static int feature_build_ids(struct cursor *c, struct pgo_perf *p, struct pgo_err *err)
{
	while (c->end - c->at >= 8) {
		uint32_t size = pgo_perf_size(p, c->at);
		const uint8_t *rec = size >= 8 ? take(c, size) : NULL;
		int rc;

		if (rec == NULL) {
			c->bad = true;
			return 0;
		}
		rc = pgo_perf_build_id(p, rec, size, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void feature_clock(struct cursor *c, struct pgo_perf *p)
{
	uint32_t version = take_u32(c);

	take_u32(c); /* which clock */
	p->info->wall_ns = take_u64(c);
	p->info->clock_ns = take_u64(c);
	p->info->has_clock = !c->bad && version == 1;
}

int pgo_perf_feature(
	struct pgo_perf *p, uint64_t feature, const uint8_t *data, size_t len, struct pgo_err *err)
{
	struct cursor c = {p, data, data + len, false};
	int rc = 0;

	switch (feature) {
	case FEAT_BUILD_ID:
		rc = feature_build_ids(&c, p, err);
		break;
	case FEAT_HOSTNAME:
		rc = feature_host(&c, p);
		break;
	case FEAT_EVENT_DESC:
		rc = feature_events(&c, p, err);
		break;
	case FEAT_CPU_PMU_CAPS:
		take_caps(&c, p);
		break;
	case FEAT_PMU_CAPS:
		for (uint32_t n = take_u32(&c); n > 0 && !c.bad; n--) {
			size_t unused;

			take_caps(&c, p);
			take_string(&c, &unused);
		}
		break;
	case FEAT_CLOCK_DATA:
		feature_clock(&c, p);
		break;
	case FEAT_DIR_FORMAT:
		return pgo_err_set(err, PGO_EFORMAT,
			"the recording is spread over several files (perf record --threads); "
			"record "
			"without --threads");
	default:
		break;
	}
	if (rc == 0 && c.bad)
		return pgo_err_set(err, PGO_EFORMAT,
			"header feature %llu ends in the middle: the file is damaged",
			(unsigned long long)feature);
	return rc;
}
