/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a JSON document, and as a string in one.  What parses can be walked; what our writer
 * makes of any string is a document that parses, and the string in it comes back, except for what
 * was not UTF-8.
 */
#include "pgo/core/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct pgo_jval *v)
{
	size_t n = strlen(pgo_jval_str(v, "")) + (pgo_jval_i64(v, 0) != 0) +
		   (pgo_jval_double(v, 0) > 0) + pgo_jval_bool(v, false);

	for (size_t i = 0; i < pgo_jval_len(v); i++)
		n += walk(pgo_jval_at(v, i));
	return n + (pgo_jval_get(v, "version") != NULL);
}

static void write_and_read(const char *text)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc;
	struct pgo_json j;
	struct pgo_buf b;
	const char *back;

	pgo_buf_init(&b, SIZE_MAX - 1);
	pgo_json_init(&j, &b, text[0] & 1);
	pgo_json_object(&j);
	pgo_json_kv_str(&j, "text", text);
	pgo_json_key(&j, text);
	pgo_json_array(&j);
	pgo_json_double(&j, (double)strlen(text) / 3);
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
	doc = pgo_jdoc_parse("ours", b.data, b.len, &err);
	/* Two equal keys are the one thing that is written and not read. */
	if (doc == NULL && strcmp(text, "text") != 0)
		abort();
	back = pgo_jval_str(pgo_jval_get(doc, "text"), NULL);
	if (doc != NULL &&
		(back == NULL || (strstr(back, "\xef\xbf\xbd") == NULL && strcmp(back, text) != 0)))
		abort();
	pgo_jdoc_free(doc);
	pgo_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc = pgo_jdoc_parse("input", (const char *)data, size, &err);
	char *text = malloc(size + 1);

	if (doc == NULL && err.msg[0] == '\0')
		abort();
	if (doc != NULL)
		walk(doc);
	pgo_jdoc_free(doc);
	if (text == NULL)
		return 0;
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	write_and_read(text);
	free(text);
	return 0;
}
