/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/measures.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "pgo-meas"
#define VERSION "1"
#define FILE_MAX ((size_t)1 << 30)
#define ENTRY_MAX ((size_t)64 << 20)
#define PARTS_MAX 65536

/* ---------------------------------------------------------------- numbers and texts */

static void put_text(struct pgo_buf *b, const char *s)
{
	/* NULL is 0, and "" 1: a digest may be missing. */
	pgo_buf_uleb(b, s != NULL ? strlen(s) + 1 : 0);
	if (s != NULL)
		pgo_buf_puts(b, s);
}

static void put_double(struct pgo_buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	pgo_buf_u64le(b, bits);
}

static void put_i64(struct pgo_buf *b, int64_t v)
{
	pgo_buf_uleb(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

struct cursor {
	const uint8_t *p, *end;
	bool failed;
};

static uint64_t take(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && c->p < c->end; shift += 7) {
		uint8_t b = *c->p++;

		v |= (uint64_t)(b & 0x7f) << (shift < 64 ? shift : 63);
		if (b < 0x80)
			return v;
	}
	c->failed = true;
	return 0;
}

static int64_t take_i64(struct cursor *c)
{
	uint64_t z = take(c);

	return (int64_t)(z >> 1 ^ -(z & 1));
}

static const uint8_t *take_bytes(struct cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (n > (uint64_t)(c->end - c->p)) {
		c->failed = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static uint64_t take_fixed(struct cursor *c, unsigned bytes)
{
	const uint8_t *p = take_bytes(c, bytes);
	uint64_t v = 0;

	for (unsigned i = 0; p != NULL && i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static double take_double(struct cursor *c)
{
	uint64_t bits = take_fixed(c, 8);
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static char *take_text(struct cursor *c)
{
	uint64_t n = take(c);
	const uint8_t *p;
	char *s;

	if (c->failed || n == 0)
		return NULL;
	p = take_bytes(c, n - 1);
	if (p == NULL)
		return NULL;
	s = pgo_strndup((const char *)p, (size_t)(n - 1));
	c->failed = s == NULL;
	return s;
}

/* ---------------------------------------------------------------- one part */

static void put_part(struct pgo_buf *b, const struct pgo_plan_input *in)
{
	uint64_t before = 0;

	put_text(b, in->name);
	put_text(b, in->digest);
	put_text(b, in->host);
	put_text(b, in->build_id);
	put_text(b, in->service);
	put_text(b, in->class);
	put_text(b, in->column);
	put_text(b, in->unit);
	put_i64(b, in->time_ns);
	pgo_buf_uleb(b, in->samples);
	pgo_buf_uleb(b, in->n_counted);
	put_i64(b, in->total);
	put_i64(b, in->period);
	put_double(b, in->probability);
	put_double(b, in->mapped);
	put_double(b, in->survival);
	put_double(b, in->overlap);
	put_double(b, in->mass);
	pgo_buf_uleb(b, (in->own_build ? 1u : 0u) | (in->by_address ? 2u : 0u));
	pgo_buf_uleb(b, in->n_leaves);
	for (size_t i = 0; i < in->n_leaves; i++) {
		pgo_buf_u64le(b, in->leaves[i].id);
		pgo_buf_uleb(b, in->leaves[i].part);
	}
	pgo_buf_uleb(b, in->n_shares);
	for (size_t i = 0; i < in->n_shares; i++) {
		pgo_buf_uleb(b, in->shares[i].key - before);
		pgo_buf_uleb(b, in->shares[i].share);
		before = in->shares[i].key;
	}
}

static bool take_leaves(struct cursor *c, struct pgo_plan_input *in)
{
	uint64_t n = take(c);

	if (c->failed || n > (uint64_t)(c->end - c->p) / 9)
		return false;
	in->leaves = n != 0 ? pgo_calloc((size_t)n, sizeof *in->leaves) : NULL;
	if (n != 0 && in->leaves == NULL)
		return false;
	for (in->n_leaves = 0; in->n_leaves < n; in->n_leaves++) {
		in->leaves[in->n_leaves].id = take_fixed(c, 8);
		in->leaves[in->n_leaves].part = (uint32_t)take(c);
	}
	return !c->failed;
}

static bool take_shares(struct cursor *c, struct pgo_plan_input *in)
{
	uint64_t n = take(c), key = 0;

	if (c->failed || n > (uint64_t)(c->end - c->p) / 2)
		return false;
	in->shares = n != 0 ? pgo_calloc((size_t)n, sizeof *in->shares) : NULL;
	if (n != 0 && in->shares == NULL)
		return false;
	for (in->n_shares = 0; in->n_shares < n && !c->failed; in->n_shares++) {
		key += take(c);
		in->shares[in->n_shares].key = (uint32_t)key;
		in->shares[in->n_shares].share = (uint32_t)take(c);
	}
	return !c->failed;
}

static bool take_part(struct cursor *c, struct pgo_plan_input *in)
{
	uint64_t flags;

	memset(in, 0, sizeof *in);
	in->name = take_text(c);
	in->digest = take_text(c);
	in->host = take_text(c);
	in->build_id = take_text(c);
	in->service = take_text(c);
	in->class = take_text(c);
	in->column = take_text(c);
	in->unit = take_text(c);
	in->time_ns = take_i64(c);
	in->samples = take(c);
	in->n_counted = take(c);
	in->total = take_i64(c);
	in->period = take_i64(c);
	in->probability = take_double(c);
	in->mapped = take_double(c);
	in->survival = take_double(c);
	in->overlap = take_double(c);
	in->mass = take_double(c);
	flags = take(c);
	in->own_build = (flags & 1) != 0;
	in->by_address = (flags & 2) != 0;
	return take_leaves(c, in) && take_shares(c, in) && in->name != NULL && in->host != NULL &&
	       in->build_id != NULL && in->service != NULL && in->class != NULL &&
	       in->column != NULL && in->unit != NULL;
}

/* ---------------------------------------------------------------- keys */

static void hash_text(struct pgo_sha256 *h, const char *s)
{
	const uint8_t there = s != NULL;

	pgo_sha256_add(h, &there, 1);
	if (s != NULL)
		pgo_sha256_add(h, s, strlen(s) + 1);
}

struct pgo_measures_key pgo_measures_key(const struct pgo_plan_options *o,
	const struct pgo_plan_source *source, const char *digest, const char *salt)
{
	const uint8_t shares = o->outliers || o->shares,
		      flags[3] = {o->no_probability, shares, o->target != NULL};
	struct pgo_measures_key key;
	struct pgo_sha256 h;
	uint8_t raw[32];

	pgo_sha256_init(&h);
	hash_text(&h, digest);
	hash_text(&h, salt);
	hash_text(&h, source->name);
	hash_text(&h, source->host);
	hash_text(&h, source->service);
	hash_text(&h, source->class);
	pgo_sha256_add(&h, &source->time_ns, sizeof source->time_ns);
	pgo_sha256_add(&h, &source->probability, sizeof source->probability);
	pgo_sha256_add(&h, flags, sizeof flags);
	hash_text(&h, o->class_label);
	hash_text(&h, o->target != NULL ? o->target->build_id : NULL);
	pgo_sha256_final(&h, raw);
	memcpy(key.id, raw, sizeof key.id);
	return key;
}

/* ---------------------------------------------------------------- the file */

static const char head[] = MAGIC "\0" VERSION "\0pgo " PGO_VERSION;

static uint64_t hash_of(const struct pgo_measures_key *key, const void *data, size_t len)
{
	return pgo_hash(data, len) ^ pgo_hash(key->id, sizeof key->id);
}

void pgo_measures_fini(struct pgo_measures *m)
{
	pgo_free(m->path);
	pgo_free(m->of);
	pgo_map_fini(&m->map);
	pgo_buf_fini(&m->bytes);
	memset(m, 0, sizeof *m);
}

/* 1 for an entry, 0 where no whole one follows. */
static int index_entry(struct pgo_measures *m, struct cursor *c)
{
	const uint8_t *id = take_bytes(c, sizeof m->of->key.id);
	const uint64_t len = take_fixed(c, 4), hash = take_fixed(c, 8);
	const uint8_t *data = c->failed ? NULL : take_bytes(c, len);
	struct pgo_measures_key key;
	struct pgo_measured *to;

	if (id == NULL || data == NULL)
		return 0;
	memcpy(key.id, id, sizeof key.id);
	if (hash_of(&key, data, len) != hash)
		return 0;
	to = PGO_VEC_PUSH(m->of, m->n, m->room);
	if (to == NULL)
		return PGO_ENOMEM;
	*to = (struct pgo_measured){.key = key, .data = data, .len = (size_t)len};
	return pgo_map_add_key(&m->map, &to->key, sizeof to->key, (uint32_t)(m->n - 1)) < 0
		       ? PGO_ENOMEM
		       : 1;
}

int pgo_measures_open(struct pgo_measures *ret, const char *path, struct pgo_err *err)
{
	struct cursor c = {0};
	int rc = 1;

	memset(ret, 0, sizeof *ret);
	pgo_map_init(&ret->map);
	ret->path = pgo_strdup(path);
	if (ret->path == NULL)
		return pgo_err_nomem(err);
	if (!pgo_path_exists(path) || pgo_file_read(path, FILE_MAX, &ret->bytes, NULL) < 0 ||
		ret->bytes.len < sizeof head || memcmp(ret->bytes.data, head, sizeof head) != 0)
		return 0;
	c.p = (const uint8_t *)ret->bytes.data;
	c.end = c.p + ret->bytes.len;
	c.p += sizeof head;
	while (rc > 0) {
		ret->good = (size_t)(c.p - (const uint8_t *)ret->bytes.data);
		rc = c.p < c.end ? index_entry(ret, &c) : 0;
	}
	if (rc < 0) {
		pgo_measures_fini(ret);
		return pgo_err_nomem(err);
	}
	return 0;
}

size_t pgo_measures_get(
	struct pgo_measures *m, const struct pgo_measures_key *key, struct pgo_plan_input **ret)
{
	uint32_t i = pgo_map_find_key(&m->map, m->of, sizeof *m->of, key, sizeof *key);
	struct pgo_plan_input *parts;
	struct cursor c = {0};
	uint64_t n, done = 0;

	if (i == PGO_MAP_NONE)
		return 0;
	c.p = m->of[i].data;
	c.end = c.p + m->of[i].len;
	n = take(&c);
	if (c.failed || n == 0 || n > PARTS_MAX)
		return 0;
	parts = pgo_calloc((size_t)n, sizeof *parts);
	while (parts != NULL && done < n && take_part(&c, &parts[done]))
		done++;
	if (parts != NULL && done == n && c.p == c.end) {
		__atomic_store_n(&m->of[i].used, true, __ATOMIC_RELAXED);
		*ret = parts;
		return (size_t)n;
	}
	for (size_t k = 0; parts != NULL && k <= done && k < n; k++)
		pgo_plan_input_fini(&parts[k]);
	pgo_free(parts);
	return 0;
}

/* ---------------------------------------------------------------- writing */

void pgo_measures_begin(struct pgo_measures_writer *w)
{
	w->n = 0;
	pgo_buf_init(&w->out, FILE_MAX);
}

static void put_entry(
	struct pgo_buf *out, const struct pgo_measures_key *key, const void *data, size_t len)
{
	pgo_buf_add(out, key->id, sizeof key->id);
	pgo_buf_u32le(out, (uint32_t)len);
	pgo_buf_u64le(out, hash_of(key, data, len));
	pgo_buf_add(out, data, len);
}

void pgo_measures_put(struct pgo_measures_writer *w, const struct pgo_measures_key *key,
	const struct pgo_plan_input *parts, size_t n)
{
	struct pgo_buf b;

	pgo_buf_init(&b, ENTRY_MAX);
	pgo_buf_uleb(&b, n);
	for (size_t i = 0; i < n; i++)
		put_part(&b, &parts[i]);
	if (!b.failed)
		put_entry(&w->out, key, b.data, b.len);
	pgo_buf_fini(&b);
	w->n++;
}

/* A process that is killed here leaves the beginning of an entry, which the next one cuts off. */
static int append(const struct pgo_measures *m, const struct pgo_buf *b, struct pgo_err *err)
{
	int fd = open(m->path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0 || ftruncate(fd, (off_t)m->good) < 0 || lseek(fd, 0, SEEK_END) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", m->path);
	for (size_t at = 0; rc == 0 && at < b->len;) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno != EINTR)
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", m->path);
		at += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int rewrite(const struct pgo_measures *m, const struct pgo_buf *more, struct pgo_err *err)
{
	struct pgo_buf all;
	int rc;

	pgo_buf_init(&all, FILE_MAX);
	pgo_buf_add(&all, head, sizeof head);
	for (size_t i = 0; i < m->n; i++)
		if (m->of[i].used)
			put_entry(&all, &m->of[i].key, m->of[i].data, m->of[i].len);
	pgo_buf_add(&all, more->data, more->len);
	rc = pgo_buf_check(&all, "what is kept of profiles", err);
	if (rc == 0)
		rc = pgo_file_write(m->path, all.data, all.len, err);
	pgo_buf_fini(&all);
	return rc;
}

int pgo_measures_save(struct pgo_measures *m, struct pgo_measures_writer *w, struct pgo_err *err)
{
	size_t used = 0;
	int rc = pgo_buf_check(&w->out, "what is kept of profiles", err);

	for (size_t i = 0; i < m->n; i++)
		used += m->of[i].used;
	/* What is not used this time may be used the next, until it is most of the file. */
	if (rc == 0 && (m->good == 0 ? w->n != 0 : used < m->n / 2))
		rc = rewrite(m, &w->out, err);
	else if (rc == 0 && w->n != 0)
		rc = append(m, &w->out, err);
	pgo_buf_fini(&w->out);
	return rc;
}
