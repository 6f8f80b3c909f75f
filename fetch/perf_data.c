/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/perf_data_impl.h"
#include "pgo/core/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The header of file mode, 104 bytes:
 *
 *	magic, own size, size of an attribute entry                  3 x u64
 *	sections (offset, size): attributes, data, event types       3 x 2 x u64
 *	bit set of features                                          4 x u64
 *
 * One (offset, size) pair for each feature, in order of bits, follows the data section.  Pipe mode
 * has only the magic and the size, 16, and then records.
 */
enum {
	HEADER_SIZE = 104,
	PIPE_HEADER_SIZE = 16,
	AT_ATTR_SIZE = 16,
	AT_ATTRS = 24,
	AT_DATA = 40,
	AT_FEATURES = 72,
};

#define SECTION_MAX ((size_t)256 << 20) /* sections kept in memory: tables, never samples */
#define PIECE_MAX ((size_t)256 << 20)   /* out of one compressed record */

static const char magic_native[] = "PERFILE2", magic_swapped[] = "2ELIFREP";
static const char magic_v1[] = "PERFFILE", magic_v1_swapped[] = "ELIFFREP";

bool pgo_perf_data_probe(const void *head, size_t len)
{
	return len >= 8 &&
	       (memcmp(head, magic_native, 8) == 0 || memcmp(head, magic_swapped, 8) == 0 ||
		       memcmp(head, magic_v1, 8) == 0 || memcmp(head, magic_v1_swapped, 8) == 0);
}

static int cut_off(struct pgo_err *err, uint64_t at, const char *what)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"the recording is cut off at byte %llu, in %s; copy or record it again",
		(unsigned long long)at, what);
}

