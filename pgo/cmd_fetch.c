/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "fetch/coverage.h"
#include "fetch/fetch.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/json.h"

#include <inttypes.h>

#define PRINT_MAX ((size_t)1 << 30)
#define MAX_PARALLEL 256
#define MAX_TRIES 100
#define MAX_DEADLINE ((int64_t)365 * 86400 * 1000000000)

struct fetch_values {
	const char *dir;
	struct pgo_opt_list selects, labels, types;
	const char *by_host;
	int64_t since, until;
	int64_t deadline;
	uint64_t max_object, max_profiles, parallel, tries, rate;
	const char *ca_file;
	bool insecure, netrc, coverage;
};

#define AT(field) offsetof(struct fetch_values, field)

static const struct pgo_opt opts[] = {
	{"Output", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"output", 'o', "DIR", "where the profiles and their manifest go; made if need be",
		PGO_OPT_STR, AT(dir)},
	{"Selection", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"since", 0, "TIME", "only profiles from this time on: 7d (ago), 2026-11-20, @epoch",
		PGO_OPT_TIME, AT(since)},
	{"until", 0, "TIME", "only profiles from before this time", PGO_OPT_TIME, AT(until)},
	{"select", 's', "MATCHER",
		"only profiles with host=\"web-1\", service!=\"x\", version=~\"2.*\", "
		"build_id=..., "
		"or any other label (repeatable: all must hold)",
		PGO_OPT_LIST, AT(selects)},
	{"type", 't', "NAME",
		"only profiles with this sample type, such as cpu or lbr_traces (repeatable: one "
		"of them; default: any; of profile stores those of CPU time and branches)",
		PGO_OPT_LIST, AT(types)},
	{"by-host", 0, "LABEL", "the label that names the host (default: the usual ones)",
		PGO_OPT_STR, AT(by_host)},
	{"max-profiles", 0, "N",
		"take a sample: as many hosts, hours of the week and builds as N profiles can be "
		"of",
		PGO_OPT_U64, AT(max_profiles)},
	{"coverage", 0, NULL, "say what is missing: days of hosts, hours of the week, builds",
		PGO_OPT_FLAG, AT(coverage)},
	{"max-object", 0, "SIZE", "skip objects larger than this (default 4G)", PGO_OPT_SIZE,
		AT(max_object)},
	{"Stores on the network", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"parallel", 'j', "N", "transfers at a time (default 8)", PGO_OPT_U64, AT(parallel)},
	{"rate", 0, "SIZE", "bytes a second, over all transfers (default: as they come)",
		PGO_OPT_SIZE, AT(rate)},
	{"tries", 0, "N", "how often to ask a server that is busy or gone (default 5)", PGO_OPT_U64,
		AT(tries)},
	{"deadline", 0, "DURATION",
		"give up when the network took so long; the next run goes on (default: never)",
		PGO_OPT_DURATION, AT(deadline)},
	{"netrc", 0, NULL, "take user names and passwords from ~/.netrc", PGO_OPT_FLAG, AT(netrc)},
	{"cacert", 0, "FILE", "certificates to trust instead of the system's", PGO_OPT_STR,
		AT(ca_file)},
	{"insecure", 0, NULL,
		"trust any certificate: whoever is in between can read and change all",
		PGO_OPT_FLAG, AT(insecure)},
	{"What is known about the profiles", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"label", 'l', "KEY=VALUE",
		"a label for profiles that do not have it, such as service=shop (repeatable)",
		PGO_OPT_LIST, AT(labels)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"fetch",
	"[OPTION]... SOURCE... -o DIR",
	"Copies profiles and recordings from stores into a directory, each once, under its SHA-256 "
	"and with a line in manifest.jsonl. What an earlier run has seen is not opened again. A "
	"source is a directory, a file, a glob pattern, a bucket, a profile store, or an http "
	"address that answers with a profile.",
	opts,
};

enum { COVERAGE_LINES = 20 };

/* One line a source, and what is wrong with some of it. */
static void print_addresses(const char *url, const struct pgo_address_stats *a, struct pgo_buf *out)
{
	char *name = pgo_http_redact(url);

	pgo_buf_printf(out, "%s: %" PRIu64 " profiles with addresses, %" PRIu64 " with names only",
		name != NULL ? name : "", a->addressed, a->symbolic);
	if (a->erased != 0)
		pgo_buf_printf(out, ", %" PRIu64 " with neither", a->erased);
	if (a->blank != 0)
		pgo_buf_printf(out, ", %" PRIu64 " without any location", a->blank);
	if (a->outside != 0)
		pgo_buf_printf(
			out, "; %" PRIu64 " with addresses outside of their mappings", a->outside);
	if (a->no_build_id != 0)
		pgo_buf_printf(out, "; %" PRIu64 " without a build-id", a->no_build_id);
	if (a->json_build_id != 0)
		pgo_buf_printf(out, "; %" PRIu64 " with build-ids in JSON", a->json_build_id);
	pgo_buf_putc(out, '\n');
	pgo_free(name);
}

static void json_addresses(
	struct pgo_json *j, char **urls, const struct pgo_address_stats *a, size_t n)
{
	pgo_json_key(j, "sources");
	pgo_json_array(j);
	for (size_t i = 0; i < n; i++, a++) {
		char *name = pgo_http_redact(urls[i]);

		pgo_json_object(j);
		pgo_json_kv_str(j, "source", name != NULL ? name : "");
		pgo_json_kv_u64(j, "profiles", a->profiles);
		pgo_json_kv_u64(j, "addressed", a->addressed);
		pgo_json_kv_u64(j, "symbol_only", a->symbolic);
		pgo_json_kv_u64(j, "erased", a->erased);
		pgo_json_kv_u64(j, "blank", a->blank);
		pgo_json_kv_u64(j, "with_outside", a->outside);
		pgo_json_kv_u64(j, "without_build_id", a->no_build_id);
		pgo_json_kv_u64(j, "json_build_id", a->json_build_id);
		pgo_json_kv_u64(j, "locations", pgo_address_account_total(&a->locations));
		pgo_json_kv_u64(j, "locations_inside", a->locations.inside);
		pgo_json_kv_u64(j, "locations_bare", a->locations.bare);
		pgo_json_kv_u64(j, "locations_outside", a->locations.outside);
		pgo_json_kv_u64(j, "locations_unmapped", a->locations.unmapped);
		pgo_json_kv_u64(j, "locations_named", a->locations.named);
		pgo_json_kv_u64(j, "locations_erased", a->locations.erased);
		pgo_json_kv_u64(j, "locations_markers", a->locations.markers);
		pgo_json_end_object(j);
		pgo_free(name);
	}
	pgo_json_end_array(j);
}

/* What the command says when all went well. */
struct result {
	char **urls;
	size_t n_urls;
	struct pgo_fetch_stats stats;
	struct pgo_coverage coverage;
	struct pgo_address_stats *addresses; /* for each */
};

static void print_text(const struct fetch_values *o, const struct result *r, struct pgo_buf *out)
{
	const struct pgo_fetch_stats *s = &r->stats;

	pgo_buf_printf(out,
		"%s: %" PRIu64 " objects listed: %" PRIu64 " unchanged, %" PRIu64 " examined\n",
		o->dir, s->listed, s->unchanged, s->examined);
	if (s->not_taken != 0)
		pgo_buf_printf(out, "%" PRIu64 " left where they are, beyond --max-profiles\n",
			s->not_taken);
	if (o->coverage || o->max_profiles != 0)
		pgo_coverage_text(&r->coverage, o->coverage ? COVERAGE_LINES : 0, out);
	if (s->examined == 0)
		return;
	pgo_buf_printf(out,
		"of the examined, %" PRIu64 " fetched (%" PRIu64 " bytes), %" PRIu64
		" the same as stored ones, %" PRIu64 " not selected, %" PRIu64
		" no profiles, %" PRIu64 " failed\n",
		s->fetched, s->fetched_bytes, s->duplicates, s->not_selected, s->not_profiles,
		s->failed);
	if (s->empty + s->split + s->erased != 0)
		pgo_buf_printf(out,
			"%" PRIu64 " windows without samples, %" PRIu64
			" taken host by host instead, %" PRIu64
			" with neither addresses nor names\n",
			s->empty, s->split, s->erased);
	for (size_t i = 0; i < r->n_urls; i++)
		if (r->addresses[i].profiles != 0)
			print_addresses(r->urls[i], &r->addresses[i], out);
	if (s->received_bytes != 0)
		pgo_buf_printf(out,
			"over the network: %" PRIu64 " bytes, %" PRIu64 " requests tried again\n",
			s->received_bytes, s->retries);
}

static void json_list(struct pgo_json *j, const char *key, const struct pgo_opt_list *l)
{
	pgo_json_key(j, key);
	pgo_json_array(j);
	for (size_t i = 0; i < l->n; i++)
		pgo_json_str(j, l->item[i]);
	pgo_json_end_array(j);
}

static void json_asked(struct pgo_json *j, const struct fetch_values *o)
{
	char text[40];

	pgo_json_key(j, "asked");
	pgo_json_object(j);
	if (o->since != 0) {
		pgo_format_time(o->since, text, sizeof text);
		pgo_json_kv_str(j, "since", text);
	}
	if (o->until != 0) {
		pgo_format_time(o->until, text, sizeof text);
		pgo_json_kv_str(j, "until", text);
	}
	json_list(j, "select", &o->selects);
	json_list(j, "types", &o->types);
	if (o->by_host != NULL)
		pgo_json_kv_str(j, "by_host", o->by_host);
	pgo_json_kv_u64(j, "max_profiles", o->max_profiles);
	pgo_json_end_object(j);
}

static void print_json(const struct fetch_values *o, const struct result *r, struct pgo_buf *out)
{
	const struct pgo_fetch_stats *s = &r->stats;
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "fetch");
	pgo_json_kv_u64(&j, "listed", s->listed);
	pgo_json_kv_u64(&j, "unchanged", s->unchanged);
	pgo_json_kv_u64(&j, "examined", s->examined);
	pgo_json_kv_u64(&j, "fetched", s->fetched);
	pgo_json_kv_u64(&j, "fetched_bytes", s->fetched_bytes);
	pgo_json_kv_u64(&j, "duplicates", s->duplicates);
	pgo_json_kv_u64(&j, "not_selected", s->not_selected);
	pgo_json_kv_u64(&j, "not_profiles", s->not_profiles);
	pgo_json_kv_u64(&j, "failed", s->failed);
	pgo_json_kv_u64(&j, "empty", s->empty);
	pgo_json_kv_u64(&j, "erased", s->erased);
	pgo_json_kv_u64(&j, "split", s->split);
	pgo_json_kv_u64(&j, "not_taken", s->not_taken);
	pgo_json_kv_u64(&j, "retries", s->retries);
	pgo_json_kv_u64(&j, "received_bytes", s->received_bytes);
	json_asked(&j, o);
	pgo_json_key(&j, "coverage");
	pgo_json_object(&j);
	pgo_coverage_json(&r->coverage, &j);
	pgo_json_end_object(&j);
	json_addresses(&j, r->urls, r->addresses, r->n_urls);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static void result_fini(struct result *r)
{
	pgo_coverage_fini(&r->coverage);
	pgo_free(r->addresses);
}

static int fetch(const struct fetch_values *o, const struct pgo_opt_globals *g, char **urls, int n)
{
	struct result r = {.urls = urls,
		.n_urls = (size_t)n,
		.addresses = pgo_calloc((size_t)n, sizeof *r.addresses)};
	const struct pgo_fetch_options fo = {
		.urls = (const char *const *)urls,
		.n_urls = (size_t)n,
		.out_dir = o->dir,
		.since_ns = o->since,
		.until_ns = o->until,
		.selects = o->selects.item,
		.n_selects = o->selects.n,
		.labels = o->labels.item,
		.n_labels = o->labels.n,
		.by_host = o->by_host,
		.types = o->types.item,
		.n_types = o->types.n,
		.max_profiles = o->max_profiles,
		.coverage = o->coverage || o->max_profiles != 0 || g->json ? &r.coverage : NULL,
		.addresses = r.addresses,
		.max_object = o->max_object,
		.http = {.parallel = (unsigned)o->parallel,
			.tries = (unsigned)o->tries,
			.deadline_s = (unsigned)((o->deadline + 999999999) / 1000000000),
			.rate = o->rate,
			.netrc = o->netrc,
			.insecure = o->insecure,
			.ca_file = o->ca_file},
	};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_buf out;
	int code;

	if (r.addresses == NULL)
		(void)pgo_err_nomem(&err);
	else if (n == 0)
		(void)pgo_err_set(&err, PGO_EUSAGE, "no source given; see pgo fetch --help");
	else if (o->dir == NULL)
		(void)pgo_err_set(&err, PGO_EUSAGE, "say with -o DIR where the profiles shall go");
	else if (o->deadline < 0 || o->deadline > MAX_DEADLINE)
		(void)pgo_err_set(&err, PGO_EUSAGE, "--deadline is at most 365d");
	else if (o->parallel > MAX_PARALLEL || o->tries > MAX_TRIES)
		(void)pgo_err_set(&err, PGO_EUSAGE,
			"--parallel is at most %d and --tries at most %d", MAX_PARALLEL, MAX_TRIES);
	else if (pgo_fetch(&fo, &r.stats, &err) == 0)
		pgo_err_clear(&err);
	if (err.code != PGO_OK) {
		result_fini(&r);
		return pgo_cmd_fail(&pgo_cmd_fetch, g, &err);
	}
	pgo_buf_init(&out, PRINT_MAX);
	if (g->json)
		print_json(o, &r, &out);
	else if (!g->quiet)
		print_text(o, &r, &out);
	result_fini(&r);
	if (o->insecure)
		pgo_warn("--insecure: no certificate was checked");
	code = out.failed ? PGO_EXIT_FAILED : pgo_cmd_print(&pgo_cmd_fetch, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int run(int argc, char **argv)
{
	struct fetch_values o = {0};
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_fetch, argc, argv, &o, &g, &first, NULL, &code) == 0)
		code = fetch(&o, &g, argv + first, argc - first);
	pgo_opt_list_free(&o.selects);
	pgo_opt_list_free(&o.labels);
	pgo_opt_list_free(&o.types);
	return code;
}

const struct pgo_cmd pgo_cmd_fetch = {
	"fetch", "copy profiles from stores into a directory, each once", &table, run};
