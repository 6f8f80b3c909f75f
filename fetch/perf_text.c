/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/perf_text.h"

#include "fetch/perf_data.h"
#include "pgo/core/buf.h"
#include "pgo/core/vec.h"

#include <string.h>

#define BLOCK ((size_t)1 << 20)
#define LINE_MAX_BYTES ((size_t)16 << 20)
#define EVENTS_MAX 1024
#define PID_OF_BINARY 1 /* the process, if the text says nothing of processes */

struct event_name {
	char name[128];
};

struct reader {
	const struct pgo_recording_sink *sink;
	struct pgo_rec_info *info;
	const struct pgo_elf *binary;
	struct event_name *events;
	size_t n_events, events_room;
	struct pgo_branch *ring;
	size_t n_ring, ring_room;
	bool has_maps;    /* the text says what is mapped */
	bool own_maps;    /* it does not: the binary was mapped at its own addresses */
	int32_t only_pid; /* of the first mapping: meant by samples without one */
	uint64_t line;
};

/* ---------------------------------------------------------------- words */

struct word {
	const char *s;
	size_t n;
};

static bool next_word(const char **at, const char *end, struct word *ret)
{
	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r'))
		++*at;
	ret->s = *at;
	while (*at < end && **at != ' ' && **at != '\t' && **at != '\r')
		++*at;
	ret->n = (size_t)(*at - ret->s);
	return ret->n > 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex digits at *s, at most 16; how many. */
static size_t take_hex(const char **s, const char *end, uint64_t *ret)
{
	const char *start = *s;

	*ret = 0;
	for (; *s < end && hex_digit(**s) >= 0 && *s - start < 16; ++*s)
		*ret = *ret << 4 | (unsigned)hex_digit(**s);
	return (size_t)(*s - start);
}

static size_t take_decimal(const char **s, const char *end, uint64_t *ret)
{
	const char *start = *s;

	*ret = 0;
	for (; *s < end && **s >= '0' && **s <= '9' && *s - start < 19; ++*s)
		*ret = *ret * 10 + (unsigned)(**s - '0');
	return (size_t)(*s - start);
}

static bool take_text(const char **s, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *s) < n || memcmp(*s, text, n) != 0)
		return false;
	*s += n;
	return true;
}

/* 0x hex, or plain digits of hex. */
static bool take_number(const char **s, const char *end, uint64_t *ret)
{
	take_text(s, end, "0x");
	return take_hex(s, end, ret) > 0;
}

/* ---------------------------------------------------------------- branch entries */

/* An address with what perf may put behind it: +offset, (file). */
static bool take_address(const char **s, const char *end, uint64_t *ret)
{
	if (!take_text(s, end, "0x") || take_hex(s, end, ret) == 0)
		return false;
	if (*s < end && **s == '+') {
		uint64_t unused;

		++*s;
		if (!take_number(s, end, &unused))
			return false;
	}
	if (*s < end && **s == '(') {
		while (*s < end && **s != ')')
			++*s;
		if (*s == end)
			return false;
		++*s;
	}
	return true;
}

/* The next of the fields that slashes part. */
static struct word take_field(const char **s, const char *end)
{
	struct word f = {"", 0};

	if (*s == end || **s != '/')
		return f;
	f.s = ++*s;
	while (*s < end && **s != '/')
		++*s;
	f.n = (size_t)(*s - f.s);
	return f;
}

static bool field_is(struct word f, const char *text)
{
	return f.n == strlen(text) && memcmp(f.s, text, f.n) == 0;
}

static uint8_t type_of(struct word f)
{
	static const char *const names[] = {"", "COND", "UNCOND", "IND", "CALL", "IND_CALL", "RET",
		"SYSCALL", "SYSRET", "COND_CALL", "COND_RET", "ERET", "IRQ", "SERROR", "NO_TX"};

	for (uint8_t i = 1; i < sizeof names / sizeof names[0]; i++)
		if (field_is(f, names[i]))
			return i;
	return PGO_BRANCH_UNKNOWN;
}

