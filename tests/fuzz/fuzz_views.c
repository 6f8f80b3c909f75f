/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any JSON document as a verdict: every view of it is made, is UTF-8 without control characters but
 * for the end of lines, and no name in the page ends an element or begins one.
 */
#include "verify/escape.h"
#include "verify/views.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const struct pgo_buf *b, const char *part)
{
	size_t n = 0;

	for (const char *p = b->data; (p = strstr(p, part)) != NULL; p++)
		n++;
	return n;
}

static void check_text(const struct pgo_buf *b)
{
	if (b->failed || strlen(b->data) != b->len)
		abort();
	for (size_t i = 0; i < b->len; i++)
		if ((unsigned char)b->data[i] < 0x20 && strchr("\n\t", b->data[i]) == NULL)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc = pgo_jdoc_parse("verdict", (const char *)data, size, &err);
	struct pgo_buf b;

	if (doc == NULL)
		return 0;
	pgo_buf_init(&b, (size_t)1 << 30);
	pgo_view_markdown(doc, &b);
	check_text(&b);
	pgo_buf_clear(&b);
	pgo_view_junit(doc, &b);
	check_text(&b);
	if (count(&b, "<testcase ") != count(&b, "</testcase>"))
		abort();
	pgo_buf_clear(&b);
	pgo_view_html(doc, "{}", 2, &b);
	check_text(&b);
	if (count(&b, "<script") != 2 || count(&b, "</script>") != 2 || count(&b, "</style>") != 1)
		abort();
	pgo_buf_fini(&b);
	pgo_jdoc_free(doc);
	return 0;
}
