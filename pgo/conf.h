/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgo.conf -> what the pipeline shall do; the only file that calls the configuration library
 * (libconfuse).
 *
 *	state = "pgo-state"                  # directory of everything that is kept between runs
 *	target "quarry" {                    # one profiled program; several targets are fine
 *		sources = {"store"}          # stores, directories, globs
 *		select = {"service=\"quarry\""}
 *		since = "21d"                # window of profile times
 *		binary = "build/quarry"      # the program that was profiled
 *		half_life = "7d"
 *		host_cap = 3.0
 *		gcc = "out/quarry.afdo"      # outputs: at least one of gcc, clang, bolt
 *		clang = "out/quarry.prof"
 *		bolt = "out/quarry.fdata"
 *		last_good_ttl = "42d"        # what is kept, and for how long (pgo/state.h)
 *		gates { mapped = "99/95" }   # limits of warning and failing (verify/gates.h)
 *	}
 *
 * Paths are relative to the directory of the configuration file, so that a run does not depend on
 * where it was started.  "${NAME}" in double quotes is taken from the environment, which is where
 * secrets belong.
 */
#ifndef PGO_CONF_H
#define PGO_CONF_H

#include "convert/output.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_target {
	char *name;
	char **sources, **selects;
	size_t n_sources, n_selects;
	char *since, *until;  /* as written; "" = open */
	char *binary, *debug; /* debug "" = search */
	char **older_builds;  /* where builds before the binary are; none: not used */
	size_t n_older_builds;
	int64_t half_life_ns, window_ns; /* 0 = off */
	double host_cap;                 /* 0 = off */
	/* Of fetch; 0, NULL and "" are its defaults. */
	char **types, **labels;
	size_t n_types, n_labels;
	char *by_host, *ca_file;
	uint64_t max_profiles, max_object, rate;
	unsigned parallel, tries;
	bool netrc;
	char *mode, *class_mix, *class_label;
	char **class_of, **sampling_probability;
	size_t n_class_of, n_sampling_probability;
	double blend; /* of the last merged profile; 0 = off */
	bool season, builds, outliers, allow_outliers;
	uint64_t min_samples;
	char *output[PGO_N_OUTPUT_KINDS]; /* "" = not wanted */
	unsigned gcc_release;             /* 0 = the gcc on PATH */
	unsigned bolt_release;            /* 0 = the newest */
	unsigned propeller_version;
	char *clang_format, *order_format;
	/* What is published, and what is kept of it. */
	char **gates; /* "mapped=99/95": words of pgo_gate_limits_parse(), which have passed it */
	size_t n_gates;
	char *require;               /* "", "fresh", "any", "none": meaning of exit codes */
	int64_t last_good_ttl_ns;    /* 0 = for ever */
	int64_t publish_interval_ns; /* at most one result in that time; 0 = as they come */
	double hysteresis; /* a result that overlaps so far with the last is not published; 0 = all are */
	uint64_t cache_size;            /* bytes that sums of earlier runs may take; 0 = no limit */
	bool report;                    /* a page after each run: pgo/weekly.h */
	uint64_t keep;                  /* results that stay, however old */
	int64_t keep_ns, quarantine_ns; /* how long results stay, and those in quarantine */
};

struct pgo_conf {
	char *path;             /* of the file */
	char *dir;              /* the file's directory, "." for here */
	char *state;            /* directory */
	char *metrics, *events; /* files, as of --metrics and --events; "" = none */
	struct pgo_target *targets;
	size_t n_targets;
};

/* Messages carry file and line. Fills *ret (pgo_conf_fini). */
int pgo_conf_load(const char *path, struct pgo_conf *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_conf_fini(struct pgo_conf *c);
/* `path` of a target as the file has it, without the directory: the same wherever the run was started. */
const char *pgo_conf_relative(const struct pgo_conf *c, const char *path);

/* Is it a word for `require`: fresh, any, none, or "" for none of them? */
bool pgo_require_is_known(const char *word);

#endif
