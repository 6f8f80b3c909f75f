/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to and from the temporary file. */
#include "merge/spill.h"
#include "merge/wide.h"
#include "pgo/core/buf.h"
#include "pgo/core/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STRETCH ((size_t)256 << 10) /* bytes of one write */
#define ROW_MAX ((size_t)1 << 30)

struct pgo_mt_spill_file *pgo_mt_spill_file_new(const char *dir, struct pgo_err *err)
{
	struct pgo_mt_spill_file *f = pgo_calloc(1, sizeof *f);
	const char *env = getenv("TMPDIR");
	char *name = NULL;

	if (dir == NULL || (env != NULL && env[0] != '\0'))
		dir = env != NULL && env[0] != '\0' ? env : "/var/tmp";
	if (f == NULL || (f->dir = pgo_strdup(dir)) == NULL ||
		(name = pgo_asprintf("%s/pgo-spill-XXXXXX", dir)) == NULL) {
		pgo_err_nomem(err);
		goto fail;
	}
	f->users = 1;
	f->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (f->fd < 0) { /* a file system without files that have no name */
		f->fd = mkostemp(name, O_CLOEXEC);
		if (f->fd >= 0)
			unlink(name);
	}
	if (f->fd >= 0) {
		pgo_free(name);
		return f;
	}
	pgo_err_errno(err, PGO_EIO,
		"there are more stacks than --memory has room for, but no temporary file can be "
		"made in %s; set TMPDIR to another directory, or give more --memory",
		dir);
fail:
	if (f != NULL)
		pgo_free(f->dir);
	pgo_free(f);
	pgo_free(name);
	return NULL;
}

void pgo_mt_spill_file_drop(struct pgo_mt_spill_file *f)
{
	if (f == NULL || --f->users != 0)
		return;
	close(f->fd);
	pgo_free(f->dir);
	pgo_free(f);
}

/* ---------------------------------------------------------------- writing */

int pgo_mt_run_begin(
	struct pgo_mt_run_writer *w, struct pgo_mt_spill_file *file, struct pgo_err *err)
{
	(void)err;
	memset(w, 0, sizeof *w);
	w->file = file;
	w->offset = file->end;
	pgo_buf_init(&w->out, ROW_MAX);
	return 0;
}

static int write_out(struct pgo_mt_run_writer *w, struct pgo_err *err)
{
	const char *p = w->out.data;
	size_t left = w->out.len;
	int rc = pgo_buf_check(&w->out, "a row on its way to disk", err);

	while (rc == 0 && left != 0) {
		ssize_t n = pwrite(w->file->fd, p, left, (off_t)w->file->end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return pgo_err_errno(err, PGO_EIO,
				"there are more stacks than --memory has room for, and the "
				"temporary file in %s cannot take them; set TMPDIR to a directory "
				"with more room, or give more --memory",
				w->file->dir);
		}
		p += n;
		left -= (size_t)n;
		w->file->end += (uint64_t)n;
	}
	pgo_buf_clear(&w->out);
	return rc;
}

int pgo_mt_run_put(struct pgo_mt_run_writer *w, const uint32_t *loc, uint32_t n_loc,
	uint32_t labels, bool sorted, struct pgo_err *err)
{
	size_t shared = 0;

	while (sorted && shared < w->n_prev && shared < n_loc && w->prev[shared] == loc[shared])
		shared++;
	pgo_buf_uleb(&w->out, shared);
	pgo_buf_uleb(&w->out, n_loc - shared);
	for (size_t i = shared; i < n_loc; i++)
		pgo_buf_uleb(&w->out, loc[i]);
	pgo_buf_uleb(&w->out, labels);
	w->rows++;
	if (sorted) {
		if (PGO_VEC_RESERVE(w->prev, w->prev_room, n_loc) < 0)
			return pgo_err_nomem(err);
		if (n_loc != shared)
			memcpy(w->prev + shared, loc + shared, (n_loc - shared) * sizeof *loc);
		w->n_prev = n_loc;
	}
	return w->out.len >= STRETCH || w->out.failed ? write_out(w, err) : 0;
}

