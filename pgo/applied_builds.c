/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/applied_builds.h"

#include "pgo/fit_files.h"

int pgo_applied_builds(const char *before, const char *after, const char *profile,
	const struct pgo_gate_limits *limits, struct pgo_applied *ret, struct pgo_err *err)
{
	struct pgo_fit_loaded l = {.name = NULL};
	struct pgo_applied_options o = {.before = before, .after = after, .limits = limits};
	struct pgo_strtab strs;
	int rc = 0;

	if (pgo_strtab_init(&strs, (size_t)4 << 30) < 0)
		return pgo_err_nomem(err);
	if (profile != NULL) {
		rc = pgo_fit_load_file(profile, &strs, &l, err);
		o.profile = &l.view;
		o.strs = &strs;
	}
	if (rc == 0)
		rc = pgo_applied_find(&o, ret, err);
	pgo_fit_loaded_fini(&l);
	pgo_strtab_fini(&strs);
	return rc;
}

void pgo_applied_builds_print(const struct pgo_applied *a, bool json, struct pgo_buf *out)
{
	struct pgo_json j;

	if (!json) {
		pgo_applied_text(a, out);
		return;
	}
	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "applied");
	pgo_json_key(&j, "applied");
	pgo_applied_json(a, &j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}
