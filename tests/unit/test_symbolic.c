/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/symbolic.h"
#include "pgo/core/alloc.h"
#include "tests/lib/scratch.h"

#include <string.h>

static void nested_names_become_what_people_write(void **state)
{
	static const struct {
		const char *mangled, *plain;
	} of[] = {
		{"_Z3fooi", "foo"},
		{"_ZN2ns3cls6methodEv", "ns::cls::method"},
		{"_ZNK2ns3cls6methodEi", "ns::cls::method"},
		{"_ZN3FooC2Ev", "Foo::Foo"},
		{"_ZN2ns3FooD1Ev", "ns::Foo::~Foo"},
		{"_ZN12_GLOBAL__N_13runEv", "(anonymous namespace)::run"},
		/* not attempted: templates, operators, substitutions, and what is no name */
		{"_ZN3FooIiE3runEv", NULL},
		{"_Z3fooIiEvT_", NULL},
		{"_ZNSt6vectorE", NULL},
		{"_ZplRK1AS1_", NULL},
		{"_ZN99fooEv", NULL},
		{"_ZN3foo", NULL},
		{"_ZNC2Ev", NULL},
		{"_Z", NULL},
		{"foo", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		uint64_t live = pgo_alloc_live();
		char *plain = pgo_symbolic_plain_name(of[i].mangled);

		if ((plain == NULL) != (of[i].plain == NULL) ||
			(plain != NULL && strcmp(plain, of[i].plain) != 0))
			fail_msg("%s: %s", of[i].mangled, plain != NULL ? plain : "nothing");
		pgo_free(plain);
		assert_int_equal(pgo_alloc_live(), live);
	}
}

static void equal_places_are_one_row(void **state)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_symbolic s = {0};
	struct pgo_function f = {0};
	struct pgo_line line = {0};
	uint32_t a, b;

	(void)state;
	assert_non_null(p);
	f.name = pgo_strtab_puts(&p->strs, "f");
	f.start_line = 10;
	line.function = pgo_profile_add_function(p, &f);
	line.line = 12;
	a = pgo_profile_add_location(p, PGO_NONE, 0, &line, 1);
	b = pgo_profile_add_location(p, PGO_NONE, 0, &line, 1);
	assert_int_equal(pgo_symbolic_add(&s, p, a, 3), 0);
	assert_int_equal(pgo_symbolic_add(&s, p, b, 4), 0);
	assert_int_equal(s.n_rows, 1);
	assert_int_equal(s.rows[0].samples, 7);
	assert_int_equal(s.rows[0].key.line, 12);
	assert_int_equal(s.rows[0].key.start, 10);
	pgo_symbolic_fini(&s);
	pgo_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nested_names_become_what_people_write),
		cmocka_unit_test(equal_places_are_one_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
