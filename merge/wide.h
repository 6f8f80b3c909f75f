/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of 128 bits as varints, zigzag: small ones are short whatever their sign.  Internal to
 * merge. */
#ifndef PGO_MERGE_WIDE_H
#define PGO_MERGE_WIDE_H

#include "pgo/core/buf.h"

static inline void pgo_mt_put_wide(struct pgo_buf *out, __int128 v)
{
	unsigned __int128 z = (unsigned __int128)v << 1 ^ (unsigned __int128)(v >> 127);

	while (z >= 0x80) {
		pgo_buf_putc(out, (char)(0x80 | (z & 0x7f)));
		z >>= 7;
	}
	pgo_buf_putc(out, (char)z);
}

static inline __int128 pgo_mt_unzigzag(unsigned __int128 z)
{
	return (__int128)(z >> 1) ^ -(__int128)(z & 1);
}

#endif
