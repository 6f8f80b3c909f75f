/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's profiles: forms, revisions, what becomes of resources, samples and build-ids. */
#include "fetch/examine.h"
#include "fetch/import.h"
#include "fetch/otlp.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/elf.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- protobuf by hand */

static void put_number(struct pgo_buf *b, unsigned field, uint64_t v)
{
	pgo_buf_uleb(b, field << 3);
	pgo_buf_uleb(b, v);
}

static void put_time(struct pgo_buf *b, unsigned field, uint64_t v)
{
	pgo_buf_uleb(b, field << 3 | 1);
	pgo_buf_u64le(b, v);
}

static void put_bytes(struct pgo_buf *b, unsigned field, const void *data, size_t len)
{
	pgo_buf_uleb(b, field << 3 | 2);
	pgo_buf_uleb(b, len);
	pgo_buf_add(b, data, len);
}

static void put_text(struct pgo_buf *b, unsigned field, const char *s)
{
	put_bytes(b, field, s, strlen(s));
}

/* Takes the inner message. */
static void put_message(struct pgo_buf *b, unsigned field, struct pgo_buf *inner)
{
	put_bytes(b, field, inner->data != NULL ? inner->data : "", inner->len);
	pgo_buf_fini(inner);
}

static struct pgo_buf start(void)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 1 << 20);
	return b;
}

/* Numbers below 128 as one packed field. */
static void put_list(struct pgo_buf *b, unsigned field, const char *numbers)
{
	struct pgo_buf in = start();

	for (; *numbers != '\0'; numbers++)
		pgo_buf_uleb(&in, (uint64_t)(*numbers - '0'));
	put_message(b, field, &in);
}

static void put_times(struct pgo_buf *b, unsigned field, unsigned n)
{
	struct pgo_buf in = start();

	for (unsigned i = 0; i < n; i++)
		pgo_buf_u64le(&in, 1000 + i);
	put_message(b, field, &in);
}

/* Strings "" a b file type unit; attributes (none) a=b b=a a=7; one mapping; two locations; two
 * stacks: 1 is one location, 2 both. */
static struct pgo_buf dictionary(void)
{
	static const char *const strings[] = {"", "a", "b", "file", "samples", "count"};
	struct pgo_buf d = start(), m;

	m = start();
	put_message(&d, 1, &m);
	m = start();
	put_number(&m, 1, 0x1000);
	put_number(&m, 2, 0x3000);
	put_number(&m, 3, 0x1000);
	put_number(&m, 4, 3);
	put_message(&d, 1, &m);
	for (unsigned i = 0; i < 3; i++) {
		m = start();
		if (i > 0) {
			put_number(&m, 1, 1);
			put_number(&m, 2, 0x1000 + 0x100 * i);
		}
		put_message(&d, 2, &m);
	}
	for (size_t i = 0; i < 6; i++)
		put_text(&d, 5, strings[i]);
	for (unsigned i = 0; i < 3; i++) {
		struct pgo_buf value = start();

		m = start();
		if (i > 0) {
			put_number(&m, 1, i);
			put_text(&value, 1, i == 1 ? "b" : "a");
			put_message(&m, 2, &value);
		}
		pgo_buf_fini(&value);
		put_message(&d, 6, &m);
	}
	for (unsigned i = 0; i < 3; i++) {
		m = start();
		if (i > 0)
			put_list(&m, 1, i == 1 ? "1" : "12");
		put_message(&d, 7, &m);
	}
	return d;
}

/* A message with these samples (taken) in one profile. */
static struct pgo_buf data(struct pgo_buf *samples, size_t n)
{
	struct pgo_buf all = start(), resource = start(), scope = start(), p = start();
	struct pgo_buf type = start(), d = dictionary();

