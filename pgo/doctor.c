/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/doctor.h"

#include "fetch/http.h"
#include "fetch/select.h"
#include "fetch/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"
#include "pgo/tools.h"

#include <string.h>

#define AREA_COMPILER "compiler"
#define AREA_STORE "store"
#define STORE_SECONDS 20

void pgo_doctor_add(struct pgo_doctor *d, const char *area, const char *what,
	enum pgo_health health, char *found, char *mend)
{
	struct pgo_symptom *s = found != NULL ? PGO_VEC_PUSH(d->row, d->n, d->room) : NULL;

	if (s == NULL) {
		d->failed = true;
		pgo_free(found);
		pgo_free(mend);
		return;
	}
	*s = (struct pgo_symptom){area, what, health, found, mend};
}

void pgo_doctor_fini(struct pgo_doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		pgo_free(d->row[i].found);
		pgo_free(d->row[i].mend);
	}
	pgo_free(d->row);
	*d = (struct pgo_doctor){0};
}

/* ------------------------------------------------------------------ compilers */

/* A consumer of profiles, and from which release on it is of use. */
struct consumer {
	const char *program, *what;
	unsigned least;
	const char *takes;   /* what it is for */
	const char *package; /* how to get it on Debian and its kin */
};

static const struct consumer consumers[] = {
	{"gcc", "gcc", 10, "-fauto-profile reads what `pgo convert --gcc` writes", "gcc"},
	{"clang", "clang", 14, "-fprofile-sample-use reads what `pgo convert --clang` writes",
		"clang"},
	{"llvm-bolt", "llvm-bolt", 14, "-data reads what `pgo convert --bolt` writes", "bolt"},
	{"llvm-profdata", "llvm-profdata", 14, "`pgo check` asks it whether it accepts a profile",
		"llvm"},
	{"go", "go", 0, "go build -pgo reads what `pgo convert --go` writes", "golang-go"},
};

#define N_CONSUMERS (sizeof consumers / sizeof *consumers)

static void one_found(struct pgo_doctor *d, const struct consumer *c, const struct pgo_tool *t)
{
	if (t->release != 0 && t->release < c->least)
		pgo_doctor_add(d, AREA_COMPILER, c->what, PGO_HEALTH_LACKS,
			pgo_asprintf("%s: %s", t->path, t->says),
			pgo_asprintf("profiles are tested with release %u and later; take a newer "
				     "one",
				c->least));
	else
		pgo_doctor_add(d, AREA_COMPILER, c->what, PGO_HEALTH_GOOD,
			pgo_asprintf("%s: %s; %s", t->path,
				t->says[0] != '\0' ? t->says : "does not say its version",
				c->takes),
			NULL);
}

/* A compiler by the line with which it greets. */
static const struct consumer *kind_of(const struct pgo_tool *t)
{
	const char *base = strrchr(t->path, '/') != NULL ? strrchr(t->path, '/') + 1 : t->path;

	if (strstr(t->says, "clang") != NULL)
		return &consumers[1];
	if (strstr(t->says, "go version") != NULL)
		return &consumers[4];
	for (size_t i = N_CONSUMERS; i-- > 1;)
		if (strncmp(base, consumers[i].program, strlen(consumers[i].program)) == 0)
			return &consumers[i];
	if (strstr(t->says, "gcc") != NULL || strstr(t->says, "GCC") != NULL ||
		strstr(base, "gcc") != NULL || strstr(base, "g++") != NULL ||
		strcmp(base, "cc") == 0 || strcmp(base, "c++") == 0)
		return &consumers[0];
	return NULL;
}

static void named_compiler(struct pgo_doctor *d, const char *compiler)
{
	struct pgo_err err = PGO_ERR_INIT;
	const struct consumer *c;
	struct pgo_tool t;

	if (pgo_tool_find(compiler, &t, &err) < 0) {
		pgo_doctor_add(d, AREA_COMPILER, "compiler", PGO_HEALTH_BROKEN, pgo_strdup(err.msg),
			pgo_strdup("name one that is installed"));
		return;
	}
	c = kind_of(&t);
	if (c != NULL)
		one_found(d, c, &t);
	else
		pgo_doctor_add(d, AREA_COMPILER, "compiler", PGO_HEALTH_BROKEN,
			pgo_asprintf("%s (%s) is neither gcc nor clang nor go", t.path, t.says),
			pgo_strdup("profiles are written for gcc, clang, llvm-bolt and Go"));
	pgo_tool_fini(&t);
}

