/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a compressed stream.  Whatever they are: the same bytes and the same end come out in
 * large and in small pieces, never more than the limit, and again after a rewind.
 */
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT ((uint64_t)1 << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

/* Everything, in pieces of `step`; 0 or the code at the end. */
static int64_t drain(struct pgo_stream *s, size_t step, struct pgo_buf *out)
{
	struct pgo_err err = PGO_ERR_INIT;

	for (;;) {
		char *to = pgo_buf_reserve(out, step);
		int64_t n;

		demand(to != NULL);
		n = pgo_stream_read(s, to, step, &err);
		if (n <= 0) {
			demand((n < 0) == (err.msg[0] != '\0'));
			return n;
		}
		out->len += (size_t)n;
		demand(pgo_stream_offset(s) == out->len && out->len <= LIMIT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_stream *s = pgo_stream_memory("input", data, size, LIMIT, &err);
	struct pgo_buf large, small, z;
	const uint8_t *p;
	int64_t end, n;

	if (s == NULL)
		return 0;
	pgo_buf_init(&large, SIZE_MAX - 1);
	pgo_buf_init(&small, SIZE_MAX - 1);
	n = pgo_stream_peek(s, 100, &p, &err);
	demand(n <= 100);
	end = drain(s, (size_t)1 << 20, &large);
	if (n > 0)
		demand(large.len == 0 || large.len >= (size_t)n);
	demand(pgo_stream_rewind(s, &err) == 0);
	/* An error ends the read it happens in, so the small steps may see more before it. */
	demand(drain(s, 911, &small) == end);
	demand(small.len >= large.len);
	if (end == 0)
		demand(small.len == large.len);
	if (large.len != 0)
		demand(memcmp(small.data, large.data, large.len) == 0);
	pgo_stream_close(s);

	/* What is deflated inflates to itself; what is not zlib is refused without harm. */
	pgo_buf_init(&z, SIZE_MAX - 1);
	pgo_buf_clear(&small);
	demand(pgo_zlib_deflate(data, size, &z, &err) == 0);
	demand(pgo_zlib_inflate("z", z.data, z.len, size, &small, &err) == 0);
	demand(small.len == size && (size == 0 || memcmp(small.data, data, size) == 0));
	pgo_buf_clear(&small);
	(void)!pgo_zlib_inflate("input", data, size, LIMIT, &small, &err);
	demand(small.len <= LIMIT + 65536);
	pgo_buf_fini(&z);
	pgo_buf_fini(&large);
	pgo_buf_fini(&small);
	return 0;
}
