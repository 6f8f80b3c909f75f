/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs, encoded and read back: those for Go. */
#include "convert/gopgo.h"
#include "convert/output_impl.h"
#include "pgo/core/pprof.h"

#include <string.h>

static int failed(const struct pgo_err *err)
{
	return err != NULL && err->code != 0 ? (int)err->code : PGO_ENOMEM;
}

static int read_back_go(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_profile *p =
		pgo_pprof_load_memory(o->path, o->data.data, o->data.len, NULL, err);
	struct pgo_buf again;
	int rc;

	if (p == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	rc = pgo_pprof_encode(p, true, &again, err);
	if (rc == 0)
		rc = pgo_output_compare(o, &again, "pprof", err);
	pgo_buf_fini(&again);
	pgo_profile_free(p);
	return rc;
}

int pgo_encode_go(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_profile *p = pgo_gopgo_profile(pgo_convert_go(c), err);
	int rc;

	if (p == NULL)
		return failed(err);
	o->records = p->n_samples;
	rc = pgo_pprof_encode(p, true, &o->data, err);
	pgo_profile_free(p);
	return rc == 0 ? read_back_go(o, err) : rc;
}

static int read_back_calls(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_go_calls calls;
	struct pgo_buf again;
	int rc = pgo_go_calls_init(&calls, err);

	if (rc < 0)
		return rc;
	pgo_buf_init(&again, PGO_OUTPUT_MAX);
	rc = pgo_go_calls_read(&calls, o->path, o->data.data, o->data.len, err);
	if (rc < 0)
		rc = pgo_err_prefix(err, "reading back");
	if (rc == 0) {
		pgo_go_calls_sort(&calls);
		rc = pgo_go_calls_write(&calls, &again, err);
	}
	if (rc == 0)
		rc = pgo_output_compare(o, &again, "preprofile", err);
	pgo_buf_fini(&again);
	pgo_go_calls_fini(&calls);
	return rc;
}

int pgo_encode_go_preprofile(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_go_calls calls;
	int rc = pgo_go_calls_init(&calls, err);

	if (rc < 0)
		return rc;
	rc = pgo_gopgo_calls(pgo_convert_go(c), &calls, err);
	if (rc == 0 && calls.n_calls == 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"%s would hold no call: the stacks of the profile have one frame each",
			o->path);
	o->records = calls.n_calls;
	if (rc == 0)
		rc = pgo_go_calls_write(&calls, &o->data, err);
	pgo_go_calls_fini(&calls);
	return rc == 0 ? read_back_calls(o, err) : rc;
}
