/* SPDX-License-Identifier: Apache-2.0 */
/* Views of what the converters make (sample profiles, .fdata), of programs, and of our own JSON
 * files. */
#include "pgo/show.h"

#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static size_t shown(const struct pgo_show *s, size_t n)
{
	return s->all || s->top == 0 || s->top > n ? n : s->top;
}

/* ---- counters of an imported recording: one table for both views */

struct counter {
	const char *key, *text;
	size_t offset;
};

#define AT(field) offsetof(struct pgo_import_stats, field)

static const struct counter import_counters[] = {
	{"records", "records read", AT(records)},
	{"records_unknown", "  of kinds that say nothing about samples", AT(records_unknown)},
	{"samples", "samples read", AT(samples)},
	{"samples_used", "  used", AT(samples_used)},
	{"samples_kernel", "  in the kernel", AT(samples_kernel)},
	{"samples_no_mapping", "  in no mapped file", AT(samples_no_mapping)},
	{"samples_other_event", "  of other events", AT(samples_other_event)},
	{"samples_no_data", "  without address or branches", AT(samples_no_data)},
	{"samples_idle", "  of the idle task", AT(samples_idle)},
	{"frames_kernel", "  callers in the kernel, left out", AT(frames_kernel)},
	{"frames_no_mapping", "  callers in no mapped file, left out", AT(frames_no_mapping)},
	{"branches", "branch records read", AT(branches)},
	{"branches_used", "  used", AT(branches_used)},
	{"branches_kernel", "  in the kernel", AT(branches_kernel)},
	{"branches_no_mapping", "  in no mapped file", AT(branches_no_mapping)},
	{"branches_zero", "  with address 0", AT(branches_zero)},
	{"branches_wrong_path", "  on a mispredicted path", AT(branches_wrong_path)},
	{"branches_duplicate_top", "  duplicated at the top of the ring",
		AT(branches_duplicate_top)},
	{"branches_filtered", "  filtered", AT(branches_filtered)},
	{"ranges_bogus", "fall-throughs that cannot be (branch kept)", AT(ranges_bogus)},
	{"lost_records", "samples the kernel lost", AT(lost_records)},
	{"late_records", "  records that came too late to be put in order", AT(late_records)},
};

void pgo_show_import_stats(const struct pgo_show *s, const struct pgo_import_stats *stats)
{
	if (s->json != NULL) {
		pgo_json_key(s->json, "account");
		pgo_json_object(s->json);
	}
	for (size_t i = 0; i < sizeof import_counters / sizeof *import_counters; i++) {
		uint64_t v;

		memcpy(&v, (const char *)stats + import_counters[i].offset, sizeof v);
		if (s->json != NULL)
			pgo_json_kv_u64(s->json, import_counters[i].key, v);
		else if (v != 0 || import_counters[i].text[0] != ' ')
			pgo_buf_printf(
				s->out, "  %-46s %12" PRIu64 "\n", import_counters[i].text, v);
	}
	if (s->json != NULL)
		pgo_json_end_object(s->json);
}

/* ---- the estimate of executions */

static void estimate_json(struct pgo_json *j, const struct pgo_import_estimate *e)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "event", e->event);
	pgo_json_kv_u64(j, "rings", e->rings);
	pgo_json_kv_u64(j, "rings_weighted", e->rings_weighted);
	pgo_json_kv_u64(j, "rings_single", e->rings_single);
	pgo_json_kv_u64(j, "rings_long", e->rings_long);
	pgo_json_kv_u64(j, "rings_without_cycles", e->rings_without_cycles);
	pgo_json_kv_str(j, "why_not", e->why_not);
	if (e->why_not == NULL) {
		pgo_json_kv_str(j, "unit", e->unit);
		pgo_json_kv_bool(j, "detected", e->detected);
		pgo_json_kv_bool(j, "self_timed", e->self_timed);
		pgo_json_kv_bool(j, "suspicious", e->suspicious);
		pgo_json_kv_str(j, "scale", e->scale);
		pgo_json_kv_double(j, "phi", e->phi);
		pgo_json_kv_double(j, "executions", e->executions);
		pgo_json_kv_u64(j, "runs", e->runs);
		pgo_json_kv_u64(j, "runs_counted", e->runs_counted);
	}
	pgo_json_end_object(j);
}

