/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs of which every binary has its own: their names. */
#include "convert/output.h"

#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <string.h>
#include <sys/stat.h>

/* Does the path say which binary it is of? */
static bool is_pattern(const char *path)
{
	for (const char *p = strchr(path, '%'); p != NULL; p = strchr(p, '%')) {
		if (p[1] == 'b' || p[1] == 'i')
			return true;
		p += p[1] == '%' ? 2 : 1;
	}
	return false;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return path[0] != '\0' &&
	       (path[strlen(path) - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)));
}

static void append(struct pgo_buf *out, const char *path, const struct pgo_elf *elf)
{
	for (const char *p = path; *p != '\0'; p++) {
		if (p[0] != '%' || (p[1] != 'b' && p[1] != 'i' && p[1] != '%')) {
			pgo_buf_putc(out, *p);
			continue;
		}
		p++;
		pgo_buf_puts(out, *p == 'b'   ? pgo_path_base(elf->path)
				  : *p == 'i' ? elf->build_id
					      : "%");
	}
}

/* Gives the path of the output of one binary (pgo_free); NULL: out of memory. */
static char *expand(const struct pgo_output *o, const struct pgo_elf *elf)
{
	struct pgo_buf out;
	char *ret = NULL;

	pgo_buf_init(&out, (size_t)1 << 20);
	append(&out, o->path, elf);
	if (is_directory(o->path))
		pgo_buf_printf(&out, "%s%s%s", o->path[strlen(o->path) - 1] == '/' ? "" : "/",
			pgo_path_base(elf->path), pgo_output_type(o->kind)->ending);
	if (!out.failed && out.data != NULL)
		ret = pgo_strndup(out.data, out.len);
	pgo_buf_fini(&out);
	return ret;
}

static int ambiguous(
	const struct pgo_output *o, const char *one, const char *other, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EUSAGE,
		"%s %s: such a file is of one binary, and %s and %s would both be written there; "
		"put %%b (base name) or %%i (build-id) into the name, or give a directory",
		pgo_output_type(o->kind)->option, o->path, one, other);
}

int pgo_outputs_check(
	const struct pgo_outputs *o, const struct pgo_convert *c, bool more, struct pgo_err *err)
{
	size_t n = pgo_convert_n_binaries(c), own = 0;

	for (size_t i = 0; i < n; i++)
		own += pgo_convert_has_own(c, i);
	if (own < n) { /* that of the target, whatever is found */
		n = own;
		more = false;
	}
	for (size_t i = 0; i < o->n; i++) {
		const struct pgo_output *of = &o->of[i];

		if (pgo_output_type(of->kind)->ending == NULL || is_pattern(of->path) ||
			is_directory(of->path))
			continue;
		if (n > 1)
			return ambiguous(of, pgo_convert_binary(c, 0)->path,
				pgo_convert_binary(c, 1)->path, err);
		if (more)
			return pgo_err_set(err, PGO_EUSAGE,
				"%s %s: such a file is of one binary, and several may be found; "
				"put %%b (base name) or %%i (build-id) into the name, or give a "
				"directory",
				pgo_output_type(of->kind)->option, of->path);
	}
	return 0;
}

/* Is there anything of that kind to write for binary k? */
static bool has(const struct pgo_convert *c, enum pgo_output_kind kind, size_t k)
{
	if (!pgo_convert_has_own(c, k))
		return false;
	switch (kind) {
	case PGO_OUTPUT_BOLT:
		return pgo_convert_fdata(c, k) != NULL && pgo_convert_fdata(c, k)->n_edges != 0;
	default:
		return pgo_convert_account(c)->binaries[k]->executions != 0;
	}
}

static int each_of(struct pgo_outputs *o, const struct pgo_output *of, const struct pgo_convert *c,
	struct pgo_err *err)
{
	size_t first = o->n;

	for (size_t k = 0; k < pgo_convert_n_binaries(c); k++) {
		const struct pgo_elf *elf = pgo_convert_binary(c, k);
		struct pgo_output *out;
		char **path;

		if (!has(c, of->kind, k))
			continue;
		path = PGO_VEC_PUSH(o->paths, o->n_paths, o->paths_room);
		if (path != NULL)
			*path = expand(of, elf);
		out = path != NULL && *path != NULL ? PGO_VEC_PUSH(o->of, o->n, o->room) : NULL;
		if (out == NULL)
			return pgo_err_nomem(err);
		*out = *of;
		out->binary = k;
		out->path = *path;
		/* What manifests call it is the user's word for it, where that says enough. */
		if (strcmp(*path, of->path) != 0)
			out->name = *path;
		for (size_t i = first; i + 1 < o->n; i++)
			if (strcmp(o->of[i].path, *path) == 0)
				return ambiguous(of, elf->path,
					pgo_convert_binary(c, o->of[i].binary)->path, err);
	}
	if (o->n == first)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s would have no %s; the branches of the profile lie outside the "
			"functions of the program",
			of->path, pgo_output_type(of->kind)->records);
	return 0;
}

int pgo_outputs_each(struct pgo_outputs *o, const struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_output *old = o->of;
	size_t n = o->n;
	int rc = 0;

	o->of = NULL;
	o->n = o->room = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct pgo_output *out;

		if (pgo_output_type(old[i].kind)->ending != NULL) {
			rc = each_of(o, &old[i], c, err);
			continue;
		}
		out = PGO_VEC_PUSH(o->of, o->n, o->room);
		if (out == NULL)
			rc = pgo_err_nomem(err);
		else
			*out = old[i];
	}
	pgo_free(old); /* nothing is encoded yet: there is nothing in them to free */
	return rc;
}
