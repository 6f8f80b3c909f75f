/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/fit_files.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <string.h>

#define MAX_FILE ((size_t)4 << 30)
#define HEAD 4096

bool pgo_fit_kind_of(const void *data, size_t len, enum pgo_output_kind *ret)
{
	size_t head = len < HEAD ? len : HEAD;
	const struct pgo_format *f = pgo_format_probe(data, head);

	if (f == NULL && !pgo_fdata_probe(data, head))
		return false;
	*ret = f == NULL              ? PGO_OUTPUT_BOLT
	       : f == &pgo_format_gcc ? PGO_OUTPUT_GCC
				      : PGO_OUTPUT_CLANG;
	return true;
}

static int code_of(const struct pgo_err *err)
{
	return err != NULL && err->code != PGO_OK ? (int)err->code : PGO_EFORMAT;
}

static int empty(const char *name, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EEMPTY, "%s has no function with a count", name);
}

static int load(struct pgo_fit_loaded *l, const void *data, size_t len, struct pgo_strtab *strs,
	struct pgo_err *err)
{
	int rc;

	if (len == 0)
		return pgo_err_set(err, PGO_EEMPTY, "%s is empty", l->name);
	if (!pgo_fit_kind_of(data, len, &l->kind))
		return pgo_err_set(
			err, PGO_EFORMAT, "%s is no profile for gcc, clang or llvm-bolt", l->name);
	if (l->kind == PGO_OUTPUT_BOLT) {
		l->fdata = pgo_fdata_read(l->name, data, len, err);
		if (l->fdata == NULL)
			return code_of(err);
		rc = pgo_fit_view_fdata(&l->view, strs, l->fdata, err);
	} else {
		l->format = pgo_format_probe(data, len < HEAD ? len : HEAD);
		l->fnprof = l->format->read(l->name, data, len, err);
		if (l->fnprof == NULL)
			return code_of(err);
		rc = pgo_fit_view_fnprof(&l->view, strs, l->fnprof, err);
	}
	l->functions = l->view.symbols.n;
	return rc < 0 ? rc : l->functions == 0 ? empty(l->name, err) : 0;
}

int pgo_fit_load_bytes(const char *name, const void *data, size_t len, struct pgo_strtab *strs,
	struct pgo_fit_loaded *ret, struct pgo_err *err)
{
	int rc;

	*ret = (struct pgo_fit_loaded){.name = pgo_strdup(name)};
	rc = ret->name != NULL ? load(ret, data, len, strs, err) : pgo_err_nomem(err);
	if (rc < 0)
		pgo_fit_loaded_fini(ret);
	return rc;
}

int pgo_fit_load_file(
	const char *path, struct pgo_strtab *strs, struct pgo_fit_loaded *ret, struct pgo_err *err)
{
	struct pgo_buf data;
	int rc = pgo_file_read(path, MAX_FILE, &data, err);

	*ret = (struct pgo_fit_loaded){.name = NULL};
	if (rc == 0)
		rc = pgo_fit_load_bytes(path, data.data, data.len, strs, ret, err);
	pgo_buf_fini(&data);
	return rc;
}

void pgo_fit_loaded_fini(struct pgo_fit_loaded *l)
{
	pgo_free(l->name);
	pgo_fnprof_free(l->fnprof);
	pgo_fdata_free(l->fdata);
	pgo_fit_view_fini(&l->view);
	memset(l, 0, sizeof *l);
}
