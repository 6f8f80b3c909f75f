/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF files are made here, by the compiler at hand; without one these tests are skipped. */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "tests/lib/scratch.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- making binaries */

static bool have(const char *tool)
{
	char cmd[256];

	snprintf(cmd, sizeof cmd, "command -v %s >/dev/null 2>&1", tool);
	return system(cmd) == 0;
}

/* Writes `source` to NAME.SUFFIX and runs `gcc FLAGS -o NAME NAME.SUFFIX`. */
static char *build(
	void *state, const char *name, const char *suffix, const char *source, const char *flags)
{
	char file[64];
	char *from, *to, *cmd;

	if (!have("gcc"))
		skip();
	snprintf(file, sizeof file, "%s.%s", name, suffix);
	from = scratch_file(state, file, source, strlen(source));
	to = scratch_path(state, name);
	assert_true(asprintf(&cmd, "cd %s && gcc %s -o %s %s", scratch_dir(state), flags, to,
			    strrchr(from, '/') + 1) > 0);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
	free(cmd);
	return to;
}

static void run(const char *fmt, const char *a, const char *b)
{
	char cmd[2048];

	snprintf(cmd, sizeof cmd, fmt, a, b);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

static struct pgo_elf *open_good(const char *path)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = pgo_elf_open(path, &err);

	if (e == NULL)
		fail_msg("%s", err.msg);
	return e;
}

static void expect_refused(const char *path, int code, const char *sentence)
{
	struct pgo_err err = PGO_ERR_INIT;
	char id[129] = "untouched";

	assert_null(pgo_elf_open(path, &err));
	assert_int_equal(err.code, code);
	assert_has(err.msg, path);
	assert_has(err.msg, sentence);
	assert_int_equal(pgo_elf_build_id(path, id, NULL), code);
	assert_string_equal(id, "untouched");
}

static const struct pgo_symbol *find(const struct pgo_elf *e, const char *name)
{
	for (size_t i = 0; i < e->n_symbols; i++)
		if (strcmp(e->symbols[i].name, name) == 0)
			return &e->symbols[i];
	return NULL;
}

static const char program[] =
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"__thread char zeros[4096];\n" /* its addresses are those of the data that follow */
	"__attribute__((section(\".hot\"), noinline)) int hot(int x) { return x * 3; }\n"
	"static __attribute__((noinline)) int helper(int x) { return x + rand(); }\n"
	"int main(int argc, char **argv) { zeros[argc]++; puts(argv[0]); return hot(helper(argc)); "
	"}\n";

/* ---------------------------------------------------------------- headers and addresses */

/* Offsets and addresses of code convert into each other, and into the same bytes. */
static void check_addresses(const struct pgo_elf *e)
{
	const struct pgo_section *text = pgo_elf_section(e, ".text");
	uint64_t offset, vaddr;
	size_t len;

	assert_non_null(text);
	assert_true(text->exec && text->alloc && !text->nobits);
	assert_true(pgo_elf_vaddr_to_offset(e, text->addr, &offset));
	assert_int_equal(offset, text->offset);
	assert_true(pgo_elf_offset_to_vaddr(e, offset, &vaddr));
	assert_int_equal(vaddr, text->addr);
	assert_true(pgo_elf_is_code(e, text->addr));
	assert_true(pgo_elf_is_code(e, e->entry));
	assert_ptr_equal(pgo_elf_code(e, text->addr, &len), text->data);
	assert_int_equal(len, text->size);
	assert_ptr_equal(
		pgo_elf_code(e, text->addr + text->size - 1, &len), text->data + text->size - 1);
	assert_int_equal(len, 1);
	assert_false(pgo_elf_is_code(e, (uint64_t)1 << 60));
	assert_false(pgo_elf_offset_to_vaddr(e, (uint64_t)1 << 60, &vaddr));
	assert_false(pgo_elf_vaddr_to_offset(e, (uint64_t)1 << 60, &offset));
	assert_null(pgo_elf_code(e, (uint64_t)1 << 60, &len));
}

