/* SPDX-License-Identifier: Apache-2.0 */
/* Log text from a seed: each kind of host has its own mix of formats, operations and faults. */
#include <stdarg.h>
#include <string.h>

#include "quarry.h"

struct kind {
	const char *name;
	unsigned format[3];                             /* per mille: access, pairs, object */
	unsigned get, error, slow, escape, fault, late; /* per mille */
	unsigned n_users, n_hosts;
};

static const struct kind kinds[] = {
	{"web", {960, 30, 10}, 870, 25, 40, 15, 8, 5, 300, 4},
	{"api", {60, 900, 40}, 420, 90, 150, 60, 15, 30, 2000, 6},
	{"batch", {10, 90, 900}, 150, 10, 600, 120, 4, 2, 12, 3},
	{"mixed", {500, 330, 170}, 560, 45, 170, 50, 10, 15, 900, 9},
};

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s * UINT64_C(0x2545f4914f6cdd1d) >> 33;
}

static unsigned below(uint64_t *s, unsigned n)
{
	return (unsigned)(next(s) % n);
}

static int chance(uint64_t *s, unsigned per_mille)
{
	return below(s, 1000) < per_mille;
}

/* Small values far more often than large ones. */
static unsigned skewed(uint64_t *s, unsigned n)
{
	unsigned a = below(s, n), b = below(s, n), c = below(s, n);

	a = a < b ? a : b;
	return a < c ? a : c;
}

static void path(uint64_t *s, const struct kind *k, char *out, size_t size)
{
	static const char *const words[] = {"import", "mail", "thumbs", "billing", "index"};
	unsigned pick = below(s, 100), id = skewed(s, 4000);

	if (k->get < 300)
		pick = 60 + pick * 40 / 100;
	if (pick < 30)
		snprintf(out, size, "/static/css/site-%u.css", id % 40);
	else if (pick < 45)
		snprintf(out, size, "/api/v1/users/%u", id);
	else if (pick < 55)
		snprintf(out, size, "/api/v1/users/%u/orders/%u?full=1", id, below(s, 50));
	else if (pick < 62)
		snprintf(out, size, "/api/v1/orders/%u/items/%u", id, below(s, 9));
	else if (pick < 70)
		snprintf(out, size, "/api/v1/search?q=a%%20b%u", id);
	else if (pick < 78)
		snprintf(out, size, "/api/v2//users/%08x%04x/cart", id * 2654435761u, id);
	else if (pick < 84)
		snprintf(out, size, "/api/v2/blobs/%08x/parts/%u", id * 40503u + 99u, id % 17);
	else if (pick < 97)
		snprintf(out, size, "/jobs/%s/%u%s", words[id % 5], id, id % 3 ? "" : "/log");
	else
		snprintf(out, size, "/unknown/%s/x", words[id % 5]);
}

static unsigned status(uint64_t *s, const struct kind *k)
{
	static const unsigned errors[] = {404, 404, 404, 403, 429, 500, 500, 502, 503};

	if (chance(s, k->error))
		return errors[below(s, 9)];
	return chance(s, 100) ? 304 : chance(s, 60) ? 201 : 200;
}

struct text {
	char p[512];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->p + t->n, sizeof(t->p) - t->n, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->n += (size_t)n < sizeof(t->p) - t->n ? (size_t)n : sizeof(t->p) - t->n - 1;
}

static void iso(struct text *out, uint64_t ms)
{
	uint64_t sec = ms / 1000;

	put(out, "2026-03-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(1 + sec / 86400 % 28),
		(unsigned)(sec / 3600 % 24), (unsigned)(sec / 60 % 60), (unsigned)(sec % 60),
		(unsigned)(ms % 1000));
}

static void line(struct text *out, uint64_t *s, const struct kind *k, uint64_t ms)
{
	static const char *const ops[] = {"POST", "PUT", "DELETE", "HEAD", "LIST", "patch"};
	const char *op = chance(s, k->get) ? "GET" : ops[skewed(s, 6)];
	unsigned host = skewed(s, k->n_hosts), user = skewed(s, k->n_users);
	unsigned dur = chance(s, k->slow) ? 2000 + below(s, 400000) : 40 + below(s, 1500);
	unsigned bytes = skewed(s, 60000), st = status(s, k), form = below(s, 1000);
	char p[96];

	path(s, k, p, sizeof(p));
	if (chance(s, k->late))
		ms -= below(s, 5000);
	if (chance(s, k->fault)) {
		static const char *const faults[] = {"2026-13-01T00:00:00.000Z h GET / 200 1 1ms",
			"ts=17 host=x op=GET path=/ status=9999", "{\"t\":1,\"h\":\"x",
			"= = =", "# a comment", "",
			"{\"t\":1,\"h\":\"x\",\"o\":\"G\",\"p\":\"\\q\",\"s\":[]}",
			"ts=1x host=a op=GET path=/%zz"};
		put(out, "%s\n", faults[below(s, 8)]);
		return;
	}
	if (form < k->format[0]) {
		iso(out, ms);
		put(out, " web-%u %s %s %u %u %u.%02ums \"agent/%u (%s; rv %u)\"\n", host, op, p,
			st, bytes, dur / 1000, dur / 10 % 100, user % 9,
			user % 3 ? "linux" : "other", user);
	} else if (form < k->format[0] + k->format[1]) {
		put(out, "ts=%llu host=api-%u op=%s path=%s status=%u bytes=%u%s dur=%uus",
			(unsigned long long)(ms + UINT64_C(1772323200000)), host, op, p, st,
			bytes > 40000 ? bytes / 1024 : bytes, bytes > 40000 ? "k" : "", dur);
		put(out,
			chance(s, k->escape) ? " user=\"u\\t%u \\\"x\\\"\" trace=%x\n"
					     : " user=user%u trace=%x\n",
			user, user * 77u);
	} else {
		put(out,
			"{\"t\":%llu,\"h\":\"batch-%u\",\"o\":\"%s\",\"p\":\"%s\",\"s\":%u,\"n\":%"
			"u,",
			(unsigned long long)(ms + UINT64_C(1772323200000)), host, op, p, st, bytes);
		put(out,
			chance(s, k->escape) ? "\"d\":%u,\"u\":\"j\\u00f6b %u \\\"n\\\"\"}\n"
					     : "\"d\":%u,\"u\":\"job %u\"}\n",
			dur * 8, user);
	}
}

int q_generate(FILE *out, uint64_t seed, size_t size, const char *kind)
{
	const struct kind *k = NULL;
	uint64_t s = seed * UINT64_C(0x9e3779b97f4a7c15) + 0x1234567, ms = 86400000;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i].name) == 0)
			k = &kinds[i];
	if (!k)
		return -1;
	for (size_t at = 0; at < size;) {
		struct text t = {.n = 0};

		ms += below(&s, 400);
		line(&t, &s, k, ms);
		fwrite(t.p, 1, t.n, out);
		at += t.n;
	}
	return 0;
}
