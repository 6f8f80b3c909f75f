/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of programs to ask for profiles, and the answers of name servers. */
#include "fetch/dns.h"
#include "fetch/targets.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

static const struct pgo_target_rule rule = {"http", NULL, "/p?seconds=3"};

/* "URL KEY=VALUE...\n" of each. */
static void say(const struct pgo_targets *t, struct pgo_buf *out)
{
	pgo_buf_init(out, 1 << 16);
	pgo_buf_puts(out, "");
	for (size_t i = 0; i < t->n; i++) {
		pgo_buf_puts(out, t->of[i].url);
		for (size_t k = 0; k < t->of[i].n_labels; k++)
			pgo_buf_printf(
				out, " %s=%s", t->of[i].labels[k].key, t->of[i].labels[k].value);
		pgo_buf_puts(out, "\n");
	}
}

static void becomes_by(const struct pgo_target_rule *by, const char *text, const char *want)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_targets t = {0};
	struct pgo_buf out;

	if (pgo_targets_parse(&t, by, "list", text, strlen(text), &err) != 0)
		fail_msg("%s", err.msg);
	pgo_targets_sort(&t);
	say(&t, &out);
	assert_string_equal(out.data != NULL ? out.data : "", want);
	pgo_buf_fini(&out);
	pgo_targets_fini(&t);
}

static void fails(const struct pgo_target_rule *by, const char *text, const char *why)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_targets t = {0};

	assert_true(pgo_targets_parse(&t, by, "list", text, strlen(text), &err) < 0);
	assert_has(err.msg, why);
	pgo_targets_fini(&t);
}

static void addresses_of_every_form_become_urls(void **state)
{
	static const struct pgo_target_rule tls = {"https", "6060", "/p"};

	(void)state;
	becomes_by(&tls, "web\nweb:1\n[::1]:2\n::1\nhttp://h:3\nhttps://h/q?x\n",
		"http://h:3/p instance=h:3 host=h\n"
		"https://[::1]:2/p instance=[::1]:2 host=::1\n"
		"https://[::1]:6060/p instance=[::1]:6060 host=::1\n"
		"https://h/q?x instance=h host=h\n"
		"https://web:1/p instance=web:1 host=web\n"
		"https://web:6060/p instance=web:6060 host=web\n");
	fails(&rule, "ok\n\nfile:///etc/passwd\n",
		"list, line 3: 'file:///etc/passwd' is no target");
	fails(&rule, "h key\n", "'key' is no label");
	fails(&rule, ":80\n", "is no target");
}

static void a_password_of_a_target_is_in_no_name(void **state)
{
	static const char text[] = "http://me:secret@h/p\n";
	struct pgo_targets t = {0};

	(void)state;
	assert_int_equal(pgo_targets_parse(&t, &rule, "list", text, strlen(text), NULL), 0);
	assert_has(t.of[0].url, "secret");
	assert_null(strstr(t.of[0].name, "secret"));
	for (size_t i = 0; i < t.of[0].n_labels; i++)
		assert_null(strstr(t.of[0].labels[i].value, "secret"));
	pgo_targets_fini(&t);
}

static void prometheus_groups_carry_labels_scheme_and_seconds(void **state)
{
	(void)state;
	becomes_by(&rule,
		" [{\"targets\":[\"a:1\",\"b\"],\"labels\":{\"job\":\"x\",\"__meta\":\"y\","
		"\"__scheme__\":\"https\",\"__param_seconds\":\"60\"}},{\"targets\":[\"c\"]}]",
		"http://c/p?seconds=3 instance=c host=c\n"
		"https://a:1/p?seconds=60 job=x instance=a:1 host=a\n"
		"https://b/p?seconds=60 job=x instance=b host=b\n");
	fails(&rule, "[{\"labels\":{}}]", "group 0");
}

static void kubernetes_ports_are_chosen_by_name_number_or_being_alone(void **state)
{
	static const struct pgo_target_rule named = {"http", "dbg", "/p"},
					    number = {"http", "9", "/p"};
	static const char two[] =
		"{\"kind\":\"Endpoints\",\"metadata\":{\"name\":\"s\"},\"subsets\":[{"
		"\"addresses\":[{\"ip\":\"10.0.0.1\"},{\"ip\":\"fd00::1\"}],\"ports\":["
		"{\"name\":\"web\",\"port\":1},{\"name\":\"dbg\",\"port\":2}]}]}";
	static const char one[] =
		"{\"items\":[{\"metadata\":{\"name\":\"s-x\"},\"ports\":[{\"port\":7}],"
		"\"endpoints\":[{\"addresses\":[\"10.0.0.1\",\"10.0.0.2\"]}]},{}]}";

	(void)state;
	becomes_by(&named, two,
		"http://10.0.0.1:2/p service=s instance=10.0.0.1:2 host=10.0.0.1\n"
		"http://[fd00::1]:2/p service=s instance=[fd00::1]:2 host=fd00::1\n");
	becomes_by(&number, two,
		"http://10.0.0.1:9/p service=s instance=10.0.0.1:9 host=10.0.0.1\n"
		"http://[fd00::1]:9/p service=s instance=[fd00::1]:9 host=fd00::1\n");
	fails(&rule, two, "web (1), dbg (2)");
	becomes_by(&rule, one,
		"http://10.0.0.1:7/p?seconds=3 service=s-x instance=10.0.0.1:7 "
		"host=10.0.0.1\n");
	fails(&rule, "{\"kind\":\"Pod\"}", "kind 'Pod'");
}

