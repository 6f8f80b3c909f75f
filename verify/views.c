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
