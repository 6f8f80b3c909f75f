/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/resolve.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"

#include <ctype.h>
#include <string.h>

#define PAGE ((uint64_t)4096)

static const struct {
	const char *name, *key;
} losses[PGO_N_LOSSES] = {
	[PGO_LOSS_NONE] = {"mapped", "mapped"},
	[PGO_LOSS_OTHER_BINARY] = {"other binary", "other_binary"},
	[PGO_LOSS_OTHER_BUILD] = {"other build", "other_build"},
	[PGO_LOSS_NO_MAPPING] = {"no mapping", "no_mapping"},
	[PGO_LOSS_ERASED] = {"erased address", "erased_address"},
	[PGO_LOSS_OUTSIDE] = {"outside its mapping", "outside_mapping"},
	[PGO_LOSS_NOT_CODE] = {"not code", "not_code"},
	[PGO_LOSS_SYMBOL_ONLY] = {"names only", "symbol_only"},
};

const char *pgo_loss_name(enum pgo_loss loss)
{
	return (unsigned)loss < PGO_N_LOSSES ? losses[loss].name : "unknown";
}

const char *pgo_loss_key(enum pgo_loss loss)
{
	return (unsigned)loss < PGO_N_LOSSES ? losses[loss].key : "unknown";
}

/* ---------------------------------------------------------------- build-ids and names */

void pgo_build_id_normalize(const char *text, char ret[129])
{
	struct pgo_jval *doc = NULL;
	size_t n;

	if (text[0] == '{') {
		doc = pgo_jdoc_parse("build-id", text, strlen(text), NULL);
		text = doc != NULL ? pgo_jval_str(pgo_jval_get(doc, "build_id"), "") : "";
	}
	for (n = 0; n < 128 && text[n] != '\0'; n++)
		ret[n] = (char)tolower((unsigned char)text[n]);
	ret[n] = '\0';
	pgo_jdoc_free(doc);
}

/* Equal, or one is the other padded with zeros: recorders used to store ids of 16 bytes in fields
 * of 20. */
static bool same_build_id(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] != '\0' && a[i] == b[i])
		i++;
	if (a[i] == b[i])
		return i != 0;
	if (i < 32 || (a[i] != '\0' && b[i] != '\0'))
		return false;
	a = a[i] != '\0' ? a + i : b + i;
	return strspn(a, "0") == strlen(a);
}

/* Length of a base name without the mark the kernel adds to files that were replaced. */
static size_t name_len(const char *base)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(base), tail = sizeof deleted - 1;

	return len > tail && strcmp(base + len - tail, deleted) == 0 ? len - tail : len;
}

static bool same_name(const char *path_a, const char *path_b)
{
	const char *a = pgo_path_base(path_a), *b = pgo_path_base(path_b);
	size_t len = name_len(a);

	return len != 0 && len == name_len(b) && memcmp(a, b, len) == 0;
}

/* Memory that no file is behind: just-in-time code, stubs, the mapping without a name that some
 * stores put everything in that has none. */
static bool is_anonymous(const char *name)
{
	static const char *const prefixes[] = {"//anon", "[anon", "[heap]", "[stack", "anon_inode",
		"/dev/zero", "/memfd:", "/SYSV"};

	if (name[0] == '\0')
		return true;
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	/* Symbol maps of just-in-time compilers: /tmp/perf-123.map. */
	name = pgo_path_base(name);
	return strncmp(name, "perf-", 5) == 0 && strlen(name) > 9 &&
	       strcmp(name + strlen(name) - 4, ".map") == 0;
}

/* ---------------------------------------------------------------- which mappings */

struct work {
	struct pgo_resolver *r;
	const struct pgo_profile *p;
	const struct pgo_elf *elf;
	const char *alias;
	char file_id[33];    /* of the ELF, for agents that know files by it */
	uint8_t *foreign;    /* per mapping: the loss of its locations where it is not ours */
	struct tally *tally; /* per mapping */
	uint64_t *bias;      /* per mapping: added to addresses where by_bias is set */
	bool *by_bias;
};

/* What the addresses of one mapping look like; each distinct location counts once. */
struct tally {
	uint64_t n;       /* with an address */
	uint64_t inside;  /* in [start, limit) */
	uint64_t code;    /* taken as ELF vaddr: in an executable segment */
	uint64_t by_file; /* taken by file offset: executable */
	uint64_t by_bias; /* taken by the distance from the start: executable */
	uint64_t with_lines;
};

static bool is_target_name(const struct work *w, const char *name)
{
	return same_name(name, w->elf->path) || (w->alias != NULL && same_name(name, w->alias));
}

