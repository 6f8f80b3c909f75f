/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/debugfile.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

uint32_t pgo_crc32(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	crc = ~crc;
	while (len-- > 0) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

struct search {
	const struct pgo_elf *elf;
	struct pgo_buf places; /* for the message */
	bool has_crc;
	uint32_t crc;
	char *found;
};

/* The four bytes at the end of the section, behind the padded name. */
static void read_link_crc(struct search *s)
{
	size_t len;
	const uint8_t *p = pgo_elf_section_data(s->elf, ".gnu_debuglink", &len);

	if (p == NULL || len < 8)
		return;
	memcpy(&s->crc, p + (len & ~(size_t)3) - 4, 4);
	s->has_crc = true;
}

static bool crc_matches(const struct search *s, const char *path)
{
	uint32_t crc = 0;
	char block[65536];
	FILE *f;
	size_t n;

	f = s->has_crc ? fopen(path, "rbe") : NULL;
	if (f == NULL)
		return false;
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		crc = pgo_crc32(crc, block, n);
	fclose(f);
	return crc == s->crc;
}

enum verdict { NO_FILE, NO_DWARF, OTHER_BUILD, FITS };

static enum verdict judge(const struct search *s, const char *path)
{
	struct pgo_elf *d;
	enum verdict v = FITS;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return NO_FILE;
	d = pgo_elf_open(path, NULL);
	if (d == NULL || !d->has_dwarf)
		v = NO_DWARF;
	else if (s->elf->build_id[0] != '\0' && d->build_id[0] != '\0')
		v = strcmp(s->elf->build_id, d->build_id) == 0 ? FITS : OTHER_BUILD;
	else if (s->has_crc)
		v = crc_matches(s, path) ? FITS : OTHER_BUILD;
	pgo_elf_close(d);
	return v;
}

static const char *const reasons[] = {"no such file", "no debug information", "another build", ""};

/* Tries one place, takes `path`; remembers why not. */
static enum verdict try_path(struct search *s, char *path)
{
	enum verdict v;

	if (path == NULL || s->found != NULL) {
		pgo_free(path);
		return NO_FILE;
	}
	v = judge(s, path);
	if (v == FITS) {
		s->found = path;
		return v;
	}
	pgo_buf_printf(&s->places, "%s%s (%s)", s->places.len != 0 ? ", " : "", path, reasons[v]);
	pgo_free(path);
	return v;
}

static void try_build_id(struct search *s, const char *root)
{
	const char *id = s->elf->build_id;

	if (strlen(id) > 2)
		try_path(s, pgo_asprintf("%s/.build-id/%.2s/%s.debug", root, id, id + 2));
}

static char *directory_of(const char *path)
{
	size_t n = (size_t)(pgo_path_base(path) - path);

	if (n == 0)
		return pgo_strdup(".");
	return pgo_strndup(path, n == 1 ? 1 : n - 1);
}

static void try_link(struct search *s)
{
	const char *link = s->elf->debuglink;
	char *dir;

	if (link == NULL || strchr(link, '/') != NULL)
		return;
	dir = directory_of(s->elf->path);
	if (dir == NULL)
		return;
	try_path(s, pgo_asprintf("%s/%s", dir, link));
	try_path(s, pgo_asprintf("%s/.debug/%s", dir, link));
	if (dir[0] == '/')
		try_path(s, pgo_asprintf("/usr/lib/debug%s/%s", dir, link));
	pgo_free(dir);
}

/* What the user named: a file must fit, a directory may hold it under one of several names. */
static int try_named(struct search *s, const char *debug, struct pgo_err *err)
{
	struct stat st;
	enum verdict v;

	if (stat(debug, &st) < 0)
		return pgo_err_errno(err, PGO_ENOTFOUND, "%s", debug);
	if (!S_ISDIR(st.st_mode)) {
		v = try_path(s, pgo_strdup(debug));
		if (v == OTHER_BUILD)
			return pgo_err_set(err, PGO_EMISMATCH,
				"%s holds the debug information of another build than %s", debug,
				s->elf->path);
		if (v != FITS)
			return pgo_err_set(err, PGO_ENOTFOUND, "%s: %s", debug, reasons[v]);
		return 0;
	}
	try_build_id(s, debug);
	if (s->elf->debuglink != NULL && strchr(s->elf->debuglink, '/') == NULL)
		try_path(s, pgo_asprintf("%s/%s", debug, s->elf->debuglink));
	try_path(s, pgo_asprintf("%s/%s.debug", debug, pgo_path_base(s->elf->path)));
	try_path(s, pgo_asprintf("%s/%s", debug, pgo_path_base(s->elf->path)));
	return 0;
}

char *pgo_debugfile_find(const struct pgo_elf *elf, const char *debug, struct pgo_err *err)
{
	struct search s = {.elf = elf};
	int rc = 0;

	pgo_buf_init(&s.places, 4096);
	read_link_crc(&s);
	if (debug != NULL)
		rc = try_named(&s, debug, err);
	if (rc == 0 && s.found == NULL) {
		try_path(&s, pgo_strdup(elf->path));
		try_build_id(&s, "/usr/lib/debug");
		try_link(&s);
	}
	if (rc == 0 && s.found == NULL) {
		if (s.places.data == NULL)
			pgo_err_nomem(err);
		else
			pgo_err_set(err, PGO_ENOTFOUND,
				"%s: no debug information, which maps addresses to source lines; "
				"looked at %s: name it with --debug, or rebuild with -g (clang: "
				"-gmlt "
				"-fdebug-info-for-profiling at least)",
				elf->path, s.places.data);
	}
	pgo_buf_fini(&s.places);
	return s.found;
}
