#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch from Datadog and Google Cloud Profiler: canned replies of a server of our own, as their documents (or, where
# there are none, their own clients) say they look like.
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
# logged TEXT: the server was asked so
logged() {
	grep -qF -- "$1" "$T/log" && ok || no "not asked: $1: $(cat "$T/log")"
}
# says KEY VALUE...: what the manifest has for that key, sorted, each once
says() {
	local key=$1 got
	shift
	got=$(python3 -c 'import json, sys
records = [json.loads(line) for line in open(sys.argv[1])]
print(*sorted({v for r in records for v in [r.get(sys.argv[2]) or dict(r["labels"]).get(sys.argv[2])] if v}))' "$T/raw/manifest.jsonl" "$key")
	[ "$got" = "$*" ] && ok || no "$key is $got, wanted $*"
}

for i in 1 2 3 4 5; do
	python3 tests/lib/mkpprof.py "$T/$i.pb.gz" <<-END
		type samples/count
		time $((1790000000 + i * 60))
		mapping 400000 500000 0 /bin/app aabbcc
		main;work$i $i
	END
done
cat >"$T/server.py" <<'END'
import base64, http.server, io, json, sys, threading, os, zipfile
T = sys.argv[1]
pprof = [open("%s/%d.pb.gz" % (T, i), "rb").read() for i in range(1, 6)]
log = open(T + "/log", "a", 1)
def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files:
            z.writestr(name, data)
    return out.getvalue()
def gcp(i, kind, target, **labels):
    return {"name": "projects/shop/profiles/id%d" % i, "profileType": kind, "deployment": {"projectId": "shop", "target": target,
            "labels": {"zone": "z%d" % (i % 2), "version": "1.%d" % i, "language": "go"}}, "duration": "10s",
            "profileBytes": base64.b64encode(pprof[i]).decode(), "labels": labels, "startTime": "2026-09-21T14:%02d:00.25Z" % i}
pages = {"": ([gcp(0, "CPU", "checkout", instance="vm-0"), gcp(1, "HEAP", "checkout"), gcp(2, "CPU", "search")], "a/b+c="),
         "a/b+c=": ([gcp(3, "CPU", "checkout", instance="vm-3"), gcp(4, "CPU", "checkout")], "")}
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a):
        pass
    def say(self, code, body, kind):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = json.loads(body)["queries"][0]
        log.write("POST %s %s\n" % (self.path, json.dumps(query, sort_keys=True)))
        if (self.headers.get("DD-API-KEY"), self.headers.get("DD-APPLICATION-KEY")) != ("APIKEY", "APPKEY"):
            return self.say(403, b'{"errors":["Forbidden"]}', "application/json")
        text = query["filter"]["query"]
        if "service:empty" in text:
            self.say(200, b"", "application/zip")
        elif "service:odd" in text:
            self.say(200, b'{"data":[]}', "application/json")
        elif "service:bomb" in text:
            self.say(200, zipped([("huge.pprof", b"\0" * (64 << 20))]), "application/zip")
        elif "service:cut" in text:
            self.say(200, zipped([("a.pprof", pprof[0])])[:-30], "application/zip")
        else:
            self.say(200, zipped([("p%d/cpu.pprof" % i, pprof[i]) for i in range(query["limit"] - 2)] + [("README", b"hello")]), "application/zip")
    def do_GET(self):
        path, _, query = self.path.partition("?")
        log.write("GET %s\n" % self.path)
        if self.headers.get("Authorization") != "Bearer TOKEN":
            return self.say(401, b'{"error":{"message":"no token"}}', "application/json")
        from urllib.parse import parse_qs
        q = {k: v[0] for k, v in parse_qs(query).items()}
        if path != "/v2/projects/shop/profiles":
            return self.say(404, b'{"error":{"message":"no such project"}}', "application/json")
        profiles, following = pages[q.get("pageToken", "")]
        self.say(200, json.dumps({"profiles": profiles, "nextPageToken": following}).encode(), "application/json")
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
open(T + "/port.part", "w").write("%d\n" % s.server_port)
os.rename(T + "/port.part", T + "/port")
s.serve_forever()
END
python3 "$T/server.py" "$T" &
server=$!
for _ in {1..200}; do
	[ -s "$T/port" ] && break
	sleep 0.1
