/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/elf_impl.h"

#include "pgo/core/alloc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names cut from their versions. */
#define NAMES_MAX ((size_t)1 << 30)

/* ---------------------------------------------------------------- the file */

static int map_file(const char *path, struct pgo_elf_impl *im, struct pgo_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;
	int rc = 0;

	if (fd < 0)
		return pgo_err_errno(err, PGO_EIO, "%s: cannot be opened", path);
	if (fstat(fd, &st) < 0) {
		rc = pgo_err_errno(err, PGO_EIO, "%s: cannot be read", path);
	} else if (!S_ISREG(st.st_mode)) {
		rc = pgo_err_set(err, PGO_EFORMAT, "%s: not a regular file, so not a binary", path);
	} else if ((uint64_t)st.st_size < sizeof im->ehdr) {
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s: not an ELF file (%lld bytes are too few for its header)", path,
			(long long)st.st_size);
	} else {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED) {
			rc = pgo_err_errno(err, PGO_EIO, "%s: cannot be mapped", path);
		} else {
			im->map = map;
			im->size = (size_t)st.st_size;
		}
	}
	close(fd);
	return rc;
}

static void unmap_file(struct pgo_elf_impl *im)
{
	if (im->map != NULL)
		munmap((void *)(uintptr_t)im->map, im->size);
	im->map = NULL;
}

static int read_ehdr(const char *path, struct pgo_elf_impl *im, bool object, struct pgo_err *err)
{
	Elf64_Ehdr *h = &im->ehdr;

	memcpy(h, im->map, sizeof *h);
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return pgo_err_set(err, PGO_EFORMAT, "%s: not an ELF file", path);
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: a %s-bit %s-endian ELF file; only 64-bit little-endian ones can be "
			"handled",
			path, h->e_ident[EI_CLASS] == ELFCLASS32 ? "32" : "64",
			h->e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little");
	if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: for ELF machine %u; only x86-64 (62) and AArch64 (183) can be handled",
			path, h->e_machine);
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN && (h->e_type != ET_REL || !object))
		return pgo_err_set(err, PGO_EFORMAT, "%s: %s, not a linked program or library",
			path,
			h->e_type == ET_REL    ? "an object file"
			: h->e_type == ET_CORE ? "a core dump"
					       : "an ELF file of unknown type");
	return 0;
}

/* ---------------------------------------------------------------- sections */

const char *pgo_elf_string(const struct pgo_elf *e, size_t section, uint64_t offset)
{
	const struct pgo_section *s;

	if (section >= e->n_sections)
		return NULL;
	s = &e->sections[section];
	/* String tables end with a NUL, so that every string in them has an end. */
	if (s->data == NULL || offset >= s->size || s->data[s->size - 1] != '\0')
		return NULL;
	return (const char *)s->data + offset;
}

size_t pgo_elf_find_section(const struct pgo_elf *e, const char *name, uint32_t sh_type)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	size_t i;

	for (i = 0; i < e->n_sections; i++)
		if (im->shdrs[i].sh_type == sh_type && strcmp(e->sections[i].name, name) == 0)
			break;
	return i;
}

bool pgo_elf_element(const struct pgo_elf *e, size_t section, uint64_t i, void *ret, size_t size)
{
	if (i >= pgo_elf_n_elements(e, section, size))
		return false;
	memcpy(ret, e->sections[section].data + i * size, size);
	return true;
}

static int damaged(const struct pgo_elf *e, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%s: %s outside the file; it is truncated or damaged, copy or build it again",
		e->path, what);
}

/* Number of sections and index of their string table, which may not fit into the header. */
static int count_sections(
	const struct pgo_elf *e, uint64_t *ret_n, uint64_t *ret_names, struct pgo_err *err)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	uint64_t n = im->ehdr.e_shnum, names = im->ehdr.e_shstrndx;
	Elf64_Shdr first;

	*ret_n = *ret_names = 0;
	if (im->ehdr.e_shoff == 0)
		return 0;
	if (im->ehdr.e_shentsize != sizeof first)
		return pgo_err_set(err, PGO_EFORMAT, "%s: section headers of %u bytes, not %zu",
			e->path, im->ehdr.e_shentsize, sizeof first);
	if (!pgo_elf_in_file(im, im->ehdr.e_shoff, sizeof first))
		return damaged(e, "the section table lies", err);
	memcpy(&first, im->map + im->ehdr.e_shoff, sizeof first);
	if (n == 0)
		n = first.sh_size;
	if (names == SHN_XINDEX)
		names = first.sh_link;
	if (n > im->size / sizeof first || !pgo_elf_in_file(im, im->ehdr.e_shoff, n * sizeof first))
		return damaged(e, "the section table reaches", err);
	*ret_n = n;
	*ret_names = names;
	return 0;
}

