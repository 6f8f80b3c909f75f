/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/s3_error.h"

#include "fetch/s3_list.h"
#include "pgo/core/alloc.h"

#include <ctype.h>
#include <string.h>

/* Codes of which the server's own words do not say what to do. */
static const struct {
	const char *code;
	int rc;
	const char *meaning;
} known[] = {
	{"NoSuchBucket", PGO_ENOTFOUND, "there is no bucket of this name here"},
	{"NoSuchKey", PGO_ENOTFOUND, "the object is gone since it was listed"},
	{"SignatureDoesNotMatch", PGO_EUSAGE,
		"the server does not accept the signature: the secret key is another one, or "
		"something "
		"on the way changes requests"},
	{"InvalidAccessKeyId", PGO_EUSAGE, "the server does not know the access key"},
	{"XAdminUserNotFound", PGO_EUSAGE, "the server does not know the access key"},
	{"ExpiredToken", PGO_EUSAGE,
		"the session token has expired; get new credentials and run this again, it goes on "
		"where it stopped"},
	{"TokenRefreshRequired", PGO_EUSAGE,
		"the session token has expired; get new credentials and run this again, it goes on "
		"where it stopped"},
	{"InvalidToken", PGO_EUSAGE,
		"the server does not accept the session token; AWS_SESSION_TOKEN must be the one "
		"that "
		"came with the access key"},
	{"InvalidObjectState", PGO_ENET,
		"the object is archived and cannot be read before it is restored"},
};

static char *field(const struct pgo_http_reply *r, const char *name)
{
	return pgo_s3_error_field(r->body.data != NULL ? r->body.data : "", r->body.len, name);
}

/* Regions become part of host names. */
static bool is_region(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
			return false;
	return n != 0 && n <= 64;
}

char *pgo_s3_other_region(const struct pgo_http_reply *r, const char *region)
{
	const char *header = pgo_http_headers_get(&r->headers, "x-amz-bucket-region");
	char *named = header != NULL ? pgo_strdup(header) : field(r, "Region");

	if (named != NULL && is_region(named) && strcmp(named, region) != 0)
		return named;
	pgo_free(named);
	return NULL;
}

static int skewed(const struct pgo_http_reply *r, struct pgo_err *err)
{
	char *ours = field(r, "RequestTime"), *theirs = field(r, "ServerTime");
	bool both = ours != NULL && theirs != NULL && *ours != '\0' && *theirs != '\0';

	pgo_err_set(err, PGO_EUSAGE,
		"the clock of this machine and the server's differ too much%s%.40s%s%.40s%s; set "
		"the "
		"clock",
		both ? " (here it is " : "", both ? ours : "", both ? ", there " : "",
		both ? theirs : "", both ? ")" : "");
	pgo_free(ours);
	pgo_free(theirs);
	return PGO_EUSAGE;
}

static int denied(const struct pgo_s3_asker *who, struct pgo_err *err)
{
	if (who->anonymous)
		return pgo_err_set(err, PGO_EUSAGE,
			"the server does not answer without credentials; set AWS_ACCESS_KEY_ID and "
			"AWS_SECRET_ACCESS_KEY, or a profile (for gs: GS_ACCESS_KEY_ID and "
			"GS_SECRET_ACCESS_KEY)");
	return pgo_err_set(err, PGO_ENET,
		"these credentials do not allow this; fetching takes the rights s3:ListBucket and "
		"s3:GetObject, pushing s3:PutObject");
}

/* Printable, and not for ever. */
static void tame(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = ' ';
}

/* Status, code and the server's own words. */
static int plain(const struct pgo_http_reply *r, char *code, char *message, struct pgo_err *err)
{
	const char *to = pgo_http_headers_get(&r->headers, "location");
	bool sent_on = r->status >= 300 && r->status <= 399 && to != NULL;
	char *shown;

	if (code != NULL && !sent_on) {
		tame(code);
		if (message != NULL)
			tame(message);
		return pgo_err_set(err, r->status == 404 ? PGO_ENOTFOUND : PGO_ENET,
			"the server answers %ld (%.100s%s%.200s)", r->status, code,
			message != NULL ? ": " : "", message != NULL ? message : "");
	}
	if (!sent_on)
		return pgo_http_refused(r, err);
	shown = pgo_http_redact(to);
	if (shown == NULL)
		return pgo_err_nomem(err);
	tame(shown);
	pgo_err_set(err, PGO_EUSAGE,
		"the server sends us to %.200s, and a signed request is not sent on; if that is "
		"right, "
		"give it as the endpoint",
		shown);
	pgo_free(shown);
	return PGO_EUSAGE;
}

static int by_code(const struct pgo_http_reply *r, const struct pgo_s3_asker *who, char *code,
	char *message, struct pgo_err *err)
{
	char *region;

	for (size_t i = 0; code != NULL && i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].code, code) == 0)
			return pgo_err_set(err, known[i].rc, "%s", known[i].meaning);
	if (code != NULL && strcmp(code, "RequestTimeTooSkewed") == 0)
		return skewed(r, err);
	region = r->status == 403 ? NULL : pgo_s3_other_region(r, who->region);
	if (region != NULL) {
		pgo_err_set(err, PGO_EUSAGE,
			"the bucket is in the region %s, and the requests are signed for %s",
			region, who->region);
		pgo_free(region);
		return PGO_EUSAGE;
	}
	if (r->status == 403 && (code == NULL || strcmp(code, "AccessDenied") == 0))
		return denied(who, err);
	return plain(r, code, message, err);
}

int pgo_s3_refused(
	const struct pgo_http_reply *r, const struct pgo_s3_asker *who, struct pgo_err *err)
{
	char *code = field(r, "Code"), *message = field(r, "Message");
	int rc = by_code(r, who, code, message, err);

	pgo_free(code);
	pgo_free(message);
	return rc;
}