/* Exactly `len` bytes at `offset`; the file is known to be that long. */
static int read_at(struct pgo_perf *p, uint64_t offset, void *to, size_t len, struct pgo_err *err)
{
	uint8_t *at = to;

	if (p->memory != NULL) {
		memcpy(to, p->memory + offset, len);
		return 0;
	}
	while (len > 0) {
		ssize_t n = pread(p->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pgo_err_errno(err, PGO_EIO, "cannot read at byte %llu",
				(unsigned long long)offset);
		if (n == 0)
			return cut_off(err, offset, "a file that shrank while it was read");
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * A section, borrowed until the next call: from the file into p->piece, or from what was kept of a
 * stream.
 */
static int section(struct pgo_perf *p, uint64_t offset, uint64_t size, const char *what,
	const uint8_t **ret, struct pgo_err *err)
{
	if (size > SECTION_MAX)
		return pgo_err_set(err, PGO_EFORMAT,
			"the section of %s claims %llu bytes: the file is damaged", what,
			(unsigned long long)size);
	if (p->stream == NULL) {
		uint8_t *to;

		if (offset > p->file_size || size > p->file_size - offset)
			return cut_off(err, p->file_size, what);
		pgo_buf_clear(&p->piece);
		to = (uint8_t *)pgo_buf_reserve(&p->piece, size + 1);
		if (to == NULL)
			return pgo_err_nomem(err);
		*ret = to;
		return read_at(p, offset, to, size, err);
	}
	if (offset <= p->before.len && size <= p->before.len - offset) {
		*ret = (const uint8_t *)p->before.data + offset;
		return 0;
	}
	if (offset < p->after_offset || p->after.len < offset - p->after_offset ||
		size > p->after.len - (offset - p->after_offset))
		return cut_off(err, p->after_offset + p->after.len, what);
	*ret = (const uint8_t *)p->after.data + (offset - p->after_offset);
	return 0;
}

/* The ids of one attribute entry: a section of u64. */
static int read_ids(
	struct pgo_perf *p, uint64_t offset, uint64_t size, uint32_t event, struct pgo_err *err)
{
	const uint8_t *ids;
	int rc = section(p, offset, size, "event ids", &ids, err);

	for (uint64_t i = 0; i + 8 <= size && rc == 0; i += 8)
		rc = pgo_perf_add_id(p, pgo_perf_u64(p, ids + i), event, err);
	return rc;
}

static int read_attrs(struct pgo_perf *p, const uint8_t *header, struct pgo_err *err)
{
	uint64_t entry = pgo_perf_u64(p, header + AT_ATTR_SIZE);
	uint64_t offset = pgo_perf_u64(p, header + AT_ATTRS);
	uint64_t size = pgo_perf_u64(p, header + AT_ATTRS + 8);
	uint64_t at[2];
	int rc = 0;

	if (entry < 64 + 16 || entry > 4096 || size % entry != 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"attributes of %llu bytes in a section of %llu make no sense: the header "
			"is "
			"damaged",
			(unsigned long long)entry, (unsigned long long)size);
	for (uint64_t i = 0; i < size && rc == 0; i += entry) {
		const uint8_t *attr;
		uint32_t event;

		rc = section(p, offset + i, entry, "event attributes", &attr, err);
		if (rc < 0)
			break;
		at[0] = pgo_perf_u64(p, attr + entry - 16);
		at[1] = pgo_perf_u64(p, attr + entry - 8);
		rc = pgo_perf_attr(p, attr, entry - 16, &event, err);
		if (rc == 0)
			rc = read_ids(p, at[0], at[1], event, err);
	}
	return rc;
}

static bool feature_bit(const struct pgo_perf *p, const uint8_t *header, unsigned bit)
{
	return pgo_perf_u64(p, header + AT_FEATURES + bit / 64 * 8) >> bit % 64 & 1;
}

static int read_features(struct pgo_perf *p, const uint8_t *header, struct pgo_err *err)
{
	uint64_t index = p->data_end;
	int rc = 0;

	for (unsigned bit = 0; bit < FEAT_BITS && rc == 0; bit++) {
		const uint8_t *data;
		uint64_t offset, size;

		if (!feature_bit(p, header, bit))
			continue;
		rc = section(p, index, 16, "the table of header features", &data, err);
		if (rc < 0)
			break;
		index += 16;
		offset = pgo_perf_u64(p, data);
		size = pgo_perf_u64(p, data + 8);
		rc = section(p, offset, size, "a header feature", &data, err);
		if (rc == 0)
			rc = pgo_perf_feature(p, bit, data, size, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- the data section */

/* Reads the next block; p->eof when there is none. */
static int fill(struct pgo_perf *p, struct pgo_err *err)
{
	struct pgo_perf_bytes *b = &p->bytes[BYTES_RAW];
	uint64_t want = p->data_end - p->next;
	int64_t n;
	int rc;

	if (p->stream == NULL && b->pos == b->len && b->skip > 0) { /* no need to read it */
		uint64_t skip = b->skip < want ? b->skip : want;

		p->next += skip;
		b->offset += skip;
		b->skip -= skip;
		want -= skip;
	}
	if (want > PGO_PERF_BLOCK)
		want = PGO_PERF_BLOCK;
	p->eof = want == 0;
	if (p->eof)
		return 0;
	rc = pgo_perf_room(p, BYTES_RAW, want, err);
	if (rc < 0)
		return rc;
	if (p->stream == NULL) {
		rc = read_at(p, p->next, b->data + b->len, want, err);
		n = (int64_t)want;
	} else {
		n = pgo_stream_read(p->stream, b->data + b->len, want, err);
		rc = n < 0 ? (int)n : 0;
	}
	if (rc < 0)
		return rc;
	p->eof = n == 0;
	b->len += (size_t)n;
	p->next += (uint64_t)n;
	return 0;
}

/* All records, from p->next to p->data_end or the end of the stream. */
static int walk_data(struct pgo_perf *p, struct pgo_err *err)
{
	struct pgo_perf_bytes *raw = &p->bytes[BYTES_RAW], *z = &p->bytes[BYTES_INFLATED];
	int rc = 0;

	raw->offset = p->next;
	while (rc == 0) {
		rc = fill(p, err);
		if (rc < 0 || p->eof)
			break;
		rc = pgo_perf_walk(p, BYTES_RAW, err);
	}
	if (rc < 0)
		return rc;
	if (raw->pos != raw->len || raw->skip > 0)
		return cut_off(err, p->next, "a record");
	if (!p->pipe && p->next != p->data_end)
		return cut_off(err, p->next, "the data section");
	if (z->pos != z->len || z->skip > 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"the compressed records end in the middle of a record: the recording was "
			"cut "
			"off; copy or record it again");
	return pgo_perf_flush(p, UINT64_MAX, err);
}

/* ---------------------------------------------------------------- from the first byte */

/* Exactly `len` bytes more of a stream into `to`; `what` is where a cut is reported. */
static int stream_more(
	struct pgo_perf *p, struct pgo_buf *to, uint64_t len, const char *what, struct pgo_err *err)
{
	while (len > 0) {
		size_t n = len < PGO_PERF_BLOCK ? (size_t)len : PGO_PERF_BLOCK;
		char *at = pgo_buf_reserve(to, n);
		int64_t got;

		if (at == NULL)
			return pgo_buf_check(to, what, err);
		got = pgo_stream_read(p->stream, at, n, err);
		if (got < 0)
			return (int)got;
		if (got == 0)
			return cut_off(err, pgo_stream_offset(p->stream), what);
		to->len += (size_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

/* What is left of a stream. */
static int stream_rest(struct pgo_perf *p, struct pgo_buf *to, struct pgo_err *err)
{
	for (;;) {
		char *at = pgo_buf_reserve(to, PGO_PERF_BLOCK);
		int64_t got;

		if (at == NULL)
			return pgo_buf_check(to, "the header features", err);
		got = pgo_stream_read(p->stream, at, PGO_PERF_BLOCK, err);
		if (got <= 0)
			return (int)got;
		to->len += (size_t)got;
	}
}

static int check_data_section(
	struct pgo_perf *p, uint64_t offset, uint64_t size, struct pgo_err *err)
{
	if (size == 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"the header says there are no data: perf record was killed before it could "
			"finish the file; record again");
	if (offset < HEADER_SIZE || offset + size < offset)
		return pgo_err_set(err, PGO_EFORMAT,
			"the data section (offset %llu, size %llu) makes no sense: the header is "
			"damaged",
			(unsigned long long)offset, (unsigned long long)size);
	if (p->stream == NULL && offset + size > p->file_size)
		return pgo_err_set(err, PGO_EFORMAT,
			"the recording is cut off at byte %llu: its data go on to byte %llu; copy "
			"or "
			"record it again",
			(unsigned long long)p->file_size, (unsigned long long)(offset + size));
	p->next = offset;
	p->data_end = offset + size;
	return 0;
}

static int read_file_mode(struct pgo_perf *p, const uint8_t *header, struct pgo_err *err)
{
	uint64_t offset = pgo_perf_u64(p, header + AT_DATA);
	int rc = check_data_section(p, offset, pgo_perf_u64(p, header + AT_DATA + 8), err);

	if (rc == 0 && p->stream != NULL) /* what comes before the data is kept */
		rc = stream_more(
			p, &p->before, offset - p->before.len, "what comes before the data", err);
	if (rc == 0)
		rc = read_attrs(p, header, err);
	if (rc == 0 && p->stream == NULL)
		rc = read_features(p, header, err);
	if (rc == 0)
		rc = pgo_perf_announce_all(p, err);
	if (rc == 0)
		rc = walk_data(p, err);
	if (rc == 0 && p->stream != NULL) {
		p->after_offset = p->data_end;
		rc = stream_rest(p, &p->after, err);
		if (rc == 0)
			rc = read_features(p, header, err);
	}
	return rc;
}

static int read_recording(struct pgo_perf *p, struct pgo_err *err)
{
	uint8_t header[HEADER_SIZE];
	uint64_t size;
	int rc;

	rc = p->stream != NULL    ? stream_more(p, &p->before, 16, "the header", err)
	     : p->file_size >= 16 ? read_at(p, 0, header, 16, err)
				  : cut_off(err, p->file_size, "the header");
	if (rc < 0)
		return rc;
	if (p->stream != NULL)
		memcpy(header, p->before.data, 16);
	if (memcmp(header, magic_v1, 8) == 0 || memcmp(header, magic_v1_swapped, 8) == 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"this is the first perf.data format (PERFFILE), which perf stopped writing "
			"in "
			"2012; record with a current perf");
	if (!pgo_perf_data_probe(header, 8))
		return pgo_err_set(err, PGO_EFORMAT, "this is not a perf.data file");
	p->swap = memcmp(header, magic_swapped, 8) == 0;
	size = pgo_perf_u64(p, header + 8);
	p->pipe = size == PIPE_HEADER_SIZE;
	if (p->pipe) {
		p->next = PIPE_HEADER_SIZE;
		p->data_end = p->stream != NULL ? UINT64_MAX : p->file_size;
		rc = walk_data(p, err);
		return rc == 0 && p->n_events > 0 ? pgo_perf_announce_all(p, err) : rc;
	}
	if (size != HEADER_SIZE)
		return pgo_err_set(err, PGO_EFORMAT,
			"a header of %llu bytes is of no version of perf.data known: this reader "
			"wants %d (a file) or %d (a pipe)",
			(unsigned long long)size, HEADER_SIZE, PIPE_HEADER_SIZE);
	rc = p->stream != NULL ? stream_more(p, &p->before, HEADER_SIZE - 16, "the header", err)
	     : p->file_size >= HEADER_SIZE ? read_at(p, 0, header, HEADER_SIZE, err)
					   : cut_off(err, p->file_size, "the header");
	if (rc < 0)
		return rc;
	if (p->stream != NULL)
		memcpy(header, p->before.data, HEADER_SIZE);
	return read_file_mode(p, header, err);
}

static struct pgo_perf *perf_new(
	uint64_t max_bytes, const struct pgo_recording_sink *sink, struct pgo_rec_info *info)
{
	struct pgo_perf *p = pgo_calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->fd = -1;
	p->max_bytes = max_bytes;
	p->sink = sink;
	p->info = info;
	p->last_event = UINT32_MAX;
	pgo_buf_init(&p->before, SECTION_MAX);
	pgo_buf_init(&p->after, SECTION_MAX);
	pgo_buf_init(&p->piece, PIECE_MAX);
	pgo_map_init(&p->id_map);
	p->n_lanes = sink->lanes > 1 ? sink->lanes : 1;
	p->lanes = pgo_calloc(p->n_lanes, sizeof *p->lanes);
	for (size_t i = 0; p->lanes != NULL && i < p->n_lanes; i++) {
		p->lanes[i].branches =
			pgo_calloc(PGO_PERF_RECORD_MAX / 24 + 1, sizeof *p->lanes[i].branches);
		p->lanes[i].chain =
			pgo_calloc(PGO_PERF_RECORD_MAX / 8 + 1, sizeof *p->lanes[i].chain);
	}
	return p;
}

static void perf_free(struct pgo_perf *p)
{
	if (p == NULL)
		return;
	if (p->fd >= 0)
		close(p->fd);
	pgo_zstd_free(p->zstd);
	pgo_buf_fini(&p->before);
	pgo_buf_fini(&p->after);
	pgo_buf_fini(&p->piece);
	pgo_map_fini(&p->id_map);
	for (unsigned i = 0; i < N_BYTES; i++)
		pgo_free(p->bytes[i].data);
	pgo_free(p->events);
	pgo_free(p->ids);
	pgo_free(p->items);
	pgo_free(p->batch);
	for (size_t i = 0; p->lanes != NULL && i < p->n_lanes; i++) {
		pgo_free(p->lanes[i].branches);
		pgo_free(p->lanes[i].chain);
	}
	pgo_free(p->lanes);
	pgo_free(p->pids);
	pgo_free(p);
}

static int open_path(struct pgo_perf *p, const char *path, struct pgo_err *err)
{
	struct stat st;

	p->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p->fd < 0 || fstat(p->fd, &st) < 0)
		return pgo_err_errno(err, PGO_EIO, "cannot open it");
	p->file_size = (uint64_t)st.st_size;
	return 0;
}

static bool has_lanes(const struct pgo_perf *p)
{
	for (size_t i = 0; p->lanes != NULL && i < p->n_lanes; i++)
		if (p->lanes[i].branches == NULL || p->lanes[i].chain == NULL)
			return false;
	return p->lanes != NULL;
}

/* Takes `p`. */
static int run(struct pgo_perf *p, const char *path, struct pgo_err *err)
{
	int rc = 0;

	if (p == NULL || !has_lanes(p))
		rc = pgo_err_nomem(err);
	else if (p->stream == NULL && p->memory == NULL)
		rc = open_path(p, path, err);
	if (rc == 0)
		rc = read_recording(p, err);
	perf_free(p);
	return rc;
}

int pgo_perf_data_read(const char *path, struct pgo_stream *stream, uint64_t max_bytes,
	const struct pgo_recording_sink *sink, struct pgo_rec_info *info, struct pgo_err *err)
{
	struct pgo_perf *p = perf_new(max_bytes, sink, info);

	if (p != NULL)
		p->stream = stream;
	return run(p, path, err);
}

int pgo_perf_data_read_memory(const void *data, size_t len, uint64_t max_bytes,
	const struct pgo_recording_sink *sink, struct pgo_rec_info *info, struct pgo_err *err)
{
	struct pgo_perf *p = perf_new(max_bytes, sink, info);

	if (p != NULL) {
		p->memory = data != NULL ? data : (const uint8_t *)"";
		p->file_size = len;
	}
	return run(p, NULL, err);
}