static void check_data(const struct pgo_elf *e)
{
	const struct pgo_section *ro = pgo_elf_section(e, ".rodata");
	const struct pgo_section *bss = pgo_elf_section(e, ".bss");
	size_t len;

	assert_non_null(ro);
	assert_null(pgo_elf_code(e, ro->addr, &len));
	assert_ptr_equal(pgo_elf_data(e, ro->addr, &len), ro->data);
	assert_int_equal(len, ro->size);
	assert_ptr_equal(pgo_elf_data(e, pgo_elf_section(e, ".init_array")->addr, &len),
		pgo_elf_section(e, ".init_array")->data);
	assert_non_null(bss);
	assert_true(bss->nobits);
	assert_null(bss->data);
	assert_null(pgo_elf_data(e, bss->addr, &len));
}

static void addresses_convert_in_fixed_and_relocatable_programs(void **state)
{
	static const char *const flags[] = {"-O1 -pie -fPIE", "-O1 -no-pie -fno-pie",
		"-O1 -pie -fPIE -Wl,-z,noseparate-code", "-O1 -no-pie -Wl,-z,separate-code"};

	for (int i = 0; i < 4; i++) {
		char name[16];
		struct pgo_elf *e;

		snprintf(name, sizeof name, "p%d", i);
		e = open_good(build(*state, name, "c", program, flags[i]));
		assert_int_equal(e->pie, i % 2 == 0);
		assert_int_equal(e->machine, PGO_MACHINE_X86_64);
		assert_true(e->has_symtab);
		assert_false(e->has_dwarf);
		assert_false(e->emit_relocs);
		assert_null(e->debuglink);
		check_addresses(e);
		check_data(e);
		/* Without separation, constants share the segment of the code. */
		assert_int_equal(pgo_elf_is_code(e, pgo_elf_section(e, ".rodata")->addr), i == 2);
		pgo_elf_close(e);
	}
	pgo_elf_close(NULL);
}

static void several_executable_segments_are_kept_apart(void **state)
{
	struct pgo_elf *e = open_good(build(*state, "p", "c", program,
		"-O1 -no-pie -fno-pie -Wl,--section-start=.hot=0x800000"));
	size_t n_exec = 0, len;
	const struct pgo_symbol *hot = find(e, "hot");
	uint64_t offset, vaddr;

	for (size_t i = 0; i < e->n_segments; i++)
		n_exec += e->segments[i].exec;
	assert_int_equal(n_exec, 2);
	assert_non_null(hot);
	assert_int_equal(hot->addr, 0x800000);
	assert_string_equal(e->sections[hot->section].name, ".hot");
	/* The distance between offset and address differs from that of .text. */
	assert_true(pgo_elf_vaddr_to_offset(e, hot->addr, &offset));
	assert_int_not_equal(hot->addr - offset, 0x400000);
	assert_true(pgo_elf_offset_to_vaddr(e, offset, &vaddr));
	assert_int_equal(vaddr, hot->addr);
	assert_non_null(pgo_elf_code(e, hot->addr, &len));
	check_addresses(e);
	pgo_elf_close(e);
}

static void the_build_id_is_read_as_hex_or_empty(void **state)
{
	char *with = build(
		*state, "with", "c", program, "-Wl,--build-id=0x0123456789ABCDEF0123456789abcdef");
	char *without = build(*state, "without", "c", program, "-Wl,--build-id=none");
	struct pgo_elf *e = open_good(with);
	char id[129];

	assert_string_equal(e->build_id, "0123456789abcdef0123456789abcdef");
	pgo_elf_close(e);
	assert_int_equal(pgo_elf_build_id(with, id, NULL), 0);
	assert_string_equal(id, "0123456789abcdef0123456789abcdef");
	e = open_good(without);
	assert_string_equal(e->build_id, "");
	pgo_elf_close(e);
	assert_int_equal(pgo_elf_build_id(without, id, NULL), 0);
	assert_string_equal(id, "");
	assert_true(pgo_elf_probe(with));
	assert_false(pgo_elf_probe(scratch_dir(*state)));
	assert_false(pgo_elf_probe(scratch_file(*state, "text", "no ELF", 6)));
	assert_false(pgo_elf_probe(scratch_path(*state, "nowhere")));
}

/* ---------------------------------------------------------------- symbols */

