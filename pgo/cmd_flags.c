/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/build_files.h"
#include "pgo/chosen.h"
#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/flags.h"

#include <stdlib.h>
#include <string.h>

#define PRINT_MAX ((size_t)1 << 20)
#define DAY_NS ((int64_t)86400 * 1000000000)

struct flags_values {
	const char *compiler, *stage, *require, *target, *config, *profile, *own, *format, *dir,
		*as;
	int64_t ttl_ns;
	bool compile, link, bolt, lto;
};

#define AT(field) offsetof(struct flags_values, field)

static const struct pgo_opt opts[] = {
	{"compiler", 0, "COMMAND",
		"as the build calls it: gcc, \"ccache clang\", go, rustc, llvm-bolt "
		"(default: $CC, or cc)",
		PGO_OPT_STR, AT(compiler)},
	{"stage", 's', "STAGE",
		"record, use, or both: a build to be recorded that uses a profile if "
		"there is one (default: use)",
		PGO_OPT_STR, AT(stage)},
	{"own", 0, "FLAGS", "what the build passes by itself, so that nothing of it is weakened",
		PGO_OPT_STR, AT(own)},
	{"bolt", 0, NULL, "llvm-bolt gets the program (a target with a bolt output implies it)",
		PGO_OPT_FLAG, AT(bolt)},
	{"lto", 0, NULL, "the program is optimised at the link (-flto implies it)", PGO_OPT_FLAG,
		AT(lto)},
	{"The profile", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"target", 't', "NAME", "last-good of this target of the configuration", PGO_OPT_STR,
		AT(target)},
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"profile", 'p', "PATH", "this file, or a directory that pgo get fills", PGO_OPT_STR,
		AT(profile)},
	{"require", 'r', "WHAT",
		"fresh, any, or none: without such a profile end with 20 (default: none)",
		PGO_OPT_STR, AT(require)},
	{"ttl", 0, "TIME", "up to this age a profile is fresh (default: the target's, or 42d)",
		PGO_OPT_DURATION, AT(ttl_ns)},
	{"The result", 0, NULL, NULL, PGO_OPT_GROUP, 0},
	{"compile", 0, NULL, "flags of compiling alone", PGO_OPT_FLAG, AT(compile)},
	{"link", 0, NULL, "flags of linking alone", PGO_OPT_FLAG, AT(link)},
	{"format", 'f', "FORM",
		"shell, lines, response, make, cmake or json (default: shell; with --dir nothing)",
		PGO_OPT_STR, AT(format)},
	{"dir", 'd', "DIR", "keep profile and response files there, written only when they change",
		PGO_OPT_STR, AT(dir)},
	{"as", 0, "NAME", "what those files are called (default: as the target, or pgo)",
		PGO_OPT_STR, AT(as)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"flags",
	"[--compiler COMMAND] [--stage STAGE] [OPTION]...",
	"Prints the flags with which a compiler makes a program that can be recorded, or uses a "
	"profile. It asks the compiler. Without a profile it prints nothing, unless one is "
	"required.",
	opts,
};

static const char *const stages[] = {"record", "use", "both", NULL};
static const char *const requirements[] = {"none", "any", "fresh", NULL};
static const char *const forms[] = {
	"shell", "lines", "response", "cmake", "make", "json", "nothing", NULL};
enum { STAGE_RECORD, STAGE_USE, STAGE_BOTH };
enum { REQUIRE_NONE, REQUIRE_ANY, REQUIRE_FRESH };
enum { FORM_MAKE = 4, FORM_JSON = 5, FORM_NOTHING = 6 };

/* One call of the command. */
struct flags_run {
	const struct flags_values *o;
	int stage, require, form;
	struct pgo_conf conf;
	const struct pgo_target *target;
	struct pgo_compiler compiler;
	struct pgo_chosen chosen;
	bool has_profile;
	char *profile; /* as the flags name it, if that is not where it was found */
	struct pgo_flags flags;
};

