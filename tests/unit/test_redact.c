/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/redact.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"
#include "pgo/redaction.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/scratch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char text[] = "type samples/count\n"
			   "comment built by alice\n"
			   "doc https://example.com/secret\n"
			   "drop secret_.*\n"
			   "mapping 1000 5000 0 /opt/acme/checkout aabb\n"
			   "function pay /src/acme/pay.c 40\n"
			   "function parse /src/lib/parse.c 10\n"
			   "main;pay:41 5 host=web-1 customer=bob\n"
			   "main;parse:11 3 host=web-2\n"
			   "main;0x1234 2 host=web-2\n";

static struct pgo_redact *rules(const char *deny, const char *allow, const char *key)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_redact *r = pgo_redact_new(&err);

	pgo_redact_set_all(r, true);
	if (deny != NULL && pgo_redact_add_pattern(r, false, deny, &err) < 0)
		fail_msg("%s", err.msg);
	if (allow != NULL && pgo_redact_add_pattern(r, true, allow, &err) < 0)
		fail_msg("%s", err.msg);
	if (key != NULL && pgo_redact_set_key(r, key, &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static char *key_file(void *state, const char *name, const char *key)
{
	char *path = scratch_file(state, name, key, strlen(key));

	assert_int_equal(chmod(path, 0600), 0);
	return path;
}

/* The profile of `text` after redaction, as it would be written. */
static struct pgo_profile *redacted(
	const struct pgo_redact *r, const struct pgo_hosts *hosts, struct pgo_redact_account *a)
{
	struct pgo_profile *p = mkprofile(text);
	struct pgo_err err = PGO_ERR_INIT;

	if (pgo_redaction_apply(r, hosts, true, &p, a, &err) < 0)
		fail_msg("%s", err.msg);
	return p;
}

static struct pgo_buf bytes_of(const struct pgo_profile *p)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 1 << 20);
	assert_int_equal(pgo_pprof_encode(p, false, &b, NULL), 0);
	return b;
}

static void assert_holds(const struct pgo_buf *b, const char *part, bool want)
{
	bool have = memmem(b->data, b->len, part, strlen(part)) != NULL;

	if (have != want)
		fail_msg("\"%s\" is %s", part, have ? "there" : "missing");
}

static void count_finding(void *ctx, const char *sentence)
{
	(void)sentence;
	++*(uint64_t *)ctx;
}

/* What the check finds in the bytes. */
static uint64_t findings(const struct pgo_redact *r, const struct pgo_buf *b)
{
	struct pgo_profile *p = pgo_pprof_load_memory("bytes", b->data, b->len, NULL, NULL);
	uint64_t told = 0, n = 0;

	assert_non_null(p);
	assert_int_equal(pgo_redact_check(r, p, count_finding, &told, &n, NULL), 0);
	assert_true(told == n);
	pgo_profile_free(p);
	return n;
}

static void without_patterns_every_name_goes(void **state)
{
	static const char *const secrets[] = {"main", "pay", "parse", "acme", "checkout", "alice",
		"example", "secret", "web-1", "bob", "customer"};
	struct pgo_redact *r = rules(NULL, NULL, NULL);
	struct pgo_redact_account a;
	struct pgo_profile *p = redacted(r, NULL, &a);
	struct pgo_buf b = bytes_of(p);

	(void)state;
	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
		assert_holds(&b, secrets[i], false);
	assert_holds(&b, PGO_REDACT_HIDDEN, true);
	assert_holds(&b, "aabb", true); /* build-ids stay */
	assert_int_equal(a.functions_hidden, 3);
	assert_int_equal(a.labels_dropped, 4);
	assert_int_equal(a.comments_dropped, 1);
	assert_int_equal(findings(r, &b), 0);
	/* main;pay and main;parse have become one. */
	assert_int_equal(p->n_samples, 2);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
	pgo_redact_free(r);
}

