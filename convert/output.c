/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/output.h"

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

const char *pgo_output_kind_name(enum pgo_output_kind kind)
{
	static const char *const names[] = {"gcc", "clang", "bolt"};

	return names[kind];
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
	pgo_buf_init(&out->data, MAX_OUTPUT);
	return out;
}

static bool wanted(const char *path)
{
	return path != NULL && path[0] != '\0';
}

/* The formats' full names say whose they are; users of --clang-format need only the second half. */
static const struct pgo_format *llvm_format(const char *name, struct pgo_err *err)
{
	static const struct {
		const char *name;
		const struct pgo_format *format;
	} known[] = {
		{"extbinary", &pgo_format_llvm_extbinary},
		{"text", &pgo_format_llvm_text},
		{"binary", &pgo_format_llvm_binary},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (name == NULL || strcmp(name, known[i].name) == 0)
			return known[i].format;
	pgo_err_set(err, PGO_EUSAGE,
		"'%s' is no clang profile format; use extbinary, text or binary", name);
	return NULL;
}

int pgo_outputs_init(struct pgo_outputs *o, const char *gcc, unsigned gcc_release,
	const char *clang, const char *clang_format, const char *bolt, struct pgo_err *err)
{
	const struct pgo_format *format =
		llvm_format(wanted(clang_format) ? clang_format : NULL, err);

	memset(o, 0, sizeof *o);
	if (format == NULL)
		return PGO_EUSAGE;
	if (wanted(gcc)) {
		if (gcc_release == 0)
			gcc_release = pgo_gcc_release_on_path();
		if (gcc_release == 0) {
			gcc_release = NEWEST_GCC;
			pgo_warn("there is no gcc on the path to ask for its release; writing the "
				 "profile for gcc %u (choose with --gcc-release)",
				gcc_release);
		}
		add(o, PGO_OUTPUT_GCC, gcc)->gcc_release = gcc_release;
	}
	if (wanted(clang))
		add(o, PGO_OUTPUT_CLANG, clang)->format = format;
	if (wanted(bolt))
		add(o, PGO_OUTPUT_BOLT, bolt);
	if (o->n == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"no output is asked for; give at least one of --gcc FILE, --clang FILE and "
			"--bolt FILE");
	return 0;
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
		if (o->of[i].kind != PGO_OUTPUT_BOLT)
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
	const struct pgo_format *format = o->kind == PGO_OUTPUT_GCC ? &pgo_format_gcc : o->format;
	const struct pgo_format_options fo = {.gcc_release = o->gcc_release};
	const struct pgo_fnprof *from = pgo_convert_fnprof(c);
	struct pgo_fnprof *p = o->kind == PGO_OUTPUT_GCC ? pgo_rules_gcc(from, o->gcc_release, err)
							 : pgo_rules_llvm(from, err);
	int rc;

	if (p == NULL)
		return err != NULL && err->code != 0 ? (int)err->code : PGO_ENOMEM;
	pgo_fnprof_sort(p);
	o->records = p->n_fns;
	rc = format->write(p, &fo, &o->data, err);
	if (rc == 0)
		rc = pgo_buf_check(&o->data, o->path, err);
	if (rc == 0)
		rc = read_back_fnprof(o, format, &fo, err);
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
		int rc = out->kind == PGO_OUTPUT_BOLT ? encode_fdata(out, c, err)
						      : encode_fnprof(out, c, err);

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
	struct pgo_outfile *files[PGO_MAX_OUTPUTS] = {NULL};
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
			pgo_json_kv_u64(j, "gcc_release", o->of[i].gcc_release);
		if (o->of[i].kind == PGO_OUTPUT_CLANG)
			pgo_json_kv_str(j, "format", o->of[i].format->name);
		pgo_json_kv_str(j, "sha256", o->of[i].digest);
		pgo_json_kv_u64(j, "bytes", o->of[i].data.len);
		pgo_json_kv_u64(j, "records", o->of[i].records);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}