static void match_mapping(struct work *w, size_t i)
{
	const struct pgo_mapping *m = &w->p->mappings[i];
	const char *name = pgo_profile_str(w->p, m->filename);
	bool named = is_target_name(w, name);
	char id[129];

	pgo_build_id_normalize(pgo_profile_str(w->p, m->build_id), id);
	w->foreign[i] = PGO_LOSS_OTHER_BINARY;
	if (id[0] != '\0' && strcmp(id, w->file_id) == 0) {
		w->r->ours[i] = true;
	} else if (id[0] != '\0' && w->elf->build_id[0] != '\0') {
		w->r->ours[i] = same_build_id(id, w->elf->build_id);
		if (!w->r->ours[i] && named)
			w->foreign[i] = PGO_LOSS_OTHER_BUILD;
	} else if (named) {
		w->r->ours[i] = true;
		w->r->by_name = true;
	} else if (id[0] == '\0' && is_anonymous(name)) {
		w->foreign[i] = PGO_LOSS_NO_MAPPING;
	}
}

/* ---------------------------------------------------------------- which convention */

static bool inside(const struct pgo_mapping *m, uint64_t addr)
{
	return addr >= m->start && (addr < m->limit || (m->limit == 0 && m->start != 0));
}

static bool is_empty(const struct pgo_mapping *m)
{
	return m->start == 0 && m->limit == 0 && m->offset == 0;
}

static bool by_file(const struct work *w, const struct pgo_mapping *m, uint64_t addr, uint64_t *ret)
{
	return pgo_elf_offset_to_vaddr(w->elf, addr - m->start + m->offset, ret);
}

/*
 * A mapping that covers several segments (tools merge neighbours, some report the whole image as
 * one) keeps the distances of virtual addresses, not those of file offsets, where these differ.
 */
static void find_bias(struct work *w, size_t i)
{
	const struct pgo_mapping *m = &w->p->mappings[i];
	uint64_t last = m->offset + (m->limit - m->start) - 1;
	uint64_t vaddr = 0;
	bool found = false;

	if (m->limit <= m->start)
		return;
	for (size_t k = 0; k < w->elf->n_segments; k++) {
		const struct pgo_segment *s = &w->elf->segments[k];
		uint64_t first_page = s->offset & ~(PAGE - 1);
		uint64_t end = (s->offset + s->filesz + PAGE - 1) & ~(PAGE - 1);

		if (m->offset >= first_page && last < end)
			return; /* within one segment both are the same */
		if (!found && m->offset >= first_page && m->offset < end) {
			vaddr = s->vaddr - (s->offset - m->offset);
			found = true;
		}
	}
	if (!found)
		return;
	w->bias[i] = vaddr - m->start;
	w->by_bias[i] = true;
}

static void count_location(struct work *w, const struct pgo_location *l)
{
	const struct pgo_mapping *m = &w->p->mappings[l->mapping];
	struct tally *t = &w->tally[l->mapping];
	uint64_t vaddr;

	t->with_lines += l->n_lines != 0;
	if (l->addr == 0)
		return;
	t->n++;
	t->code += pgo_elf_is_code(w->elf, l->addr);
	if (!inside(m, l->addr))
		return;
	t->inside++;
	t->by_file += by_file(w, m, l->addr, &vaddr) && pgo_elf_is_code(w->elf, vaddr);
	t->by_bias +=
		w->by_bias[l->mapping] && pgo_elf_is_code(w->elf, l->addr + w->bias[l->mapping]);
}

static enum pgo_convention decide(struct work *w, size_t i)
{
	const struct pgo_mapping *m = &w->p->mappings[i];
	const struct tally *t = &w->tally[i];

	/* By file offset unless that finds less code. */
	w->by_bias[i] = w->by_bias[i] && t->by_bias > t->by_file;
	if (t->n != 0 && !is_empty(m) && t->inside > t->n / 2)
		return PGO_CONV_MAPPED;
	if (t->n != 0 && (is_empty(m) || t->code > t->n / 2))
		return PGO_CONV_ELF;
	return t->with_lines != 0 ? PGO_CONV_SYMBOL_ONLY : PGO_CONV_UNMAPPABLE;
}

/* ---------------------------------------------------------------- locations */

/*
 * Where something on the way insists on names, a producer may call a location `BASENAME+0xVADDR`;
 * the address may be gone then, but the name still has it.
 */
static bool from_name(const struct work *w, const struct pgo_location *l, uint64_t *ret)
{
	const char *name, *plus;
	uint64_t v = 0;
	size_t n = 0;
	char base[256];

	if (l->n_lines != 1)
		return false;
	name = pgo_profile_str(w->p, w->p->functions[w->p->lines[l->first_line].function].name);
	plus = strrchr(name, '+');
	if (plus == NULL || plus[1] != '0' || plus[2] != 'x' ||
		(size_t)(plus - name) >= sizeof base)
		return false;
	for (const char *c = plus + 3; isxdigit((unsigned char)*c) && n < 16; c++, n++)
		v = v << 4 | (uint64_t)(*c <= '9' ? *c - '0' : (*c | 0x20) - 'a' + 10);
	if (n == 0 || plus[3 + n] != '\0')
		return false;
	memcpy(base, name, (size_t)(plus - name));
	base[plus - name] = '\0';
	*ret = v;
	return is_target_name(w, base);
}

