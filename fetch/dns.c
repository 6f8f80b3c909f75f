/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/dns.h"

#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NAME_SIZE 256
#define ANSWER_SIZE ((size_t)64 << 10)
#define HEADER_BYTES 12
#define JUMPS_MAX 64

/* ---------------------------------------------------------------- messages */

struct message {
	const uint8_t *data;
	size_t len, at;
};

static bool take(struct message *m, size_t n, uint32_t *ret)
{
	uint32_t v = 0;

	if (m->len - m->at < n)
		return false;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | m->data[m->at + i];
	m->at += n;
	*ret = v;
	return true;
}

/* Where a part of a name says "go on there", or m->at; false: not a place before this one. */
static bool jump(const struct message *m, size_t *at, unsigned *jumps)
{
	if (*at + 1 >= m->len || ++*jumps > JUMPS_MAX)
		return false;
	*at = (size_t)(m->data[*at] & 0x3f) << 8 | m->data[*at + 1];
	return *at < m->len;
}

/* A name, as text without the last dot; bytes that no host name has are refused. */
static bool take_name(struct message *m, char to[NAME_SIZE])
{
	size_t at = m->at, n = 0, end = 0;
	unsigned jumps = 0;

	for (;;) {
		size_t len;

		if (at >= m->len)
			return false;
		len = m->data[at];
		if (len >= 0xc0) {
			if (end == 0)
				end = at + 2;
			if (!jump(m, &at, &jumps))
				return false;
			continue;
		}
		at++;
		if (len == 0)
			break;
		if (len > 63 || len > m->len - at || n + len + 2 > NAME_SIZE)
			return false;
		if (n > 0)
			to[n++] = '.';
		for (size_t i = 0; i < len; i++) {
			uint8_t c = m->data[at + i];

			if (c <= ' ' || c >= 127 || strchr("/?#@:[]\\\"<>", c) != NULL)
				return false;
			to[n++] = (char)c;
		}
		at += len;
	}
	to[n] = '\0';
	m->at = end != 0 ? end : at;
	return true;
}

struct answers {
	int type;
	pgo_dns_each *each;
	void *ctx;
};

static int bad(struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT, "the name server's answer is damaged");
}

static int take_data(const struct answers *a, struct message *m, size_t len, struct pgo_err *err)
{
	char text[NAME_SIZE];
	uint32_t unused, port;

	if (a->type == PGO_DNS_SRV) {
		if (!take(m, 4, &unused) || !take(m, 2, &port) || !take_name(m, text))
			return bad(err);
		/* "." says that the service is not there. */
		return text[0] == '\0' ? 0 : a->each(a->ctx, text, (uint16_t)port, err);
	}
	if (len != (a->type == PGO_DNS_A ? 4 : 16))
		return bad(err);
	inet_ntop(a->type == PGO_DNS_A ? AF_INET : AF_INET6, m->data + m->at, text, sizeof text);
	return a->each(a->ctx, text, 0, err);
}

static int take_record(const struct answers *a, struct message *m, struct pgo_err *err)
{
	char name[NAME_SIZE];
	uint32_t type, class, unused, len;
	size_t end;
	int rc = 0;

	if (!take_name(m, name) || !take(m, 2, &type) || !take(m, 2, &class) ||
		!take(m, 4, &unused) || !take(m, 2, &len) || len > m->len - m->at)
		return bad(err);
	end = m->at + len;
	if ((int)type == a->type && class == 1)
		rc = take_data(a, m, len, err);
	m->at = end;
	return rc;
}

int pgo_dns_parse(const void *message, size_t len, int type, pgo_dns_each *each, void *ctx,
	struct pgo_err *err)
{
	const struct answers a = {type, each, ctx};
	struct message m = {.data = message, .len = len, .at = 2};
	uint32_t flags, n_questions, n_answers, unused;
	char name[NAME_SIZE];
	int rc = 0;

