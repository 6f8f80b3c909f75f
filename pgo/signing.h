/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures by other people's programs: minisign, openssl, gpg, ssh-keygen, whatever a company has.  A
 * command is words as a shell would part them, run without a shell; in each word {file} stands for a
 * file with the bytes that are signed, and {signature} for the file of the signature, which is {file}
 * with ".sig" behind it.  Keys are none of our business.
 *
 *	minisign -S -s pgo.key -m {file} -x {signature}
 *	openssl dgst -sha256 -sign key.pem -out {signature} {file}
 *	ssh-keygen -Y sign -f id_ed25519 -n pgo {file}
 */
#ifndef PGO_SIGNING_H
#define PGO_SIGNING_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

/* Fills *ret with the signature in hexadecimal digits (pgo_buf_fini, also after a failure). */
int pgo_sign(const char *command, const struct pgo_buf *what, struct pgo_buf *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* 0 if the command ends with 0; PGO_EMISMATCH if it does not. */
int pgo_sign_verify(const char *command, const struct pgo_buf *what, const char *signature,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
