/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/sha256.h"

#include "pgo/core/alloc.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t ror(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

void pgo_sha256_block_plain(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64];
	uint32_t v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	memcpy(v, h, sizeof v);
	for (int i = 0; i < 64; i++) {
		uint32_t e = v[4], a = v[0];
		uint32_t t1 = v[7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) +
			      ((e & v[5]) ^ (~e & v[6])) + K[i] + w[i];
		uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) +
			      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		v[7] = v[6];
		v[6] = v[5];
		v[5] = v[4];
		v[4] = v[3] + t1;
		v[3] = v[2];
		v[2] = v[1];
		v[1] = v[0];
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

#if defined(__x86_64__)
/*
 * The same by the instructions that many x86-64 processors have for it.  They keep the eight words as
 * (a b e f) and (c d g h), take four rounds in two steps, and make four words of the schedule at once.
 */
__attribute__((target("sha,sse4.1,ssse3"))) static void compress_sha(
	uint32_t h[8], const uint8_t *p)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
	__m128i lo = _mm_loadu_si128((const __m128i *)h); /* d c b a */
	__m128i hi = _mm_loadu_si128((const __m128i *)(h + 4));
	__m128i abef, cdgh, abef0, cdgh0, w[4];

	lo = _mm_shuffle_epi32(lo, 0xb1); /* c d a b */
	hi = _mm_shuffle_epi32(hi, 0x1b); /* e f g h */
	abef = abef0 = _mm_alignr_epi8(lo, hi, 8);
	cdgh = cdgh0 = _mm_blend_epi16(hi, lo, 0xf0);
	for (int i = 0; i < 4; i++)
		w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
	for (int i = 0; i < 16; i++) {
		__m128i now = w[i & 3];
		__m128i sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(K + 4 * i)));

		cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
		abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
		if (i >= 12)
			continue;
		/* Four words for four rounds of later: from 16, 15, 7 and 2 words ago. */
		now = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
		now = _mm_add_epi32(now, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
		w[i & 3] = _mm_sha256msg2_epu32(now, w[(i + 3) & 3]);
	}
	abef = _mm_shuffle_epi32(_mm_add_epi32(abef, abef0), 0x1b); /* f e b a */
	cdgh = _mm_shuffle_epi32(_mm_add_epi32(cdgh, cdgh0), 0xb1); /* d c h g */
	_mm_storeu_si128((__m128i *)h, _mm_blend_epi16(abef, cdgh, 0xf0));
	_mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(cdgh, abef, 8));
}

/* SHA extensions are bit 29 of EBX of leaf 7; the compiler's own test does not know them all. */
static bool has_sha(void)
{
	unsigned a, b, c, d;

	return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
	       (b >> 29 & 1) != 0;
}

static void compress(uint32_t h[8], const uint8_t *p, size_t n_blocks)
{
	static int known; /* 0: not asked yet; whoever asks gets the same answer */
	int have = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (have == 0) {
		have = has_sha() ? 1 : -1;
		__atomic_store_n(&known, have, __ATOMIC_RELAXED);
	}
	for (; n_blocks != 0; n_blocks--, p += 64)
		have > 0 ? compress_sha(h, p) : pgo_sha256_block_plain(h, p);
}
#else
static void compress(uint32_t h[8], const uint8_t *p, size_t n_blocks)
{
	for (; n_blocks != 0; n_blocks--, p += 64)
		pgo_sha256_block_plain(h, p);
}
#endif

void pgo_sha256_init(struct pgo_sha256 *s)
{
	/* Square roots of the first eight primes. */
	static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(s->h, first, sizeof s->h);
	s->len = 0;
}

void pgo_sha256_add(struct pgo_sha256 *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t held = s->len % sizeof s->block;

	s->len += len;
	if (held != 0) {
		size_t n = sizeof s->block - held < len ? sizeof s->block - held : len;

		memcpy(s->block + held, p, n);
		p += n;
		len -= n;
		if (held + n < sizeof s->block)
			return;
		compress(s->h, s->block, 1);
	}
	compress(s->h, p, len / sizeof s->block);
	p += len / sizeof s->block * sizeof s->block;
	len %= sizeof s->block;
	if (len != 0)
		memcpy(s->block, p, len);
}

void pgo_sha256_final(struct pgo_sha256 *s, uint8_t ret[32])
{
	uint8_t pad[72] = {0x80};
	uint64_t bits = s->len * 8;
	size_t n = 1 + (119 - s->len % 64) % 64;

	for (int i = 0; i < 8; i++)
		pad[n + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
	pgo_sha256_add(s, pad, n + 8);
	for (int i = 0; i < 32; i++)
		ret[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void pgo_sha256_hex(const uint8_t digest[32], char ret[65])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 32; i++) {
		ret[2 * i] = digits[digest[i] >> 4];
		ret[2 * i + 1] = digits[digest[i] & 15];
	}
	ret[64] = '\0';
}

void pgo_hmac_sha256_init(struct pgo_hmac_sha256 *h, const void *key, size_t len)
{
	uint8_t block[64] = {0};

	pgo_sha256_init(&h->inner);
	if (len > sizeof block) {
		pgo_sha256_add(&h->inner, key, len);
		pgo_sha256_final(&h->inner, block);
		pgo_sha256_init(&h->inner);
	} else if (len != 0) {
		memcpy(block, key, len);
	}
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36;
	pgo_sha256_add(&h->inner, block, sizeof block);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36 ^ 0x5c;
	pgo_sha256_init(&h->outer);
	pgo_sha256_add(&h->outer, block, sizeof block);
	explicit_bzero(block, sizeof block);
}

void pgo_hmac_sha256_add(struct pgo_hmac_sha256 *h, const void *data, size_t len)
{
	pgo_sha256_add(&h->inner, data, len);
}

void pgo_hmac_sha256_final(struct pgo_hmac_sha256 *h, uint8_t ret[32])
{
	pgo_sha256_final(&h->inner, ret);
	pgo_sha256_add(&h->outer, ret, 32);
	pgo_sha256_final(&h->outer, ret);
}

int pgo_sha256_file(const char *path, char ret[65], struct pgo_err *err)
{
	enum { BLOCK = 256 << 10 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *block = pgo_malloc(BLOCK);
	struct pgo_sha256 s;
	uint8_t digest[32];
	int r = 0;

	pgo_sha256_init(&s);
	if (fd < 0)
		r = pgo_err_errno(err, PGO_EIO, "%s: cannot be opened", path);
	else if (block == NULL)
		r = pgo_err_nomem(err);
	while (r == 0) {
		ssize_t n = read(fd, block, BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = pgo_err_errno(err, PGO_EIO, "%s: cannot be read", path);
		if (n <= 0)
			break;
		pgo_sha256_add(&s, block, (size_t)n);
	}
	pgo_free(block);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return r;
	pgo_sha256_final(&s, digest);
	pgo_sha256_hex(digest, ret);
	return 0;
}
