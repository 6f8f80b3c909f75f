/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "convert/format.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/input.h"
#include "pgo/show.h"

#include <string.h>

#define MAX_FILE ((size_t)4 << 30)
#define HEAD 4096

struct show_values {
	const char *function;
	uint64_t top;
	bool all;
};

#define AT(field) offsetof(struct show_values, field)

static const struct pgo_opt opts[] = {
	{"function", 'f', "NAME", "one function of a sample profile, in full", PGO_OPT_STR,
		AT(function)},
	{"top", 0, "N", "rows of each list (default 10; 0 = all)", PGO_OPT_U64, AT(top)},
	{"all", 'a', NULL, "everything: all functions in full, all edges", PGO_OPT_FLAG, AT(all)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"show",
	"[OPTION]... FILE...",
	"Shows what is in a file: profiles (pprof, perf.data, brstack text, gperftools, OTLP), "
	"what "
	"convert makes (.afdo, LLVM, .fdata, pre-aggregated records, block clusters), manifests, "
	"programs. Told apart by "
	"content.",
	opts,
};

static int show_profile(const struct pgo_show *s, struct pgo_err *err)
{
	struct pgo_input in;
	int rc = pgo_input_open(s->path, NULL, &in, err);
	bool recording;

	if (rc < 0)
		return rc;
	recording = in.kind != PGO_INPUT_PPROF;
	if (recording && s->json != NULL) {
		pgo_json_object(s->json);
		pgo_json_kv_str(s->json, "file", s->path);
		pgo_json_kv_str(s->json, "kind", pgo_input_kind_name(in.kind));
		pgo_show_import_stats(s, &in.imported.stats);
		pgo_show_import_estimates(s, &in.imported);
		pgo_json_key(s->json, "profiles");
		pgo_json_array(s->json);
	} else if (recording) {
		pgo_buf_printf(s->out, "%s: %s\n", s->path, pgo_input_kind_name(in.kind));
		pgo_show_import_stats(s, &in.imported.stats);
		pgo_show_import_estimates(s, &in.imported);
	}
	for (size_t i = 0; i < in.n && rc == 0; i++) {
		struct pgo_show one = *s;

		one.path = in.names[i];
		rc = pgo_show_reader(&one, recording ? "profile of one process group" : "pprof",
			in.readers[i], err);
	}
	if (recording && s->json != NULL) {
		pgo_json_end_array(s->json);
		pgo_json_end_object(s->json);
	}
	pgo_input_close(&in);
	return rc;
}

static int show_elf(const struct pgo_show *s, struct pgo_err *err)
{
	struct pgo_elf *e = pgo_elf_open(s->path, err);

	if (e == NULL)
		return PGO_EFORMAT;
	pgo_show_elf(s, e);
	pgo_elf_close(e);
	return 0;
}

static int show_fnprof(const struct pgo_show *s, const struct pgo_format *f,
	const struct pgo_buf *data, struct pgo_err *err)
{
	struct pgo_fnprof *p = f->read(s->path, data->data, data->len, err);
	int rc;

	if (p == NULL)
		return PGO_EFORMAT;
	rc = pgo_show_fnprof(s, f->name, p, err);
	pgo_fnprof_free(p);
	return rc;
}

static int show_fdata(const struct pgo_show *s, const struct pgo_buf *data, struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_fdata_read(s->path, data->data, data->len, err);
	int rc;

	if (f == NULL)
		return PGO_EFORMAT;
	rc = pgo_show_fdata(s, f, err);
	pgo_fdata_free(f);
	return rc;
}

static int show_preagg(const struct pgo_show *s, const struct pgo_buf *data, struct pgo_err *err)
{
	struct pgo_preagg *p = pgo_preagg_read(s->path, data->data, data->len, err);
	int rc;

	if (p == NULL)
		return PGO_EFORMAT;
	rc = pgo_show_preagg(s, p, err);
	pgo_preagg_free(p);
	return rc;
}

static int show_propeller(const struct pgo_show *s, const struct pgo_buf *data, struct pgo_err *err)
{
	struct pgo_propeller *p = pgo_propeller_read(s->path, data->data, data->len, err);
	int rc;

	if (p == NULL)
		return PGO_EFORMAT;
	rc = pgo_show_propeller(s, p, err);
	pgo_propeller_free(p);
	return rc;
}

static int show_json(const struct pgo_show *s, const struct pgo_buf *data, struct pgo_err *err)
{
	return pgo_show_json_file(s, data->data, data->len, err);
}

static bool probe_json(const void *head, size_t len)
{
	return len > 0 && (*(const char *)head == '{' || *(const char *)head == '[');
}

/* Files that are read as a whole, beside the sample profiles; most certain first. */
static const struct whole {
	bool (*probe)(const void *head, size_t len);
	int (*show)(const struct pgo_show *s, const struct pgo_buf *data, struct pgo_err *err);
} wholes[] = {
	{pgo_fdata_probe, show_fdata},
	{pgo_preagg_probe, show_preagg},
	{pgo_propeller_probe, show_propeller},
	{probe_json, show_json},
	{NULL, NULL},
};

/* Is it one of the files that are read as a whole? `*ret_done` says so. */
static int show_whole(
	const struct pgo_show *s, const void *head, size_t len, bool *ret_done, struct pgo_err *err)
{
	const struct pgo_format *f = pgo_format_probe(head, len);
	const struct whole *w = wholes;
	struct pgo_buf data;
	int rc;

	while (f == NULL && w->probe != NULL && !w->probe(head, len))
		w++;
	*ret_done = f != NULL || w->probe != NULL;
	if (!*ret_done)
		return 0;
	pgo_buf_init(&data, MAX_FILE);
	rc = pgo_file_read(s->path, MAX_FILE, &data, err);
	if (rc == 0 && f != NULL)
		rc = show_fnprof(s, f, &data, err);
	else if (rc == 0)
		rc = w->show(s, &data, err);
	pgo_buf_fini(&data);
	return rc;
}

static int show_file(const struct pgo_show *s, struct pgo_err *err)
{
	struct pgo_stream *stream;
	const uint8_t *head;
	bool done = false;
	int64_t len;
	int rc;

	if (pgo_elf_probe(s->path))
		return show_elf(s, err);
	stream = pgo_stream_open(s->path, PGO_INFLATE_MAX, err);
	if (stream == NULL)
		return PGO_EIO;
	len = pgo_stream_peek(stream, HEAD, &head, err);
	if (len == 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s is empty", s->path);
	else if (len < 0)
		rc = (int)len;
	else
		rc = pgo_stream_coding(stream) == PGO_CODING_PLAIN
			     ? show_whole(s, head, (size_t)len, &done, err)
			     : 0;
	pgo_stream_close(stream);
	return rc < 0 || done ? rc : show_profile(s, err);
}

static int run(int argc, char **argv)
{
	struct show_values o = {.top = 10};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_json json;
	struct pgo_buf out;
	int first, code;

	pgo_buf_init(&out, (size_t)2 << 30);
	if (pgo_cmd_begin(&pgo_cmd_show, argc, argv, &o, &g, &first, NULL, &code) != 0)
		goto out;
	if (first == argc) {
		pgo_err_set(&err, PGO_EUSAGE, "no file to show; try `pgo show --help`");
		code = pgo_cmd_fail(&pgo_cmd_show, &g, &err);
		goto out;
	}
	code = PGO_EXIT_OK;
	for (int i = first; i < argc; i++) {
		struct pgo_show s = {argv[i], o.function, (size_t)o.top, o.all, &out, NULL};

		pgo_json_init(&json, &out, false);
		if (g.json)
			s.json = &json;
		if (show_file(&s, &err) < 0 || pgo_buf_check(&out, "the listing", &err) < 0) {
			code = pgo_cmd_fail(&pgo_cmd_show, &g, &err);
			goto out;
		}
		if (g.json)
			pgo_json_finish(&json);
	}
	code = pgo_cmd_print(&pgo_cmd_show, &g, out.data, out.len);
out:
	pgo_buf_fini(&out);
	return code;
}

const struct pgo_cmd pgo_cmd_show = {
	"show", "show what is in a profile, an output or a program", &table, run};
