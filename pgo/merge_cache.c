/* SPDX-License-Identifier: Apache-2.0 */
/* What merges keep, from outside: how large it is, and how to make it smaller. */
#include "pgo/merge_inputs.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept_file {
	const char *path;
	int64_t written_ns;
	uint64_t bytes;
};

/* The newest first. */
static int cmp_written(const void *pa, const void *pb)
{
	const struct kept_file *a = pa, *b = pb;

	if (a->written_ns != b->written_ns)
		return a->written_ns > b->written_ns ? -1 : 1;
	return strcmp(a->path, b->path);
}

static struct kept_file *look(const struct pgo_paths *found, size_t *ret_n, struct pgo_err *err)
{
	struct kept_file *f = pgo_calloc(found->n, sizeof *f);
	struct stat st;

	*ret_n = 0;
	if (f == NULL)
		pgo_err_nomem(err);
	for (size_t i = 0; f != NULL && i < found->n; i++) {
		if (lstat(found->path[i], &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		f[(*ret_n)++] = (struct kept_file){found->path[i],
			(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
			(uint64_t)st.st_size};
	}
	if (*ret_n != 0)
		qsort(f, *ret_n, sizeof *f, cmp_written);
	return f;
}

int pgo_merge_cache_gc(const char *dir, uint64_t max_bytes, int64_t max_age_ns, int64_t now_ns,
	uint64_t *ret_bytes, struct pgo_err *err)
{
	struct pgo_paths found = {0};
	struct kept_file *f = NULL;
	uint64_t kept = 0;
	size_t n = 0;
	int rc = pgo_path_exists(dir) ? pgo_paths_list(dir, &found, err) : 0;

	*ret_bytes = 0;
	if (rc == 0 && (f = look(&found, &n, err)) == NULL)
		rc = PGO_ENOMEM;
	for (size_t i = 0; i < n && rc == 0; i++) {
		bool old = max_age_ns > 0 && now_ns - f[i].written_ns > max_age_ns;

		if (!old && (max_bytes == 0 || kept + f[i].bytes <= max_bytes)) {
			kept += f[i].bytes;
			continue;
		}
		if (unlink(f[i].path) < 0)
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be removed", f[i].path);
		else
			*ret_bytes += f[i].bytes;
	}
	pgo_free(f);
	pgo_paths_free(&found);
	return rc;
}