/* FROM/TO/M|P|-/X|-/A|-/CYCLES[/TYPE[/SPEC]] */
static bool parse_entry(struct word w, struct pgo_branch *ret)
{
	const char *s = w.s, *end = w.s + w.n;
	struct word predicted, tx, abort, cycles;
	uint64_t n = 0;

	memset(ret, 0, sizeof *ret);
	if (!take_address(&s, end, &ret->from) || s == end || *s != '/')
		return false;
	s++;
	if (!take_address(&s, end, &ret->to) || s == end || *s != '/')
		return false;
	predicted = take_field(&s, end);
	tx = take_field(&s, end);
	abort = take_field(&s, end);
	cycles = take_field(&s, end);
	if (predicted.n == 0 || predicted.n > 4)
		return false;
	if (memchr(predicted.s, 'M', predicted.n) != NULL)
		ret->flags |= PGO_BRANCH_MISPREDICTED;
	else if (memchr(predicted.s, 'P', predicted.n) != NULL)
		ret->flags |= PGO_BRANCH_PREDICTED;
	if (field_is(tx, "X"))
		ret->flags |= PGO_BRANCH_IN_TX;
	if (field_is(abort, "A"))
		ret->flags |= PGO_BRANCH_ABORT;
	take_decimal(&cycles.s, cycles.s + cycles.n, &n);
	ret->cycles = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
	ret->type = type_of(take_field(&s, end));
	if (field_is(take_field(&s, end), "SPEC_WRONG_PATH"))
		ret->spec = PGO_SPEC_WRONG_PATH;
	return true;
}

/* ---------------------------------------------------------------- records of events */

