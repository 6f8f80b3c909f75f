/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/canned.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 256, MAX_REQUEST = 1 << 20 };

struct connection {
	struct canned *server;
	unsigned number;
	pthread_t thread;
	int fd;
};

struct canned {
	bool (*answer)(void *ctx, const struct canned_request *r);
	void *ctx;
	int fd;
	char url[64];
	pthread_t thread;
	pthread_mutex_t lock;
	struct connection connections[MAX_CONNECTIONS];
	unsigned n_connections, n_requests;
};

/* One request from the socket into `r`; false at the end. */
static bool receive(int fd, struct canned_request *r)
{
	size_t head = 0, want = 0;
	char *end;

	r->text = calloc(1, MAX_REQUEST + 1);
	r->len = 0;
	for (;;) {
		ssize_t n;

		if (head == 0 && (end = strstr(r->text, "\r\n\r\n")) != NULL) {
			char value[32];

			head = (size_t)(end - r->text) + 4;
			canned_header(r, "Content-Length", value, sizeof value);
			want = head + strtoul(value, NULL, 10);
		}
		if (head != 0 && r->len >= want)
			break;
		n = read(fd, r->text + r->len, MAX_REQUEST - r->len);
		if (n <= 0)
			return false;
		r->len += (size_t)n;
	}
	r->body = r->text + head;
	r->body_len = r->len - head;
	return true;
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	struct canned *s = c->server;
	struct canned_request r = {.fd = c->fd, .connection = c->number};
	bool more = true;

	while (more && receive(c->fd, &r)) {
		r.number = __atomic_fetch_add(&s->n_requests, 1, __ATOMIC_SEQ_CST);
		more = s->answer(s->ctx, &r);
		free(r.text);
		r.text = NULL;
	}
	free(r.text);
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct canned *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct connection *c = &s->connections[s->n_connections];

		if (s->n_connections == MAX_CONNECTIONS) {
			close(fd);
			continue;
		}
		*c = (struct connection){.server = s, .number = s->n_connections, .fd = fd};
		if (pthread_create(&c->thread, NULL, serve, c) == 0)
			s->n_connections++;
		else
			close(fd);
	}
	return NULL;
}

struct canned *canned_start(bool (*answer)(void *ctx, const struct canned_request *r), void *ctx)
{
	struct canned *s = calloc(1, sizeof *s);
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof at;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->answer = answer;
	s->ctx = ctx;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, sizeof at) < 0 ||
		listen(s->fd, 64) < 0 || getsockname(s->fd, (struct sockaddr *)&at, &len) < 0 ||
		pthread_create(&s->thread, NULL, accept_all, s) != 0) {
		perror("canned server");
		abort();
	}
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", ntohs(at.sin_port));
	return s;
}

void canned_stop(struct canned *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (unsigned i = 0; i < s->n_connections; i++) {
		shutdown(s->connections[i].fd, SHUT_RDWR);
		pthread_join(s->connections[i].thread, NULL);
		close(s->connections[i].fd);
	}
	free(s);
}

const char *canned_url(const struct canned *s)
{
	return s->url;
}

unsigned canned_requests(const struct canned *s)
{
	return __atomic_load_n(&s->n_requests, __ATOMIC_SEQ_CST);
}

void canned_send(const struct canned_request *r, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(r->fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

bool canned_reply_bytes(const struct canned_request *r, const char *status, const char *headers,
	const void *body, size_t len)
{
	char head[4096];
	int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status,
		headers, len);

	canned_send(r, head, (size_t)n);
	canned_send(r, body, len);
	return true;
}

bool canned_reply(
	const struct canned_request *r, const char *status, const char *headers, const char *body)
{
	return canned_reply_bytes(r, status, headers, body, strlen(body));
}

bool canned_is(const struct canned_request *r, const char *method, const char *path)
{
	size_t m = strlen(method), p = strlen(path);

	return strncmp(r->text, method, m) == 0 && r->text[m] == ' ' &&
	       strncmp(r->text + m + 1, path, p) == 0 && r->text[m + 1 + p] == ' ';
}

void canned_header(const struct canned_request *r, const char *name, char *to, size_t room)
{
	size_t len = strlen(name);

	to[0] = '\0';
	for (const char *p = strstr(r->text, "\r\n"); p != NULL && strncmp(p, "\r\n\r\n", 4) != 0;
		p = strstr(p + 2, "\r\n")) {
		if (strncasecmp(p + 2, name, len) != 0 || p[2 + len] != ':')
			continue;
		p += 3 + len;
		p += strspn(p, " ");
		snprintf(to, room, "%.*s", (int)strcspn(p, "\r\n"), p);
		return;
	}
}
