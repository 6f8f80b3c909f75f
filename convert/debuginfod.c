/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/debuginfod.h"

#include "pgo/core/alloc.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libdebuginfod.so.1"

/* Of the library's interface: as elfutils' manual page debuginfod_find_debuginfo(3) has it. */
struct library {
	void *handle, *client;
	void *(*begin)(void);
	int (*find)(void *client, const unsigned char *build_id, int len, char **path);
	void (*end)(void *client);
};

static int load(struct library *l, struct pgo_err *err)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	if (urls == NULL || urls[strspn(urls, " ")] == '\0')
		return pgo_err_set(err, PGO_ENOTFOUND,
			"debuginfod: the environment variable DEBUGINFOD_URLS names no server");
	l->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (l->handle == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"debuginfod: the library %s is not installed (Debian: libdebuginfod1)",
			LIBRARY);
	*(void **)&l->begin = dlsym(l->handle, "debuginfod_begin");
	*(void **)&l->find = dlsym(l->handle, "debuginfod_find_debuginfo");
	*(void **)&l->end = dlsym(l->handle, "debuginfod_end");
	if (l->begin != NULL && l->find != NULL && l->end != NULL)
		l->client = l->begin();
	return l->client != NULL
		       ? 0
		       : pgo_err_set(err, PGO_ENOTFOUND, "debuginfod: %s cannot be used", LIBRARY);
}

char *pgo_debuginfod_find(const char *build_id, struct pgo_err *err)
{
	struct library l = {0};
	char *theirs = NULL, *path = NULL;
	int fd;

	if (load(&l, err) == 0) {
		/* A length of 0 says that the id is text. */
		fd = l.find(l.client, (const unsigned char *)build_id, 0, &theirs);
		if (fd < 0) {
			(void)pgo_err_set(err, PGO_ENOTFOUND,
				"debuginfod: no debug information of build %s (%s)", build_id,
				strerror(-fd));
		} else {
			close(fd);
			path = pgo_strdup(theirs);
			if (path == NULL)
				(void)pgo_err_nomem(err);
		}
		free(theirs); /* the library's own */
		l.end(l.client);
	}
	if (l.handle != NULL)
		dlclose(l.handle);
	return path;
}
