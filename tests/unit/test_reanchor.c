/* SPDX-License-Identifier: Apache-2.0 */
/* Names without what differs between builds; lines of two builds aligned, against a search of all
 * alignments. */
#include "convert/reanchor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void same_name(const char *name, const char *want)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 4096);
	pgo_name_canonical(name, strlen(name), &b);
	assert_string_equal(b.data, want);
	pgo_buf_fini(&b);
}

static void names_lose_what_a_build_appends(void **state)
{
	(void)state;
	same_name("work", "work");
	same_name("work.isra.0", "work");
	same_name("work.constprop.3.cold", "work");
	same_name("work.part.12.lto_priv.0", "work");
	same_name("work.llvm.8213749812374", "work");
	same_name("_ZL4workv.__uniq.1234567", "_ZL4workv");
}

static void names_of_rust_lose_hashes(void **state)
{
	(void)state;
	same_name(
		"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "_ZN4core3fmt5Write9write_fmt");
	same_name("_ZN4core3fmt5Write9write_fmt17h0123456789abcdeXE",
		"_ZN4core3fmt5Write9write_fmt17h0123456789abcdeXE");
	same_name("_RNvCs1234_7mycrate3foo", "_RNvC7mycrate3foo");
	same_name("_RNvNtCsaBcD9_4core3fmt5write", "_RNvNtC4core3fmt5write");
	same_name("_RINvCs12_5alpha3bazNtCs7Q_4beta1TE", "_RINvC5alpha3bazNtC4beta1TE");
	/* Not a disambiguator. */
	same_name("_ZN2Cs3fooEv", "_ZN2Cs3fooEv");
}

/* The heaviest alignment by trying everything. */
static uint32_t best(
	const struct pgo_shape_line *a, uint32_t n, const struct pgo_shape_line *b, uint32_t m)
{
	uint32_t most, other;

	if (n == 0 || m == 0)
		return 0;
	most = best(a + 1, n - 1, b, m);
	other = best(a, n, b + 1, m - 1);
	most = other > most ? other : most;
	if (a->token == b->token) {
		other = a->weight + best(a + 1, n - 1, b + 1, m - 1);
		most = other > most ? other : most;
	}
	return most;
}

static uint32_t draw(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 16) % n;
}

static void alignments_are_the_heaviest(void **state)
{
	static const uint32_t weights[] = {1, 3, 8};
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct pgo_shape_line a[8], b[8];
		uint32_t n = draw(&seed, 8), m = draw(&seed, 8), to[8], sum = 0, last = 0;

		for (uint32_t i = 0; i < 8; i++) {
			uint32_t x = draw(&seed, 3), y = draw(&seed, 3);

			a[i] = (struct pgo_shape_line){i, x, weights[x]};
			b[i] = (struct pgo_shape_line){i, y, weights[y]};
		}
		assert_int_equal(pgo_reanchor_align(a, n, b, m, to), 0);
		for (uint32_t i = 0; i < n; i++) {
			if (to[i] == UINT32_MAX)
				continue;
			assert_true(to[i] < m && to[i] >= last);
			assert_int_equal(a[i].token, b[to[i]].token);
			last = to[i] + 1;
			sum += a[i].weight;
		}
		assert_int_equal(sum, best(a, n, b, m));
	}
}

static void nothing_aligns_with_nothing(void **state)
{
	struct pgo_shape_line a = {1, 1, 1};
	uint32_t to = 5;

	(void)state;
	assert_int_equal(pgo_reanchor_align(&a, 1, NULL, 0, &to), 0);
	assert_int_equal(to, UINT32_MAX);
	assert_int_equal(pgo_reanchor_align(NULL, 0, &a, 1, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lose_what_a_build_appends),
		cmocka_unit_test(names_of_rust_lose_hashes),
		cmocka_unit_test(alignments_are_the_heaviest),
		cmocka_unit_test(nothing_aligns_with_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
