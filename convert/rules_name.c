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

size_t pgo_name_cut_tails(const char *s, size_t len)
{
	static const char *const tails[] = {".cold", ".part.", ".isra.", ".constprop.",
		".lto_priv.", ".llvm.", ".__part.", ".__uniq."};

	size_t cut = len;

	/* Over the whole name each time: the dot that ends one tail may begin another. */
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		const char *at = memmem(s, len, tails[i], strlen(tails[i]));

		if (at != NULL && at != s && (size_t)(at - s) < cut)
			cut = (size_t)(at - s);
	}
	return cut;
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

/* ------------------------------------------------------------------ constructors and destructors */

/*
 * A walk over an Itanium-mangled name that keeps a stack of open brackets and steps over
 * identifiers, whose letters mean nothing.  It knows as much of the grammar as that takes: what opens
 * something that an E closes, and where digits are not an identifier's length.
 */
#define BRACKETS_MAX 128

struct walk {
	const char *s;
	size_t len, at;
	char open
		[BRACKETS_MAX]; /* N nested name, Z local scope, I J arguments, X expression, L literal,
				    F function type, U lambda, D decltype */
	size_t depth;
};

static char peek(const struct walk *w, size_t ahead)
{
	return w->at + ahead < w->len ? w->s[w->at + ahead] : '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool push(struct walk *w, char bracket, size_t width)
{
	if (w->depth == BRACKETS_MAX)
		return false;
	w->open[w->depth++] = bracket;
	w->at += width;
	return true;
}

static char innermost(const struct walk *w)
{
	return w->depth != 0 ? w->open[w->depth - 1] : '\0';
}

/* A number or an upper-case base 36 one, and the underscore that ends it: S0_ T1_ A10_ Dv4_ Ut0_ */
static void skip_sequence_id(struct walk *w)
{
	while (is_digit(peek(w, 0)) || (peek(w, 0) >= 'A' && peek(w, 0) <= 'Z'))
		w->at++;
	w->at += peek(w, 0) == '_';
}

static void skip_number(struct walk *w)
{
	while (is_digit(peek(w, 0)))
		w->at++;
	w->at += peek(w, 0) == '_';
}

static bool skip_identifier(struct walk *w)
{
	size_t n = 0;

	while (is_digit(peek(w, 0)) && n < w->len)
		n = n * 10 + (size_t)(w->s[w->at++] - '0');
	if (n > w->len - w->at)
		return false;
	w->at += n;
	return true;
}

/* After an L among arguments: a literal, "i5E" or "3Foo5E" or "N2ns3FooE5E"; else internal linkage. */
static bool step_literal(struct walk *w)
{
	char c = innermost(w);

	w->at++;
	if (c != 'I' && c != 'J' && c != 'X')
		return true;
	if (!push(w, 'L', 0))
		return false;
	if (peek(w, 0) == '_' && peek(w, 1) == 'Z') { /* an address: a whole name stands inside */
		w->open[w->depth - 1] = 'Z';
		w->at += 2;
		return true;
	}
	return !is_digit(peek(w, 0)) || skip_identifier(w);
}

static bool step_d(struct walk *w)
{
	switch (peek(w, 1)) {
	case 't':
	case 'T':
	case 'O':
		return push(w, 'D', 2);
	case 'v':
	case 'F':
		w->at += 2;
		skip_number(w);
		return true;
	default:
		w->at += 2;
		return true;
	}
}

static bool step_close(struct walk *w)
{
	char closed = innermost(w);

	w->at++;
	if (w->depth == 0)
		return false;
	w->depth--;
	if (closed == 'U')
		skip_number(w);
	return true;
}

/* One element of the grammar; false at the end of what is understood. */
static bool step(struct walk *w)
{
	char c = peek(w, 0);

	switch (c) {
	case 'N':
	case 'Z':
	case 'I':
	case 'J':
	case 'X':
	case 'F':
		return push(w, c, 1);
	case 'E':
		return step_close(w);
	case 'L':
		return step_literal(w);
	case 'D':
		return step_d(w);
	case 'C':
		w->at += 1 + is_digit(peek(w, 1));
		return true;
	case 'U':
		if (peek(w, 1) == 'l')
			return push(w, 'U', 2);
		w->at += 2;
		skip_number(w);
		return true;
	case 'S':
		w->at++;
		if (islower((unsigned char)peek(w, 0)))
			w->at++;
		else
			skip_sequence_id(w);
		return true;
	case 'T':
		w->at++;
		skip_sequence_id(w);
		return true;
	case 'A':
		w->at++;
		skip_number(w);
		return true;
	default:
		if (!is_digit(c)) {
			w->at++;
			return true;
		}
		if (innermost(w) != 'L')
			return skip_identifier(w);
		skip_number(w);
		return true;
	}
}

size_t pgo_name_unified_structor(const char *s, size_t len)
{
	struct walk w = {.s = s, .len = len, .at = 2};

	if (len < 4 || s[0] != '_' || s[1] != 'Z' || (s[2] != 'N' && s[2] != 'Z'))
		return 0;
	while (w.at < len) {
		char c = peek(&w, 0);

		if ((c == 'C' || c == 'D') && peek(&w, 1) == '4' && w.depth == 1 &&
			w.open[0] == 'N')
			return w.at + 1;
		/* A nested name that has ended: only types follow, unless it was a local scope. */
		if (c == 'E' && w.depth == 1 && w.open[0] == 'N')
			return 0;
		if (!step(&w))
			return 0;
	}
	return 0;
}

/* ------------------------------------------------------------------ languages */

static bool is_rust(const char *s, size_t len)
{
	static const char hash[] = "17h";

	if (len > 2 && s[0] == '_' && s[1] == 'R')
		return true;
	if (len < 24 || memcmp(s, "_ZN", 3) != 0)
		return false;
	for (const char *at = s + 3; (at = memmem(at, (size_t)(s + len - at), hash, 3)) != NULL;
		at++) {
		size_t i = 3;

		if (s + len - at < 20)
			return false;
		while (i < 19 && isxdigit((unsigned char)at[i]))
			i++;
		if (i == 19 && at[19] == 'E' && (s + len - at == 20 || at[20] == '.'))
			return true;
	}
	return false;
}

/* What compilers of C and C++ hang behind a name; digits are behind many of them. */
static bool is_known_tail(const char *s, size_t len)
{
	static const char *const words[] = {"cold", "part", "isra", "constprop", "lto_priv", "llvm",
		"__uniq", "__part", "cfi", "specialized", "resume", "cleanup", "destroy", "actor",
		"localalias", "omp_fn", "_omp_fn", "omp_outlined", "extracted", "warm", "default",
		"resolver", "ifunc", "simdclone", "thunk", "lto", "evil", "str", "split", "eh",
		"unlikely", "hot", "startup", "exit", "content", "outlined", "loopexit", "lr_func",
		"avx", "avx2", "avx512f", "popcnt", "bmi", "bmi2", "fma", "ssse3"};

	if (len == 0 || all_digits(s, len) || (len > 5 && memcmp(s, "arch_", 5) == 0) ||
		(len > 3 && memcmp(s, "sse", 3) == 0))
		return true;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == len && memcmp(words[i], s, len) == 0)
			return true;
	return false;
}

enum pgo_name_language pgo_name_language(const char *s, size_t len)
{
	size_t dot, end;

	if (is_rust(s, len))
		return PGO_NAME_RUST;
	dot = pgo_name_cut_dot(s, len);
	if (dot == len || (len > 1 && s[0] == '_' && s[1] == 'Z'))
		return PGO_NAME_C;
	if (memchr(s, '/', len) != NULL || memchr(s, '(', len) != NULL)
		return PGO_NAME_GO;
	end = dot + 1;
	while (end < len && s[end] != '.')
		end++;
	return is_known_tail(s + dot + 1, end - dot - 1) ? PGO_NAME_C : PGO_NAME_GO;
}
