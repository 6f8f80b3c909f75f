/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/s3_list.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 16 };
#define TEXT_MAX ((size_t)16 << 10) /* of one element; keys have 1,024 bytes at most */

struct parse {
	XML_Parser parser;
	struct pgo_s3_page *page;
	struct pgo_buf text; /* of the element that is open */
	unsigned depth;
	bool listing, object, truncated, escaped;
	struct pgo_s3_object now;
	char *token;
	bool failed;      /* out of memory, or too much */
	const char *want; /* pgo_s3_error_field */
	char *found;
};

static const char *local_name(const XML_Char *name)
{
	const char *colon = strrchr(name, ':');

	return colon != NULL ? colon + 1 : name;
}

static void stop(struct parse *p)
{
	p->failed = true;
	XML_StopParser(p->parser, XML_FALSE);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct parse *p = arg;

	(void)attributes;
	if (++p->depth > MAX_DEPTH)
		stop(p);
	name = local_name(name);
	if (p->depth == 1)
		p->listing = strcmp(name, "ListBucketResult") == 0;
	p->object = p->object || (p->depth == 2 && strcmp(name, "Contents") == 0);
	pgo_buf_clear(&p->text);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
	struct parse *p = arg;

	pgo_buf_add(&p->text, text, (size_t)len);
	if (p->text.failed)
		stop(p);
}

static char *take_text(struct parse *p, char *old)
{
	char *copy = pgo_strndup(p->text.data != NULL ? p->text.data : "", p->text.len);

	pgo_free(old);
	if (copy == NULL)
		stop(p);
	return copy;
}

static void object_field(struct parse *p, const char *name)
{
	const char *text = p->text.data != NULL ? p->text.data : "";
	struct pgo_err ignored;

	if (strcmp(name, "Key") == 0)
		p->now.key = take_text(p, p->now.key);
	else if (strcmp(name, "Size") == 0)
		p->now.size = strtoull(text, NULL, 10);
	else if (strcmp(name, "LastModified") == 0 &&
		 pgo_parse_time(text, 0, &p->now.mtime_ns, &ignored) < 0)
		p->now.mtime_ns = 0;
}

static void end_object(struct parse *p)
{
	struct pgo_s3_object *o;

	p->object = false;
	if (p->now.key != NULL && p->now.key[0] != '\0') {
		o = PGO_VEC_PUSH(p->page->objects, p->page->n, p->page->room);
		if (o == NULL) {
			stop(p);
			return;
		}
		*o = p->now;
		p->now.key = NULL;
	}
	pgo_free(p->now.key);
	memset(&p->now, 0, sizeof p->now);
}

static void list_field(struct parse *p, const char *name)
{
	const char *text = p->text.data != NULL ? p->text.data : "";

	if (strcmp(name, "IsTruncated") == 0)
		p->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "EncodingType") == 0)
		p->escaped = strcmp(text, "url") == 0;
	else if (strcmp(name, "NextContinuationToken") == 0)
		p->token = take_text(p, p->token);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct parse *p = arg;

	name = local_name(name);
	if (p->want != NULL) {
		if (p->found == NULL && strcmp(name, p->want) == 0)
			p->found = take_text(p, NULL);
	} else if (p->depth == 3 && p->object) {
		object_field(p, name);
	} else if (p->depth == 2 && p->object) {
		end_object(p);
	} else if (p->depth == 2) {
		list_field(p, name);
	}
	pgo_buf_clear(&p->text);
	p->depth--;
}

/* A reply that brings entities of its own wants more than to be read. */
static void XMLCALL on_entity(void *arg, const XML_Char *name, int is_parameter,
	const XML_Char *value, int value_len, const XML_Char *base, const XML_Char *system_id,
	const XML_Char *public_id, const XML_Char *notation)
{
	(void)name;
	(void)is_parameter;
	(void)value;
	(void)value_len;
	(void)base;
	(void)system_id;
	(void)public_id;
	(void)notation;
	XML_StopParser(((struct parse *)arg)->parser, XML_FALSE);
}

/* False if it is no XML, or too much of it. */
static bool run(struct parse *p, const void *xml, size_t len)
{
	bool good;

	p->parser = XML_ParserCreate(NULL);
	if (p->parser == NULL || len > INT32_MAX) {
		p->failed = true;
		XML_ParserFree(p->parser);
		return false;
	}
	pgo_buf_init(&p->text, TEXT_MAX);
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_start, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	XML_SetEntityDeclHandler(p->parser, on_entity);
	good = XML_Parse(p->parser, xml, (int)len, 1) == XML_STATUS_OK;
	XML_ParserFree(p->parser);
	pgo_buf_fini(&p->text);
	pgo_free(p->now.key);
	return good;
}

/* %XX in place; `+` is a blank in what encoding-type=url gives. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		unsigned v = 0;
		char hex[3] = {0};

		if (*s == '%' && s[1] != '\0' && s[2] != '\0') {
			char *end;

			memcpy(hex, s + 1, 2);
			v = (unsigned)strtoul(hex, &end, 16);
			if (end == hex + 2 && v != 0) {
				*to++ = (char)v;
				s += 2;
				continue;
			}
		}
		*to++ = *s == '+' ? ' ' : *s;
	}
	*to = '\0';
}

int pgo_s3_page_parse(
	const char *what, const void *xml, size_t len, struct pgo_s3_page *ret, struct pgo_err *err)
{
	struct pgo_s3_page page = {0};
	struct parse p = {.page = &page};
	int rc = 0;

	if (!run(&p, xml, len) || !p.listing)
		rc = p.failed ? pgo_err_nomem(err)
			      : pgo_err_set(err, PGO_EFORMAT,
					"%s: the answer is no listing of a bucket; is this the "
					"address of an S3 interface?",
					what);
	else if (p.truncated && p.token == NULL && page.n == 0)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s: the server says that there are more objects, but not how to go on",
			what);
	if (rc < 0) {
		pgo_free(p.token);
		pgo_s3_page_fini(&page);
		return rc;
	}
	for (size_t i = 0; i < page.n && p.escaped; i++)
		unescape(page.objects[i].key);
	if (p.truncated)
		page.token = p.token != NULL ? p.token : pgo_strdup("");
	else
		pgo_free(p.token);
	*ret = page;
	return 0;
}

void pgo_s3_page_fini(struct pgo_s3_page *p)
{
	for (size_t i = 0; i < p->n; i++)
		pgo_free(p->objects[i].key);
	pgo_free(p->objects);
	pgo_free(p->token);
	memset(p, 0, sizeof *p);
}

char *pgo_s3_error_field(const void *xml, size_t len, const char *name)
{
	struct pgo_s3_page page = {0};
	struct parse p = {.page = &page, .want = name};

	(void)run(&p, xml, len);
	pgo_s3_page_fini(&page);
	pgo_free(p.token);
	return p.found;
}
