/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the runs of traces are: in instructions where their code is at hand, else by their bytes,
 * at as many instructions a byte as the others have (a quarter if there are no others).
 */
#include "fetch/import_impl.h"
#include "fetch/unbias.h"
#include "pgo/core/insn.h"

#include <string.h>

#define LENGTH_ONE ((uint64_t)1 << PGO_UNBIAS_LENGTH_BITS)
#define DEFAULT_PER_BYTE ((uint32_t)(LENGTH_ONE / 4))
/* The last instruction of a run is a branch; of its bytes nothing is known without its code. */
#define LAST_BYTES 4

struct measure {
	struct pgo_imp *imp;
	/* where the last run was found */
	uint32_t image;
	struct pgo_insn_decoder decoder;
	/* over traces, each by its count */
	unsigned __int128 insns, bytes_of_insns, bytes;
	struct pgo_imp_lengths *ret;
};

static bool is_run(const struct pgo_imp_trace *t)
{
	return POINT_IS_ADDRESS(t->target) && POINT_IS_ADDRESS(t->end);
}

static uint64_t bytes_of(const struct pgo_imp_trace *t)
{
	return t->end - t->target + LAST_BYTES;
}

/* Instructions of a run, or 0. */
static uint32_t count(struct measure *m, const struct pgo_imp_trace *t)
{
	const struct pgo_imp_window *window = &m->imp->windows[t->target >> 32];
	uint64_t vaddr,
		offset = ((uint64_t)window->number << WINDOW_BITS) + (t->target & WINDOW_MASK);
	const struct pgo_elf *elf = pgo_imp_image_out(m->imp, window->image)->elf;
	const uint8_t *code;
	size_t len;

	if (elf == NULL || !pgo_elf_offset_to_vaddr(elf, offset, &vaddr))
		return 0;
	code = pgo_elf_code(elf, vaddr, &len);
	if (code == NULL)
		return 0;
	if (window->image != m->image) {
		pgo_insn_decoder_init(&m->decoder, elf->machine);
		m->image = window->image;
	}
	return pgo_insn_count(&m->decoder, code, len, t->end - t->target);
}

static void measure_group(
	struct measure *m, const struct pgo_imp_group *g, struct pgo_unbias_trace *traces)
{
	for (size_t i = 0; i < g->n_traces; i++) {
		const struct pgo_imp_trace *t = &g->traces[i];
		uint32_t n = is_run(t) ? count(m, t) : 0;

		traces[i].length = n * (uint32_t)LENGTH_ONE;
		if (!is_run(t))
			continue;
		m->ret->runs += t->count;
		m->bytes += (unsigned __int128)bytes_of(t) * t->count;
		if (n == 0)
			continue;
		m->ret->runs_counted += t->count;
		m->bytes_of_insns += (unsigned __int128)bytes_of(t) * t->count;
		m->insns += (unsigned __int128)n * t->count;
	}
}

/* Means, and with them what could not be counted. */
static void fill_rest(struct measure *m, struct pgo_unbias_trace *const *traces)
{
	struct pgo_imp_lengths *l = m->ret;
	struct pgo_imp *imp = m->imp;

	l->per_byte = DEFAULT_PER_BYTE;
	if (m->bytes_of_insns > 0)
		l->per_byte = (uint32_t)(m->insns * LENGTH_ONE / m->bytes_of_insns);
	l->mean = (uint32_t)LENGTH_ONE;
	if (l->runs > 0)
		l->mean = (uint32_t)(m->bytes * l->per_byte / l->runs);
	for (size_t g = 0; g < imp->n_groups; g++)
		for (size_t i = 0; i < imp->groups[g].n_traces; i++) {
			const struct pgo_imp_trace *t = &imp->groups[g].traces[i];

			if (traces[g][i].length != 0)
				continue;
			traces[g][i].length =
				is_run(t) ? (uint32_t)(bytes_of(t) * l->per_byte) : l->mean;
		}
}

void pgo_imp_lengths(
	struct pgo_imp *imp, struct pgo_unbias_trace *const *traces, struct pgo_imp_lengths *ret)
{
	struct measure m = {.imp = imp, .image = PGO_NONE, .ret = ret};

	memset(ret, 0, sizeof *ret);
	for (size_t g = 0; g < imp->n_groups; g++)
		measure_group(&m, &imp->groups[g], traces[g]);
	fill_rest(&m, traces);
}
