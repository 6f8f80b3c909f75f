/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What unit tests share: cmocka's own preamble, a scratch directory that goes away with the test,
 * and files written and read whole.
 *
 *	static int up(void **state)
 *	{
 *		return scratch_up(state);
 *	}
 *	...
 *	char *path = scratch_path(*state, "in.txt");   // lives until scratch_down
 */
#ifndef PGO_TESTS_SCRATCH_H
#define PGO_TESTS_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* For cmocka_unit_test_setup_teardown(). */
int scratch_up(void **state);
int scratch_down(void **state);
const char *scratch_dir(void *state);
/* DIR/name; up to 64 of them. */
char *scratch_path(void *state, const char *name);
/* The same, with that content. */
char *scratch_file(void *state, const char *name, const void *data, size_t len);
/* Entries of the directory, hidden ones too, without "." and "..". */
size_t scratch_count(void *state);
/* Fails the test unless the file holds exactly these bytes. */
void assert_file(const char *path, const void *data, size_t len);
/* Fails the test unless `text` holds `part`. */
void assert_has(const char *text, const char *part);

#endif