static int word_of(const char *option, const char *word, const char *const words[], int *ret,
	struct pgo_err *err)
{
	struct pgo_buf known;
	int rc;

	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(word, words[i]) == 0) {
			*ret = i;
			return 0;
		}
	pgo_buf_init(&known, 1024);
	for (size_t i = 0; words[i] != NULL; i++)
		pgo_buf_printf(&known, "%s%s", i > 0 ? ", " : "", words[i]);
	rc = pgo_err_set(err, PGO_EUSAGE, "--%s=%s is not known; it is one of: %s", option, word,
		known.failed ? "" : known.data);
	pgo_buf_fini(&known);
	return rc;
}

static int read_words(struct flags_run *r, bool json, struct pgo_err *err)
{
	int rc = word_of("stage", r->o->stage, stages, &r->stage, err);

	if (rc == 0)
		rc = word_of("require", r->o->require, requirements, &r->require, err);
	if (rc == 0)
		rc = word_of("format",
			r->o->format != NULL ? r->o->format
			: r->o->dir != NULL  ? "nothing"
					     : "shell",
			forms, &r->form, err);
	if (json)
		r->form = FORM_JSON;
	if (rc == 0 && r->o->as != NULL &&
		(r->o->as[0] == '\0' || r->o->as[0] == '.' || strchr(r->o->as, '/') != NULL))
		rc = pgo_err_set(
			err, PGO_EUSAGE, "--as=%s: it begins the names of files", r->o->as);
	if (rc == 0 && r->o->target != NULL && r->o->profile != NULL)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"--target and --profile both name a profile; give one of them");
	if (rc == 0 && r->o->target == NULL && r->o->profile == NULL &&
		(r->stage == STAGE_USE || r->require != REQUIRE_NONE))
		rc = pgo_err_set(err, PGO_EUSAGE,
			"say which profile: --target NAME of pgo.conf, or --profile FILE; or "
			"--stage "
			"record for a build that shall be recorded");
	if (rc == 0 && r->stage == STAGE_RECORD && r->require != REQUIRE_NONE)
		rc = pgo_err_set(
			err, PGO_EUSAGE, "--stage record uses no profile, so none can be required");
	return rc;
}

static int find_target(struct flags_run *r, struct pgo_err *err)
{
	int rc;

	if (r->o->target == NULL)
		return 0;
	rc = pgo_conf_load(r->o->config, &r->conf, err);
	for (size_t i = 0; rc == 0 && i < r->conf.n_targets; i++)
		if (strcmp(r->conf.targets[i].name, r->o->target) == 0)
			r->target = &r->conf.targets[i];
	if (rc == 0 && r->target == NULL)
		rc = pgo_err_set(
			err, PGO_EUSAGE, "%s has no target '%s'", r->o->config, r->o->target);
	return rc;
}

static enum pgo_output_kind kind_of(enum pgo_compiler_family f)
{
	switch (f) {
	case PGO_COMPILER_GCC:
		return PGO_OUTPUT_GCC;
	case PGO_COMPILER_GO:
		return PGO_OUTPUT_GO;
	case PGO_COMPILER_BOLT:
		return PGO_OUTPUT_BOLT;
	default:
		return PGO_OUTPUT_CLANG;
	}
}

/* No profile for this build: what was found out becomes a note, or, where one is required, the error. */
static int without(const struct flags_run *r, int rc, bool loud, struct pgo_err *err)
{
	if (rc == PGO_ENOMEM || rc == PGO_EUSAGE)
		return rc;
	if (r->require != REQUIRE_NONE) {
		err->code = PGO_EEMPTY;
		return PGO_EEMPTY;
	}
	if (loud)
		pgo_warn("%s; the build goes without a profile", err->msg);
	else
		pgo_note("%s; the build goes without a profile", err->msg);
	pgo_err_clear(err);
	return 0;
}

static int too_old(const struct flags_run *r, struct pgo_err *err)
{
	const struct pgo_chosen *c = &r->chosen;
	char age[64] = "of unknown age";
	struct pgo_err text = PGO_ERR_INIT;

	if (c->age_ns >= 0) {
		pgo_err_set(&text, PGO_EEMPTY, "%lld days old", (long long)(c->age_ns / DAY_NS));
		memcpy(age, text.msg, strlen(text.msg) + 1);
	}
	if (r->require == REQUIRE_FRESH)
		return pgo_err_set(err, PGO_EEMPTY,
			"the profile %s is %s, which is not fresh; refresh it, raise --ttl, or "
			"build with "
			"--require any",
			c->path, age);
	pgo_warn("the profile %s is %s: past its time, used all the same", c->path, age);
	return 0;
}

