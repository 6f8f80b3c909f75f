/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/accept.h"

#include "pgo/core/alloc.h"
#include "pgo/core/child.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMPILE_SECONDS 60
#define BOLT_SECONDS 120
#define MOST_FUNCTIONS 60
#define MOST_NAME 400

void pgo_accepted_init(struct pgo_accepted *a)
{
	memset(a, 0, sizeof *a);
	pgo_buf_init(&a->yes, 1 << 12);
	pgo_buf_init(&a->no, 1 << 12);
	pgo_buf_init(&a->unasked, 1 << 12);
}

void pgo_accepted_fini(struct pgo_accepted *a)
{
	pgo_buf_fini(&a->yes);
	pgo_buf_fini(&a->no);
	pgo_buf_fini(&a->unasked);
}

/* ---- a program for the profile */

static bool is_keyword(const char *s)
{
	static const char *const words[] = {"auto", "break", "case", "char", "const", "continue",
		"default", "do", "double", "else", "enum", "extern", "float", "for", "goto", "if",
		"inline", "int", "long", "register", "restrict", "return", "short", "signed",
		"sizeof", "static", "struct", "switch", "typedef", "typeof", "union", "unsigned",
		"void", "volatile", "while", "asm", "main", "bool", "true", "false", "nullptr",
		"alignas", "alignof", "constexpr", "thread_local", "static_assert", "linux",
		"unix"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i], s) == 0)
			return true;
	return strncmp(s, "__builtin", 9) == 0;
}

static bool is_identifier(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > MOST_NAME || (s[0] >= '0' && s[0] <= '9') || is_keyword(s))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == len;
}

/* Lines with a loop, a branch, a direct and an indirect call, as profiles have counts for. */
static void write_function(struct pgo_buf *out, const char *name)
{
	pgo_buf_printf(out,
		"long %s(long n)\n"
		"{\n"
		"\tlong sum = n;\n"
		"\tfor (long i = 0; i < n; i++) {\n"
		"\t\tif ((i ^ sum) & 3)\n"
		"\t\t\tsum += pgo_accept_leaf(i);\n"
		"\t\telse\n"
		"\t\t\tsum ^= pgo_accept_table[i & 7](sum);\n"
		"\t\tsum *= 3;\n"
		"\t}\n"
		"\tif (sum < 0)\n"
		"\t\tsum = pgo_accept_out(sum);\n"
		"\treturn sum;\n"
		"}\n",
		name);
}

static int by_total(const void *pa, const void *pb)
{
	const struct pgo_fn *a = *(const struct pgo_fn *const *)pa;
	const struct pgo_fn *b = *(const struct pgo_fn *const *)pb;

	return (a->total < b->total) - (a->total > b->total);
}

static int write_program(const struct pgo_fnprof *p, const char *path, struct pgo_err *err)
{
	struct pgo_fn **fns = pgo_malloc((p->n_fns + 1) * sizeof(struct pgo_fn *));
	struct pgo_buf out;
	unsigned n = 0;
	int rc;

	if (fns == NULL)
		return pgo_err_nomem(err);
	if (p->n_fns != 0) {
		memcpy(fns, p->fns, p->n_fns * sizeof(struct pgo_fn *));
		qsort(fns, p->n_fns, sizeof(struct pgo_fn *), by_total);
	}
	pgo_buf_init(&out, 1 << 20);
	pgo_buf_puts(&out, "extern long (*pgo_accept_table[8])(long);\n"
			   "extern long pgo_accept_out(long);\n"
			   "static long pgo_accept_leaf(long x)\n{\n\treturn x * x + 1;\n}\n");
	for (size_t i = 0; i < p->n_fns && n < MOST_FUNCTIONS; i++) {
		const char *name = pgo_fnprof_str(p, fns[i]->name);
		bool again = i > 0 && fns[i]->name == fns[i - 1]->name;

		if (again || !is_identifier(name))
			continue;
		write_function(&out, name);
		n++;
	}
	write_function(&out, "pgo_accept_unknown");
	rc = pgo_buf_check(&out, "the program to try a profile with", err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, err);
	pgo_buf_fini(&out);
	pgo_free(fns);
	return rc;
}

/* ---- asking */

struct asking {
	const struct pgo_accept_tools *tools;
	const struct pgo_fit_loaded *l;
	struct pgo_accepted *ret;
	char *dir, *profile, *program, *out;
};

/* What several files have in common is said once. */
static void list(struct pgo_buf *b, const char *text)
{
	if (b->len != 0 && strstr(b->data, text) != NULL)
		return;
	if (b->len != 0)
		pgo_buf_puts(b, "; ");
	pgo_buf_puts(b, text);
}

