/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address arithmetic by segment, and the bytes at an address or of a section.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/elf_impl.h"
#include "pgo/core/inflate.h"
#include "pgo/core/sha256.h"

#include <endian.h>
#include <string.h>

#ifndef ELFCOMPRESS_ZSTD /* newer than some C libraries */
#define ELFCOMPRESS_ZSTD 2
#endif
/* One compressed section, unpacked. */
#define INFLATED_MAX ((uint64_t)16 << 30)

/* ---------------------------------------------------------------- addresses */

bool pgo_elf_offset_to_vaddr(const struct pgo_elf *e, uint64_t offset, uint64_t *ret)
{
	const struct pgo_segment *best = NULL;

	for (size_t i = 0; i < e->n_segments; i++) {
		const struct pgo_segment *s = &e->segments[i];

		if (offset < s->offset || offset - s->offset >= s->filesz)
			continue;
		if (best == NULL || (s->exec && !best->exec))
			best = s;
	}
	if (best == NULL)
		return false;
	*ret = best->vaddr + (offset - best->offset);
	return true;
}

bool pgo_elf_vaddr_to_offset(const struct pgo_elf *e, uint64_t vaddr, uint64_t *ret)
{
	for (size_t i = 0; i < e->n_segments; i++) {
		const struct pgo_segment *s = &e->segments[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->filesz) {
			*ret = s->offset + (vaddr - s->vaddr);
			return true;
		}
	}
	return false;
}

bool pgo_elf_is_code(const struct pgo_elf *e, uint64_t vaddr)
{
	for (size_t i = 0; i < e->n_segments; i++) {
		const struct pgo_segment *s = &e->segments[i];

		if (s->exec && vaddr >= s->vaddr && vaddr - s->vaddr < s->memsz)
			return true;
	}
	return false;
}

/* The allocated section that holds `vaddr`, or NULL. */
static const struct pgo_section *section_at(const struct pgo_elf *e, uint64_t vaddr)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	size_t lo = 0, hi = im->n_by_addr;
	const struct pgo_section *s;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->sections[im->by_addr[mid]].addr <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return NULL;
	s = &e->sections[im->by_addr[lo - 1]];
	return vaddr - s->addr < s->size ? s : NULL;
}

/* For files whose section headers were removed: the segment's bytes. */
static const uint8_t *segment_bytes(
	const struct pgo_elf *e, uint64_t vaddr, bool exec, size_t *ret_len)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);

	for (size_t i = 0; i < e->n_segments; i++) {
		const struct pgo_segment *s = &e->segments[i];

		if ((exec && !s->exec) || vaddr < s->vaddr || vaddr - s->vaddr >= s->filesz ||
			!pgo_elf_in_file(im, s->offset, s->filesz))
			continue;
		*ret_len = s->filesz - (vaddr - s->vaddr);
		return im->map + s->offset + (vaddr - s->vaddr);
	}
	return NULL;
}

static const uint8_t *bytes_at(const struct pgo_elf *e, uint64_t vaddr, bool exec, size_t *ret_len)
{
	const struct pgo_section *s;

	if (e->n_sections == 0)
		return segment_bytes(e, vaddr, exec, ret_len);
	s = section_at(e, vaddr);
	if (s == NULL || s->data == NULL || (exec && !s->exec))
		return NULL;
	*ret_len = s->size - (vaddr - s->addr);
	return s->data + (vaddr - s->addr);
}

const uint8_t *pgo_elf_code(const struct pgo_elf *e, uint64_t vaddr, size_t *ret_len)
{
	return bytes_at(e, vaddr, true, ret_len);
}

const uint8_t *pgo_elf_data(const struct pgo_elf *e, uint64_t vaddr, size_t *ret_len)
{
	return bytes_at(e, vaddr, false, ret_len);
}

/* ---------------------------------------------------------------- contents by name */