	put_number(&type, 1, 4);
	put_number(&type, 2, 5);
	put_message(&p, 1, &type);
	for (size_t i = 0; i < n; i++)
		put_message(&p, 2, &samples[i]);
	put_time(&p, 3, 1000000000000000000);
	put_number(&p, 4, 5000000000);
	put_message(&scope, 2, &p);
	put_message(&resource, 2, &scope);
	put_message(&all, 1, &resource);
	put_message(&all, 2, &d);
	return all;
}

/* ---------------------------------------------------------------- reading */

static const struct pgo_import_options plain = {.labels = true, .split_processes = true};

static struct pgo_imported read_ok(const void *bytes, size_t len)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;

	assert_true(pgo_otlp_probe(bytes, len));
	if (pgo_import_memory("x", bytes, len, &plain, &in, &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(in.kind, PGO_INPUT_OTLP);
	assert_int_equal(in.stats.samples, in.stats.samples_used + in.stats.samples_no_data);
	return in;
}

static void read_fails(const void *bytes, size_t len, int code, const char *why)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;

	assert_int_equal(pgo_import_memory("x", bytes, len, &plain, &in, &err), code);
	assert_has(err.msg, why);
}

/* "LOC LOC: VALUE...; KEY=VALUE ...\n" of all profiles, with a line "GROUP HOST:" before each. */
static void say(const struct pgo_imported *in, struct pgo_buf *out)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct pgo_profile *p = in->profiles[i];

		pgo_buf_printf(out, "%s %s:", in->groups[i], in->hosts[i]);
		for (size_t k = 0; k < p->n_sample_types; k++)
			pgo_buf_printf(out, " %s", pgo_profile_str(p, p->sample_types[k].type));
		pgo_buf_puts(out, "\n");
		for (size_t k = 0; k < p->n_samples; k++) {
			struct pgo_sample s = pgo_profile_sample(p, k);

			for (uint32_t j = 0; j < s.n_loc; j++)
				pgo_buf_printf(
					out, "%lx ", (unsigned long)p->locations[s.loc[j]].addr);
			pgo_buf_puts(out, "=");
			for (size_t j = 0; j < p->n_sample_types; j++)
				pgo_buf_printf(out, " %ld", (long)s.value[j]);
			for (uint32_t j = 0; j < s.n_label; j++)
				pgo_buf_printf(out, " %s:%s%ld", pgo_profile_str(p, s.label[j].key),
					pgo_profile_str(p, s.label[j].str), (long)s.label[j].num);
			pgo_buf_puts(out, "\n");
		}
	}
}

static void becomes(struct pgo_buf *message, const char *want)
{
	struct pgo_imported in = read_ok(message->data, message->len);
	struct pgo_buf out = start();

	say(&in, &out);
	assert_string_equal(out.data, want);
	pgo_buf_fini(&out);
	pgo_imported_fini(&in);
	pgo_buf_fini(message);
}

static void json_becomes(const char *text, const char *want)
{
	struct pgo_buf b = start();

	pgo_buf_puts(&b, text);
	becomes(&b, want);
}

/* ---------------------------------------------------------------- revisions */

static struct pgo_buf sample(
	unsigned stack, const char *second, const char *fourth, const char *third, unsigned times)
{
	struct pgo_buf s = start();

	put_number(&s, 1, stack);
	if (second != NULL)
		put_list(&s, 2, second);
	if (third != NULL)
		put_list(&s, 3, third);
	if (fourth != NULL)
		put_list(&s, 4, fourth);
	if (times > 0)
		put_times(&s, 5, times);
	return s;
}