static int place_section(struct pgo_elf *e, size_t i, struct pgo_err *err)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	const Elf64_Shdr *h = &im->shdrs[i];
	struct pgo_section *s = &e->sections[i];

	s->name = "";
	s->addr = h->sh_addr;
	s->size = h->sh_size;
	s->offset = h->sh_offset;
	s->type = h->sh_type;
	s->alloc = (h->sh_flags & SHF_ALLOC) != 0;
	s->exec = s->alloc && (h->sh_flags & SHF_EXECINSTR) != 0;
	s->nobits = h->sh_type == SHT_NOBITS;
	if (s->alloc && s->addr + s->size < s->addr)
		return damaged(e, "a section wraps around the address space and lies", err);
	if (h->sh_type == SHT_NULL)
		s->size = 0; /* the first header may hold counts here */
	if (s->size == 0 || s->nobits)
		return 0;
	if (!pgo_elf_in_file(im, s->offset, s->size))
		return damaged(e, "a section reaches", err);
	s->data = im->map + s->offset;
	return 0;
}

static int by_addr_cmp(const void *a, const void *b, void *ctx)
{
	const struct pgo_elf *e = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (e->sections[x].addr != e->sections[y].addr)
		return e->sections[x].addr < e->sections[y].addr ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int index_sections(struct pgo_elf *e, struct pgo_err *err)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);

	im->by_addr = pgo_calloc(e->n_sections, sizeof *im->by_addr);
	if (im->by_addr == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < e->n_sections; i++) {
		/* Thread-local bss has addresses that belong to the section after it. */
		bool tbss = e->sections[i].nobits && (im->shdrs[i].sh_flags & SHF_TLS) != 0;

		if (e->sections[i].alloc && e->sections[i].size != 0 && !tbss)
			im->by_addr[im->n_by_addr++] = (uint32_t)i;
	}
	qsort_r(im->by_addr, im->n_by_addr, sizeof *im->by_addr, by_addr_cmp, e);
	return 0;
}

static int read_sections(struct pgo_elf *e, struct pgo_err *err)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	uint64_t n, names, used = 0;
	int rc = count_sections(e, &n, &names, err);

	if (rc < 0)
		return rc;
	im->shdrs = pgo_calloc(n, sizeof *im->shdrs);
	e->sections = pgo_calloc(n, sizeof *e->sections);
	if (im->shdrs == NULL || e->sections == NULL)
		return pgo_err_nomem(err);
	e->n_sections = n;
	for (size_t i = 0; i < n; i++) {
		memcpy(&im->shdrs[i], im->map + im->ehdr.e_shoff + i * sizeof *im->shdrs,
			sizeof *im->shdrs);
		rc = place_section(e, i, err);
		if (rc < 0)
			return rc;
		used += e->sections[i].data != NULL ? e->sections[i].size : 0;
		/* Real sections hardly share bytes; this keeps the work in proportion to the file. */
		if (used / 4 > im->size)
			return pgo_err_set(err, PGO_EFORMAT,
				"%s: its sections overlap many times over; the file is damaged",
				e->path);
	}
	for (size_t i = 0; i < n; i++) {
		const char *name = pgo_elf_string(e, names, im->shdrs[i].sh_name);

		if (name != NULL)
			e->sections[i].name = name;
	}
	return index_sections(e, err);
}

const struct pgo_section *pgo_elf_section(const struct pgo_elf *e, const char *name)
{
	for (size_t i = 1; i < e->n_sections; i++)
		if (strcmp(e->sections[i].name, name) == 0)
			return &e->sections[i];
	return NULL;
}

/* ---------------------------------------------------------------- segments */

