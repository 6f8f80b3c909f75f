/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of programs that make a profile when they are asked: who they are, and which labels the list
 * has for them.
 *
 * Text		one a line: HOST, HOST:PORT or a whole URL, then KEY=VALUE labels; # begins a comment
 * Prometheus	what its file_sd and http_sd read: [{"targets": ["HOST:PORT"], "labels": {...}}];
 *		__scheme__ and __param_seconds are heeded, other labels that begin with __ left out
 * Kubernetes	Endpoints or EndpointSlice objects or lists of them, as the API server and
 *		kubectl get ... -o json give them; those that are ready.  Labels: namespace, service,
 *		pod, node.
 *
 * What a list does not say of a target (scheme, port, path) is the rule's.
 */
#ifndef PGO_FETCH_TARGETS_H
#define PGO_FETCH_TARGETS_H

#include "pgo/core/err.h"
#include "pgo/core/json.h"
#include "pgo/core/manifest.h"

#include <stddef.h>

struct pgo_target_rule {
	const char *scheme; /* "http", "https" */
	const char *port;   /* a number, or a name in lists that know names; NULL = none given */
	const char *path;   /* "/debug/pprof/profile?seconds=30" */
};

struct pgo_target {
	char *url;
	char *name;            /* the URL without secrets; tells targets apart */
	struct pgo_kv *labels; /* sorted by nothing; "host" and "instance" among them */
	size_t n_labels, labels_room;
};

struct pgo_targets {
	struct pgo_target *of;
	size_t n, room;
};

/* Adds HOST, HOST:PORT, [V6]:PORT, a bare v6 address or a URL; copies everything.  A label "host" is
 * made of it where the labels do not name a host or node. */
int pgo_targets_add(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *address,
	const struct pgo_kv *labels, size_t n_labels, struct pgo_err *err) PGO_MUST_CHECK;
/* Adds those of a list of any of the three kinds, told apart by content; `name` begins messages. */
int pgo_targets_parse(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *name,
	const char *text, size_t len, struct pgo_err *err) PGO_MUST_CHECK;
/* By name, each once. */
void pgo_targets_sort(struct pgo_targets *t);
void pgo_targets_fini(struct pgo_targets *t);

/* targets_kube.c: a parsed object or list. */
int pgo_targets_kube(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *name,
	const struct pgo_jval *doc, struct pgo_err *err) PGO_MUST_CHECK;

#endif
