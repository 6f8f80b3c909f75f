/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/output_impl.h"

#include "convert/preagg.h"
#include "pgo/core/child.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/parallel.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NEWEST_GCC 16

static const struct pgo_output_type types[PGO_N_OUTPUT_KINDS] = {
	[PGO_OUTPUT_GCC] = {"gcc", "--gcc", "gcc", "functions", pgo_encode_fnprof, NULL},
	[PGO_OUTPUT_CLANG] = {"clang", "--clang", "clang", "functions", pgo_encode_fnprof, NULL},
	[PGO_OUTPUT_BOLT] = {"bolt", "--bolt", "llvm-bolt", "edges", pgo_encode_fdata, ".fdata"},
	[PGO_OUTPUT_BOLT_PREAGG] = {"bolt_preagg", "--bolt-preagg", "perf2bolt --pa", "records",
		pgo_encode_preagg, ".preagg"},
	[PGO_OUTPUT_PROPELLER] = {"propeller", "--propeller", "clang -fbasic-block-sections=list",
		"functions", pgo_encode_propeller, ".clusters"},
	[PGO_OUTPUT_PROPELLER_ORDER] = {"propeller_order", "--propeller-order",
		"lld --symbol-ordering-file with those clusters", "symbols",
		pgo_encode_propeller_order, ".propeller-order"},
	[PGO_OUTPUT_SYMBOL_ORDER] = {"symbol_order", "--symbol-order", "the linker", "functions",
		pgo_encode_symbol_order, ".order"},
	[PGO_OUTPUT_CALL_GRAPH] = {"call_graph", "--call-graph", "lld --call-graph-ordering-file",
		"calls", pgo_encode_call_graph, ".calls"},
	[PGO_OUTPUT_GO] = {"go", "--go", "go build -pgo", "stacks", pgo_encode_go, NULL},
	[PGO_OUTPUT_GO_PREPROFILE] = {"go_preprofile", "--go-preprofile",
		"go tool compile -pgoprofile", "calls", pgo_encode_go_preprofile, NULL},
};

const struct pgo_output_type *pgo_output_type(enum pgo_output_kind kind)
{
	return &types[kind];
}

const char *pgo_output_kind_name(enum pgo_output_kind kind)
{
	return types[kind].name;
}

unsigned pgo_gcc_release_on_path(void)
{
	static const char *const argv[] = {"gcc", "-dumpversion", NULL};
	static const struct pgo_child_options o = {.only_stdout = true, .most = 31};
	struct pgo_child child;
	struct pgo_err err = PGO_ERR_INIT;
	unsigned long release = 0;

	if (pgo_child_run(argv, &o, &child, &err) == 0 && child.status == 0)
		release = strtoul(pgo_child_text(&child), NULL, 10);
	pgo_child_fini(&child);
	return release < 1000 ? (unsigned)release : 0;
}

static struct pgo_output *add(struct pgo_outputs *o, enum pgo_output_kind kind, const char *path)
{
	struct pgo_output *out = PGO_VEC_PUSH(o->of, o->n, o->room);

	if (out == NULL)
		return NULL;
	out->kind = kind;
	out->path = path;
	out->name = path;
	out->variant = "";
	pgo_buf_init(&out->data, PGO_OUTPUT_MAX);
	return out;
}

static bool wanted(const char *path)
{
	return path != NULL && path[0] != '\0';
}

/* ------------------------------------------------------------------ variants */

/* The formats' full names say whose they are; users of --clang-format need only the second half. */
struct clang_format {
	const char *name, *full;
	const struct pgo_format *format;
	bool md5, compress;
};

const char pgo_clang_formats[] = "extbinary, extbinary-md5, extbinary-zlib, extbinary-md5-zlib, "
				 "text or binary";

static const struct clang_format clang_formats[] = {
	{"extbinary", "llvm-extbinary", &pgo_format_llvm_extbinary, false, false},
	{"extbinary-md5", "llvm-extbinary-md5", &pgo_format_llvm_extbinary, true, false},
	{"extbinary-zlib", "llvm-extbinary-zlib", &pgo_format_llvm_extbinary, false, true},
	{"extbinary-md5-zlib", "llvm-extbinary-md5-zlib", &pgo_format_llvm_extbinary, true, true},
	{"text", "llvm-text", &pgo_format_llvm_text, false, false},
	{"binary", "llvm-binary", &pgo_format_llvm_binary, false, false},
};

