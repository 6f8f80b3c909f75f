/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Decodes the sequence at `p`, which ends at a NUL; its length, or 0 if it is not UTF-8. */
static size_t decode(const unsigned char *p, uint32_t *ret)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80       ? 1
		   : p[0] >> 5 == 6  ? 2
		   : p[0] >> 4 == 14 ? 3
		   : p[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t c = n <= 1 ? p[0] : p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	*ret = c;
	return n;
}

/* Would it not be seen, or turn or move what is around it? */
static bool hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c & 0xfffe) == 0xfffe || (c >= 0xe0000 && c <= 0xe007f);
}

static const char *reference(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* What Markdown means something by: escaped with a backslash, or where dialects differ about that
 * (mentions, formulas, links of bare addresses) by a reference. */
static void put_markdown(struct pgo_buf *out, const unsigned char *p, bool first)
{
	bool address = *p == ':' && p[1] == '/';

	if (*p == '@' || *p == '$' || address)
		pgo_buf_printf(out, "&#%u;", *p);
	else if (strchr("\\`*_{}[]|~#!^", *p) != NULL || (first && strchr("+-=:.)", *p) != NULL))
		pgo_buf_printf(out, "\\%c", *p);
	else
		pgo_buf_putc(out, (char)*p);
}

static void put_ascii(struct pgo_buf *out, enum pgo_escape kind, const unsigned char *p, bool first)
{
	const char *ref = kind == PGO_ESCAPE_TEXT ? NULL : reference(*p);

	if (ref != NULL && !(kind == PGO_ESCAPE_MARKDOWN && (*p == '"' || *p == '\'')))
		pgo_buf_puts(out, ref);
	else if (kind == PGO_ESCAPE_MARKDOWN)
		put_markdown(out, p, first);
	else
		pgo_buf_putc(out, (char)*p);
}

/* A backslash of ours, which Markdown must not take for one of its own. */
static void put_visible(struct pgo_buf *out, enum pgo_escape kind, const char *digits)
{
	pgo_buf_puts(out, kind == PGO_ESCAPE_MARKDOWN ? "\\\\" : "\\");
	pgo_buf_puts(out, digits);
}

void pgo_escape_add(struct pgo_buf *out, enum pgo_escape kind, const char *s)
{
	const unsigned char *p = (const unsigned char *)(s != NULL ? s : "");
	char digits[12];

	while (*p != '\0') {
		uint32_t c = 0;
		size_t n = decode(p, &c);

		if (n == 0 || hidden(c)) {
			c = n == 0 ? *p : c;
			snprintf(digits, sizeof digits,
				c < 0x100     ? "x%02x"
				: c < 0x10000 ? "u%04x"
					      : "U%08x",
				c);
			put_visible(out, kind, digits);
		} else if (n == 1) {
			put_ascii(out, kind, p, p == (const unsigned char *)s);
		} else {
			pgo_buf_add(out, p, n);
		}
		p += n != 0 ? n : 1;
	}
}

void pgo_escape_island(struct pgo_buf *out, const char *json, size_t len)
{
	size_t plain = 0; /* start of what needs no change */

	for (size_t i = 0; i < len; i++) {
		const unsigned char *p = (const unsigned char *)json + i;
		bool separator =
			len - i >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8;

		if (*p != '<' && *p != '>' && *p != '&' && !separator)
			continue;
		pgo_buf_add(out, json + plain, i - plain);
		pgo_buf_printf(out, "\\u%04x", separator ? 0x2000u + (p[2] - 0x80u) : *p);
		i += separator ? 2 : 0;
		plain = i + 1;
	}
	pgo_buf_add(out, json + plain, len - plain);
}
