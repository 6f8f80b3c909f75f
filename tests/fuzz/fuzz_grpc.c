/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the body of a gRPC-Web reply, and what is in it as each of Parca's replies.  A body
 * says how it ended or that it is broken; what was taken out of it, put into frames again, comes out
 * the same; times and sums that are given on are in their bounds.
 */
#include "fetch/grpc_web.h"
#include "fetch/parca_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static int see_type(void *ctx, const struct pgo_parca_type *t, struct pgo_err *err)
{
	(void)err;
	*(size_t *)ctx += strlen(t->name) + strlen(t->sample_type) + strlen(t->sample_unit) +
			  strlen(t->period_type) + strlen(t->period_unit) + t->delta;
	return 0;
}

static int see_label(void *ctx, const char *name, struct pgo_err *err)
{
	(void)err;
	*(size_t *)ctx += strlen(name);
	return 0;
}

static int see_point(void *ctx, const struct pgo_kv *labels, size_t n,
	const struct pgo_parca_point *p, struct pgo_err *err)
{
	(void)err;
	demand(p->time_ns >= 0);
	for (size_t i = 0; i < n; i++)
		*(size_t *)ctx += strlen(labels[i].key) + strlen(labels[i].value);
	return 0;
}

static void read_all(const struct pgo_buf *m)
{
	const void *pprof = NULL;
	size_t seen = 0, len = 0;
	struct pgo_err err = PGO_ERR_INIT;
	int rc = pgo_parca_get_types(m->data, m->len, see_type, &seen, &err);

	demand((rc < 0) == (err.msg[0] != '\0'));
	demand(pgo_parca_get_labels(m->data, m->len, see_label, &seen, NULL) <= 0);
	demand(pgo_parca_get_range(m->data, m->len, see_point, &seen, NULL) <= 0);
	demand(pgo_parca_get_pprof(m->data, m->len, &pprof, &len, NULL) <= 0);
	demand(len <= m->len);
}

static void frame_again(const struct pgo_buf *m)
{
	static const char end[] = "\x80\0\0\0\x0e"
				  "grpc-status:0\n";
	struct pgo_grpc_outcome o;
	struct pgo_buf body, back;

	pgo_buf_init(&body, SIZE_MAX - 1);
	pgo_buf_init(&back, SIZE_MAX - 1);
	pgo_grpc_frame(&body, m->data, m->len);
	pgo_buf_add(&body, end, sizeof end - 1);
	demand(pgo_grpc_body(body.data, body.len, &back, &o, NULL) == 0);
	demand(o.status == PGO_GRPC_OK && back.len == m->len &&
		(m->len == 0 || memcmp(back.data, m->data, m->len) == 0));
	pgo_buf_fini(&body);
	pgo_buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_grpc_outcome o = {.status = PGO_GRPC_NONE};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf m;
	int rc;

	pgo_buf_init(&m, (size_t)1 << 24);
	rc = pgo_grpc_body(data, size, &m, &o, &err);
	demand((rc < 0) == (err.msg[0] != '\0'));
	demand(strlen(o.message) < sizeof o.message);
	if (rc == 0) {
		demand(m.len <= (size_t)1 << 24);
		read_all(&m);
		frame_again(&m);
	}
	pgo_buf_clear(&m);
	pgo_buf_add(&m, data, size);
	read_all(&m);
	pgo_buf_fini(&m);
	return 0;
}