static void values_stand_where_the_revision_has_them(void **state)
{
	struct pgo_buf s[2], b;

	(void)state;
	/* Attributes second, values fourth; the other sample says nothing about it. */
	s[0] = sample(1, "1", "35", NULL, 0);
	s[1] = sample(2, NULL, NULL, NULL, 4);
	b = data(s, 2);
	becomes(&b, "unknown : samples\n1100 = 8 a:b0\n1100 1200 = 4\n");
	/* Values second, attributes third. */
	s[0] = sample(1, "35", NULL, "1", 0);
	s[1] = sample(2, NULL, NULL, NULL, 4);
	b = data(s, 2);
	becomes(&b, "unknown : samples\n1100 = 8 a:b0\n1100 1200 = 4\n");
	/* Nothing but a list and no time: a sample without values and times cannot be. */
	s[0] = sample(1, "2", NULL, NULL, 0);
	b = data(s, 1);
	becomes(&b, "unknown : samples\n1100 = 2\n");
}

static void a_list_beside_times_is_told_by_its_length_and_range(void **state)
{
	struct pgo_buf s[2], b;

	(void)state;
	/* Three times, two numbers: attributes. */
	s[0] = sample(1, "12", NULL, NULL, 3);
	b = data(s, 1);
	becomes(&b, "unknown : samples\n1100 = 3 a:b0 b:a0\n");
	/* As many: could be both, so the current revision. */
	s[0] = sample(1, "12", NULL, NULL, 2);
	b = data(s, 1);
	becomes(&b, "unknown : samples\n1100 = 2 a:b0 b:a0\n");
	/* No attributes of these numbers, or one twice: values. */
	s[0] = sample(1, "19", NULL, NULL, 2);
	b = data(s, 1);
	becomes(&b, "unknown : samples\n1100 = 10\n");
	s[0] = sample(1, "22", NULL, NULL, 2);
	b = data(s, 1);
	becomes(&b, "unknown : samples\n1100 = 4\n");
}

static void two_revisions_in_one_message_are_refused(void **state)
{
	struct pgo_buf s[2], b;

	(void)state;
	s[0] = sample(1, "1", "3", NULL, 0);
	s[1] = sample(1, "3", NULL, "1", 0);
	b = data(s, 2);
	read_fails(b.data, b.len, PGO_EFORMAT, "more than one revision");
	pgo_buf_fini(&b);
}

static void without_a_dictionary_it_is_refused(void **state)
{
	/* The shape of traces, too. */
	static const char bytes[] = "\x0a\x09\x0a\x07\x0a\x05\x0a\x01k\x12\x00";

	(void)state;
	assert_true(pgo_otlp_probe(bytes, sizeof bytes - 1));
	read_fails(bytes, sizeof bytes - 1, PGO_EFORMAT, "no dictionary");
}

/* ---------------------------------------------------------------- what it says */

#define DICTIONARY                                                                                 \
	"\"dictionary\":{\"mappingTable\":[{},{\"memoryStart\":\"4096\",\"memoryLimit\":"          \
	"\"12288\","                                                                               \
	"\"fileOffset\":4096,\"filenameStrindex\":3,\"attributeIndices\":[3,4]}],"                 \
	"\"locationTable\":"                                                                       \
	"[{},{\"mappingIndex\":1,\"address\":\"4352\"},{\"mappingIndex\":1,\"address\":4608},"     \
	"{\"lines\":[{\"functionIndex\":1,\"line\":7}]}],\"functionTable\":[{},{\"nameStrindex\":" \
	"6}],"                                                                                     \
	"\"stringTable\":[\"\",\"samples\",\"count\",\"app\",\"cpu\",\"nanoseconds\",\"main.py\"," \
	"\"process.executable.build_id.gnu\",\"process.executable.build_id.htlhash\",\"tier\","    \
	"\"thread.name\"],\"attributeTable\":[{},{\"keyStrindex\":9,\"value\":{\"stringValue\":"   \
	"\"gold\"}},{\"keyStrindex\":10,\"value\":{\"stringValue\":\"t1\"}},{\"keyStrindex\":7,"   \
	"\"value\":{\"stringValue\":\"%s\"}},{\"keyStrindex\":8,\"value\":{\"stringValue\":\"%"    \
	"s\"}}],"                                                                                  \
	"\"stackTable\":[{},{\"locationIndices\":[1]},{\"locationIndices\":[2,1]},"                \
	"{\"locationIndices\":[3]}]}"

