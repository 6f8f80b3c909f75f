/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/flags.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <string.h>

#define MAX_FLAGS 64

enum when { ALWAYS, WITH_BOLT, WITH_PROFILE, WITH_ABSOLUTE_PROFILE, WITH_LTO_PROFILE };

/* `%` in a flag stands for the profile. */
struct row {
	enum pgo_compiler_family family;
	enum when when;
	bool link;
	const char *flag, *why;
};

static const struct row rows[] = {
	{PGO_COMPILER_GCC, WITH_BOLT, false, "-fno-reorder-blocks-and-partition",
		"llvm-bolt wants each function in one piece"},
	{PGO_COMPILER_GCC, WITH_PROFILE, false, "-fauto-profile=%", "the profile"},
	{PGO_COMPILER_GCC, WITH_PROFILE, false, "-Wno-error=auto-profile",
		"what is said about a profile is no error"},
	{PGO_COMPILER_GCC, WITH_ABSOLUTE_PROFILE, false, "-gno-record-gcc-switches",
		"keeps the directory of the build out of the program"},
	{PGO_COMPILER_GCC, ALWAYS, true, "-Wl,--build-id", "profiles find their program by it"},
	{PGO_COMPILER_GCC, WITH_BOLT, true, "-Wl,--emit-relocs",
		"llvm-bolt moves functions by them"},
	{PGO_COMPILER_CLANG, ALWAYS, false, "-fdebug-info-for-profiling",
		"tells apart the copies of a line"},
	{PGO_COMPILER_CLANG, ALWAYS, false, "-funique-internal-linkage-names",
		"tells apart static functions of one name"},
	{PGO_COMPILER_CLANG, WITH_PROFILE, false, "-fprofile-sample-use=%", "the profile"},
	{PGO_COMPILER_CLANG, WITH_PROFILE, false, "-Wno-error=backend-plugin",
		"what is said about a profile is no error"},
	{PGO_COMPILER_CLANG, ALWAYS, true, "-Wl,--build-id", "profiles find their program by it"},
	{PGO_COMPILER_CLANG, WITH_BOLT, true, "-Wl,--emit-relocs",
		"llvm-bolt moves functions by them"},
	{PGO_COMPILER_CLANG, WITH_LTO_PROFILE, true, "-fprofile-sample-use=%",
		"code is made at the link, too"},
	{PGO_COMPILER_RUSTC, ALWAYS, false, "-Zdebug-info-for-profiling",
		"tells apart the copies of a line (nightly)"},
	{PGO_COMPILER_RUSTC, ALWAYS, false, "-Cstrip=none",
		"cargo takes away what was not asked for in Cargo.toml"},
	{PGO_COMPILER_RUSTC, WITH_PROFILE, false, "-Zprofile-sample-use=%",
		"the profile (nightly)"},
	{PGO_COMPILER_RUSTC, ALWAYS, false, "-Clink-arg=-Wl,--build-id",
		"profiles find their program by it"},
	{PGO_COMPILER_RUSTC, WITH_BOLT, false, "-Clink-arg=-Wl,--emit-relocs",
		"llvm-bolt moves functions by them"},
	{PGO_COMPILER_GO, WITH_PROFILE, false, "-pgo=%", "the profile"},
	{PGO_COMPILER_BOLT, WITH_PROFILE, false, "-data=%", "the profile"},
};

/* llvm-bolt: what its help has; of several for one job the first. */
static const struct bolt_row {
	const char *option, *value; /* in the help */
	const char *flag, *why;
} bolt_rows[] = {
	{"--reorder-blocks", "=ext-tsp", "-reorder-blocks=ext-tsp", "hot blocks in a row"},
	{"--reorder-blocks", "=cache+", "-reorder-blocks=cache+", "hot blocks in a row"},
	{"--reorder-functions", "=cdsort", "-reorder-functions=cdsort", "hot functions together"},
	{"--reorder-functions", "=hfsort+", "-reorder-functions=hfsort+", "hot functions together"},
	{"--reorder-functions", "=hfsort", "-reorder-functions=hfsort", "hot functions together"},
	{"--split-functions", NULL, "-split-functions", "cold blocks away from hot ones"},
	{"--split-all-cold", NULL, "-split-all-cold", "all of the cold ones"},
	{"--split-eh", NULL, "-split-eh", "landing pads as well"},
	{"--icf", "=safe", "-icf=safe", "equal functions once, where no one compares addresses"},
	{"--infer-stale-profile", NULL, "-infer-stale-profile",
		"functions that changed keep most of their counts"},
	{"--enable-bat", NULL, "-enable-bat", "profiles of the result can be brought back"},
};

