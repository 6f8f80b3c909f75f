/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles into Pyroscope: push.v1.PusherService/Push with one series of one profile.
 *
 *	PushRequest  series 1: { labels 1: {name 1, value 2}, samples 2: {raw_profile 1} }
 *
 * The server takes the time of a profile from the profile itself, and by default refuses one that is
 * more than an hour old (validation.reject-older-than) or ten minutes ahead of its clock
 * (validation.reject-newer-than).  A series needs __name__, which becomes the first part of profile
 * types, and service_name.  Labels that are the same on all samples arrive here as labels of the
 * record; those of samples would split the series.
 */
#include "fetch/pbwire.h"
#include "fetch/push.h"
#include "fetch/pyroscope.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"

#include <string.h>

#define PROFILE_MAX ((size_t)256 << 20) /* what the server reads of one request */
#define LABEL_MAX ((size_t)1024)

/* Letters, digits and underscores, no digit first: the names that every version takes. */
static void put_name(struct pgo_buf *b, const char *name)
{
	if (*name >= '0' && *name <= '9')
		pgo_buf_putc(b, '_');
	for (; *name != '\0'; name++) {
		bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
			     (*name >= '0' && *name <= '9');

		pgo_buf_putc(b, plain ? *name : '_');
	}
}

static void put_label(struct pgo_buf *b, const char *name, const char *value)
{
	struct pgo_buf plain;
	size_t at;

	if (value == NULL || *value == '\0')
		return;
	pgo_buf_init(&plain, LABEL_MAX);
	if (strncmp(name, "__", 2) == 0)
		pgo_buf_puts(&plain, name);
	else
		put_name(&plain, name);
	at = pgo_pb_open(b, 1);
	pgo_pb_string(b, 1, plain.data != NULL ? plain.data : "_");
	pgo_pb_string(b, 2, value);
	pgo_pb_close(b, at);
	b->failed = b->failed || plain.failed;
	pgo_buf_fini(&plain);
}

static void put_labels(struct pgo_buf *b, const struct pgo_record *r)
{
	put_label(b, "__name__", "process_cpu");
	put_label(b, "service_name", r->service);
	put_label(b, "host", r->host);
	put_label(b, "version", r->version);
	for (size_t i = 0; i < r->n_labels; i++)
		if (strcmp(r->labels[i].key, "service_name") != 0 &&
			strncmp(r->labels[i].key, "__", 2) != 0)
			put_label(b, r->labels[i].key, r->labels[i].value);
}

static int encode(const struct pgo_push_item *item, struct pgo_buf *to, struct pgo_err *err)
{
	struct pgo_buf profile;
	size_t series, sample;
	int rc = pgo_file_read(item->path, PROFILE_MAX, &profile, err);

	if (rc < 0)
		return rc;
	series = pgo_pb_open(to, 1);
	put_labels(to, item->record);
	sample = pgo_pb_open(to, 2);
	pgo_pb_bytes(to, 1, profile.data, profile.len);
	pgo_pb_close(to, sample);
	pgo_pb_close(to, series);
	pgo_buf_fini(&profile);
	return pgo_buf_check(to, "the request", err);
}

/* What to do about the refusals that a sound profile may meet. */
static const char *advice(const char *said)
{
	static const struct {
		const char *said, *advice;
	} known[] = {
		{"not_in_ingestion_window", "; the server takes profiles of the last hour only: "
					    "push them sooner, or set "
					    "its validation.reject-older-than (and -newer-than, "
					    "for clocks that differ)"},
		{"ingestion window", "; the server takes profiles of the last hour only: push them "
				     "sooner, or set "
				     "its validation.reject-older-than (and -newer-than, for "
				     "clocks that differ)"},
		{"max_profile_stacktrace_samples",
			"; split into smaller pieces (--max-samples), or set its "
			"validation.max-profile-stacktrace-samples"},
		{"max_profile_size", "; split into smaller pieces (--max-samples), or set its "
				     "validation.max-profile-size-bytes"},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strstr(said, known[i].said) != NULL)
			return known[i].advice;
	return "";
}

static int refused(const struct pgo_http_reply *reply, struct pgo_err *err)
{
	struct pgo_err why = PGO_ERR_INIT;
	int rc = pgo_pyro_refused(reply, &why);

	return rc == PGO_ENOMEM ? pgo_err_nomem(err)
				: pgo_err_set(err, why.code, "%s%s", why.msg, advice(why.msg));
}

int pgo_pyro_put(struct pgo_source *src, const struct pgo_push_item *item, struct pgo_err *err)
{
	const struct pgo_pyro *s = (const struct pgo_pyro *)src;
	struct pgo_http_request r = {0};
	struct pgo_http_reply reply = {0};
	struct pgo_buf body;
	int rc;

	if (item->record->service == NULL || item->record->service[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"%s: Pyroscope keeps profiles by service, and this one does not say its "
			"own; "
			"say it with --service",
			item->record->source);
	pgo_buf_init(&body, PROFILE_MAX + ((size_t)1 << 20));
	rc = encode(item, &body, err);
	if (rc == 0)
		rc = pgo_pyro_prepare(s, PGO_PYRO_PUSH, &body, &r, err);
	if (rc == 0)
		rc = pgo_http_ask(src->http, &r, &reply, err);
	if (rc == 0 && reply.status != 200)
		rc = refused(&reply, err);
	pgo_http_reply_fini(&reply);
	pgo_pyro_request_fini(&r);
	pgo_buf_fini(&body);
	return rc;
}