static const struct clang_format *find_clang_format(const char *name, struct pgo_err *err)
{
	for (size_t i = 0; i < sizeof clang_formats / sizeof *clang_formats; i++)
		if (!wanted(name) || strcmp(name, clang_formats[i].name) == 0)
			return &clang_formats[i];
	pgo_err_set(err, PGO_EUSAGE, "'%s' is no clang profile format; use %s", name,
		pgo_clang_formats);
	return NULL;
}

int pgo_clang_format_find(const char *name, const struct pgo_format **ret_format,
	struct pgo_format_options *ret_options, struct pgo_err *err)
{
	const struct clang_format *f = find_clang_format(name, err);

	if (f == NULL)
		return PGO_EUSAGE;
	*ret_format = f->format;
	ret_options->md5 = f->md5;
	ret_options->compress = f->compress;
	return 0;
}

static unsigned choose_gcc_release(unsigned release)
{
	if (release == 0)
		release = pgo_gcc_release_on_path();
	if (release == 0) {
		release = NEWEST_GCC;
		pgo_warn("there is no gcc on the path to ask for its release; writing the profile "
			 "for gcc %u (choose with --gcc-release)",
			release);
	}
	return release;
}

/* "--gcc FILE, --clang FILE ... or --bolt FILE" */
static int nothing_wanted(struct pgo_err *err)
{
	struct pgo_buf list;
	int rc;

	pgo_buf_init(&list, 4096);
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++)
		pgo_buf_printf(&list, "%s%s FILE",
			i == 0                        ? ""
			: i + 1 == PGO_N_OUTPUT_KINDS ? " and "
						      : ", ",
			types[i].option);
	rc = pgo_err_set(err, PGO_EUSAGE, "no output is asked for; give at least one of %s",
		list.failed ? "--gcc FILE and the others" : list.data);
	pgo_buf_fini(&list);
	return rc;
}

int pgo_outputs_init(struct pgo_outputs *o, const struct pgo_outputs_wanted *w, struct pgo_err *err)
{
	const struct clang_format *clang = find_clang_format(w->clang_format, err);
	enum pgo_link_form form;

	memset(o, 0, sizeof *o);
	if (clang == NULL || pgo_link_form_parse(w->order_format, &form, err) < 0)
		return PGO_EUSAGE;
	if (w->propeller_version > 1)
		return pgo_err_set(err, PGO_EUSAGE,
			"there is no version %u of Propeller's clusters; use 0 or 1",
			w->propeller_version);
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++) {
		struct pgo_output *out;

		if (!wanted(w->path[i]))
			continue;
		out = add(o, (enum pgo_output_kind)i, w->path[i]);
		if (out == NULL)
			return pgo_err_nomem(err);
		switch (out->kind) {
		case PGO_OUTPUT_GCC:
			out->fo.gcc_release = choose_gcc_release(w->gcc_release);
			out->format = &pgo_format_gcc;
			break;
		case PGO_OUTPUT_BOLT_PREAGG:
			out->traces = w->bolt_release == 0 ||
				      w->bolt_release >= PGO_PREAGG_TRACES_RELEASE;
			out->variant = out->traces ? "traces" : "branches";
			break;
		case PGO_OUTPUT_PROPELLER:
			out->version = w->propeller_version;
			out->variant = out->version != 0 ? "v1" : "v0";
			break;
		case PGO_OUTPUT_PROPELLER_ORDER:
			out->form = PGO_LINK_LLD;
			break;
		case PGO_OUTPUT_SYMBOL_ORDER:
			out->form = form;
			out->variant = pgo_link_form_name(form);
			break;
		case PGO_OUTPUT_CALL_GRAPH:
			out->form = PGO_LINK_CALLS;
			break;
		case PGO_OUTPUT_CLANG:
			out->fo.md5 = clang->md5;
			out->fo.compress = clang->compress;
			out->format = clang->format;
			out->variant = clang->full;
			break;
		case PGO_OUTPUT_BOLT:
		case PGO_OUTPUT_GO:
		case PGO_OUTPUT_GO_PREPROFILE:
		case PGO_N_OUTPUT_KINDS:
			break;
		}
	}
	return o->n != 0 ? 0 : nothing_wanted(err);
}

