/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs, encoded and read back: those about addresses, functions and blocks. */
#include "convert/output_impl.h"
#include "convert/preagg.h"

static int read_back_preagg(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_preagg *p = pgo_preagg_read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc;

	if (p == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	pgo_preagg_sort(p);
	rc = pgo_preagg_write(p, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, "pre-aggregated", err);
	pgo_buf_fini(&again);
	pgo_preagg_free(p);
	return rc;
}

int pgo_encode_preagg(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_convert_view v;
	struct pgo_preagg *p;
	int rc;

	pgo_convert_look(c, o->binary, &v);
	p = pgo_preagg_make(v.ranges, v.fns, o->traces, v.event, err);
	if (p == NULL)
		return PGO_ENOMEM;
	o->records = p->n_records;
	rc = pgo_preagg_write(p, &o->data, err);
	pgo_preagg_free(p);
	return rc == 0 ? read_back_preagg(o, err) : rc;
}