static int segment_cmp(const void *a, const void *b)
{
	const struct pgo_segment *x = a, *y = b;

	if (x->vaddr != y->vaddr)
		return x->vaddr < y->vaddr ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int add_segment(struct pgo_elf *e, const Elf64_Phdr *h, struct pgo_err *err)
{
	struct pgo_segment *s = &e->segments[e->n_segments];

	s->offset = h->p_offset;
	s->vaddr = h->p_vaddr;
	s->filesz = h->p_filesz;
	s->memsz = h->p_memsz > h->p_filesz ? h->p_memsz : h->p_filesz;
	s->exec = (h->p_flags & PF_X) != 0;
	s->write = (h->p_flags & PF_W) != 0;
	if (s->vaddr + s->memsz < s->vaddr || s->offset + s->filesz < s->offset)
		return damaged(e, "a segment reaches", err);
	e->n_segments++;
	return 0;
}

static int read_segments(struct pgo_elf *e, struct pgo_err *err)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	uint64_t n = im->ehdr.e_phnum;
	int rc = 0;

	if (n == PN_XNUM && e->n_sections != 0)
		n = im->shdrs[0].sh_info;
	if (n == 0)
		return 0;
	if (im->ehdr.e_phentsize != sizeof(Elf64_Phdr))
		return pgo_err_set(err, PGO_EFORMAT, "%s: program headers of %u bytes, not %zu",
			e->path, im->ehdr.e_phentsize, sizeof(Elf64_Phdr));
	if (!pgo_elf_in_file(im, im->ehdr.e_phoff, n * sizeof(Elf64_Phdr)))
		return damaged(e, "the program header table reaches", err);
	e->segments = pgo_calloc(n, sizeof *e->segments);
	if (e->segments == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		Elf64_Phdr h;

		memcpy(&h, im->map + im->ehdr.e_phoff + i * sizeof h, sizeof h);
		if (h.p_type == PT_LOAD)
			rc = add_segment(e, &h, err);
	}
	qsort(e->segments, e->n_segments, sizeof *e->segments, segment_cmp);
	return rc;
}

/* ---------------------------------------------------------------- notes */

static void to_hex(const uint8_t *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 15];
	}
	ret[2 * len] = '\0';
}

/* The GNU build-id among the notes in [p, end); notes are padded to `align` bytes. */
static bool find_build_id(const uint8_t *p, size_t len, uint64_t align, char ret[129])
{
	uint64_t pad = align == 8 ? 7 : 3;
	size_t at = 0;

	while (len - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		uint64_t desc, next;

		memcpy(&h, p + at, sizeof h);
		desc = at + sizeof h + (((uint64_t)h.n_namesz + pad) & ~pad);
		next = desc + (((uint64_t)h.n_descsz + pad) & ~pad);
		if (desc > len || h.n_descsz > len - desc)
			return false;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 &&
			memcmp(p + at + sizeof h, "GNU", 4) == 0 && h.n_descsz != 0 &&
			h.n_descsz <= 64) {
			to_hex(p + desc, h.n_descsz, ret);
			return true;
		}
		if (next > len)
			return false;
		at = next;
	}
	return false;
}

/* Notes by section, and where there are no sections, by segment. */
static void read_build_id(struct pgo_elf *e)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);

	for (size_t i = 0; i < e->n_sections; i++)
		if (im->shdrs[i].sh_type == SHT_NOTE && e->sections[i].data != NULL &&
			find_build_id(e->sections[i].data, e->sections[i].size,
				im->shdrs[i].sh_addralign, e->build_id))
			return;
	for (size_t i = 0; i < im->ehdr.e_phnum && im->ehdr.e_phnum != PN_XNUM; i++) {
		Elf64_Phdr h;

		/* read_segments() has checked that the table is there. */
		memcpy(&h, im->map + im->ehdr.e_phoff + i * sizeof h, sizeof h);
		if (h.p_type == PT_NOTE && pgo_elf_in_file(im, h.p_offset, h.p_filesz) &&
			find_build_id(im->map + h.p_offset, h.p_filesz, h.p_align, e->build_id))
			return;
	}
}

/* ---------------------------------------------------------------- facts about sections */

static bool has_contents(const struct pgo_elf *e, const char *name)
{
	const struct pgo_section *s = pgo_elf_section(e, name);

	return s != NULL && s->data != NULL;
}

