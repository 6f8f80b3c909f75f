/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/grpc_web.h"

#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD 5
#define TRAILER 0x80u
#define TRAILER_MAX 65536u
#define CHUNK ((size_t)65536)

void pgo_grpc_frame(struct pgo_buf *to, const void *message, size_t len)
{
	pgo_buf_putc(to, 0);
	for (int shift = 24; shift >= 0; shift -= 8)
		pgo_buf_putc(to, (char)(len >> shift & 0xff));
	pgo_buf_add(to, message, len);
}

int pgo_grpc_headers(struct pgo_http_request *r, struct pgo_err *err)
{
	static const char type[] = "application/grpc-web+proto";

	if (pgo_http_headers_add(&r->headers, "Content-Type", type) < 0 ||
		pgo_http_headers_add(&r->headers, "Accept", type) < 0 ||
		pgo_http_headers_add(&r->headers, "X-Grpc-Web", "1") < 0)
		return pgo_err_nomem(err);
	return 0;
}

/* ---------------------------------------------------------------- status and message */

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *p = strchr(digits, c | 0x20);

	return c != '\0' && p != NULL ? (int)(p - digits) : -1;
}

/* %XX taken off; no control characters. */
static void set_message(struct pgo_grpc_outcome *o, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < sizeof o->message; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '%' && i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
			c = (unsigned char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
			i += 2;
		}
		o->message[n++] = c >= ' ' && c != 127 ? (char)c : ' ';
	}
	o->message[n] = '\0';
}

static int number_of(const char *text, size_t len)
{
	char digits[8] = "";

	if (len == 0 || len >= sizeof digits || strspn(text, "0123456789") < len)
		return PGO_GRPC_NONE;
	memcpy(digits, text, len);
	return (int)strtol(digits, NULL, 10);
}

static void header_line(struct pgo_grpc_outcome *o, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	size_t name = colon != NULL ? (size_t)(colon - line) : len, from = name + 1;

	if (colon == NULL)
		return;
	while (from < len && (line[from] == ' ' || line[from] == '\t'))
		from++;
	while (len > from && (line[len - 1] == ' ' || line[len - 1] == '\r'))
		len--;
	if (name == 11 && strncasecmp(line, "grpc-status", 11) == 0)
		o->status = number_of(line + from, len - from);
	else if (name == 12 && strncasecmp(line, "grpc-message", 12) == 0)
		set_message(o, line + from, len - from);
}

static void trailer(struct pgo_grpc_outcome *o, const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;

		header_line(o, text, n);
		n += end != NULL;
		text += n;
		len -= n;
	}
}

bool pgo_grpc_in_headers(const struct pgo_http_headers *h, struct pgo_grpc_outcome *outcome)
{
	const char *status = pgo_http_headers_get(h, "grpc-status");
	const char *message = pgo_http_headers_get(h, "grpc-message");

	if (status == NULL)
		return false;
	outcome->status = number_of(status, strlen(status));
	set_message(outcome, message != NULL ? message : "", message != NULL ? strlen(message) : 0);
	return true;
}

/* ---------------------------------------------------------------- frames */

static int cut_off(const struct pgo_stream *s, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT, "%s: the reply ends in the middle of a frame",
		pgo_stream_name(s));
}