static const char aliases[] =
	".file \"ld-temp.o\"\n"
	".text\n"
	".globl _start, _ZN1AC1Ev, _ZN1AC2Ev, strong\n"
	".weak feeble\n"
	".type _start,@function\n_start: .skip 16,0x90\n.size _start,16\n"
	"gap: .skip 16,0x90\n" /* no size, no type: up to the next */
	".type _ZN1AC1Ev,@function\n.type _ZN1AC2Ev,@function\n"
	"_ZN1AC1Ev: _ZN1AC2Ev: .skip 16,0x90\n"
	".size _ZN1AC1Ev,16\n.size _ZN1AC2Ev,16\n"
	".type strong,@function\n.type feeble,@function\n.type mine,@function\n"
	"mine: feeble: strong: .skip 32,0x90\n"
	".size strong,32\n.size feeble,32\n.size mine,48\n"
	".skip 16,0x90\n" /* only the local one reaches here */
	".type dotted.cold,@function\n.type plain,@function\n"
	"dotted.cold: plain: .skip 16,0x90\n"
	".size dotted.cold,16\n.size plain,16\n"
	".type outer,@function\nouter: .skip 8,0x90\n"
	".type inner,@function\ninner: .skip 8,0x90\n.size inner,8\n"
	".skip 8,0x90\n.size outer,24\n"
	"label: .skip 8,0x90\n"
	".section .note.GNU-stack,\"\",@progbits\n";

static void assert_covered(const struct pgo_elf *e, uint64_t at, const char *want)
{
	const struct pgo_symbol *s = pgo_elf_symbol(e, at);

	if (want == NULL && s != NULL)
		fail_msg("%llx is covered by %s", (unsigned long long)at, s->name);
	if (want != NULL && (s == NULL || strcmp(s->name, want) != 0))
		fail_msg("%llx is covered by %s, not by %s", (unsigned long long)at,
			s != NULL ? s->name : "nothing", want);
}

static void the_best_of_several_symbols_answers_for_an_address(void **state)
{
	struct pgo_elf *e = open_good(build(*state, "aliases", "s", aliases, "-nostdlib -static"));
	uint64_t base = pgo_elf_section(e, ".text")->addr;
	static const struct {
		unsigned from, to;
		const char *name;
	} want[] = {{0, 16, "_start"}, {16, 32, "gap"}, {32, 48, "_ZN1AC2Ev"}, {48, 80, "strong"},
		{80, 96, "mine"}, {96, 112, "plain"}, {112, 136, "outer"}, {136, 144, "label"}};

	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		for (unsigned at = want[i].from; at < want[i].to; at++)
			assert_covered(e, base + at, want[i].name);
	assert_covered(e, base - 1, NULL);
	assert_covered(e, base + 144, NULL);
	/* Aliases are all there. */
	assert_true(find(e, "strong")->global && !find(e, "strong")->weak);
	assert_true(find(e, "feeble")->weak && !find(e, "feeble")->global);
	assert_int_equal(find(e, "mine")->local_rank, 1);
	assert_null(find(e, "mine")->file); /* nobody's source */
	assert_true(find(e, "inner")->function);
	assert_false(find(e, "gap")->function);
	pgo_elf_close(e);
}

/* What the header says, word for word and slowly. */
static bool better(const struct pgo_symbol *a, const struct pgo_symbol *b)
{
	int ga = a->global ? 0 : a->weak ? 1 : 2, gb = b->global ? 0 : b->weak ? 1 : 2;
	bool da = strchr(a->name, '.') != NULL, db = strchr(b->name, '.') != NULL;

	if (a->function != b->function)
		return a->function;
	if ((a->size != 0) != (b->size != 0))
		return a->size != 0;
	if (ga != gb)
		return ga < gb;
	if (a->size != b->size)
		return a->size > b->size;
	return da != db && !da;
}

static const struct pgo_symbol *slow_symbol(const struct pgo_elf *e, uint64_t vaddr)
{
	const struct pgo_symbol *best = NULL;

	for (size_t i = 0; i < e->n_symbols; i++) {
		const struct pgo_symbol *s = &e->symbols[i];
		const struct pgo_section *in = &e->sections[s->section];
		uint64_t end = s->addr + s->size;

		for (size_t k = i; s->size == 0 && k < e->n_symbols && end == s->addr; k++)
			end = e->symbols[k].addr;
		if (end == s->addr || end > in->addr + in->size)
			end = in->addr + in->size;
		if (s->addr <= vaddr && vaddr < end && (best == NULL || better(s, best)))
			best = s;
	}
	return best;
}