static int inflate_zstd(const uint8_t *data, size_t len, uint64_t max, struct pgo_buf *out)
{
	struct pgo_stream *s = pgo_stream_memory("section", data, len, max, NULL);
	char *to;
	int64_t n;

	if (s == NULL)
		return PGO_ENOMEM;
	do {
		to = pgo_buf_reserve(out, (size_t)64 << 10);
		n = to != NULL ? pgo_stream_read(s, to, (size_t)64 << 10, NULL) : PGO_ELIMIT;
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0);
	pgo_stream_close(s);
	return (int)n;
}

/* Unpacks section i; NULL if it is damaged, of an unknown kind, or memory is used up. */
static uint8_t *inflate_section(const struct pgo_elf *e, size_t i, size_t *ret_len)
{
	const struct pgo_section *s = &e->sections[i];
	struct pgo_buf out;
	Elf64_Chdr h;
	int rc;

	if (s->size < sizeof h)
		return NULL;
	memcpy(&h, s->data, sizeof h);
	if (h.ch_size > INFLATED_MAX)
		return NULL;
	pgo_buf_init(&out, (size_t)h.ch_size + ((size_t)128 << 10));
	if (h.ch_type == ELFCOMPRESS_ZLIB)
		rc = pgo_zlib_inflate(
			"section", s->data + sizeof h, s->size - sizeof h, h.ch_size, &out, NULL);
	else if (h.ch_type == ELFCOMPRESS_ZSTD)
		rc = inflate_zstd(s->data + sizeof h, s->size - sizeof h, h.ch_size, &out);
	else
		rc = PGO_EFORMAT;
	if (rc < 0 || out.failed || out.len != h.ch_size) {
		pgo_buf_fini(&out);
		return NULL;
	}
	*ret_len = out.len;
	return (uint8_t *)out.data;
}

static const uint8_t *inflated_section(const struct pgo_elf *e, size_t i, size_t *ret_len)
{
	struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	struct pgo_elf_inflated *d;

	pthread_mutex_lock(&im->lock);
	for (d = im->inflated; d != NULL && d->section != i; d = d->next)
		;
	if (d == NULL && (d = pgo_calloc(1, sizeof *d)) != NULL) {
		/* Kept even if it fails, so that it fails once. */
		d->section = i;
		d->data = inflate_section(e, i, &d->len);
		d->next = im->inflated;
		im->inflated = d;
	}
	pthread_mutex_unlock(&im->lock);
	if (d == NULL || d->data == NULL)
		return NULL;
	*ret_len = d->len;
	return d->data;
}

const uint8_t *pgo_elf_section_data(const struct pgo_elf *e, const char *name, size_t *ret_len)
{
	const struct pgo_section *s = pgo_elf_section(e, name);
	size_t i;

	if (s == NULL || s->data == NULL)
		return NULL;
	i = (size_t)(s - e->sections);
	if ((pgo_elf_impl_of(e)->shdrs[i].sh_flags & SHF_COMPRESSED) != 0)
		return inflated_section(e, i, ret_len);
	*ret_len = s->size;
	return s->data;
}

bool pgo_elf_packed_debug(const struct pgo_elf *e)
{
	for (size_t i = 0; i < e->n_sections; i++) {
		const struct pgo_section *s = &e->sections[i];
		Elf64_Chdr h;

		if (!(pgo_elf_impl_of(e)->shdrs[i].sh_flags & SHF_COMPRESSED) || s->data == NULL ||
			s->size < sizeof h || strncmp(s->name, ".debug_", 7) != 0)
			continue;
		memcpy(&h, s->data, sizeof h);
		if (h.ch_type != ELFCOMPRESS_ZLIB)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- identity */

void pgo_elf_file_id(const struct pgo_elf *e, char ret[33])
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	size_t part = im->size < 4096 ? im->size : 4096;
	uint64_t size = htobe64(im->size);
	struct pgo_sha256 sha;
	uint8_t digest[32];
	char hex[65];

	pgo_sha256_init(&sha);
	pgo_sha256_add(&sha, im->map, part);
	pgo_sha256_add(&sha, im->map + im->size - part, part);
	pgo_sha256_add(&sha, &size, sizeof size);
	pgo_sha256_final(&sha, digest);
	pgo_sha256_hex(digest, hex);
	memcpy(ret, hex, 32);
	ret[32] = '\0';
}
