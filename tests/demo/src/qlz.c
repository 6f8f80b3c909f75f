/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte-oriented LZ77 coder.
 *
 *	0LLLLLLL            L + 1 literal bytes follow
 *	1LLLLLLL DD DD      copy L + 6 bytes from D back (16 bits, low byte first, never 0);
 *	                    L = 127: more length bytes follow until one is below 255
 *
 * The packer looks along short hash chains, waits one byte when the next place has a longer match,
 * and hurries through text where it finds nothing.
 * The unpacker trusts nothing.
 */
#include <string.h>

#include "quarry.h"

enum { MIN_MATCH = 6, HASH_BITS = 13, DEPTH = 2, NONE = 0xffff };

struct packer {
	const uint8_t *in;
	size_t n;
	uint8_t *out;
	size_t out_n;
	uint16_t head[1 << HASH_BITS];
	uint16_t prev[Q_LZ_BLOCK];
};

struct match {
	size_t len, dist;
};

static uint32_t hash(const uint8_t *p)
{
	uint64_t v = 0;

	memcpy(&v, p, MIN_MATCH);
	return (uint32_t)(v * UINT64_C(0x9e3779b185ebca87) >> (64 - HASH_BITS));
}

static void insert(struct packer *k, size_t at)
{
	uint32_t h;

	if (at + MIN_MATCH > k->n || at >= NONE)
		return;
	h = hash(k->in + at);
	k->prev[at] = k->head[h];
	k->head[h] = (uint16_t)at;
}

static size_t common(const uint8_t *a, const uint8_t *b, size_t max)
{
	size_t n = 0;

	while (n < max && a[n] == b[n])
		n++;
	return n;
}

static struct match find(const struct packer *k, size_t at)
{
	struct match best = {0, 0};
	size_t max = k->n - at, from;

	if (max < MIN_MATCH)
		return best;
	from = k->head[hash(k->in + at)];
	for (int depth = 0; depth < DEPTH && from != NONE; depth++) {
		if (best.len < max && k->in[from + best.len] == k->in[at + best.len]) {
			size_t len = common(k->in + from, k->in + at, max);
			if (len > best.len) {
				best.len = len;
				best.dist = at - from;
			}
		}
		from = k->prev[from];
	}
	if (best.len < MIN_MATCH)
		best.len = 0;
	return best;
}

static void put_literals(struct packer *k, size_t from, size_t to)
{
	while (from < to) {
		size_t n = to - from < 128 ? to - from : 128;

		k->out[k->out_n++] = (uint8_t)(n - 1);
		for (size_t i = 0; i < n; i++)
			k->out[k->out_n++] = k->in[from + i];
		from += n;
	}
}

static void put_match(struct packer *k, struct match m)
{
	size_t len = m.len - MIN_MATCH;

	k->out[k->out_n++] = (uint8_t)(128 | (len < 127 ? len : 127));
	k->out[k->out_n++] = (uint8_t)m.dist;
	k->out[k->out_n++] = (uint8_t)(m.dist >> 8);
	if (len < 127)
		return;
	for (len -= 127; len >= 255; len -= 255)
		k->out[k->out_n++] = 255;
	k->out[k->out_n++] = (uint8_t)len;
}

size_t q_lz_pack(const uint8_t *in, size_t n, uint8_t *out)
{
	struct packer k;
	size_t at = 0, done = 0;

	k.in = in;
	k.n = n;
	k.out = out;
	k.out_n = 0;
	memset(k.head, 0xff, sizeof(k.head));
	while (at < n) {
		struct match m = find(&k, at), next;

		insert(&k, at);
		if (!m.len) {
			at += 1 + (at - done) / 16;
			continue;
		}
		next = m.len < 16 && at + 1 < n ? find(&k, at + 1) : (struct match){0, 0};
		if (next.len > m.len) {
			at++;
			continue;
		}
		put_literals(&k, done, at);
		put_match(&k, m);
		for (size_t i = 1; i < m.len; i += 3) /* every third place is enough for logs */
			insert(&k, at + i);
		at += m.len;
		done = at;
	}
	put_literals(&k, done, n);
	return k.out_n;
}

/* Forward, in words if `from` is that far away: a match may reach into itself. */
static void copy(uint8_t *to, const uint8_t *from, size_t n, size_t dist)
{
	uint64_t v;

	if (dist >= 8)
		for (; n >= 8; n -= 8) {
			memcpy(&v, from, 8);
			memcpy(to, &v, 8);
			to += 8;
			from += 8;
		}
	while (n--)
		*to++ = *from++;
}

int q_lz_unpack(const uint8_t *in, size_t n, uint8_t *out, size_t out_n)
{
	size_t i = 0, o = 0;

	while (i < n) {
		unsigned c = in[i++];
		size_t len, dist;

		if (c < 128) {
			len = c + 1;
			if (n - i < len || out_n - o < len)
				return -1;
			copy(out + o, in + i, len, len);
			o += len;
			i += len;
			continue;
		}
		if (n - i < 2)
			return -1;
		len = (c & 127) + MIN_MATCH;
		dist = in[i] | (size_t)in[i + 1] << 8;
		i += 2;
		if ((c & 127) == 127) {
			unsigned more;
			do {
				if (i == n)
					return -1;
				more = in[i++];
				len += more;
			} while (more == 255);
		}
		if (!dist || dist > o || out_n - o < len)
			return -1;
		copy(out + o, out + o - dist, len, dist);
		o += len;
	}
	return o == out_n ? 0 : -1;
}
