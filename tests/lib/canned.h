/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on the loopback interface that says what a test wants it to say, down to the byte: also
 * what no real server would.  It runs on threads of the test itself.
 *
 *	struct canned *s = canned_start(answer, ctx);
 *	... canned_url(s) is "http://127.0.0.1:PORT" ...
 *	canned_stop(s);
 */
#ifndef TESTS_LIB_CANNED_H
#define TESTS_LIB_CANNED_H

#include <stdbool.h>
#include <stddef.h>

struct canned_request {
	char *text; /* request line and headers, then the body */
	size_t len;
	const char *body;
	size_t body_len;
	unsigned number;     /* from 0, over all connections */
	unsigned connection; /* from 0 */
	int fd;
};

struct canned;
/* `answer` is called for each request, from several threads at once; false = close the connection. */
struct canned *canned_start(bool (*answer)(void *ctx, const struct canned_request *r), void *ctx);
void canned_stop(struct canned *s);
const char *canned_url(const struct canned *s);
unsigned canned_requests(const struct canned *s);

/* Sends "HTTP/1.1 STATUS", the headers (each with \r\n, or ""), Content-Length and the body; true. */
bool canned_reply(
	const struct canned_request *r, const char *status, const char *headers, const char *body);
/* The same for a body of any bytes. */
bool canned_reply_bytes(const struct canned_request *r, const char *status, const char *headers,
	const void *body, size_t len);
/* Sends these bytes as they are. */
void canned_send(const struct canned_request *r, const void *data, size_t len);
/* Is the request line "METHOD PATH ..."? */
bool canned_is(const struct canned_request *r, const char *method, const char *path);
/* Copies the value of a header, "" if there is none. */
void canned_header(const struct canned_request *r, const char *name, char *to, size_t room);

#endif
