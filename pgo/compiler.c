/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/compiler.h"

#include "pgo/core/alloc.h"
#include "pgo/core/child.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS 256
#define MAX_HELP ((size_t)1 << 20)

static const char *const family_names[PGO_N_COMPILER_FAMILIES] = {
	"gcc", "clang", "go", "rustc", "llvm-bolt"};

const char *pgo_compiler_family_name(enum pgo_compiler_family f)
{
	return family_names[f];
}

/* ---- words */

void pgo_words_free(char **words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pgo_free(words[i]);
	pgo_free(words);
}

/* One word from `*at` on into `out`; false at the end of the text. */
static bool next_word(const char **at, struct pgo_buf *out)
{
	const char *s = *at;
	char quote = 0;

	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	if (*s == '\0')
		return false;
	for (; *s != '\0' && (quote != 0 || (*s != ' ' && *s != '\t' && *s != '\n')); s++) {
		if (quote == 0 && (*s == '"' || *s == '\''))
			quote = *s;
		else if (quote != 0 && *s == quote)
			quote = 0;
		else if (*s == '\\' && quote != '\'' && s[1] != '\0')
			pgo_buf_putc(out, *++s);
		else
			pgo_buf_putc(out, *s);
	}
	*at = s;
	return true;
}

int pgo_words_split(const char *text, char ***words, size_t *n, size_t *room, struct pgo_err *err)
{
	struct pgo_buf word;
	int rc = 0;

	pgo_buf_init(&word, (size_t)1 << 20);
	while (rc == 0 && next_word(&text, &word)) {
		char **slot = PGO_VEC_PUSH(*words, *n, *room);

		if (slot != NULL)
			*slot = pgo_strndup(word.data != NULL ? word.data : "", word.len);
		if (slot == NULL || *slot == NULL || word.failed)
			rc = pgo_err_nomem(err);
		pgo_buf_clear(&word);
	}
	pgo_buf_fini(&word);
	return rc;
}

/* ---- running it */

/* The command with `n` arguments more.  0 and the status in *ret, or a negative code. */
static int ask(const struct pgo_compiler *c, const char *const more[], size_t n, bool only_stdout,
	struct pgo_child *ret, struct pgo_err *err)
{
	const struct pgo_child_options o = {.only_stdout = only_stdout, .most = MAX_HELP};
	const char *argv[MAX_WORDS + 1];
	size_t k = 0;
	int rc;

	if (c->n_words + n > MAX_WORDS)
		return pgo_err_set(err, PGO_EUSAGE,
			"the command of the compiler has %zu words, which is too many", c->n_words);
	for (size_t i = 0; i < c->n_words; i++)
		argv[k++] = c->words[i];
	for (size_t i = 0; i < n; i++)
		argv[k++] = more[i];
	argv[k] = NULL;
	rc = pgo_child_run(argv, &o, ret, err);
	if (rc < 0 && rc != PGO_ENOMEM)
		return pgo_err_set(err, PGO_EUSAGE,
			"the compiler '%s' cannot be run: there is no such program, or it may not "
			"be executed; name it as the build calls it",
			c->words[0]);
	return rc;
}

/* ---- what it is */

static long macro(const char *text, const char *name)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof line, "#define %s ", name);
	at = strstr(text, line);
	return at != NULL ? strtol(at + strlen(line), NULL, 10) : -1;
}

/* Compilers that predefine __GNUC__ without being gcc, and read no profile of gcc's. */
static bool is_in_disguise(const char *text)
{
	static const char *const others[] = {"__INTEL_COMPILER", "__NVCOMPILER", "__PGI",
		"__SUNPRO_C", "__OPEN64__", "__PATHCC__", "__EDG__", "__LCC__", "__TINYC__",
		"__ICCARM__"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		char line[64];

		snprintf(line, sizeof line, "#define %s", others[i]);
		if (strstr(text, line) != NULL)
			return true;
	}
	return false;
}

/* 1: it is gcc or clang; 0: it is not. */
static int by_macros(struct pgo_compiler *c, struct pgo_err *err)
{
	static const char *const languages[] = {"c", "c++"};
	struct pgo_child out = {0};
	long clang = -1, gnu = -1;
	int rc = 0;

	for (size_t i = 0; i < 2 && clang < 0 && gnu < 0; i++) {
		const char *const args[] = {"-dM", "-E", "-x", languages[i], "/dev/null"};
		const char *text;

		rc = ask(c, args, 5, true, &out, err);
		if (rc < 0)
			return rc;
		text = pgo_child_text(&out);
		if (out.status == 0 && !is_in_disguise(text)) {
			clang = macro(text, "__clang_major__");
			gnu = macro(text, "__GNUC__");
			c->language = languages[i];
			c->release = (unsigned)(clang >= 0 ? clang : gnu >= 0 ? gnu : 0);
			if (clang >= 0)
				snprintf(c->version, sizeof c->version, "%ld.%ld.%ld", clang,
					macro(text, "__clang_minor__"),
					macro(text, "__clang_patchlevel__"));
			else
				snprintf(c->version, sizeof c->version, "%ld.%ld.%ld", gnu,
					macro(text, "__GNUC_MINOR__"),
					macro(text, "__GNUC_PATCHLEVEL__"));
		}
		pgo_child_fini(&out);
	}
	c->family = clang >= 0 ? PGO_COMPILER_CLANG : PGO_COMPILER_GCC;
	return clang >= 0 || gnu >= 0;
}

