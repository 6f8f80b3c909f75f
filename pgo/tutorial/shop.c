/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of pgo-tutorial(7): prices orders that come as text, the way a small service would.
 *
 *	shop [SEED [ORDERS]]        prints the sum of all bills
 *
 * Most orders are plain; discounts, gift wrapping and broken lines are rare.  That is what a
 * compiler cannot know, and a profile can.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
	char name[16];
	unsigned cents, sold;
};

#define N_ITEMS 400
static struct item items[N_ITEMS];
static unsigned state;

static unsigned draw(unsigned below)
{
	state = state * 1664525u + 1013904223u;
	return (unsigned)((unsigned long long)state * below >> 32);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static struct item *find(const char *name)
{
	unsigned low = 0, high = N_ITEMS;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = strcmp(name, items[middle].name);

		if (order == 0)
			return &items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* "12x item-034 item-099 gift;" */
static size_t write_order(char *text, size_t room)
{
	unsigned n = 1 + draw(6);
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, room - len, "%ux item-%03u ",
			draw(50) == 0 ? 10 + draw(90) : 1 + draw(3), draw(N_ITEMS + 2));
	if (draw(40) == 0)
		len += (size_t)snprintf(text + len, room - len, "gift ");
	return len + (size_t)snprintf(text + len, room - len, ";");
}

static unsigned discount(unsigned cents, unsigned count)
{
	if (count >= 50)
		return cents / 100 * 80;
	if (count >= 10)
		return cents / 100 * 90;
	return cents;
}

static const char *number(const char *at, unsigned *ret)
{
	for (*ret = 0; *at >= '0' && *at <= '9'; at++)
		*ret = *ret * 10 + (unsigned)(*at - '0');
	return *at == 'x' ? at + 1 : NULL;
}

static const char *word(const char *at, char ret[16])
{
	size_t n = 0;

	while (*at == ' ')
		at++;
	while (*at != ' ' && *at != ';' && n < 15)
		ret[n++] = *at++;
	ret[n] = '\0';
	return at;
}

static unsigned long price(const char *order)
{
	unsigned long sum = 0;

	while (*order != ';') {
		char name[16];
		unsigned count;
		const char *next = number(order, &count);
		struct item *item;

		if (next == NULL) {
			order = word(order, name);
			sum += strcmp(name, "gift") == 0 ? 250 : 0;
		} else {
			order = word(next, name);
			item = find(name);
			if (item != NULL) {
				item->sold += count;
				sum += discount(item->cents * count, count);
			}
		}
		while (*order == ' ')
			order++;
	}
	return sum;
}

int main(int argc, char **argv)
{
	unsigned orders = argc > 2 ? (unsigned)atoi(argv[2]) : 2000000;
	unsigned long bills = 0;
	char text[256];

	state = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	for (unsigned i = 0; i < N_ITEMS; i++) {
		snprintf(items[i].name, sizeof items[i].name, "item-%03u", i);
		items[i].cents = 99 + draw(5000);
	}
	qsort(items, N_ITEMS, sizeof *items, by_name);
	for (unsigned i = 0; i < orders; i++) {
		write_order(text, sizeof text);
		for (int again = 0; again < 8; again++) /* shown, changed, shown, ... */
			bills += price(text);
	}
	printf("%lu\n", bills);
	return 0;
}
