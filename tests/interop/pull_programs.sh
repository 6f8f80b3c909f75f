#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Profiles of running programs by a list: a Go program with net/http/pprof, and a C program with gperftools' profiler
# behind brpc's address, which is also asked while somebody else takes a profile.
#
# shellcheck disable=SC2015 # ok and no always succeed
# Exit 0: all as it should be; 77: neither Go nor gperftools are there; 1: not.
set -u
B=${B:-build}
PGO=$PWD/$B/pgo
KEEP=$PWD/$B/go-cache # compiled packages, from one run to the next
T=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$T"' EXIT
good=0 bad=0

ok() { good=$((good + 1)); }
no() {
	bad=$((bad + 1))
	echo "FAILED: $*"
	sed 's/^/    /' "$T/out"
}
# started FILE: the port that a program has written there
started() {
	for _ in {1..300}; do
		[ -s "$1" ] && break
		sleep 0.1
	done
	cat "$1"
}

cat >"$T/go.go" <<'GO'
package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
)

var sink uint64

//go:noinline
func spinning(n uint64) (s uint64) {
	for i := uint64(0); i < n; i++ {
		s = s*31 + i
	}
	return s
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			sink += spinning(1 << 20)
		}
	}()
	os.WriteFile(os.Args[1]+".part", []byte(fmt.Sprintln(l.Addr().(*net.TCPAddr).Port)), 0o666)
	os.Rename(os.Args[1]+".part", os.Args[1])
	http.Serve(l, nil)
}
GO
cat >"$T/brpc.c" <<'C'
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <gperftools/profiler.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int taken;
static const char *file;

__attribute__((noinline)) static unsigned long spinning(unsigned long n)
{
	unsigned long s = 0;

	for (unsigned long i = 0; i < n; i++)
		s = s * 31 + i;
	return s;
}

static void *work(void *arg)
{
	volatile unsigned long sink = 0;

	(void)arg;
	for (;;)
		sink += spinning(1 << 20);
	return NULL;
}

static void say(int fd, const char *status, const void *body, size_t len)
{
	char head[200];
	int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, len);

	if (write(fd, head, n) == n)
		while (len > 0) {
			ssize_t k = write(fd, body, len);

			if (k <= 0)
				return;
			body = (const char *)body + k;
			len -= k;
		}
}

static void *serve(void *arg)
{
	static const char busy[] = "Another profiler is running, please retry later";
	int fd = (int)(long)arg;
	char request[4096] = "", *seconds, *body = malloc(8 << 20);
	FILE *f;

	if (read(fd, request, sizeof request - 1) > 0) {
		seconds = strstr(request, "seconds=");
		if (atomic_exchange(&taken, 1)) {
			say(fd, "503 Service Unavailable", busy, sizeof busy - 1);
		} else {
			ProfilerStart(file);
			ProfilerRegisterThread();
			sleep(seconds != NULL ? atoi(seconds + 8) : 1);
			ProfilerStop();
			f = fopen(file, "r");
			say(fd, "200 OK", body, f != NULL ? fread(body, 1, 8 << 20, f) : 0);
			if (f != NULL)
				fclose(f);
			atomic_store(&taken, 0);
		}
	}
	free(body);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t t;
	char part[4096];
	FILE *f;

	(void)argc;
	file = argv[2];
	if (bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return 1;
	pthread_create(&t, NULL, work, NULL);
	snprintf(part, sizeof part, "%s.part", argv[1]);
	f = fopen(part, "w");
	fprintf(f, "%d\n", ntohs(a.sin_port));
	fclose(f);
	rename(part, argv[1]);
	for (;;) {
		int one = accept(fd, NULL, NULL);

		pthread_create(&t, NULL, serve, (void *)(long)one);
		pthread_detach(t);
	}
}
C

: >"$T/list"
n=0
if command -v go >/dev/null && (cd "$T" && GO111MODULE=off GOFLAGS="" GOTOOLCHAIN=local GOCACHE="${GOCACHE:-$KEEP}" go build -o go.bin go.go) 2>"$T/out"; then
	"$T/go.bin" "$T/go.port" &
	pids+=($!)
	echo "127.0.0.1:$(started "$T/go.port") service=gopher" >>"$T/list"
	n=$((n + 1))
else
	echo "left out: there is no Go that works here"
fi
if gcc -O2 -g -Wl,--build-id -o "$T/brpc" "$T/brpc.c" -Wl,--no-as-needed -lprofiler -pthread 2>"$T/out"; then
	"$T/brpc" "$T/brpc.port" "$T/cpu.prof" 2>/dev/null &
	pids+=($!)
	brpc=http://127.0.0.1:$(started "$T/brpc.port")/pprof/profile
	echo "$brpc?seconds=2 service=rpc" >>"$T/list"
	n=$((n + 1))
else
	echo "left out: gperftools is not installed"
fi
if [ "$n" = 0 ]; then
	echo "neither Go nor gperftools are installed"
	exit 77
fi

# Both at once, and labelled by the list.
if "$PGO" fetch "targets+file:$T/list#path=/debug/pprof/profile?seconds=2,jitter=100ms" -o "$T/raw" >"$T/out" 2>&1 &&
	grep -q "$n fetched" "$T/out"; then ok; else no "the programs cannot be asked"; fi
for what in ${brpc:+rpc:gperftools} ; do
	grep -q "\"kind\":\"${what#*:}\".*\"service\":\"${what%:*}\"" "$T/raw/manifest.jsonl" && ok || no "no ${what#*:} of ${what%:*}"
done
[ ! -e "$T/go.port" ] || { grep -q '"kind":"pprof".*"service":"gopher"' "$T/raw/manifest.jsonl" && ok || no "no pprof of Go"; }
# The hot function is in each of them: by address in one, by name in the other.
for object in "$T"/raw/objects/*/*; do
	if "$PGO" convert "$object" --binary "$T/brpc" --clang "$T/c.prof" --clang-format text >"$T/out" 2>&1 && grep -q '^spinning:' "$T/c.prof"; then
		ok
	elif "$PGO" show "$object" --top 3 >"$T/out" 2>&1 && [ -e "$T/go.bin" ] && go tool pprof -top "$object" 2>/dev/null | grep -q 'main.spinning'; then
		ok
	else
		no "$object does not show what the program did"
	fi
done

# While one profile is taken there is no other: named, and counted, and the rest goes on.
if [ -n "${brpc-}" ]; then
	printf '%s\n' "$brpc?seconds=6" "$brpc?seconds=7" >"$T/two"
	if "$PGO" fetch --tries 1 "targets+file:$T/two" -o "$T/raw2" >"$T/out" 2>&1 && grep -q '1 fetched' "$T/out" &&
		grep -q '1 failed' "$T/out" && grep -q 'somebody else takes a profile' "$T/out"; then ok; else no "a program that is taken"; fi
fi
echo "$good checks passed, $bad failed"
[ "$bad" -eq 0 ]