static int emit_map(struct reader *r, const char *s, const char *end, bool v2, struct pgo_err *err)
{
	char filename[4096], build_id[129] = "";
	struct pgo_rec_map m = {.filename = filename, .build_id = build_id};
	uint64_t pid;
	size_t n;
	const char *close;

	/* 1234/1234: [0xADDR(0xLEN) @ 0xOFFSET device inode generation]: r-xp FILE */
	while (s < end && *s == ' ')
		s++;
	if (take_decimal(&s, end, &pid) == 0) /* -1: the kernel's */
		return 0;
	s = memchr(s, '[', (size_t)(end - s));
	close = s != NULL ? memchr(s, ']', (size_t)(end - s)) : NULL;
	if (close == NULL || (s++, !take_number(&s, close, &m.addr)) ||
		!take_text(&s, close, "(") || !take_number(&s, close, &m.len) ||
		!take_text(&s, close, ") @ ") || !take_number(&s, close, &m.pgoff))
		return 0;
	if (take_text(&s, close, " <") && (n = strcspn(s, ">")) < sizeof build_id &&
		s + n < close) {
		memcpy(build_id, s, n);
		build_id[n] = '\0';
	}
	s = close + 1;
	if (!take_text(&s, end, ": "))
		return 0;
	if (v2 ? end - s < 5 || s[2] != 'x' : !take_text(&s, end, "x "))
		return 0;
	if (v2)
		s += 5;
	while (end > s && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	n = (size_t)(end - s);
	if (n == 0 || n >= sizeof filename)
		return 0;
	memcpy(filename, s, n);
	filename[n] = '\0';
	m.pid = (int32_t)pid;
	if (!r->has_maps)
		r->only_pid = m.pid;
	r->has_maps = true;
	return r->sink->map(r->sink->ctx, &m, err);
}

/* " exec: NAME:PID/TID" or ": NAME:PID/TID" */
static int emit_comm(struct reader *r, const char *s, const char *end, struct pgo_err *err)
{
	struct pgo_rec_task t = {.kind = PGO_TASK_COMM};
	const char *colon = NULL, *at;
	char comm[64];
	uint64_t pid, tid;
	size_t n;

	if (take_text(&s, end, " exec"))
		t.kind = PGO_TASK_EXEC;
	if (!take_text(&s, end, ": "))
		return 0;
	for (at = s; at < end; at++)
		if (*at == ':')
			colon = at;
	if (colon == NULL)
		return 0;
	at = colon + 1;
	if (take_decimal(&at, end, &pid) == 0 || !take_text(&at, end, "/") ||
		take_decimal(&at, end, &tid) == 0)
		return 0;
	n = (size_t)(colon - s) < sizeof comm ? (size_t)(colon - s) : sizeof comm - 1;
	memcpy(comm, s, n);
	comm[n] = '\0';
	t.pid = (int32_t)pid;
	t.tid = (int32_t)tid;
	t.comm = comm;
	return r->sink->task(r->sink->ctx, &t, err);
}

/* "(PID:TID):(PPID:PTID)" */
static int emit_fork(struct reader *r, const char *s, const char *end, struct pgo_err *err)
{
	struct pgo_rec_task t = {.kind = PGO_TASK_FORK, .comm = ""};
	uint64_t id[4];

	if (!take_text(&s, end, "(") || take_decimal(&s, end, &id[0]) == 0 ||
		!take_text(&s, end, ":") || take_decimal(&s, end, &id[1]) == 0 ||
		!take_text(&s, end, "):(") || take_decimal(&s, end, &id[2]) == 0)
		return 0;
	t.pid = (int32_t)id[0];
	t.tid = (int32_t)id[1];
	t.ppid = (int32_t)id[2];
	return r->sink->task(r->sink->ctx, &t, err);
}

static const char *find(const char *s, const char *end, const char *what)
{
	return memmem(s, (size_t)(end - s), what, strlen(what));
}

/* 1 if the line is one of these, 0 if not. */
static int event_line(struct reader *r, const char *s, const char *end, struct pgo_err *err)
{
	const char *at = find(s, end, "PERF_RECORD_");
	int rc = 0;

	if (at == NULL)
		return 0;
	at += strlen("PERF_RECORD_");
	if (take_text(&at, end, "MMAP2 "))
		rc = emit_map(r, at, end, true, err);
	else if (take_text(&at, end, "MMAP "))
		rc = emit_map(r, at, end, false, err);
	else if (take_text(&at, end, "COMM"))
		rc = emit_comm(r, at, end, err);
	else if (take_text(&at, end, "FORK"))
		rc = emit_fork(r, at, end, err);
	return rc < 0 ? rc : 1;
}

/* ---------------------------------------------------------------- samples */

static int find_event(struct reader *r, struct word name, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_rec_event e = {.type = UINT32_MAX, .has_ring = true, .ring_all = true};
	struct event_name *new;

	if (name.n >= sizeof r->events->name)
		name.n = sizeof r->events->name - 1;
	for (size_t i = 0; i < r->n_events; i++)
		if (strlen(r->events[i].name) == name.n &&
			memcmp(r->events[i].name, name.s, name.n) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	if (r->n_events >= EVENTS_MAX)
		return pgo_err_set(err, PGO_ELIMIT, "more than %d events", EVENTS_MAX);
	new = PGO_VEC_PUSH(r->events, r->n_events, r->events_room);
	if (new == NULL)
		return pgo_err_nomem(err);
	memcpy(new->name, name.s, name.n);
	*ret = (uint32_t)(r->n_events - 1);
	e.name = new->name;
	e.unit = pgo_event_unit_of(e.type, 0, e.name);
	return r->sink->event(r->sink->ctx, *ret, &e, err);
}

static bool all_digits(struct word w)
{
	for (size_t i = 0; i < w.n; i++)
		if (w.s[i] < '0' || w.s[i] > '9')
			return false;
	return w.n > 0;
}

static bool all_hex(struct word w)
{
	for (size_t i = 0; i < w.n; i++)
		if (hex_digit(w.s[i]) < 0)
			return false;
	return w.n > 0 && w.n <= 16;
}

/* "123.456789:" -> nanoseconds; 0 = that is no time. */
static uint64_t time_of(struct word w)
{
	const char *s = w.s, *end = w.s + w.n, *dot;
	uint64_t seconds, fraction;

	if (take_decimal(&s, end, &seconds) == 0 || !take_text(&s, end, "."))
		return 0;
	dot = s;
	if (take_decimal(&s, end, &fraction) == 0 || s - dot > 9 || !take_text(&s, end, ":") ||
		s != end || seconds > UINT64_MAX / 1000000000 - 1)
		return 0;
	for (ptrdiff_t n = s - dot - 1; n < 9; n++)
		fraction *= 10;
	return seconds * 1000000000 + fraction;
}

#define HEAD_MAX 64

struct head { /* what comes before the entries */
	struct word word[HEAD_MAX];
	size_t n;
};

/* "1234" or "1234/1235" */
static bool pid_of(struct word w, int32_t *ret)
{
	const char *s = w.s, *end = w.s + w.n;
	uint64_t pid, tid;

	if (take_decimal(&s, end, &pid) == 0 || pid > INT32_MAX)
		return false;
	if (s != end && (!take_text(&s, end, "/") || take_decimal(&s, end, &tid) == 0))
		return false;
	*ret = (int32_t)pid;
	return s == end;
}

/* Pid, time, period, event and ip, as far as they can be told apart. */
static void read_head(const struct head *h, struct pgo_rec_sample *s, struct word *event)
{
	size_t colons = 0, ip = 0, first_colon = h->n;

	for (size_t i = 0; i < h->n; i++) {
		struct word w = h->word[i];

		if (w.s[w.n - 1] != ':')
			continue;
		if (first_colon == h->n)
			first_colon = i;
		colons = i + 1;
		if (time_of(w) != 0 && s->time == 0) {
			s->time = time_of(w);
			continue;
		}
		event->s = w.s;
		event->n = w.n - 1;
		if (i > 0 && all_digits(h->word[i - 1])) {
			const char *at = h->word[i - 1].s;

			take_decimal(&at, at + h->word[i - 1].n, &s->period);
		}
	}
	/* In front of time or event: [comm] pid [cpu]. */
	for (size_t i = first_colon; colons > 0 && i-- > 0;)
		if (h->word[i].s[0] != '[' && pid_of(h->word[i], &s->pid))
			break;
	/* Without them the line begins with the pid or the ip. */
	ip = colons;
	if (colons == 0 && h->n >= 2 && all_digits(h->word[0]) && all_hex(h->word[1]) &&
		h->word[1].n >= 6 && pid_of(h->word[0], &s->pid))
		ip = 1;
	if (ip < h->n && all_hex(h->word[ip])) {
		const char *at = h->word[ip].s;

		take_hex(&at, at + h->word[ip].n, &s->ip);
	}
}

/* The binary as if loaded where it was linked. */
static int map_binary(struct reader *r, struct pgo_err *err)
{
	const struct pgo_elf *e = r->binary;
	int rc = 0;

	if (e == NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"line %llu: the text does not say what was mapped where; name the binary "
			"whose virtual addresses these are (--binary), or write the text with perf "
			"script --show-mmap-events",
			(unsigned long long)r->line);
	r->own_maps = true;
	for (size_t i = 0; i < e->n_segments && rc == 0; i++) {
		const struct pgo_segment *s = &e->segments[i];
		struct pgo_rec_map m = {.pid = PID_OF_BINARY,
			.addr = s->vaddr,
			.len = s->filesz,
			.pgoff = s->offset,
			.filename = e->path,
			.build_id = e->build_id};

		if (s->exec)
			rc = r->sink->map(r->sink->ctx, &m, err);
	}
	return rc;
}

static int sample_line(struct reader *r, const char *at, const char *end, struct pgo_err *err)
{
	struct pgo_rec_sample s = {.pid = r->only_pid, .period = 1, .count = 1};
	struct head head = {.n = 0};
	struct word w, event = {"brstack", 7};
	int rc;

	r->n_ring = 0;
	while (next_word(&at, end, &w)) {
		struct pgo_branch b;

		if (w.n > 8 && w.s[0] == '0' && w.s[1] == 'x' && parse_entry(w, &b)) {
			if (PGO_VEC_RESERVE(r->ring, r->ring_room, r->n_ring + 1) < 0)
				return pgo_err_nomem(err);
			r->ring[r->n_ring++] = b;
		} else if (r->n_ring == 0 && head.n < HEAD_MAX) {
			head.word[head.n++] = w;
		}
	}
	if (r->n_ring == 0) {
		r->info->unknown += head.n > 0;
		return 0;
	}
	read_head(&head, &s, &event);
	if (!r->has_maps && !r->own_maps) {
		rc = map_binary(r, err);
		if (rc < 0)
			return rc;
	}
	if (r->own_maps)
		s.pid = PID_OF_BINARY;
	s.tid = s.pid;
	rc = find_event(r, event, &s.event, err);
	s.ring.entry = r->ring;
	s.ring.n = (uint32_t)r->n_ring;
	return rc < 0 ? rc : r->sink->sample(r->sink->ctx, &s, err);
}

static int line(struct reader *r, const char *s, const char *end, struct pgo_err *err)
{
	int rc;

	r->line++;
	r->info->records++;
	rc = event_line(r, s, end, err);
	return rc != 0 ? (rc < 0 ? rc : 0) : sample_line(r, s, end, err);
}

bool pgo_perf_text_probe(const void *head, size_t len)
{
	const char *s = head, *end = s + len, *at = s;
	struct pgo_branch b;
	struct word w;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' && s[i] != '\n' && s[i] != '\r' && s[i] != '\t')
			return false;
	if (find(s, end, "PERF_RECORD_MMAP") != NULL)
		return true;
	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (eol == NULL)
			eol = end;
		while (next_word(&at, eol, &w))
			if (w.n > 8 && w.s[0] == '0' && w.s[1] == 'x' && parse_entry(w, &b))
				return true;
		at = eol + 1;
	}
	return false;
}

/* Every whole line in [0, text->len); the rest stays. */
static int lines(struct reader *r, struct pgo_buf *text, bool last, struct pgo_err *err)
{
	const char *at = text->data, *end = at + text->len;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		int rc;

		if (eol == NULL && !last)
			break;
		if (eol == NULL)
			eol = end;
		rc = line(r, at, eol, err);
		if (rc < 0)
			return rc;
		at = eol < end ? eol + 1 : end;
	}
	memmove(text->data, at, (size_t)(end - at));
	text->len = (size_t)(end - at);
	return 0;
}

