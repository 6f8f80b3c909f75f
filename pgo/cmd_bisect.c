/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/bisect.h"
#include "pgo/bisect_mix.h"
#include "pgo/core/alloc.h"
#include "pgo/core/child.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/opt.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_STATE ((size_t)256 << 20)
#define MAX_PROFILE ((size_t)4 << 30)
#define MAX_REPEAT 99
#define EXIT_SKIP 125

struct bisect_values {
	const char *judge, *state, *output, *minimal;
	uint64_t repeat, max_runs;
	int64_t timeout;
};

#define AT(field) offsetof(struct bisect_values, field)

static const struct pgo_opt opts[] = {
	{"judge", 0, "COMMAND",
		"builds and tests with the profile named by $PGO_PROFILE (and $1): exit 0 good, 1 "
		"bad, "
		"125 cannot tell, above 127 stop",
		PGO_OPT_STR, AT(judge)},
	{"state", 0, "FILE", "where judgements are kept, to go on from (default pgo-bisect.json)",
		PGO_OPT_STR, AT(state)},
	{"repeat", 0, "N", "ask up to N times and believe the majority (default 1)", PGO_OPT_U64,
		AT(repeat)},
	{"max-runs", 0, "N", "stop after so many runs of the judge (default 500)", PGO_OPT_U64,
		AT(max_runs)},
	{"timeout", 0, "TIME", "a run that takes longer cannot tell (default 1h)", PGO_OPT_DURATION,
		AT(timeout)},
	{"output", 'o', "FILE", "write the bad profile without the functions that were found",
		PGO_OPT_STR, AT(output)},
	{"minimal", 0, "FILE",
		"write the good profile with nothing but those taken from the bad one", PGO_OPT_STR,
		AT(minimal)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"bisect",
	"[OPTION]... GOOD|none BAD --judge COMMAND",
	"Finds the functions whose profile makes a build bad: mixes two converted profiles "
	"function by "
	"function and asks a judge, until none of the functions found can be left out.",
	opts,
};

struct judged {
	char key[33]; /* of the set of functions */
	uint64_t functions;
	enum pgo_judgement verdict;
	uint8_t exits[MAX_REPEAT];
	size_t n_exits;
};

struct session {
	const struct bisect_values *o;
	const char *good, *bad;
	char good_digest[65], bad_digest[65];
	struct pgo_mix mix;
	char *profile; /* what the judge is given */
	struct judged *judged;
	size_t n, room, known; /* `known`: were read from the state */
	uint64_t runs, remembered, split;
};

/* ---- the state */

static void state_json(const struct session *s, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, true);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "bisection-state");
	pgo_json_kv_str(&j, "good", s->good != NULL ? s->good_digest : "");
	pgo_json_kv_str(&j, "bad", s->bad_digest);
	pgo_json_kv_str(&j, "judge", s->o->judge);
	pgo_json_kv_u64(&j, "repeat", s->o->repeat);
	pgo_json_key(&j, "judgements");
	pgo_json_array(&j);
	for (size_t i = 0; i < s->n; i++) {
		const struct judged *x = &s->judged[i];

		pgo_json_object(&j);
		pgo_json_kv_str(&j, "key", x->key);
		pgo_json_kv_u64(&j, "functions", x->functions);
		pgo_json_kv_str(&j, "verdict", pgo_judgement_name(x->verdict));
		pgo_json_key(&j, "exits");
		pgo_json_array(&j);
		for (size_t k = 0; k < x->n_exits; k++)
			pgo_json_u64(&j, x->exits[k]);
		pgo_json_end_array(&j);
		pgo_json_end_object(&j);
	}
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int save(const struct session *s, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, MAX_STATE);
	state_json(s, &out);
	rc = pgo_buf_check(&out, "the state of the bisection", err);
	if (rc == 0)
		rc = pgo_file_write(s->o->state, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

static int read_judgement(struct session *s, const struct pgo_jval *v)
{
	const char *key = pgo_jval_str(pgo_jval_get(v, "key"), "");
	const char *verdict = pgo_jval_str(pgo_jval_get(v, "verdict"), "");
	const struct pgo_jval *exits = pgo_jval_get(v, "exits");
	struct judged *x;

	if (strlen(key) != sizeof x->key - 1)
		return PGO_EFORMAT;
	x = PGO_VEC_PUSH(s->judged, s->n, s->room);
	if (x == NULL)
		return PGO_ENOMEM;
	memcpy(x->key, key, sizeof x->key);
	x->functions = (uint64_t)pgo_jval_i64(pgo_jval_get(v, "functions"), 0);
	x->n_exits = pgo_jval_len(exits) < MAX_REPEAT ? pgo_jval_len(exits) : MAX_REPEAT;
	for (size_t i = 0; i < x->n_exits; i++)
		x->exits[i] = (uint8_t)pgo_jval_i64(pgo_jval_at(exits, i), 0);
	for (int k = PGO_JUDGED_GOOD; k <= PGO_JUDGED_SKIP; k++) {
		if (strcmp(verdict, pgo_judgement_name((enum pgo_judgement)k)) == 0) {
			x->verdict = (enum pgo_judgement)k;
			return 0;
		}
	}
	return PGO_EFORMAT;
}

static int read_state(struct session *s, const struct pgo_jval *doc, struct pgo_err *err)
{
	const struct pgo_jval *list = pgo_jval_get(doc, "judgements");

	if (strcmp(pgo_jval_str(pgo_jval_get(doc, "kind"), ""), "bisection-state") != 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s is no state of a bisection; name another file with --state",
			s->o->state);
	if (strcmp(pgo_jval_str(pgo_jval_get(doc, "bad"), ""), s->bad_digest) != 0 ||
		strcmp(pgo_jval_str(pgo_jval_get(doc, "good"), ""),
			s->good != NULL ? s->good_digest : "") != 0 ||
		strcmp(pgo_jval_str(pgo_jval_get(doc, "judge"), ""), s->o->judge) != 0 ||
		pgo_jval_i64(pgo_jval_get(doc, "repeat"), 0) != (int64_t)s->o->repeat)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s is of another bisection (other profiles, judge or --repeat); remove "
			"it, or "
			"name another file with --state",
			s->o->state);
	for (size_t i = 0; i < pgo_jval_len(list); i++) {
		int rc = read_judgement(s, pgo_jval_at(list, i));

		if (rc == PGO_ENOMEM)
			return pgo_err_nomem(err);
		if (rc < 0)
			return pgo_err_set(err, PGO_EFORMAT, "%s: judgement %zu is damaged",
				s->o->state, i + 1);
	}
	s->known = s->n;
	return 0;
}

