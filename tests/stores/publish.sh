#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo publish and pgo get over a bucket of a real server: the same release and exit codes as over a directory; the
# index is put after everything it names; a server that is gone leaves what is there; over plain http as well.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/stores/lib.bash
stores_begin versitygw
store_start versitygw
mkdir -p "$STORE_DIR/data/builds"
export AWS_ENDPOINT_URL=$STORE_URL AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret
export PGO_NOW=2026-11-21T12:00:00Z

cat >"$T/pgo.conf" <<-'C'
	state = "state"
	target "app" {
		sources = {"store"}
		binary = "app"
		gcc = "out/app.afdo"
	}
C
# result ID BYTES
result() {
	local d=$T/state/app/published/$1
	mkdir -p "$d"
	head -c "$2" /dev/zero | tr '\0' "${1: -1}" >"$d/app.afdo"
	printf '{"schema":2,"kind":"manifest","outputs":[{"kind":"gcc","path":"out/app.afdo","file":"app.afdo","sha256":"%s"}]}' \
		"$(sha256sum <"$d/app.afdo" | cut -c1-64)" >"$d/manifest.json"
	echo 2 >"$T/state/app/format"
	ln -sfn "published/$1" "$T/state/app/last-good"
}

expect 20 'nothing is published' "$PGO" get s3://builds/pgo/app -o "$T/here"
result 20261120-0123456789ab 300000
expect 0 '3 objects, 0 there before' "$PGO" publish -c "$T/pgo.conf" app s3://builds/pgo/
same "objects in the bucket" "$(find "$STORE_DIR/data/builds" -type f | wc -l)" 4
same "the last that was put" "$(grep -o 's3_PutObject [^ ]*' "$STORE_DIR/access.log" | tail -n 1)" "s3_PutObject pgo/app/index.json"
expect 10 '3 objects, 3 there before' "$PGO" publish -c "$T/pgo.conf" app s3://builds/pgo/
expect 0 '2 files' "$PGO" get s3://builds/pgo/app -o "$T/here"
cmp -s "$T/here/app.afdo" "$T/state/app/last-good/app.afdo" && ok || no "another profile arrived"
expect 10 '0 files' "$PGO" get s3://builds/pgo/app -o "$T/here"

# A second release under the same place; a directory and a web server see the same.
result 20261121-aaaaaaaaaaaa 500
expect 0 '3 objects' "$PGO" publish -c "$T/pgo.conf" app s3://builds/pgo
expect 0 '2 files, ' "$PGO" get s3://builds/pgo/app -o "$T/here"
expect 0 '2 files, ' "$PGO" get "$STORE_DIR/data/builds/pgo/app" -o "$T/there"
cmp -s "$T/here/release.json" "$T/there/release.json" && ok || no "another release in the directory"
python3 - "$STORE_DIR/data/builds" "$T/port" <<-'PY' &
	import functools, http.server, os, sys
	class Quiet(http.server.SimpleHTTPRequestHandler):
	    def log_message(self, *a): pass
	s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=sys.argv[1]))
	open(sys.argv[2] + ".new", "w").write(str(s.server_port))
	os.rename(sys.argv[2] + ".new", sys.argv[2])
	s.serve_forever()
PY
stores_pids+=($!)
until_true 20 test -s "$T/port" || no "the web server does not start"
expect 0 '2 files, ' "$PGO" get "http://127.0.0.1:$(cat "$T/port")/pgo/app" -o "$T/web"
cmp -s "$T/here/release.json" "$T/web/release.json" && ok || no "another release over http"
expect 2 'can only be read' "$PGO" publish -c "$T/pgo.conf" app "http://127.0.0.1:$(cat "$T/port")/pgo"

# What is refused, and what is gone.
expect 3 'does not accept the signature' env AWS_SECRET_ACCESS_KEY=wrong "$PGO" get s3://builds/pgo/app -o "$T/none"
expect 10 'is kept' env AWS_SECRET_ACCESS_KEY=wrong "$PGO" get s3://builds/pgo/app -o "$T/here"
store_stop "$STORE_PID"
expect 10 'is kept' "$PGO" get s3://builds/pgo/app -o "$T/here" --tries 1
expect 0 'is kept' "$PGO" get s3://builds/pgo/app -o "$T/here" --tries 1 --require fresh
expect 3 '' "$PGO" get s3://builds/pgo/app -o "$T/none" --tries 1
expect 20 'there is no profile in' "$PGO" get s3://builds/pgo/app -o "$T/none" --tries 1 --require any
expect 3 '' "$PGO" publish -c "$T/pgo.conf" app s3://builds/pgo --tries 1
cmp -s "$T/here/app.afdo" "$T/state/app/last-good/app.afdo" && ok || no "what was there did not stay"
stores_end