static int take_message(
	struct pgo_stream *s, uint64_t len, struct pgo_buf *message, struct pgo_err *err)
{
	while (len > 0) {
		size_t want = len < CHUNK ? (size_t)len : CHUNK;
		char *to = pgo_buf_reserve(message, want);
		int64_t n;

		if (to == NULL)
			return pgo_buf_check(message, "the reply of the store", err);
		n = pgo_stream_read(s, to, want, err);
		if (n <= 0)
			return n < 0 ? (int)n : cut_off(s, err);
		message->len += (size_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int pass_message(struct pgo_stream *s, uint64_t len, struct pgo_err *err)
{
	char scratch[4096];

	while (len > 0) {
		int64_t n = pgo_stream_read(
			s, scratch, len < sizeof scratch ? (size_t)len : sizeof scratch, err);

		if (n <= 0)
			return n < 0 ? (int)n : cut_off(s, err);
		len -= (uint64_t)n;
	}
	return 0;
}

static int take_trailer(
	struct pgo_stream *s, uint64_t len, struct pgo_grpc_outcome *outcome, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc;

	pgo_buf_init(&text, TRAILER_MAX);
	rc = take_message(s, len, &text, err);
	if (rc == 0 && outcome->status != PGO_GRPC_NONE)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s: the reply ends twice", pgo_stream_name(s));
	if (rc == 0)
		trailer(outcome, text.data != NULL ? text.data : "", text.len);
	pgo_buf_fini(&text);
	return rc;
}

static int take_frames(struct pgo_stream *s, struct pgo_buf *message,
	struct pgo_grpc_outcome *outcome, struct pgo_err *err)
{
	uint8_t head[HEAD];
	int rc = 0;

	outcome->status = PGO_GRPC_NONE;
	outcome->message[0] = '\0';
	while (rc == 0) {
		int64_t n = pgo_stream_read(s, head, HEAD, err);
		uint64_t len = (uint64_t)head[1] << 24 | (uint64_t)head[2] << 16 |
			       (uint64_t)head[3] << 8 | head[4];

		if (n <= 0)
			return (int)n;
		if (n < HEAD)
			return cut_off(s, err);
		if ((head[0] & ~TRAILER) != 0)
			rc = pgo_err_set(err, PGO_EFORMAT,
				"%s: the reply has a frame of kind 0x%02x, which is no plain "
				"gRPC-Web",
				pgo_stream_name(s), head[0]);
		else if ((head[0] & TRAILER) != 0)
			rc = take_trailer(s, len, outcome, err);
		else
			rc = message != NULL ? take_message(s, len, message, err)
					     : pass_message(s, len, err);
	}
	return rc;
}

int pgo_grpc_body(const void *body, size_t len, struct pgo_buf *message,
	struct pgo_grpc_outcome *outcome, struct pgo_err *err)
{
	struct pgo_stream *s =
		pgo_stream_memory("the store", len != 0 ? body : "", len, PGO_INFLATE_MAX, err);
	struct pgo_err local = PGO_ERR_INIT;
	int rc;

	if (s == NULL)
		return PGO_ENOMEM;
	rc = take_frames(s, message, outcome, &local);
	pgo_stream_close(s);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

int pgo_grpc_file(const char *path, struct pgo_buf *message, struct pgo_grpc_outcome *outcome,
	struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_stream *s = pgo_stream_open(path, PGO_INFLATE_MAX, &local);
	int rc = s != NULL ? take_frames(s, message, outcome, &local) : local.code;

	pgo_stream_close(s);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

/* ---------------------------------------------------------------- the verdict */

static int refused(const struct pgo_grpc_outcome *o, const char *what, struct pgo_err *err)
{
	const char *say = o->message[0] != '\0' ? o->message : "without a reason";

	switch (o->status) {
	case PGO_GRPC_NOT_FOUND:
		return pgo_err_set(
			err, PGO_EEMPTY, "%s: the store has nothing there (%s)", what, say);
	case PGO_GRPC_EXHAUSTED:
	case PGO_GRPC_DEADLINE:
		return pgo_err_set(err, PGO_ELIMIT,
			"%s: that is more than the store can give at a time (%s)", what, say);
	case PGO_GRPC_UNAUTHENTICATED:
	case PGO_GRPC_DENIED:
		return pgo_err_set(err, PGO_ENET,
			"%s: the store does not let us (%s); set PGO_FETCH_TOKEN, or other "
			"credentials of pgo-fetch(1)",
			what, say);
	case PGO_GRPC_UNIMPLEMENTED:
		return pgo_err_set(err, PGO_ENET,
			"%s: the server does not have this interface (%s): check the kind of the "
			"store",
			what, say);
	default:
		return pgo_err_set(err, PGO_ENET, "%s: the store refuses, status %d (%s)", what,
			o->status, say);
	}
}

int pgo_grpc_judge(const struct pgo_http_reply *r, const struct pgo_grpc_outcome *outcome,
	const char *what, struct pgo_err *err)
{
	struct pgo_grpc_outcome in_headers, o = *outcome;
	const char *type = pgo_http_headers_get(&r->headers, "content-type");

	if (o.status == PGO_GRPC_NONE && pgo_grpc_in_headers(&r->headers, &in_headers))
		o = in_headers;
	if (o.status == PGO_GRPC_OK)
		return 0;
	if (o.status != PGO_GRPC_NONE)
		return refused(&o, what, err);
	if (r->status < 200 || r->status > 299)
		return pgo_http_refused(r, err);
	if (type == NULL || strncasecmp(type, "application/grpc", 16) != 0)
		return pgo_err_set(err, PGO_ENET,
			"%s: the answer is %.60s, no gRPC-Web: there is no such store at this "
			"address, or only its web pages",
			what, type != NULL ? type : "of no kind");
	return pgo_err_set(err, PGO_EFORMAT, "%s: the reply was cut off", what);
}
