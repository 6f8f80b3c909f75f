/* SPDX-License-Identifier: Apache-2.0 */
/* The binaries of a conversion: those the user named, and those found by build-id. */
#include "convert/convert_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct pgo_convert_part *part_of_build(const struct pgo_convert *c, const char *build_id)
{
	for (size_t i = 0; i < c->n_parts && build_id[0] != '\0'; i++)
		if (strcmp(c->parts[i]->elf->build_id, build_id) == 0)
			return c->parts[i];
	return NULL;
}

/* Takes `elf`. */
static struct pgo_convert_part *add_part(
	struct pgo_convert *c, struct pgo_elf *elf, struct pgo_err *err)
{
	struct pgo_convert_part **slot, *part = pgo_calloc(1, sizeof *part);

	slot = part != NULL ? PGO_VEC_PUSH(c->parts, c->n_parts, c->parts_room) : NULL;
	if (slot == NULL) {
		pgo_free(part);
		pgo_elf_close(elf);
		pgo_err_nomem(err);
		return NULL;
	}
	*slot = part;
	part->elf = elf;
	part->number = (uint32_t)(c->n_parts - 1);
	part->account.name = pgo_path_base(elf->path);
	part->account.build_id = elf->build_id;
	pgo_ranges_init(&part->ranges);
	return part;
}

int pgo_convert_open_parts(struct pgo_convert *c, struct pgo_err *err)
{
	for (size_t i = 0; i < c->o.n_binaries; i++) {
		struct pgo_elf *elf = pgo_elf_open(c->o.binaries[i], err);
		const struct pgo_convert_part *twin;
		int rc = 0;

		if (elf == NULL)
			return err != NULL ? (int)err->code : PGO_EIO;
		twin = part_of_build(c, elf->build_id);
		if (twin != NULL) {
			rc = pgo_err_set(err, PGO_EUSAGE,
				"%s and %s are the same build (%s): name one of them",
				twin->elf->path, elf->path, elf->build_id);
			pgo_elf_close(elf);
			return rc;
		}
		if (add_part(c, elf, err) == NULL)
			return PGO_ENOMEM;
	}
	return 0;
}

/* ------------------------------------------------------------------ directories */

static int compare_files(const void *pa, const void *pb)
{
	const struct pgo_convert_file *a = pa, *b = pb;
	int c = strcmp(a->build_id, b->build_id);

	return c != 0 ? c : strcmp(a->path, b->path);
}

static int note_file(struct pgo_convert *c, const char *path, struct pgo_err *err)
{
	struct pgo_convert_file *f;
	char build_id[129];

	if (!pgo_elf_probe(path) || pgo_elf_build_id(path, build_id, NULL) < 0 ||
		build_id[0] == '\0')
		return 0;
	f = PGO_VEC_PUSH(c->files, c->n_files, c->files_room);
	if (f == NULL)
		return pgo_err_nomem(err);
	memcpy(f->build_id, build_id, sizeof f->build_id);
	f->path = pgo_strdup(path);
	return f->path != NULL ? 0 : pgo_err_nomem(err);
}

/* Reads the build-id of every ELF below the directories, once. */
static int list_files(struct pgo_convert *c, struct pgo_err *err)
{
	if (c->listed)
		return 0;
	c->listed = true;
	for (size_t d = 0; d < c->o.n_binary_dirs; d++) {
		struct pgo_paths found = {0};
		int rc = pgo_paths_list(c->o.binary_dirs[d], &found, err);

		for (size_t i = 0; i < found.n && rc == 0; i++)
			rc = note_file(c, found.path[i], err);
		pgo_paths_free(&found);
		if (rc < 0)
			return rc;
	}
	if (c->n_files != 0)
		qsort(c->files, c->n_files, sizeof *c->files, compare_files);
	return 0;
}

/* Opens `path` if it is that build and has code (a debug file has none). */
static struct pgo_elf *open_build(const char *path, const char *build_id)
{
	struct pgo_elf *elf;
	struct stat st;
	bool code = false;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	elf = pgo_elf_open(path, NULL);
	for (size_t i = 0; elf != NULL && i < elf->n_sections && !code; i++)
		code = elf->sections[i].exec && !elf->sections[i].nobits &&
		       elf->sections[i].size != 0;
	if (elf != NULL && code && strcmp(elf->build_id, build_id) == 0)
		return elf;
	pgo_elf_close(elf);
	return NULL;
}

