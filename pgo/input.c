/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/input.h"

#include "pgo/core/inflate.h"
#include "pgo/core/pprof.h"
#include "pgo/core/vec.h"

#include <string.h>

static int reserve(struct pgo_input *in, size_t n, struct pgo_err *err)
{
	in->readers = pgo_calloc(n, sizeof(struct pgo_reader *));
	in->names = pgo_calloc(n, sizeof(char *));
	return in->readers == NULL || in->names == NULL ? pgo_err_nomem(err) : 0;
}

/* Adds a reader and its name; both may be NULL after a failure that is in `err` already. */
static int add(struct pgo_input *in, struct pgo_reader *reader, char *name, struct pgo_err *err)
{
	if (reader == NULL || name == NULL) {
		pgo_reader_close(reader);
		pgo_free(name);
		return reader == NULL && err != NULL ? err->code : pgo_err_nomem(err);
	}
	in->readers[in->n] = reader;
	in->names[in->n++] = name;
	return 0;
}

/* Takes `s`. */
static int open_pprof(
	struct pgo_input *in, const char *path, struct pgo_stream *s, struct pgo_err *err)
{
	int rc = reserve(in, 1, err);

	if (rc == 0)
		return add(in, pgo_pprof_open_stream(path, s, err), pgo_strdup(path), err);
	pgo_stream_close(s);
	return rc;
}

static int open_recording(struct pgo_input *in, const char *path, const struct pgo_input_options *o,
	struct pgo_err *err)
{
	struct pgo_import_options io = {.labels = true, .split_processes = true};
	int rc;

	if (o != NULL) {
		io.binaries = o->binaries;
		io.n_binaries = o->n_binaries;
		io.no_unbias = o->no_unbias;
	}
	rc = pgo_import(path, &io, &in->imported, err);

	if (rc < 0)
		return rc;
	rc = reserve(in, in->imported.n, err);
	for (size_t i = 0; i < in->imported.n && rc == 0; i++) {
		char *name = pgo_asprintf("%s#%s", path, in->imported.groups[i]);

		if (name == NULL)
			return pgo_err_nomem(err);
		/* The name is kept by the reader and outlives it: see pgo_input_close(). */
		rc = add(in, pgo_profile_reader(in->imported.profiles[i], name, false, err), name,
			err);
	}
	return rc;
}

int pgo_input_open(const char *path, const struct pgo_input_options *o, struct pgo_input *ret,
	struct pgo_err *err)
{
	struct pgo_input in = {0};
	struct pgo_stream *s;
	int rc;

	/* Standard input cannot be looked at twice. */
	if (strcmp(path, "-") == 0)
		return pgo_err_set(
			err, PGO_EUSAGE, "only pgo import reads standard input; give a file");
	s = pgo_stream_open(path, PGO_INFLATE_MAX, err);
	if (s == NULL)
		return err != NULL ? err->code : PGO_EIO;
	rc = pgo_input_probe_stream(s, &in.kind, err);
	if (rc == 0 && in.kind == PGO_INPUT_PPROF) {
		rc = open_pprof(&in, path, s, err);
	} else {
		pgo_stream_close(s);
		if (rc == 0)
			rc = open_recording(&in, path, o, err);
	}
	if (rc < 0) {
		pgo_input_close(&in);
		return rc;
	}
	*ret = in;
	return 0;
}

void pgo_input_close(struct pgo_input *i)
{
	for (size_t k = 0; k < i->n; k++) {
		pgo_reader_close(i->readers[k]);
		pgo_free(i->names[k]);
	}
	pgo_free(i->readers);
	pgo_free(i->names);
	pgo_imported_fini(&i->imported);
	memset(i, 0, sizeof *i);
}
