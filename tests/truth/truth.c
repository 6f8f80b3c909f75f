/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth: what a converter wrote, against the exact counts of the run that was sampled.
 *
 *	truth insns BINARY EXACT              ADDRESS SIZE COUNT START NAME of each instruction that ran, and of its function
 *	truth calls BINARY EXACT              FROM TO COUNT NAME of each branch to the start of a function; `-` is from elsewhere
 *	truth aliases BINARY EXACT            NAME OTHER: functions that are the same code
 *	truth edges BINARY EXACT FDATA...     overlaps, a line a file
 *
 * EXACT is what tests/emu/exact printed for BINARY. All addresses are ELF ones, in hex.
 *
 * Edges that are compared: branches taken inside the binary, except returns (.fdata has none), and fall-throughs into
 * every block that the run shows to be one: the target of a branch that was taken, or what follows a conditional branch.
 * Fall-throughs that a file has into other instructions that ran say nothing wrong (a block that a branch never taken
 * would start) and are left out; into instructions that never ran they are wrong. Blocks that are compared: the same ones, by how often
 * they were entered. Entries from elsewhere count for blocks; they are no edges here.
 *
 * The overlap is the sum, over all edges, of the smaller of the two shares that it has. Shares, because a file's unit is its own.
 */
#include "pgo/core/elf.h"
#include "pgo/core/insn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct insn {
	uint64_t addr, count;
	uint64_t taken_in;   /* by branches of the binary other than returns */
	uint64_t outside_in; /* from elsewhere */
	uint64_t taken_out;
	uint8_t size, kind;
	bool leader;
};

/* (from, to): counts in the truth and in the file. from == 0: the fall-through into `to`, or, in the table of blocks, the
 * block at `to`. */
struct edge {
	uint64_t from, to;
	uint64_t truth, file;
	char kind; /* 't'aken, 'c'all, fall-'th'rough 'f', 'b'lock */
};

struct table {
	struct edge *slot; /* to == 0: free */
	size_t n, room;
};

struct name {
	char *name;
	uint64_t addr;
};

static struct pgo_elf *elf;
static struct pgo_insn_decoder decoder;
static struct insn *insns; /* by hash of the address, then sorted */
static size_t n_insns, insn_room;
static struct name *names;
static size_t n_names;

static _Noreturn void die(const char *what, const char *name)
{
	fprintf(stderr, "truth: %s: %s\n", name, what);
	exit(1);
}

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		die("out of memory", "truth");
	return p;
}

static size_t hash(uint64_t a, uint64_t b, size_t room)
{
	uint64_t h = (a * 0x9e3779b97f4a7c15u ^ b) * 0xd6e8feb86659fd93u;

	return (h >> 29) & (room - 1);
}

/* ---------------------------------------------------------------- instructions that ran */

static struct insn *insn_slot(struct insn *in, size_t room, uint64_t addr)
{
	size_t i = hash(addr, 0, room);

	while (in[i].addr && in[i].addr != addr)
		i = (i + 1) & (room - 1);
	return &in[i];
}

static void insns_grow(void)
{
	size_t room = insn_room ? 2 * insn_room : 1 << 16;
	struct insn *more = allocate(room, sizeof(*more));

	for (size_t i = 0; i < insn_room; i++)
		if (insns[i].addr)
			*insn_slot(more, room, insns[i].addr) = insns[i];
	free(insns);
	insns = more;
	insn_room = room;
}

static struct insn *insn_find(uint64_t addr)
{
	struct insn *in = insn_room ? insn_slot(insns, insn_room, addr) : NULL;

	return in && in->addr ? in : NULL;
}

static bool decode(uint64_t addr, struct pgo_insn *ret)
{
	size_t len;
	const uint8_t *code = pgo_elf_code(elf, addr, &len);

	return code && pgo_insn_decode(&decoder, addr, code, len, ret);
}

static struct insn *insn_add(uint64_t addr, const char *file)
{
	struct insn *in = insn_find(addr);
	struct pgo_insn d;

