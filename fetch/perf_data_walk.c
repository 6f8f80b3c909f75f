/* SPDX-License-Identifier: Apache-2.0 */
/* Records as they come: those that describe the recording are taken at once, compressed ones are
 * inflated and walked in turn, those of address spaces and samples wait for their time. */
#include "fetch/perf_data_impl.h"

#define RECORD_HEADER 8u

/* ---------------------------------------------------------------- records that describe */

static int header_attr(struct pgo_perf *p, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	uint32_t len = size >= RECORD_HEADER + 8 ? pgo_perf_u32(p, rec + RECORD_HEADER + 4) : 0;
	uint32_t event;
	int rc;

	/* A size of 0 is that of the first ABI. */
	if (len == 0)
		len = 64;
	if (len > size - RECORD_HEADER)
		return pgo_err_set(err, PGO_EFORMAT,
			"an attribute record of %u bytes cannot hold an attribute of %u: the file "
			"is "
			"damaged",
			size, len);
	rc = pgo_perf_attr(p, rec + RECORD_HEADER, len, &event, err);
	for (uint32_t at = RECORD_HEADER + len; at + 8 <= size && rc == 0; at += 8)
		rc = pgo_perf_add_id(p, pgo_perf_u64(p, rec + at), event, err);
	return rc;
}

/* u64 what (2 = name), u64 id, text */
static int event_update(struct pgo_perf *p, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	uint32_t event;

	if (size < 25 || pgo_perf_u64(p, rec + 8) != 2)
		return 0;
	event = pgo_perf_event_of_id(p, pgo_perf_u64(p, rec + 16));
	if (event == UINT32_MAX)
		return 0;
	return pgo_perf_rename(p, event, rec + 24, size - 24, err);
}

int pgo_perf_announce_all(struct pgo_perf *p, struct pgo_err *err)
{
	int rc = pgo_perf_check_layouts(p, err);

	for (size_t i = 0; i < p->n_events && rc == 0; i++)
		if (!p->events[i].announced)
			rc = pgo_perf_announce(p, (uint32_t)i, err);
	return rc;
}

/* Records of address spaces and samples: now, or when their time has come. */
static int timed(struct pgo_perf *p, unsigned which, const uint8_t *rec, uint32_t size, bool change,
	struct pgo_err *err)
{
	uint64_t time;

	if (!p->layouts_checked) {
		int rc = pgo_perf_announce_all(p, err);

		if (rc < 0)
			return rc;
	}
	time = pgo_perf_time(p, rec, size);
	if (time == 0 || time == UINT64_MAX)
		return pgo_perf_deliver(p, rec, err);
	return pgo_perf_hold(p, which, (size_t)(rec - p->bytes[which].data), time, change, err);
}

/* ---------------------------------------------------------------- the walk */

/* Type 81: bytes up to the end of the record.  Type 83: their number first, then padding. */
static int compressed(
	struct pgo_perf *p, unsigned which, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	struct pgo_perf_bytes *b = &p->bytes[BYTES_INFLATED];
	const uint8_t *data = rec + RECORD_HEADER;
	size_t len = size - RECORD_HEADER;
	int rc;

	if (which == BYTES_INFLATED)
		return pgo_err_set(err, PGO_EFORMAT,
			"a compressed record inside a compressed record: the file is damaged");
	if (pgo_perf_type(p, rec) == REC_COMPRESSED2) {
		uint64_t n = len >= 8 ? pgo_perf_u64(p, data) : UINT64_MAX;

		if (n > len - 8)
			return pgo_err_set(err, PGO_EFORMAT,
				"a compressed record of %u bytes claims %llu bytes of data (older "
				"releases of perf write such records when a block is too large): "
				"record without -z",
				size, (unsigned long long)n);
		data += 8;
		len = n;
	}
	if (p->zstd == NULL)
		p->zstd = pgo_zstd_new(p->max_bytes, err);
	if (p->zstd == NULL)
		return err != NULL ? err->code : PGO_ENOMEM;
	pgo_buf_clear(&p->piece);
	rc = pgo_zstd_feed(p->zstd, data, len, &p->piece, err);
	if (rc < 0)
		return pgo_err_prefix(err, "compressed record");
	for (size_t done = 0; done < p->piece.len && rc == 0;) {
		size_t n =
			p->piece.len - done < PGO_PERF_BLOCK ? p->piece.len - done : PGO_PERF_BLOCK;

		rc = pgo_perf_room(p, BYTES_INFLATED, n, err);
		if (rc < 0)
			break;
		memcpy(b->data + b->len, p->piece.data + done, n);
		b->len += n;
		done += n;
		rc = pgo_perf_walk(p, BYTES_INFLATED, err);
	}
	return rc;
}

