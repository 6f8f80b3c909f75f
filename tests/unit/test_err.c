/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/err.h"
#include "tests/lib/scratch.h"

#include <errno.h>
#include <string.h>

static void set_returns_the_code_and_keeps_the_sentence(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(
		pgo_err_set(&err, PGO_EFORMAT, "sample %d: no location", 118), PGO_EFORMAT);
	assert_int_equal(err.code, PGO_EFORMAT);
	assert_string_equal(err.msg, "sample 118: no location");
}

static void prefixes_build_up_from_the_inside_out(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	(void)pgo_err_set(&err, PGO_ELIMIT, "too long");
	assert_int_equal(pgo_err_prefix(&err, "sample %d", 3), PGO_ELIMIT);
	assert_int_equal(pgo_err_prefix(&err, "%s", "web.pb.gz"), PGO_ELIMIT);
	assert_string_equal(err.msg, "web.pb.gz: sample 3: too long");
}

static void errno_text_is_appended_and_errno_survives(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(pgo_err_errno(&err, PGO_EIO, "f: cannot be opened"), PGO_EIO);
	assert_string_equal(err.msg, "f: cannot be opened: No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void a_null_err_is_allowed_everywhere(void **state)
{
	(void)state;
	assert_int_equal(pgo_err_set(NULL, PGO_ENET, "x"), PGO_ENET);
	assert_int_equal(pgo_err_errno(NULL, PGO_EIO, "x"), PGO_EIO);
	assert_int_equal(pgo_err_nomem(NULL), PGO_ENOMEM);
	assert_true(pgo_err_prefix(NULL, "x") < 0);
	pgo_err_clear(NULL);
}

static void long_texts_are_cut_and_stay_terminated(void **state)
{
	char text[3 * PGO_ERR_MAX];
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	memset(text, 'a', sizeof text);
	text[sizeof text - 1] = '\0';
	(void)pgo_err_set(&err, PGO_EIO, "%s", text);
	assert_int_equal(strlen(err.msg), PGO_ERR_MAX - 1);
	(void)pgo_err_prefix(&err, "front");
	assert_int_equal(strlen(err.msg), PGO_ERR_MAX - 1);
	assert_memory_equal(err.msg, "front: aaa", 10);
	errno = EACCES;
	(void)pgo_err_errno(&err, PGO_EIO, "%s", text);
	assert_int_equal(strlen(err.msg), PGO_ERR_MAX - 1);
	(void)pgo_err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.msg), PGO_ERR_MAX - 1);
}

static void the_message_may_be_an_argument_of_its_successor(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	(void)pgo_err_set(&err, PGO_EIO, "inner");
	(void)pgo_err_set(&err, PGO_ENET, "outer (%s)", err.msg);
	assert_string_equal(err.msg, "outer (inner)");
}

static void clear_forgets_code_and_text(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	(void)pgo_err_nomem(&err);
	assert_int_equal(err.code, PGO_ENOMEM);
	pgo_err_clear(&err);
	assert_int_equal(err.code, PGO_OK);
	assert_string_equal(err.msg, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_returns_the_code_and_keeps_the_sentence),
		cmocka_unit_test(prefixes_build_up_from_the_inside_out),
		cmocka_unit_test(errno_text_is_appended_and_errno_survives),
		cmocka_unit_test(a_null_err_is_allowed_everywhere),
		cmocka_unit_test(long_texts_are_cut_and_stay_terminated),
		cmocka_unit_test(the_message_may_be_an_argument_of_its_successor),
		cmocka_unit_test(clear_forgets_code_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
