/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/diag.h"
#include "pgo/core/json.h"
#include "pgo/publish.h"

#include <inttypes.h>
#include <string.h>

#define PRINT_MAX ((size_t)1 << 20)
#define MAX_TRIES 100
#define DEFAULT_TTL ((int64_t)42 * 86400 * 1000000000)

struct get_values {
	const char *output, *kind, *require, *verify_with, *ca_file;
	int64_t ttl_ns;
	uint64_t tries;
	bool netrc, insecure;
};

#define AT(field) offsetof(struct get_values, field)

static const struct pgo_opt opts[] = {
	{"output", 'o', "PATH", "directory to fill; with --kind a file", PGO_OPT_STR, AT(output)},
	{"kind", 'k', "KIND", "only this file of the release: gcc, clang, bolt, go ...",
		PGO_OPT_STR, AT(kind)},
	{"require", 'r', "WHAT",
		"fresh, any, or none: 0 if what is there afterwards is that, else 20", PGO_OPT_STR,
		AT(require)},
	{"ttl", 0, "TIME", "up to this age it is fresh (default: the release's, or 42d)",
		PGO_OPT_DURATION, AT(ttl_ns)},
	{"verify-with", 0, "COMMAND",
		"a release is taken only if this ends with 0: reads {file} and "
		"{signature}",
		PGO_OPT_STR, AT(verify_with)},
	{"tries", 0, "N", "how often to ask a server that is busy or gone (default 5)", PGO_OPT_U64,
		AT(tries)},
	{"netrc", 0, NULL, "take user names and passwords from ~/.netrc", PGO_OPT_FLAG, AT(netrc)},
	{"cacert", 0, "FILE", "certificates to trust instead of the system's", PGO_OPT_STR,
		AT(ca_file)},
	{"insecure", 0, NULL,
		"trust any certificate: whoever is in between can read and change all",
		PGO_OPT_FLAG, AT(insecure)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"get",
	"-o PATH [OPTION]... URL/TARGET",
	"Gets what pgo publish put there, each file once, held against its digest. Where the store "
	"is "
	"away, what is there stays.",
	opts,
};

/* 10: nothing came, but there is a release here. */
static int plain_exit(const struct pgo_obtain_result *r)
{
	if (r->changed)
		return PGO_EXIT_OK;
	if (r->has)
		return PGO_EXIT_UNCHANGED;
	return r->why.code == PGO_ENOTFOUND || r->why.code == PGO_EEMPTY ? PGO_EXIT_NO_PROFILE
									 : PGO_EXIT_FAILED;
}

static int64_t age_of(const struct pgo_obtain_result *r)
{
	int64_t now = pgo_now();

	return r->release.time_ns == 0    ? INT64_MAX
	       : now > r->release.time_ns ? now - r->release.time_ns
					  : 0;
}

static bool is_fresh(const struct get_values *o, const struct pgo_obtain_result *r)
{
	int64_t ttl = o->ttl_ns != 0           ? o->ttl_ns
		      : r->release.ttl_ns != 0 ? r->release.ttl_ns
					       : DEFAULT_TTL;

	return r->has && age_of(r) <= ttl;
}

/* What the requirement makes of it; *err says why not. */
static int required(
	const struct get_values *o, const struct pgo_obtain_result *r, struct pgo_err *err)
{
	bool fresh = strcmp(o->require, "fresh") == 0;

	if (strcmp(o->require, "none") == 0 || (r->has && (!fresh || is_fresh(o, r))))
		return 0;
	if (!r->has)
		return pgo_err_set(err, PGO_EEMPTY, "there is no profile in %s: %.900s", o->output,
			r->away ? r->why.msg : "the release has none");
	return pgo_err_set(err, PGO_EEMPTY,
		"the profile in %s is %" PRId64 " days old, which is not fresh; refresh it, raise "
		"--ttl, or get it with --require any",
		o->output, age_of(r) / ((int64_t)86400 * 1000000000));
}

static void print(const struct get_values *o, const struct pgo_opt_globals *g,
	const struct pgo_obtain_result *r, struct pgo_buf *out)
{
	struct pgo_json j;
	char time[32];

	if (!g->json) {
		if (r->has && !g->quiet)
			pgo_buf_printf(out,
				"%s: %s %s%s: %" PRIu64 " files, %" PRIu64 " bytes came\n",
				o->output, r->release.target, r->release.id,
				r->away ? " is kept" : "", r->files, r->bytes);
		return;
	}
	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "get");
	pgo_json_kv_bool(&j, "changed", r->changed);
	pgo_json_kv_bool(&j, "away", r->away);
	pgo_json_kv_str(&j, "target", r->has ? r->release.target : NULL);
	pgo_json_kv_str(&j, "id", r->has ? r->release.id : NULL);
	pgo_json_kv_bool(&j, "fresh", is_fresh(o, r));
	if (r->has && r->release.time_ns != 0) {
		pgo_format_time(r->release.time_ns, time, sizeof time);
		pgo_json_kv_str(&j, "time", time);
	}
	pgo_json_kv_u64(&j, "files", r->files);
	pgo_json_kv_u64(&j, "bytes", r->bytes);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int check(const struct get_values *o, int n, struct pgo_err *err)
{
	const char *r = o->require;

	if (n != 1)
		return pgo_err_set(err, PGO_EUSAGE,
			"say from where: what pgo publish was given, and the target's name: "
			"URL/TARGET");
	if (o->output == NULL)
		return pgo_err_set(
			err, PGO_EUSAGE, "say where to: -o DIRECTORY, or -o FILE with --kind");
	if (o->tries > MAX_TRIES)
		return pgo_err_set(err, PGO_EUSAGE, "--tries is at most %d", MAX_TRIES);
	if (r != NULL && strcmp(r, "none") != 0 && strcmp(r, "any") != 0 && strcmp(r, "fresh") != 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"--require=%s is not known; it is one of: none, any, fresh", r);
	return 0;
}

static int get(const struct get_values *o, const struct pgo_opt_globals *g, const char *url,
	struct pgo_obtain_result *r, struct pgo_err *err)
{
	const struct pgo_obtain_options oo = {.url = url,
		.to = o->output,
		.kind = o->kind,
		.verify_with = o->verify_with,
		.http = {.tries = (unsigned)o->tries,
			.netrc = o->netrc,
			.insecure = o->insecure,
			.ca_file = o->ca_file}};
	struct pgo_buf out;
	int code, rc = pgo_obtain(&oo, r, err);

	if (rc == 0 && o->require != NULL)
		rc = required(o, r, err);
	if (rc == 0 && r->away && !r->has && o->require == NULL) {
		*err = r->why;
		code = plain_exit(r);
		return code == PGO_EXIT_NO_PROFILE
			       ? pgo_err_set(err, PGO_EEMPTY, "%.900s", r->why.msg)
			       : err->code;
	}
	if (rc < 0)
		return rc;
	if (r->away)
		pgo_warn("%s; %s", r->why.msg,
			r->has ? "what is there is kept" : "there is no profile");
	pgo_buf_init(&out, PRINT_MAX);
	print(o, g, r, &out);
	code = out.failed
		       ? PGO_EXIT_FAILED
		       : pgo_cmd_print(&pgo_cmd_get, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	if (code == PGO_EXIT_OK && o->require == NULL)
		code = plain_exit(r);
	return code;
}

static int run(int argc, char **argv)
{
	struct get_values o = {0};
	struct pgo_obtain_result r = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	int first, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_get, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	rc = check(&o, argc - first, &err);
	if (rc == 0)
		rc = get(&o, &g, argv[first], &r, &err);
	pgo_obtain_fini(&r);
	return rc < 0 ? pgo_cmd_fail(&pgo_cmd_get, &g, &err) : rc;
}

const struct pgo_cmd pgo_cmd_get = {"get", "get what was published, for a build", &table, run};
