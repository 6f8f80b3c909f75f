/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers by counting: number i of a stream is a function of (stream, i) alone, so that it
 * does not matter which thread asks for which, or in what order.  The stream's key and the counter
 * go through splitmix64's finisher twice.
 */
#ifndef PGO_VERIFY_RANDOM_H
#define PGO_VERIFY_RANDOM_H

#include "pgo/core/map.h"

#include <stdint.h>

static inline uint64_t pgo_random_stream(uint64_t seed, uint64_t stream)
{
	return pgo_hash_u64(pgo_hash_u64(seed + 0x9e3779b97f4a7c15u) ^
			    (stream * 0xd1342543de82ef95u + 0x632be59bd9b4e019u));
}

static inline uint64_t pgo_random_u64(uint64_t stream, uint64_t i)
{
	return pgo_hash_u64(pgo_hash_u64(stream + i * 0x9e3779b97f4a7c15u));
}

/* In [0, n); without division.  The bias is below n / 2^32. */
static inline uint32_t pgo_random_below(uint64_t stream, uint64_t i, uint32_t n)
{
	return (uint32_t)((pgo_random_u64(stream, i) >> 32) * n >> 32);
}

/* In (0, 1). */
static inline double pgo_random_unit(uint64_t stream, uint64_t i)
{
	return ((double)(pgo_random_u64(stream, i) >> 11) + 0.5) * 0x1p-53;
}

#endif