	if (len < HEADER_BYTES || !take(&m, 2, &flags) || !take(&m, 2, &n_questions) ||
		!take(&m, 2, &n_answers) || !take(&m, 4, &unused))
		return bad(err);
	if ((flags & 15) == 3)
		return pgo_err_set(err, PGO_ENOTFOUND, "there is no such name");
	if ((flags & 15) != 0 || (flags & 0x8000) == 0)
		return pgo_err_set(err, PGO_ENET, "the name server refuses (code %u)", flags & 15);
	for (uint32_t i = 0; i < n_questions; i++)
		if (!take_name(&m, name) || !take(&m, 4, &unused))
			return bad(err);
	for (uint32_t i = 0; i < n_answers && rc == 0; i++)
		rc = take_record(&a, &m, err);
	return rc;
}

/* ---------------------------------------------------------------- asking */

static int set_server(struct __res_state *state, const char *server, struct pgo_err *err)
{
	struct sockaddr_in *to = &state->nsaddr_list[0];
	const char *colon = strchr(server, ':');
	char *address =
		pgo_strndup(server, colon != NULL ? (size_t)(colon - server) : strlen(server));
	uint64_t port = 53;
	bool good;

	if (address == NULL)
		return pgo_err_nomem(err);
	memset(to, 0, sizeof *to);
	good = inet_pton(AF_INET, address, &to->sin_addr) == 1 &&
	       (colon == NULL || (pgo_parse_u64(colon + 1, &port, NULL) == 0 && port < 65536));
	pgo_free(address);
	if (!good)
		return pgo_err_set(err, PGO_EUSAGE,
			"'%s' is no name server: it should look like 127.0.0.1:8600", server);
	to->sin_family = AF_INET;
	to->sin_port = htons((uint16_t)port);
	state->nscount = 1;
	return 0;
}

int pgo_dns_ask(const char *name, int type, const char *server, pgo_dns_each *each, void *ctx,
	struct pgo_err *err)
{
	struct __res_state state = {0};
	uint8_t *answer = pgo_malloc(ANSWER_SIZE);
	int n, rc = 0;

	if (answer == NULL)
		return pgo_err_nomem(err);
	if (res_ninit(&state) != 0)
		rc = pgo_err_set(err, PGO_EIO, "the resolver library cannot be used");
	else if (server != NULL)
		rc = set_server(&state, server, err);
	if (rc == 0) {
		state.retrans = 3;
		n = res_nquery(&state, name, 1, type, answer, (int)ANSWER_SIZE);
		/* No data is no error here; the header of the answer is not given back then. */
		if (n < 0 && state.res_h_errno != NO_DATA)
			rc = pgo_err_set(err,
				state.res_h_errno == HOST_NOT_FOUND ? PGO_ENOTFOUND : PGO_ENET,
				state.res_h_errno == HOST_NOT_FOUND
					? "there is no such name"
					: "no name server answers as it should");
		else if (n > 0)
			rc = pgo_dns_parse(answer,
				(size_t)n < ANSWER_SIZE ? (size_t)n : ANSWER_SIZE, type, each, ctx,
				err);
	}
	res_nclose(&state);
	pgo_free(answer);
	return rc < 0 ? pgo_err_prefix(err, "%s", name) : rc;
}

int pgo_dns_addresses(const char *host, pgo_dns_each *each, void *ctx, struct pgo_err *err)
{
	const struct addrinfo want = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *all = NULL;
	int rc = getaddrinfo(host, NULL, &want, &all);

	if (rc != 0)
		return pgo_err_set(err, rc == EAI_NONAME ? PGO_ENOTFOUND : PGO_ENET, "%s: %s", host,
			gai_strerror(rc));
	for (const struct addrinfo *a = all; a != NULL && rc == 0; a = a->ai_next) {
		char text[NAME_SIZE];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0,
			    NI_NUMERICHOST) == 0)
			rc = each(ctx, text, 0, err);
	}
	freeaddrinfo(all);
	return rc;
}