	if (in)
		return in;
	if (!decode(addr, &d))
		die("counts something that is no instruction", file);
	if (2 * n_insns >= insn_room)
		insns_grow();
	n_insns++;
	in = insn_slot(insns, insn_room, addr);
	*in = (struct insn){.addr = addr, .size = d.size, .kind = d.kind};
	return in;
}

static void read_blocks(FILE *f, const char *file)
{
	uint64_t first, last, count;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "block %" SCNx64 " %" SCNx64 " %" SCNu64, &first, &last, &count) !=
			3)
			continue;
		while (first <= last) {
			struct insn *in = insn_add(first, file);

			in->count += count;
			first += in->size;
		}
	}
}

/* ---------------------------------------------------------------- tables of edges */

static struct edge *edge_slot(struct edge *slot, size_t room, uint64_t from, uint64_t to)
{
	size_t i = hash(from, to, room);

	while (slot[i].to && (slot[i].from != from || slot[i].to != to))
		i = (i + 1) & (room - 1);
	return &slot[i];
}

static struct edge *edge_get(struct table *t, uint64_t from, uint64_t to, char kind)
{
	struct edge *e;

	if (2 * t->n >= t->room) {
		size_t room = t->room ? 2 * t->room : 1 << 14;
		struct edge *more = allocate(room, sizeof(*more));

		for (size_t i = 0; i < t->room; i++)
			if (t->slot[i].to)
				*edge_slot(more, room, t->slot[i].from, t->slot[i].to) = t->slot[i];
		free(t->slot);
		t->slot = more;
		t->room = room;
	}
	e = edge_slot(t->slot, t->room, from, to);
	if (!e->to) {
		*e = (struct edge){.from = from, .to = to, .kind = kind};
		t->n++;
	}
	return e;
}

/* Per cent that the two distributions have in common; of one kind, or of all (kind 0). */
static double overlap(const struct table *t, char kind)
{
	double truth = 0, file = 0, common = 0;

	for (size_t i = 0; i < t->room; i++)
		if (t->slot[i].to && (!kind || t->slot[i].kind == kind)) {
			truth += (double)t->slot[i].truth;
			file += (double)t->slot[i].file;
		}
	for (size_t i = 0; i < t->room && truth > 0 && file > 0; i++)
		if (t->slot[i].to && (!kind || t->slot[i].kind == kind)) {
			double a = (double)t->slot[i].truth / truth,
			       b = (double)t->slot[i].file / file;

			common += a < b ? a : b;
		}
	return 100 * common;
}

/* ---------------------------------------------------------------- the truth */

static bool same_function(uint64_t a, uint64_t b)
{
	const struct pgo_symbol *s = pgo_elf_symbol(elf, a);

	return s && s == pgo_elf_symbol(elf, b);
}

/* Functions that share their code; a profile may call it by any of the names. */
static void print_aliases(void)
{
	const struct pgo_symbol *first = NULL;

	for (size_t i = 0; i < elf->n_symbols; i++) {
		const struct pgo_symbol *s = &elf->symbols[i];

		if (!s->function)
			continue;
		if (!first || first->addr != s->addr)
			first = s;
		else if (strcmp(first->name, s->name))
			printf("%s %s\n", s->name, first->name);
	}
}

static bool is_return(const struct insn *in)
{
	return in->kind == PGO_INSN_RET;
}

static uint64_t address(const char *text)
{
	return strcmp(text, "-") ? strtoull(text, NULL, 16) : 0;
}