void pgo_doctor_compilers(struct pgo_doctor *d, const char *compiler)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_tool t;

	if (compiler != NULL) {
		named_compiler(d, compiler);
		return;
	}
	for (size_t i = 0; i < N_CONSUMERS; i++) {
		if (pgo_tool_find(consumers[i].program, &t, &err) < 0) {
			pgo_doctor_add(d, AREA_COMPILER, consumers[i].what, PGO_HEALTH_NOTE,
				pgo_strdup("not here"),
				pgo_asprintf("if builds need it: apt-get install %s",
					consumers[i].package));
			continue;
		}
		one_found(d, &consumers[i], &t);
		pgo_tool_fini(&t);
	}
}

/* ------------------------------------------------------------------ stores */

#define SEEN 1 /* enough: the first object ends a listing */

static int see_one(void *ctx, const struct pgo_listed *l, struct pgo_err *err)
{
	char **name = ctx;

	(void)err;
	*name = pgo_strdup(l->name);
	return SEEN;
}

static int list_first(struct pgo_source *s, struct pgo_http *http, char **ret, struct pgo_err *err)
{
	struct pgo_selection selection;
	const struct pgo_query q = {.selection = &selection};
	int rc;

	pgo_selection_init(&selection);
	s->http = http;
	s->query = &q;
	rc = s->ops->list(s, &q, see_one, ret, err);
	s->query = NULL;
	pgo_selection_fini(&selection);
	return rc;
}

void pgo_doctor_store(struct pgo_doctor *d, const char *url)
{
	const struct pgo_http_options o = {
		.tries = 1, .deadline_s = STORE_SECONDS, .connect_ms = 5000};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_http *http = pgo_http_new(&o, &err);
	struct pgo_source *s = http != NULL ? pgo_source_open(url, NULL, &err) : NULL;
	char *first = NULL;
	int rc = s != NULL ? list_first(s, http, &first, &err) : PGO_EIO;

	if (rc == SEEN && first != NULL)
		pgo_doctor_add(d, AREA_STORE, "store", PGO_HEALTH_GOOD,
			pgo_asprintf("%s answers; the first object is %s", url, first), NULL);
	else if (rc >= 0)
		pgo_doctor_add(d, AREA_STORE, "store", PGO_HEALTH_BROKEN,
			pgo_asprintf("%s answers, and nothing is in it", url),
			pgo_strdup("look whether the prefix, the service or the tenant is the one "
				   "that production writes to"));
	else
		pgo_doctor_add(d, AREA_STORE, "store", PGO_HEALTH_BROKEN, pgo_strdup(err.msg),
			pgo_strdup("credentials and addresses of stores are described in "
				   "pgo-fetch(1)"));
	pgo_free(first);
	pgo_source_close(s);
	pgo_http_free(http);
}

/* ------------------------------------------------------------------ what is printed */

const char *pgo_health_name(enum pgo_health h)
{
	static const char *const names[] = {"good", "note", "lacks", "broken"};

	return names[h];
}

bool pgo_doctor_broken(const struct pgo_doctor *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->row[i].health == PGO_HEALTH_BROKEN)
			return true;
	return false;
}

void pgo_doctor_text(const struct pgo_doctor *d, struct pgo_buf *out)
{
	const char *area = "";

	for (size_t i = 0; i < d->n; i++) {
		const struct pgo_symptom *s = &d->row[i];

		if (strcmp(area, s->area) != 0)
			pgo_buf_printf(out, "%s%s\n", i != 0 ? "\n" : "", s->area);
		area = s->area;
		pgo_buf_printf(
			out, "  %-7s %-19s %s\n", pgo_health_name(s->health), s->what, s->found);
		if (s->mend != NULL)
			pgo_buf_printf(out, "  %-7s %-19s -> %s\n", "", "", s->mend);
	}
}

void pgo_doctor_json(const struct pgo_doctor *d, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "schema", 1);
	pgo_json_kv_str(j, "kind", "doctor");
	pgo_json_kv_bool(j, "broken", pgo_doctor_broken(d));
	pgo_json_key(j, "findings");
	pgo_json_array(j);
	for (size_t i = 0; i < d->n; i++) {
		const struct pgo_symptom *s = &d->row[i];

		pgo_json_object(j);
		pgo_json_kv_str(j, "area", s->area);
		pgo_json_kv_str(j, "what", s->what);
		pgo_json_kv_str(j, "health", pgo_health_name(s->health));
		pgo_json_kv_str(j, "found", s->found);
		pgo_json_kv_str(j, "mend", s->mend);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}