static void estimate_text(struct pgo_buf *out, const struct pgo_import_estimate *e)
{
	if (e->why_not != NULL) {
		pgo_buf_printf(out, "executions: not estimated from %" PRIu64 " rings of %s: %s\n",
			e->rings, e->event, e->why_not);
		return;
	}
	pgo_buf_printf(out,
		"executions: %.0f (%s), from %" PRIu64 " of %" PRIu64
		" rings of %s by %s%s%s, phi %.3f\n",
		e->executions, e->scale, e->rings_weighted, e->rings, e->event, e->unit,
		e->self_timed ? " and by how often each target was newest" : "",
		e->detected ? " (as the rings show)" : "", e->phi);
	if (e->runs_counted < e->runs)
		pgo_buf_printf(out, "  runs measured by bytes, without code %21" PRIu64 "\n",
			e->runs - e->runs_counted);
	if (e->rings_single + e->rings_long > 0)
		pgo_buf_printf(out, "  rings of one entry, or of too many %23" PRIu64 "\n",
			e->rings_single + e->rings_long);
	if (e->rings_without_cycles > 0)
		pgo_buf_printf(
			out, "  rings without cycles %37" PRIu64 "\n", e->rings_without_cycles);
}

void pgo_show_import_estimates(const struct pgo_show *s, const struct pgo_imported *in)
{
	if (s->json != NULL) {
		pgo_json_key(s->json, "executions");
		pgo_json_array(s->json);
	}
	for (size_t i = 0; i < in->n_estimates; i++) {
		if (s->json != NULL)
			estimate_json(s->json, &in->estimates[i]);
		else
			estimate_text(s->out, &in->estimates[i]);
	}
	if (s->json != NULL)
		pgo_json_end_array(s->json);
}

/* ---- sample profiles */

static void fn_text(const struct pgo_show *s, const struct pgo_fnprof *p, const struct pgo_fn *f,
	unsigned depth)
{
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *pos = &f->pos[i];

		pgo_buf_printf(s->out, "%*s%" PRIu32, (int)depth * 2 + 4, "", pos->line);
		if (pos->disc != 0)
			pgo_buf_printf(s->out, ".%" PRIu32, pos->disc);
		pgo_buf_printf(s->out, ": %" PRIu64, pos->count);
		for (uint32_t k = 0; k < pos->n_targets; k++)
			pgo_buf_printf(s->out, " %s:%" PRIu64,
				pgo_fnprof_str(p, pos->targets[k].name), pos->targets[k].count);
		pgo_buf_putc(s->out, '\n');
	}
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn_call *c = &f->calls[i];

		pgo_buf_printf(s->out, "%*s%" PRIu32, (int)depth * 2 + 4, "", c->line);
		if (c->disc != 0)
			pgo_buf_printf(s->out, ".%" PRIu32, c->disc);
		pgo_buf_printf(s->out, ": inlined %s, total %" PRIu64 "\n",
			pgo_fnprof_str(p, c->callee->name), c->callee->total);
		fn_text(s, p, c->callee, depth + 1);
	}
}

