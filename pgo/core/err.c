/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void put(struct pgo_err *err, const char *fmt, va_list ap)
{
	/* Through a copy, so that a caller may pass err->msg itself as an argument. */
	char text[PGO_ERR_MAX];

	vsnprintf(text, sizeof text, fmt, ap);
	memcpy(err->msg, text, sizeof text);
}

int pgo_err_set(struct pgo_err *err, enum pgo_code code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	put(err, fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int pgo_err_errno(struct pgo_err *err, enum pgo_code code, const char *fmt, ...)
{
	int saved = errno;
	size_t used;
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	put(err, fmt, ap);
	va_end(ap);
	used = strlen(err->msg);
	snprintf(err->msg + used, sizeof err->msg - used, ": %s", strerror(saved));
	err->code = code;
	errno = saved;
	return code;
}

int pgo_err_nomem(struct pgo_err *err)
{
	return pgo_err_set(
		err, PGO_ENOMEM, "out of memory; give the process more, or use smaller inputs");
}

int pgo_err_prefix(struct pgo_err *err, const char *fmt, ...)
{
	char context[PGO_ERR_MAX];
	char old[PGO_ERR_MAX];
	va_list ap;

	if (err == NULL)
		return PGO_EFORMAT;
	va_start(ap, fmt);
	vsnprintf(context, sizeof context, fmt, ap);
	va_end(ap);
	memcpy(old, err->msg, sizeof old);
	old[PGO_ERR_MAX - 1] = '\0';
	/* A cut at the end is meant: the front of the message names the thing. */
	if (snprintf(err->msg, sizeof err->msg, "%s: %s", context, old) < 0)
		err->msg[0] = '\0';
	return err->code;
}

void pgo_err_clear(struct pgo_err *err)
{
	if (err == NULL)
		return;
	err->code = PGO_OK;
	err->msg[0] = '\0';
}
