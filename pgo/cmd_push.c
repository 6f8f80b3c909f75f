/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "fetch/push.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/json.h"

#include <inttypes.h>

#define PRINT_MAX ((size_t)1 << 20)
#define MAX_TRIES 100

struct push_values {
	const char *service, *host, *version, *ca_file;
	struct pgo_opt_list labels, binaries;
	uint64_t max_samples, tries;
	bool dry_run, insecure, netrc;
};

#define AT(field) offsetof(struct push_values, field)

static const struct pgo_opt opts[] = {
	{"What is known about the profiles", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"service", 0, "NAME", "service that ran (default: what the profile says)", PGO_OPT_STR,
		AT(service)},
	{"host", 0, "NAME", "host it was made on", PGO_OPT_STR, AT(host)},
	{"version", 0, "TEXT", "version of the service", PGO_OPT_STR, AT(version)},
	{"label", 'l', "KEY=VALUE", "any other label (repeatable)", PGO_OPT_LIST, AT(labels)},
	{"binary", 'b', "APP",
		"a program or library that was profiled, for its addresses (repeatable; those at "
		"the recorded paths help by themselves)",
		PGO_OPT_LIST, AT(binaries)},
	{"The store", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"max-samples", 0, "N", "split profiles of more samples (default: what the store takes)",
		PGO_OPT_U64, AT(max_samples)},
	{"dry-run", 'n', NULL, "do everything but put the profiles", PGO_OPT_FLAG, AT(dry_run)},
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
	"push",
	"[OPTION]... FILE... URL",
	"Puts profiles and recordings into a store: a directory, a bucket, a profile store. Branch "
	"records are kept. A FILE may also be a directory of them, or one that pgo fetch made.",
	opts,
};

static void print_text(const struct push_values *o, const char *url, const struct pgo_push_stats *s,
	struct pgo_buf *out)
{
	const struct pgo_shape_stats *h = &s->shape;

	pgo_buf_printf(out,
		"%s: %" PRIu64 " profiles of %" PRIu64 " files: %" PRIu64 " pieces %s (%" PRIu64
		" bytes), %" PRIu64 " there before\n",
		url, s->profiles, s->files, s->pieces - s->present,
		o->dry_run ? "would be put" : "put", s->bytes, s->present);
	if (!s->shaped)
		return;
	pgo_buf_printf(out,
		"addresses: %" PRIu64 " made those of the file, %" PRIu64
		" were so before, %" PRIu64 " left as they are, %" PRIu64 " locations without\n",
		h->rebased, h->already, h->left, h->without);
	pgo_buf_printf(out, "samples: %" PRIu64 " read, %" PRIu64 " different stacks put\n",
		h->samples, h->samples_put);
	if (h->lines + h->labels + h->comments != 0)
		pgo_buf_printf(out,
			"left out, as stores would drop addresses or the whole for them: %" PRIu64
			" lines of locations with addresses, %" PRIu64
			" labels of single samples, %" PRIu64 " comments\n",
			h->lines, h->labels, h->comments);
}

static void print_json(
	const struct push_values *o, const struct pgo_push_stats *s, struct pgo_buf *out)
{
	const struct pgo_shape_stats *h = &s->shape;
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "push");
	pgo_json_kv_bool(&j, "dry_run", o->dry_run);
	pgo_json_kv_u64(&j, "files", s->files);
	pgo_json_kv_u64(&j, "profiles", s->profiles);
	pgo_json_kv_u64(&j, "pieces", s->pieces);
	pgo_json_kv_u64(&j, "present", s->present);
	pgo_json_kv_u64(&j, "bytes", s->bytes);
	pgo_json_kv_bool(&j, "shaped", s->shaped);
	pgo_json_kv_u64(&j, "samples", h->samples);
	pgo_json_kv_u64(&j, "samples_put", h->samples_put);
	pgo_json_kv_u64(&j, "locations_rebased", h->rebased);
	pgo_json_kv_u64(&j, "locations_already", h->already);
	pgo_json_kv_u64(&j, "locations_left", h->left);
	pgo_json_kv_u64(&j, "locations_without", h->without);
	pgo_json_kv_u64(&j, "lines_dropped", h->lines);
	pgo_json_kv_u64(&j, "labels_dropped", h->labels);
	pgo_json_kv_u64(&j, "comments_dropped", h->comments);
	pgo_json_kv_u64(&j, "retries", s->retries);
	pgo_json_kv_u64(&j, "sent_bytes", s->sent_bytes);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int push(const struct push_values *o, const struct pgo_opt_globals *g, char **args, int n)
{
	const struct pgo_push_options po = {
		.files = (const char *const *)args,
		.n_files = (size_t)(n > 0 ? n - 1 : 0),
		.url = n > 0 ? args[n - 1] : "",
		.service = o->service,
		.host = o->host,
		.version = o->version,
		.labels = o->labels.item,
		.n_labels = o->labels.n,
		.binaries = o->binaries.item,
		.n_binaries = o->binaries.n,
		.max_samples = (uint32_t)o->max_samples,
		.dry_run = o->dry_run,
		.http = {.tries = (unsigned)o->tries,
			.netrc = o->netrc,
			.insecure = o->insecure,
			.ca_file = o->ca_file},
	};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_push_stats stats;
	struct pgo_buf out;
	char *url;
	int code;

	if (n < 2)
		(void)pgo_err_set(&err, PGO_EUSAGE,
			"say which files to push, and where to as the last argument; see pgo push "
			"--help");
	else if (o->tries > MAX_TRIES || o->max_samples > UINT32_MAX)
		(void)pgo_err_set(&err, PGO_EUSAGE, "--tries is at most %d", MAX_TRIES);
	else if (pgo_push(&po, &stats, &err) == 0)
		pgo_err_clear(&err);
	if (err.code != PGO_OK)
		return pgo_cmd_fail(&pgo_cmd_push, g, &err);
	url = pgo_http_redact(args[n - 1]);
	pgo_buf_init(&out, PRINT_MAX);
	if (g->json)
		print_json(o, &stats, &out);
	else if (!g->quiet)
		print_text(o, url != NULL ? url : "", &stats, &out);
	if (o->insecure)
		pgo_warn("--insecure: no certificate was checked");
	code = out.failed ? PGO_EXIT_FAILED : pgo_cmd_print(&pgo_cmd_push, g, out.data, out.len);
	pgo_buf_fini(&out);
	pgo_free(url);
	return code;
}

static int run(int argc, char **argv)
{
	struct push_values o = {0};
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_push, argc, argv, &o, &g, &first, NULL, &code) == 0)
		code = push(&o, &g, argv + first, argc - first);
	pgo_opt_list_free(&o.labels);
	pgo_opt_list_free(&o.binaries);
	return code;
}

const struct pgo_cmd pgo_cmd_push = {
	"push", "put profiles and recordings into a store", &table, run};