static void a_denied_source_file_hides_its_functions(void **state)
{
	struct pgo_redact *r = rules("*acme*", NULL, NULL);
	struct pgo_redact_account a;
	struct pgo_profile *p = redacted(r, NULL, &a);
	struct pgo_buf b = bytes_of(p);

	(void)state;
	assert_holds(&b, "pay", false);
	assert_holds(&b, "acme", false);
	assert_holds(&b, "parse", true);
	assert_holds(&b, "main", true);
	assert_int_equal(findings(r, &b), 0);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
	pgo_redact_free(r);
}

static void only_what_is_allowed_is_shown(void **state)
{
	struct pgo_redact *r = rules("~secret", "pa*", NULL);
	struct pgo_redact_account a;
	struct pgo_profile *p = redacted(r, NULL, &a);
	struct pgo_buf b = bytes_of(p);

	(void)state;
	assert_holds(&b, "main", false);
	assert_holds(&b, "pay", true);
	assert_holds(&b, "parse", true);
	assert_int_equal(a.functions_hidden, 1);
	assert_int_equal(findings(r, &b), 0);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
	pgo_redact_free(r);
}

static void one_key_gives_one_hash_and_twice_is_once(void **state)
{
	char *key = key_file(*state, "key", "0123456789abcdef0123456789abcdef\n");
	char *other = key_file(*state, "other", "0123456789abcdef0123456789abcdeX\n");
	struct pgo_redact *r = rules(NULL, NULL, key), *again = rules(NULL, NULL, other);
	struct pgo_redact_account a;
	struct pgo_profile *p = redacted(r, NULL, &a), *q = redacted(again, NULL, &a);
	struct pgo_buf b = bytes_of(p), c = bytes_of(q), twice;

	/* HMAC-SHA-256 of "function\0main" by another implementation. */
	assert_holds(&b, "h:e2523d95225bad2d34124f5c52f5a0c3", true);
	assert_holds(&c, "h:e2523d95225bad2d34124f5c52f5a0c3", false);
	assert_int_equal(p->n_samples, 3);
	assert_int_equal(findings(r, &b), 0);
	assert_int_equal(pgo_redaction_apply(again, NULL, true, &p, &a, NULL), 0);
	assert_int_equal(a.functions_hidden, 0);
	twice = bytes_of(p);
	assert_int_equal(twice.len, b.len);
	assert_memory_equal(twice.data, b.data, b.len);
	pgo_buf_fini(&b);
	pgo_buf_fini(&c);
	pgo_buf_fini(&twice);
	pgo_profile_free(p);
	pgo_profile_free(q);
	pgo_redact_free(r);
	pgo_redact_free(again);
}

static void keys_that_others_may_read_or_guess_are_refused(void **state)
{
	char *open = scratch_file(*state, "open", "0123456789abcdef", 16);
	char *brief = key_file(*state, "brief", "0123456789abcde\n");
	struct pgo_redact *r = rules(NULL, NULL, NULL);
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(chmod(open, 0640), 0);
	assert_int_equal(pgo_redact_set_key(r, open, &err), PGO_EUSAGE);
	assert_has(err.msg, "mode 640");
	assert_int_equal(pgo_redact_set_key(r, brief, &err), PGO_EUSAGE);
	assert_has(err.msg, "15 bytes");
	pgo_redact_free(r);
}

static void functions_of_few_hosts_are_rare(void **state)
{
	struct pgo_redact *r = rules("nothing", NULL, NULL);
	struct pgo_hosts *one = pgo_hosts_new(2, NULL), *both = pgo_hosts_new(2, NULL);
	struct pgo_reader *base = mkreader(text), *w = pgo_hosts_watch(one, base, "web-9", NULL);
	struct pgo_redact_account a;
	struct pgo_sample s;
	struct pgo_profile *p;
	struct pgo_buf b;

	(void)state;
	while (pgo_reader_next(w, &s, NULL) > 0)
		;
	pgo_reader_close(w);
	pgo_reader_close(base);
	/* The label of the sample goes before the host of the input. */
	assert_int_equal(pgo_hosts_of(one, "main"), 2);
	assert_int_equal(pgo_hosts_of(one, "pay"), 1);
	assert_int_equal(pgo_hosts_of(one, "none"), 0);
	assert_int_equal(pgo_hosts_join(both, one, NULL), 0);
	assert_int_equal(pgo_hosts_join(both, one, NULL), 0);
	assert_int_equal(pgo_hosts_of(both, "pay"), 1);
	p = redacted(r, both, &a);
	b = bytes_of(p);
	assert_holds(&b, "main", true);
	assert_holds(&b, "pay", false);
	assert_holds(&b, "parse", false);
	assert_holds(&b, PGO_REDACT_RARE, true);
	assert_int_equal(a.functions_rare, 2);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
	pgo_hosts_free(one);
	pgo_hosts_free(both);
	pgo_redact_free(r);
}