static int lost(struct pgo_perf *p, const uint8_t *rec, uint32_t size)
{
	/* LOST has an id first. */
	uint32_t at = pgo_perf_type(p, rec) == REC_LOST ? 16 : 8;
	uint64_t n = size >= at + 8 ? pgo_perf_u64(p, rec + at) : 0;

	p->info->lost = p->info->lost + n < n ? UINT64_MAX : p->info->lost + n;
	return 0;
}

static int record(
	struct pgo_perf *p, unsigned which, const uint8_t *rec, uint32_t size, struct pgo_err *err)
{
	uint32_t type = pgo_perf_type(p, rec);

	p->info->records++;
	switch (type) {
	case REC_SAMPLE:
		return timed(p, which, rec, size, false, err);
	case REC_MMAP:
	case REC_MMAP2:
	case REC_COMM:
	case REC_FORK:
	case REC_EXIT:
		return timed(p, which, rec, size, true, err);
	case REC_LOST:
	case REC_LOST_SAMPLES:
		return lost(p, rec, size);
	case REC_FINISHED_ROUND:
		return pgo_perf_round(p, err);
	case REC_COMPRESSED:
	case REC_COMPRESSED2:
		return compressed(p, which, rec, size, err);
	case REC_HEADER_ATTR:
		return header_attr(p, rec, size, err);
	case REC_EVENT_UPDATE:
		return event_update(p, rec, size, err);
	case REC_BUILD_ID:
		return pgo_perf_build_id(p, rec, size, err);
	case REC_HEADER_FEATURE:
		if (size < 16)
			return 0;
		return pgo_perf_feature(p, pgo_perf_u64(p, rec + 8), rec + 16, size - 16, err);
	case REC_AUX:
		p->info->aux_records++;
		return 0;
	case REC_AUXTRACE: /* as many bytes as the first field says come after the record */
		p->info->aux_records++;
		p->bytes[which].skip = size >= 16 ? pgo_perf_u64(p, rec + 8) : 0;
		return 0;
	case REC_TRACING_DATA: /* the same, in pipes only */
		if (p->pipe && size >= 12)
			p->bytes[which].skip =
				((uint64_t)pgo_perf_u32(p, rec + 8) + 7) & ~(uint64_t)7;
		return 0;
	default:
		if (type > REC_TOOL_LAST || (type > REC_KERNEL_LAST && type < REC_TOOL_FIRST) ||
			type == 0)
			p->info->unknown++;
		return 0;
	}
}

/* Takes every whole record out of bytes[which]. */
int pgo_perf_walk(struct pgo_perf *p, unsigned which, struct pgo_err *err)
{
	struct pgo_perf_bytes *b = &p->bytes[which];

	for (;;) {
		size_t left = b->len - b->pos;
		const uint8_t *rec = b->data + b->pos;
		uint32_t size;
		int rc;

		if (b->skip > 0) {
			size_t n = b->skip < left ? (size_t)b->skip : left;

			b->pos += n;
			b->offset += n;
			b->skip -= n;
			if (b->skip > 0)
				return 0;
			continue;
		}
		if (left < RECORD_HEADER)
			break;
		size = pgo_perf_size(p, rec);
		if (size < RECORD_HEADER)
			return pgo_err_set(err, PGO_EFORMAT,
				"byte %llu%s: a record of type %u claims %u bytes, less than its "
				"own "
				"header: the file is damaged",
				(unsigned long long)b->offset,
				which == BYTES_INFLATED ? " of the inflated records" : "",
				pgo_perf_type(p, rec), size);
		if (left < size)
			break;
		b->pos += size;
		b->offset += size;
		rc = record(p, which, rec, size, err);
		if (rc < 0)
			return pgo_err_prefix(err, "byte %llu%s",
				(unsigned long long)(b->offset - size),
				which == BYTES_INFLATED ? " of the inflated records" : "");
	}
	return pgo_perf_relieve(p, err);
}
