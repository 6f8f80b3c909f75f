/* SPDX-License-Identifier: Apache-2.0 */
/* What a partial says about itself, and how two such accounts become one. */
#include "merge/partial.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void pgo_partial_head_fini(struct pgo_partial_head *h)
{
	for (size_t i = 0; i < h->n_hosts; i++) {
		pgo_free(h->hosts[i].unit);
		pgo_free(h->hosts[i].host);
	}
	pgo_free(h->tool);
	pgo_free(h->plan);
	pgo_free(h->options);
	pgo_free(h->shards);
	pgo_free(h->inputs);
	pgo_free(h->hosts);
	pgo_free(h->days);
	memset(h, 0, sizeof *h);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(const char *text, uint8_t ret[32])
{
	for (unsigned i = 0; i < 32; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int pgo_partial_input_parse(const char *digest, struct pgo_partial_input *ret, struct pgo_err *err)
{
	struct pgo_partial_input in = {.part = 0};
	const char *p;
	uint64_t part = 0;

	if (digest == NULL || !parse_hex(digest, in.digest))
		goto bad;
	p = digest + 64;
	if (*p == '#') {
		if (p[1] == '\0')
			goto bad;
		for (p++; *p >= '0' && *p <= '9' && part < UINT32_MAX; p++)
			part = part * 10 + (uint64_t)(*p - '0');
		if (part >= UINT32_MAX)
			goto bad;
		in.part = (uint32_t)part + 1;
	}
	if (*p != '\0')
		goto bad;
	*ret = in;
	return 0;
bad:
	return pgo_err_set(
		err, PGO_EFORMAT, "'%s' is no SHA-256 of a file", digest != NULL ? digest : "");
}

/* ---------------------------------------------------------------- lists */

int pgo_partial_add_shard(struct pgo_partial_head *h, uint64_t shard, struct pgo_err *err)
{
	uint64_t *to = PGO_VEC_PUSH(h->shards, h->n_shards_in, h->shards_room);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = shard;
	return 0;
}

int pgo_partial_add_input(
	struct pgo_partial_head *h, const struct pgo_partial_input *in, struct pgo_err *err)
{
	struct pgo_partial_input *to = PGO_VEC_PUSH(h->inputs, h->n_inputs, h->inputs_room);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = *in;
	return 0;
}

int pgo_partial_add_host(struct pgo_partial_head *h, const char *unit, const char *host,
	__int128 mass, uint64_t inputs, struct pgo_err *err)
{
	struct pgo_partial_host *to = PGO_VEC_PUSH(h->hosts, h->n_hosts, h->hosts_room);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = (struct pgo_partial_host){pgo_strdup(unit), pgo_strdup(host), mass, inputs};
	return to->unit != NULL && to->host != NULL ? 0 : pgo_err_nomem(err);
}

int pgo_partial_add_day(struct pgo_partial_head *h, int64_t day, struct pgo_err *err)
{
	int64_t *to = PGO_VEC_PUSH(h->days, h->n_days, h->days_room);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = day;
	return 0;
}

static int cmp_shard(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return (a > b) - (a < b);
}

static int cmp_day(const void *pa, const void *pb)
{
	int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;

	return (a > b) - (a < b);
}

static int cmp_input(const void *pa, const void *pb)
{
	const struct pgo_partial_input *a = pa, *b = pb;
	int c = memcmp(a->digest, b->digest, sizeof a->digest);

	return c != 0 ? c : (a->part > b->part) - (a->part < b->part);
}

static int cmp_host(const void *pa, const void *pb)
{
	const struct pgo_partial_host *a = pa, *b = pb;
	int c = strcmp(a->unit, b->unit);

	return c != 0 ? c : strcmp(a->host, b->host);
}

/* Mass saturates: of numbers that are not negative that is still associative. */
static void sum_hosts(struct pgo_partial_head *h)
{
	const __int128 max = (__int128)(~(unsigned __int128)0 >> 1);
	size_t n = 0;

	for (size_t i = 0; i < h->n_hosts; i++) {
		struct pgo_partial_host *in = &h->hosts[i];
		struct pgo_partial_host *to = n != 0 ? &h->hosts[n - 1] : NULL;

		if (to == NULL || cmp_host(to, in) != 0) {
			h->hosts[n++] = *in;
			continue;
		}
		if (__builtin_add_overflow(to->mass, in->mass, &to->mass))
			to->mass = max;
		to->inputs += in->inputs;
		pgo_free(in->unit);
		pgo_free(in->host);
	}
	h->n_hosts = n;
}

void pgo_partial_head_sort(struct pgo_partial_head *h)
{
	size_t n = 0;

	if (h->n_shards_in != 0)
		qsort(h->shards, h->n_shards_in, sizeof *h->shards, cmp_shard);
	for (size_t i = 0; i < h->n_shards_in; i++)
		if (i == 0 || h->shards[i] != h->shards[n - 1])
			h->shards[n++] = h->shards[i];
	h->n_shards_in = n;
	if (h->n_days != 0)
		qsort(h->days, h->n_days, sizeof *h->days, cmp_day);
	n = 0;
	for (size_t i = 0; i < h->n_days; i++)
		if (i == 0 || h->days[i] != h->days[n - 1])
			h->days[n++] = h->days[i];
	h->n_days = n;
	if (h->n_inputs != 0)
		qsort(h->inputs, h->n_inputs, sizeof *h->inputs, cmp_input);
	if (h->n_hosts != 0)
		qsort(h->hosts, h->n_hosts, sizeof *h->hosts, cmp_host);
	sum_hosts(h);
}

/* ---------------------------------------------------------------- two heads */

int pgo_partial_head_fits(
	const struct pgo_partial_head *a, const struct pgo_partial_head *b, struct pgo_err *err)
{
	if (strcmp(a->tool, b->tool) != 0)
		return pgo_err_set(err, PGO_EMISMATCH,
			"it was made by %s, the others by %s; make all of them by one version",
			b->tool, a->tool);
	if (strcmp(a->plan, b->plan) != 0)
		return pgo_err_set(err, PGO_EMISMATCH,
			"it belongs to %s%.12s, the others to %s%.12s; partials of two plans "
			"cannot be mixed",
			b->plan[0] != '\0' ? "plan " : "no plan", b->plan,
			a->plan[0] != '\0' ? "plan " : "no plan", a->plan);
	if (strcmp(a->options, b->options) != 0 || a->keep_labels != b->keep_labels)
		return pgo_err_set(err, PGO_EMISMATCH,
			"it was merged with other options (\"%s\"%s) than the others (\"%s\"%s)",
			b->options, b->keep_labels ? ", labels kept" : "", a->options,
			a->keep_labels ? ", labels kept" : "");
	if (a->weight_one != b->weight_one || a->n_shards != b->n_shards ||
		a->n_planned != b->n_planned)
		return pgo_err_set(err, PGO_EMISMATCH,
			"its head does not agree with the others of the same plan (shards %" PRIu64
			" and %" PRIu64 ", inputs %" PRIu64 " and %" PRIu64 "); make it again",
			b->n_shards, a->n_shards, b->n_planned, a->n_planned);
	return 0;
}

static int take_over(
	struct pgo_partial_head *to, const struct pgo_partial_head *from, struct pgo_err *err)
{
	to->tool = pgo_strdup(from->tool);
	to->plan = pgo_strdup(from->plan);
	to->options = pgo_strdup(from->options);
	to->n_shards = from->n_shards;
	to->n_planned = from->n_planned;
	to->weight_one = from->weight_one;
	to->keep_labels = from->keep_labels;
	return to->tool != NULL && to->plan != NULL && to->options != NULL ? 0 : pgo_err_nomem(err);
}

int pgo_partial_head_join(
	struct pgo_partial_head *to, const struct pgo_partial_head *from, struct pgo_err *err)
{
	int rc = to->tool == NULL ? take_over(to, from, err) : pgo_partial_head_fits(to, from, err);

	for (size_t i = 0; i < from->n_shards_in && rc == 0; i++)
		rc = pgo_partial_add_shard(to, from->shards[i], err);
	for (size_t i = 0; i < from->n_inputs && rc == 0; i++)
		rc = pgo_partial_add_input(to, &from->inputs[i], err);
	for (size_t i = 0; i < from->n_hosts && rc == 0; i++)
		rc = pgo_partial_add_host(to, from->hosts[i].unit, from->hosts[i].host,
			from->hosts[i].mass, from->hosts[i].inputs, err);
	for (size_t i = 0; i < from->n_days && rc == 0; i++)
		rc = pgo_partial_add_day(to, from->days[i], err);
	if (rc < 0)
		return rc;
	to->stats.profiles += from->stats.profiles;
	to->stats.samples_in += from->stats.samples_in;
	to->stats.samples_zero += from->stats.samples_zero;
	to->stats.samples_filtered += from->stats.samples_filtered;
	to->stats.locations_in += from->stats.locations_in;
	to->stats.locations_outside += from->stats.locations_outside;
	pgo_partial_head_sort(to);
	return 0;
}

void pgo_partial_spread(const struct pgo_partial_head *h, double *ret_effective,
	double *ret_dominance, size_t *ret_hosts)
{
	size_t most = 0;

	*ret_effective = *ret_dominance = 0;
	for (size_t i = 0, end; i < h->n_hosts; i = end) {
		double sum = 0, squares = 0, largest = 0;

		for (end = i; end < h->n_hosts && strcmp(h->hosts[end].unit, h->hosts[i].unit) == 0;
			end++) {
			double mass = (double)h->hosts[end].mass;

			sum += mass;
			squares += mass * mass;
			largest = mass > largest ? mass : largest;
		}
		if (end - i <= most)
			continue;
		most = end - i;
		*ret_effective = squares > 0 ? sum * sum / squares : 0;
		*ret_dominance = sum > 0 ? largest / sum : 0;
	}
	*ret_hosts = most;
}