static void every_lookup_agrees_with_a_search_through_all_symbols(void **state)
{
	struct pgo_elf *e = open_good("/proc/self/exe");
	size_t n = 0;

	(void)state;
	assert_true(e->n_symbols > 50);
	for (size_t i = 0; i < e->n_symbols; i++) {
		const struct pgo_symbol *s = &e->symbols[i];
		const uint64_t at[] = {s->addr - 1, s->addr, s->addr + 1, s->addr + s->size / 2,
			s->addr + s->size - 1, s->addr + s->size};

		for (size_t k = 0; k < sizeof at / sizeof *at; k++, n++) {
			const struct pgo_symbol *slow = slow_symbol(e, at[k]);
			const struct pgo_symbol *fast = pgo_elf_symbol(e, at[k]);

			/* Equally good ones differ only by name. */
			if ((slow == NULL) != (fast == NULL) ||
				(slow != NULL && (better(slow, fast) || better(fast, slow))))
				fail_msg("%llx: %s against %s", (unsigned long long)at[k],
					slow != NULL ? slow->name : "nothing",
					fast != NULL ? fast->name : "nothing");
		}
	}
	assert_true(n > 300);
	pgo_elf_close(e);
}

static void locals_of_one_name_are_ranked_by_address_and_know_their_file(void **state)
{
	static const char two[] =
		"static __attribute__((noinline)) int helper(int x) { return x * 7; }\n"
		"int two(int x) { return helper(x); }\n";
	const struct pgo_symbol *first = NULL, *second = NULL;
	struct pgo_elf *e;
	char *path;

	scratch_file(*state, "two.c", two, sizeof two - 1);
	path = build(*state, "one", "c", program, "-O1 two.c");
	e = open_good(path);
	for (size_t i = 0; i < e->n_symbols; i++) {
		if (strcmp(e->symbols[i].name, "helper") != 0)
			continue;
		if (first == NULL)
			first = &e->symbols[i];
		else
			second = &e->symbols[i];
	}
	assert_non_null(first);
	assert_non_null(second);
	assert_true(first->addr < second->addr);
	assert_int_equal(first->local_rank, 1);
	assert_int_equal(second->local_rank, 2);
	assert_string_equal(first->file, "two.c");
	assert_string_equal(second->file, "one.c");
	assert_int_equal(find(e, "main")->local_rank, 0);
	assert_null(find(e, "main")->file);
	pgo_elf_close(e);
}

static void a_stripped_program_has_its_dynamic_symbols_only(void **state)
{
	struct pgo_elf *e = open_good(
		build(*state, "p", "c", program, "-O1 -s -Wl,--export-dynamic-symbol=hot"));

	assert_false(e->has_symtab);
	assert_non_null(find(e, "hot"));
	assert_null(find(e, "helper"));
	assert_covered(e, find(e, "hot")->addr, "hot");
	check_addresses(e);
	pgo_elf_close(e);
}

static void symbol_versions_are_cut_off(void **state)
{
	static const char versioned[] = "int old(int x) { return x; }\n"
					"__asm__(\".symver old,api@@V2\");\n";
	char *script = scratch_file(*state, "v.map", "V2 { global: api; local: *; };", 30);
	struct pgo_elf *e;

	(void)script;
	e = open_good(build(
		*state, "lib.so", "c", versioned, "-shared -fPIC -Wl,--version-script=v.map"));
	for (size_t i = 0; i < e->n_symbols; i++)
		assert_null(strchr(e->symbols[i].name, '@'));
	assert_non_null(find(e, "api"));
	pgo_elf_close(e);
}

/* ---------------------------------------------------------------- separate debug files */