static char *message(const char *resources, const char *gnu, const char *file_id)
{
	char dict[4096], *text;

	snprintf(dict, sizeof dict, DICTIONARY, gnu, file_id);
	text = pgo_asprintf("{\"resourceProfiles\":[%s],%s}\n", resources, dict);
	assert_non_null(text);
	return text;
}

#define ATTRIBUTE(k, v) "{\"key\":\"" k "\",\"value\":{\"stringValue\":\"" v "\"}}"
#define RESOURCE(attributes, profiles)                                                             \
	"{\"resource\":{\"attributes\":[" attributes                                               \
	"]},\"scopeProfiles\":[{\"profiles\":[" profiles "]}]}"
#define CPU(samples)                                                                               \
	"{\"sampleType\":{\"typeStrindex\":1,\"unitStrindex\":2},\"periodType\":{"                 \
	"\"typeStrindex\":4,"                                                                      \
	"\"unitStrindex\":5},\"period\":\"50\",\"samples\":[" samples "]}"
#define TIME(samples)                                                                              \
	"{\"sampleType\":{\"typeStrindex\":4,\"unitStrindex\":5},\"periodType\":{"                 \
	"\"typeStrindex\":4,"                                                                      \
	"\"unitStrindex\":5},\"period\":\"50\",\"samples\":[" samples "]}"

/* Another period: never in one profile with the others. */
#define OFF(samples)                                                                               \
	"{\"sampleType\":{\"typeStrindex\":4,\"unitStrindex\":5},\"period\":\"60\",\"samples\":"   \
	"[" samples "]}"

static void resources_and_programs_become_profiles_of_their_own(void **state)
{
	char *text = message(
		RESOURCE(ATTRIBUTE("host.name", "web-1") "," ATTRIBUTE("process.executable.name",
				 "app") "," ATTRIBUTE("process.pid", "7"),
			CPU("{\"stackIndex\":1,\"values\":[3]}")) "," RESOURCE(ATTRIBUTE("host."
											 "name",
										       "web-1") "," ATTRIBUTE("process.executable.name",
										       "app") "," ATTRIBUTE("process.pid",
										       "8"),
			CPU("{\"stackIndex\":1,\"values\":[4]}")) "," RESOURCE(ATTRIBUTE("host."
											 "name",
										       "web-2") "," ATTRIBUTE("service.name",
										       "s"),
			CPU("{\"stackIndex\":3,\"values\":[5],\"attributeIndices\":[1,2]}")),
		"aa", "bb");

	(void)state;
	json_becomes(text, "s web-2:"
			   " samples\n0 = 5 host:web-20 service:s0 tier:gold0\n"
			   "app web-1: samples\n1100 = 7 host:web-10\n");
	pgo_free(text);
}

static void sample_types_of_equal_stacks_are_columns(void **state)
{
	char *text = message(
		RESOURCE("",
			TIME("{\"stackIndex\":2,\"values\":[100]},"
			     "{\"stackIndex\":1,\"values\":[50]}") "," CPU("{\"stackIndex\":2,"
									   "\"values\":[1,1]}")),
		"aa", "bb");

	(void)state;
	json_becomes(text, "unknown : samples cpu\n1100 = 0 50\n1200 1100 = 2 100\n");
	pgo_free(text);
}

static void samples_without_value_or_stack_are_counted(void **state)
{
	char *text = message(RESOURCE("", CPU("{\"stackIndex\":1,\"values\":[0]},{\"values\":[4]},"
					      "{\"stackIndex\":1},{\"stackIndex\":1,"
					      "\"timestampsUnixNano\":[\"5\",\"6\"]}")),
		"aa", "bb");
	struct pgo_imported in = read_ok(text, strlen(text));

	(void)state;
	assert_int_equal(in.stats.samples, 4);
	assert_int_equal(in.stats.samples_used, 1);
	assert_int_equal(in.profiles[0]->n_samples, 1);
	assert_int_equal(pgo_profile_sample(in.profiles[0], 0).value[0], 2);
	pgo_imported_fini(&in);
	pgo_free(text);
}

