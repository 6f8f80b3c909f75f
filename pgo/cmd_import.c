/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "fetch/import.h"
#include "merge/contained.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OUT_MAX ((size_t)8 << 30)
#define PRINT_MAX ((size_t)1 << 30)

struct import_values {
	const char *dir, *host, *service, *version, *event;
	struct pgo_opt_list binaries;
	int64_t time;
	uint64_t max_size;
	bool split, labels, no_search, no_unbias;
};

#define AT(field) offsetof(struct import_values, field)

static const struct pgo_opt opts[] = {
	{"Output", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"output", 'o', "DIR", "where the profiles go; made if need be", PGO_OPT_STR, AT(dir)},
	{"together", 0, NULL, "one profile for each recording, not one for each program",
		PGO_OPT_NOFLAG, AT(split)},
	{"What is known about the recording", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"host", 0, "NAME", "host it was made on (default: what the recording says)", PGO_OPT_STR,
		AT(host)},
	{"service", 0, "NAME", "service that ran", PGO_OPT_STR, AT(service)},
	{"version", 0, "TEXT", "version of it", PGO_OPT_STR, AT(version)},
	{"time", 0, "TIME", "when it was made (default: what the recording says)", PGO_OPT_TIME,
		AT(time)},
	{"no-labels", 0, NULL, "do not put host, service and version on the samples",
		PGO_OPT_NOFLAG, AT(labels)},
	{"binary", 'b', "APP", "a program or library that was recorded (repeatable)", PGO_OPT_LIST,
		AT(binaries)},
	{"no-search", 0, NULL, "look at no file at the recorded paths", PGO_OPT_FLAG,
		AT(no_search)},
	{"Selection", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"event", 'e', "NAME", "only samples of this event", PGO_OPT_STR, AT(event)},
	{"no-unbias", 0, NULL,
		"do not estimate executions: leave the sampling bias in the branch counts",
		PGO_OPT_FLAG, AT(no_unbias)},
	{"max-size", 0, "SIZE", "refuse inputs that inflate to more (default 64G)", PGO_OPT_SIZE,
		AT(max_size)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"import",
	"[OPTION]... FILE... -o DIR",
	"Makes pprof profiles of recordings: perf.data (perf is not needed), the text of perf "
	"script with branch stacks, gperftools CPU profiles, OpenTelemetry (OTLP) profiles. "
	"Branch records are kept.",
	opts,
};

struct output { /* of one run */
	const struct import_values *o;
	struct pgo_buf text;
	struct pgo_json json;
	bool as_json;
};

/* What a file name may consist of; anything else becomes "_", and there is no leading dot. */
static void add_safe(struct pgo_buf *name, const char *s)
{
	for (size_t i = 0; s[i] != '\0' && i < 64; i++) {
		char c = s[i];
		bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '_' || c == '-' || (c == '.' && i > 0);

		pgo_buf_putc(name, safe ? c : '_');
	}
}

/* 20261120T100000Z */
static void add_time(struct pgo_buf *name, int64_t ns)
{
	char text[64];

	if (ns == 0) {
		pgo_buf_puts(name, "notime");
		return;
	}
	pgo_format_time(ns, text, sizeof text);
	for (const char *c = text; *c != '\0'; c++)
		if (*c != '-' && *c != ':')
			pgo_buf_putc(name, *c);
}

/* DIR/HOST-GROUP-TIME-DIGEST.pb.gz */
static void make_name(struct pgo_buf *name, const char *dir, const struct pgo_imported *in,
	size_t i, const struct pgo_buf *bytes)
{
	const char *host = in->hosts != NULL ? in->hosts[i] : in->host;
	struct pgo_sha256 sha;
	uint8_t digest[32];
	char hex[65];

	pgo_sha256_init(&sha);
	pgo_sha256_add(&sha, bytes->data, bytes->len);
	pgo_sha256_final(&sha, digest);
	pgo_sha256_hex(digest, hex);
	pgo_buf_puts(name, dir);
	pgo_buf_putc(name, '/');
	add_safe(name, host[0] != '\0' ? host : "nohost");
	pgo_buf_putc(name, '-');
	add_safe(name, in->groups[i]);
	pgo_buf_putc(name, '-');
	add_time(name, in->profiles[i]->time_ns);
	pgo_buf_printf(name, "-%.12s.pb.gz", hex);
}

/* Sum of a column, 0 if there is none. */
static uint64_t sum(const struct pgo_profile *p, const char *type)
{
	uint32_t column = pgo_profile_sample_type(p, type);
	uint64_t n = 0;

	for (size_t i = 0; column != PGO_NONE && i < p->n_samples; i++)
		n += (uint64_t)pgo_profile_sample(p, i).value[column];
	return n;
}

static void print_profile(
	struct output *out, const struct pgo_imported *in, size_t i, const char *name, size_t bytes)
{
	const struct pgo_profile *p = in->profiles[i];
	uint64_t samples = sum(p, "samples"), traces = sum(p, "lbr_traces");

	if (out->as_json) {
		pgo_json_object(&out->json);
		pgo_json_kv_str(&out->json, "file", name);
		pgo_json_kv_str(&out->json, "group", in->groups[i]);
		pgo_json_kv_i64(&out->json, "time_ns", p->time_ns);
		pgo_json_kv_i64(&out->json, "duration_ns", p->duration_ns);
		pgo_json_kv_u64(&out->json, "samples", samples);
		pgo_json_kv_u64(&out->json, "branches", traces);
		pgo_json_kv_u64(&out->json, "bytes", bytes);
		pgo_json_end_object(&out->json);
		return;
	}
	pgo_buf_printf(&out->text, "%s: %" PRIu64 " samples", name, samples);
	if (traces > 0)
		pgo_buf_printf(&out->text, ", %" PRIu64 " branches", traces);
	pgo_buf_printf(&out->text, " of %s, %zu bytes\n", in->groups[i], bytes);
}

static int write_profile(
	struct output *out, const struct pgo_imported *in, size_t i, struct pgo_err *err)
{
	struct pgo_buf bytes, name;
	int rc;

	pgo_buf_init(&bytes, OUT_MAX);
	pgo_buf_init(&name, 1 << 16);
	rc = pgo_pprof_encode(in->profiles[i], true, &bytes, err);
	if (rc == 0) {
		make_name(&name, out->o->dir, in, i, &bytes);
		rc = pgo_buf_check(&name, "the name of an output", err);
	}
	if (rc == 0)
		rc = pgo_file_write(name.data, bytes.data, bytes.len, err);
	if (rc == 0)
		print_profile(out, in, i, name.data, bytes.len);
	pgo_buf_fini(&bytes);
	pgo_buf_fini(&name);
	return rc;
}

/* Each profile says which recording it was made from, so that the two do not count twice: see
 * merge/contained.h. */
static int name_source(const char *path, struct pgo_imported *in, struct pgo_err *err)
{
	char digest[80], text[48];
	struct stat st;
	size_t len;

	/* A pipe can be read once, and that was before. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || pgo_sha256_file(path, digest, NULL) < 0)
		return 0;
	len = strlen(digest);
	for (size_t i = 0; i < in->n; i++) {
		if (in->n > 1)
			snprintf(digest + len, sizeof digest - len, "#%zu", i + 1);
		pgo_contained_comment(digest, text);
		if (pgo_profile_add_comment(in->profiles[i], text) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

static int import_file(struct output *out, const char *path, struct pgo_err *err)
{
	const struct import_values *o = out->o;
	struct pgo_import_options io = {.host = o->host,
		.service = o->service,
		.version = o->version,
		.time_ns = o->time,
		.binaries = o->binaries.item,
		.n_binaries = o->binaries.n,
		.event = o->event,
		.max_bytes = o->max_size,
		.labels = o->labels,
		.ignore_paths = o->no_search,
		.split_processes = o->split,
		.no_unbias = o->no_unbias};
	struct pgo_show show = {
		.path = path, .out = &out->text, .json = out->as_json ? &out->json : NULL};
	struct pgo_imported in;
	int rc = pgo_import(path, &io, &in, err);

	if (rc < 0)
		return rc;
	rc = name_source(path, &in, err);
	if (out->as_json) {
		pgo_json_object(&out->json);
		pgo_json_kv_str(&out->json, "input", path);
		pgo_json_kv_str(&out->json, "kind", pgo_input_kind_name(in.kind));
		pgo_json_key(&out->json, "profiles");
		pgo_json_array(&out->json);
	}
	for (size_t i = 0; i < in.n && rc == 0; i++)
		rc = write_profile(out, &in, i, err);
	if (out->as_json)
		pgo_json_end_array(&out->json);
	else if (rc == 0)
		pgo_buf_printf(&out->text, "%s (%s)\n", path, pgo_input_kind_name(in.kind));
	pgo_show_import_stats(&show, &in.stats);
	pgo_show_import_estimates(&show, &in);
	if (out->as_json)
		pgo_json_end_object(&out->json);
	pgo_imported_fini(&in);
	return rc;
}

/* All files; a bad one does not keep the others from being imported, but decides the exit code. */
static int import_all(struct output *out, const struct pgo_opt_globals *g, char **path, int n)
{
	int code = PGO_EXIT_OK, printed;

	if (out->as_json)
		pgo_json_array(&out->json);
	for (int i = 0; i < n; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		int one;

		if (import_file(out, path[i], &err) == 0)
			continue;
		one = pgo_cmd_fail(&pgo_cmd_import, g, &err);
		if (code == PGO_EXIT_OK)
			code = one;
	}
	if (out->as_json) {
		pgo_json_end_array(&out->json);
		pgo_json_finish(&out->json);
	}
	printed = pgo_cmd_print(&pgo_cmd_import, g, out->text.data, out->text.len);
	return code != PGO_EXIT_OK ? code : printed;
}

static int check_usage(const struct import_values *o, int n_files, struct pgo_err *err)
{
	if (n_files == 0)
		return pgo_err_set(err, PGO_EUSAGE, "no recording given; see pgo import --help");
	if (o->dir == NULL)
		return pgo_err_set(err, PGO_EUSAGE, "say with -o DIR where the profiles shall go");
	return 0;
}

static int run(int argc, char **argv)
{
	struct import_values o = {.split = true, .labels = true};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct output out = {.o = &o};
	int first, code;

	pgo_buf_init(&out.text, PRINT_MAX);
	if (pgo_cmd_begin(&pgo_cmd_import, argc, argv, &o, &g, &first, NULL, &code) != 0)
		goto out;
	out.as_json = g.json;
	pgo_json_init(&out.json, &out.text, false);
	if (check_usage(&o, argc - first, &err) < 0 || pgo_mkdirs(o.dir, &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_import, &g, &err);
	else
		code = import_all(&out, &g, argv + first, argc - first);
out:
	pgo_buf_fini(&out.text);
	pgo_opt_list_free(&o.binaries);
	return code;
}

const struct pgo_cmd pgo_cmd_import = {
	"import", "make pprof profiles of perf.data and other recordings", &table, run};