static void a_debug_file_has_names_and_identity_but_no_bytes(void **state)
{
	char *path = build(*state, "p", "c", program, "-O1 -g");
	char *debug;
	struct pgo_elf *whole, *bare, *d;
	size_t len;

	if (!have("objcopy"))
		skip();
	whole = open_good(path);
	assert_true(whole->has_dwarf);
	run("cd %s && objcopy --only-keep-debug p p.debug && objcopy -S "
	    "--add-gnu-debuglink=p.debug p %s",
		scratch_dir(*state), "bare");
	debug = scratch_path(*state, "p.debug");
	bare = open_good(scratch_path(*state, "bare"));
	assert_string_equal(bare->debuglink, "p.debug");
	assert_false(bare->has_dwarf);
	assert_false(bare->has_symtab);
	d = open_good(debug);
	assert_true(d->has_dwarf && d->has_symtab);
	assert_string_equal(d->build_id, whole->build_id);
	assert_string_equal(bare->build_id, whole->build_id);
	assert_int_equal(d->n_symbols, whole->n_symbols);
	assert_int_equal(find(d, "helper")->addr, find(whole, "helper")->addr);
	assert_covered(d, find(d, "helper")->addr, "helper");
	assert_true(pgo_elf_section(d, ".text")->nobits);
	assert_null(pgo_elf_code(d, find(d, "main")->addr, &len));
	pgo_elf_close(d);
	pgo_elf_close(bare);
	pgo_elf_close(whole);
}

static void compressed_sections_come_out_as_they_went_in(void **state)
{
	struct pgo_elf *plain = open_good(build(*state, "plain", "c", program, "-O1 -g"));
	struct pgo_elf *packed = NULL;
	const uint8_t *a, *b;
	size_t a_len, b_len;

	if (!have("objcopy"))
		skip();
	run("cd %s && objcopy --compress-debug-sections=%s plain packed", scratch_dir(*state),
		"zlib");
	packed = open_good(scratch_path(*state, "packed"));
	a = pgo_elf_section_data(plain, ".debug_str", &a_len);
	b = pgo_elf_section_data(packed, ".debug_str", &b_len);
	assert_non_null(a);
	assert_non_null(b);
	assert_true(pgo_elf_section(packed, ".debug_str")->size < a_len);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	assert_ptr_equal(pgo_elf_section_data(packed, ".debug_str", &b_len), b);
	assert_null(pgo_elf_section_data(packed, ".nosuch", &b_len));
	pgo_elf_close(plain);
	pgo_elf_close(packed);
}

/* ---------------------------------------------------------------- stubs, relocations */

static const struct pgo_plt *find_plt(const struct pgo_elf *e, const char *name)
{
	for (size_t i = 0; i < e->n_plt; i++)
		if (strcmp(e->plt[i].name, name) == 0)
			return &e->plt[i];
	return NULL;
}

static void stubs_are_named_after_the_function_they_reach(void **state)
{
	static const char *const flags[] = {"-O1 -Wl,-z,lazy", "-O1 -Wl,-z,now",
		"-O1 -no-pie -fno-pie", "-O1 -fcf-protection -Wl,-z,ibtplt -Wl,-z,lazy"};

	for (int i = 0; i < 4; i++) {
		char name[16];
		struct pgo_elf *e;
		size_t len;

		snprintf(name, sizeof name, "p%d", i);
		e = open_good(build(*state, name, "c", program, flags[i]));
		assert_non_null(find_plt(e, "puts"));
		assert_non_null(find_plt(e, "rand"));
		assert_null(find_plt(e, "main"));
		for (size_t k = 0; k < e->n_plt; k++) {
			assert_null(strchr(e->plt[k].name, '@'));
			assert_non_null(pgo_elf_code(e, e->plt[k].addr, &len));
			assert_in_range(e->plt[k].size, 8, 16);
			assert_true(k == 0 || e->plt[k - 1].addr < e->plt[k].addr);
		}
		pgo_elf_close(e);
	}
}

static void relocations_kept_by_the_linker_are_sorted_and_resolved(void **state)
{
	struct pgo_elf *e = open_good(build(*state, "p", "c", program, "-O1 -Wl,--emit-relocs"));
	const struct pgo_symbol *hot = find(e, "hot");
	const struct pgo_section *text = pgo_elf_section(e, ".text");
	struct pgo_reloc *r = NULL;
	size_t n = 0;
	bool call = false;

	assert_true(e->emit_relocs);
	assert_int_equal(pgo_elf_relocs(e, ".text", &r, &n, NULL), 0);
	assert_true(n > 3);
	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || r[i - 1].addr <= r[i].addr);
		assert_true(r[i].addr >= text->addr && r[i].addr < text->addr + text->size);
		/* A call counts from the end of its four bytes. */
		call |= r[i].target == hot->addr - 4 &&
			(r[i].type == R_X86_64_PLT32 || r[i].type == R_X86_64_PC32);
	}
	assert_true(call);
	pgo_free(r);
	assert_int_equal(pgo_elf_relocs(e, ".nosuch", &r, &n, NULL), 0);
	assert_int_equal(n, 0);
	pgo_free(r);
	pgo_elf_close(e);
}

