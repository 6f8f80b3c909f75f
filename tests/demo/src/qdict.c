/* SPDX-License-Identifier: Apache-2.0 */
/* Interning: open addressing over ids; the texts live in one growing array. */
#include <stdlib.h>
#include <string.h>

#include "quarry.h"

struct entry {
	uint32_t hash;
	uint32_t len;
	size_t at;
};

struct q_dict {
	char *text;
	size_t text_n, text_cap;
	struct entry *entry;
	uint32_t n, cap;
	uint32_t *slot; /* id + 1; 0 is free */
	uint32_t n_slots;
};

static uint32_t mix(uint32_t h)
{
	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	h ^= h >> 12;
	h *= 0x297a2d39u;
	return h ^ (h >> 15);
}

static uint32_t hash(struct q_span s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325), v;
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&v, s.p + i, 8);
		h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	for (; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return mix((uint32_t)(h ^ h >> 32));
}

static int same(const struct q_dict *d, const struct entry *e, struct q_span s)
{
	const char *t = d->text + e->at;

	if (e->len != s.n)
		return 0;
	for (size_t i = 0; i < s.n; i++)
		if (t[i] != s.p[i])
			return 0;
	return 1;
}

static void rehash(struct q_dict *d, uint32_t n_slots)
{
	free(d->slot);
	d->slot = q_alloc(n_slots * sizeof(*d->slot));
	memset(d->slot, 0, n_slots * sizeof(*d->slot));
	d->n_slots = n_slots;
	for (uint32_t id = 0; id < d->n; id++) {
		uint32_t i = d->entry[id].hash & (n_slots - 1);
		while (d->slot[i])
			i = (i + 1) & (n_slots - 1);
		d->slot[i] = id + 1;
	}
}

static uint32_t insert(struct q_dict *d, struct q_span s, uint32_t h)
{
	if (d->n == d->cap) {
		d->cap *= 2;
		d->entry = q_realloc(d->entry, d->cap * sizeof(*d->entry));
	}
	while (d->text_cap - d->text_n < s.n) {
		d->text_cap *= 2;
		d->text = q_realloc(d->text, d->text_cap);
	}
	if (s.n)
		memcpy(d->text + d->text_n, s.p, s.n);
	d->entry[d->n] = (struct entry){.hash = h, .len = (uint32_t)s.n, .at = d->text_n};
	d->text_n += s.n;
	d->n++;
	if (d->n * 2 > d->n_slots)
		rehash(d, d->n_slots * 2);
	return d->n - 1;
}

struct q_dict *q_dict_new(void)
{
	struct q_dict *d = q_alloc(sizeof(*d));

	*d = (struct q_dict){.text_cap = 4096, .cap = 64};
	d->text = q_alloc(d->text_cap);
	d->entry = q_alloc(d->cap * sizeof(*d->entry));
	rehash(d, 256);
	q_dict_intern(d, (struct q_span){"", 0});
	return d;
}

void q_dict_free(struct q_dict *d)
{
	if (!d)
		return;
	free(d->text);
	free(d->entry);
	free(d->slot);
	free(d);
}

uint32_t q_dict_intern(struct q_dict *d, struct q_span s)
{
	uint32_t h = hash(s), i = h & (d->n_slots - 1);

	while (d->slot[i]) {
		const struct entry *e = &d->entry[d->slot[i] - 1];
		if (e->hash == h && same(d, e, s))
			return d->slot[i] - 1;
		i = (i + 1) & (d->n_slots - 1);
	}
	i = insert(d, s, h);
	for (uint32_t at = h & (d->n_slots - 1);; at = (at + 1) & (d->n_slots - 1)) {
		if (d->slot[at] == i + 1)
			break;
		if (!d->slot[at]) {
			d->slot[at] = i + 1;
			break;
		}
	}
	return i;
}

struct q_span q_dict_text(const struct q_dict *d, uint32_t id)
{
	if (id >= d->n)
		id = 0;
	return (struct q_span){d->text + d->entry[id].at, d->entry[id].len};
}

uint32_t q_dict_size(const struct q_dict *d)
{
	return d->n;
}