/* The check, against every way in which a name can be left. */
static void the_check_finds_what_is_left_wherever_it_stands(void **state)
{
	static const char *const lines[] = {"comment pay day", "doc https://pay", "drop pay",
		"mapping 1000 5000 0 /bin/pay aa", "pay 1", "x:3 1\nfunction f pay.c 1\nf 1",
		"main 1 who=pay"};
	struct pgo_redact *r = rules("*pay*", NULL, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char *all = pgo_asprintf("type samples/count\n%s\n0x1200 4\n", lines[i]);
		struct pgo_profile *p = mkprofile(all);
		struct pgo_redact_account a;
		struct pgo_buf b = bytes_of(p);

		assert_true(findings(r, &b) != 0);
		pgo_buf_fini(&b);
		assert_int_equal(pgo_redaction_apply(r, NULL, true, &p, &a, NULL), 0);
		b = bytes_of(p);
		assert_int_equal(findings(r, &b), 0);
		assert_holds(&b, "pay", false);
		pgo_buf_fini(&b);
		pgo_profile_free(p);
		pgo_free(all);
	}
	pgo_redact_free(r);
}

/* A string that nothing names can still be read. */
static void the_check_reads_strings_that_nothing_names(void **state)
{
	struct pgo_redact *r = rules("*pay*", NULL, NULL);
	struct pgo_profile *p = mkprofile("type samples/count\nmain 1\n");
	struct pgo_buf b = bytes_of(p);

	(void)state;
	assert_int_equal(findings(r, &b), 0);
	pgo_buf_add(&b, "\x32\x05mypay", 7); /* field 6, a string */
	assert_int_equal(findings(r, &b), 1);
	pgo_buf_fini(&b);
	pgo_profile_free(p);
	pgo_redact_free(r);
}

static void rules_come_from_a_file(void **state)
{
	static const char good[] = "# names\ndeny *acme*\n\nallow ~^pa\n",
			  bad[] = "deny x\nhide y\n";
	char *file = scratch_file(*state, "rules", good, strlen(good));
	char *wrong = scratch_file(*state, "wrong", bad, strlen(bad));
	struct pgo_redact *r = rules(NULL, NULL, NULL);
	struct pgo_err err = PGO_ERR_INIT;

	assert_int_equal(pgo_redact_add_file(r, file, &err), 0);
	assert_true(pgo_redact_hides(r, "acme_pay"));
	assert_false(pgo_redact_hides(r, "parse"));
	assert_true(pgo_redact_hides(r, "main"));
	assert_int_equal(pgo_redact_add_file(r, wrong, &err), PGO_EUSAGE);
	assert_has(err.msg, "wrong:2");
	pgo_redact_free(r);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_patterns_every_name_goes),
		cmocka_unit_test(a_denied_source_file_hides_its_functions),
		cmocka_unit_test(only_what_is_allowed_is_shown),
		WITH_DIR(one_key_gives_one_hash_and_twice_is_once),
		WITH_DIR(keys_that_others_may_read_or_guess_are_refused),
		cmocka_unit_test(functions_of_few_hosts_are_rare),
		cmocka_unit_test(the_check_finds_what_is_left_wherever_it_stands),
		cmocka_unit_test(the_check_reads_strings_that_nothing_names),
		WITH_DIR(rules_come_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