/* ---------------------------------------------------------------- refused, damaged */

static void other_files_are_refused_by_name(void **state)
{
	Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1}};
	char *text = scratch_file(*state, "text", "#!/bin/sh\nexit 0\n", 17);
	char *object;

	expect_refused(text, PGO_EFORMAT, "not an ELF file");
	expect_refused(scratch_dir(*state), PGO_EFORMAT, "not a regular file");
	expect_refused(scratch_path(*state, "nowhere"), PGO_EIO, "No such file");
	expect_refused(scratch_file(*state, "narrow", &h, sizeof h), PGO_EFORMAT, "32-bit");
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2MSB;
	expect_refused(scratch_file(*state, "big", &h, sizeof h), PGO_EFORMAT, "big-endian");
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_machine = EM_RISCV;
	expect_refused(scratch_file(*state, "riscv", &h, sizeof h), PGO_EFORMAT, "machine 243");
	object = build(*state, "object.o", "c", "int x;", "-c");
	expect_refused(object, PGO_EFORMAT, "an object file");
}

struct bytes {
	uint8_t *data;
	size_t len;
};

static struct bytes slurp(const char *path)
{
	struct bytes b = {0};
	struct stat st;
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	b.len = (size_t)st.st_size;
	b.data = malloc(b.len);
	assert_int_equal(fread(b.data, 1, b.len, f), b.len);
	fclose(f);
	return b;
}

static void spill(const char *path, const uint8_t *data, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void bytes_that_are_mapped_twice_belong_to_the_code(void **state)
{
	char *path = build(*state, "p", "c", program,
		"-O1 -no-pie -fno-pie -Wl,--section-start=.hot=0x800000");
	struct bytes b = slurp(path);
	uint64_t offset, vaddr;
	struct pgo_elf *e;
	size_t n = 0;
	Elf64_Ehdr h;

	/* Let the first segment, of constants, reach over the whole file. */
	memcpy(&h, b.data, sizeof h);
	for (size_t i = 0; i < h.e_phnum; i++) {
		uint8_t *at = b.data + h.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr p;

		memcpy(&p, at, sizeof p);
		if (p.p_type != PT_LOAD || p.p_offset != 0)
			continue;
		p.p_filesz = p.p_memsz = b.len;
		memcpy(at, &p, sizeof p);
		n++;
	}
	assert_int_equal(n, 1);
	spill(path, b.data, b.len);
	free(b.data);
	e = open_good(path);
	offset = pgo_elf_section(e, ".hot")->offset;
	assert_true(pgo_elf_offset_to_vaddr(e, offset, &vaddr));
	assert_int_equal(vaddr, 0x800000);
	pgo_elf_close(e);
}

static void sections_that_all_claim_the_same_bytes_are_refused(void **state)
{
	char *path = build(*state, "p", "s", aliases, "-nostdlib -static");
	struct bytes b = slurp(path);
	Elf64_Ehdr h;

	memcpy(&h, b.data, sizeof h);
	assert_true(h.e_shnum > 5);
	for (size_t i = 1; i < h.e_shnum; i++) {
		Elf64_Shdr s = {.sh_type = SHT_NOTE, .sh_size = b.len};

		memcpy(b.data + h.e_shoff + i * sizeof s, &s, sizeof s);
	}
	spill(path, b.data, b.len);
	free(b.data);
	expect_refused(path, PGO_EFORMAT, "overlap");
}

/* Opens and asks everything; what comes out does not matter, only that it comes. */
static bool try_all(const char *path)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = pgo_elf_open(path, &err);
	struct pgo_reloc *r;
	uint64_t v;
	size_t n;

	if (e == NULL) {
		assert_true(err.msg[0] != '\0');
		return false;
	}
	for (size_t i = 0; i < e->n_symbols; i++) {
		pgo_elf_symbol(e, e->symbols[i].addr);
		pgo_elf_symbol(e, e->symbols[i].addr + e->symbols[i].size);
		pgo_elf_code(e, e->symbols[i].addr, &n);
		pgo_elf_data(e, e->symbols[i].addr, &n);
		pgo_elf_vaddr_to_offset(e, e->symbols[i].addr, &v);
	}
	for (size_t i = 0; i < e->n_sections; i++) {
		const uint8_t *p = pgo_elf_section_data(e, e->sections[i].name, &n);
		volatile uint8_t sink = 0;

		if (p != NULL && n != 0)
			sink = (uint8_t)(p[0] ^ p[n - 1]);
		(void)sink;
		pgo_elf_offset_to_vaddr(e, e->sections[i].offset, &v);
	}
	if (pgo_elf_relocs(e, ".text", &r, &n, &err) == 0)
		pgo_free(r);
	pgo_elf_close(e);
	return true;
}

