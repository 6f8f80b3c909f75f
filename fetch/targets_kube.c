/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets of Kubernetes: Endpoints (v1), EndpointSlice (discovery.k8s.io/v1), and lists of them,
 * whose items need not name their kind.
 *
 * Which port: the rule's, by name or number (any number, since ports of profiles are often not part
 * of the service); else the only one; else the one called pprof or http-pprof.
 */
#include "fetch/targets.h"

#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct place {
	const char *namespace, *service;
	char port[24];
};

static const char *text_of(const struct pgo_jval *v, const char *key)
{
	return pgo_jval_str(pgo_jval_get(v, key), "");
}

static bool is_number(const char *s)
{
	return *s != '\0' && strspn(s, "0123456789") == strlen(s);
}

static int no_port(const struct pgo_jval *ports, const char *wanted, struct pgo_err *err)
{
	char names[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < pgo_jval_len(ports) && at < sizeof names; i++) {
		const struct pgo_jval *p = pgo_jval_at(ports, i);

		at += (size_t)snprintf(names + at, sizeof names - at, "%s%s (%" PRId64 ")",
			i > 0 ? ", " : "", text_of(p, "name"),
			pgo_jval_i64(pgo_jval_get(p, "port"), 0));
	}
	return pgo_err_set(err, PGO_EUSAGE,
		"%s%s%s; say with port=NAME or port=NUMBER which one to ask; there is %s",
		wanted != NULL ? "there is no port called " : "there is more than one port",
		wanted != NULL ? wanted : "", wanted != NULL ? "" : " (or none)",
		names[0] != '\0' ? names : "none");
}

static int choose_port(const struct pgo_jval *ports, const struct pgo_target_rule *rule,
	char port[24], struct pgo_err *err)
{
	size_t n = pgo_jval_len(ports);
	int64_t found = 0;

	if (rule->port != NULL && is_number(rule->port)) {
		snprintf(port, 24, "%s", rule->port);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct pgo_jval *p = pgo_jval_at(ports, i);
		const char *name = text_of(p, "name");
		bool fits = rule->port != NULL ? strcmp(name, rule->port) == 0
					       : n == 1 || strcmp(name, "pprof") == 0 ||
							 strcmp(name, "http-pprof") == 0;

		if (fits && found == 0)
			found = pgo_jval_i64(pgo_jval_get(p, "port"), 0);
	}
	if (found <= 0 || found > 65535)
		return no_port(ports, rule->port, err);
	snprintf(port, 24, "%" PRId64, found);
	return 0;
}

/* `who` has nodeName and targetRef. */
static int add(struct pgo_targets *t, const struct pgo_target_rule *rule, const struct place *at,
	const char *ip, const struct pgo_jval *who, struct pgo_err *err)
{
	const struct pgo_jval *ref = pgo_jval_get(who, "targetRef");
	bool pod = strcmp(text_of(ref, "kind"), "Pod") == 0;
	/* Borrowed for the call; nothing is written through these. */
	const struct {
		const char *key, *value;
	} said[] = {
		{"namespace", at->namespace},
		{"service", at->service},
		{"pod", pod ? text_of(ref, "name") : ""},
		{"node", text_of(who, "nodeName")},
	};
	struct pgo_kv labels[4];
	size_t n = 0;
	char *address = pgo_asprintf(strchr(ip, ':') != NULL ? "[%s]:%s" : "%s:%s", ip, at->port);
	int rc;

	if (address == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < 4; i++)
		if (said[i].value[0] != '\0')
			labels[n++] = (struct pgo_kv){
				(char *)(uintptr_t)said[i].key, (char *)(uintptr_t)said[i].value};
	rc = pgo_targets_add(t, rule, address, labels, n, err);
	pgo_free(address);
	return rc;
}

static int add_endpoints(struct pgo_targets *t, const struct pgo_target_rule *rule,
	struct place *at, const struct pgo_jval *object, struct pgo_err *err)
{
	const struct pgo_jval *subsets = pgo_jval_get(object, "subsets");
	int rc = 0;