static int choose(struct flags_run *r, struct pgo_err *err)
{
	struct pgo_choice c = {.conf = &r->conf,
		.target = r->target,
		.path = r->o->profile,
		.kind = kind_of(r->compiler.family),
		.ttl_ns = r->o->ttl_ns};
	int rc;

	if (r->stage == STAGE_RECORD || (r->target == NULL && c.path == NULL))
		return 0;
	rc = pgo_choose(&c, &r->chosen, err);
	if (rc < 0)
		return without(r, rc,
			rc != PGO_EEMPTY ||
				pgo_path_exists(r->chosen.path != NULL ? r->chosen.path : ""),
			err);
	r->has_profile = true;
	return r->chosen.fresh ? 0 : too_old(r, err);
}

static const char *key_of(const struct flags_run *r)
{
	if (r->o->as != NULL)
		return r->o->as;
	return r->target != NULL ? r->target->name : "pgo";
}

/* The compiler said no to the profile. */
static int refused(struct flags_run *r, struct pgo_err *err)
{
	int rc = pgo_err_set(err, PGO_EEMPTY, "%s %s does not take the profile %s: %s",
		pgo_compiler_family_name(r->compiler.family), r->compiler.version, r->chosen.path,
		r->flags.refused);

	r->has_profile = false;
	/* A build that would use a profile and has none is as it was before. */
	for (size_t i = 0; r->stage == STAGE_USE && i < r->flags.n; i++)
		r->flags.of[i].left_out = true;
	return without(r, rc, true, err);
}

static int find_flags(struct flags_run *r, struct pgo_err *err)
{
	struct pgo_flags_wanted w = {.stage = r->has_profile ? PGO_FLAGS_USE : PGO_FLAGS_RECORD,
		.own = r->o->own,
		.bolt = r->o->bolt ||
			(r->target != NULL && r->target->output[PGO_OUTPUT_BOLT][0] != '\0'),
		.lto = r->o->lto};
	int rc = 0;

	if (r->o->dir != NULL)
		rc = pgo_build_profile(r->o->dir, key_of(r), r->has_profile ? &r->chosen : NULL,
			pgo_chosen_extension(kind_of(r->compiler.family)), &r->profile, err);
	if (rc < 0 || (!r->has_profile && r->stage == STAGE_USE))
		return rc;
	if (r->has_profile)
		w.profile = r->profile != NULL ? r->profile : r->chosen.path;
	rc = pgo_flags_find(&r->compiler, &w, &r->flags, err);
	for (size_t i = 0; rc == 0 && i < r->flags.n; i++)
		if (r->flags.of[i].left_out)
			pgo_note("%s is left out: %s %s does not take it", r->flags.of[i].text,
				pgo_compiler_family_name(r->compiler.family), r->compiler.version);
	return rc == 0 && r->flags.refused != NULL ? refused(r, err) : rc;
}

/* A compiler of another kind still builds. */
static int find_compiler(struct flags_run *r, struct pgo_err *err)
{
	const char *command = r->o->compiler, *cc = getenv("CC");
	int rc;

	if (command == NULL)
		command = cc != NULL && *cc != '\0' ? cc : "cc";
	rc = pgo_compiler_find(command, &r->compiler, err);
	if (rc != PGO_ENOTFOUND)
		return rc;
	rc = without(r, rc, true, err);
	return rc < 0 ? rc : 1;
}

/* ---- printing */

static void make_word(struct pgo_buf *out, const struct pgo_buf *text)
{
	for (size_t i = 0; i < text->len; i++) {
		char c = text->data[i];

		if (c == '$')
			pgo_buf_puts(out, "$$");
		else if (c == '#')
			pgo_buf_puts(out, "\\#");
		else if (c != '\n')
			pgo_buf_putc(out, c);
	}
	pgo_buf_putc(out, '\n');
}