/* The digits and dots behind `prefix` in what it says. */
static bool version_behind(struct pgo_compiler *c, const char *text, const char *prefix)
{
	const char *at = strstr(text, prefix);
	size_t n;

	if (at == NULL)
		return false;
	at += strlen(prefix);
	n = strspn(at, "0123456789.");
	snprintf(c->version, sizeof c->version, "%.*s", (int)(n < 60 ? n : 60), at);
	return n > 0;
}

/* 1: it is one of those that are no compilers of C. */
static int by_words(struct pgo_compiler *c, const char *const args[], size_t n, struct pgo_err *err)
{
	struct pgo_child out = {0};
	int rc = ask(c, args, n, true, &out, err), found = 0;
	const char *text = pgo_child_text(&out);

	if (rc == 0 && version_behind(c, text, "go version go")) {
		c->family = PGO_COMPILER_GO;
		found = 1;
	} else if (rc == 0 && strncmp(text, "rustc ", 6) == 0 &&
		   version_behind(c, text, "rustc ")) {
		c->family = PGO_COMPILER_RUSTC;
		found = 1;
	} else if (rc == 0 && strstr(text, "BOLT revision") != NULL &&
		   version_behind(c, text, "LLVM version ")) {
		c->family = PGO_COMPILER_BOLT;
		found = 1;
	}
	if (found) {
		const char *minor = strchr(c->version, '.');
		bool second = c->family != PGO_COMPILER_BOLT && minor != NULL;

		c->release = (unsigned)strtoul(second ? minor + 1 : c->version, NULL, 10);
	}
	pgo_child_fini(&out);
	return rc < 0 ? rc : found;
}

/* Does a word in front of the first option end in this name, or begin with it ("rustc-1.80")? */
static bool looks_like(const struct pgo_compiler *c, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < c->n_words && c->words[i][0] != '-'; i++) {
		const char *base = pgo_path_base(c->words[i]);

		if (strncmp(base, name, len) == 0 &&
			(base[len] == '\0' || base[len] == '-' ||
				(base[len] >= '0' && base[len] <= '9')))
			return true;
	}
	return false;
}

/* The likeliest question first: each takes a run. */
static int identify(struct pgo_compiler *c, struct pgo_err *err)
{
	static const char *const version[] = {"--version"}, *const go[] = {"version"};
	bool is_go = looks_like(c, "go"),
	     other = looks_like(c, "rustc") || looks_like(c, "llvm-bolt");
	int rc = 0;

	if (is_go)
		rc = by_words(c, go, 1, err);
	if (rc == 0 && other)
		rc = by_words(c, version, 1, err);
	if (rc == 0)
		rc = by_macros(c, err);
	if (rc == 0 && !other)
		rc = by_words(c, version, 1, err);
	if (rc == 0 && !is_go)
		rc = by_words(c, go, 1, err);
	if (rc == 0)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"'%s' is no compiler that pgo has flags for: it knows gcc, clang, go, "
			"rustc and "
			"llvm-bolt",
			c->words[0]);
	return rc < 0 ? rc : 0;
}

/* ---- what it takes */

static int make_scratch(struct pgo_compiler *c, struct pgo_err *err)
{
	const char *dir = getenv("TMPDIR");
	char *path = NULL;
	int rc = 0;

	c->scratch =
		pgo_asprintf("%s/pgo-flags-XXXXXX", dir != NULL && *dir != '\0' ? dir : "/tmp");
	if (c->scratch == NULL)
		return pgo_err_nomem(err);
	if (mkdtemp(c->scratch) == NULL) {
		rc = pgo_err_errno(err, PGO_EIO, "no directory can be made below %s",
			dir != NULL && *dir != '\0' ? dir : "/tmp");
		pgo_free(c->scratch);
		c->scratch = NULL;
		return rc;
	}
	path = pgo_asprintf("%s/empty", c->scratch);
	if (path == NULL)
		return pgo_err_nomem(err);
	rc = pgo_file_write(path, "\n", 1, err);
	pgo_free(path);
	return rc;
}

static void drop_scratch(struct pgo_compiler *c)
{
	static const char *const names[] = {"empty", "out"};

	if (c->scratch == NULL)
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = pgo_asprintf("%s/%s", c->scratch, names[i]);

		if (path != NULL)
			unlink(path);
		pgo_free(path);
	}
	rmdir(c->scratch);
	pgo_free(c->scratch);
}