static int add(struct pgo_flags *f, const char *text, const char *profile, const char *why,
	bool link, struct pgo_err *err)
{
	const char *mark = strchr(text, '%');
	struct pgo_flag *flag = PGO_VEC_PUSH(f->of, f->n, f->room);

	if (flag == NULL)
		return pgo_err_nomem(err);
	flag->text = mark != NULL
			     ? pgo_asprintf("%.*s%s%s", (int)(mark - text), text, profile, mark + 1)
			     : pgo_strdup(text);
	flag->why = why;
	flag->link = link;
	return flag->text != NULL ? 0 : pgo_err_nomem(err);
}

/* Is there a word in the text that begins so, and is not the switch that turns it off? */
static bool has_word(const char *text, const char *prefix, const char *off)
{
	size_t len = strlen(prefix);

	for (const char *at = text; (at = strstr(at, prefix)) != NULL; at += len) {
		bool first = at == text || strchr(" \t\n'\"=", at[-1]) != NULL;

		if (first && (off == NULL || strncmp(at, off, strlen(off)) != 0))
			return true;
	}
	return false;
}

/* -g, -g1 ... -ggdb3, -gmlt, -gline-tables-only; -g0 and the like ask for none, others only for a form. */
static bool asks_for_debug(const char *text)
{
	static const char *const words[] = {"-g", "-g1", "-g2", "-g3", "-gmlt",
		"-gline-tables-only", "-gfull", "-ggdb", "-ggdb1", "-ggdb2", "-ggdb3", "-gdwarf",
		"-gdwarf-3", "-gdwarf-4", "-gdwarf-5"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t len = strlen(words[i]);

		for (const char *at = text; (at = strstr(at, words[i])) != NULL; at += len)
			if ((at == text || strchr(" \t\n", at[-1]) != NULL) &&
				(at[len] == '\0' || strchr(" \t\n", at[len]) != NULL))
				return true;
	}
	return false;
}

static bool is_lto(const struct pgo_compiler *c, const struct pgo_flags_wanted *w)
{
	bool lto = w->lto || (w->own != NULL && has_word(w->own, "-flto", NULL));

	for (size_t i = 0; i < c->n_words && !lto; i++)
		lto = strncmp(c->words[i], "-flto", 5) == 0;
	return lto;
}

static int add_debug(struct pgo_flags *f, const struct pgo_compiler *c,
	const struct pgo_flags_wanted *w, struct pgo_err *err)
{
	static const char why[] = "samples are brought to lines by it";

	if (c->family == PGO_COMPILER_RUSTC) {
		if (w->own != NULL && has_word(w->own, "-Cdebuginfo", "-Cdebuginfo=0"))
			return 0;
		return add(f, "-Cdebuginfo=1", NULL, why, false, err);
	}
	if (w->own == NULL) /* it may hold -g, which -g1 would weaken, or -g3, which -g leaves */
		return add(f, "-g", NULL, why, false, err);
	return asks_for_debug(w->own) ? 0 : add(f, "-g1", NULL, why, false, err);
}

static int add_rows(struct pgo_flags *f, const struct pgo_compiler *c,
	const struct pgo_flags_wanted *w, struct pgo_err *err)
{
	bool profile = w->stage == PGO_FLAGS_USE && w->profile != NULL, lto = is_lto(c, w);
	int rc = 0;

	if (c->family != PGO_COMPILER_GO && c->family != PGO_COMPILER_BOLT)
		rc = add_debug(f, c, w, err);
	for (size_t i = 0; i < sizeof rows / sizeof *rows && rc == 0; i++) {
		const struct row *r = &rows[i];
		bool wanted =
			r->when == ALWAYS || (r->when == WITH_BOLT && w->bolt) ||
			(r->when == WITH_PROFILE && profile) ||
			(r->when == WITH_ABSOLUTE_PROFILE && profile && w->profile[0] == '/') ||
			(r->when == WITH_LTO_PROFILE && profile && lto);

		if (r->family == c->family && wanted)
			rc = add(f, r->flag, w->profile, r->why, r->link, err);
	}
	return rc;
}

