/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/output.h"

#include "convert/fmt_llvm.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/sha256.h"

#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_OUTPUT ((size_t)4 << 30)
#define NEWEST_GCC 16

extern char **environ;

static const struct pgo_output_type types[PGO_N_OUTPUT_KINDS] = {
	[PGO_OUTPUT_GCC] = {"gcc", "--gcc", "gcc", "functions"},
	[PGO_OUTPUT_CLANG] = {"clang", "--clang", "clang", "functions"},
	[PGO_OUTPUT_BOLT] = {"bolt", "--bolt", "llvm-bolt", "edges"},
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
	char program[] = "gcc", option[] = "-dumpversion";
	char *argv[] = {program, option, NULL};
	posix_spawn_file_actions_t actions;
	char text[32] = "";
	unsigned long release = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(fds) < 0)
		return 0;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, fds[0]);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0) {
		close(fds[1]);
		fds[1] = -1;
		n = read(fds[0], text, sizeof text - 1);
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
			WEXITSTATUS(status) == 0 && n > 0)
			release = strtoul(text, NULL, 10);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	return release < 1000 ? (unsigned)release : 0;
}

static struct pgo_output *add(struct pgo_outputs *o, enum pgo_output_kind kind, const char *path)
{
	struct pgo_output *out = &o->of[o->n++];

	out->kind = kind;
	out->path = path;
	out->name = path;
	out->variant = "";
	pgo_buf_init(&out->data, MAX_OUTPUT);
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

	memset(o, 0, sizeof *o);
	if (clang == NULL)
		return PGO_EUSAGE;
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++) {
		struct pgo_output *out;

		if (!wanted(w->path[i]))
			continue;
		out = add(o, (enum pgo_output_kind)i, w->path[i]);
		switch (out->kind) {
		case PGO_OUTPUT_GCC:
			out->fo.gcc_release = choose_gcc_release(w->gcc_release);
			out->format = &pgo_format_gcc;
			break;
		case PGO_OUTPUT_CLANG:
			out->fo.md5 = clang->md5;
			out->fo.compress = clang->compress;
			out->format = clang->format;
			out->variant = clang->full;
			break;
		default:
			break;
		}
	}
	return o->n != 0 ? 0 : nothing_wanted(err);
}

void pgo_outputs_fini(struct pgo_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		pgo_buf_fini(&o->of[i].data);
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

static int unreadable(const struct pgo_output *o, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%s: the %s profile does not read back as it was written (%s); nothing was "
		"written: this is a bug, please report it",
		o->path, pgo_output_kind_name(o->kind), what);
}

static bool same_name(
	const struct pgo_fnprof *p, uint32_t name, const struct pgo_fnprof *hashed, uint32_t number)
{
	const struct pgo_str *s = &p->strs.strs[name];

	return strtoull(pgo_fnprof_str(hashed, number), NULL, 10) ==
	       pgo_llvm_hash_name(s->s, s->len);
}

/* Is `g` what is left of `f` when names become their hashes? */
static bool same_hashed(const struct pgo_fnprof *p, const struct pgo_fn *f,
	const struct pgo_fnprof *hashed, const struct pgo_fn *g)
{
	if (!same_name(p, f->name, hashed, g->name) || f->total != g->total || f->head != g->head ||
		f->n_pos != g->n_pos || f->n_calls != g->n_calls)
		return false;
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i], *y = &g->pos[i];

		if (x->line != y->line || x->disc != y->disc || x->count != y->count ||
			x->n_targets != y->n_targets)
			return false;
		for (uint32_t t = 0; t < x->n_targets; t++)
			if (x->targets[t].count != y->targets[t].count ||
				!same_name(p, x->targets[t].name, hashed, y->targets[t].name))
				return false;
	}
	for (uint32_t i = 0; i < f->n_calls; i++)
		if (f->calls[i].line != g->calls[i].line || f->calls[i].disc != g->calls[i].disc ||
			!same_hashed(p, f->calls[i].callee, hashed, g->calls[i].callee))
			return false;
	return true;
}

/* Names that were hashed do not come back, and sort differently: record by record in the file's
 * order. */
static int read_back_hashed(
	const struct pgo_output *o, const struct pgo_fnprof *p, struct pgo_err *err)
{
	struct pgo_fnprof *q = o->format->read(o->path, o->data.data, o->data.len, err);
	bool same;

	if (q == NULL)
		return pgo_err_prefix(err, "reading back");
	same = q->md5_names && q->n_fns == p->n_fns && q->n_cold == p->n_cold;
	for (size_t i = 0; i < p->n_fns && same; i++)
		same = same_hashed(p, p->fns[i], q, q->fns[i]);
	pgo_fnprof_free(q);
	return same ? 0 : unreadable(o, o->variant, err);
}

