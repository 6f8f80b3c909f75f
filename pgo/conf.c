/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/conf.h"

#include "merge/plan.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "verify/gates.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_GATES 128

/* libconfuse reports through a callback without context; one file is read at a time. */
static char last_message[PGO_ERR_MAX];

static void remember(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[PGO_ERR_MAX - 128];

	vsnprintf(text, sizeof text, fmt, ap);
	/* The first message is the cause; what follows is its echo. */
	if (last_message[0] != '\0')
		return;
	if (cfg != NULL && cfg->filename != NULL && cfg->line != 0)
		snprintf(last_message, sizeof last_message, "%.100s:%d: %s", cfg->filename,
			cfg->line, text);
	else
		snprintf(last_message, sizeof last_message, "%s", text);
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return pgo_strdup(".");
	return pgo_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* A path of the file, seen from where the program runs; URLs and absolute paths stay. */
static char *rebase(const char *dir, const char *path)
{
	if (path[0] == '\0' || path[0] == '/' || strstr(path, "://") != NULL ||
		strcmp(dir, ".") == 0)
		return pgo_strdup(path);
	if (strncmp(path, "file:", 5) == 0)
		return pgo_strdup(path);
	return pgo_asprintf("%s/%s", dir, path);
}

static int list_of(cfg_t *t, const char *name, const char *dir, char ***ret, size_t *ret_n)
{
	size_t n = cfg_size(t, name);

	*ret = pgo_calloc(n, sizeof **ret);
	if (*ret == NULL)
		return -1;
	for (size_t i = 0; i < n; i++, ++*ret_n) {
		const char *item = cfg_getnstr(t, name, (unsigned)i);

		(*ret)[i] = dir != NULL ? rebase(dir, item) : pgo_strdup(item);
		if ((*ret)[i] == NULL)
			return -1;
	}
	return 0;
}

static int duration_of(cfg_t *t, const char *name, int64_t *ret, struct pgo_err *err)
{
	const char *text = cfg_getstr(t, name);

	if (text == NULL || text[0] == '\0' || strcmp(text, "0") == 0)
		return 0;
	if (pgo_parse_duration(text, ret, err) < 0)
		return pgo_err_prefix(err, "%s", name);
	return 0;
}

static int copy_strings(cfg_t *t, const char *dir, struct pgo_target *ret, struct pgo_err *err)
{
	struct {
		char **to;
		const char *name;
		bool is_path;
	} fields[] = {
		{&ret->since, "since", false},
		{&ret->until, "until", false},
		{&ret->clang_format, "clang_format", false},
		{&ret->order_format, "order_format", false},
		{&ret->mode, "mode", false},
		{&ret->class_mix, "class_mix", false},
		{&ret->class_label, "class_label", false},
		{&ret->require, "require", false},
		{&ret->binary, "binary", true},
		{&ret->debug, "debug", true},
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const char *text = cfg_getstr(t, fields[i].name);

		if (text == NULL)
			text = "";
		*fields[i].to = fields[i].is_path ? rebase(dir, text) : pgo_strdup(text);
		if (*fields[i].to == NULL)
			return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++) {
		ret->output[i] =
			rebase(dir, cfg_getstr(t, pgo_output_kind_name((enum pgo_output_kind)i)));
		if (ret->output[i] == NULL)
			return pgo_err_nomem(err);
	}
	return 0;
}

static int size_of(cfg_t *t, const char *name, uint64_t *ret, struct pgo_err *err)
{
	const char *text = cfg_getstr(t, name);

	if (text == NULL || text[0] == '\0')
		return 0;
	return pgo_parse_size(text, ret, err) < 0 ? pgo_err_prefix(err, "%s", name) : 0;
}

static int count_of(cfg_t *t, const char *name, long max, uint64_t *ret, struct pgo_err *err)
{
	long n = cfg_getint(t, name);

	if (n < 0 || n > max)
		return pgo_err_set(err, PGO_EUSAGE, "%s is %ld; it may be 0 to %ld", name, n, max);
	*ret = (uint64_t)n;
	return 0;
}

/* How profiles are fetched; secrets are none of the file's business (pgo-fetch(1), ENVIRONMENT). */
static int read_fetch(cfg_t *t, const char *dir, struct pgo_target *ret, struct pgo_err *err)
{
	const char *host = cfg_getstr(t, "by_host"), *ca = cfg_getstr(t, "cacert");
	uint64_t parallel = 0, tries = 0;
	int rc = 0;

	if (list_of(t, "older_builds", dir, &ret->older_builds, &ret->n_older_builds) < 0 ||
		list_of(t, "types", NULL, &ret->types, &ret->n_types) < 0 ||
		list_of(t, "labels", NULL, &ret->labels, &ret->n_labels) < 0 ||
		(ret->by_host = pgo_strdup(host != NULL ? host : "")) == NULL ||
		(ret->ca_file = rebase(dir, ca != NULL ? ca : "")) == NULL)
		return pgo_err_nomem(err);
	rc = size_of(t, "rate", &ret->rate, err);
	if (rc == 0)
		rc = size_of(t, "max_object", &ret->max_object, err);
	if (rc == 0)
		rc = count_of(t, "max_profiles", 1000000000, &ret->max_profiles, err);
	if (rc == 0)
		rc = count_of(t, "parallel", 256, &parallel, err);
	if (rc == 0)
		rc = count_of(t, "tries", 100, &tries, err);
	ret->parallel = (unsigned)parallel;
	ret->tries = (unsigned)tries;
	ret->netrc = cfg_getbool(t, "netrc") == cfg_true;
	return rc;
}

/* Of the gates those that are set, in the order of the rules. */
static int read_gates(cfg_t *sec, struct pgo_target *ret, struct pgo_err *err)
{
	struct pgo_gate_limits limits = {0};
	size_t room = 0;
	int rc = 0;

	for (const struct pgo_gate_rule *g = pgo_gate_rules; g->name != NULL && rc == 0; g++) {
		const char *words = sec != NULL ? cfg_getstr(sec, g->name) : NULL;
		char **to;

		if (words == NULL)
			continue;
		to = PGO_VEC_PUSH(ret->gates, ret->n_gates, room);
		if (to == NULL || (*to = pgo_asprintf("%s=%s", g->name, words)) == NULL)
			rc = pgo_err_nomem(err);
		else
			rc = pgo_gate_limits_parse(&limits, *to, "pgo.conf", err);
	}
	pgo_gate_limits_fini(&limits);
	return rc < 0 ? pgo_err_prefix(err, "gates") : 0;
}

static int read_keeping(cfg_t *t, struct pgo_target *ret, struct pgo_err *err)
{
	int rc = duration_of(t, "last_good_ttl", &ret->last_good_ttl_ns, err);

	if (rc == 0)
		rc = duration_of(t, "publish_interval", &ret->publish_interval_ns, err);
	if (rc == 0)
		rc = duration_of(t, "keep_for", &ret->keep_ns, err);
	if (rc == 0)
		rc = duration_of(t, "quarantine_for", &ret->quarantine_ns, err);
	if (rc == 0)
		rc = count_of(t, "keep", 1000000, &ret->keep, err);
	if (rc == 0)
		rc = size_of(t, "cache_size", &ret->cache_size, err);
	if (rc == 0)
		rc = read_gates(cfg_getsec(t, "gates"), ret, err);
	ret->hysteresis = cfg_getfloat(t, "hysteresis");
	if (rc == 0 && (ret->hysteresis < 0 || ret->hysteresis > 1))
		rc = pgo_err_set(err, PGO_EUSAGE,
			"hysteresis is %g; it is a share of 0 (off) to 1, such as 0.99",
			ret->hysteresis);
	if (rc == 0 && !pgo_require_is_known(ret->require))
		rc = pgo_err_set(err, PGO_EUSAGE, "require is \"%s\"; it may be fresh, any or none",
			ret->require);
	return rc;
}

bool pgo_require_is_known(const char *word)
{
	return word[0] == '\0' || strcmp(word, "fresh") == 0 || strcmp(word, "any") == 0 ||
	       strcmp(word, "none") == 0;
}

static int check_target(const struct pgo_target *t, struct pgo_err *err)
{
	size_t outputs = 0;

	if (t->name[0] == '\0' || t->name[0] == '.' || strchr(t->name, '/') != NULL)
		return pgo_err_set(err, PGO_EUSAGE,
			"target '%s': the name becomes a directory; use letters, digits, '-', '_' "
			"and '.'",
			t->name);
	if (t->n_sources == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"target '%s' has no sources; say where its profiles are: sources = "
			"{\"DIR-OR-URL\"}",
			t->name);
	if (t->binary[0] == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"target '%s' has no binary; name the program that was profiled: binary = "
			"\"PATH\"",
			t->name);
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++)
		outputs += t->output[i][0] != '\0';
	if (outputs == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"target '%s' asks for no output; set at least one of gcc, clang and bolt "
			"(pgo.conf(5) lists the others) to a path",
			t->name);
	if (t->host_cap < 0 || t->blend < 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"target '%s': host_cap and blend cannot be below 0; 0 switches them off",
			t->name);
	return 0;
}

