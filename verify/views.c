/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/views.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NONE "–"
#define MINUS "−"

/* Decimals for three significant digits of a number of that size; at most four. */
static int decimals(double size)
{
	return size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : size > 0 ? 3 : 0;
}

static const char *percent(double v, bool sign, char *ret)
{
	double size = fabs(v) * 100;
	int d = sign ? (size >= 99.95 ? 0 : size >= 0.995 ? 1 : 2) : decimals(size);

	if (!isfinite(v))
		snprintf(ret, PGO_VIEW_NUMBER, NONE);
	else if (size > 1e6)
		snprintf(ret, PGO_VIEW_NUMBER, "%s%.3g×", v < 0 ? MINUS : "", fabs(v));
	else if (sign && size < 0.005)
		snprintf(ret, PGO_VIEW_NUMBER, "0 %%");
	else
		snprintf(ret, PGO_VIEW_NUMBER, "%s%.*f %%",
			v < 0           ? MINUS
			: sign && v > 0 ? "+"
					: "",
			d, size);
	return ret;
}

const char *pgo_view_share(double v, char *ret)
{
	return percent(v, false, ret);
}

const char *pgo_view_change(double v, char *ret)
{
	return percent(v, true, ret);
}

/* Commas between groups of three digits of the whole part. */
static void group_digits(const char *plain, char *ret, size_t size)
{
	size_t whole = strcspn(plain, ".e"), n = 0;

	for (size_t i = 0; plain[i] != '\0' && n + 3 < size; i++) {
		if (i != 0 && i < whole && (whole - i) % 3 == 0)
			ret[n++] = ',';
		ret[n++] = plain[i];
	}
	ret[n] = '\0';
}

const char *pgo_view_value(double v, const char *unit, char *ret)
{
	char plain[32], grouped[40];
	double size = fabs(v);
	bool plural;
	/* Whole numbers without decimals, unless they are per cents. */
	int d = size == floor(size) && strcmp(unit, "%") != 0 ? 0 : decimals(size);

	if (!isfinite(v)) {
		snprintf(ret, PGO_VIEW_NUMBER, NONE);
		return ret;
	}
	if (size >= 1e15)
		snprintf(plain, sizeof plain, "%.3e", size);
	else
		snprintf(plain, sizeof plain, "%.*f", d, size);
	group_digits(plain, grouped, sizeof grouped);
	/* "1 host" */
	plural = size == 1 && strlen(unit) > 2 && unit[strlen(unit) - 1] == 's';
	snprintf(ret, PGO_VIEW_NUMBER, "%s%s%s%.*s", v < 0 ? MINUS : "", grouped,
		*unit != '\0' ? " " : "", plural && strlen(unit) <= 12 ? (int)strlen(unit) - 1 : 12,
		unit);
	return ret;
}

double pgo_view_get(const struct pgo_jval *o, const char *key)
{
	return pgo_jval_double(pgo_jval_get(o, key), NAN);
}

void pgo_view_words(struct pgo_buf *out, const char *key)
{
	for (; *key != '\0'; key++)
		pgo_buf_putc(out, *key == '_' ? ' ' : *key);
}

const char *pgo_view_finding_change(const struct pgo_jval *finding, char *ret)
{
	double change = pgo_view_get(finding, "change");

	if (isfinite(change))
		return pgo_view_change(change, ret);
	snprintf(ret, PGO_VIEW_NUMBER, "%s", pgo_view_get(finding, "before") > 0 ? "gone" : "new");
	return ret;
}

static const struct {
	const char *key, *what;
} layout_words[] = {{"taken_per_1000", "taken branches per 1,000 instructions"},
	{"run_instructions", "instructions from one taken branch to the next"},
	{"run_bytes", "bytes from one taken branch to the next"},
	{"mispredicts", "mispredicted part of branches"}, {"lines", "lines of 64 bytes that hold"},
	{"small_pages", "pages of 4 KiB that hold"}, {"large_pages", "pages of 2 MiB that hold"}};

static const char *layout_what(const char *key)
{
	for (size_t i = 0; i < sizeof layout_words / sizeof *layout_words; i++)
		if (strcmp(layout_words[i].key, key) == 0)
			return layout_words[i].what;
	return key;
}

/* "pages of 4 KiB that hold 99.9 % of execution" */
static void covers(const char *what, const struct pgo_jval *before, const struct pgo_jval *after,
	pgo_view_pair_fn each, void *ctx)
{
	const struct pgo_jval *v;
	const char *share;
	char label[120];

	for (size_t i = 0; (v = pgo_jval_member(before, i, &share)) != NULL; i++) {
		double b = pgo_jval_double(v, NAN), a = pgo_view_get(after, share);

		snprintf(label, sizeof label, "%.80s %.10s %% of execution", what, share);
		if (isfinite(b) && isfinite(a))
			each(ctx, label, b, a);
	}
}

void pgo_view_layout(const struct pgo_jval *layout, pgo_view_pair_fn each, void *ctx)
{
	const struct pgo_jval *before = pgo_jval_get(layout, "before"), *v;
	const struct pgo_jval *after = pgo_jval_get(layout, "after");
	const char *key;

	/* What it means first, then how much there was to see. */
	for (int counts = 0; counts < 2; counts++)
		for (size_t i = 0; (v = pgo_jval_member(before, i, &key)) != NULL; i++) {
			const struct pgo_jval *other = pgo_jval_get(after, key);
			double b = pgo_jval_double(v, NAN), a = pgo_jval_double(other, NAN);

			if ((layout_what(key) == key) != counts)
				continue;
			if (isfinite(b) && isfinite(a))
				each(ctx, layout_what(key), b, a);
			else
				covers(layout_what(key), v, other, each, ctx);
		}
}
