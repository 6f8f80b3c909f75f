/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/randprof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	return pgo_hash_u64(*state);
}

/* Small counts often, huge ones sometimes. */
static uint64_t count(uint64_t *state)
{
	uint64_t r = next(state);

	return r % 50 == 0 ? r >> 20 : r % 3 == 0 ? r >> 54 : r >> 44;
}

static uint32_t name(struct pgo_fnprof *p, uint64_t *state)
{
	static const char *const shapes[] = {"fn%u", "_ZN3abc2f%uEv", "g%u.isra.0", "ns::h%u:x",
		"op<int, %u>", "s%u.__uniq.1234"};
	char text[64];
	uint64_t r = next(state);

	/* The format comes from the table above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, shapes[r % 6], (unsigned)(r >> 8) % 40);
#pragma GCC diagnostic pop
	return pgo_strtab_puts(&p->strs, text);
}

static void fill(struct pgo_fnprof *p, struct pgo_fn *f, uint64_t *state, unsigned flags)
{
	uint64_t n_pos = next(state) % 12, n_calls = f->depth < 5 ? next(state) % 3 : 0;

	for (uint64_t i = 0; i < n_pos; i++) {
		uint32_t line = (uint32_t)(next(state) % 30 == 0 ? next(state) : next(state) % 40);
		uint32_t disc = (uint32_t)(next(state) % 4);

		assert_int_equal(pgo_fn_pos_max(p, f, line, disc, count(state)), 0);
		for (uint64_t t = next(state) % 8 == 0 ? next(state) % 12 : 0; t > 0; t--)
			assert_int_equal(
				pgo_fn_target_add(p, f, line, disc, name(p, state), count(state)),
				0);
	}
	for (uint64_t i = 0; i < n_calls; i++) {
		struct pgo_fn *g = pgo_fn_inlined(p, f, (uint32_t)(next(state) % 40),
			(uint32_t)(next(state) % 3), name(p, state));

		assert_non_null(g);
		fill(p, g, state, flags);
	}
	f->total = flags & RANDPROF_LLVM ? count(state) : pgo_fn_position_sum(f);
}

struct pgo_fnprof *randprof_new(uint64_t seed, unsigned flags)
{
	static const char *const files[] = {"a.c", "/src/b.c", "x/c.cc", "h.h"};
	struct pgo_fnprof *p = pgo_fnprof_new(NULL);
	uint64_t state = seed * 0x2545f4914f6cdd1du + 1;
	uint64_t n = 1 + next(&state) % 20;

	assert_non_null(p);
	for (uint64_t i = 0; i < n; i++) {
		uint32_t id = name(p, &state), file = 0;
		struct pgo_fn *f;

		if (flags & RANDPROF_FILES && next(&state) % 4 != 0) /* one name, one file */
			file = pgo_strtab_puts(&p->strs, files[id % 4]);
		if (pgo_fnprof_find(p, pgo_fnprof_str(p, id)) != NULL)
			continue;
		f = pgo_fnprof_fn_of_file(p, id, file);
		assert_non_null(f);
		f->head = 1 + count(&state);
		f->first_seen = flags & RANDPROF_STAMPS ? 1 + (next(&state) >> 40) : 0;
		fill(p, f, &state, flags);
		p->unique_suffixes |= flags & RANDPROF_LLVM;
	}
	pgo_fnprof_sort(p);
	return p;
}

void randprof_write(const struct pgo_format *fmt, const struct pgo_fnprof *p,
	const struct pgo_format_options *o, struct pgo_buf *out)
{
	struct pgo_err err = PGO_ERR_INIT;
	int rc;

	pgo_buf_init(out, (size_t)64 << 20);
	rc = fmt->write(p, o, out, &err);
	if (rc < 0)
		print_error("%s\n", err.msg);
	assert_int_equal(rc, 0);
}
