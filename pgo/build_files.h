/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that a build system depends on, in a directory of its build tree:
 *
 *	KEY-DIGEST.EXT	the profile, under a name that its content decides
 *	KEY.cflags	flags of compiling, and
 *	KEY.ldflags	of linking, for @FILE
 *	KEY.h		a comment that names the profile, for builds that know headers alone
 *	KEY.json	which profile it is: to stand beside the program, or in its section
 *			.pgo.build, where `pgo show` finds it
 *
 * Each is written only when it changes: an equal profile rebuilds nothing, and another one, or none,
 * changes KEY.cflags and so rebuilds all that depends on it.  The profile comes first, so that
 * nothing names what is not there.  Besides the present profile the one before it stays, for
 * compilers that still run.
 */
#ifndef PGO_BUILD_FILES_H
#define PGO_BUILD_FILES_H

#include "pgo/chosen.h"
#include "pgo/flags.h"

/* Copies the profile (NULL = none: nothing is done) and gives the name by which flags shall call it. */
int pgo_build_profile(const char *dir, const char *key, const struct pgo_chosen *chosen,
	const char *extension, char **ret_path, struct pgo_err *err) PGO_MUST_CHECK;
/* The others.  `profile` is what pgo_build_profile() gave, or NULL if none is used. */
int pgo_build_files(const char *dir, const char *key, const struct pgo_compiler *c,
	const struct pgo_flags *f, const struct pgo_chosen *chosen, const char *profile,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
