/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/build_files.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define MAX_PROFILE ((size_t)4 << 30)
#define MAX_TEXT ((size_t)1 << 20)
#define DIGITS 12

static int write_if_other(
	const char *path, const char *data, size_t len, size_t max, struct pgo_err *err)
{
	struct pgo_buf old;
	bool same = false;

	if (pgo_path_exists(path)) {
		same = pgo_file_read(path, max, &old, NULL) == 0 && old.len == len &&
		       (len == 0 || memcmp(old.data, data, len) == 0);
		pgo_buf_fini(&old);
	}
	return same ? 0 : pgo_file_write(path, data, len, err);
}

int pgo_build_profile(const char *dir, const char *key, const struct pgo_chosen *chosen,
	const char *extension, char **ret_path, struct pgo_err *err)
{
	struct pgo_buf data;
	int rc;

	*ret_path = NULL;
	rc = pgo_mkdirs(dir, err);
	if (rc < 0 || chosen == NULL)
		return rc;
	*ret_path = pgo_asprintf("%s/%s-%.*s.%s", dir, key, DIGITS, chosen->sha256, extension);
	if (*ret_path == NULL)
		return pgo_err_nomem(err);
	rc = pgo_file_read(chosen->path, MAX_PROFILE, &data, err);
	if (rc == 0)
		rc = write_if_other(
			*ret_path, data.data != NULL ? data.data : "", data.len, MAX_PROFILE, err);
	pgo_buf_fini(&data);
	return rc;
}

/* Copies of this key that neither the old nor the new flags name. */
static void drop_old(const char *dir, const char *key, const char *profile, const char *old_flags)
{
	size_t len = strlen(key);
	const struct dirent *e;
	DIR *d = opendir(dir);

	while (d != NULL && (e = readdir(d)) != NULL) {
		const char *digits = e->d_name + len + 1;
		char *path;

		if (strncmp(e->d_name, key, len) != 0 || e->d_name[len] != '-' ||
			strspn(digits, "0123456789abcdef") != DIGITS || digits[DIGITS] != '.' ||
			strstr(old_flags, e->d_name) != NULL ||
			(profile != NULL && strcmp(pgo_path_base(profile), e->d_name) == 0))
			continue;
		path = pgo_asprintf("%s/%s", dir, e->d_name);
		if (path != NULL)
			unlink(path);
		pgo_free(path);
	}
	if (d != NULL)
		closedir(d);
}

static void story(const struct pgo_compiler *c, const struct pgo_chosen *chosen,
	const char *profile, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "build");
	pgo_json_kv_str(&j, "tool", "pgo " PGO_VERSION);
	pgo_json_kv_str(&j, "compiler", pgo_compiler_family_name(c->family));
	pgo_json_kv_str(&j, "compiler_version", c->version);
	pgo_json_key(&j, "profile");
	if (profile != NULL) {
		pgo_json_object(&j);
		pgo_chosen_json(chosen, &j);
		pgo_json_end_object(&j);
	} else {
		pgo_json_null(&j);
	}
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int one_file(const char *dir, const char *key, const char *ending,
	const struct pgo_buf *text, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s%s", dir, key, ending);
	int rc = path == NULL ? pgo_err_nomem(err) : pgo_buf_check(text, path, err);

	if (rc == 0)
		rc = write_if_other(
			path, text->data != NULL ? text->data : "", text->len, MAX_TEXT, err);
	pgo_free(path);
	return rc;
}

int pgo_build_files(const char *dir, const char *key, const struct pgo_compiler *c,
	const struct pgo_flags *f, const struct pgo_chosen *chosen, const char *profile,
	struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s.cflags", dir, key);
	struct pgo_buf old = {0}, text;
	int rc = path != NULL ? 0 : pgo_err_nomem(err);

	pgo_buf_init(&text, MAX_TEXT);
	if (rc == 0 && pgo_path_exists(path) && pgo_file_read(path, MAX_TEXT, &old, NULL) < 0)
		pgo_buf_fini(&old);
	story(c, chosen, profile, &text);
	if (rc == 0)
		rc = one_file(dir, key, ".json", &text, err);
	pgo_buf_clear(&text);
	pgo_buf_printf(
		&text, "/* %s */\n", profile != NULL ? pgo_path_base(profile) : "no profile");
	if (rc == 0)
		rc = one_file(dir, key, ".h", &text, err);
	pgo_buf_clear(&text);
	pgo_flags_print(f, PGO_FLAGS_OF_LINK, PGO_FLAGS_RESPONSE, &text);
	if (rc == 0)
		rc = one_file(dir, key, ".ldflags", &text, err);
	pgo_buf_clear(&text);
	pgo_flags_print(f, PGO_FLAGS_OF_COMPILE, PGO_FLAGS_RESPONSE, &text);
	if (rc == 0)
		rc = one_file(dir, key, ".cflags", &text, err);
	if (rc == 0)
		drop_old(dir, key, profile, old.data != NULL ? old.data : "");
	pgo_buf_fini(&text);
	pgo_buf_fini(&old);
	pgo_free(path);
	return rc;
}
