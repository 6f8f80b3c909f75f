/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OTLP profiles as JSON -> the same message as protobuf in the current layout, so that there is one
 * reader of meanings.  Names as protobuf's JSON mapping has them: lowerCamelCase, or as in the
 * .proto; numbers of 64 bits may be text; fields that are not known or null are left out.  What
 * nothing here needs (ids, links, payloads) is not carried over.
 */
#include "fetch/otlp_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, NUMBER, FIXED, TRUTH, MESSAGE };

struct field {
	const char *name, *proto_name, *old_name; /* old_name: of an earlier revision, or NULL */
	uint32_t number;
	enum kind kind;
	bool many;
	const struct field *message;
};

static const struct field any_value[] = {
	{"stringValue", "string_value", NULL, 1, TEXT, false, NULL},
	{"boolValue", "bool_value", NULL, 2, TRUTH, false, NULL},
	{"intValue", "int_value", NULL, 3, NUMBER, false, NULL},
	{"stringValueStrindex", "string_value_strindex", NULL, 8, NUMBER, false, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field key_value[] = {
	{"key", "key", NULL, 1, TEXT, false, NULL},
	{"value", "value", NULL, 2, MESSAGE, false, any_value},
	{"keyStrindex", "key_strindex", NULL, 3, NUMBER, false, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field resource[] = {
	{"attributes", "attributes", NULL, 1, MESSAGE, true, key_value},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field value_type[] = {
	{"typeStrindex", "type_strindex", NULL, 1, NUMBER, false, NULL},
	{"unitStrindex", "unit_strindex", NULL, 2, NUMBER, false, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field sample[] = {
	{"stackIndex", "stack_index", NULL, 1, NUMBER, false, NULL},
	{"attributeIndices", "attribute_indices", NULL, 2, NUMBER, true, NULL},
	{"linkIndex", "link_index", NULL, 3, NUMBER, false, NULL},
	{"values", "values", NULL, 4, NUMBER, true, NULL},
	{"timestampsUnixNano", "timestamps_unix_nano", NULL, 5, FIXED, true, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field profile[] = {
	{"sampleType", "sample_type", NULL, 1, MESSAGE, false, value_type},
	{"samples", "samples", "sample", 2, MESSAGE, true, sample},
	{"timeUnixNano", "time_unix_nano", NULL, 3, FIXED, false, NULL},
	{"durationNano", "duration_nano", NULL, 4, NUMBER, false, NULL},
	{"periodType", "period_type", NULL, 5, MESSAGE, false, value_type},
	{"period", "period", NULL, 6, NUMBER, false, NULL},
	{"attributeIndices", "attribute_indices", NULL, 11, NUMBER, true, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field scope_profiles[] = {
	{"profiles", "profiles", NULL, 2, MESSAGE, true, profile},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field resource_profiles[] = {
	{"resource", "resource", NULL, 1, MESSAGE, false, resource},
	{"scopeProfiles", "scope_profiles", NULL, 2, MESSAGE, true, scope_profiles},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field mapping[] = {
	{"memoryStart", "memory_start", NULL, 1, NUMBER, false, NULL},
	{"memoryLimit", "memory_limit", NULL, 2, NUMBER, false, NULL},
	{"fileOffset", "file_offset", NULL, 3, NUMBER, false, NULL},
	{"filenameStrindex", "filename_strindex", NULL, 4, NUMBER, false, NULL},
	{"attributeIndices", "attribute_indices", NULL, 5, NUMBER, true, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field line[] = {
	{"functionIndex", "function_index", NULL, 1, NUMBER, false, NULL},
	{"line", "line", NULL, 2, NUMBER, false, NULL},
	{"column", "column", NULL, 3, NUMBER, false, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field location[] = {
	{"mappingIndex", "mapping_index", NULL, 1, NUMBER, false, NULL},
	{"address", "address", NULL, 2, NUMBER, false, NULL},
	{"lines", "lines", "line", 3, MESSAGE, true, line},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field function[] = {
	{"nameStrindex", "name_strindex", NULL, 1, NUMBER, false, NULL},
	{"systemNameStrindex", "system_name_strindex", NULL, 2, NUMBER, false, NULL},
	{"filenameStrindex", "filename_strindex", NULL, 3, NUMBER, false, NULL},
	{"startLine", "start_line", NULL, 4, NUMBER, false, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field table_attribute[] = {
	{"keyStrindex", "key_strindex", NULL, 1, NUMBER, false, NULL},
	{"value", "value", NULL, 2, MESSAGE, false, any_value},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field stack[] = {
	{"locationIndices", "location_indices", NULL, 1, NUMBER, true, NULL},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field dictionary[] = {
	{"mappingTable", "mapping_table", NULL, 1, MESSAGE, true, mapping},
	{"locationTable", "location_table", NULL, 2, MESSAGE, true, location},
	{"functionTable", "function_table", NULL, 3, MESSAGE, true, function},
	{"stringTable", "string_table", NULL, 5, TEXT, true, NULL},
	{"attributeTable", "attribute_table", NULL, 6, MESSAGE, true, table_attribute},
	{"stackTable", "stack_table", NULL, 7, MESSAGE, true, stack},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

static const struct field data[] = {
	{"resourceProfiles", "resource_profiles", NULL, 1, MESSAGE, true, resource_profiles},
	{"dictionary", "dictionary", NULL, 2, MESSAGE, false, dictionary},
	{NULL, NULL, NULL, 0, TEXT, false, NULL},
};

/* Fields of the revision that has ranges; in JSON it is not read. */
static const char *const foreign[] = {"locationIndices", "location_indices", "locationsStartIndex",
	"locations_start_index", "locationsLength", "locations_length"};

static const struct pgo_jval *get(const struct pgo_jval *v, const struct field *f)
{
	const struct pgo_jval *found = pgo_jval_get(v, f->name);

	if (found == NULL)
		found = pgo_jval_get(v, f->proto_name);
	if (found == NULL && f->old_name != NULL)
		found = pgo_jval_get(v, f->old_name);
	return found;
}

static int not_a(const char *what, const struct field *f, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT, "\"%s\" is not %s", f->name, what);
}

/* A whole number, as JSON's or as text; negative ones as protobuf has them. */
static int number(
	const struct pgo_jval *v, const struct field *f, uint64_t *ret, struct pgo_err *err)
{
	const char *text = pgo_jval_str(v, NULL);
	char *end;

	if (text == NULL) {
		int64_t n = pgo_jval_i64(v, 1);
		double d = pgo_jval_double(v, -0.5);

		if (n != pgo_jval_i64(v, 2)) {
			/* No integer; 4e3 is one all the same. */
			if (!(d >= 0 && d <= 9007199254740992.0) || d != (double)(uint64_t)d)
				return not_a("a whole number", f, err);
			n = (int64_t)d;
		}
		*ret = (uint64_t)n;
		return 0;
	}
	errno = 0;
	*ret = text[0] == '-' ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == ' ' || text[0] == '+')
		return not_a("a whole number", f, err);
	return 0;
}

static void put_tag(struct pgo_buf *out, uint32_t n, enum pgo_wire_type type)
{
	pgo_buf_uleb(out, (uint64_t)n << 3 | (uint64_t)type);
}

static void put_bytes(struct pgo_buf *out, uint32_t n, const void *bytes, size_t len)
{
	put_tag(out, n, PGO_WIRE_BYTES);
	pgo_buf_uleb(out, len);
	pgo_buf_add(out, bytes, len);
}

static int put_message(const struct pgo_jval *v, const struct field *fields, struct pgo_buf *out,
	struct pgo_err *err);

/* Messages in messages go through a buffer each, for their length comes first. */
static int put_inner(
	const struct pgo_jval *v, const struct field *f, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_buf inner;
	int rc;

	pgo_buf_init(&inner, out->max);
	rc = put_message(v, f->message, &inner, err);
	if (rc == 0)
		rc = pgo_buf_check(&inner, f->name, err);
	if (rc == 0)
		put_bytes(out, f->number, inner.data != NULL ? inner.data : "", inner.len);
	pgo_buf_fini(&inner);
	return rc;
}

static int put_one(
	const struct pgo_jval *v, const struct field *f, struct pgo_buf *out, struct pgo_err *err)
{
	const char *text;
	uint64_t n = 0;

	switch (f->kind) {
	case TEXT:
		text = pgo_jval_str(v, NULL);
		if (text == NULL)
			return not_a("text", f, err);
		put_bytes(out, f->number, text, strlen(text));
		return 0;
	case TRUTH:
		put_tag(out, f->number, PGO_WIRE_VARINT);
		pgo_buf_uleb(out, pgo_jval_bool(v, false));
		return 0;
	case NUMBER:
	case FIXED:
		if (number(v, f, &n, err) < 0)
			return err != NULL ? err->code : PGO_EFORMAT;
		put_tag(out, f->number, f->kind == FIXED ? PGO_WIRE_FIXED64 : PGO_WIRE_VARINT);
		if (f->kind == FIXED)
			pgo_buf_u64le(out, n);
		else
			pgo_buf_uleb(out, n);
		return 0;
	case MESSAGE:
	default:
		return put_inner(v, f, out, err);
	}
}

/* Numbers of a list in one field, as everyone packs them. */
static int put_packed(
	const struct pgo_jval *v, const struct field *f, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_buf inner;
	int rc = 0;

	pgo_buf_init(&inner, out->max);
	for (size_t i = 0; i < pgo_jval_len(v) && rc == 0; i++) {
		uint64_t n = 0;

		rc = number(pgo_jval_at(v, i), f, &n, err);
		if (f->kind == FIXED)
			pgo_buf_u64le(&inner, n);
		else
			pgo_buf_uleb(&inner, n);
	}
	if (rc == 0)
		rc = pgo_buf_check(&inner, f->name, err);
	if (rc == 0 && inner.len > 0)
		put_bytes(out, f->number, inner.data, inner.len);
	pgo_buf_fini(&inner);
	return rc;
}

static int put_many(
	const struct pgo_jval *v, const struct field *f, struct pgo_buf *out, struct pgo_err *err)
{
	if (f->kind == NUMBER || f->kind == FIXED)
		return put_packed(v, f, out, err);
	for (size_t i = 0; i < pgo_jval_len(v); i++) {
		if (put_one(pgo_jval_at(v, i), f, out, err) < 0)
			return pgo_err_prefix(err, "%s %zu", f->name, i);
	}
	return 0;
}

static int put_message(const struct pgo_jval *v, const struct field *fields, struct pgo_buf *out,
	struct pgo_err *err)
{
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		if (fields != stack && pgo_jval_get(v, foreign[i]) != NULL)
			return pgo_err_set(err, PGO_EFORMAT,
				"it has \"%s\": JSON of OTLP profiles from before OTLP 1.8 cannot "
				"be "
				"read; let the sender write a newer revision, or protobuf",
				foreign[i]);
	for (const struct field *f = fields; f->name != NULL; f++) {
		const struct pgo_jval *at = get(v, f);
		int rc;

		if (at == NULL || pgo_jval_is_null(at))
			continue;
		rc = f->many ? put_many(at, f, out, err) : put_one(at, f, out, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pgo_otlp_from_json(
	const char *name, const char *text, size_t len, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_jdoc_parse(name, text, len, err);
	int rc;

	if (doc == NULL)
		return err != NULL ? err->code : PGO_EFORMAT;
	rc = put_message(doc, data, out, err);
	if (rc == 0)
		rc = pgo_buf_check(out, "the message", err);
	pgo_jdoc_free(doc);
	return rc;
}
