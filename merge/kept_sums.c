/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/kept_sums.h"

#include "merge/partial.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "pgo-sum\n"
#define MAGIC_LEN 8
#define VERSION 1
#define FIXED 48 /* bytes before the members */
#define MEMBERS_MAX ((uint64_t)1 << 24)
#define FILE_MAX ((size_t)8 << 30)
#define SUFFIX ".sum"

/* ---------------------------------------------------------------- bytes */

static uint64_t get64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

/* Magic, version, members, exponent, length; the hash follows. */
static void put_fixed(struct pgo_buf *b, size_t n, int64_t exponent, uint64_t len)
{
	pgo_buf_add(b, MAGIC, MAGIC_LEN);
	pgo_buf_u64le(b, VERSION);
	pgo_buf_u64le(b, n);
	pgo_buf_u64le(b, (uint64_t)exponent);
	pgo_buf_u64le(b, len);
}

/* Of everything in the file but itself. */
static uint64_t hash_of(const uint8_t *fixed, const struct pgo_kept_member *members, size_t n,
	const void *sum, size_t len)
{
	const uint64_t parts[3] = {pgo_hash(fixed, FIXED - 8),
		pgo_hash(members, n * sizeof *members), pgo_hash(sum, len)};

	return pgo_hash(parts, sizeof parts);
}

int pgo_kept_member_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pgo_kept_member));
}

static int cmp_sum(const void *pa, const void *pb)
{
	const struct pgo_kept_sum *a = pa, *b = pb;

	if (a->n != b->n)
		return a->n > b->n ? -1 : 1;
	return strcmp(a->path, b->path);
}

/* ---------------------------------------------------------------- heads */

static void sum_fini(struct pgo_kept_sum *s)
{
	pgo_free(s->path);
	pgo_free(s->members);
	memset(s, 0, sizeof *s);
}

void pgo_kept_sums_fini(struct pgo_kept_sums *k)
{
	for (size_t i = 0; i < k->n; i++)
		sum_fini(&k->of[i]);
	pgo_free(k->of);
	pgo_free(k->dir);
	memset(k, 0, sizeof *k);
}

static bool read_exactly(int fd, void *to, size_t n, off_t at)
{
	uint8_t *p = to;

	while (n != 0) {
		ssize_t got = pread(fd, p, n, at);

		if (got <= 0)
			return false;
		p += got;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

/* Is it a file of ours, as long as it says?  The hash is looked at when it is used. */
static bool read_fixed(int fd, struct pgo_kept_sum *s)
{
	uint8_t fixed[FIXED];
	struct stat st;
	uint64_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		!read_exactly(fd, fixed, sizeof fixed, 0) || memcmp(fixed, MAGIC, MAGIC_LEN) != 0 ||
		get64(fixed + 8) != VERSION)
		return false;
	n = get64(fixed + 16);
	s->exponent = (int64_t)get64(fixed + 24);
	s->len = get64(fixed + 32);
	s->hash = get64(fixed + 40);
	s->bytes = (uint64_t)st.st_size;
	if (n == 0 || n > MEMBERS_MAX || s->len > FILE_MAX ||
		s->bytes != FIXED + n * sizeof *s->members + s->len)
		return false;
	s->n = (size_t)n;
	s->head = FIXED + s->n * sizeof *s->members;
	return true;
}

/* 1 if it is one, 0 if not. */
static int read_head(struct pgo_kept_sum *s)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return 0;
	if (read_fixed(fd, s)) {
		s->members = pgo_calloc(s->n, sizeof *s->members);
		rc = s->members == NULL
			     ? PGO_ENOMEM
			     : read_exactly(fd, s->members, s->n * sizeof *s->members, FIXED);
	}
	close(fd);
	for (size_t i = 1; i < s->n && rc > 0; i++)
		rc = pgo_kept_member_cmp(&s->members[i - 1], &s->members[i]) < 0;
	return rc;
}

