/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP as all stores need it: many transfers at a time over kept connections, patience with servers
 * that are busy or gone for a moment, limits on everything that comes back, and no word of a secret
 * in any message.  The one file that calls libcurl is http.c.
 *
 * Rules, the same for every store:
 *	TLS		verified, unless the options say otherwise; never from https to http
 *	redirects	followed (5 at most); to another host without any header of the request and
 *			without its body; what was signed for one host is not sent to another
 *	tried again	no connection, a reply that was cut off or came too slowly, and the answers
 *			408, 425, 429, 500, 502, 503, 504; after half a second, one, two, ..., with
 *			some jitter, or after what Retry-After says (five minutes at most)
 *	limits		bytes of the (inflated) body; seconds to connect, without a byte, in all
 *	credentials	headers of the request; .netrc if the options say so and there are none
 *
 * One thread; callbacks come from within pgo_http_run().
 */
#ifndef PGO_FETCH_HTTP_H
#define PGO_FETCH_HTTP_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_http_options {
	unsigned parallel;   /* transfers at a time; 0 = 8 */
	unsigned tries;      /* of one request; 0 = 5 */
	unsigned connect_ms; /* until there is a connection; 0 = 15 s */
	unsigned idle_ms;    /* without a byte, rounded up to seconds; 0 = 60 s */
	unsigned backoff_ms; /* before the second try; 0 = 500 */
	unsigned deadline_s; /* for everything that is asked, from the first on; 0 = none */
	uint64_t rate;       /* bytes a second over all transfers; 0 = as it comes */
	bool insecure;       /* takes any certificate */
	bool netrc;          /* looks credentials up in the user's .netrc */
	const char *ca_file; /* certificates to trust instead of the system's; kept */
};

struct pgo_http_stats {
	uint64_t requests, retries, redirects;
	uint64_t received; /* bytes of bodies as they came over the wire */
	uint64_t sent;     /* bytes of bodies */
};

struct pgo_http_header {
	char *name, *value;
};

struct pgo_http_headers {
	struct pgo_http_header *of; /* in order */
	size_t n, room;
};

/* A request, from zeroed memory; what it points to is kept until it is done. */
struct pgo_http_request {
	const char *method; /* NULL = GET, or POST with a body */
	const char *url;    /* http: or https: */
	struct pgo_http_headers headers;
	const void *body;
	size_t body_len;
	const char *to_path; /* the body of a 2xx reply goes to this new file, as it comes over the
				wire; NULL = to memory, inflated */
	uint64_t max;        /* bytes of that body; 0 = 64 MiB */
	unsigned total_ms;   /* for one try, all in all; 0 = no limit */
	unsigned delay_ms;   /* before the first try */
	bool patient;        /* the server may say nothing for all of total_ms */
	/* Adds the headers that every try needs anew (signatures); those it added to the last try
	 * are gone.  NULL = none. */
	int (*sign)(struct pgo_http_request *r, struct pgo_err *err);
	void *ctx;   /* for sign() */
	void *owner; /* the caller's, for done() */
};

struct pgo_http_reply {
	long status;         /* 200 to 599 */
	char *url;           /* of the last redirect, or of the request */
	struct pgo_buf body; /* to memory, and of every reply that is not 2xx (its beginning) */
	uint64_t bytes;      /* of the body as it came over the wire */
	struct pgo_http_headers headers; /* names in lower case */
};

/* 0, or -1 when out of memory. */
int pgo_http_headers_add(struct pgo_http_headers *h, const char *name, const char *value);
/* The value of the first header of that name, in any case; or NULL. */
const char *pgo_http_headers_get(const struct pgo_http_headers *h, const char *name);
/* Drops all but the first `n`. */
void pgo_http_headers_cut(struct pgo_http_headers *h, size_t n);
void pgo_http_headers_fini(struct pgo_http_headers *h);
void pgo_http_reply_fini(struct pgo_http_reply *r);

struct pgo_http;
struct pgo_http *pgo_http_new(const struct pgo_http_options *o, struct pgo_err *err);
void pgo_http_free(struct pgo_http *h);
const struct pgo_http_stats *pgo_http_stats_of(const struct pgo_http *h);

/*
 * Runs requests until there are no more.  `next` gives 1 and a request (borrowed until it is done),
 * 0 if there is none for now (it is asked again when one is done; when none is running, that is the
 * end), or a negative code, which ends the run.  `done` gets every request once, in the order in
 * which they finish: with a reply of whatever status; or with NULL and the reason in `*err` if there
 * is none, which it may pass on (a negative code ends the run) or not (0).  Its reply is borrowed.
 * What is still running when a run ends early is stopped, without a call.
 */
int pgo_http_run(struct pgo_http *h,
	int (*next)(void *ctx, struct pgo_http_request **ret, struct pgo_err *err),
	int (*done)(void *ctx, struct pgo_http_request *r, const struct pgo_http_reply *reply,
		struct pgo_err *err),
	void *ctx, struct pgo_err *err) PGO_MUST_CHECK;

/* One request.  0 for a reply of any status: `ret` is filled (pgo_http_reply_fini). */
int pgo_http_ask(struct pgo_http *h, struct pgo_http_request *r, struct pgo_http_reply *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* The same, but what is not 2xx is PGO_ENET, or PGO_ENOTFOUND for 404 and 410, with the sentence of
 * pgo_http_refused(). */
int pgo_http_get(struct pgo_http *h, struct pgo_http_request *r, struct pgo_http_reply *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Says what a reply that is not 2xx means: the URL without secrets, the status, the beginning of
 * what the server said, what to do. */
int pgo_http_refused(const struct pgo_http_reply *r, struct pgo_err *err);

/* The URL without user, password, and the values of parameters that may be secrets: gives a string
 * (pgo_free), or NULL (memory). */
char *pgo_http_redact(const char *url);
/* Appends `text` with everything but letters, digits and -_.~ as %XX; with `slash`, / stays. */
void pgo_http_escape(struct pgo_buf *to, const char *text, bool slash);

#endif