/* ---- what the compiler takes of them */

static bool is_profile(const struct pgo_flag *f, const struct pgo_flags_wanted *w)
{
	const char *eq = strchr(f->text, '=');

	return w->profile != NULL && eq != NULL && strcmp(eq + 1, w->profile) == 0;
}

static int takes(const struct pgo_compiler *c, const char *const flags[], size_t n, bool link,
	struct pgo_err *err)
{
	if (n == 0)
		return 1;
	if (link && c->family != PGO_COMPILER_RUSTC)
		return pgo_compiler_links(c, flags, n, err);
	return pgo_compiler_compiles(c, flags, n, true, NULL, err);
}

/* All of one side at once, which is the rule; else one by one. */
static int try_side(struct pgo_flags *f, const struct pgo_compiler *c,
	const struct pgo_flags_wanted *w, bool link, struct pgo_err *err)
{
	const char *list[MAX_FLAGS];
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < f->n; i++)
		if (f->of[i].link == link && !is_profile(&f->of[i], w) && n < MAX_FLAGS)
			list[n++] = f->of[i].text;
	rc = takes(c, list, n, link, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	for (size_t i = 0; i < f->n; i++) {
		const char *one[] = {f->of[i].text};

		if (f->of[i].link != link || is_profile(&f->of[i], w))
			continue;
		rc = takes(c, one, 1, link, err);
		if (rc < 0)
			return rc;
		f->of[i].left_out = rc == 0;
	}
	return 0;
}

/* The first line that is worth repeating. */
static char *first_line(const char *said)
{
	const char *at = strstr(said, "error:");
	size_t n;

	at = at != NULL ? at : said;
	n = strcspn(at, "\n");
	return pgo_strndup(at, n < 300 ? n : 300);
}

/* Some releases of some compilers die of some profiles: better here than in the build. */
static int try_profile(struct pgo_flags *f, const struct pgo_compiler *c,
	const struct pgo_flags_wanted *w, struct pgo_err *err)
{
	int rc = 1;

	for (size_t i = 0; i < f->n && rc == 1; i++) {
		const char *one[] = {f->of[i].text};
		char *said = NULL;

		if (f->of[i].link || !is_profile(&f->of[i], w))
			continue;
		rc = pgo_compiler_compiles(c, one, 1, false, &said, err);
		if (rc == 0) {
			f->refused = first_line(said);
			if (f->refused == NULL)
				rc = pgo_err_nomem(err);
		}
		pgo_free(said);
	}
	for (size_t i = 0; i < f->n && f->refused != NULL; i++)
		f->of[i].left_out |= is_profile(&f->of[i], w);
	return rc < 0 ? rc : 0;
}

/* ---- llvm-bolt */

/* Has --help this option, and among the lines up to the next one this value? */
static bool help_has(const char *help, const char *option, const char *value)
{
	size_t len = strlen(option);
	const char *at = help, *end;

	while ((at = strstr(at, option)) != NULL && at[len] != ' ' && at[len] != '=' &&
		at[len] != '\n')
		at += len;
	if (at == NULL || value == NULL)
		return at != NULL;
	for (end = strstr(at, "\n  --"), at = strstr(at, value);
		at != NULL && (end == NULL || at < end); at = strstr(at + 1, value)) {
		char after = at[strlen(value)];

		if (after == ' ' || after == '\n' || after == '\0')
			return true;
	}
	return false;
}

/* An option that is spelled in two places of --help ("--icf", then "--icf=<value>"). */
static bool bolt_has(const char *help, const struct bolt_row *r)
{
	char *with_value = r->value != NULL ? pgo_asprintf("%s=<", r->option) : NULL;
	const char *at = with_value != NULL ? strstr(help, with_value) : help;
	bool has = at != NULL && help_has(at, r->option, r->value);

	pgo_free(with_value);
	return has;
}

static int add_bolt(struct pgo_flags *f, const struct pgo_compiler *c,
	const struct pgo_flags_wanted *w, struct pgo_err *err)
{
	const char *help = c->help.data != NULL ? c->help.data : "", *done = "";
	int rc = 0;

	if (w->stage != PGO_FLAGS_USE || w->profile == NULL)
		return 0;
	for (size_t i = 0; i < sizeof bolt_rows / sizeof *bolt_rows && rc == 0; i++) {
		const struct bolt_row *r = &bolt_rows[i];

		if (strcmp(done, r->option) == 0)
			continue;
		if (bolt_has(help, r)) {
			done = r->option;
			rc = add(f, r->flag, NULL, r->why, false, err);
		}
	}
	return rc;
}