static void print_make(const struct flags_run *r, unsigned sides, struct pgo_buf *out)
{
	static const char *const names[] = {"PGO_CFLAGS := ", "PGO_LDFLAGS := "};
	struct pgo_buf text;

	pgo_buf_init(&text, PRINT_MAX);
	for (unsigned i = 0; i < 2; i++)
		if ((sides & (1u << i)) != 0) {
			pgo_buf_clear(&text);
			pgo_flags_print(&r->flags, 1u << i, PGO_FLAGS_SHELL, &text);
			pgo_buf_puts(out, names[i]);
			make_word(out, &text);
		}
	pgo_buf_fini(&text);
}

static void print_json(const struct flags_run *r, bool known, struct pgo_buf *out)
{
	struct pgo_json j;
	char time[32];

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "flags");
	pgo_json_kv_str(&j, "stage", stages[r->stage]);
	pgo_json_kv_str(
		&j, "compiler", known ? pgo_compiler_family_name(r->compiler.family) : NULL);
	pgo_json_kv_str(&j, "compiler_version", r->compiler.version);
	pgo_flags_json(&r->flags, &j);
	pgo_json_key(&j, "profile");
	if (r->has_profile) {
		pgo_json_object(&j);
		pgo_json_kv_str(&j, "path", r->profile != NULL ? r->profile : r->chosen.path);
		pgo_chosen_json(&r->chosen, &j);
		pgo_json_kv_bool(&j, "fresh", r->chosen.fresh);
		if (r->chosen.time_ns != 0) {
			pgo_format_time(r->chosen.time_ns, time, sizeof time);
			pgo_json_kv_str(&j, "time", time);
		}
		pgo_json_end_object(&j);
	} else {
		pgo_json_null(&j);
	}
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static void print(const struct flags_run *r, bool known, struct pgo_buf *out)
{
	unsigned sides =
		(r->o->compile ? PGO_FLAGS_OF_COMPILE : 0) | (r->o->link ? PGO_FLAGS_OF_LINK : 0);

	if (sides == 0)
		sides = PGO_FLAGS_OF_COMPILE | PGO_FLAGS_OF_LINK;
	if (r->form == FORM_JSON)
		print_json(r, known, out);
	else if (r->form == FORM_MAKE)
		print_make(r, sides, out);
	else if (r->form != FORM_NOTHING)
		pgo_flags_print(&r->flags, sides, (enum pgo_flags_form)r->form, out);
}

static void fini(struct flags_run *r)
{
	pgo_flags_fini(&r->flags);
	pgo_chosen_fini(&r->chosen);
	pgo_compiler_fini(&r->compiler);
	pgo_conf_fini(&r->conf);
	pgo_free(r->profile);
}

static int run(int argc, char **argv)
{
	struct flags_values o = {.stage = "use", .require = "none", .config = "pgo.conf"};
	struct flags_run r = {.o = &o};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_buf out;
	int first, code, known = 0, rc;

	if (pgo_cmd_begin(&pgo_cmd_flags, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	pgo_buf_init(&out, PRINT_MAX);
	rc = read_words(&r, g.json, &err);
	if (rc == 0 && first < argc)
		rc = pgo_err_set(
			&err, PGO_EUSAGE, "there is no use for the word '%s'", argv[first]);
	if (rc == 0)
		rc = find_target(&r, &err);
	if (rc == 0) /* 1: it has no flags from us */
		known = rc = find_compiler(&r, &err);
	if (rc == 0)
		rc = choose(&r, &err);
	if (rc == 0)
		rc = find_flags(&r, &err);
	if (rc >= 0 && o.dir != NULL)
		rc = pgo_build_files(o.dir, key_of(&r), &r.compiler, &r.flags, &r.chosen,
			r.has_profile ? r.profile : NULL, &err);
	if (rc >= 0) {
		print(&r, known == 0, &out);
		rc = pgo_buf_check(&out, "the flags", &err);
	}
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_flags, &g, &err)
		      : pgo_cmd_print(
				&pgo_cmd_flags, &g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	fini(&r);
	return code;
}

const struct pgo_cmd pgo_cmd_flags = {
	"flags", "print the flags of compilers for recording and for using profiles", &table, run};