static int load_state(struct session *s, struct pgo_err *err)
{
	struct pgo_jval *doc;
	struct pgo_buf text;
	int rc;

	if (!pgo_path_exists(s->o->state))
		return 0;
	rc = pgo_file_read(s->o->state, MAX_STATE, &text, err);
	if (rc == 0) {
		doc = pgo_jdoc_parse(
			s->o->state, text.data != NULL ? text.data : "", text.len, err);
		rc = doc != NULL ? read_state(s, doc, err) : PGO_EFORMAT;
		pgo_jdoc_free(doc);
	}
	pgo_buf_fini(&text);
	if (rc == 0 && s->n != 0)
		pgo_note("going on from %s with %zu judgements", s->o->state, s->n);
	return rc;
}

/* ---- the judge */

static void key_of(const struct session *s, const uint32_t *items, size_t n, char ret[33])
{
	struct pgo_sha256 h;
	uint8_t digest[32];
	char hex[65];

	pgo_sha256_init(&h);
	for (size_t i = 0; i < n; i++) {
		const char *name = pgo_mix_name(&s->mix, items[i]);

		pgo_sha256_add(&h, name, strlen(name) + 1);
	}
	pgo_sha256_final(&h, digest);
	pgo_sha256_hex(digest, hex);
	memcpy(ret, hex, 32);
	ret[32] = '\0';
}

