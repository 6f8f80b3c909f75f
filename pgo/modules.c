/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/modules.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Behind the program's directory: installed; built in a directory of the tree. */
static const char *const places[] = {"../share/pgo/modules", "../pgo/modules"};

char *pgo_modules_dir(struct pgo_err *err)
{
	char self[PATH_MAX], real[PATH_MAX], *slash;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t i = 0; slash != NULL && i < sizeof places / sizeof *places; i++) {
		char *path = pgo_asprintf("%s/%s/make/pgo.mk", self, places[i]), *end;
		bool there = path != NULL && realpath(path, real) != NULL;

		pgo_free(path);
		if (!there)
			continue;
		end = strstr(real, "/make/pgo.mk");
		if (end != NULL) {
			*end = '\0';
			path = pgo_strdup(real);
			if (path == NULL)
				pgo_err_nomem(err);
			return path;
		}
	}
	pgo_err_set(err, PGO_ENOTFOUND,
		"the modules for build systems are not where they belong, %s/%s; install pgo with "
		"`make install`",
		self, places[0]);
	return NULL;
}