static void the_build_id_is_the_gnu_one_else_that_of_the_file(void **state)
{
	const char *self = "/proc/self/exe";
	struct pgo_elf *e = pgo_elf_open(self, NULL);
	struct pgo_import_options o = {.binaries = &self, .n_binaries = 1, .labels = true};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_imported in;
	char id[33], *text;

	(void)state;
	assert_non_null(e);
	assert_true(e->build_id[0] != '\0');
	pgo_elf_file_id(e, id);
	for (int i = 0; i < 3; i++) {
		const char *gnu = i == 0 ? "abcd" : "", *file = i == 1 ? id : "0123";

		text = message(RESOURCE("", CPU("{\"stackIndex\":1,\"values\":[3]}")), gnu, file);
		if (pgo_import_memory("x", text, strlen(text), &o, &in, &err) != 0)
			fail_msg("%s", err.msg);
		assert_int_equal(in.profiles[0]->n_mappings, 1);
		assert_string_equal(
			pgo_profile_str(in.profiles[0], in.profiles[0]->mappings[0].build_id),
			i == 0   ? "abcd"
			: i == 1 ? e->build_id
				 : "0123");
		pgo_imported_fini(&in);
		pgo_free(text);
	}
	pgo_elf_close(e);
}

static void messages_one_after_the_other_are_one_recording(void **state)
{
	char *text = message(RESOURCE("", CPU("{\"stackIndex\":1,\"values\":[3]}")), "aa", "bb");
	struct pgo_buf s, frames = start(), lines = start(), m;

	(void)state;
	for (int i = 0; i < 5; i++)
		pgo_buf_printf(&lines, "%s%s", i % 2 != 0 ? "  \n" : "", text);
	becomes(&lines, "unknown : samples\n1100 = 15\n");
	for (int i = 0; i < 3; i++) {
		s = sample(1, "1", "35", NULL, 0);
		m = data(&s, 1);
		for (int k = 24; k >= 0; k -= 8)
			pgo_buf_putc(&frames, (char)(m.len >> k));
		pgo_buf_add(&frames, m.data, m.len);
		pgo_buf_fini(&m);
	}
	frames.len--;
	read_fails(frames.data, frames.len, PGO_EFORMAT, "message 3: it should have");
	frames.len++;
	becomes(&frames, "unknown : samples\n1100 = 24 a:b0\n");
	pgo_free(text);
}

static void what_points_out_of_a_table_is_named(void **state)
{
	char *text = message(RESOURCE("", CPU("{\"stackIndex\":1,\"values\":[3]},"
					      "{\"stackIndex\":4,\"values\":[3]}")),
		"aa", "bb");

	(void)state;
	read_fails(text, strlen(text), PGO_EFORMAT, "sample 1: stack 4 is named, but");
	pgo_free(text);
	text = message(RESOURCE("", CPU("{\"stackIndex\":1,\"values\":[\"-3\"]}")), "aa", "bb");
	read_fails(text, strlen(text), PGO_EFORMAT, "its value is -3");
	pgo_free(text);
	text = message(RESOURCE("", CPU("{\"stackIndex\":\"one\",\"values\":[3]}")), "aa", "bb");
	read_fails(text, strlen(text), PGO_EFORMAT, "not a whole number");
	pgo_free(text);
	text = message(RESOURCE("", CPU("{\"locationsStartIndex\":1,\"values\":[3]}")), "aa", "bb");
	read_fails(text, strlen(text), PGO_EFORMAT, "before OTLP 1.8");
	pgo_free(text);
	text = message(RESOURCE("", CPU("")), "aa", "bb");
	read_fails(text, strlen(text), PGO_EEMPTY, "no samples");
	pgo_free(text);
}