static int write_mix(
	struct session *s, const char *path, const uint32_t *items, size_t n, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, MAX_PROFILE);
	rc = pgo_mix_write(&s->mix, items, n, &out, err);
	if (rc == 0)
		rc = pgo_buf_check(&out, path, err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

/* The last line of what the judge said, for messages. */
static const char *last_words(const struct pgo_child *c, char *ret, size_t size)
{
	const char *text = pgo_child_text(c), *end = text + strlen(text), *p;

	while (end > text && end[-1] == '\n')
		end--;
	for (p = end; p > text && p[-1] != '\n';)
		p--;
	snprintf(ret, size, "%s%.*s", end > p ? ": " : "", (int)(end - p), p);
	return ret;
}

static int run_judge(struct session *s, size_t n, uint8_t *ret_exit, struct pgo_err *err)
{
	char *env[] = {pgo_asprintf("PGO_PROFILE=%s", s->profile),
		pgo_asprintf("PGO_BISECT_RUN=%" PRIu64, s->runs + 1),
		pgo_asprintf("PGO_BISECT_FUNCTIONS=%zu", n), NULL};
	const struct pgo_child_options o = {
		.seconds = (unsigned)(s->o->timeout / 1000000000), .env = (const char *const *)env};
	const char *argv[] = {"sh", "-c", s->o->judge, "judge", s->profile, NULL};
	struct pgo_child c = {0};
	char words[300];
	int rc = env[0] == NULL || env[1] == NULL || env[2] == NULL
			 ? pgo_err_nomem(err)
			 : pgo_child_run(argv, &o, &c, err);

	if (rc == 0) {
		s->runs++;
		*ret_exit = c.timed_out ? EXIT_SKIP : (uint8_t)c.status;
		if (!c.timed_out && c.status > EXIT_SKIP)
			rc = pgo_err_set(err, PGO_EGATE, "the judge %s (exit %d)%s; %s",
				c.status > 127 ? "asked to stop" : "could not be run", c.status,
				last_words(&c, words, sizeof words),
				"the same command goes on from here");
		else
			pgo_note("run %" PRIu64 ": %zu functions: exit %d%s", s->runs, n, c.status,
				last_words(&c, words, sizeof words));
		pgo_child_fini(&c);
	}
	for (size_t i = 0; i < 3; i++)
		pgo_free(env[i]);
	return rc;
}

static enum pgo_judgement judgement_of(uint8_t exit_code)
{
	return exit_code == 0           ? PGO_JUDGED_GOOD
	       : exit_code == EXIT_SKIP ? PGO_JUDGED_SKIP
					: PGO_JUDGED_BAD;
}

/* Asks until a verdict has more than half of all that could be asked. */
static int ask(struct session *s, struct judged *x, size_t n, struct pgo_err *err)
{
	uint64_t votes[PGO_JUDGED_SKIP + 1] = {0};
	size_t best;

	x->verdict = PGO_JUDGED_SKIP;
	while (x->n_exits < s->o->repeat) {
		int rc = 0;

		if (s->runs >= s->o->max_runs)
			return pgo_err_set(err, PGO_ELIMIT,
				"the judge ran %" PRIu64
				" times, which is --max-runs; the same command "
				"goes on from here",
				s->runs);
		rc = run_judge(s, n, &x->exits[x->n_exits], err);
		if (rc < 0)
			return rc;
		best = judgement_of(x->exits[x->n_exits++]);
		votes[best]++;
		if (votes[best] * 2 > s->o->repeat) {
			x->verdict = (enum pgo_judgement)best;
			break;
		}
	}
	s->split += votes[x->verdict] != x->n_exits;
	return 0;
}

static int judge(
	void *ctx, const uint32_t *items, size_t n, enum pgo_judgement *ret, struct pgo_err *err)
{
	struct session *s = ctx;
	struct judged x = {.functions = n};
	int rc;

	key_of(s, items, n, x.key);
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->judged[i].key, x.key) == 0) {
			*ret = s->judged[i].verdict;
			s->remembered += i < s->known;
			return 0;
		}
	}
	pgo_progress("judging", s->runs, 0, "runs");
	rc = write_mix(s, s->profile, items, n, err);
	if (rc == 0)
		rc = ask(s, &x, n, err);
	if (rc < 0)
		return rc;
	if (PGO_VEC_RESERVE(s->judged, s->room, s->n + 1) < 0)
		return pgo_err_nomem(err);
	s->judged[s->n++] = x;
	*ret = x.verdict;
	return save(s, err);
}

/* ---- the result */

static double share_of(const struct session *s, uint32_t item)
{
	return s->mix.total != 0 ? (double)s->mix.items[item].mass / (double)s->mix.total : 0;
}

