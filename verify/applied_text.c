/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/applied.h"

#include <inttypes.h>

static void side_text(const struct pgo_applied_side *s, const char *when, struct pgo_buf *out)
{
	pgo_buf_printf(out, "  %-7s%s: %" PRIu64 " functions, %" PRIu64 " bytes of code", when,
		s->name, s->functions, s->text);
	if (s->hot_bytes != 0)
		pgo_buf_printf(out, ", %" PRIu64 " of them hot", s->hot_bytes);
	if (s->cold_parts != 0)
		pgo_buf_printf(out, "; %" PRIu64 " cold parts split off, %" PRIu64 " bytes",
			s->cold_parts, s->cold_bytes);
	if (s->hot_section != 0)
		pgo_buf_printf(out, "; %" PRIu64 " bytes in sections for hot code", s->hot_section);
	if (s->cold_section != 0)
		pgo_buf_printf(
			out, "; %" PRIu64 " bytes in sections for cold code", s->cold_section);
	pgo_buf_puts(out, "\n");
	if (s->compilers[0] != '\0')
		pgo_buf_printf(out, "         by %s\n", s->compilers);
	if (s->option[0] != '\0')
		pgo_buf_printf(out, "         given %s in %" PRIu64 " of %" PRIu64 " units\n",
			s->option, s->units_told, s->units);
	if (s->bolt[0] != '\0')
		pgo_buf_printf(out, "         %s\n", s->bolt);
}

static void top_text(const struct pgo_applied *a, struct pgo_buf *out)
{
	pgo_buf_printf(
		out, "  %8s%10s%10s  %-9s%s\n", "share", "before", "after", "code", "function");
	for (size_t i = 0; i < a->n_top; i++) {
		const struct pgo_applied_function *f = &a->top[i];

		pgo_buf_printf(out, "  %7.2f%%%10" PRIu64 "%10" PRIu64 "  %-9s%s\n", f->share * 100,
			f->before, f->after,
			f->after == 0    ? "no own"
			: f->same        ? "same"
			: f->before == 0 ? "new"
					 : "changed",
			f->name);
	}
}

void pgo_applied_text(const struct pgo_applied *a, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%s\n", a->sentence);
	side_text(&a->before, "before", out);
	side_text(&a->after, "after", out);
	pgo_buf_printf(out,
		"  of %s: %.1f %% same code, %.1f %% without branches, %.1f %% changed, "
		"%.1f %% inlined, %.1f %% gone (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64
		" and %" PRIu64 " functions; %" PRIu64 " new)\n",
		a->by_mass ? "the profile's counts" : "the code before", a->same * 100,
		a->straight * 100, a->changed * 100, a->inlined * 100, a->gone * 100,
		a->functions_same, a->functions_straight, a->functions_changed,
		a->functions_inlined, a->functions_gone, a->functions_new);
	if (a->after.hot_section != 0)
		pgo_buf_printf(
			out, "  %.1f %% in sections for hot code\n", a->in_hot_section * 100);
	if (a->after.bolt[0] != '\0')
		pgo_buf_printf(
			out, "  %.1f %% in code that llvm-bolt wrote anew\n", a->rewritten * 100);
	top_text(a, out);
	pgo_gates_text(&a->gates, out);
}

static void side_json(const struct pgo_applied_side *s, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "name", s->name);
	pgo_json_kv_str(j, "build_id", s->build_id);
	pgo_json_kv_str(j, "compilers", s->compilers);
	pgo_json_kv_str(j, "option", s->option);
	pgo_json_kv_u64(j, "units", s->units);
	pgo_json_kv_u64(j, "units_told", s->units_told);
	pgo_json_kv_bool(j, "options_recorded", s->options_recorded);
	pgo_json_kv_str(j, "bolt", s->bolt);
	pgo_json_kv_u64(j, "functions", s->functions);
	pgo_json_kv_u64(j, "text", s->text);
	pgo_json_kv_u64(j, "hot", s->hot_bytes);
	pgo_json_kv_u64(j, "cold_parts", s->cold_parts);
	pgo_json_kv_u64(j, "cold_bytes", s->cold_bytes);
	pgo_json_kv_u64(j, "hot_section", s->hot_section);
	pgo_json_kv_u64(j, "cold_section", s->cold_section);
	pgo_json_end_object(j);
}

void pgo_applied_json(const struct pgo_applied *a, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "result", pgo_applied_name(a->result));
	pgo_json_kv_str(j, "sentence", a->sentence);
	pgo_json_kv_str(j, "shares_of", a->by_mass ? "profile" : "code");
	pgo_json_kv_double(j, "same", a->same);
	pgo_json_kv_double(j, "straight", a->straight);
	pgo_json_kv_double(j, "changed", a->changed);
	pgo_json_kv_double(j, "inlined", a->inlined);
	pgo_json_kv_double(j, "gone", a->gone);
	pgo_json_kv_double(j, "in_hot_section", a->in_hot_section);
	pgo_json_kv_double(j, "rewritten", a->rewritten);
	pgo_json_kv_u64(j, "functions_same", a->functions_same);
	pgo_json_kv_u64(j, "functions_straight", a->functions_straight);
	pgo_json_kv_u64(j, "functions_changed", a->functions_changed);
	pgo_json_kv_u64(j, "functions_inlined", a->functions_inlined);
	pgo_json_kv_u64(j, "functions_gone", a->functions_gone);
	pgo_json_kv_u64(j, "functions_new", a->functions_new);
	pgo_json_key(j, "before");
	side_json(&a->before, j);
	pgo_json_key(j, "after");
	side_json(&a->after, j);
	pgo_json_key(j, "functions");
	pgo_json_array(j);
	for (size_t i = 0; i < a->n_top; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", a->top[i].name);
		pgo_json_kv_double(j, "share", a->top[i].share);
		pgo_json_kv_u64(j, "before", a->top[i].before);
		pgo_json_kv_u64(j, "after", a->top[i].after);
		pgo_json_kv_bool(j, "same", a->top[i].same);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_key(j, "gates");
	pgo_gates_json(&a->gates, j);
	pgo_json_end_object(j);
}
