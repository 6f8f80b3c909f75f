#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch from programs that make a profile when asked, and from servers that misbehave.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; rm -rf "$T"' EXIT
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
	sed 's/^/      /' "$T/out"
}
# expect CODE TEXT COMMAND...: exit code, and a regular expression in what is said
expect() {
	local code=$1 text=$2
	shift 2
	"$@" >"$T/out" 2>&1 </dev/null
	local got=$?
	[ "$got" = "$code" ] && grep -qE -- "$text" "$T/out" && ok || no "exit code $got, wanted $code and '$text': $*"
}

python3 tests/lib/mkpprof.py "$T/web.pb.gz" <<'END'
type samples/count
time 1790000000
mapping 400000 500000 0 /bin/app aabbcc
main;work 7 host=web-1
END
python3 - "$T" >"$T/port" <<'END' &
import http.server, sys, base64
T = sys.argv[1]
profile = open(T + "/web.pb.gz", "rb").read()
seen = {}
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a):
        open(T + "/log", "a").write(self.command + " " + self.path + " " + (self.headers.get("Authorization") or "-") + "\n")
    def say(self, code, body, *headers):
        self.send_response(code)
        for h in headers:
            self.send_header(*h)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        path = self.path.split("?")[0]
        n = seen[path] = seen.get(path, 0) + 1
        if path == "/busy" and n < 3:
            self.say(503, b"later", ("Retry-After", "0"))
        elif path == "/cut" and n < 2:
            self.send_response(200)
            self.send_header("Content-Length", str(len(profile)))
            self.end_headers()
            self.wfile.write(profile[:20])
            self.close_connection = True
        elif path == "/text":
            self.say(200, b"<html>no profile</html>")
        elif path == "/private":
            want = "Basic " + base64.b64encode(b"me:secret").decode()
            self.say(*((200, profile) if self.headers.get("Authorization") == want else (401, b"who are you?")))
        elif path == "/gone":
            self.say(404, b"nothing here")
        else:
            self.say(200, profile)
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
END
server=$!
for _ in {1..100}; do
	[ -s "$T/port" ] && break
	sleep 0.1
done
url=http://127.0.0.1:$(cat "$T/port")

# stored N: that many objects, each the profile's bytes
stored() {
	local n=0 f
	for f in "$T"/raw/objects/*/*; do
		cmp -s "$f" "$T/web.pb.gz" && n=$((n + 1))
	done
	[ "$n" = "$1" ] && ok || no "$n objects with the profile's bytes, wanted $1"
}

expect 0 '1 fetched' "$PGO" fetch "$url/debug/pprof/profile?seconds=1" -o "$T/raw"
stored 1
grep -q '"source":"http://127.0.0.1:[0-9]*/debug/pprof/profile?seconds=1"' "$T/raw/manifest.jsonl" && ok || no "the manifest does not name the address"
grep -q '"host":"web-1"' "$T/raw/manifest.jsonl" && ok || no "the manifest does not name the host"
expect 0 '1 the same as stored' "$PGO" fetch "$url/debug/pprof/profile?seconds=1" -o "$T/raw"
rm -rf "$T/raw"
expect 0 '2 requests tried again' "$PGO" fetch "$url/busy" -o "$T/raw"
stored 1
rm -rf "$T/raw"
expect 0 '1 requests tried again' "$PGO" fetch "$url/cut" -o "$T/raw"
stored 1
rm -rf "$T/raw"
expect 20 'nothing to store: of 1 objects 1 are no profiles' "$PGO" fetch "$url/text" -o "$T/raw"
expect 20 'answers 404 \(nothing here\)' "$PGO" fetch "$url/gone" -o "$T/raw"
expect 20 'answers 401 \(who are you\?\); give credentials' "$PGO" fetch "$url/private?token=SECRET" -o "$T/raw"
grep -q SECRET "$T/out" && no "a secret is shown" || ok
expect 20 'larger than the limit of 10 bytes' "$PGO" fetch "$url/p" -o "$T/raw" --max-object 10
[ -e "$T/raw/.tmp" ] && [ -n "$(ls -A "$T/raw/.tmp")" ] && no "half an object stays" || ok

# credentials from .netrc, only when asked for
mkdir "$T/home"
echo "machine 127.0.0.1 login me password secret" >"$T/home/.netrc"
chmod 600 "$T/home/.netrc"
HOME=$T/home expect 20 'answers 401' "$PGO" fetch "$url/private" -o "$T/raw"
HOME=$T/home expect 0 '1 fetched' "$PGO" fetch --netrc "$url/private" -o "$T/raw"
grep -rq secret "$T/raw" && no "a password is stored" || ok

# several at once, with a local directory among them
rm -rf "$T/raw" && mkdir "$T/dir" && cp "$T/web.pb.gz" "$T/dir/"
expect 0 '3 objects listed' "$PGO" fetch "$url/a" "$T/dir" "$url/b" -o "$T/raw"
stored 1

kill $server
wait $server 2>/dev/null
expect 20 'no reply' "$PGO" fetch --tries 1 "$url/p" -o "$T/none"
expect 2 'no host in this address' "$PGO" fetch http:///p -o "$T/none"
expect 2 "no kind of store called 'gopher'" "$PGO" fetch gopher://x/ -o "$T/none"
expect 2 'at most' "$PGO" fetch --parallel 1000 "$url" -o "$T/none"

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
