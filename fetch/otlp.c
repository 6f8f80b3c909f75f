/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/otlp.h"

#include "fetch/otlp_impl.h"
#include "pgo/core/diag.h"
#include "pgo/core/elf.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX ((size_t)1 << 30)
#define TABLE_MAX ((size_t)4 << 30)
#define PIECE ((size_t)64 << 10)
#define LENGTH_BYTES 4

/* ---------------------------------------------------------------- recognising */

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The field at the start, which may be cut off; false if it is no field of bytes. */
static bool first_field(struct pgo_wire *w, uint32_t *number, struct pgo_wire *in)
{
	uint64_t tag, len;
	uint8_t type;

	if (!pgo_wire_varint(w, &tag) || !pgo_wire_tag(tag, number, &type) ||
		type != PGO_WIRE_BYTES || !pgo_wire_varint(w, &len))
		return false;
	if (len > (uint64_t)(w->end - w->p))
		len = (uint64_t)(w->end - w->p);
	*in = (struct pgo_wire){w->p, w->p + len};
	w->p += len;
	return true;
}

/*
 * Profiles of resources begin with a resource, a scope or the address of a schema, all of them
 * bytes; a pprof has two numbers in field 1.  A dictionary, which the Collector writes first and
 * from its last field, begins with an empty entry or with a field that samples of a pprof do not
 * have, and an empty list of locations or values is what no pprof writes.
 */
static bool is_message(const uint8_t *head, size_t len)
{
	struct pgo_wire w = {head, head + len}, in, inner;
	uint32_t number, field;

	while (w.p < w.end) {
		if (!first_field(&w, &number, &in) || number > OTLP_DICTIONARY)
			return false;
		if (in.p == in.end)
			continue;
		if (!first_field(&in, &field, &inner))
			return false;
		if (number == OTLP_RESOURCES)
			return field <= 3;
		return field <= OTLP_STACKS && (field > 3 || inner.p == inner.end);
	}
	return false;
}

static bool is_compressed(const uint8_t *p, size_t len)
{
	return len >= 4 && (memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0 || memcmp(p, "\x1f\x8b", 2) == 0);
}