static void read_facts(struct pgo_elf *e)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	const struct pgo_section *link = pgo_elf_section(e, ".gnu_debuglink");

	e->machine = im->ehdr.e_machine == EM_X86_64 ? PGO_MACHINE_X86_64 : PGO_MACHINE_AARCH64;
	e->pie = im->ehdr.e_type == ET_DYN;
	e->entry = im->ehdr.e_entry;
	e->has_dwarf = has_contents(e, ".debug_info") || has_contents(e, ".zdebug_info");
	e->has_symtab = has_contents(e, ".symtab");
	if (link != NULL && link->data != NULL && link->data[0] != '\0' &&
		memchr(link->data, '\0', link->size) != NULL)
		e->debuglink = (const char *)link->data;
	for (size_t i = 0; i < e->n_sections; i++) {
		uint64_t of = im->shdrs[i].sh_info;

		if (im->shdrs[i].sh_type == SHT_RELA && !e->sections[i].alloc &&
			e->sections[i].data != NULL && of < e->n_sections && e->sections[of].exec)
			e->emit_relocs = true;
	}
}

/* ---------------------------------------------------------------- life */

static struct pgo_elf *elf_new(const char *path, struct pgo_err *err)
{
	struct pgo_elf *e = pgo_calloc(1, sizeof *e);
	struct pgo_elf_impl *im = pgo_calloc(1, sizeof *im);

	if (e != NULL && im != NULL)
		e->path = pgo_strdup(path);
	if (e == NULL || im == NULL || e->path == NULL) {
		pgo_err_nomem(err);
		pgo_free(e);
		pgo_free(im);
		return NULL;
	}
	e->impl = im;
	pgo_arena_init(&im->names, NAMES_MAX);
	pthread_mutex_init(&im->lock, NULL);
	return e;
}

static int open_headers(struct pgo_elf *e, bool object, struct pgo_err *err)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	int rc = map_file(e->path, im, err);

	if (rc == 0)
		rc = read_ehdr(e->path, im, object, err);
	if (rc == 0)
		rc = read_sections(e, err);
	if (rc == 0)
		rc = read_segments(e, err);
	if (rc < 0)
		return rc;
	read_build_id(e);
	read_facts(e);
	return 0;
}

struct pgo_elf *pgo_elf_open(const char *path, struct pgo_err *err)
{
	struct pgo_elf *e = elf_new(path, err);

	if (e == NULL)
		return NULL;
	if (open_headers(e, false, err) < 0 || pgo_elf_read_symbols(e, err) < 0 ||
		pgo_elf_read_plt(e, err) < 0 || pgo_elf_read_islands(e, err) < 0) {
		pgo_elf_close(e);
		return NULL;
	}
	return e;
}

struct pgo_elf *pgo_elf_open_bare(const char *path, struct pgo_err *err)
{
	struct pgo_elf *e = elf_new(path, err);

	if (e != NULL && open_headers(e, true, err) < 0) {
		pgo_elf_close(e);
		return NULL;
	}
	return e;
}

void pgo_elf_close(struct pgo_elf *e)
{
	struct pgo_elf_impl *im;
	struct pgo_elf_inflated *next;

	if (e == NULL)
		return;
	im = pgo_elf_impl_of(e);
	for (struct pgo_elf_inflated *d = im->inflated; d != NULL; d = next) {
		next = d->next;
		pgo_free(d->data);
		pgo_free(d);
	}
	pthread_mutex_destroy(&im->lock);
	pgo_arena_fini(&im->names);
	pgo_free(im->intervals);
	pgo_free(im->by_addr);
	pgo_free(im->shdrs);
	unmap_file(im);
	pgo_free(im);
	pgo_free(e->segments);
	pgo_free(e->sections);
	pgo_free(e->symbols);
	pgo_free(e->plt);
	pgo_free(e->islands);
	pgo_free((void *)(uintptr_t)e->path);
	pgo_free(e);
}

int pgo_elf_build_id(const char *path, char ret[129], struct pgo_err *err)
{
	struct pgo_elf *e = elf_new(path, err);
	int rc;

	if (e == NULL)
		return PGO_ENOMEM;
	rc = open_headers(e, false, err);
	if (rc == 0)
		memcpy(ret, e->build_id, sizeof e->build_id);
	pgo_elf_close(e);
	return rc;
}

bool pgo_elf_probe(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[SELFMAG];
	bool yes;

	if (fd < 0)
		return false;
	yes = pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
	      memcmp(magic, ELFMAG, SELFMAG) == 0;
	close(fd);
	return yes;
}
