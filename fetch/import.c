/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/gperf.h"
#include "fetch/import_impl.h"
#include "fetch/otlp.h"
#include "fetch/perf_data.h"
#include "fetch/perf_text.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/pprof.h"
#include "pgo/core/vec.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_BYTES ((size_t)64 << 10)
#define GLANCE_BYTES ((size_t)4 << 10)
#define WHOLE_MAX ((size_t)1 << 30)
#define DEFAULT_MAX ((uint64_t)64 << 30)

const char *pgo_input_kind_name(enum pgo_input_kind kind)
{
	switch (kind) {
	case PGO_INPUT_PPROF:
		return "pprof";
	case PGO_INPUT_PERF_DATA:
		return "perf.data";
	case PGO_INPUT_BRSTACK:
		return "brstack";
	case PGO_INPUT_GPERF:
		return "gperftools";
	case PGO_INPUT_OTLP:
		return "otlp";
	case PGO_INPUT_UNKNOWN:
	default:
		return "unknown";
	}
}

static enum pgo_input_kind kind_of(const uint8_t *head, size_t len)
{
	if (pgo_perf_data_probe(head, len))
		return PGO_INPUT_PERF_DATA;
	if (pgo_gperf_probe(head, len))
		return PGO_INPUT_GPERF;
	if (pgo_otlp_probe(head, len))
		return PGO_INPUT_OTLP;
	if (pgo_perf_text_probe(head, len))
		return PGO_INPUT_BRSTACK;
	if (pgo_pprof_probe(head, len))
		return PGO_INPUT_PPROF;
	return PGO_INPUT_UNKNOWN;
}

int pgo_input_probe_stream(struct pgo_stream *s, enum pgo_input_kind *ret, struct pgo_err *err)
{
	const uint8_t *head = NULL;
	/* Most kinds show in the first bytes; text may begin with a page of comments. */
	int64_t n = pgo_stream_peek(s, GLANCE_BYTES, &head, err);

	if (n > 0 && kind_of(head, (size_t)n) == PGO_INPUT_UNKNOWN)
		n = pgo_stream_peek(s, PROBE_BYTES, &head, err);
	if (n < 0)
		return (int)n;
	*ret = kind_of(head, (size_t)n);
	return 0;
}

/* Nearly all files of a fleet are gzip, and tell what they are at once. */
static enum pgo_input_kind glance(const char *path)
{
	uint8_t packed[GLANCE_BYTES], head[GLANCE_BYTES];
	struct stat st;
	ssize_t n = -1;
	int fd;

	/* To open a pipe and go away would break it. */
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return PGO_INPUT_UNKNOWN;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = pread(fd, packed, sizeof packed, 0);
		close(fd);
	}
	return n > 0 ? kind_of(head, pgo_gzip_glance(packed, (size_t)n, head, sizeof head))
		     : PGO_INPUT_UNKNOWN;
}

int pgo_input_probe(const char *path, enum pgo_input_kind *ret, struct pgo_err *err)
{
	struct pgo_stream *s;
	int rc;

	*ret = glance(path);
	if (*ret != PGO_INPUT_UNKNOWN)
		return 0;
	s = pgo_stream_open(path, DEFAULT_MAX, err);
	if (s == NULL)
		return err != NULL ? err->code : PGO_EIO;
	rc = pgo_input_probe_stream(s, ret, err);
	pgo_stream_close(s);
	return rc;
}

/* ---------------------------------------------------------------- events */

/* "cycles:u" is what `--event cycles` means too. */
static bool event_wanted(const char *name, const char *wanted)
{
	size_t n;

	if (wanted == NULL || strcmp(name, wanted) == 0)
		return true;
	n = strlen(wanted);
	return strncmp(name, wanted, n) == 0 && name[n] == ':';
}

/* "cycles:u", "cpu/cycles/upp" */
static bool user_only(const char *name)
{
	const char *modifiers = strrchr(name, ':'), *slash = strrchr(name, '/');

	if (modifiers == NULL || (slash != NULL && slash > modifiers))
		modifiers = slash;
	return modifiers != NULL && strchr(modifiers, 'u') != NULL &&
	       strspn(modifiers + 1, "uhpPGHDSWebI") == strlen(modifiers + 1);
}

