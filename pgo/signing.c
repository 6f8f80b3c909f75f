/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/signing.h"

#include "pgo/compiler.h"
#include "pgo/core/alloc.h"
#include "pgo/core/child.h"
#include "pgo/core/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SIGNATURE 65536
#define MAX_WORDS 64

struct signing {
	char *dir, *file, *signature;
	char **words;
	size_t n, room;
};

static int begin(
	struct signing *s, const char *command, const struct pgo_buf *what, struct pgo_err *err)
{
	const char *tmp = getenv("TMPDIR");
	int rc;

	s->dir = pgo_asprintf("%s/pgo-sign-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	if (s->dir == NULL)
		return pgo_err_nomem(err);
	if (mkdtemp(s->dir) == NULL) {
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be made", s->dir);
		pgo_free(s->dir);
		s->dir = NULL;
		return rc;
	}
	s->file = pgo_asprintf("%s/release.json", s->dir);
	s->signature = pgo_asprintf("%s/release.json.sig", s->dir);
	rc = s->file != NULL && s->signature != NULL ? 0 : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_file_write(s->file, what->data != NULL ? what->data : "", what->len, err);
	if (rc == 0)
		rc = pgo_words_split(command, &s->words, &s->n, &s->room, err);
	if (rc == 0 && (s->n == 0 || s->n >= MAX_WORDS))
		rc = pgo_err_set(err, PGO_EUSAGE, "'%s' is no command", command);
	return rc;
}

static void end(struct signing *s)
{
	if (s->file != NULL)
		unlink(s->file);
	if (s->signature != NULL)
		unlink(s->signature);
	if (s->dir != NULL)
		rmdir(s->dir);
	pgo_free(s->file);
	pgo_free(s->signature);
	pgo_free(s->dir);
	pgo_words_free(s->words, s->n);
}

/* The word with what its names stand for; NULL when out of memory. */
static char *filled(const struct signing *s, const char *word)
{
	struct pgo_buf out;
	char *ret = NULL;

	pgo_buf_init(&out, (size_t)1 << 20);
	while (*word != '\0') {
		if (strncmp(word, "{file}", 6) == 0) {
			pgo_buf_puts(&out, s->file);
			word += 6;
		} else if (strncmp(word, "{signature}", 11) == 0) {
			pgo_buf_puts(&out, s->signature);
			word += 11;
		} else {
			pgo_buf_putc(&out, *word++);
		}
	}
	if (!out.failed)
		ret = pgo_strdup(out.data != NULL ? out.data : "");
	pgo_buf_fini(&out);
	return ret;
}

/* Its exit code in *ret_status, the end of what it said in `said`. */
static int run(struct signing *s, int *ret_status, char said[200], struct pgo_err *err)
{
	const struct pgo_child_options o = {.seconds = 120};
	const char *argv[MAX_WORDS + 1];
	struct pgo_child child = {0};
	const char *text;
	size_t len;
	int rc = 0;

	for (size_t i = 0; i < s->n && rc == 0; i++) {
		char *word = filled(s, s->words[i]);

		if (word == NULL) {
			rc = pgo_err_nomem(err);
		} else {
			pgo_free(s->words[i]);
			s->words[i] = word;
		}
		argv[i] = s->words[i];
	}
	argv[s->n] = NULL;
	if (rc == 0)
		rc = pgo_child_run(argv, &o, &child, err);
	if (rc < 0 && rc != PGO_ENOMEM)
		rc = pgo_err_set(err, PGO_EUSAGE, "'%s' cannot be run: there is no such program",
			s->words[0]);
	if (rc == 0) {
		*ret_status = child.status;
		text = pgo_child_text(&child);
		len = strcspn(text, "\n");
		len = len < 199 ? len : 199;
		memcpy(said, text, len);
		said[len] = '\0';
	}
	pgo_child_fini(&child);
	return rc;
}

static int read_signature(struct signing *s, struct pgo_buf *ret, struct pgo_err *err)
{
	struct pgo_buf raw;
	int rc;

	if (!pgo_path_exists(s->signature))
		return pgo_err_set(err, PGO_EUSAGE,
			"'%s' left no signature: it has to write {signature}, which is {file} with "
			".sig "
			"behind it",
			s->words[0]);
	rc = pgo_file_read(s->signature, MAX_SIGNATURE, &raw, err);
	for (size_t i = 0; rc == 0 && i < raw.len; i++)
		pgo_buf_printf(ret, "%02x", (unsigned char)raw.data[i]);
	pgo_buf_fini(&raw);
	return rc == 0 ? pgo_buf_check(ret, "the signature", err) : rc;
}

int pgo_sign(
	const char *command, const struct pgo_buf *what, struct pgo_buf *ret, struct pgo_err *err)
{
	struct signing s = {0};
	char said[200] = "";
	int status = 0, rc;

	pgo_buf_init(ret, 2 * MAX_SIGNATURE + 1);
	rc = begin(&s, command, what, err);
	if (rc == 0)
		rc = run(&s, &status, said, err);
	if (rc == 0 && status != 0)
		rc = pgo_err_set(err, PGO_EIO, "'%s' did not sign, but ended with %d: %s",
			s.words[0], status, said);
	if (rc == 0)
		rc = read_signature(&s, ret, err);
	end(&s);
	return rc;
}

static int write_signature(struct signing *s, const char *hex, struct pgo_err *err)
{
	size_t n = strlen(hex);
	struct pgo_buf raw;
	int rc;

	if (n == 0 || n % 2 != 0 || n > 2 * MAX_SIGNATURE || strspn(hex, "0123456789abcdef") != n)
		return pgo_err_set(err, PGO_EMISMATCH, "the release has no usable signature");
	pgo_buf_init(&raw, MAX_SIGNATURE + 1);
	for (size_t i = 0; i < n; i += 2) {
		const char pair[] = {hex[i], hex[i + 1], '\0'};

		pgo_buf_putc(&raw, (char)strtoul(pair, NULL, 16));
	}
	rc = pgo_buf_check(&raw, "the signature", err);
	if (rc == 0)
		rc = pgo_file_write(s->signature, raw.data, raw.len, err);
	pgo_buf_fini(&raw);
	return rc;
}

int pgo_sign_verify(
	const char *command, const struct pgo_buf *what, const char *signature, struct pgo_err *err)
{
	struct signing s = {0};
	char said[200] = "";
	int status = 0, rc = begin(&s, command, what, err);

	if (rc == 0)
		rc = write_signature(&s, signature, err);
	if (rc == 0)
		rc = run(&s, &status, said, err);
	if (rc == 0 && status != 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"the signature is not good: '%s' ended with %d: %s", s.words[0], status,
			said);
	end(&s);
	return rc;
}
