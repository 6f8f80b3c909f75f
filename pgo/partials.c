/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/partials.h"

#include "merge/reduce.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_MEMORY ((uint64_t)256 << 20)
#define LEAST_MEMORY ((uint64_t)32 << 10)
#define TEXT_MAX ((size_t)16 << 30)

/* One partial: a file, or a line in memory. */
struct source {
	char *name;
	const char *data; /* NULL: the file of that name */
	size_t len;
	struct pgo_partial_head head;
};

struct job {
	struct source *sources;
	struct pgo_buf *texts; /* what lines lie in */
	struct pgo_reduce_item *items;
	size_t n, room, n_texts, texts_room;
	struct pgo_merge **merges; /* one for each thread */
	unsigned threads;
	size_t done; /* atomic */
};

uint64_t pgo_partials_spill_at(uint64_t memory, unsigned threads)
{
	uint64_t all = memory != 0 ? memory : DEFAULT_MEMORY;

	/* The rest is for what is being read, sorting a run, and the program. */
	all = all / 2 / (threads != 0 ? threads : 1);
	return all > LEAST_MEMORY ? all : LEAST_MEMORY;
}

char *pgo_partials_dir(const char *near)
{
	const char *slash = near != NULL ? strrchr(near, '/') : NULL;

	if (slash == NULL)
		return pgo_strdup(".");
	return slash == near ? pgo_strdup("/") : pgo_strndup(near, (size_t)(slash - near));
}

/* ---------------------------------------------------------------- finding them */

/* Takes `name`. */
static struct source *add_source(struct job *job, char *name, struct pgo_err *err)
{
	struct source *s = name != NULL ? PGO_VEC_PUSH(job->sources, job->n, job->room) : NULL;

	if (s == NULL) {
		pgo_free(name);
		pgo_err_nomem(err);
		return NULL;
	}
	s->name = name;
	return s;
}

static int add_lines(
	struct job *job, const char *path, const struct pgo_buf *text, struct pgo_err *err)
{
	const char *p = text->data, *end = p + text->len;

	for (size_t line = 1; p < end; line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((stop != NULL ? stop : end) - p);

		if (len != 0) {
			struct source *s =
				add_source(job, pgo_asprintf("%s, line %zu", path, line), err);

			if (s == NULL)
				return PGO_ENOMEM;
			s->data = p;
			s->len = len;
		}
		p += len + (stop != NULL);
	}
	return 0;
}

/* A file with lines, or standard input with anything, is held. */
static int add_held(struct job *job, const char *path, struct pgo_err *err)
{
	struct pgo_buf *text = PGO_VEC_PUSH(job->texts, job->n_texts, job->texts_room);
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	struct source *s;
	int rc;

	if (text == NULL)
		return pgo_err_nomem(err);
	rc = pgo_file_read(path, TEXT_MAX, text, err);
	if (rc < 0)
		return rc;
	if (text->len == 0)
		return pgo_err_set(
			err, PGO_EFORMAT, "%s is empty: there is no partial in it", name);
	/* gzip begins with a byte that no line does. */
	if ((unsigned char)text->data[0] != 0x1f)
		return add_lines(job, name, text, err);
	s = add_source(job, pgo_strdup(name), err);
	if (s == NULL)
		return PGO_ENOMEM;
	s->data = text->data;
	s->len = text->len;
	return 0;
}

static int add_file(struct job *job, const char *path, struct pgo_err *err)
{
	uint8_t first = 0;
	FILE *f;

	if (strcmp(path, "-") == 0)
		return add_held(job, path, err);
	f = fopen(path, "re");
	if (f == NULL)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be read", path);
	if (fread(&first, 1, 1, f) != 1)
		first = 0;
	fclose(f);
	if (first != 0x1f)
		return add_held(job, path, err);
	return add_source(job, pgo_strdup(path), err) != NULL ? 0 : PGO_ENOMEM;
}