static int on_event(void *ctx, uint32_t index, const struct pgo_rec_event *e, struct pgo_err *err)
{
	struct pgo_imp *imp = ctx;
	struct pgo_imp_event *to;
	char *name;

	while (imp->n_events <= index)
		if (PGO_VEC_PUSH(imp->events, imp->n_events, imp->events_room) == NULL)
			return pgo_err_nomem(err);
	to = &imp->events[index];
	name = pgo_strdup(e->name);
	if (name == NULL)
		return pgo_err_nomem(err);
	pgo_free(to->name);
	to->name = name;
	to->type = e->type;
	to->config = e->config;
	to->period = e->period;
	to->unit = e->unit;
	to->has_ring = e->has_ring;
	to->ring_all = e->ring_all;
	to->user_only = user_only(e->name);
	to->wanted = event_wanted(e->name, imp->o->event);
	if (to->wanted && e->has_ring && e->call_stack)
		return pgo_err_set(err, PGO_EFORMAT,
			"event %s has call stacks in its branch buffer (perf record --call-graph "
			"lbr), which say nothing about branches taken; record with perf record -b",
			e->name);
	return pgo_imp_prepare_lanes(imp, err);
}

/* ---------------------------------------------------------------- readers */

/* What is left of a stream, for formats that are small or need all at once. */
static int read_whole(struct pgo_stream *stream, struct pgo_buf *to, struct pgo_err *err)
{
	for (;;) {
		char *at = pgo_buf_reserve(to, PROBE_BYTES);
		int64_t n;

		if (at == NULL)
			return pgo_buf_check(to, "what is read at once", err);
		n = pgo_stream_read(stream, at, PROBE_BYTES, err);
		if (n <= 0)
			return (int)n;
		to->len += (size_t)n;
	}
}

static int read_gperf(struct pgo_imp *imp, struct pgo_stream *stream,
	const struct pgo_recording_sink *sink, struct pgo_err *err)
{
	struct pgo_buf all;
	int rc;

	pgo_buf_init(&all, WHOLE_MAX);
	rc = read_whole(stream, &all, err);
	if (rc == 0)
		rc = pgo_gperf_read(all.data, all.len, sink, &imp->info, err);
	pgo_buf_fini(&all);
	return rc;
}

static int read_perf_data(struct pgo_imp *imp, struct pgo_stream *stream,
	const struct pgo_recording_sink *sink, struct pgo_err *err)
{
	uint64_t max = imp->o->max_bytes != 0 ? imp->o->max_bytes : DEFAULT_MAX;
	bool plain = pgo_stream_coding(stream) == PGO_CODING_PLAIN;
	struct stat st;

	if (plain && imp->memory != NULL)
		return pgo_perf_data_read_memory(
			imp->memory, imp->memory_len, max, sink, &imp->info, err);
	if (plain && imp->memory == NULL && strcmp(imp->path, "-") != 0 &&
		stat(imp->path, &st) == 0 && S_ISREG(st.st_mode))
		stream = NULL; /* by offset */
	return pgo_perf_data_read(imp->path, stream, max, sink, &imp->info, err);
}

static int read_recording(struct pgo_imp *imp, struct pgo_stream *stream, enum pgo_input_kind kind,
	struct pgo_err *err)
{
	struct pgo_recording_sink sink = {.ctx = imp,
		.event = on_event,
		.map = pgo_imp_on_map,
		.task = pgo_imp_on_task,
		.sample = pgo_imp_on_sample,
		.build_id = pgo_imp_on_build_id,
		.lanes = (unsigned)imp->n_lanes,
		.prepare = pgo_imp_on_prepare};

	switch (kind) {
	case PGO_INPUT_PERF_DATA:
		return read_perf_data(imp, stream, &sink, err);
	case PGO_INPUT_BRSTACK:
		return pgo_perf_text_read(stream, imp->n_binaries > 0 ? imp->binaries[0] : NULL,
			&sink, &imp->info, err);
	case PGO_INPUT_GPERF:
		return read_gperf(imp, stream, &sink, err);
	case PGO_INPUT_UNKNOWN:
	case PGO_INPUT_PPROF:
	case PGO_INPUT_OTLP:
	default:
		return pgo_err_set(err, PGO_EFORMAT,
			"this is no profile that pgo knows: not a pprof, a perf.data, text of perf "
			"script with branch stacks, a gperftools CPU profile, or OTLP profiles");
	}
}

