/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC-Web over HTTP/1.1 (application/grpc-web+proto), calls of one message for one message.
 *
 * A body is frames: a byte of flags (0x80 trailer, 0x01 compressed), four bytes of length, highest
 * first, and that many bytes.  A request is one data frame.  A reply has HTTP status 200 whatever
 * happened, data frames, and a trailer frame with lines `grpc-status: N` and `grpc-message: TEXT`
 * (%XX escapes).  A server that has nothing to say leaves the body empty and puts these two into
 * the HTTP headers.  A reply with neither was cut off, or is none.
 *
 * Several data frames are one message: protobuf messages are joined by writing one after the other.
 */
#ifndef PGO_FETCH_GRPC_WEB_H
#define PGO_FETCH_GRPC_WEB_H

#include "fetch/http.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

/* Statuses of gRPC that mean something to us. */
enum pgo_grpc_status {
	PGO_GRPC_OK = 0,
	PGO_GRPC_INVALID = 3,
	PGO_GRPC_DEADLINE = 4,
	PGO_GRPC_NOT_FOUND = 5,
	PGO_GRPC_DENIED = 7,
	PGO_GRPC_EXHAUSTED = 8, /* a message over the limit of the server, among others */
	PGO_GRPC_UNIMPLEMENTED = 12,
	PGO_GRPC_UNAVAILABLE = 14,
	PGO_GRPC_UNAUTHENTICATED = 16,
	PGO_GRPC_NONE = -1, /* the reply does not say: cut off */
};

/* Appends the data frame of a message. */
void pgo_grpc_frame(struct pgo_buf *to, const void *message, size_t len);
/* Adds what a call needs to the headers of a request. */
int pgo_grpc_headers(struct pgo_http_request *r, struct pgo_err *err) PGO_MUST_CHECK;

/* What a reply says of itself. */
struct pgo_grpc_outcome {
	int status; /* enum pgo_grpc_status, or another number */
	char message[256];
};

/*
 * Takes a body apart: appends the messages of its data frames to `message` and fills `outcome` from
 * the trailer frame, if there is one.  A frame that does not end, one that is compressed, and more
 * than one trailer are PGO_EFORMAT; `message` past its maximum is PGO_ELIMIT.
 */
int pgo_grpc_body(const void *body, size_t len, struct pgo_buf *message,
	struct pgo_grpc_outcome *outcome, struct pgo_err *err) PGO_MUST_CHECK;
/* The same for a body in a file, gzipped by the way or not; `message` NULL = only the outcome. */
int pgo_grpc_file(const char *path, struct pgo_buf *message, struct pgo_grpc_outcome *outcome,
	struct pgo_err *err) PGO_MUST_CHECK;
/* What the HTTP headers say, if they do: true, and `outcome` is filled. */
bool pgo_grpc_in_headers(const struct pgo_http_headers *h, struct pgo_grpc_outcome *outcome);
/*
 * The verdict on a reply whose body (if any) gave `outcome`: 0; PGO_EEMPTY where nothing was found;
 * PGO_ELIMIT where less should be asked for at a time; PGO_ENET for refusals, and for replies that
 * are not gRPC-Web at all.  `what` begins the sentence.
 */
int pgo_grpc_judge(const struct pgo_http_reply *r, const struct pgo_grpc_outcome *outcome,
	const char *what, struct pgo_err *err) PGO_MUST_CHECK;

#endif