int pgo_perf_text_read(struct pgo_stream *stream, const struct pgo_elf *binary,
	const struct pgo_recording_sink *sink, struct pgo_rec_info *info, struct pgo_err *err)
{
	struct reader r = {.sink = sink, .info = info, .binary = binary, .only_pid = PID_OF_BINARY};
	struct pgo_buf text;
	int64_t n;
	int rc = 0;

	pgo_buf_init(&text, LINE_MAX_BYTES + BLOCK);
	do {
		char *to = pgo_buf_reserve(&text, BLOCK);

		if (to == NULL) {
			rc = text.len < LINE_MAX_BYTES
				     ? pgo_err_nomem(err)
				     : pgo_err_set(err, PGO_ELIMIT,
					       "line %llu is longer than %zu bytes",
					       (unsigned long long)r.line + 1, LINE_MAX_BYTES);
			break;
		}
		n = pgo_stream_read(stream, to, BLOCK, err);
		if (n < 0) {
			rc = (int)n;
			break;
		}
		text.len += (size_t)n;
		rc = text.len > 0 ? lines(&r, &text, n == 0, err) : 0;
	} while (rc == 0 && n > 0);
	pgo_buf_fini(&text);
	pgo_free(r.events);
	pgo_free(r.ring);
	return rc;
}