void pgo_mt_run_abort(struct pgo_mt_run_writer *w)
{
	pgo_buf_fini(&w->out);
	pgo_free(w->prev);
	w->prev = NULL;
}

int pgo_mt_run_end(struct pgo_mt_run_writer *w, struct pgo_mt_run *ret, struct pgo_err *err)
{
	int rc = write_out(w, err);

	ret->file = w->file;
	ret->offset = w->offset;
	ret->bytes = w->file->end - w->offset;
	ret->rows = w->rows;
	pgo_mt_run_abort(w);
	return rc;
}

/* ---------------------------------------------------------------- reading */

int pgo_mt_run_open(
	struct pgo_mt_run_reader *r, const struct pgo_mt_run *run, size_t room, struct pgo_err *err)
{
	memset(r, 0, sizeof *r);
	r->run = run;
	r->room = room;
	r->left = run->rows;
	r->buf = pgo_malloc(room);
	return r->buf != NULL ? 0 : pgo_err_nomem(err);
}

void pgo_mt_run_close(struct pgo_mt_run_reader *r)
{
	pgo_free(r->buf);
	pgo_free(r->loc);
	r->buf = NULL;
	r->loc = NULL;
}

static int fill(struct pgo_mt_run_reader *r, struct pgo_err *err)
{
	uint64_t left = r->run->bytes - r->next;
	size_t want = left < r->room ? (size_t)left : r->room;
	ssize_t n;

	do
		n = pread(r->run->file->fd, r->buf, want, (off_t)(r->run->offset + r->next));
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (n == 0)
			errno = EIO;
		return pgo_err_errno(err, PGO_EIO, "the temporary file in %s cannot be read back",
			r->run->file->dir);
	}
	r->next += (uint64_t)n;
	r->at = 0;
	r->len = (size_t)n;
	return 0;
}

static inline int take_byte(struct pgo_mt_run_reader *r, uint8_t *ret, struct pgo_err *err)
{
	int rc = r->at == r->len ? fill(r, err) : 0;

	if (rc == 0)
		*ret = r->buf[r->at++];
	return rc;
}

/* What is read here was written by this process: too long a number is a broken disk. */
static int take(struct pgo_mt_run_reader *r, uint32_t *ret, struct pgo_err *err)
{
	uint32_t v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; b >= 0x80; shift += 7) {
		int rc = take_byte(r, &b, err);

		if (rc < 0)
			return rc;
		if (shift > 28)
			return pgo_err_set(err, PGO_EIO,
				"the temporary file in %s does not hold what was written",
				r->run->file->dir);
		v |= (uint32_t)(b & 0x7f) << shift;
	}
	*ret = v;
	return 0;
}

int pgo_mt_run_sum(struct pgo_mt_run_reader *r, pgo_i128 *ret, struct pgo_err *err)
{
	unsigned __int128 v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; b >= 0x80; shift += 7) {
		int rc = take_byte(r, &b, err);

		if (rc < 0)
			return rc;
		if (shift > 126)
			return pgo_err_set(err, PGO_EIO,
				"the temporary file in %s does not hold what was written",
				r->run->file->dir);
		v |= (unsigned __int128)(b & 0x7f) << shift;
	}
	*ret = pgo_mt_unzigzag(v);
	return 0;
}

int pgo_mt_run_next(struct pgo_mt_run_reader *r, struct pgo_err *err)
{
	uint32_t shared, own;
	int rc;

	if (r->left == 0)
		return 0;
	r->left--;
	if ((rc = take(r, &shared, err)) < 0 || (rc = take(r, &own, err)) < 0)
		return rc;
	if (shared > r->n_loc || own > UINT32_MAX - shared)
		return pgo_err_set(err, PGO_EIO,
			"the temporary file in %s does not hold what was written",
			r->run->file->dir);
	r->n_loc = shared + own;
	if (PGO_VEC_RESERVE(r->loc, r->loc_room, r->n_loc) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = shared; i < r->n_loc; i++)
		if ((rc = take(r, &r->loc[i], err)) < 0)
			return rc;
	rc = take(r, &r->labels, err);
	return rc < 0 ? rc : 1;
}