/* ---------------------------------------------------------------- after reading */

static int check_usable(const struct pgo_imp *imp, struct pgo_err *err)
{
	const struct pgo_import_stats *st = imp->stats;
	bool found = imp->o->event == NULL;

	for (size_t i = 0; i < imp->n_events; i++)
		found = found || imp->events[i].wanted;
	if (!found)
		return pgo_err_set(err, PGO_ENOTFOUND, "no event \"%s\" in it; there is %s%s",
			imp->o->event, imp->n_events > 0 ? imp->events[0].name : "none",
			imp->n_events > 1 ? " and others" : "");
	if (st->samples == 0 && imp->info.aux_records > 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"there is only a hardware trace in it (Intel PT, Arm ETM or SPE), which "
			"pgo "
			"does not decode; make branch records of it first: perf inject --strip "
			"--itrace=i100usl -i %s -o OUT",
			pgo_path_base(imp->path));
	if (st->samples == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"there are no samples in it; did the program run long enough?");
	if (st->samples_used == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"none of the %" PRIu64 " samples can be used: %" PRIu64
			" in the kernel, %" PRIu64 " outside any mapped file, %" PRIu64
			" of other events, %" PRIu64 " of the idle task, %" PRIu64 " without data",
			st->samples, st->samples_kernel, st->samples_no_mapping,
			st->samples_other_event, st->samples_idle, st->samples_no_data);
	return 0;
}

static void warn_about(const struct pgo_imp *imp)
{
	const struct pgo_import_stats *st = imp->stats;

	if (st->lost_records > 0)
		pgo_warn("%s: perf says it lost %" PRIu64
			 " records; a larger buffer (-m) or a longer period loses fewer",
			imp->path, st->lost_records);
	if (st->late_records > 0)
		pgo_note("%s: %" PRIu64 " records came too late to be put in order", imp->path,
			st->late_records);
	for (size_t i = 0; i < imp->n_events; i++)
		if (imp->events[i].n_used > 0 && imp->events[i].has_ring &&
			!imp->events[i].ring_all)
			pgo_warn("%s: event %s recorded only some kinds of branches; nothing is "
				 "known "
				 "of the code between them (record with -j any)",
				imp->path, imp->events[i].name);
}

static int open_binaries(struct pgo_imp *imp, struct pgo_err *err)
{
	imp->binaries = pgo_calloc(imp->o->n_binaries, sizeof *imp->binaries);
	if (imp->binaries == NULL)
		return pgo_err_nomem(err);
	for (; imp->n_binaries < imp->o->n_binaries; imp->n_binaries++) {
		struct pgo_elf *e = pgo_elf_open(imp->o->binaries[imp->n_binaries], err);

		if (e == NULL)
			return err != NULL ? err->code : PGO_EFORMAT;
		imp->binaries[imp->n_binaries] = e;
	}
	return 0;
}

static void imp_fini(struct pgo_imp *imp)
{
	for (size_t i = 0; i < imp->n_binaries; i++)
		pgo_elf_close(imp->binaries[i]);
	pgo_free(imp->binaries);
	for (size_t i = 0; i < imp->n_events; i++)
		pgo_free(imp->events[i].name);
	pgo_free(imp->events);
	pgo_imp_lanes_fini(imp);
	for (size_t i = 0; imp->images_out != NULL && i < imp->n_images; i++)
		pgo_elf_close(imp->images_out[i].own);
	pgo_free(imp->images_out);
	pgo_imp_space_fini(imp);
}

/* Puts the file's name in front, unless the sentence begins with it already. */
static void name_file(const char *path, struct pgo_err *err)
{
	if (err != NULL && strncmp(err->msg, path, strlen(path)) != 0)
		pgo_err_prefix(err, "%s", path);
}

static int pass_through(struct pgo_imp *imp, struct pgo_stream *stream, struct pgo_imported *ret,
	struct pgo_err *err)
{
	struct pgo_profile *p = NULL;
	struct pgo_buf all;
	int rc;