static const char *sentence(const struct pgo_bisect *b)
{
	switch (b->end) {
	case PGO_BISECT_FOUND:
		return b->n > 1 ? "several sets of functions make the build bad, each by itself"
				: "these functions make the build bad, and none of them can be "
				  "left out";
	case PGO_BISECT_ALL_GOOD:
		return "the judge finds nothing wrong with the bad profile";
	case PGO_BISECT_NONE_BAD:
		return "the build is bad without anything of the bad profile: functions are not "
		       "the cause";
	case PGO_BISECT_UNTOLD:
		return "the judge cannot tell good from bad for the two profiles as they are";
	case PGO_BISECT_UNFINISHED:
		break;
	}
	return "not finished; what is listed is known to be bad, and some of it may not be needed";
}

static void print_text(const struct session *s, const struct pgo_bisect *b, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%zu functions differ, %zu do not; the judge ran %" PRIu64 " times",
		s->mix.n, s->mix.same, s->runs);
	if (s->remembered != 0)
		pgo_buf_printf(out, ", %" PRIu64 " judgements were known before", s->remembered);
	if (s->split != 0)
		pgo_buf_printf(out, "; it was not of one mind %" PRIu64 " times", s->split);
	pgo_buf_printf(out, "\n%s\n", sentence(b));
	for (size_t i = 0; i < b->n; i++) {
		pgo_buf_printf(out, "set %zu: %zu function%s%s\n", i + 1, b->sets[i].n,
			b->sets[i].n != 1 ? "s" : "", b->sets[i].n > 1 ? ", bad together" : "");
		for (size_t k = 0; k < b->sets[i].n; k++)
			pgo_buf_printf(out, "  %6.2f%%  %s\n",
				share_of(s, b->sets[i].items[k]) * 100,
				pgo_mix_name(&s->mix, b->sets[i].items[k]));
	}
}

static void print_json(const struct session *s, const struct pgo_bisect *b, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "bisection");
	pgo_json_kv_str(&j, "result", pgo_bisect_end_name(b->end));
	pgo_json_kv_str(&j, "sentence", sentence(b));
	pgo_json_kv_u64(&j, "functions", s->mix.n);
	pgo_json_kv_u64(&j, "functions_equal", s->mix.same);
	pgo_json_kv_u64(&j, "judgements", s->n);
	pgo_json_kv_u64(&j, "remembered", s->remembered);
	pgo_json_kv_u64(&j, "runs", s->runs);
	pgo_json_kv_u64(&j, "split_verdicts", s->split);
	pgo_json_key(&j, "sets");
	pgo_json_array(&j);
	for (size_t i = 0; i < b->n; i++) {
		pgo_json_array(&j);
		for (size_t k = 0; k < b->sets[i].n; k++) {
			pgo_json_object(&j);
			pgo_json_kv_str(&j, "name", pgo_mix_name(&s->mix, b->sets[i].items[k]));
			pgo_json_kv_double(&j, "share", share_of(s, b->sets[i].items[k]));
			pgo_json_end_object(&j);
		}
		pgo_json_end_array(&j);
	}
	pgo_json_end_array(&j);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int print(
	const struct session *s, const struct pgo_bisect *b, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code;

	pgo_buf_init(&out, (size_t)1 << 26);
	if (g->json)
		print_json(s, b, &out);
	else
		print_text(s, b, &out);
	code = pgo_cmd_print(&pgo_cmd_bisect, g, out.data, out.len);
	pgo_buf_fini(&out);
	if (code != PGO_EXIT_OK)
		return code;
	return b->end == PGO_BISECT_FOUND        ? PGO_EXIT_OK
	       : b->end == PGO_BISECT_UNFINISHED ? PGO_EXIT_FAILED
						 : PGO_EXIT_FINDING;
}

/* Items that are in a set, or that are in none. */
static int write_result(struct session *s, const struct pgo_bisect *b, const char *path, bool found,
	struct pgo_err *err)
{
	uint8_t *in = pgo_calloc(s->mix.n + 1, 1);
	uint32_t *items = pgo_malloc((s->mix.n + 1) * sizeof *items);
	size_t n = 0;
	int rc = in != NULL && items != NULL ? 0 : pgo_err_nomem(err);