static int add_path(struct job *job, const char *path, struct pgo_err *err)
{
	struct pgo_paths found = {0};
	struct stat st;
	int rc;

	if (strcmp(path, "-") == 0 || stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return add_file(job, path, err);
	rc = pgo_paths_list(path, &found, err);
	if (rc == 0 && found.n == 0)
		rc = pgo_err_set(
			err, PGO_EEMPTY, "%s: there is no partial in this directory", path);
	for (size_t i = 0; i < found.n && rc == 0; i++)
		rc = add_file(job, found.path[i], err);
	pgo_paths_free(&found);
	return rc;
}

/* ---------------------------------------------------------------- heads */

static struct pgo_partial_reader *open_source(const struct source *s, struct pgo_err *err)
{
	return s->data != NULL ? pgo_partial_open_memory(s->name, s->data, s->len, err)
			       : pgo_partial_open(s->name, err);
}

/* Only its head is kept, so that any number of partials may be looked at. */
static int read_head(struct source *s, struct pgo_err *err)
{
	struct pgo_partial_reader *r = open_source(s, err);
	int rc;

	if (r == NULL)
		return err->code != PGO_OK ? (int)err->code : PGO_EFORMAT;
	rc = pgo_partial_head_join(&s->head, pgo_partial_head_of(r), err);
	pgo_partial_close(r);
	return rc;
}

static int choose(struct job *job, struct pgo_partials *ret, struct pgo_err *err)
{
	int rc = 0;

	job->items = pgo_calloc(job->n, sizeof *job->items);
	if (job->items == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < job->n && rc == 0; i++) {
		rc = read_head(&job->sources[i], err);
		job->items[i] = (struct pgo_reduce_item){
			&job->sources[i].head, job->sources[i].name, false, NULL};
	}
	if (rc == 0)
		rc = pgo_reduce_choose(job->items, job->n, &ret->head, err);
	for (size_t i = 0; i < job->n && rc == 0; i++) {
		if (job->items[i].twin != NULL) {
			ret->n_repeated++;
			pgo_note("%s repeats what is in %s, and is not counted again",
				job->items[i].name, job->items[i].twin);
		}
	}
	ret->n = job->n;
	return rc;
}

/* ---------------------------------------------------------------- sums */

static int load_one(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct job *job = ctx;
	struct pgo_partial_reader *r;
	int rc;

	pgo_progress("reducing", __atomic_fetch_add(&job->done, 1, __ATOMIC_RELAXED), job->n,
		"partials");
	if (!job->items[i].use)
		return 0;
	r = open_source(&job->sources[i], err);
	if (r == NULL)
		return err->code != PGO_OK ? (int)err->code : PGO_EFORMAT;
	rc = pgo_partial_load(r, job->merges[thread], err);
	pgo_partial_close(r);
	return rc;
}

static int load_all(struct job *job, uint64_t memory, const char *dir, struct pgo_partials *ret,
	struct pgo_err *err)
{
	struct pgo_merge_options o = {.keep_labels = ret->head.keep_labels,
		.weight_one = ret->head.weight_one,
		.spill_dir = dir};
	int rc = 0;

	job->threads = pgo_threads();
	if (job->threads > job->n)
		job->threads = (unsigned)job->n;
	o.spill_at = pgo_partials_spill_at(memory, job->threads);
	job->merges = pgo_calloc(job->threads, sizeof *job->merges);
	if (job->merges == NULL)
		return pgo_err_nomem(err);
	for (unsigned t = 0; t < job->threads; t++)
		if ((job->merges[t] = pgo_merge_new(&o, err)) == NULL)
			return PGO_ENOMEM;
	rc = pgo_parallel(job->n, job->threads, load_one, job, err);
	pgo_progress_end();
	for (unsigned t = 1; t < job->threads && rc == 0; t++) {
		rc = pgo_merge_absorb(job->merges[0], job->merges[t], err);
		pgo_merge_free(job->merges[t]);
		job->merges[t] = NULL;
	}
	if (rc == 0) {
		ret->merge = job->merges[0];
		job->merges[0] = NULL;
	}
	return rc;
}

static void job_fini(struct job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		pgo_free(job->sources[i].name);
		pgo_partial_head_fini(&job->sources[i].head);
	}
	for (size_t i = 0; i < job->n_texts; i++)
		pgo_buf_fini(&job->texts[i]);
	for (unsigned t = 0; job->merges != NULL && t < job->threads; t++)
		pgo_merge_free(job->merges[t]);
	pgo_free(job->sources);
	pgo_free(job->texts);
	pgo_free(job->items);
	pgo_free(job->merges);
}

int pgo_partials_load(char *const *paths, size_t n, uint64_t memory, const char *near,
	struct pgo_partials *ret, struct pgo_err *err)
{
	struct pgo_err local = PGO_ERR_INIT;
	struct job job = {0};
	char *dir = pgo_partials_dir(near);
	int rc = dir != NULL ? 0 : pgo_err_nomem(&local);

	memset(ret, 0, sizeof *ret);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_path(&job, paths[i], &local);
	if (rc == 0 && job.n == 0)
		rc = pgo_err_set(&local, PGO_EEMPTY, "there is no partial to reduce");
	if (rc == 0)
		rc = choose(&job, ret, &local);
	if (rc == 0)
		rc = load_all(&job, memory, dir, ret, &local);
	job_fini(&job);
	pgo_free(dir);
	if (rc < 0 && err != NULL)
		*err = local;
	return rc;
}

void pgo_partials_fini(struct pgo_partials *p)
{
	pgo_merge_free(p->merge);
	pgo_partial_head_fini(&p->head);
	memset(p, 0, sizeof *p);
}

void pgo_partials_shards(const struct pgo_partial_head *h, struct pgo_buf *out)
{
	if (h->plan[0] == '\0') {
		pgo_buf_puts(out, "no plan");
		return;
	}
	pgo_buf_puts(out, h->n_shards_in != 1 ? "shards " : "shard ");
	for (size_t i = 0, end; i < h->n_shards_in; i = end) {
		for (end = i + 1; end < h->n_shards_in && h->shards[end] == h->shards[end - 1] + 1;
			end++)
			;
		pgo_buf_printf(out, "%s%" PRIu64, i != 0 ? ", " : "", h->shards[i] + 1);
		if (end - i > 1)
			pgo_buf_printf(out, "-%" PRIu64, h->shards[end - 1] + 1);
	}
	pgo_buf_printf(out, " of %" PRIu64, h->n_shards);
}