static int add_file(struct pgo_kept_sums *k, const char *name, struct pgo_err *err)
{
	struct pgo_kept_sum s = {.path = pgo_asprintf("%s/%s", k->dir, name)};
	struct pgo_kept_sum *to;
	int rc = s.path != NULL ? read_head(&s) : PGO_ENOMEM;

	if (rc == 0) /* nothing that will ever be used */
		unlink(s.path);
	to = rc > 0 ? PGO_VEC_PUSH(k->of, k->n, k->room) : NULL;
	if (to != NULL)
		*to = s;
	else
		sum_fini(&s);
	return rc < 0 || (rc > 0 && to == NULL) ? pgo_err_nomem(err) : 0;
}

static bool is_ours(const char *name)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);

	return len > suffix && name[0] != '.' && strcmp(name + len - suffix, SUFFIX) == 0;
}

int pgo_kept_sums_open(struct pgo_kept_sums *ret, const char *dir, struct pgo_err *err)
{
	const struct dirent *e;
	DIR *d;
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	ret->dir = pgo_strdup(dir);
	if (ret->dir == NULL)
		return pgo_err_nomem(err);
	d = opendir(dir);
	while (d != NULL && rc == 0 && (e = readdir(d)) != NULL)
		if (is_ours(e->d_name))
			rc = add_file(ret, e->d_name, err);
	if (d != NULL)
		closedir(d);
	if (rc < 0)
		pgo_kept_sums_fini(ret);
	else if (ret->n != 0)
		qsort(ret->of, ret->n, sizeof *ret->of, cmp_sum);
	return rc;
}

/* ---------------------------------------------------------------- choosing */

void pgo_kept_sums_want(struct pgo_kept_sums *k, const struct pgo_kept_member *wanted, size_t n)
{
	for (size_t i = 0; i < k->n; i++) {
		struct pgo_kept_sum *s = &k->of[i];

		for (size_t m = 0, at = 0; m < s->n && at < n;) {
			int c = pgo_kept_member_cmp(&wanted[at], &s->members[m]);

			s->n_wanted += c == 0;
			at += c <= 0;
			m += c >= 0;
		}
	}
}

/* Both are sorted.  `mark`: say that they are done. */
static bool fits(const struct pgo_kept_sum *s, const struct pgo_kept_member *wanted, size_t n,
	bool *done, bool mark)
{
	size_t at = 0;

	for (size_t i = 0; i < s->n; i++) {
		while (at < n && pgo_kept_member_cmp(&wanted[at], &s->members[i]) < 0)
			at++;
		if (at == n || pgo_kept_member_cmp(&wanted[at], &s->members[i]) != 0)
			return false;
		if (done[at] && !mark)
			return false;
		done[at] = done[at] || mark;
	}
	return true;
}

struct pgo_kept_sum *pgo_kept_sums_choose(
	struct pgo_kept_sums *k, const struct pgo_kept_member *wanted, size_t n, bool *done)
{
	for (size_t i = 0; i < k->n; i++) {
		struct pgo_kept_sum *s = &k->of[i];

		if (s->gone || s->n > n || !fits(s, wanted, n, done, false))
			continue;
		fits(s, wanted, n, done, true);
		return s;
	}
	return NULL;
}

int pgo_kept_sum_load(struct pgo_kept_sums *k, struct pgo_kept_sum *s, struct pgo_merge *m,
	uint64_t times, struct pgo_err *err)
{
	struct pgo_partial_reader *r;
	struct pgo_buf b = {0};
	const uint8_t *data;
	int rc = pgo_file_read(s->path, FILE_MAX, &b, NULL);

	data = (const uint8_t *)b.data;
	k->read_bytes += b.len;
	if (rc < 0 || b.len != s->bytes ||
		memcmp(data + FIXED, s->members, s->n * sizeof *s->members) != 0 ||
		hash_of(data, s->members, s->n, data + s->head, (size_t)s->len) != s->hash) {
		rc = pgo_err_set(err, PGO_EFORMAT, "%s is damaged", s->path);
		unlink(s->path);
		s->gone = true;
		goto out;
	}
	r = pgo_partial_open_memory(s->path, data + s->head, (size_t)s->len, err);
	rc = r != NULL ? pgo_partial_load_times(r, m, times, err) : PGO_EIO;
	pgo_partial_close(r);
	/* To be told from a file that was refused before. */
	if (rc == PGO_EFORMAT)
		rc = PGO_EIO;
out:
	pgo_buf_fini(&b);
	return rc;
}