void pgo_outputs_fini(struct pgo_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		pgo_buf_fini(&o->of[i].data);
	for (size_t i = 0; i < o->n_paths; i++)
		pgo_free(o->paths[i]);
	pgo_free(o->of);
	pgo_free(o->paths);
	memset(o, 0, sizeof *o);
}

bool pgo_outputs_want_fnprof(const struct pgo_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->of[i].format != NULL)
			return true;
	return false;
}

bool pgo_outputs_want_fdata(const struct pgo_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->of[i].kind == PGO_OUTPUT_BOLT)
			return true;
	return false;
}

static size_t n_go(const struct pgo_outputs *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++)
		n += o->of[i].kind == PGO_OUTPUT_GO || o->of[i].kind == PGO_OUTPUT_GO_PREPROFILE;
	return n;
}

bool pgo_outputs_want_go(const struct pgo_outputs *o)
{
	return n_go(o) != 0;
}

bool pgo_outputs_only_go(const struct pgo_outputs *o)
{
	return n_go(o) == o->n;
}

struct encoding {
	struct pgo_outputs *o;
	const struct pgo_convert *c;
};

static int encode_one(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	const struct encoding *e = ctx;
	struct pgo_output *out = &e->o->of[i];

	(void)thread;
	return types[out->kind].encode(out, e->c, err);
}

/* Each output is made of tables that none changes, and of its own. */
int pgo_outputs_encode(struct pgo_outputs *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct encoding e = {o, c};
	int rc = pgo_outputs_each(o, c, err);

	return rc < 0 ? rc : pgo_parallel(o->n, pgo_threads(), encode_one, &e, err);
}

int pgo_outputs_write(const struct pgo_outputs *o, struct pgo_err *err)
{
	struct pgo_outfile **files = pgo_calloc(o->n, sizeof(struct pgo_outfile *));
	int rc = files != NULL ? 0 : pgo_err_nomem(err);

	/* All bytes are on disk before the first file takes its name: a full disk changes nothing.
	 */
	for (size_t i = 0; i < o->n && rc == 0; i++) {
		files[i] = pgo_outfile_open(o->of[i].path, err);
		rc = files[i] != NULL ? pgo_outfile_write(files[i], o->of[i].data.data,
						o->of[i].data.len, err)
				      : PGO_EIO;
	}
	if (rc == 0)
		rc = pgo_outfiles_commit(files, o->n, err);
	for (size_t i = 0; i < o->n && files != NULL; i++)
		pgo_outfile_abort(files[i]);
	pgo_free(files);
	return rc;
}

void pgo_output_digest(const struct pgo_output *o, char ret[65])
{
	struct pgo_sha256 hash;
	uint8_t digest[32];

	pgo_sha256_init(&hash);
	pgo_sha256_add(&hash, o->data.data, o->data.len);
	pgo_sha256_final(&hash, digest);
	pgo_sha256_hex(digest, ret);
}

void pgo_outputs_json(const struct pgo_outputs *o, struct pgo_json *j)
{
	char digest[65];

	pgo_json_array(j);
	for (size_t i = 0; i < o->n; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "kind", pgo_output_kind_name(o->of[i].kind));
		pgo_json_kv_str(j, "path", o->of[i].name);
		if (o->of[i].file != NULL)
			pgo_json_kv_str(j, "file", o->of[i].file);
		if (o->of[i].kind == PGO_OUTPUT_GCC)
			pgo_json_kv_u64(j, "gcc_release", o->of[i].fo.gcc_release);
		if (o->of[i].variant[0] != '\0')
			pgo_json_kv_str(j, "format", o->of[i].variant);
		pgo_output_digest(&o->of[i], digest);
		pgo_json_kv_str(j, "sha256", digest);
		pgo_json_kv_u64(j, "bytes", o->of[i].data.len);
		pgo_json_kv_u64(j, "records", o->of[i].records);
		pgo_lookup_json(&o->of[i].lookup, j);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}
