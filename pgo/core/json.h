/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON out: a streaming writer into a buffer, which takes care of commas, indentation (two spaces;
 * none in compact mode) and escaping (control characters, and bytes that are not UTF-8 as U+FFFD).
 * Keys come out in the order written, numbers without locale.  Misnesting is a bug (assertion).
 *
 * JSON in: a small read-only tree (jansson underneath, the only file that calls it).
 */
#ifndef PGO_CORE_JSON_H
#define PGO_CORE_JSON_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>

struct pgo_json {
	struct pgo_buf *out;
	bool compact;
	unsigned depth;
	uint64_t has_item; /* bit per depth: something is already written at this level */
	bool after_key;
};

void pgo_json_init(struct pgo_json *j, struct pgo_buf *out, bool compact);
void pgo_json_object(struct pgo_json *j); /* opens { */
void pgo_json_array(struct pgo_json *j);  /* opens [ */
void pgo_json_end_object(struct pgo_json *j);
void pgo_json_end_array(struct pgo_json *j);
void pgo_json_key(struct pgo_json *j, const char *key);
void pgo_json_str(struct pgo_json *j, const char *s); /* NULL writes null */
void pgo_json_u64(struct pgo_json *j, uint64_t v);
void pgo_json_i64(struct pgo_json *j, int64_t v);
/* Shortest form of at most 9 significant digits; not a number and infinities write null. */
void pgo_json_double(struct pgo_json *j, double v);
void pgo_json_bool(struct pgo_json *j, bool v);
void pgo_json_null(struct pgo_json *j);
/* "key": value in one call. */
void pgo_json_kv_str(struct pgo_json *j, const char *key, const char *s);
void pgo_json_kv_u64(struct pgo_json *j, const char *key, uint64_t v);
void pgo_json_kv_i64(struct pgo_json *j, const char *key, int64_t v);
void pgo_json_kv_double(struct pgo_json *j, const char *key, double v);
void pgo_json_kv_bool(struct pgo_json *j, const char *key, bool v);
/* A newline at the end of the document. */
void pgo_json_finish(struct pgo_json *j);

struct pgo_jval; /* one value of a parsed document; lives as long as the document */

/* Parses a whole document; gives it: pgo_jdoc_free().  `name` is for messages, which carry line and
 * column. */
struct pgo_jval *pgo_jdoc_parse(
	const char *name, const char *text, size_t len, struct pgo_err *err);
void pgo_jdoc_free(struct pgo_jval *doc);
/* All of these give NULL / the default where the value is absent or of another kind. */
const struct pgo_jval *pgo_jval_get(const struct pgo_jval *v, const char *key);
/* Member i of an object, in the order of the text, and its key; NULL past the last. */
const struct pgo_jval *pgo_jval_member(const struct pgo_jval *v, size_t i, const char **ret_key);
size_t pgo_jval_len(const struct pgo_jval *v); /* of an array; 0 otherwise */
const struct pgo_jval *pgo_jval_at(const struct pgo_jval *v, size_t i);
const char *pgo_jval_str(const struct pgo_jval *v, const char *or_else);
/* The string of a member, "" if there is none. */
static inline const char *pgo_jval_text(const struct pgo_jval *v, const char *key)
{
	return pgo_jval_str(pgo_jval_get(v, key), "");
}
int64_t pgo_jval_i64(const struct pgo_jval *v, int64_t or_else);
double pgo_jval_double(const struct pgo_jval *v, double or_else);
bool pgo_jval_bool(const struct pgo_jval *v, bool or_else);
/* Writes a value of a parsed document as it was, numbers by the rules of this writer; what is
 * nested more than 60 deep, and NULL, as null. */
void pgo_json_copy(struct pgo_json *j, const struct pgo_jval *v);
bool pgo_jval_is_null(const struct pgo_jval *v); /* JSON's null; false for a value that is absent */

#endif