static size_t skip_space(const char *p, size_t len)
{
	size_t i = 0;

	while (i < len && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n'))
		i++;
	return i;
}

/* An object whose first name is one of ours, or in which the one that must be there is seen. */
static bool is_json(const char *head, size_t len)
{
	static const char *const names[] = {
		"\"resourceProfiles\"", "\"resource_profiles\"", "\"dictionary\""};
	size_t at = skip_space(head, len);

	if (at == len || head[at] != '{')
		return false;
	at++;
	at += skip_space(head + at, len - at);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (len - at >= strlen(names[i]) &&
			memcmp(head + at, names[i], strlen(names[i])) == 0)
			return true;
	return memmem(head, len, names[0], strlen(names[0])) != NULL;
}

static bool is_framed(const uint8_t *head, size_t len)
{
	size_t n;

	if (len <= LENGTH_BYTES)
		return false;
	n = big_endian(head);
	if (n == 0 || n > MESSAGE_MAX)
		return false;
	if (n > len - LENGTH_BYTES)
		n = len - LENGTH_BYTES;
	head += LENGTH_BYTES;
	return is_compressed(head, n) || is_message(head, n) || is_json((const char *)head, n);
}

bool pgo_otlp_probe(const void *head, size_t len)
{
	return is_json(head, len) || is_message(head, len) || is_framed(head, len);
}

/* ---------------------------------------------------------------- one message */

static int read_message(
	struct pgo_otlp *otlp, const void *bytes, size_t len, bool json, struct pgo_err *err)
{
	struct pgo_wire message = {bytes, (const uint8_t *)bytes + len};
	int rc;

	otlp->current = json;
	rc = pgo_otlp_dict(otlp, message, err);
	if (rc == 0)
		rc = pgo_otlp_resources(otlp, message, err);
	otlp->n_messages += rc == 0;
	return rc;
}

static int read_json(struct pgo_otlp *otlp, const char *text, size_t len, struct pgo_err *err)
{
	struct pgo_buf message;
	int rc;

	pgo_buf_init(&message, MESSAGE_MAX);
	rc = pgo_otlp_from_json("message", text, len, &message, err);
	if (rc == 0)
		rc = read_message(
			otlp, message.data != NULL ? message.data : "", message.len, true, err);
	pgo_buf_fini(&message);
	return rc;
}

static int read_payload(struct pgo_otlp *otlp, const char *bytes, size_t len, struct pgo_err *err)
{
	if (is_json(bytes, len))
		return read_json(otlp, bytes, len, err);
	return read_message(otlp, bytes, len, false, err);
}

/* Up to `want` bytes behind what is in `to`; fewer at the end.  The number read, or a code. */
static int64_t read_more(struct pgo_stream *s, struct pgo_buf *to, size_t want, struct pgo_err *err)
{
	size_t before = to->len;

	while (to->len - before < want) {
		size_t piece = want - (to->len - before);
		char *at = pgo_buf_reserve(to, piece < PIECE ? piece : PIECE);
		int64_t n;

		if (at == NULL)
			return pgo_buf_check(to, "one message", err);
		n = pgo_stream_read(s, at, piece < PIECE ? piece : PIECE, err);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		to->len += (size_t)n;
	}
	return (int64_t)(to->len - before);
}

/* ---------------------------------------------------------------- messages of a stream */

static int read_inflated(struct pgo_otlp *otlp, const struct pgo_buf *frame, struct pgo_err *err)
{
	struct pgo_stream *s =
		pgo_stream_memory("message", frame->data, frame->len, MESSAGE_MAX, err);
	struct pgo_buf plain;
	int64_t n;
	int rc;

	if (s == NULL)
		return err != NULL ? err->code : PGO_EFORMAT;
	pgo_buf_init(&plain, MESSAGE_MAX);
	n = read_more(s, &plain, SIZE_MAX, err);
	rc = n < 0 ? (int)n
		   : read_payload(otlp, plain.data != NULL ? plain.data : "", plain.len, err);
	pgo_buf_fini(&plain);
	pgo_stream_close(s);
	return rc;
}

static int read_frame(
	struct pgo_otlp *otlp, struct pgo_stream *s, struct pgo_buf *frame, struct pgo_err *err)
{
	uint8_t length[LENGTH_BYTES];
	int64_t n = pgo_stream_read(s, length, sizeof length, err);
	size_t want;

	if (n <= 0)
		return (int)n;
	want = n == LENGTH_BYTES ? big_endian(length) : 0;
	if (n < LENGTH_BYTES || want > MESSAGE_MAX)
		return pgo_err_set(err, n < LENGTH_BYTES ? PGO_EFORMAT : PGO_ELIMIT,
			n < LENGTH_BYTES ? "the file ends within a length"
					 : "it says that it has more than 1 GiB");
	pgo_buf_clear(frame);
	n = read_more(s, frame, want, err);
	if (n < 0)
		return (int)n;
	if ((size_t)n < want)
		return pgo_err_set(err, PGO_EFORMAT,
			"it should have %zu bytes, the file ends after %zu", want, (size_t)n);
	if (want == 0)
		return 1;
	n = is_compressed((const uint8_t *)frame->data, want)
		    ? read_inflated(otlp, frame, err)
		    : read_payload(otlp, frame->data, want, err);
	return n < 0 ? (int)n : 1;
}

static int read_frames(struct pgo_otlp *otlp, struct pgo_stream *s, struct pgo_err *err)
{
	struct pgo_buf frame;
	uint64_t n = 0;
	int rc;

	pgo_buf_init(&frame, MESSAGE_MAX);
	do {
		rc = read_frame(otlp, s, &frame, err);
		n++;
	} while (rc > 0);
	pgo_buf_fini(&frame);
	return rc < 0 ? pgo_err_prefix(err, "message %" PRIu64, n) : 0;
}

/* Where in JSON text we are: to know where an object ends without parsing it. */
struct scan {
	size_t at, depth;
	bool in_text, escaped;
};

/* To the end of the object that begins at text[0]; false: it is not there yet. */
static bool find_end(struct scan *s, const char *text, size_t len)
{
	while (s->at < len) {
		char c = text[s->at++];

		if (s->in_text) {
			s->in_text = s->escaped || c != '"';
			s->escaped = !s->escaped && c == '\\';
		} else if (c == '"') {
			s->in_text = true;
		} else if (c == '{' || c == '[') {
			s->depth++;
		} else if ((c == '}' || c == ']') && --s->depth == 0) {
			return true;
		}
	}
	return false;
}

/* One object after the other, with space between; `text` holds what has been read of them. */
static int read_objects(
	struct pgo_otlp *otlp, struct pgo_stream *s, struct pgo_buf *text, struct pgo_err *err)
{
	size_t from = 0; /* what is before has been dealt with */
	struct scan scan = {0};

	for (;;) {
		const char *at = text->data != NULL ? text->data + from : "";
		int64_t n;
		int rc;

		if (scan.at == 0 && text->len > from) {
			from += skip_space(at, text->len - from);
			at = text->data + from;
		}
		if (scan.at == 0 && text->len > from && *at != '{')
			return pgo_err_set(err, PGO_EFORMAT, "it is no JSON object");
		if (text->len > from && find_end(&scan, at, text->len - from)) {
			rc = read_json(otlp, at, scan.at, err);
			if (rc < 0)
				return rc;
			from += scan.at;
			memset(&scan, 0, sizeof scan);
			continue;
		}
		if (from > 0)
			memmove(text->data, at, text->len - from);
		text->len -= from;
		from = 0;
		n = read_more(s, text, PIECE, err);
		if (n == 0 && text->len > 0)
			return pgo_err_set(err, PGO_EFORMAT, "the file ends within it");
		if (n <= 0)
			return (int)n;
	}
}

static int read_text(struct pgo_otlp *otlp, struct pgo_stream *s, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc;

	pgo_buf_init(&text, MESSAGE_MAX);
	rc = read_objects(otlp, s, &text, err);
	pgo_buf_fini(&text);
	return rc < 0 ? pgo_err_prefix(err, "message %" PRIu64, otlp->n_messages + 1) : 0;
}

static int read_whole(struct pgo_otlp *otlp, struct pgo_stream *s, struct pgo_err *err)
{
	struct pgo_buf all;
	int64_t n;
	int rc;

	pgo_buf_init(&all, MESSAGE_MAX);
	n = read_more(s, &all, SIZE_MAX, err);
	rc = n < 0 ? (int)n
		   : read_message(otlp, all.data != NULL ? all.data : "", all.len, false, err);
	pgo_buf_fini(&all);
	return rc;
}

static int read_stream(struct pgo_otlp *otlp, struct pgo_stream *s, struct pgo_err *err)
{
	const uint8_t *head;
	int64_t n = pgo_stream_peek(s, PIECE, &head, err);

	if (n < 0)
		return (int)n;
	if (is_json((const char *)head, (size_t)n))
		return read_text(otlp, s, err);
	if (is_message(head, (size_t)n))
		return read_whole(otlp, s, err);
	return read_frames(otlp, s, err);
}

/* ---------------------------------------------------------------- all of it */

static int init_tables(struct pgo_otlp *o)
{
	struct pgo_strtab *tables[] = {&o->strs, &o->functions, &o->mappings, &o->lines,
		&o->locations, &o->stacks, &o->labels};

	pgo_map_init(&o->group_map);
	pgo_map_init(&o->column_map);
	pgo_map_init(&o->entry_map);
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (pgo_strtab_init(tables[i], TABLE_MAX) < 0)
			return -1;
	return 0;
}

static int init_names(struct pgo_otlp *o)
{
	const struct {
		uint32_t *to;
		const char *name;
	} names[] = {
		{&o->s_gnu, "process.executable.build_id.gnu"},
		{&o->s_htlhash, "process.executable.build_id.htlhash"},
		{&o->s_go, "process.executable.build_id.go"},
		{&o->s_program, "process.executable.name"},
		{&o->s_path, "process.executable.path"},
		{&o->s_host, "host.name"},
		{&o->s_service, "service.name"},
		{&o->s_version, "service.version"},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		*names[i].to = pgo_strtab_puts(&o->strs, names[i].name);
		if (*names[i].to == PGO_STR_NONE)
			return -1;
	}
	return 0;
}

/* Both ids of every binary that was given. */
static int init_binaries(struct pgo_otlp *o, struct pgo_err *err)
{
	o->ids = pgo_calloc(o->o->n_binaries, sizeof *o->ids);
	if (o->ids == NULL)
		return pgo_err_nomem(err);
	for (; o->n_ids < o->o->n_binaries; o->n_ids++) {
		struct pgo_elf *e = pgo_elf_open(o->o->binaries[o->n_ids], err);

		if (e == NULL)
			return err != NULL ? err->code : PGO_EFORMAT;
		pgo_elf_file_id(e, o->ids[o->n_ids].file_id);
		memcpy(o->ids[o->n_ids].build_id, e->build_id, sizeof e->build_id);
		pgo_elf_close(e);
	}
	return 0;
}

static void fini(struct pgo_otlp *o)
{
	struct pgo_strtab *tables[] = {&o->strs, &o->functions, &o->mappings, &o->lines,
		&o->locations, &o->stacks, &o->labels};

	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		pgo_strtab_fini(tables[i]);
	pgo_map_fini(&o->group_map);
	pgo_map_fini(&o->column_map);
	pgo_map_fini(&o->entry_map);
	pgo_free(o->groups);
	pgo_free(o->columns);
	pgo_free(o->entries);
	pgo_free(o->t.strings);
	pgo_free(o->t.functions);
	pgo_free(o->t.mappings);
	pgo_free(o->t.locations);
	pgo_free(o->t.stacks);
	pgo_free(o->t.attributes);
	pgo_free(o->scratch);
	pgo_free(o->ids);
}

/* One host for all, if there is only one. */
static void name_host(struct pgo_imported *ret)
{
	for (size_t i = 0; i < ret->n; i++)
		if (strcmp(ret->hosts[i], ret->hosts[0]) != 0)
			return;
	if (ret->n > 0)
		snprintf(ret->host, sizeof ret->host, "%s", ret->hosts[0]);
}

static int check_usable(const struct pgo_import_stats *st, struct pgo_err *err)
{
	if (st->samples == 0)
		return pgo_err_set(err, PGO_EEMPTY, "there are no samples in it");
	if (st->samples_used == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"none of the %" PRIu64
			" samples can be used: they have no value or no stack",
			st->samples);
	return 0;
}

int pgo_otlp_import(struct pgo_stream *stream, const struct pgo_import_options *o,
	struct pgo_imported *ret, struct pgo_err *err)
{
	struct pgo_otlp otlp = {.o = o, .stats = &ret->stats};
	int rc;

	if (o->event != NULL)
		pgo_note("%s: OTLP profiles have sample types, not events; --event chooses nothing "
			 "there",
			pgo_stream_name(stream));
	if (init_tables(&otlp) < 0 || init_names(&otlp) < 0)
		rc = pgo_err_nomem(err);
	else
		rc = init_binaries(&otlp, err);
	if (rc == 0)
		rc = read_stream(&otlp, stream, err);
	ret->stats.records = otlp.n_messages;
	if (rc == 0)
		rc = check_usable(&ret->stats, err);
	if (rc == 0)
		rc = pgo_otlp_write(&otlp, ret, err);
	if (rc == 0)
		name_host(ret);
	fini(&otlp);
	return rc;
}