/* Branches of the file into `edges`, or, if `print`, those that arrive at functions to standard output. */
static void read_branches(FILE *f, struct table *edges, bool print)
{
	char line[256], from_text[32], to_text[32];
	uint64_t count;

	while (fgets(line, sizeof(line), f)) {
		struct insn *from, *to;

		if (sscanf(line, "edge %31s %31s %" SCNu64, from_text, to_text, &count) != 3)
			continue;
		from = insn_find(address(from_text));
		to = insn_find(address(to_text));
		if (!to || (from && is_return(from)))
			continue;
		if (print) {
			const struct pgo_symbol *s = pgo_elf_symbol(elf, to->addr);

			if (s && s->addr == to->addr)
				printf("%s %s %" PRIu64 " %s\n", from_text, to_text, count,
					s->name);
			continue;
		}
		if (!from) {
			to->outside_in += count;
			continue;
		}
		from->taken_out += count;
		to->taken_in += count;
		to->leader = true;
		edge_get(edges, from->addr, to->addr,
			same_function(from->addr, to->addr) ? 't' : 'c')
			->truth += count;
	}
}

/* Fall-throughs into blocks, and the blocks. */
static void find_blocks(struct table *edges, struct table *blocks)
{
	for (size_t i = 0; i < insn_room; i++) {
		struct insn *in = &insns[i], *next;

		if (!in->addr || in->kind != PGO_INSN_COND)
			continue;
		next = insn_find(in->addr + in->size);
		if (next)
			next->leader = true;
	}
	for (size_t i = 0; i < insn_room; i++)
		if (insns[i].addr && insns[i].leader)
			edge_get(blocks, 0, insns[i].addr, 'b')->truth = insns[i].count;
	for (size_t i = 0; i < insn_room; i++) {
		const struct insn *in = &insns[i], *next;
		uint64_t arrived;

		if (!in->addr || pgo_insn_ends_flow(in->kind))
			continue;
		next = insn_find(in->addr + in->size);
		if (!next || !next->leader)
			continue;
		/* behind a call, what comes from elsewhere are returns */
		arrived = next->taken_in + (pgo_insn_is_call(in->kind) ? 0 : next->outside_in);
		if (next->count > arrived)
			edge_get(edges, 0, next->addr, 'f')->truth = next->count - arrived;
	}
}

/* ---------------------------------------------------------------- .fdata */

static int name_cmp(const void *x, const void *y)
{
	return strcmp(((const struct name *)x)->name, ((const struct name *)y)->name);
}

static void name_add(uint64_t addr, char *name)
{
	if (!name)
		die("out of memory", "truth");
	names = realloc(names, (n_names + 1) * sizeof(*names));
	if (!names)
		die("out of memory", "truth");
	names[n_names++] = (struct name){name, addr};
}

static char *print(const char *format, const char *name, const char *file, unsigned n)
{
	char *text;

	if ((file ? asprintf(&text, format, name, file, n) : asprintf(&text, format, name, n)) < 0)
		return NULL;
	return text;
}

struct local {
	const struct pgo_symbol *s;
};

static int local_cmp(const void *x, const void *y)
{
	const struct pgo_symbol *a = ((const struct local *)x)->s,
				*b = ((const struct local *)y)->s;
	int c = strcmp(a->name, b->name);

	if (!c && a->file && b->file)
		c = strcmp(a->file, b->file);
	if (c)
		return c;
	return (a->addr > b->addr) - (a->addr < b->addr);
}

/* As .fdata has them: globals plainly, locals as NAME/N and NAME/FILE/N, N from 1 in the order of addresses. */
static void read_names(void)
{
	struct local *local = allocate(elf->n_symbols, sizeof(*local));
	size_t n = 0;
	unsigned rank = 0;

	for (size_t i = 0; i < elf->n_symbols; i++) {
		const struct pgo_symbol *s = &elf->symbols[i];

		if (!s->local_rank) {
			name_add(s->addr, strdup(s->name));
			continue;
		}
		name_add(s->addr, print("%s/%u", s->name, NULL, s->local_rank));
		if (s->file && s->function)
			local[n++].s = s;
	}
	qsort(local, n, sizeof(*local), local_cmp);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_symbol *s = local[i].s, *b = i ? local[i - 1].s : NULL;

		rank = b && !strcmp(s->name, b->name) && !strcmp(s->file, b->file) ? rank + 1 : 1;
		name_add(s->addr, print("%s/%s/%u", s->name, s->file, rank));
	}
	for (size_t i = 0; i < elf->n_plt; i++)
		name_add(elf->plt[i].addr, print("%s@PLT", elf->plt[i].name, NULL, 0));
	free(local);
	qsort(names, n_names, sizeof(*names), name_cmp);
}

