/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4): the name of every stored object. */
#ifndef PGO_CORE_SHA256_H
#define PGO_CORE_SHA256_H

#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

struct pgo_sha256 {
	uint32_t h[8];
	uint64_t len;
	uint8_t block[64];
};

/* HMAC (RFC 2104) over it. */
struct pgo_hmac_sha256 {
	struct pgo_sha256 inner, outer;
};
void pgo_hmac_sha256_init(struct pgo_hmac_sha256 *h, const void *key, size_t len);
void pgo_hmac_sha256_add(struct pgo_hmac_sha256 *h, const void *data, size_t len);
void pgo_hmac_sha256_final(struct pgo_hmac_sha256 *h, uint8_t ret[32]);

void pgo_sha256_init(struct pgo_sha256 *s);
void pgo_sha256_add(struct pgo_sha256 *s, const void *data, size_t len);
void pgo_sha256_final(struct pgo_sha256 *s, uint8_t ret[32]);
/* 64 lower-case hex digits and a NUL. */
void pgo_sha256_hex(const uint8_t digest[32], char ret[65]);
/* One block of 64 bytes by plain C, where pgo_sha256_add() may use instructions of the machine: what
 * they must agree with. */
void pgo_sha256_block_plain(uint32_t h[8], const uint8_t *p);
/* Digest of a file's bytes as they are (not inflated). */
int pgo_sha256_file(const char *path, char ret[65], struct pgo_err *err) PGO_MUST_CHECK;

#endif