static int read_target(cfg_t *t, const char *dir, struct pgo_target *ret, struct pgo_err *err)
{
	const char *title = cfg_title(t);
	int rc;

	ret->name = pgo_strdup(title != NULL ? title : "");
	if (ret->name == NULL || list_of(t, "sources", dir, &ret->sources, &ret->n_sources) < 0 ||
		list_of(t, "select", NULL, &ret->selects, &ret->n_selects) < 0 ||
		list_of(t, "class_of", NULL, &ret->class_of, &ret->n_class_of) < 0 ||
		list_of(t, "sampling_probability", NULL, &ret->sampling_probability,
			&ret->n_sampling_probability) < 0)
		return pgo_err_nomem(err);
	rc = copy_strings(t, dir, ret, err);
	if (rc == 0)
		rc = duration_of(t, "half_life", &ret->half_life_ns, err);
	if (rc == 0)
		rc = duration_of(t, "window", &ret->window_ns, err);
	if (rc == 0)
		rc = read_fetch(t, dir, ret, err);
	if (rc == 0)
		rc = read_keeping(t, ret, err);
	if (rc < 0)
		return pgo_err_prefix(err, "target '%s'", ret->name);
	ret->host_cap = cfg_getfloat(t, "host_cap");
	ret->blend = cfg_getfloat(t, "blend");
	ret->season = cfg_getbool(t, "season");
	ret->report = cfg_getbool(t, "report");
	ret->builds = cfg_getbool(t, "weigh_builds");
	ret->outliers = cfg_getbool(t, "drop_outliers");
	ret->allow_outliers = cfg_getbool(t, "allow_outliers");
	ret->min_samples = (uint64_t)cfg_getint(t, "min_samples");
	ret->gcc_release = (unsigned)cfg_getint(t, "gcc_release");
	ret->bolt_release = (unsigned)cfg_getint(t, "bolt_release");
	ret->propeller_version = (unsigned)cfg_getint(t, "propeller_version");
	return check_target(ret, err);
}