/* Written once more from what was read back, an output must come out the same. */
static int read_back_fnprof(const struct pgo_output *o, const struct pgo_format *format,
	const struct pgo_format_options *fo, struct pgo_err *err)
{
	struct pgo_fnprof *p = format->read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc = 0;

	if (p == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, MAX_OUTPUT);
	pgo_fnprof_sort(p);
	rc = format->write(p, fo, &again, err);
	if (rc == 0 &&
		(again.len != o->data.len || memcmp(again.data, o->data.data, again.len) != 0))
		rc = unreadable(o, format->name, err);
	pgo_buf_fini(&again);
	pgo_fnprof_free(p);
	return rc;
}

static int encode_fnprof(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	const struct pgo_fnprof *from = pgo_convert_fnprof(c);
	struct pgo_fnprof *p = o->kind == PGO_OUTPUT_GCC
				       ? pgo_rules_gcc(from, o->fo.gcc_release, err)
				       : pgo_rules_llvm(from, err);
	int rc;

	if (p == NULL)
		return err != NULL && err->code != 0 ? (int)err->code : PGO_ENOMEM;
	pgo_fnprof_sort(p);
	o->records = p->n_fns;
	rc = o->format->write(p, &o->fo, &o->data, err);
	if (rc == 0)
		rc = pgo_buf_check(&o->data, o->path, err);
	if (rc == 0)
		rc = o->fo.md5 ? read_back_hashed(o, p, err)
			       : read_back_fnprof(o, o->format, &o->fo, err);
	pgo_fnprof_free(p);
	return rc;
}

static int read_back_fdata(const struct pgo_output *o, struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_fdata_read(o->path, o->data.data, o->data.len, err);
	struct pgo_buf again;
	int rc;

	if (f == NULL)
		return pgo_err_prefix(err, "reading back");
	pgo_buf_init(&again, MAX_OUTPUT);
	rc = pgo_fdata_sort(f, err);
	if (rc == 0)
		rc = pgo_fdata_write(f, &again, err);
	if (rc == 0 &&
		(again.len != o->data.len || memcmp(again.data, o->data.data, again.len) != 0))
		rc = unreadable(o, ".fdata", err);
	pgo_buf_fini(&again);
	pgo_fdata_free(f);
	return rc;
}

static int encode_fdata(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_convert_fdata(c);
	int rc;

	if (f->n_edges == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s would have no edge; the branches of the profile lie outside the "
			"functions of the program",
			o->path);
	rc = pgo_fdata_sort(f, err);
	o->records = f->n_edges;
	if (rc == 0)
		rc = pgo_fdata_write(f, &o->data, err);
	if (rc == 0)
		rc = pgo_buf_check(&o->data, o->path, err);
	if (rc == 0)
		rc = read_back_fdata(o, err);
	return rc;
}

int pgo_outputs_encode(struct pgo_outputs *o, const struct pgo_convert *c, struct pgo_err *err)
{
	for (size_t i = 0; i < o->n; i++) {
		struct pgo_output *out = &o->of[i];
		struct pgo_sha256 hash;
		uint8_t digest[32];
		int rc = out->format != NULL ? encode_fnprof(out, c, err)
					     : encode_fdata(out, c, err);

		if (rc < 0)
			return rc;
		pgo_sha256_init(&hash);
		pgo_sha256_add(&hash, out->data.data, out->data.len);
		pgo_sha256_final(&hash, digest);
		pgo_sha256_hex(digest, out->digest);
	}
	return 0;
}

int pgo_outputs_write(const struct pgo_outputs *o, struct pgo_err *err)
{
	struct pgo_outfile *files[PGO_N_OUTPUT_KINDS] = {NULL};
	int rc = 0;

	/* All bytes are on disk before the first file takes its name: a full disk changes nothing.
	 */
	for (size_t i = 0; i < o->n && rc == 0; i++) {
		files[i] = pgo_outfile_open(o->of[i].path, err);
		rc = files[i] != NULL ? pgo_outfile_write(files[i], o->of[i].data.data,
						o->of[i].data.len, err)
				      : PGO_EIO;
	}
	for (size_t i = 0; i < o->n && rc == 0; i++) {
		rc = pgo_outfile_commit(files[i], err);
		files[i] = NULL;
	}
	for (size_t i = 0; i < o->n; i++)
		pgo_outfile_abort(files[i]);
	return rc;
}

void pgo_outputs_json(const struct pgo_outputs *o, struct pgo_json *j)
{
	pgo_json_array(j);
	for (size_t i = 0; i < o->n; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "kind", pgo_output_kind_name(o->of[i].kind));
		pgo_json_kv_str(j, "path", o->of[i].name);
		if (o->of[i].kind == PGO_OUTPUT_GCC)
			pgo_json_kv_u64(j, "gcc_release", o->of[i].fo.gcc_release);
		if (o->of[i].kind == PGO_OUTPUT_CLANG)
			pgo_json_kv_str(j, "format", o->of[i].variant);
		pgo_json_kv_str(j, "sha256", o->of[i].digest);
		pgo_json_kv_u64(j, "bytes", o->of[i].data.len);
		pgo_json_kv_u64(j, "records", o->of[i].records);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}