/*
 * The trees that are made for this, which start with a hidden directory: DIR/.build-id/xx/yyyy is
 * the binary (or a link to it), with perf a directory in which it is called "elf".
 */
static struct pgo_elf *open_in_tree(const char *dir, const char *build_id)
{
	static const char *const tails[] = {"", "/elf"};
	struct pgo_elf *elf = NULL;

	for (size_t i = 0; i < sizeof tails / sizeof *tails && elf == NULL; i++) {
		char *path = pgo_asprintf(
			"%s/.build-id/%.2s/%s%s", dir, build_id, build_id + 2, tails[i]);

		elf = path != NULL ? open_build(path, build_id) : NULL;
		pgo_free(path);
	}
	return elf;
}

static int find_build(
	struct pgo_convert *c, const char *build_id, struct pgo_elf **ret, struct pgo_err *err)
{
	size_t lo = 0, hi;
	int rc;

	*ret = NULL;
	for (size_t d = 0; d < c->o.n_binary_dirs && *ret == NULL; d++)
		*ret = open_in_tree(c->o.binary_dirs[d], build_id);
	if (*ret != NULL)
		return 0;
	rc = list_files(c, err);
	for (hi = c->n_files; rc == 0 && lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(c->files[mid].build_id, build_id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; rc == 0 && *ret == NULL && lo < c->n_files &&
		strcmp(c->files[lo].build_id, build_id) == 0;
		lo++)
		*ret = open_build(c->files[lo].path, build_id);
	return rc;
}

/* Profiles name the same libraries over and over: each is looked for once.  1 the first time, 0
 * later, -1 (memory). */
static int first_time(struct pgo_convert *c, const char *build_id)
{
	size_t len = strlen(build_id);

	if (pgo_strtab_find(&c->sought, build_id, len) != PGO_STR_NONE)
		return 0;
	return pgo_strtab_add(&c->sought, build_id, len) != PGO_STR_NONE ? 1 : -1;
}

int pgo_convert_find_parts(struct pgo_convert *c, const struct pgo_profile *p, struct pgo_err *err)
{
	for (size_t i = 0; c->o.n_binary_dirs != 0 && i < p->n_mappings; i++) {
		struct pgo_convert_part *part;
		struct pgo_elf *elf;
		char build_id[129];
		int rc;

		pgo_build_id_normalize(pgo_profile_str(p, p->mappings[i].build_id), build_id);
		if (strlen(build_id) < 3 || part_of_build(c, build_id) != NULL)
			continue;
		rc = first_time(c, build_id);
		if (rc < 0)
			return pgo_err_nomem(err);
		if (rc == 0)
			continue;
		rc = find_build(c, build_id, &elf, err);
		if (rc < 0)
			return rc;
		if (elf == NULL)
			continue;
		pgo_note("build %s is %s", build_id, elf->path);
		part = add_part(c, elf, err);
		if (part == NULL)
			return PGO_ENOMEM;
		part->found = true;
	}
	return 0;
}

/* ------------------------------------------------------------------ order and end */

static int compare_parts(const void *pa, const void *pb)
{
	const struct pgo_account *a = &(*(struct pgo_convert_part *const *)pa)->account;
	const struct pgo_account *b = &(*(struct pgo_convert_part *const *)pb)->account;
	int c = strcmp(a->name, b->name);

	return c != 0 ? c : strcmp(a->build_id, b->build_id);
}

void pgo_convert_sort_parts(struct pgo_convert *c)
{
	if (c->n_parts != 0)
		qsort(c->parts, c->n_parts, sizeof(struct pgo_convert_part *), compare_parts);
}

static void free_part(struct pgo_convert_part *part)
{
	pgo_ranges_fini(&part->ranges);
	pgo_callstack_fini(&part->stacks);
	pgo_symbolic_fini(&part->symbolic);
	pgo_codefns_fini(&part->fns);
	pgo_lines_close(part->lines);
	pgo_fdata_free(part->fdata);
	pgo_fnprof_free(part->fnprof);
	pgo_bat_free(part->bat);
	pgo_free(part->heat);
	pgo_elf_close(part->debug_elf);
	pgo_elf_close(part->elf);
	pgo_free(part);
}

void pgo_convert_free_parts(struct pgo_convert *c)
{
	for (size_t i = 0; i < c->n_parts; i++)
		free_part(c->parts[i]);
	for (size_t i = 0; i < c->n_files; i++)
		pgo_free(c->files[i].path);
	pgo_free(c->parts);
	pgo_free(c->files);
}