static void a_record_of_it_says_what_all_hosts_have_in_common(void **state)
{
	char *text = message(
		RESOURCE(ATTRIBUTE("host.name", "web-1") "," ATTRIBUTE(
				 "service.name", "s") "," ATTRIBUTE("zone", "z"),
			CPU("{\"stackIndex\":1,\"values\":[3]}")) "," RESOURCE(ATTRIBUTE("host."
											 "name",
										       "web-2") "," ATTRIBUTE("service.name",
										       "s"),
			OFF("{\"stackIndex\":1,\"values\":[3]}")),
		"aa", "bb");
	const char *path = scratch_file(*state, "x.json", text, strlen(text));
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_record r = {0};
	bool profile = false;

	if (pgo_examine(path, &r, NULL, &profile, &err) != 0)
		fail_msg("%s", err.msg);
	assert_true(profile);
	assert_string_equal(r.kind, "otlp");
	assert_null(pgo_record_get_label(&r, "host"));
	assert_string_equal(r.service, "s");
	assert_int_equal(r.n_labels, 0);
	assert_int_equal(r.n_sample_types, 2);
	assert_int_equal(r.n_build_ids, 1);
	assert_string_equal(r.build_ids[0], "aa");
	pgo_record_fini(&r);
	pgo_free(text);
}

static void pprofs_and_other_json_are_not_taken_for_it(void **state)
{
	static const char pprof[] = "\x0a\x04\x08\x01\x10\x02\x12\x05\x0a\x01\x01\x12\x00";
	static const char json[] = "{\"resourceSpans\":[]}";

	(void)state;
	assert_false(pgo_otlp_probe(pprof, sizeof pprof - 1));
	assert_false(pgo_otlp_probe(json, sizeof json - 1));
	assert_false(pgo_otlp_probe("", 0));
}

static void running_out_of_memory_anywhere_leaves_nothing_behind(void **state)
{
	char *text =
		message(RESOURCE(ATTRIBUTE("host.name", "web-1"),
				CPU("{\"stackIndex\":2,\"values\":[3],\"attributeIndices\":[1]},"
				    "{\"stackIndex\":3,\"values\":[3]}")),
			"aa", "bb");
	uint64_t before = pgo_alloc_live();
	int rc = -1;

	(void)state;
	for (uint64_t n = 0; rc != 0 && n < 2000; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_imported in;

		pgo_alloc_fail_after(n);
		rc = pgo_import_memory("x", text, strlen(text), &plain, &in, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (rc == 0)
			pgo_imported_fini(&in);
		else
			assert_int_equal(err.code, PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), before);
	}
	assert_int_equal(rc, 0);
	pgo_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_stand_where_the_revision_has_them),
		cmocka_unit_test(a_list_beside_times_is_told_by_its_length_and_range),
		cmocka_unit_test(two_revisions_in_one_message_are_refused),
		cmocka_unit_test(without_a_dictionary_it_is_refused),
		cmocka_unit_test(resources_and_programs_become_profiles_of_their_own),
		cmocka_unit_test(sample_types_of_equal_stacks_are_columns),
		cmocka_unit_test(samples_without_value_or_stack_are_counted),
		cmocka_unit_test(the_build_id_is_the_gnu_one_else_that_of_the_file),
		cmocka_unit_test(messages_one_after_the_other_are_one_recording),
		cmocka_unit_test(what_points_out_of_a_table_is_named),
		cmocka_unit_test_setup_teardown(a_record_of_it_says_what_all_hosts_have_in_common,
			scratch_up, scratch_down),
		cmocka_unit_test(pprofs_and_other_json_are_not_taken_for_it),
		cmocka_unit_test(running_out_of_memory_anywhere_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