/* ---------------------------------------------------------------- DNS */

static int note(void *ctx, const char *host, uint16_t port, struct pgo_err *err)
{
	(void)err;
	pgo_buf_printf(ctx, "%s %u\n", host, port);
	return 0;
}

#define QUESTION "\x04_svc\x04test\x00\x00\x21\x00\x01"
#define HEADER(answers) "\x12\x34\x81\x80\x00\x01\x00" answers "\x00\x00\x00\x00"
#define RECORD(type, len) "\xc0\x0c\x00" type "\x00\x01\x00\x00\x00\x3c\x00" len

static void answers_of_the_type_asked_for_are_told(void **state)
{
	static const char message[] = HEADER("\x04")
		QUESTION RECORD("\x21", "\x0e") "\x00\x01\x00\x01\x17\xac\x05web-1\xc0\x11" RECORD(
			"\x21", "\x07") "\x00\x01\x00\x01\x17\xac\x00" RECORD("\x01",
			"\x04") "\x7f\x00\x00\x02" RECORD("\x1c",
			"\x10") "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01";
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;

	(void)state;
	pgo_buf_init(&out, 1 << 16);
	for (int i = 0; i < 3; i++) {
		static const int types[] = {PGO_DNS_SRV, PGO_DNS_A, PGO_DNS_AAAA};

		if (pgo_dns_parse(message, sizeof message - 1, types[i], note, &out, &err) != 0)
			fail_msg("%s", err.msg);
	}
	assert_string_equal(out.data, "web-1.test 6060\n127.0.0.2 0\n::1 0\n");
	/* Cut off anywhere it is damaged. */
	for (size_t n = 0; n < sizeof message - 1; n++)
		assert_int_equal(
			pgo_dns_parse(message, n, PGO_DNS_SRV, note, &out, &err), PGO_EFORMAT);
	pgo_buf_fini(&out);
}

static void names_that_point_at_themselves_end(void **state)
{
	static const char loop[] = HEADER("\x01") "\xc0\x0c\x00\x21\x00\x01";
	static const char slash[] = HEADER("\x01") "\x03"
						   "a/b\x00\x00\x21\x00\x01";
	static const char none[] = "\x12\x34\x81\x83\x00\x00\x00\x00\x00\x00\x00\x00";
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(
		pgo_dns_parse(loop, sizeof loop - 1, PGO_DNS_A, note, NULL, &err), PGO_EFORMAT);
	assert_int_equal(
		pgo_dns_parse(slash, sizeof slash - 1, PGO_DNS_A, note, NULL, &err), PGO_EFORMAT);
	assert_int_equal(
		pgo_dns_parse(none, sizeof none - 1, PGO_DNS_A, note, NULL, &err), PGO_ENOTFOUND);
}

static void running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
	static const char endpoints[] =
		"{\"kind\":\"Endpoints\",\"subsets\":[{\"addresses\":[{\"ip\":\"1.2.3.4\"}],"
		"\"ports\":[{\"port\":7}]}]}";
	static const char *const texts[] = {
		"a:1 x=y\nb\n", "[{\"targets\":[\"a:1\"],\"labels\":{\"job\":\"x\"}}]", endpoints};
	uint64_t before = pgo_alloc_live();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int rc = -1;

		for (uint64_t n = 0; rc != 0 && n < 200; n++) {
			struct pgo_err err = PGO_ERR_INIT;
			struct pgo_targets t = {0};

			pgo_alloc_fail_after(n);
			rc = pgo_targets_parse(&t, &rule, "list", texts[i], strlen(texts[i]), &err);
			pgo_alloc_fail_after(UINT64_MAX);
			pgo_targets_fini(&t);
			assert_int_equal(pgo_alloc_live(), before);
			if (rc < 0 && err.code != PGO_ENOMEM)
				fail_msg("%s", err.msg);
		}
		assert_int_equal(rc, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_every_form_become_urls),
		cmocka_unit_test(a_password_of_a_target_is_in_no_name),
		cmocka_unit_test(prometheus_groups_carry_labels_scheme_and_seconds),
		cmocka_unit_test(kubernetes_ports_are_chosen_by_name_number_or_being_alone),
		cmocka_unit_test(answers_of_the_type_asked_for_are_told),
		cmocka_unit_test(names_that_point_at_themselves_end),
		cmocka_unit_test(running_out_of_memory_anywhere_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
