/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/debugfile.h"

#include "convert/bat.h"
#include "convert/debuginfod.h"
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
	d = pgo_elf_open_bare(path, NULL);
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

static void try_server(struct search *s)
{
	struct pgo_err why = PGO_ERR_INIT;
	char *path = NULL;

	if (s->elf->build_id[0] == '\0')
		return;
	path = pgo_debuginfod_find(s->elf->build_id, &why);
	if (path != NULL)
		try_path(s, path);
	else
		pgo_buf_printf(&s->places, "%s%s", s->places.len != 0 ? ", " : "", why.msg);
}

/* What the user named: a file must fit, a directory may hold it under one of several names. */
static int try_named(struct search *s, const char *debug, bool sole, struct pgo_err *err)
{
	struct stat st;
	enum verdict v;

	if (stat(debug, &st) < 0)
		return pgo_err_errno(err, PGO_ENOTFOUND, "%s", debug);
	if (!S_ISDIR(st.st_mode)) {
		v = try_path(s, pgo_strdup(debug));
		if (v != FITS && !sole)
			return 0;
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

char *pgo_debugfile_find(
	const struct pgo_elf *elf, const struct pgo_debug_places *where, struct pgo_err *err)
{
	struct search s = {.elf = elf};
	int rc = 0;

	pgo_buf_init(&s.places, 4096);
	read_link_crc(&s);
	for (size_t i = 0; where != NULL && i < where->n_debug && rc == 0 && s.found == NULL; i++)
		rc = try_named(&s, where->debug[i], where->sole && where->n_debug == 1, err);
	if (rc == 0 && s.found == NULL) {
		try_path(&s, pgo_strdup(elf->path));
		try_build_id(&s, "/usr/lib/debug");
		try_link(&s);
		if (s.found == NULL && where != NULL && where->debuginfod)
			try_server(&s);
	}
	if (rc == 0 && s.found == NULL) {
		if (s.places.data == NULL)
			pgo_err_nomem(err);
		else
			pgo_err_set(err, PGO_ENOTFOUND,
				"%s: no debug information, which maps addresses to source lines; "
				"looked at %s: %s",
				elf->path, s.places.data,
				pgo_elf_is_bolted(elf)
					? "llvm-bolt drops it unless it is told "
					  "--update-debug-sections; or, if it was told "
					  "--enable-bat, give the program it was made from with "
					  "--binary as well"
					: "name it with --debug, or rebuild with -g (clang: -gmlt "
					  "-fdebug-info-for-profiling at least)");
	}
	pgo_buf_fini(&s.places);
	return s.found;
}

/* ------------------------------------------------------------------ supplements */

struct supplement {
	const char *name;
	char build_id[129];
	struct pgo_buf places;
	struct pgo_elf *found;
};

/* Takes `path`. */
static void try_supplement(struct supplement *s, char *path)
{
	struct pgo_elf *e = NULL;
	struct stat st;

	if (s->found == NULL && path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		e = pgo_elf_open_bare(path, NULL);
	if (e != NULL && strcmp(e->build_id, s->build_id) == 0)
		s->found = e;
	else
		pgo_elf_close(e);
	if (s->found == NULL && path != NULL)
		pgo_buf_printf(&s->places, "%s%s", s->places.len != 0 ? ", " : "", path);
	pgo_free(path);
}

static void find_supplement(
	struct supplement *s, const struct pgo_elf *debug, const struct pgo_debug_places *where)
{
	const char *id = s->build_id;
	char *dir = directory_of(debug->path);

	if (s->name[0] == '/')
		try_supplement(s, pgo_strdup(s->name));
	else if (dir != NULL)
		try_supplement(s, pgo_asprintf("%s/%s", dir, s->name));
	pgo_free(dir);
	try_supplement(s, pgo_asprintf("/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2));
	for (size_t i = 0; where != NULL && i < where->n_debug; i++) {
		const char *root = where->debug[i];

		try_supplement(s, pgo_asprintf("%s/.build-id/%.2s/%s.debug", root, id, id + 2));
		try_supplement(s, pgo_asprintf("%s/%s", root, pgo_path_base(s->name)));
		try_supplement(s, pgo_asprintf("%s/.dwz/%s", root, pgo_path_base(s->name)));
	}
	if (s->found == NULL && where != NULL && where->debuginfod)
		try_supplement(s, pgo_debuginfod_find(id, NULL));
}

int pgo_debugfile_supplement(const struct pgo_elf *debug, const struct pgo_debug_places *where,
	struct pgo_elf **ret, struct pgo_err *err)
{
	struct supplement s = {0};
	size_t len, name_len, n = 0;
	const char *link = (const char *)pgo_elf_section_data(debug, ".gnu_debugaltlink", &len);
	int rc = 0;

	if (link == NULL)
		return 0;
	name_len = strnlen(link, len);
	if (name_len + 2 >= len || len - name_len - 1 > 64)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: the link to shared debug information (.gnu_debugaltlink) is damaged",
			debug->path);
	s.name = link;
	for (size_t i = name_len + 1; i < len; i++, n += 2)
		snprintf(s.build_id + n, 3, "%02x", (unsigned char)link[i]);
	pgo_buf_init(&s.places, 4096);
	find_supplement(&s, debug, where);
	if (s.found == NULL)
		rc = pgo_err_set(err, PGO_ENOTFOUND,
			"%s: the debug information it shares with others (dwz, build-id %s) is not "
			"at %s; give the directory it is in with --debug",
			debug->path, s.build_id, s.places.data != NULL ? s.places.data : "?");
	pgo_buf_fini(&s.places);
	if (rc == 0)
		*ret = s.found;
	return rc;
}