/* ---------------------------------------------------------------- storing */

/* A smaller sum of some of these members will not be chosen any more. */
static void drop_parts_of(
	struct pgo_kept_sums *k, const struct pgo_kept_member *members, size_t n, bool *room)
{
	for (size_t i = 0; i < k->n; i++) {
		struct pgo_kept_sum *s = &k->of[i];

		memset(room, 0, n * sizeof *room);
		if (s->gone || s->n >= n || s->n < n / 2 || !fits(s, members, n, room, false))
			continue;
		unlink(s->path);
		s->gone = true;
	}
}

static int write_sum(const struct pgo_kept_sums *k, const struct pgo_kept_member *members, size_t n,
	int64_t exponent, const struct pgo_buf *sum, struct pgo_err *err)
{
	struct pgo_buf b;
	char *path;
	int rc;

	pgo_buf_init(&b, FILE_MAX);
	put_fixed(&b, n, exponent, sum->len);
	if (!b.failed)
		pgo_buf_u64le(
			&b, hash_of((const uint8_t *)b.data, members, n, sum->data, sum->len));
	pgo_buf_add(&b, members, n * sizeof *members);
	pgo_buf_add(&b, sum->data, sum->len);
	rc = pgo_buf_check(&b, "a sum that is kept", err);
	path = rc == 0 ? pgo_asprintf("%s/%016" PRIx64 SUFFIX, k->dir,
				 pgo_hash(members, n * sizeof *members))
		       : NULL;
	if (rc == 0)
		rc = path != NULL ? pgo_mkdirs(k->dir, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_file_write(path, b.data, b.len, err);
	pgo_free(path);
	pgo_buf_fini(&b);
	return rc;
}

int pgo_kept_sums_store(struct pgo_kept_sums *k, struct pgo_merge *m, bool keep_labels,
	const struct pgo_kept_member *members, size_t n, int64_t exponent, bool replaces,
	struct pgo_err *err)
{
	struct pgo_partial_head h = {.tool = pgo_strdup("pgo " PGO_VERSION),
		.plan = pgo_strdup(""),
		.options = pgo_strdup(""),
		.weight_one = 1,
		.keep_labels = keep_labels,
		.stats = *pgo_merge_stats_of(m)};
	bool *room = replaces ? pgo_calloc(n, sizeof *room) : NULL;
	struct pgo_buf sum;
	int rc = 0;

	pgo_buf_init(&sum, FILE_MAX);
	if (h.tool == NULL || h.plan == NULL || h.options == NULL || (replaces && room == NULL))
		rc = pgo_err_nomem(err);
	else if (!pgo_merge_spilled(m))
		rc = pgo_partial_copy(m, &h, &sum, err);
	if (rc == 0 && sum.len != 0) {
		rc = write_sum(k, members, n, exponent, &sum, err);
		if (rc == 0 && replaces)
			drop_parts_of(k, members, n, room);
	}
	pgo_free(room);
	pgo_buf_fini(&sum);
	pgo_partial_head_fini(&h);
	return rc;
}

/* ---------------------------------------------------------------- tidying */

struct aged {
	struct pgo_kept_sum *s;
	struct timespec used;
};

static int cmp_aged(const void *pa, const void *pb)
{
	const struct aged *a = pa, *b = pb;

	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec > b->used.tv_sec ? -1 : 1;
	return strcmp(a->s->path, b->s->path);
}

void pgo_kept_sums_tidy(struct pgo_kept_sums *k, uint64_t max_bytes)
{
	struct aged *a = pgo_calloc(k->n, sizeof *a);
	uint64_t bytes = 0;
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < k->n && a != NULL; i++) {
		struct pgo_kept_sum *s = &k->of[i];

		if (s->gone)
			continue;
		if (s->n_wanted < s->n - s->n / 2)
			unlink(s->path);
		else if (stat(s->path, &st) == 0)
			a[n++] = (struct aged){s, st.st_mtim};
	}
	if (n != 0)
		qsort(a, n, sizeof *a, cmp_aged);
	for (size_t i = 0; i < n; i++) {
		bytes += a[i].s->bytes;
		if (bytes > max_bytes)
			unlink(a[i].s->path);
	}
	pgo_free(a);
}