static int read_all(cfg_t *cfg, struct pgo_conf *c, struct pgo_err *err)
{
	size_t n = cfg_size(cfg, "target");
	const char *dir = c->dir = directory_of(c->path);
	int rc = 0;

	if (dir == NULL)
		return pgo_err_nomem(err);
	c->state = rebase(dir, cfg_getstr(cfg, "state"));
	c->metrics = rebase(dir, cfg_getstr(cfg, "metrics"));
	c->events = strcmp(cfg_getstr(cfg, "events"), "-") == 0
			    ? pgo_strdup("-")
			    : rebase(dir, cfg_getstr(cfg, "events"));
	c->targets = pgo_calloc(n, sizeof *c->targets);
	if (c->state == NULL || c->metrics == NULL || c->events == NULL || c->targets == NULL)
		rc = pgo_err_nomem(err);
	else if (n == 0)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"there is no target section; add one: target \"NAME\" { ... }");
	/* Counted before it is read, so that a target read half is freed. */
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_target(cfg_getnsec(cfg, "target", (unsigned)i), dir,
			&c->targets[c->n_targets++], err);
	return rc;
}

const char *pgo_conf_relative(const struct pgo_conf *c, const char *path)
{
	size_t len = strlen(c->dir);

	return strncmp(path, c->dir, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

/* One option a gate that there is. */
static void make_gate_options(cfg_opt_t *ret, size_t room)
{
	const cfg_opt_t end = CFG_END();
	size_t n = 0;

	for (const struct pgo_gate_rule *g = pgo_gate_rules; g->name != NULL && n + 1 < room; g++) {
		const cfg_opt_t one = CFG_STR(g->name, NULL, CFGF_NONE);

		ret[n++] = one;
	}
	ret[n] = end;
}

int pgo_conf_load(const char *path, struct pgo_conf *ret, struct pgo_err *err)
{
	/* The library wants a default that it could write to. */
	char no_items[] = "{}";
	cfg_opt_t gate_opts[MAX_GATES];
	cfg_opt_t target_opts[] = {
		CFG_STR_LIST("sources", no_items, CFGF_NONE),
		CFG_STR_LIST("select", no_items, CFGF_NONE),
		CFG_STR_LIST("older_builds", no_items, CFGF_NONE),
		CFG_STR_LIST("types", no_items, CFGF_NONE),
		CFG_STR_LIST("labels", no_items, CFGF_NONE),
		CFG_STR("by_host", "", CFGF_NONE),
		CFG_INT("max_profiles", 0, CFGF_NONE),
		CFG_STR("max_object", "", CFGF_NONE),
		CFG_INT("parallel", 0, CFGF_NONE),
		CFG_STR("rate", "", CFGF_NONE),
		CFG_INT("tries", 0, CFGF_NONE),
		CFG_BOOL("netrc", cfg_false, CFGF_NONE),
		CFG_STR("cacert", "", CFGF_NONE),
		CFG_STR("since", "21d", CFGF_NONE),
		CFG_STR("until", "now", CFGF_NONE),
		CFG_STR("binary", "", CFGF_NONE),
		CFG_STR("debug", "", CFGF_NONE),
		CFG_STR("half_life", "7d", CFGF_NONE),
		CFG_STR("window", "21d", CFGF_NONE),
		CFG_FLOAT("host_cap", 3.0, CFGF_NONE),
		CFG_STR("mode", "fleet-cost", CFGF_NONE),
		CFG_BOOL("season", cfg_false, CFGF_NONE),
		CFG_BOOL("report", cfg_false, CFGF_NONE),
		CFG_BOOL("weigh_builds", cfg_true, CFGF_NONE),
		CFG_STR("class_mix", "", CFGF_NONE),
		CFG_STR("class_label", "class", CFGF_NONE),
		CFG_STR_LIST("class_of", no_items, CFGF_NONE),
		CFG_STR_LIST("sampling_probability", no_items, CFGF_NONE),
		CFG_FLOAT("blend", 0.0, CFGF_NONE),
		CFG_BOOL("drop_outliers", cfg_true, CFGF_NONE),
		CFG_BOOL("allow_outliers", cfg_false, CFGF_NONE),
		CFG_INT("min_samples", PGO_PLAN_MIN_SAMPLES, CFGF_NONE),
		CFG_STR("gcc", "", CFGF_NONE),
		CFG_INT("gcc_release", 0, CFGF_NONE),
		CFG_STR("clang", "", CFGF_NONE),
		CFG_STR("clang_format", "extbinary", CFGF_NONE),
		CFG_STR("bolt", "", CFGF_NONE),
		CFG_STR("bolt_preagg", "", CFGF_NONE),
		CFG_INT("bolt_release", 0, CFGF_NONE),
		CFG_STR("propeller", "", CFGF_NONE),
		CFG_STR("propeller_order", "", CFGF_NONE),
		CFG_INT("propeller_version", 0, CFGF_NONE),
		CFG_STR("symbol_order", "", CFGF_NONE),
		CFG_STR("order_format", "lld", CFGF_NONE),
		CFG_STR("call_graph", "", CFGF_NONE),
		CFG_STR("go", "", CFGF_NONE),
		CFG_STR("go_preprofile", "", CFGF_NONE),
		CFG_SEC("gates", gate_opts, CFGF_NONE),
		CFG_STR("require", "", CFGF_NONE),
		CFG_STR("last_good_ttl", "42d", CFGF_NONE),
		CFG_STR("publish_interval", "0", CFGF_NONE),
		CFG_FLOAT("hysteresis", 0.99, CFGF_NONE),
		CFG_INT("keep", 10, CFGF_NONE),
		CFG_STR("cache_size", "4G", CFGF_NONE),
		CFG_STR("keep_for", "90d", CFGF_NONE),
		CFG_STR("quarantine_for", "28d", CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t opts[] = {
		CFG_STR("state", "pgo-state", CFGF_NONE),
		CFG_STR("metrics", "", CFGF_NONE),
		CFG_STR("events", "", CFGF_NONE),
		CFG_SEC("target", target_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	struct pgo_conf c = {0};
	cfg_t *cfg;
	int rc = 0;

	make_gate_options(gate_opts, MAX_GATES);
	cfg = cfg_init(opts, CFGF_NONE);
	if (cfg == NULL || (c.path = pgo_strdup(path)) == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	last_message[0] = '\0';
	cfg_set_error_function(cfg, remember);
	switch (cfg_parse(cfg, path)) {
	case CFG_SUCCESS:
		rc = read_all(cfg, &c, err);
		if (rc < 0)
			pgo_err_prefix(err, "%s", path);
		break;
	case CFG_FILE_ERROR:
		rc = pgo_err_errno(err, PGO_EUSAGE, "cannot read the configuration %s", path);
		break;
	default:
		rc = pgo_err_set(err, PGO_EUSAGE, "%s",
			last_message[0] != '\0' ? last_message
						: "the configuration cannot be parsed");
		break;
	}
out:
	if (cfg != NULL)
		cfg_free(cfg);
	if (rc < 0)
		pgo_conf_fini(&c);
	else
		*ret = c;
	return rc;
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; list != NULL && i < n; i++)
		pgo_free(list[i]);
	pgo_free(list);
}

static void free_target(struct pgo_target *t)
{
	free_list(t->sources, t->n_sources);
	free_list(t->selects, t->n_selects);
	free_list(t->older_builds, t->n_older_builds);
	free_list(t->types, t->n_types);
	free_list(t->labels, t->n_labels);
	pgo_free(t->by_host);
	pgo_free(t->ca_file);
	free_list(t->class_of, t->n_class_of);
	free_list(t->sampling_probability, t->n_sampling_probability);
	free_list(t->gates, t->n_gates);
	pgo_free(t->require);
	pgo_free(t->mode);
	pgo_free(t->class_mix);
	pgo_free(t->class_label);
	pgo_free(t->name);
	pgo_free(t->since);
	pgo_free(t->until);
	pgo_free(t->binary);
	pgo_free(t->debug);
	for (size_t i = 0; i < PGO_N_OUTPUT_KINDS; i++)
		pgo_free(t->output[i]);
	pgo_free(t->clang_format);
	pgo_free(t->order_format);
}

void pgo_conf_fini(struct pgo_conf *c)
{
	for (size_t i = 0; i < c->n_targets; i++)
		free_target(&c->targets[i]);
	pgo_free(c->targets);
	pgo_free(c->path);
	pgo_free(c->dir);
	pgo_free(c->state);
	pgo_free(c->metrics);
	pgo_free(c->events);
	memset(c, 0, sizeof *c);
}