static void fn_json(
	struct pgo_json *j, const struct pgo_fnprof *p, const struct pgo_fn *f, bool full)
{
	pgo_json_kv_str(j, "name", pgo_fnprof_str(p, f->name));
	pgo_json_kv_u64(j, "total", f->total);
	pgo_json_kv_u64(j, "head", f->head);
	if (!full)
		return;
	pgo_json_key(j, "positions");
	pgo_json_array(j);
	for (uint32_t i = 0; i < f->n_pos; i++) {
		pgo_json_object(j);
		pgo_json_kv_u64(j, "line", f->pos[i].line);
		pgo_json_kv_u64(j, "discriminator", f->pos[i].disc);
		pgo_json_kv_u64(j, "count", f->pos[i].count);
		pgo_json_key(j, "targets");
		pgo_json_array(j);
		for (uint32_t k = 0; k < f->pos[i].n_targets; k++) {
			pgo_json_object(j);
			pgo_json_kv_str(j, "name", pgo_fnprof_str(p, f->pos[i].targets[k].name));
			pgo_json_kv_u64(j, "count", f->pos[i].targets[k].count);
			pgo_json_end_object(j);
		}
		pgo_json_end_array(j);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_key(j, "inlined");
	pgo_json_array(j);
	for (uint32_t i = 0; i < f->n_calls; i++) {
		pgo_json_object(j);
		pgo_json_kv_u64(j, "line", f->calls[i].line);
		pgo_json_kv_u64(j, "discriminator", f->calls[i].disc);
		fn_json(j, p, f->calls[i].callee, true);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void fnprof_json(const struct pgo_show *s, const char *kind, const struct pgo_fnprof *p,
	const struct pgo_summary *sum, const struct pgo_fn *only)
{
	struct pgo_json *j = s->json;

	pgo_json_object(j);
	pgo_json_kv_str(j, "file", s->path);
	pgo_json_kv_str(j, "kind", kind);
	pgo_json_kv_u64(j, "functions", sum->n_fns);
	pgo_json_kv_u64(j, "positions", sum->n_counts);
	pgo_json_kv_u64(j, "total", sum->total);
	pgo_json_kv_u64(j, "max", sum->max);
	pgo_json_kv_u64(j, "cold_names", p->n_cold);
	pgo_json_key(j, "profile");
	pgo_json_array(j);
	for (size_t i = 0; i < (only != NULL ? 1 : shown(s, p->n_fns)); i++) {
		pgo_json_object(j);
		fn_json(j, p, only != NULL ? only : p->fns[i], s->all || only != NULL);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

int pgo_show_fnprof(
	const struct pgo_show *s, const char *kind, const struct pgo_fnprof *p, struct pgo_err *err)
{
	const struct pgo_fn *only = NULL;
	struct pgo_summary sum;
	int rc = pgo_fnprof_summary(p, &sum, err);

	if (rc < 0)
		return rc;
	if (s->function != NULL && (only = pgo_fnprof_find(p, s->function)) == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"%s has no record of a function called '%s'; names are linkage names, "
			"without clone suffixes",
			s->path, s->function);
	if (s->json != NULL) {
		fnprof_json(s, kind, p, &sum, only);
		return 0;
	}
	pgo_buf_printf(s->out,
		"%s: %s\n  %" PRIu64 " functions, %" PRIu64 " positions, counts sum %" PRIu64
		", largest %" PRIu64 "; %zu names without samples\n",
		s->path, kind, sum.n_fns, sum.n_counts, sum.total, sum.max, p->n_cold);
	for (size_t i = 0; i < (only != NULL ? 1 : shown(s, p->n_fns)); i++) {
		const struct pgo_fn *f = only != NULL ? only : p->fns[i];

		pgo_buf_printf(s->out, "  %s: total %" PRIu64 ", head %" PRIu64 "\n",
			pgo_fnprof_str(p, f->name), f->total, f->head);
		if (only != NULL || s->all)
			fn_text(s, p, f, 0);
	}
	return 0;
}

/* ---- .fdata */

static int by_count(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_fdata *f = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	uint64_t ca = f->edges[a].count, cb = f->edges[b].count;

	return ca != cb ? (ca < cb ? 1 : -1) : (a > b) - (a < b);
}

static void fdata_loc(struct pgo_buf *out, const struct pgo_fdata *f, const struct pgo_fdata_loc *l)
{
	const char *name = pgo_strtab_get(&f->strs, l->name);

	pgo_buf_printf(out, "%s+0x%" PRIx64, name[0] != '\0' ? name : "[unknown]", l->offset);
}

static void fdata_edge(const struct pgo_show *s, const struct pgo_fdata *f,
	const struct pgo_fdata_edge *e, struct pgo_buf *text)
{
	pgo_buf_clear(text);
	fdata_loc(text, f, &e->from);
	if (!f->no_lbr) {
		pgo_buf_puts(text, " -> ");
		fdata_loc(text, f, &e->to);
	}
	if (s->json != NULL) {
		pgo_json_object(s->json);
		pgo_json_kv_str(s->json, "edge", text->data);
		pgo_json_kv_u64(s->json, "count", e->count);
		pgo_json_kv_u64(s->json, "mispredicts", e->mispreds);
		pgo_json_end_object(s->json);
	} else {
		pgo_buf_printf(s->out, "  %12" PRIu64 " %10" PRIu64 "  %s\n", e->count, e->mispreds,
			text->data);
	}
}

int pgo_show_fdata(const struct pgo_show *s, const struct pgo_fdata *f, struct pgo_err *err)
{
	uint32_t *order = pgo_malloc(f->n_edges * sizeof *order);
	uint64_t count = 0, mispreds = 0;
	struct pgo_buf text;

	if (order == NULL)
		return pgo_err_nomem(err);
	pgo_buf_init(&text, (size_t)1 << 20);
	for (size_t i = 0; i < f->n_edges; i++) {
		order[i] = (uint32_t)i;
		count += f->edges[i].count;
		mispreds += f->edges[i].mispreds;
	}
	qsort_r(order, f->n_edges, sizeof *order, by_count, (void *)f);
	if (s->json != NULL) {
		pgo_json_object(s->json);
		pgo_json_kv_str(s->json, "file", s->path);
		pgo_json_kv_str(s->json, "kind", "fdata");
		pgo_json_kv_bool(s->json, "branch_records", !f->no_lbr);
		pgo_json_kv_u64(s->json, "edges", f->n_edges);
		pgo_json_kv_u64(s->json, "count", count);
		pgo_json_kv_u64(s->json, "mispredicts", mispreds);
		pgo_json_key(s->json, "hottest");
		pgo_json_array(s->json);
	} else {
		pgo_buf_printf(s->out,
			"%s: .fdata for llvm-bolt%s\n  %zu %s, counts sum %" PRIu64
			", mispredicts %" PRIu64 "\n  %12s %10s  %s\n",
			s->path, f->no_lbr ? ", without branch records" : "", f->n_edges,
			f->no_lbr ? "places" : "edges", count, mispreds, "count", "mispredict",
			f->no_lbr ? "place" : "edge");
	}
	for (size_t i = 0; i < shown(s, f->n_edges); i++)
		fdata_edge(s, f, &f->edges[order[i]], &text);
	if (s->json != NULL) {
		pgo_json_end_array(s->json);
		pgo_json_end_object(s->json);
	}
	pgo_buf_fini(&text);
	pgo_free(order);
	return 0;
}

/* ---- programs */

/* What a build put into the program: the KEY.json of `pgo flags --dir` as a section (pgo-modules(7)). */
static void show_built(const struct pgo_show *s, const struct pgo_elf *e)
{
	static const char *const members[] = {"target", "id", "sha256"};
	size_t len = 0;
	const uint8_t *data = pgo_elf_section_data(e, ".pgo.build", &len);
	struct pgo_jval *doc =
		data != NULL ? pgo_jdoc_parse(s->path, (const char *)data, len, NULL) : NULL;
	const struct pgo_jval *profile = pgo_jval_get(doc, "profile");
	const char *of[3];

	for (size_t i = 0; i < 3; i++)
		of[i] = pgo_jval_str(pgo_jval_get(profile, members[i]), "");
	if (s->json != NULL && doc != NULL) {
		pgo_json_key(s->json, "built_with");
		pgo_json_object(s->json);
		for (size_t i = 0; i < 3; i++)
			pgo_json_kv_str(s->json, members[i], profile != NULL ? of[i] : NULL);
		pgo_json_end_object(s->json);
	} else if (data != NULL && doc == NULL) {
		pgo_buf_puts(s->out, "  built with      .pgo.build cannot be read\n");
	} else if (doc != NULL && *of[2] == '\0') {
		pgo_buf_puts(s->out, "  built with      no profile\n");
	} else if (doc != NULL) {
		pgo_buf_printf(s->out, "  built with      profile %.64s of target %.200s%s%.64s\n",
			of[2], of[0], *of[1] != '\0' ? ", result " : "", of[1]);
	}
	pgo_jdoc_free(doc);
}

void pgo_show_elf(const struct pgo_show *s, const struct pgo_elf *e)
{
	const char *machine = e->machine == PGO_MACHINE_X86_64 ? "x86-64" : "AArch64";

	if (s->json != NULL) {
		pgo_json_object(s->json);
		pgo_json_kv_str(s->json, "file", s->path);
		pgo_json_kv_str(s->json, "kind", "elf");
		pgo_json_kv_str(s->json, "build_id", e->build_id);
		pgo_json_kv_str(s->json, "machine", machine);
		pgo_json_kv_bool(s->json, "position_independent", e->pie);
		pgo_json_kv_bool(s->json, "debug_information", e->has_dwarf);
		pgo_json_kv_bool(s->json, "symbol_table", e->has_symtab);
		pgo_json_kv_bool(s->json, "relocations_kept", e->emit_relocs);
		pgo_json_kv_u64(s->json, "code_symbols", e->n_symbols);
		show_built(s, e);
		pgo_json_end_object(s->json);
		return;
	}
	pgo_buf_printf(s->out, "%s: ELF for %s, %s\n  build-id        %s\n", s->path, machine,
		e->pie ? "position-independent" : "at fixed addresses",
		e->build_id[0] != '\0'
			? e->build_id
			: "none: link with -Wl,--build-id, or profiles cannot be told apart");
	pgo_buf_printf(s->out, "  debug info      %s\n",
		e->has_dwarf ? "in the file"
			     : "not in the file: compile with -g, or keep the separate debug file");
	pgo_buf_printf(s->out, "  symbols         %zu%s\n", e->n_symbols,
		e->has_symtab ? "" : " (dynamic ones only: stripped)");
	pgo_buf_printf(s->out, "  relocations     %s\n",
		e->emit_relocs ? "kept: llvm-bolt may reorder functions"
			       : "not kept: link with -Wl,--emit-relocs for llvm-bolt");
	show_built(s, e);
	for (size_t i = 0; i < e->n_segments; i++)
		pgo_buf_printf(s->out,
			"  %-15s %" PRIx64 "-%" PRIx64 " from file offset %" PRIx64 "%s%s\n",
			i == 0 ? "segments" : "", e->segments[i].vaddr,
			e->segments[i].vaddr + e->segments[i].memsz, e->segments[i].offset,
			e->segments[i].exec ? ", executable" : "",
			e->segments[i].write ? ", writable" : "");
}

/* ---- our own JSON files: checked, then shown as they are */

int pgo_show_json_file(const struct pgo_show *s, const char *data, size_t len, struct pgo_err *err)
{
	struct pgo_jval *doc = pgo_jdoc_parse(s->path, data, len, NULL);
	size_t lines = 0, at = 0;

	if (doc != NULL) {
		pgo_jdoc_free(doc);
		pgo_buf_add(s->out, data, len);
		return 0;
	}
	/* Not one document: one a line, as manifests are. */
	while (at < len) {
		const char *nl = memchr(data + at, '\n', len - at);
		size_t n = nl != NULL ? (size_t)(nl - data) - at : len - at;

		lines++;
		if (n != 0) {
			doc = pgo_jdoc_parse(s->path, data + at, n, err);
			if (doc == NULL) {
				pgo_err_prefix(err, "line %zu", lines);
				return err != NULL ? (int)err->code : PGO_EFORMAT;
			}
			pgo_jdoc_free(doc);
		}
		at += n + 1;
	}
	pgo_buf_add(s->out, data, len);
	return 0;
}