/* One end of a record: false if the line has none here. *addr is 0 for elsewhere. */
static bool read_end(char **at, uint64_t *addr, bool *unknown)
{
	char *p = *at, *name, *to;
	struct name key, *found;

	*addr = 0;
	if (p[0] < '0' || p[0] > '2' || p[1] != ' ')
		return false;
	name = to = p + 2;
	for (p = name; *p && *p != ' '; p++) {
		if (*p == '\\' && p[1])
			p++;
		*to++ = *p;
	}
	if (*p != ' ')
		return false;
	if (**at != '0') {
		*to = 0;
		key.name = name;
		found = bsearch(&key, names, n_names, sizeof(*names), name_cmp);
		*unknown |= !found;
		*addr = found ? found->addr : 0;
		if (*addr)
			*addr += strtoull(p + 1, NULL, 16);
	}
	for (p++; *p && *p != ' '; p++)
		;
	*at = p + (*p == ' ');
	return true;
}

/* Does straight code lead from the instruction at `from` to `to`, padding left out? */
static bool falls_through(uint64_t from, uint64_t to)
{
	struct pgo_insn in;
	bool first = true;

	while (from < to && decode(from, &in) && (first || in.kind == PGO_INSN_NOP)) {
		if (first && pgo_insn_ends_flow(in.kind))
			return false;
		first = false;
		from += in.size;
	}
	return from == to && !first;
}

struct figures {
	uint64_t all, unknown, wrong;
};

static void add_record(struct table *edges, struct table *blocks, struct figures *f, uint64_t from,
	uint64_t to, uint64_t count)
{
	const struct insn *in = insn_find(to);
	struct edge *e;

	if (!to || !from) {
		if (in && in->leader)
			edge_get(blocks, 0, to, 'b')->file += count;
		return;
	}
	if (falls_through(from, to)) {
		if (in && !in->leader)
			return;
		e = edge_get(edges, 0, to, 'f');
	} else {
		e = edge_get(edges, from, to, same_function(from, to) ? 't' : 'c');
	}
	e->file += count;
	if (!e->truth)
		f->wrong += count;
	edge_get(blocks, 0, to, 'b')->file += count;
}

static void read_fdata(
	const char *path, struct table *edges, struct table *blocks, struct figures *f)
{
	FILE *in = fopen(path, "re");
	char line[65536];

	if (!in)
		die("cannot be opened", path);
	while (fgets(line, sizeof(line), in)) {
		uint64_t from, to, count;
		bool unknown = false;
		char *p = line;

		if (!read_end(&p, &from, &unknown) || !read_end(&p, &to, &unknown) ||
			sscanf(p, "%*u %" SCNu64, &count) != 1)
			continue;
		f->all += count;
		if (unknown)
			f->unknown += count;
		else
			add_record(edges, blocks, f, from, to, count);
	}
	fclose(in);
}

static int by_difference(const void *x, const void *y)
{
	const struct edge *a = x, *b = y;
	double d = (double)a->file - (double)a->truth, e = (double)b->file - (double)b->truth;

	d = d < 0 ? -d : d;
	e = e < 0 ? -e : e;
	return (d < e) - (d > e);
}

