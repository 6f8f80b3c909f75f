/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of pipeline.h only. */
#ifndef PGO_PIPELINE_IMPL_H
#define PGO_PIPELINE_IMPL_H

#include "convert/output.h"
#include "fetch/fetch.h"
#include "pgo/cmd.h"
#include "pgo/core/file.h"
#include "pgo/core/manifest.h"
#include "pgo/merge_inputs.h"
#include "pgo/pipeline.h"
#include "pgo/weights.h"
#include "verify/gates.h"

/* One target on its way through the stages. */
struct pgo_pipeline {
	const struct pgo_conf *conf;
	const struct pgo_target *target;
	const struct pgo_run_options *options;
	int64_t now_ns, since_ns, until_ns;

	struct pgo_state state;
	struct pgo_state_events log;
	struct pgo_state_standing standing; /* before the run */

	struct pgo_fetch_stats fetch;
	struct pgo_manifest records;
	char binary_id[129];
	char settings[65];    /* digest of program, tool and options */
	char fingerprint[65]; /* ... and of gates and inputs */

	struct pgo_weights weights;
	struct pgo_merged merged;
	struct pgo_buf merged_data; /* as it is on disk */
	char merged_digest[65];
	struct pgo_outputs outputs;
	struct pgo_paths files; /* what the outputs are called in a result */
	struct pgo_convert *convert;
	bool is_merged, is_converted;
	struct pgo_gates gates;
	char id[PGO_STATE_ID_SIZE]; /* of the candidate; "" = none yet */

	struct pgo_buf text;
	struct pgo_run_report *report;
};

/* ---- pipeline_inputs.c */

int pgo_pipeline_fetch(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_pipeline_fingerprint(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Does this profile belong to the present window?  The raw directory keeps older ones. */
bool pgo_pipeline_in_window(const struct pgo_pipeline *p, const struct pgo_record *rec);

/* ---- pipeline_build.c: merge, convert, gates */

int pgo_pipeline_merge(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_pipeline_convert(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_pipeline_judge(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
/* A row for a gate that a stage found to have failed. */
int pgo_pipeline_failed_gate(struct pgo_pipeline *p, const char *name, double value,
	const char *why, struct pgo_err *err) PGO_MUST_CHECK;

/* ---- pipeline_outputs.c: pgo.conf's places */

/* Lists the outputs that pgo.conf asks for. */
int pgo_pipeline_list_outputs(const struct pgo_conf *c, const struct pgo_target *t,
	struct pgo_outputs *ret, struct pgo_err *err) PGO_MUST_CHECK;

/* ---- pipeline_publish.c: the candidate */

/* What the outputs are called in a result. */
int pgo_pipeline_name_files(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Names the candidate by its content; an id that this content had before is kept. */
int pgo_pipeline_name(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
/* Writes all of it and gives it its place. */
int pgo_pipeline_adopt(struct pgo_pipeline *p, const char *why, struct pgo_err *err) PGO_MUST_CHECK;

/* ---- pipeline_decide.c */

/* 1: it was decided before, and is settled; 0: go on. */
int pgo_pipeline_recall(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
/* About the finished candidate, by its gates. */
int pgo_pipeline_decide(struct pgo_pipeline *p, struct pgo_err *err) PGO_MUST_CHECK;
/* A candidate that must not be used; `why` is a sentence. */
int pgo_pipeline_refuse(
	struct pgo_pipeline *p, const char *why, struct pgo_err *err) PGO_MUST_CHECK;
/* There is no profile. */
int pgo_pipeline_without(
	struct pgo_pipeline *p, const char *why, struct pgo_err *err) PGO_MUST_CHECK;
/* The run failed with `err`: adds to the sentence what stays in use, and tells the log. */
void pgo_pipeline_fail(struct pgo_pipeline *p, struct pgo_err *err);

#endif
