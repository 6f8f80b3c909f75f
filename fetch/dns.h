/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of DNS -> addresses, and services -> hosts and ports (SRV, RFC 2782): asked through the
 * system's resolver library, or at one server by its address (that of a service registry, say).
 * Answers are taken apart here (RFC 1035); nothing in them is trusted.
 */
#ifndef PGO_FETCH_DNS_H
#define PGO_FETCH_DNS_H

#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

enum { PGO_DNS_A = 1, PGO_DNS_AAAA = 28, PGO_DNS_SRV = 33 };

/* A host by address or by name; port 0 = not said. */
typedef int pgo_dns_each(void *ctx, const char *host, uint16_t port, struct pgo_err *err);

/* Calls `each` for every answer of that type in a message; a non-zero result ends it and is returned.
 * What is no message is PGO_EFORMAT, a name that does not exist PGO_ENOTFOUND. */
int pgo_dns_parse(const void *message, size_t len, int type, pgo_dns_each *each, void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Asks for `name` and calls `each` for the answers.  `server`: "ADDRESS" or "ADDRESS:PORT" (v4), or
 * NULL for the system's.  None of that type is no error. */
int pgo_dns_ask(const char *name, int type, const char *server, pgo_dns_each *each, void *ctx,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Addresses of a host the way every program finds them: /etc/hosts, DNS, ... */
int pgo_dns_addresses(
	const char *host, pgo_dns_each *each, void *ctx, struct pgo_err *err) PGO_MUST_CHECK;

#endif