/* Is this line of a tool's words a refusal? */
static bool refuses(const char *line, size_t len)
{
	static const char *const words[] = {"error:", "fatal error", "internal compiler error",
		"malformed", "Malformed", "truncated", "corrupt", "Could not read profile",
		"could not read profile", "profile is ignored", "profile ignored", "not a valid",
		"invalid profile", "unrecognized", "unsupported", "LLVM ERROR", "BOLT-ERROR",
		"PLEASE submit a bug report", "Segmentation fault", "terminate called",
		"Error reading", ": 0 out of "};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (memmem(line, len, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

/* The line that says it best; an empty one if there is none. */
static const char *telling_line(const char *text, size_t *ret_len)
{
	const char *best = "";

	*ret_len = 0;
	for (const char *p = text; *p != '\0';) {
		size_t len = strcspn(p, "\n");

		if (refuses(p, len)) {
			*ret_len = len;
			return p;
		}
		p += len + (p[len] != '\0');
	}
	return best;
}

/*
 * llvm-bolt goes on whatever it finds, and says "...samples in the binary (97.0%) belong to functions
 * with invalid (possibly stale) profile": beyond a half it is not this program's.
 */
static const char *mostly_stale(const char *text, size_t *ret_len)
{
	const char *p = strstr(text, "%) belong to functions with invalid");
	const char *line = p, *number = p;
	double percent;
	char digits[16];

	if (p == NULL)
		return "";
	while (number > text && number[-1] != '(')
		number--;
	while (line > text && line[-1] != '\n')
		line--;
	if ((size_t)(p - number) >= sizeof digits)
		return "";
	memcpy(digits, number, (size_t)(p - number));
	digits[p - number] = '\0';
	if (pgo_parse_double(digits, &percent, NULL) < 0 || percent <= 50)
		return "";
	*ret_len = strcspn(line, "\n");
	return line;
}

static const char *first_line(const char *text, size_t *ret_len)
{
	text += strspn(text, "\n ");
	*ret_len = strcspn(text, "\n");
	return text;
}

/* Tools name our temporary directory, which nobody knows: only base names stay. */
static void tell(struct pgo_buf *out, const char *line, size_t len, const char *dir)
{
	size_t skip = strlen(dir);

	len = len < 300 ? len : 300;
	for (size_t i = 0; i < len;) {
		if (len - i > skip && memcmp(line + i, dir, skip) == 0) {
			i += skip + (line[i + skip] == '/');
		} else {
			pgo_buf_putc(out, line[i]);
			i++;
		}
	}
}

static void took(struct asking *a, const char *tool, unsigned release)
{
	char text[64];

	snprintf(text, sizeof text, release != 0 ? "%s %u" : "%s", tool, release);
	list(&a->ret->yes, text);
}

static void judge(
	struct asking *a, const char *tool, const struct pgo_tool *t, const struct pgo_child *c)
{
	const char *text = pgo_child_text(c), *line;
	size_t len;

	line = telling_line(text, &len);
	a->ret->asked++;
	if (len == 0)
		line = mostly_stale(text, &len);
	if (c->status == 0 && len == 0) {
		took(a, tool, t->release);
		return;
	}
	a->ret->refused++;
	if (len == 0)
		line = first_line(text, &len);
	if (a->ret->no.len != 0)
		pgo_buf_puts(&a->ret->no, "; ");
	pgo_buf_printf(&a->ret->no, "%s %u", tool, t->release);
	if (c->status > 128)
		pgo_buf_printf(&a->ret->no, " died of signal %d", c->status - 128);
	else if (c->status != 0)
		pgo_buf_printf(&a->ret->no, " failed (exit %d)", c->status);
	pgo_buf_puts(&a->ret->no, len != 0 ? ": " : "");
	tell(&a->ret->no, line, len, a->dir);
}

static int ask(struct asking *a, const char *tool, const struct pgo_tool *t,
	const char *const argv[], unsigned seconds, struct pgo_err *err)
{
	const struct pgo_child_options o = {.seconds = seconds, .dir = a->dir};
	struct pgo_child c = {0};
	char text[160];
	int rc = pgo_child_run(argv, &o, &c, err);

	if (rc == PGO_ENOTFOUND) {
		snprintf(text, sizeof text, "%s is not installed", tool);
		list(&a->ret->unasked, text);
		pgo_err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (c.timed_out) {
		snprintf(text, sizeof text, "%s took longer than %u seconds", tool, seconds);
		list(&a->ret->unasked, text);
	} else {
		judge(a, tool, t, &c);
	}
	pgo_child_fini(&c);
	return 0;
}

/* True if the tool is there; else it is noted as not asked. */
static bool find(struct asking *a, const char *tool, const char *named, struct pgo_tool *t)
{
	char text[160];

	if (pgo_tool_find(named != NULL ? named : tool, t, NULL) == 0)
		return true;
	snprintf(text, sizeof text, "%s is not installed", named != NULL ? named : tool);
	list(&a->ret->unasked, text);
	return false;
}

static int ask_gcc(struct asking *a, struct pgo_err *err)
{
	struct pgo_tool t = {0};
	char text[160], wanted[32];
	char *flag;
	int rc;

	snprintf(wanted, sizeof wanted, "gcc-%u", a->tools->gcc_release);
	if (!find(a, "gcc", a->tools->gcc, &t))
		return 0;
	if (a->tools->gcc_release != 0 && t.release != a->tools->gcc_release &&
		a->tools->gcc == NULL) {
		/* Another release reads other versions of the file: its opinion says nothing. */
		pgo_tool_fini(&t);
		if (pgo_tool_find(wanted, &t, NULL) < 0 || t.release != a->tools->gcc_release) {
			snprintf(text, sizeof text, "gcc %u is not installed",
				a->tools->gcc_release);
			list(&a->ret->unasked, text);
			pgo_tool_fini(&t);
			return 0;
		}
	}
	flag = pgo_asprintf("-fauto-profile=%s", a->profile);
	if (flag == NULL) {
		pgo_tool_fini(&t);
		return pgo_err_nomem(err);
	}
	rc = ask(a, "gcc", &t,
		(const char *const[]){t.path, "-O2", "-g1", "-fno-builtin", flag, "-c", "-o",
			a->out, a->program, NULL},
		COMPILE_SECONDS, err);
	pgo_free(flag);
	pgo_tool_fini(&t);
	return rc;
}

static int ask_clang(struct asking *a, struct pgo_err *err)
{
	struct pgo_tool t = {0};
	char *flag;
	int rc = 0;

	if (find(a, "clang", a->tools->clang, &t)) {
		flag = pgo_asprintf("-fprofile-sample-use=%s", a->profile);
		rc = flag == NULL ? pgo_err_nomem(err)
				  : ask(a, "clang", &t,
					    (const char *const[]){t.path, "-O2",
						    "-gline-tables-only", "-fno-builtin", flag,
						    "-c", "-o", a->out, a->program, NULL},
					    COMPILE_SECONDS, err);
		pgo_free(flag);
	}
	pgo_tool_fini(&t);
	return rc;
}

static int ask_profdata(struct asking *a, struct pgo_err *err)
{
	struct pgo_tool t = {0};
	int rc = 0;

	if (find(a, "llvm-profdata", a->tools->llvm_profdata, &t))
		rc = ask(a, "llvm-profdata", &t,
			(const char *const[]){
				t.path, "merge", "--sample", "-o", a->out, a->profile, NULL},
			COMPILE_SECONDS, err);
	pgo_tool_fini(&t);
	return rc;
}

static int ask_bolt(struct asking *a, const char *binary, struct pgo_err *err)
{
	struct pgo_tool t = {0};
	char *real = realpath(binary, NULL);
	int rc = 0;

	if (find(a, "llvm-bolt", a->tools->llvm_bolt, &t))
		rc = ask(a, "llvm-bolt", &t,
			(const char *const[]){t.path, real != NULL ? real : binary, "-data",
				a->profile, "-o", a->out, NULL},
			BOLT_SECONDS, err);
	free(real);
	pgo_tool_fini(&t);
	return rc;
}

static int ask_all(struct asking *a, const char *binary, struct pgo_err *err)
{
	int rc = 0;

	if (a->l->kind == PGO_OUTPUT_BOLT) {
		if (binary != NULL)
			return ask_bolt(a, binary, err);
		list(&a->ret->unasked, "llvm-bolt needs the program");
		return 0;
	}
	rc = write_program(a->l->fnprof, a->program, err);
	if (rc == 0 && a->l->kind == PGO_OUTPUT_GCC)
		return ask_gcc(a, err);
	if (rc == 0)
		rc = ask_clang(a, err);
	return rc < 0 ? rc : ask_profdata(a, err);
}

static const char *const parts[] = {"profile", "program.c", "out"};

static void clean(struct asking *a)
{
	char *of[] = {a->profile, a->program, a->out};

	for (size_t i = 0; i < 3; i++) {
		if (of[i] != NULL)
			unlink(of[i]);
		pgo_free(of[i]);
	}
	if (a->dir != NULL)
		rmdir(a->dir);
	pgo_free(a->dir);
}

int pgo_accept(const struct pgo_accept_tools *t, const struct pgo_fit_loaded *l, const void *data,
	size_t len, const char *binary, struct pgo_accepted *ret, struct pgo_err *err)
{
	const char *tmp = getenv("TMPDIR");
	struct asking a = {.tools = t, .l = l, .ret = ret};
	int rc = 0;

	a.dir = pgo_asprintf("%s/pgo-accept.XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if (a.dir == NULL)
		return pgo_err_nomem(err);
	if (mkdtemp(a.dir) == NULL) {
		rc = pgo_err_errno(err, PGO_EIO, "cannot make the temporary directory %s", a.dir);
		pgo_free(a.dir);
		return rc;
	}
	a.profile = pgo_asprintf("%s/%s", a.dir, parts[0]);
	a.program = pgo_asprintf("%s/%s", a.dir, parts[1]);
	a.out = pgo_asprintf("%s/%s", a.dir, parts[2]);
	if (a.profile == NULL || a.program == NULL || a.out == NULL)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_file_write(a.profile, data, len, err);
	if (rc == 0)
		rc = ask_all(&a, binary, err);
	clean(&a);
	return rc;
}
