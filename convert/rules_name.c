/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/rules_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

size_t pgo_name_cut_dot(const char *s, size_t len)
{
	const char *dot = len > 1 ? memchr(s + 1, '.', len - 1) : NULL;

	return dot != NULL ? (size_t)(dot - s) : len;
}

static bool is_clone_kind(const char *s, size_t len)
{
	static const char *const kinds[] = {"isra", "constprop", "part", "lto_priv", "cold"};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strlen(kinds[i]) == len && memcmp(kinds[i], s, len) == 0)
			return true;
	return false;
}

/* Offset of the dot of the last ".WORD", or 0. */
static size_t last_dot(const char *s, size_t len)
{
	const char *dot = len > 1 ? memrchr(s + 1, '.', len - 1) : NULL;

	return dot != NULL ? (size_t)(dot - s) : 0;
}

static bool all_digits(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return len > 0;
}

size_t pgo_name_cut_clones(const char *s, size_t len)
{
	for (;;) {
		size_t end = len, dot = last_dot(s, end);

		if (dot != 0 && all_digits(s + dot + 1, end - dot - 1)) {
			end = dot;
			dot = last_dot(s, end);
		}
		if (dot == 0 || !is_clone_kind(s + dot + 1, end - dot - 1))
			return len;
		len = dot;
	}
}

size_t pgo_name_cut_llvm(const char *s, size_t len)
{
	static const char uniq[] = ".__uniq.";
	const char *u = memmem(s, len, uniq, sizeof uniq - 1);
	size_t end;

	if (u == NULL || u == s)
		return pgo_name_cut_dot(s, len);
	end = (size_t)(u - s) + sizeof uniq - 1;
	while (end < len && isdigit((unsigned char)s[end]))
		end++;
	return end;
}

/*
 * A walk over an Itanium-mangled nested name that keeps count of brackets and steps over
 * identifiers, whose letters mean nothing.  It knows as much of the grammar as that takes: where a
 * run of digits is not an identifier's length.
 */
size_t pgo_name_unified_structor(const char *s, size_t len)
{
	int depth = 1;
	size_t i = 3;

	if (len < 4 || memcmp(s, "_ZN", 3) != 0)
		return 0;
	while (i < len && depth > 0) {
		char c = s[i];

		if (isdigit((unsigned char)c)) {
			size_t n = 0;

			while (i < len && isdigit((unsigned char)s[i]) && n < len)
				n = n * 10 + (size_t)(s[i++] - '0');
			i += n < len ? n : len;
		} else if (c == 'S' || c == 'T') { /* S_ S0_ Sa T_ T0_ */
			i++;
			if (c == 'S' && i < len && islower((unsigned char)s[i])) {
				i++;
				continue;
			}
			while (i < len &&
				(isdigit((unsigned char)s[i]) || isupper((unsigned char)s[i])))
				i++;
			i += i < len && s[i] == '_';
		} else if (c == 'A') { /* array: A10_ */
			for (i++; i < len && isdigit((unsigned char)s[i]); i++)
				;
		} else if (c == 'L' && i + 1 < len && islower((unsigned char)s[i + 1])) {
			/* Literal of a builtin type: Li5E Lb1E Lin5E. */
			for (i += 2; i < len && s[i] != 'E'; i++)
				;
			i++;
		} else if ((c == 'C' || c == 'D') && depth == 1 && i + 2 < len && s[i + 1] == '4' &&
			   s[i + 2] == 'E') {
			return i + 1;
		} else {
			depth += c == 'N' || c == 'I' || c == 'X' || c == 'J' || c == 'L';
			/* L before an identifier is a mark of internal linkage, not a bracket. */
			depth -= c == 'L' && i + 1 < len && isdigit((unsigned char)s[i + 1]);
			depth -= c == 'E';
			if ((c == 'C' || c == 'D') && i + 1 < len)
				i++; /* C1, D2, Dp, Dn */
			i++;
		}
	}
	return 0;
}