	for (size_t i = 0; i < pgo_jval_len(subsets) && rc == 0; i++) {
		const struct pgo_jval *s = pgo_jval_at(subsets, i);
		const struct pgo_jval *addresses = pgo_jval_get(s, "addresses");

		if (pgo_jval_len(addresses) != 0)
			rc = choose_port(pgo_jval_get(s, "ports"), rule, at->port, err);
		for (size_t k = 0; k < pgo_jval_len(addresses) && rc == 0; k++) {
			const struct pgo_jval *a = pgo_jval_at(addresses, k);

			rc = add(t, rule, at, text_of(a, "ip"), a, err);
		}
	}
	return rc;
}

static int add_slice(struct pgo_targets *t, const struct pgo_target_rule *rule, struct place *at,
	const struct pgo_jval *object, struct pgo_err *err)
{
	const struct pgo_jval *endpoints = pgo_jval_get(object, "endpoints");
	int rc = 0;

	if (pgo_jval_len(endpoints) != 0)
		rc = choose_port(pgo_jval_get(object, "ports"), rule, at->port, err);
	for (size_t i = 0; i < pgo_jval_len(endpoints) && rc == 0; i++) {
		const struct pgo_jval *e = pgo_jval_at(endpoints, i);
		const struct pgo_jval *addresses = pgo_jval_get(e, "addresses");

		/* What is not known counts as ready, says the API. */
		if (!pgo_jval_bool(pgo_jval_get(pgo_jval_get(e, "conditions"), "ready"), true))
			continue;
		/* All addresses of an endpoint are the same thing. */
		if (pgo_jval_len(addresses) != 0)
			rc = add(t, rule, at, pgo_jval_str(pgo_jval_at(addresses, 0), ""), e, err);
	}
	return rc;
}

static int add_object(struct pgo_targets *t, const struct pgo_target_rule *rule,
	const struct pgo_jval *object, struct pgo_err *err)
{
	const struct pgo_jval *meta = pgo_jval_get(object, "metadata");
	const char *kind = text_of(object, "kind");
	struct place at = {
		.namespace = text_of(meta, "namespace"), .service = text_of(meta, "name")};

	if (strcmp(kind, "EndpointSlice") == 0 || pgo_jval_get(object, "endpoints") != NULL) {
		const char *of =
			text_of(pgo_jval_get(meta, "labels"), "kubernetes.io/service-name");

		if (of[0] != '\0')
			at.service = of;
		return add_slice(t, rule, &at, object, err);
	}
	if (strcmp(kind, "Endpoints") == 0 || pgo_jval_get(object, "subsets") != NULL)
		return add_endpoints(t, rule, &at, object, err);
	/* In a list of Endpoints one without any address has no subsets, nor a kind. */
	return kind[0] == '\0' ? 0
			       : pgo_err_set(err, PGO_EFORMAT,
					 "an object of kind '%s' lists no targets: Endpoints and "
					 "EndpointSlice do",
					 kind);
}

int pgo_targets_kube(struct pgo_targets *t, const struct pgo_target_rule *rule, const char *name,
	const struct pgo_jval *doc, struct pgo_err *err)
{
	const struct pgo_jval *items = pgo_jval_get(doc, "items");
	int rc = 0;

	if (items == NULL && text_of(doc, "kind")[0] == '\0')
		rc = pgo_err_set(err, PGO_EFORMAT,
			"this is no list of targets: neither text, nor what Prometheus reads, nor "
			"Endpoints or EndpointSlices of Kubernetes");
	else if (items == NULL)
		rc = add_object(t, rule, doc, err);
	for (size_t i = 0; i < pgo_jval_len(items) && rc == 0; i++)
		rc = add_object(t, rule, pgo_jval_at(items, i), err);
	return rc < 0 ? pgo_err_prefix(err, "%s", name) : 0;
}
