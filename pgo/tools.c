/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/tools.h"

#include "pgo/core/alloc.h"
#include "pgo/core/child.h"
#include "pgo/core/file.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION_SECONDS 20

static bool runs(const char *path)
{
	return access(path, X_OK) == 0 && pgo_path_exists(path);
}

/* "DIR/NAME" for each directory of PATH until `take` is true. */
static bool each_on_path(const char *name, bool (*take)(const char *path, void *ctx), void *ctx)
{
	const char *dirs = getenv("PATH");
	bool done = false;

	if (dirs == NULL || dirs[0] == '\0')
		dirs = "/usr/local/bin:/usr/bin:/bin";
	while (!done) {
		size_t len = strcspn(dirs, ":");
		char *path = len != 0 ? pgo_asprintf("%.*s/%s", (int)len, dirs, name) : NULL;

		done = path != NULL && take(path, ctx);
		pgo_free(path);
		if (dirs[len] == '\0')
			break;
		dirs += len + 1;
	}
	return done;
}

/* ctx: char **, the path that was taken. */
static bool take_plain(const char *path, void *ctx)
{
	char **ret = ctx;

	if (!runs(path))
		return false;
	*ret = pgo_strdup(path);
	return true;
}

struct newest {
	const char *name;
	unsigned release;
	char *path;
};

static void offer(struct newest *n, const char *path, const char *digits)
{
	char *end;
	unsigned long release = strtoul(digits, &end, 10);

	if (end == digits || (*end != '\0' && *end != '/') || release >= 1000 ||
		release <= n->release || !runs(path))
		return;
	pgo_free(n->path);
	n->path = pgo_strdup(path);
	n->release = (unsigned)release;
}

/* Paths that match a glob; the number is what follows `before` in them. */
static void offer_all(struct newest *n, const char *glob, const char *before)
{
	struct pgo_paths found = {0};
	struct pgo_err err = PGO_ERR_INIT;

	if (pgo_paths_list(glob, &found, &err) == 0)
		for (size_t i = 0; i < found.n; i++) {
			const char *at = NULL;

			for (const char *p = found.path[i]; (p = strstr(p, before)) != NULL; p++)
				at = p;
			if (at != NULL)
				offer(n, found.path[i], at + strlen(before));
		}
	pgo_paths_free(&found);
}

/* `path` is "DIR/NAME". */
static bool take_numbered(const char *path, void *ctx)
{
	struct newest *n = ctx;
	char *glob = pgo_asprintf("%s-[0-9]*", path);
	char *before = pgo_asprintf("/%s-", n->name);

	if (glob != NULL && before != NULL)
		offer_all(n, glob, before);
	pgo_free(glob);
	pgo_free(before);
	return false;
}

static char *find(const char *name)
{
	struct newest n = {.name = name};
	char *plain = NULL, *glob;

	if (strchr(name, '/') != NULL)
		return runs(name) ? pgo_strdup(name) : NULL;
	if (each_on_path(name, take_plain, &plain))
		return plain;
	each_on_path(name, take_numbered, &n);
	glob = pgo_asprintf("/usr/lib/llvm-[0-9]*/bin/%s", name);
	if (glob != NULL)
		offer_all(&n, glob, "/llvm-");
	pgo_free(glob);
	return n.path;
}

unsigned pgo_tool_release(const char *line)
{
	const char *at = strstr(line, "version "), *bracket = strstr(line, ") ");
	unsigned long release;

	/* "gcc (Debian 12.2.0-14+deb12u1) 12.2.0": the number behind the brackets. */
	if (at != NULL)
		at += strlen("version ");
	else if (bracket != NULL)
		at = bracket + 2;
	else
		at = strpbrk(line, "0123456789");
	while (at != NULL && isalpha((unsigned char)*at))
		at++; /* "go1.26" */
	if (at == NULL || !isdigit((unsigned char)*at))
		return 0;
	release = strtoul(at, NULL, 10);
	return release < 1000 ? (unsigned)release : 0;
}

/* The line that names a version: llvm's tools begin with "LLVM (http://llvm.org/):". */
static const char *version_line(const char *text, size_t *ret_len)
{
	const char *at = text;

	while (at != NULL && *at != '\0') {
		size_t len = strcspn(at, "\n");

		for (size_t i = 0; i + 7 <= len; i++)
			if (strncmp(at + i, "version", 7) == 0) {
				while (len > 0 && *at == ' ') {
					at++;
					len--;
				}
				*ret_len = len;
				return at;
			}
		at += len + (at[len] == '\n');
	}
	*ret_len = strcspn(text, "\n");
	return text;
}

static int ask(struct pgo_tool *t, struct pgo_err *err)
{
	const char *argv[] = {t->path, "--version", NULL};
	const struct pgo_child_options o = {.seconds = VERSION_SECONDS, .most = 4096};
	const char *base = pgo_path_base(t->path), *line;
	struct pgo_child child;
	size_t len;
	int rc;

	if (strcmp(base, "go") == 0)
		argv[1] = "version";
	rc = pgo_child_run(argv, &o, &child, err);
	line = version_line(pgo_child_text(&child), &len);
	t->says = rc == 0 && child.status == 0 ? pgo_strndup(line, len) : pgo_strdup("");
	pgo_child_fini(&child);
	if (t->says == NULL)
		return pgo_err_nomem(err);
	t->release = pgo_tool_release(t->says);
	return rc == PGO_ENOTFOUND || rc == PGO_EIO ? rc : 0;
}

int pgo_tool_find(const char *name, struct pgo_tool *ret, struct pgo_err *err)
{
	int rc;

	*ret = (struct pgo_tool){.path = find(name)};
	if (ret->path == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"there is no %s here: not on PATH, not as %s-N, not below /usr/lib/llvm-N",
			name, name);
	rc = ask(ret, err);
	if (rc < 0)
		pgo_tool_fini(ret);
	return rc;
}

void pgo_tool_fini(struct pgo_tool *t)
{
	pgo_free(t->path);
	pgo_free(t->says);
	*t = (struct pgo_tool){0};
}
