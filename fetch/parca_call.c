/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a Parca server, and what is in its replies. */
#include "fetch/http_auth.h"
#include "fetch/parca_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"

#include <string.h>

#define QUERY_MAX ((size_t)1 << 20)
#define REPLY_MAX ((size_t)256 << 20)
#define HOLD_MAX ((size_t)4 << 30)

int pgo_parca_ask(struct pgo_parca_source *s, const char *method, const struct pgo_buf *message,
	struct pgo_buf *ret, struct pgo_err *err)
{
	struct pgo_http_request r = {.max = REPLY_MAX,
		.sign = pgo_http_auth_add,
		.patient = true,
		.total_ms = PGO_PARCA_CALL_MS};
	struct pgo_http_reply reply = {0};
	struct pgo_grpc_outcome outcome = {.status = PGO_GRPC_NONE};
	char *url = pgo_asprintf("%s%s", s->url.base, method);
	struct pgo_buf body;
	int rc = url != NULL ? pgo_grpc_headers(&r, err) : pgo_err_nomem(err);

	pgo_buf_init(&body, REPLY_MAX);
	pgo_grpc_frame(&body, message->data, message->len);
	if (rc == 0)
		rc = pgo_buf_check(&body, "a query", err);
	r.url = url;
	r.body = body.data;
	r.body_len = body.len;
	if (rc == 0)
		rc = pgo_http_ask(s->base.http, &r, &reply, err);
	if (rc == 0) {
		const char *type = pgo_http_headers_get(&reply.headers, "content-type");

		if (type != NULL && strncmp(type, "application/grpc", 16) == 0)
			rc = pgo_grpc_body(reply.body.data, reply.body.len, ret, &outcome, err);
		if (rc == 0)
			rc = pgo_grpc_judge(&reply, &outcome, url, err);
	}
	pgo_http_reply_fini(&reply);
	pgo_http_headers_fini(&r.headers);
	pgo_buf_fini(&body);
	pgo_free(url);
	return rc;
}

void pgo_parca_put_name(struct pgo_buf *b, const struct pgo_parca_type *t)
{
	pgo_buf_printf(b, "{__name__=\"%s:%s:%s:%s:%s%s\"", t->name, t->sample_type, t->sample_unit,
		t->period_type, t->period_unit, t->delta ? ":delta" : "");
}

char *pgo_parca_query(const struct pgo_parca_source *s, const struct pgo_parca_type *t,
	const struct pgo_parca_object *o)
{
	const char *labels = pgo_strtab_get(&s->matchers, o->labels);
	struct pgo_buf b;
	char *text;

	pgo_buf_init(&b, QUERY_MAX);
	pgo_parca_put_name(&b, t);
	pgo_buf_printf(&b, "%s%s}", *labels != '\0' ? "," : "", labels);
	text = b.failed ? NULL : pgo_strdup(b.data);
	pgo_buf_fini(&b);
	return text;
}

bool pgo_parca_is_product(const struct pgo_parca_type *t)
{
	return strcmp(t->sample_type, "samples") == 0 && strcmp(t->sample_unit, "count") == 0;
}

/* The pprof in the file of a reply as a reader over `hold`, which outlives it; NULL and PGO_OK in
 * err where there is none. */
struct pgo_reader *pgo_parca_read(const char *path, struct pgo_buf *hold, struct pgo_err *err)
{
	struct pgo_grpc_outcome outcome;
	const void *pprof = NULL;
	size_t len = 0;

	pgo_buf_init(hold, HOLD_MAX);
	if (pgo_grpc_file(path, hold, &outcome, err) < 0 ||
		pgo_parca_get_pprof(hold->data, hold->len, &pprof, &len, err) < 0 || len == 0)
		return NULL;
	return pgo_pprof_open_memory("the reply of the store", pprof, len, NULL, err);
}

int pgo_parca_add_up(const char *path, struct pgo_parca_totals *t, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct pgo_buf hold;
	struct pgo_reader *rd = pgo_parca_read(path, &hold, &local);
	struct pgo_sample sample;
	int rc = rd != NULL ? 0 : local.code;

	while (rd != NULL && (rc = pgo_reader_next(rd, &sample, &local)) > 0) {
		t->samples++;
		if (__builtin_add_overflow(t->sum, sample.value[0], &t->sum))
			t->sum = INT64_MAX;
		if (t->by != 0 && sample.value[0] % t->by != 0)
			t->divisible = false;
	}
	pgo_reader_close(rd);
	pgo_buf_fini(&hold);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}
