/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/held.h"

#include "fetch/store_url.h"
#include "pgo/core/alloc.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)

void pgo_held_init(struct pgo_held *h)
{
	memset(h, 0, sizeof *h);
	h->fd = -1;
}

void pgo_held_fini(struct pgo_held *h)
{
	for (size_t i = 0; i < h->n; i++) {
		pgo_free(h->items[i].name);
		for (size_t k = 0; k < h->items[i].n_labels; k++) {
			pgo_free(h->items[i].labels[k].key);
			pgo_free(h->items[i].labels[k].value);
		}
		pgo_free(h->items[i].labels);
	}
	pgo_free(h->items);
	if (h->fd >= 0)
		close(h->fd);
	pgo_held_init(h);
}

/* A file that is gone when it is closed. */
static int open_file(struct pgo_err *err)
{
	const char *dir = getenv("TMPDIR");
	char *path = pgo_asprintf("%s/pgo-XXXXXX", dir != NULL && dir[0] == '/' ? dir : "/tmp");
	int fd;

	if (path == NULL)
		return pgo_err_nomem(err);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		fd = pgo_err_errno(err, PGO_EIO, "no temporary file can be made in %s", path);
	else
		unlink(path);
	pgo_free(path);
	return fd;
}

static int write_all(int fd, const char *bytes, size_t len, struct pgo_err *err)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pgo_err_errno(err, PGO_EIO, "a temporary file cannot be written");
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* PREFIX/NAME@DIGEST; NULL: memory. */
static char *name_of(const char *prefix, const char *name, const void *bytes, size_t len)
{
	struct pgo_sha256 sha;
	struct pgo_buf safe;
	uint8_t digest[32];
	char hex[65], *result;

	pgo_sha256_init(&sha);
	pgo_sha256_add(&sha, bytes, len);
	pgo_sha256_final(&sha, digest);
	pgo_sha256_hex(digest, hex);
	pgo_buf_init(&safe, (size_t)1 << 16);
	while (*name != '\0') {
		size_t n = strcspn(name, "/");
		char *part = pgo_strndup(name, n);

		if (part == NULL)
			safe.failed = true;
		else if (n > 0) {
			pgo_buf_puts(&safe, "/");
			pgo_name_add(&safe, part);
		}
		pgo_free(part);
		name += n + (name[n] != '\0');
	}
	result = safe.failed ? NULL
			     : pgo_asprintf("%s%s@%.12s", prefix,
				       safe.data != NULL ? safe.data : "", hex);
	pgo_buf_fini(&safe);
	return result;
}

int pgo_held_add(struct pgo_held *h, const char *prefix, const char *name, const void *bytes,
	size_t len, int64_t time_ns, struct pgo_err *err)
{
	struct pgo_held_item *item;

	if (h->fd < 0)
		h->fd = open_file(err);
	if (h->fd < 0 || write_all(h->fd, bytes, len, err) < 0)
		return err != NULL ? err->code : PGO_EIO;
	item = PGO_VEC_PUSH(h->items, h->n, h->room);
	if (item == NULL)
		return pgo_err_nomem(err);
	item->at = h->end;
	item->len = len;
	item->time_ns = time_ns;
	h->end += len;
	item->name = name_of(prefix, name, bytes, len);
	return item->name != NULL ? 0 : pgo_err_nomem(err);
}

int pgo_held_label(struct pgo_held *h, const char *key, const char *value, struct pgo_err *err)
{
	struct pgo_held_item *item = &h->items[h->n - 1];
	struct pgo_kv *kv;

	if (value == NULL || value[0] == '\0')
		return 0;
	kv = PGO_VEC_PUSH(item->labels, item->n_labels, item->labels_room);
	if (kv == NULL)
		return pgo_err_nomem(err);
	kv->key = pgo_strdup(key);
	kv->value = pgo_strdup(value);
	return kv->key != NULL && kv->value != NULL ? 0 : pgo_err_nomem(err);
}

static int cmp_items(const void *a, const void *b)
{
	return strcmp(
		((const struct pgo_held_item *)a)->name, ((const struct pgo_held_item *)b)->name);
}

int pgo_held_list(struct pgo_held *h, pgo_each_listed *each, void *ctx, struct pgo_err *err)
{
	int rc = 0;

	if (h->n > 0)
		qsort(h->items, h->n, sizeof *h->items, cmp_items);
	for (size_t i = 0; i < h->n && rc == 0; i++) {
		struct pgo_listed l = {.name = h->items[i].name,
			.size = h->items[i].len,
			.mtime_ns = h->items[i].time_ns};

		if (i == 0 || strcmp(h->items[i - 1].name, h->items[i].name) != 0)
			rc = each(ctx, &l, err);
	}
	return rc;
}

static const struct pgo_held_item *find(const struct pgo_held *h, const char *name)
{
	const struct pgo_held_item key = {.name = (char *)(uintptr_t)name};

	return h->n > 0 ? bsearch(&key, h->items, h->n, sizeof key, cmp_items) : NULL;
}

static int copy(
	const struct pgo_held *h, const struct pgo_held_item *item, int to, struct pgo_err *err)
{
	char *piece = pgo_malloc(PIECE);
	uint64_t at = item->at, left = item->len;
	int rc = piece != NULL ? 0 : pgo_err_nomem(err);

	while (left > 0 && rc == 0) {
		ssize_t n = pread(h->fd, piece, left < PIECE ? left : PIECE, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = pgo_err_errno(err, PGO_EIO, "a temporary file cannot be read");
			break;
		}
		rc = write_all(to, piece, (size_t)n, err);
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	pgo_free(piece);
	return rc;
}

int pgo_held_get(const struct pgo_held *h, const char *name, const char *to_path, uint64_t max,
	struct pgo_err *err)
{
	const struct pgo_held_item *item = find(h, name);
	int fd, rc;

	if (item == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s: not in the list", name);
	if (item->len > max)
		return pgo_err_set(err, PGO_ELIMIT, "it is larger than the limit of %llu bytes",
			(unsigned long long)max);
	fd = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be created", to_path);
	rc = copy(h, item, fd, err);
	if (close(fd) < 0 && rc == 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", to_path);
	return rc;
}

int pgo_held_describe(const struct pgo_held *h, const char *name, const char *by_host,
	struct pgo_record *rec, struct pgo_err *err)
{
	const struct pgo_held_item *item = find(h, name);

	return item != NULL ? pgo_record_tell(rec, item->labels, item->n_labels, by_host, err) : 0;
}

int pgo_held_request(struct pgo_source *s, const char *name, unsigned part,
	struct pgo_http_request *r, struct pgo_err *err)
{
	(void)s;
	(void)part;
	(void)r;
	return pgo_err_set(err, PGO_ENOTFOUND, "%s: came with the list already", name);
}
