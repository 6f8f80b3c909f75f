/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/doctor.h"

#include <string.h>

struct doctor_values {
	struct pgo_opt_list binaries, compilers, stores;
	const char *debug, *config;
};

#define AT(field) offsetof(struct doctor_values, field)

static const struct pgo_opt opts[] = {
	{"binary", 0, "APP", "a program that is to be profiled or rebuilt (repeatable)",
		PGO_OPT_LIST, AT(binaries)},
	{"debug", 0, "FILE", "its separate debug information, or a directory of it", PGO_OPT_STR,
		AT(debug)},
	{"compiler", 0, "CC", "a compiler that is to be used (repeatable; default: what is found)",
		PGO_OPT_LIST, AT(compilers)},
	{"store", 0, "URL", "a store that is to be fetched from (repeatable)", PGO_OPT_LIST,
		AT(stores)},
	{"config", 'c', "FILE", "the programs and stores of a configuration", PGO_OPT_STR,
		AT(config)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"doctor",
	"[OPTION]...",
	"Says what this machine, its compilers, a program and a store allow, and how to get what "
	"they do not.",
	opts,
};

static int add_config(struct pgo_doctor *d, const char *path, struct pgo_err *err)
{
	struct pgo_conf conf;
	int rc = pgo_conf_load(path, &conf, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < conf.n_targets; i++) {
		const struct pgo_target *t = &conf.targets[i];

		pgo_doctor_program(d, t->binary, t->debug[0] != '\0' ? t->debug : NULL);
		for (size_t k = 0; k < t->n_sources; k++)
			pgo_doctor_store(d, t->sources[k]);
	}
	pgo_conf_fini(&conf);
	return 0;
}

static int look(const struct doctor_values *o, struct pgo_doctor *d, struct pgo_err *err)
{
	int rc = 0;

	pgo_doctor_machine(d);
	if (o->compilers.n == 0)
		pgo_doctor_compilers(d, NULL);
	for (size_t i = 0; i < o->compilers.n; i++)
		pgo_doctor_compilers(d, o->compilers.item[i]);
	for (size_t i = 0; i < o->binaries.n; i++)
		pgo_doctor_program(d, o->binaries.item[i], o->debug);
	for (size_t i = 0; i < o->stores.n; i++)
		pgo_doctor_store(d, o->stores.item[i]);
	if (o->config != NULL)
		rc = add_config(d, o->config, err);
	return rc == 0 && d->failed ? pgo_err_nomem(err) : rc;
}

static int print(const struct pgo_doctor *d, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	struct pgo_json j;
	int code;

	pgo_buf_init(&out, (size_t)1 << 26);
	if (g->json) {
		pgo_json_init(&j, &out, false);
		pgo_doctor_json(d, &j);
	} else {
		pgo_doctor_text(d, &out);
	}
	code = pgo_cmd_print(&pgo_cmd_doctor, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code == PGO_EXIT_OK && pgo_doctor_broken(d) ? PGO_EXIT_FINDING : code;
}

static int run(int argc, char **argv)
{
	struct doctor_values o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_doctor d = {0};
	struct pgo_opt_globals g;
	int first, code;

	if (pgo_cmd_begin(&pgo_cmd_doctor, argc, argv, &o, &g, &first, NULL, &code) != 0)
		goto out;
	if (first < argc)
		pgo_err_set(&err, PGO_EUSAGE,
			"unexpected operand '%s'; programs are named with --binary, stores with "
			"--store",
			argv[first]);
	if (first < argc || look(&o, &d, &err) < 0)
		code = pgo_cmd_fail(&pgo_cmd_doctor, &g, &err);
	else
		code = print(&d, &g);
out:
	pgo_doctor_fini(&d);
	pgo_opt_list_free(&o.binaries);
	pgo_opt_list_free(&o.compilers);
	pgo_opt_list_free(&o.stores);
	return code;
}

const struct pgo_cmd pgo_cmd_doctor = {
	"doctor", "say what this machine, a program and a store allow", &table, run};