	if (imp->memory == NULL && strcmp(imp->path, "-") != 0) {
		p = pgo_pprof_load(imp->path, NULL, err);
	} else {
		pgo_buf_init(&all, WHOLE_MAX);
		rc = read_whole(stream, &all, err);
		if (rc == 0)
			p = pgo_pprof_load_memory(imp->path, all.data, all.len, NULL, err);
		pgo_buf_fini(&all);
		if (rc < 0)
			return rc;
	}
	if (p == NULL)
		return err != NULL ? err->code : PGO_EFORMAT;
	ret->stats.samples = ret->stats.samples_used = p->n_samples;
	return pgo_imp_push(
		ret, p, strcmp(imp->path, "-") == 0 ? "stdin" : pgo_path_base(imp->path), err);
}

static int import(struct pgo_imp *imp, struct pgo_stream *stream, struct pgo_imported *ret,
	struct pgo_err *err)
{
	const uint8_t *head;
	struct stat st;
	int64_t n;
	int rc;

	n = pgo_stream_peek(stream, PROBE_BYTES, &head, err);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return pgo_err_set(err, PGO_EFORMAT, "the file is empty");
	ret->kind = kind_of(head, (size_t)n);
	if (ret->kind == PGO_INPUT_PPROF)
		return pass_through(imp, stream, ret, err);
	if (ret->kind == PGO_INPUT_OTLP)
		return pgo_otlp_import(stream, imp->o, ret, err);
	if (imp->memory == NULL && strcmp(imp->path, "-") != 0 && stat(imp->path, &st) == 0)
		imp->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	rc = pgo_imp_space_init(imp, err);
	if (rc == 0)
		rc = pgo_imp_lanes_init(imp, err);
	if (rc == 0)
		rc = open_binaries(imp, err);
	if (rc == 0)
		rc = read_recording(imp, stream, ret->kind, err);
	if (rc == 0)
		rc = pgo_imp_merge_lanes(imp, err);
	imp->stats->records = imp->info.records;
	imp->stats->records_unknown = imp->info.unknown;
	imp->stats->lost_records = imp->info.lost;
	imp->stats->late_records = imp->info.late;
	snprintf(ret->host, sizeof ret->host, "%s",
		imp->o->host != NULL ? imp->o->host : imp->info.host);
	if (rc == 0)
		rc = check_usable(imp, err);
	if (rc < 0)
		return rc;
	warn_about(imp);
	imp->images_out = pgo_calloc(imp->n_images, sizeof *imp->images_out);
	if (imp->images_out == NULL)
		return pgo_err_nomem(err);
	rc = pgo_imp_unbias(imp, ret, err);
	return rc < 0 ? rc : pgo_imp_write(imp, ret, err);
}

/* Takes `stream`. */
static int run(struct pgo_imp *imp, struct pgo_stream *stream, struct pgo_imported *ret,
	struct pgo_err *err)
{
	struct pgo_imported out = {0};
	int rc;

	if (stream == NULL)
		return err != NULL ? err->code : PGO_EIO;
	imp->stats = &out.stats;
	rc = import(imp, stream, &out, err);
	imp_fini(imp);
	pgo_stream_close(stream);
	if (rc < 0) {
		name_file(imp->path, err);
		pgo_imported_fini(&out);
		return rc;
	}
	*ret = out;
	return 0;
}

int pgo_import(const char *path, const struct pgo_import_options *o, struct pgo_imported *ret,
	struct pgo_err *err)
{
	struct pgo_imp imp = {.path = path, .o = o};
	uint64_t max = o->max_bytes != 0 ? o->max_bytes : DEFAULT_MAX;

	return run(&imp, pgo_stream_open(path, max, err), ret, err);
}

int pgo_import_memory(const char *name, const void *data, size_t len,
	const struct pgo_import_options *o, struct pgo_imported *ret, struct pgo_err *err)
{
	struct pgo_imp imp = {.path = name, .memory = data, .memory_len = len, .o = o};
	uint64_t max = o->max_bytes != 0 ? o->max_bytes : DEFAULT_MAX;

	return run(&imp, pgo_stream_memory(name, data, len, max, err), ret, err);
}

void pgo_imported_fini(struct pgo_imported *i)
{
	for (size_t k = 0; k < i->n; k++) {
		pgo_profile_free(i->profiles[k]);
		pgo_free(i->groups[k]);
		if (i->hosts != NULL)
			pgo_free(i->hosts[k]);
	}
	pgo_free(i->profiles);
	pgo_free(i->groups);
	pgo_free(i->hosts);
	pgo_free(i->estimates);
	memset(i, 0, sizeof *i);
}