	for (size_t i = 0; i < b->n && rc == 0; i++)
		for (size_t k = 0; k < b->sets[i].n; k++)
			in[b->sets[i].items[k]] = 1;
	for (size_t i = 0; i < s->mix.n && rc == 0; i++)
		if ((in[i] != 0) == found)
			items[n++] = (uint32_t)i;
	if (rc == 0)
		rc = write_mix(s, path, items, n, err);
	pgo_free(in);
	pgo_free(items);
	return rc;
}

static int write_results(struct session *s, const struct pgo_bisect *b, struct pgo_err *err)
{
	int rc = 0;

	if (b->end != PGO_BISECT_FOUND)
		return 0;
	if (s->o->output != NULL)
		rc = write_result(s, b, s->o->output, false, err);
	if (rc == 0 && s->o->minimal != NULL)
		rc = write_result(s, b, s->o->minimal, true, err);
	return rc;
}

/* ---- the command */

static int check_usage(const struct bisect_values *o, int n, struct pgo_err *err)
{
	if (n != 2)
		return pgo_err_set(err, PGO_EUSAGE,
			"name two converted profiles, GOOD and BAD; GOOD may be the word none");
	if (o->judge == NULL || o->judge[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"no judge; give a command with --judge that builds and tests with "
			"$PGO_PROFILE");
	if (o->repeat < 1 || o->repeat > MAX_REPEAT)
		return pgo_err_set(
			err, PGO_EUSAGE, "--repeat takes a number from 1 to %d", MAX_REPEAT);
	if (o->max_runs < 1)
		return pgo_err_set(err, PGO_EUSAGE, "--max-runs takes a number from 1 on");
	if (o->timeout < 1000000000 || o->timeout / 1000000000 > INT32_MAX)
		return pgo_err_set(err, PGO_EUSAGE, "--timeout takes a second or more");
	return 0;
}

static int open_session(struct session *s, char **operands, struct pgo_err *err)
{
	int rc;

	s->good = strcmp(operands[0], "none") != 0 ? operands[0] : NULL;
	s->bad = operands[1];
	rc = pgo_mix_open(&s->mix, s->good, s->bad, err);
	if (rc == 0 && s->good != NULL)
		rc = pgo_sha256_file(s->good, s->good_digest, err);
	if (rc == 0)
		rc = pgo_sha256_file(s->bad, s->bad_digest, err);
	if (rc < 0)
		return rc;
	s->profile = pgo_asprintf("%s.profile", s->o->state);
	return s->profile != NULL ? load_state(s, err) : pgo_err_nomem(err);
}

static int bisect(
	struct session *s, const struct pgo_opt_globals *g, char **operands, struct pgo_err *err)
{
	struct pgo_bisect b = {0};
	int rc = open_session(s, operands, err), code;

	if (rc < 0)
		return pgo_cmd_fail(&pgo_cmd_bisect, g, err);
	rc = pgo_bisect(s->mix.n, judge, s, &b, err);
	pgo_progress_end();
	/* A judge that stopped is told about, after what is known. */
	if (rc == PGO_EGATE || rc == PGO_ELIMIT) {
		code = print(s, &b, g);
		pgo_warn("%s", err->msg);
	} else if (rc < 0 || write_results(s, &b, err) < 0) {
		code = pgo_cmd_fail(&pgo_cmd_bisect, g, err);
	} else {
		code = print(s, &b, g);
		unlink(s->profile);
	}
	pgo_bisect_fini(&b);
	return code;
}

static int run(int argc, char **argv)
{
	struct bisect_values o = {.state = "pgo-bisect.json",
		.repeat = 1,
		.max_runs = 500,
		.timeout = INT64_C(3600000000000)};
	struct pgo_err err = PGO_ERR_INIT;
	struct session s = {.o = &o};
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_bisect, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (check_usage(&o, argc - first, &err) < 0)
		return pgo_cmd_fail(&pgo_cmd_bisect, &g, &err);
	code = bisect(&s, &g, argv + first, &err);
	pgo_mix_fini(&s.mix);
	pgo_free(s.profile);
	pgo_free(s.judged);
	return code;
}

const struct pgo_cmd pgo_cmd_bisect = {
	"bisect", "find the functions whose profile makes a build bad", &table, run};