int pgo_flags_find(const struct pgo_compiler *c, const struct pgo_flags_wanted *w,
	struct pgo_flags *ret, struct pgo_err *err)
{
	bool asks = c->family == PGO_COMPILER_GCC || c->family == PGO_COMPILER_CLANG ||
		    c->family == PGO_COMPILER_RUSTC;
	int rc;

	memset(ret, 0, sizeof *ret);
	rc = add_rows(ret, c, w, err);
	if (rc == 0 && c->family == PGO_COMPILER_BOLT)
		rc = add_bolt(ret, c, w, err);
	if (rc == 0 && asks)
		rc = try_side(ret, c, w, false, err);
	if (rc == 0 && asks)
		rc = try_side(ret, c, w, true, err);
	if (rc == 0 && asks)
		rc = try_profile(ret, c, w, err);
	return rc;
}

void pgo_flags_fini(struct pgo_flags *f)
{
	for (size_t i = 0; i < f->n; i++)
		pgo_free(f->of[i].text);
	pgo_free(f->of);
	pgo_free(f->refused);
	memset(f, 0, sizeof *f);
}

/* ---- printing */

static bool plain(const char *word, const char *more)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				   "-_=+,./:@%";

	return *word != '\0' && word[strspn(word, safe)] == '\0' && strpbrk(word, more) == NULL;
}

void pgo_flags_quote(const char *word, struct pgo_buf *out)
{
	if (plain(word, "$")) {
		pgo_buf_puts(out, word);
		return;
	}
	pgo_buf_putc(out, '\'');
	for (const char *s = word; *s != '\0'; s++)
		if (*s == '\'')
			pgo_buf_puts(out, "'\\''");
		else
			pgo_buf_putc(out, *s);
	pgo_buf_putc(out, '\'');
}

/* In front of what a reader of the form would take for something else, a backslash. */
static void escaped(const char *word, const char *what, struct pgo_buf *out)
{
	for (const char *s = word; *s != '\0'; s++) {
		if (strchr(what, *s) != NULL)
			pgo_buf_putc(out, '\\');
		pgo_buf_putc(out, *s);
	}
}

void pgo_flags_print(
	const struct pgo_flags *f, unsigned sides, enum pgo_flags_form form, struct pgo_buf *out)
{
	size_t done = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct pgo_flag *flag = &f->of[i];

		if (flag->left_out ||
			(sides & (flag->link ? PGO_FLAGS_OF_LINK : PGO_FLAGS_OF_COMPILE)) == 0)
			continue;
		if (done++ > 0)
			pgo_buf_putc(out, form == PGO_FLAGS_SHELL   ? ' '
					  : form == PGO_FLAGS_CMAKE ? ';'
								    : '\n');
		if (form == PGO_FLAGS_SHELL)
			pgo_flags_quote(flag->text, out);
		else if (form == PGO_FLAGS_RESPONSE)
			escaped(flag->text, " \t\\'\"", out);
		else if (form == PGO_FLAGS_CMAKE)
			escaped(flag->text, ";", out);
		else
			pgo_buf_puts(out, flag->text);
	}
	if (done > 0)
		pgo_buf_putc(out, '\n');
}

static void json_side(const struct pgo_flags *f, const char *key, bool link, struct pgo_json *j)
{
	pgo_json_key(j, key);
	pgo_json_array(j);
	for (size_t i = 0; i < f->n; i++)
		if (f->of[i].link == link && !f->of[i].left_out)
			pgo_json_str(j, f->of[i].text);
	pgo_json_end_array(j);
}

void pgo_flags_json(const struct pgo_flags *f, struct pgo_json *j)
{
	json_side(f, "compile", false, j);
	json_side(f, "link", true, j);
	pgo_json_key(j, "left_out");
	pgo_json_array(j);
	for (size_t i = 0; i < f->n; i++)
		if (f->of[i].left_out)
			pgo_json_str(j, f->of[i].text);
	pgo_json_end_array(j);
	pgo_json_kv_str(j, "refused", f->refused);
}