static void a_truncated_program_is_refused_wherever_it_is_cut(void **state)
{
	struct bytes b = slurp(build(*state, "whole", "s", aliases, "-nostdlib -static"));
	char *cut = scratch_path(*state, "cut");

	for (size_t len = 0; len < b.len; len += len < 1024 ? 1 : 37) {
		spill(cut, b.data, len);
		assert_false(try_all(cut));
	}
	free(b.data);
}

static void a_damaged_program_never_leads_outside_the_file(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct bytes b = slurp(build(*state, "whole", "c", program,
		"-O1 -Wl,--emit-relocs -Wl,-z,noseparate-code -Wl,-z,norelro"));
	char *bad = scratch_path(*state, "bad");
	Elf64_Ehdr h;
	uint64_t rng = 42, live = pgo_alloc_live();
	size_t refused = 0;

	memcpy(&h, b.data, sizeof h);
	for (size_t i = 0; i < 4000; i++) {
		uint8_t saved;
		size_t at;

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		/* Every byte of the header, then the tables, then anywhere. */
		if (i < sizeof h * sizeof values)
			at = i / sizeof values;
		else if (i < 3000)
			at = h.e_shoff + (rng >> 33) % (h.e_shnum * sizeof(Elf64_Shdr));
		else
			at = (rng >> 33) % b.len;
		saved = b.data[at];
		b.data[at] = values[i % sizeof values];
		spill(bad, b.data, b.len);
		refused += !try_all(bad);
		b.data[at] = saved;
		assert_int_equal(pgo_alloc_live(), live);
	}
	assert_true(refused > 100);
	free(b.data);
}

static void every_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
	char *path = build(*state, "p", "c", program, "-O1 -g");
	uint64_t live = pgo_alloc_live();
	bool finished = false;

	for (uint64_t n = 0; n < 500 && !finished; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_elf *e;

		pgo_alloc_fail_after(n);
		e = pgo_elf_open(path, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		finished = e != NULL;
		if (!finished)
			assert_int_equal(err.code, PGO_ENOMEM);
		pgo_elf_close(e);
		assert_int_equal(pgo_alloc_live(), live);
	}
	assert_true(finished);
}

#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(addresses_convert_in_fixed_and_relocatable_programs),
		WITH_DIR(several_executable_segments_are_kept_apart),
		WITH_DIR(the_build_id_is_read_as_hex_or_empty),
		WITH_DIR(the_best_of_several_symbols_answers_for_an_address),
		cmocka_unit_test(every_lookup_agrees_with_a_search_through_all_symbols),
		WITH_DIR(locals_of_one_name_are_ranked_by_address_and_know_their_file),
		WITH_DIR(a_stripped_program_has_its_dynamic_symbols_only),
		WITH_DIR(symbol_versions_are_cut_off),
		WITH_DIR(a_debug_file_has_names_and_identity_but_no_bytes),
		WITH_DIR(compressed_sections_come_out_as_they_went_in),
		WITH_DIR(stubs_are_named_after_the_function_they_reach),
		WITH_DIR(relocations_kept_by_the_linker_are_sorted_and_resolved),
		WITH_DIR(other_files_are_refused_by_name),
		WITH_DIR(bytes_that_are_mapped_twice_belong_to_the_code),
		WITH_DIR(sections_that_all_claim_the_same_bytes_are_refused),
		WITH_DIR(a_truncated_program_is_refused_wherever_it_is_cut),
		WITH_DIR(a_damaged_program_never_leads_outside_the_file),
		WITH_DIR(every_failed_allocation_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