/* Runs it with the flags, then `tail`. 1 = it succeeded. */
static int tries(const struct pgo_compiler *c, const char *const flags[], size_t n,
	const char *const tail[], size_t n_tail, char **ret_said, struct pgo_err *err)
{
	const char *args[MAX_WORDS];
	struct pgo_child out = {0};
	int rc;

	if (n + n_tail > MAX_WORDS)
		return pgo_err_set(err, PGO_EUSAGE, "there are too many flags");
	if (n != 0)
		memcpy(args, flags, n * sizeof *args);
	memcpy(args + n, tail, n_tail * sizeof *args);
	rc = ask(c, args, n + n_tail, false, &out, err);
	if (rc == 0 && ret_said != NULL) {
		*ret_said = pgo_strdup(pgo_child_text(&out));
		if (*ret_said == NULL)
			rc = pgo_err_nomem(err);
	}
	if (rc == 0)
		rc = out.status == 0 ? 1 : 0;
	pgo_child_fini(&out);
	return rc;
}

int pgo_compiler_compiles(const struct pgo_compiler *c, const char *const flags[], size_t n,
	bool strict, char **ret_said, struct pgo_err *err)
{
	char *in = pgo_asprintf("%s/empty", c->scratch), *out = pgo_asprintf("%s/out", c->scratch);
	int rc = 0;

	if (in == NULL || out == NULL) {
		rc = pgo_err_nomem(err);
	} else if (c->family == PGO_COMPILER_RUSTC) {
		const char *const tail[] = {"--crate-type=lib", "--crate-name=empty", "--emit=obj",
			"-Copt-level=2", "-o", out, in};

		rc = tries(c, flags, n, tail, 7, ret_said, err);
	} else {
		const char *const tail[] = {
			strict ? "-Werror" : "-w", "-O2", "-c", "-o", out, "-x", c->language, in};

		rc = tries(c, flags, n, tail, 8, ret_said, err);
	}
	pgo_free(in);
	pgo_free(out);
	return rc;
}

static int links(const struct pgo_compiler *c, const char *how, const char *const flags[], size_t n,
	struct pgo_err *err)
{
	char *in = pgo_asprintf("%s/empty", c->scratch), *out = pgo_asprintf("%s/out", c->scratch);
	const char *const tail[] = {"-nostdlib", how, "-o", out, "-x", c->language, in};
	int rc = in == NULL || out == NULL ? pgo_err_nomem(err)
					   : tries(c, flags, n, tail, 7, NULL, err);

	pgo_free(in);
	pgo_free(out);
	return rc;
}

int pgo_compiler_links(
	const struct pgo_compiler *c, const char *const flags[], size_t n, struct pgo_err *err)
{
	return c->link != NULL ? links(c, c->link, flags, n, err) : 1;
}

/* A library, or a program that begins nowhere: neither needs start files. */
static int find_link(struct pgo_compiler *c, struct pgo_err *err)
{
	static const char *const ways[] = {"-shared", "-Wl,-e,0"};
	int rc = 0;

	for (size_t i = 0; i < 2 && rc == 0; i++) {
		rc = links(c, ways[i], NULL, 0, err);
		if (rc == 1)
			c->link = ways[i];
	}
	return rc < 0 ? rc : 0;
}

static int read_help(struct pgo_compiler *c, struct pgo_err *err)
{
	static const char *const help[] = {"--help-hidden"};
	struct pgo_child out = {0};
	int rc = ask(c, help, 1, false, &out, err);

	if (rc == 0) {
		pgo_buf_puts(&c->help, pgo_child_text(&out));
		rc = pgo_buf_check(&c->help, "what llvm-bolt --help-hidden says", err);
	}
	pgo_child_fini(&out);
	return rc;
}

int pgo_compiler_find(const char *command, struct pgo_compiler *ret, struct pgo_err *err)
{
	int rc;

	memset(ret, 0, sizeof *ret);
	pgo_buf_init(&ret->help, MAX_HELP + 1);
	rc = pgo_words_split(command, &ret->words, &ret->n_words, &ret->room, err);
	if (rc == 0 && ret->n_words == 0)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"say which compiler, as the build calls it: --compiler \"ccache gcc\"");
	if (rc == 0)
		rc = identify(ret, err);
	if (rc == 0 && ret->family == PGO_COMPILER_BOLT)
		rc = read_help(ret, err);
	if (rc == 0 && ret->family != PGO_COMPILER_BOLT && ret->family != PGO_COMPILER_GO)
		rc = make_scratch(ret, err);
	if (rc == 0 && (ret->family == PGO_COMPILER_GCC || ret->family == PGO_COMPILER_CLANG))
		rc = find_link(ret, err);
	return rc;
}

void pgo_compiler_fini(struct pgo_compiler *c)
{
	drop_scratch(c);
	pgo_words_free(c->words, c->n_words);
	pgo_buf_fini(&c->help);
	memset(c, 0, sizeof *c);
}