static struct pgo_resolved as_code(const struct work *w, uint64_t vaddr, enum pgo_loss or_else)
{
	if (pgo_elf_is_code(w->elf, vaddr))
		return (struct pgo_resolved){vaddr, PGO_LOSS_NONE};
	return (struct pgo_resolved){0, (uint8_t)or_else};
}

static struct pgo_resolved mapped(
	const struct work *w, const struct pgo_location *l, const struct pgo_mapping *m)
{
	uint64_t vaddr;

	if (!inside(m, l->addr))
		return (struct pgo_resolved){0, PGO_LOSS_OUTSIDE};
	if (w->by_bias[l->mapping])
		return as_code(w, l->addr + w->bias[l->mapping], PGO_LOSS_NOT_CODE);
	if (!by_file(w, m, l->addr, &vaddr))
		return (struct pgo_resolved){0, PGO_LOSS_NOT_CODE};
	return as_code(w, vaddr, PGO_LOSS_NOT_CODE);
}

static struct pgo_resolved resolve(const struct work *w, const struct pgo_location *l)
{
	const struct pgo_mapping *m;
	enum pgo_convention conv;
	uint64_t vaddr;

	if (l->mapping == PGO_NONE)
		return (struct pgo_resolved){0, PGO_LOSS_NO_MAPPING};
	m = &w->p->mappings[l->mapping];
	conv = w->r->convention[l->mapping];
	if (!w->r->ours[l->mapping])
		return (struct pgo_resolved){0, w->foreign[l->mapping]};
	if (l->addr == 0 && from_name(w, l, &vaddr))
		return as_code(w, vaddr, PGO_LOSS_NOT_CODE);
	if (conv == PGO_CONV_SYMBOL_ONLY && l->n_lines != 0)
		return (struct pgo_resolved){0, PGO_LOSS_SYMBOL_ONLY};
	if (l->addr == 0)
		return (struct pgo_resolved){0, PGO_LOSS_ERASED};
	if (conv == PGO_CONV_MAPPED)
		return mapped(w, l, m);
	if (conv == PGO_CONV_ELF)
		return as_code(w, l->addr, is_empty(m) ? PGO_LOSS_NOT_CODE : PGO_LOSS_OUTSIDE);
	return (struct pgo_resolved){0, PGO_LOSS_OUTSIDE};
}

/* ---------------------------------------------------------------- face */

static void resolve_all(struct work *w)
{
	const struct pgo_profile *p = w->p;

	for (size_t i = 0; i < p->n_mappings; i++) {
		match_mapping(w, i);
		if (w->r->ours[i])
			find_bias(w, i);
	}
	for (size_t i = 0; i < p->n_locations; i++) {
		uint32_t m = p->locations[i].mapping;

		if (m != PGO_NONE && w->r->ours[m])
			count_location(w, &p->locations[i]);
	}
	for (size_t i = 0; i < p->n_mappings; i++)
		if (w->r->ours[i])
			w->r->convention[i] = decide(w, i);
	for (size_t i = 0; i < p->n_locations; i++)
		w->r->at[i] = resolve(w, &p->locations[i]);
}

int pgo_resolver_init(struct pgo_resolver *r, const struct pgo_profile *p,
	const struct pgo_elf *elf, const char *alias, struct pgo_err *err)
{
	struct work w = {.r = r, .p = p, .elf = elf, .alias = alias};
	int rc = 0;

	memset(r, 0, sizeof *r);
	r->n_mappings = p->n_mappings;
	r->n_locations = p->n_locations;
	r->convention = pgo_calloc(p->n_mappings, sizeof *r->convention);
	r->ours = pgo_calloc(p->n_mappings, sizeof *r->ours);
	r->at = pgo_calloc(p->n_locations, sizeof *r->at);
	w.foreign = pgo_calloc(p->n_mappings, sizeof *w.foreign);
	w.tally = pgo_calloc(p->n_mappings, sizeof *w.tally);
	w.bias = pgo_calloc(p->n_mappings, sizeof *w.bias);
	w.by_bias = pgo_calloc(p->n_mappings, sizeof *w.by_bias);
	if (r->convention == NULL || r->ours == NULL || r->at == NULL || w.foreign == NULL ||
		w.tally == NULL || w.bias == NULL || w.by_bias == NULL) {
		pgo_resolver_fini(r);
		rc = pgo_err_nomem(err);
	} else {
		pgo_elf_file_id(elf, w.file_id);
		resolve_all(&w);
	}
	pgo_free(w.foreign);
	pgo_free(w.tally);
	pgo_free(w.bias);
	pgo_free(w.by_bias);
	return rc;
}

void pgo_resolver_fini(struct pgo_resolver *r)
{
	pgo_free(r->convention);
	pgo_free(r->ours);
	pgo_free(r->at);
	memset(r, 0, sizeof *r);
}
