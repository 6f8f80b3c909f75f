/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a list of targets, and as an answer of a name server: an error with a sentence, or
 * targets that can be asked. */
#include "fetch/dns.h"
#include "fetch/targets.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static int each(void *ctx, const char *host, uint16_t port, struct pgo_err *err)
{
	(void)port;
	(void)err;
	demand(host[0] != '\0' && strlen(host) < 256 && strpbrk(host, "/@ \r\n") == NULL);
	return ++*(unsigned *)ctx > 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int types[] = {PGO_DNS_A, PGO_DNS_AAAA, PGO_DNS_SRV};
	const struct pgo_target_rule rule = {
		"http", size % 2 != 0 ? "pprof" : "6060", "/p?seconds=3"};
	struct pgo_targets t = {0};
	struct pgo_err err = PGO_ERR_INIT;
	char *copy = malloc(size + 1); /* without a NUL behind it, for the sanitizer */
	int rc;

	demand(copy != NULL);
	memcpy(copy, data, size);
	rc = pgo_targets_parse(&t, &rule, "list", copy, size, &err);
	demand(rc <= 0 && (rc == 0 || ((int)err.code == rc && err.msg[0] != '\0')));
	pgo_targets_sort(&t);
	for (size_t i = 0; i < t.n; i++) {
		demand(strncmp(t.of[i].url, "http", 4) == 0 &&
			strpbrk(t.of[i].url, " \r\n") == NULL);
		demand(i == 0 || strcmp(t.of[i - 1].name, t.of[i].name) < 0);
	}
	pgo_targets_fini(&t);
	for (int i = 0; i < 3; i++) {
		unsigned n = 0;

		pgo_err_clear(&err);
		rc = pgo_dns_parse(copy, size, types[i], each, &n, &err);
		demand(rc >= 0 || (int)err.code == rc);
	}
	free(copy);
	return 0;
}