/* The largest differences in millionths of all, for the reader. */
static void explain(struct table *t, const char *what)
{
	struct edge *e = allocate(t->n, sizeof(*e));
	double truth = 0, file = 0;
	size_t n = 0;

	for (size_t i = 0; i < t->room; i++) {
		truth += (double)t->slot[i].truth;
		file += (double)t->slot[i].file;
	}
	for (size_t i = 0; i < t->room && truth > 0 && file > 0; i++)
		if (t->slot[i].to) {
			e[n] = t->slot[i];
			e[n].truth = (uint64_t)(1e6 * (double)e[n].truth / truth);
			e[n].file = (uint64_t)(1e6 * (double)e[n].file / file);
			n++;
		}
	qsort(e, n, sizeof(*e), by_difference);
	for (size_t i = 0; i < n && i < 12; i++) {
		const struct pgo_symbol *s = pgo_elf_symbol(elf, e[i].to);

		fprintf(stderr,
			"%s %c %" PRIx64 " > %" PRIx64 "  truth %" PRIu64 " file %" PRIu64 "  %s\n",
			what, e[i].kind, e[i].from, e[i].to, e[i].truth, e[i].file,
			s ? s->name : "?");
	}
	free(e);
}

static void clear(struct table *t)
{
	for (size_t i = 0; i < t->room; i++)
		t->slot[i].file = 0;
}

static void compare(char **files, FILE *exact)
{
	struct table edges = {0}, blocks = {0};

	read_names();
	read_branches(exact, &edges, false);
	find_blocks(&edges, &blocks);
	for (; *files; files++) {
		struct figures f = {0};

		clear(&edges);
		clear(&blocks);
		read_fdata(*files, &edges, &blocks, &f);
		if (!f.all)
			die("has no records", *files);
		printf("blocks %.3f edges %.3f taken %.3f calls %.3f through %.3f wrong %.3f "
		       "unknown %.3f %s\n",
			overlap(&blocks, 0), overlap(&edges, 0), overlap(&edges, 't'),
			overlap(&edges, 'c'), overlap(&edges, 'f'),
			100.0 * (double)f.wrong / (double)f.all,
			100.0 * (double)f.unknown / (double)f.all, *files);
		if (getenv("DETAILS")) {
			explain(&edges, "edge");
			explain(&blocks, "block");
		}
	}
	free(edges.slot);
	free(blocks.slot);
}

static int insn_cmp(const void *x, const void *y)
{
	const struct insn *a = x, *b = y;

	return (a->addr > b->addr) - (a->addr < b->addr);
}

static void print_insns(void)
{
	qsort(insns, insn_room, sizeof(*insns), insn_cmp);
	for (size_t i = 0; i < insn_room; i++) {
		const struct pgo_symbol *s;

		if (!insns[i].addr || !insns[i].count)
			continue;
		s = pgo_elf_symbol(elf, insns[i].addr);
		printf("%" PRIx64 " %u %" PRIu64 " %" PRIx64 " %s\n", insns[i].addr, insns[i].size,
			insns[i].count, s ? s->addr : 0, s ? s->name : "-");
	}
}

int main(int argc, char **argv)
{
	struct pgo_err err;
	FILE *exact;

	if (argc < 4) {
		fputs("usage: truth insns|calls|aliases|edges BINARY EXACT [FDATA...]\n", stderr);
		return 2;
	}
	elf = pgo_elf_open(argv[2], &err);
	if (!elf)
		die("cannot be read", argv[2]);
	pgo_insn_decoder_init(&decoder, elf->machine);
	exact = fopen(argv[3], "re");
	if (!exact)
		die("cannot be opened", argv[3]);
	read_blocks(exact, argv[3]);
	if (!n_insns)
		die("has no blocks", argv[3]);
	rewind(exact);
	if (!strcmp(argv[1], "insns"))
		print_insns();
	else if (!strcmp(argv[1], "calls"))
		read_branches(exact, NULL, true);
	else if (!strcmp(argv[1], "aliases"))
		print_aliases();
	else
		compare(argv + 4, exact);
	fclose(exact);
	pgo_elf_close(elf);
	for (size_t i = 0; i < n_names; i++)
		free(names[i].name);
	free(names);
	free(insns);
	return fflush(stdout) || ferror(stdout);
}
