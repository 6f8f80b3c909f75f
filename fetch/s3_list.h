/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XML that S3 and its relatives answer with: a page of a listing (ListBucketResult), or why not
 * (Error).  The one file that calls the XML parser (expat) is s3_list.c.  Names of elements are
 * looked at without their namespaces, which servers do not agree on; entities that a reply defines
 * itself are refused.
 */
#ifndef PGO_FETCH_S3_LIST_H
#define PGO_FETCH_S3_LIST_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_s3_object {
	char *key;
	uint64_t size;
	int64_t mtime_ns; /* LastModified */
};

struct pgo_s3_page {
	struct pgo_s3_object *objects; /* in the order of the reply: bytes of the key */
	size_t n, room;
	char *token; /* for the next page; NULL = this was the last */
};

/* Fills *ret (pgo_s3_page_fini). `what` begins the messages. */
int pgo_s3_page_parse(const char *what, const void *xml, size_t len, struct pgo_s3_page *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_s3_page_fini(struct pgo_s3_page *p);
/* The text of one element (Code, Message, Region) of an error; gives a string (pgo_free), or NULL. */
char *pgo_s3_error_field(const void *xml, size_t len, const char *name);

#endif
