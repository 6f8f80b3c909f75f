/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/unbias_spool.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void pgo_spool_init(struct pgo_spool *s)
{
	*s = (struct pgo_spool){.fd = -1};
}

void pgo_spool_fini(struct pgo_spool *s)
{
	for (size_t i = 0; i < s->n_blocks; i++)
		pgo_free(s->blocks[i]);
	pgo_free(s->blocks);
	pgo_free(s->in_memory);
	pgo_free(s->in_file);
	pgo_free(s->block);
	pgo_free(s->scratch);
	pgo_free(s->ids);
	for (size_t i = 0; i < s->n_renumbered; i++)
		pgo_free(s->renumbered[i]);
	pgo_free(s->renumbered);
	if (s->fd >= 0)
		close(s->fd);
	pgo_spool_init(s);
}

static const char *directory(void)
{
	const char *dir = getenv("TMPDIR");

	return dir != NULL && dir[0] != '\0' ? dir : "/tmp";
}

static int file_failed(const char *what, struct pgo_err *err)
{
	return pgo_err_errno(err, PGO_EIO,
		"branch rings cannot be %s a temporary file in %s (TMPDIR names another directory; "
		"--no-unbias needs none)",
		what, directory());
}

/* A file that nobody else sees and that goes away with the process. */
static int open_file(struct pgo_spool *s, struct pgo_err *err)
{
	char *name;

	s->fd = open(directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	name = pgo_asprintf("%s/pgo-rings-XXXXXX", directory());
	if (name == NULL)
		return pgo_err_nomem(err);
	s->fd = mkostemp(name, O_CLOEXEC);
	if (s->fd >= 0)
		unlink(name);
	pgo_free(name);
	return s->fd >= 0 ? 0 : file_failed("written to", err);
}

static int write_block(struct pgo_spool *s, struct pgo_err *err)
{
	off_t offset = (off_t)(s->n_in_file * PGO_SPOOL_BLOCK);
	size_t done = 0;

	if (s->fd < 0 && open_file(s, err) < 0)
		return err != NULL ? err->code : PGO_EIO;
	if (PGO_VEC_RESERVE(s->in_file, s->in_file_room, s->n_in_file + 1) < 0)
		return pgo_err_nomem(err);
	while (done < s->used) {
		ssize_t n = pwrite(s->fd, s->block + done, s->used - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return file_failed("written to", err);
		done += (size_t)n;
	}
	s->in_file[s->n_in_file++] = s->used;
	s->used = 0;
	return 0;
}

/* The block is full: keep it in memory while there is room, else write it out. */
static int put_away(struct pgo_spool *s, struct pgo_err *err)
{
	if (s->n_blocks >= PGO_SPOOL_MEMORY / PGO_SPOOL_BLOCK / (s->shares != 0 ? s->shares : 1))
		return write_block(s, err);
	if (PGO_VEC_RESERVE(s->blocks, s->blocks_room, s->n_blocks + 1) < 0 ||
		PGO_VEC_RESERVE(s->in_memory, s->in_memory_room, s->n_blocks + 1) < 0)
		return pgo_err_nomem(err);
	s->in_memory[s->n_blocks] = s->used;
	s->blocks[s->n_blocks++] = s->block;
	s->block = NULL;
	s->used = 0;
	return 0;
}

static size_t pad(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static size_t ring_size(const struct pgo_spool_ring *r)
{
	return sizeof *r + pad((size_t)r->n * (r->has_cycles ? 6 : 4));
}

int pgo_spool_add(struct pgo_spool *s, const struct pgo_spool_ring *r, const uint32_t *ids,
	const uint16_t *cycles, struct pgo_err *err)
{
	size_t size = ring_size(r);
	uint8_t *to;
	int rc;

	if (s->used + size > PGO_SPOOL_BLOCK && (rc = put_away(s, err)) < 0)
		return rc;
	if (s->block == NULL) {
		s->block = pgo_malloc(PGO_SPOOL_BLOCK);
		if (s->block == NULL)
			return pgo_err_nomem(err);
	}
	to = s->block + s->used;
	memcpy(to, r, sizeof *r);
	memcpy(to + sizeof *r, ids, (size_t)r->n * 4);
	if (r->has_cycles)
		memcpy(to + sizeof *r + (size_t)r->n * 4, cycles, (size_t)r->n * 2);
	s->used += size;
	s->n_rings++;
	return 0;
}

void pgo_spool_rewind(struct pgo_spool *s)
{
	s->at = s->end = NULL;
	s->next = 0;
	s->last = false;
	if (s->more != NULL)
		pgo_spool_rewind(s->more);
}

static int read_block(struct pgo_spool *s, size_t i, struct pgo_err *err)
{
	size_t done = 0;

	if (s->scratch == NULL) {
		s->scratch = pgo_malloc(PGO_SPOOL_BLOCK);
		if (s->scratch == NULL)
			return pgo_err_nomem(err);
	}
	while (done < s->in_file[i]) {
		ssize_t n = pread(s->fd, s->scratch + done, s->in_file[i] - done,
			(off_t)(i * PGO_SPOOL_BLOCK + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return file_failed("read back from", err);
		done += (size_t)n;
	}
	s->at = s->scratch;
	s->end = s->scratch + done;
	return 1;
}

/* In memory first, then the file, then the block that was being filled. */
static int next_block(struct pgo_spool *s, struct pgo_err *err)
{
	size_t i = s->next++;

	if (i < s->n_blocks) {
		s->at = s->blocks[i];
		s->end = s->at + s->in_memory[i];
		return 1;
	}
	if (i - s->n_blocks < s->n_in_file)
		return read_block(s, i - s->n_blocks, err);
	if (s->last || s->used == 0)
		return 0;
	s->last = true;
	s->at = s->block;
	s->end = s->at + s->used;
	return 1;
}

static int renumber(struct pgo_spool *s, const struct pgo_spool_ring *r, const uint32_t **ids,
	struct pgo_err *err)
{
	const uint32_t *as = s->renumbered[r->group], *from = *ids;

	if (s->ids == NULL)
		s->ids = pgo_calloc(PGO_SPOOL_RING_MAX, sizeof *s->ids);
	if (s->ids == NULL)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < r->n; i++)
		s->ids[i] =
			(from[i] & PGO_SPOOL_GAP) != 0
				? from[i]
				: as[PGO_SPOOL_TRACE(from[i])] | (from[i] & PGO_SPOOL_MISPREDICTED);
	*ids = s->ids;
	return 1;
}

int pgo_spool_next(struct pgo_spool *s, struct pgo_spool_ring *ret, const uint32_t **ids,
	const uint16_t **cycles, struct pgo_err *err)
{
	while (s->at == s->end) {
		int rc = next_block(s, err);

		if (rc == 0 && s->more != NULL)
			return pgo_spool_next(s->more, ret, ids, cycles, err);
		if (rc <= 0)
			return rc;
	}
	memcpy(ret, s->at, sizeof *ret);
	*ids = (const uint32_t *)(s->at + sizeof *ret);
	*cycles = (const uint16_t *)(s->at + sizeof *ret + (size_t)ret->n * 4);
	s->at += ring_size(ret);
	return s->renumbered != NULL ? renumber(s, ret, ids, err) : 1;
}