done
url=http://127.0.0.1:$(cat "$T/port")
unset DD_API_KEY DD_APP_KEY DD_APPLICATION_KEY GOOGLE_OAUTH_ACCESS_TOKEN PGO_FETCH_TOKEN PGO_FETCH_TOKEN_FILE

# Datadog
export DD_SITE=$url
expect 2 'DD_API_KEY and DD_APP_KEY' "$PGO" fetch datadog://checkout -o "$T/raw"
export DD_API_KEY=APIKEY DD_APP_KEY=WRONG
expect 3 'answers 403' "$PGO" fetch datadog://checkout -o "$T/raw"
export DD_APP_KEY=APPKEY
expect 0 '3 fetched.*1 no profiles' "$PGO" fetch datadog://checkout --since 2026-09-21T00:00:00Z --until 2026-09-22T00:00:00Z -o "$T/raw"
logged 'POST /api/unstable/profiles/gopgo {"filter": {"from": "2026-09-21T00:00:00Z", "query": "service:checkout runtime:go", "to": "2026-09-22T00:00:00Z"}, "limit": 5, "sort": {"field": "@metrics.core_cpu_cores", "order": "desc"}}'
says service checkout
expect 0 '4 unchanged' "$PGO" fetch datadog://checkout --since 2026-09-21T00:00:00Z --until 2026-09-22T00:00:00Z -o "$T/raw"
expect 0 '1 fetched' "$PGO" fetch 'datadog://checkout?limit=6&env=prod&query=runtime:jvm+host:h' -o "$T/raw"
logged '"query": "service:checkout env:prod runtime:jvm host:h"'
says env prod
expect 20 'Datadog has no profiles' "$PGO" fetch datadog://empty -o "$T/none"
expect 3 'no ZIP archive but: .*data' "$PGO" fetch datadog://odd -o "$T/none"
expect 3 'ZIP archive is damaged' "$PGO" fetch datadog://cut -o "$T/none"
expect 2 "'depth=1'" "$PGO" fetch 'datadog://checkout?depth=1' -o "$T/none"
expect 20 'larger than the limit' "$PGO" fetch datadog://bomb --max-object 1M -o "$T/none"
grep -rq 'APIKEY\|APPKEY' "$T/raw" "$T/none" "$T/out" && no "a key is kept or shown" || ok

# Google
export CLOUD_PROFILER_ENDPOINT=$url
rm -rf "$T/raw" "$T/none"
expect 3 'answers 401' "$PGO" fetch gcp-profiler://shop -o "$T/raw"
export GOOGLE_OAUTH_ACCESS_TOKEN=TOKEN
expect 3 'answers 404 .*no such project' "$PGO" fetch gcp-profiler://other -o "$T/raw"
expect 0 '4 fetched' "$PGO" fetch gcp-profiler://shop -o "$T/raw"
logged 'GET /v2/projects/shop/profiles?pageSize=200&pageToken=a%2Fb%2Bc%3D'
says service checkout search
says version 1.0 1.2 1.3 1.4
says zone z0 z1
grep -rq TOKEN "$T/raw" "$T/out" && no "a token is kept or shown" || ok
for i in 1 3 4 5; do
	cmp -s "$T/$i.pb.gz" "$(find "$T/raw/objects" -name "$(sha256sum "$T/$i.pb.gz" | cut -c1-64)*")" && ok || no "profile $i is not there as it is"
done
expect 0 '4 unchanged' "$PGO" fetch gcp-profiler://shop -o "$T/raw"
expect 0 '2 fetched' "$PGO" fetch 'gcp-profiler://shop?target=checkout' --since 2026-09-21T14:03:00Z -o "$T/some"
expect 0 '1 fetched' "$PGO" fetch gcp-profiler://shop -s 'instance="vm-3"' -o "$T/one"
printf 'TOKEN\n' >"$T/token" && chmod 600 "$T/token"
GOOGLE_OAUTH_ACCESS_TOKEN='' PGO_FETCH_TOKEN_FILE=$T/token expect 0 '4 fetched' "$PGO" fetch gcp-profiler://shop -o "$T/file"

echo "$good checks passed, $bad failed"
[ "$bad" -eq 0 ]
