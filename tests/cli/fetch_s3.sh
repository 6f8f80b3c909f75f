#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch and push before buckets that misbehave: a server of our own says, for each bucket, what real ones say on
# bad days.  (tests/stores/s3.sh has a real one.)
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
	timeout 120 "$@" >"$T/out" 2>&1 </dev/null
	local got=$?
	[ "$got" = "$code" ] && grep -qE -- "$text" "$T/out" && ok || no "exit code $got, wanted $code and '$text': $*"
}

for n in 1 2 3 4 5 6 7 8; do
	python3 tests/lib/mkpprof.py "$T/p$n.pb.gz" <<-END
		type samples/count
		time 179000000$n
		mapping 400000 500000 0 /bin/app aabbcc
		main;work $n host=web-1
	END
done
cat >"$T/server.py" <<'END'
import collections, gzip, hashlib, http.server, sys, urllib.parse
T = sys.argv[1]
profiles = [open("%s/p%d.pb.gz" % (T, n), "rb").read() for n in range(1, 9)]
count = collections.Counter()
stored = {}
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'

def listing(keys, token=None, truncated=False, sizes={}):
    text = XML + '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>%s</IsTruncated>' % ("true" if truncated else "false")
    if token is not None:
        text += "<NextContinuationToken>%s</NextContinuationToken>" % token
    for i, k in enumerate(keys):
        text += "<Contents><Key>%s</Key><Size>%d</Size><LastModified>2026-09-21T10:00:0%d.000Z</LastModified></Contents>" % (k, sizes.get(k, 100 + i), i % 10)
    return (text + "</ListBucketResult>").encode()

def error(code, message="words of the server", more=""):
    return (XML + "<Error><Code>%s</Code><Message>%s</Message>%s</Error>" % (code, message, more)).encode()

class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a):
        open(T + "/log", "a").write("%s %s %s\n" % (self.command, self.path, self.headers.get("Authorization", "-")[:16]))
    def say(self, code, body=b"", *headers):
        self.send_response(code)
        for h in headers:
            self.send_header(*h)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def cut(self, body, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
    def split(self):
        url = urllib.parse.urlsplit(self.path)
        bucket, _, key = url.path[1:].partition("/")
        return bucket, urllib.parse.unquote(key), dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    def do_GET(self):
        bucket, key, q = self.split()
        count[bucket, key] += 1
        n = count[bucket, key]
        number = int(key[1]) - 1 if key[:1] == "k" and key[1:2].isdigit() else 0
        six = ["k%d" % i for i in range(1, 7)]
        if key == "":
            if bucket == "loop":
                return self.say(200, listing(six, "again", True))
            if bucket == "loop1":
                return self.say(200, listing(["k1"], None, True))
            if bucket == "marker":    # a server that knows the older interface alone
                rest = [k for k in six if k > q.get("marker", "")]
                return self.say(200, listing(rest[:2], None, len(rest) > 2))
            if bucket == "skewed":
                return self.say(403, error("RequestTimeTooSkewed", more="<RequestTime>20260921T100000Z</RequestTime><ServerTime>2026-09-21T12:00:00Z</ServerTime>"))
            if bucket == "denied":
                return self.say(403, error("AccessDenied"))
            if bucket == "moved":
                return self.say(307, error("TemporaryRedirect"), ("Location", "http://127.0.0.1:%d/thief/?x=1" % self.server.server_port))
            if bucket == "hostile":
                return self.say(400, error("AuthorizationHeaderMalformed", more="<Region>x.evil.example/</Region>"))
            if bucket == "page":
                return self.say(200, b"<html><body>welcome</body></html>")
            if bucket == "bomb":
                return self.say(200, gzip.compress(b" " * (80 << 20), 1), ("Content-Encoding", "gzip"))
            if bucket == "laughs":
                return self.say(200, b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>')
            if bucket == "escape":
                return self.say(200, listing(["../../../escaped", "/etc/escaped", "a/../../../escaped", "..", "./.", "a//b"]))
            if bucket == "replaced":
                return self.say(200, listing(["k1"], sizes={"k1": 100 if n == 1 else 200}))
            if bucket == "busy" and n < 3:
                return self.say(503, error("SlowDown", "Please reduce your request rate."), ("Retry-After", "0"))
            if bucket == "conditions":
                return self.say(200, listing([k for k in stored if k.startswith(q.get("prefix", ""))]))
            return self.say(200, listing(six))
        if bucket == "vanish" and number == 2:
            return self.say(404, error("NoSuchKey"))
        if bucket == "archive" and number == 2:
            return self.say(403, error("InvalidObjectState", "The operation is not valid for the object's storage class"))
        if bucket == "expired" and self.headers.get("X-Amz-Security-Token") == "old" and number >= 3:
            return self.say(400, error("ExpiredToken", "The provided token has expired."))
        if bucket == "busy" and n < 2:
            return self.say(503, error("SlowDown"), ("Retry-After", "0"))
        if bucket == "cut" and n < 3:
            return self.cut(profiles[number][:30], len(profiles[number]))
        if bucket == "short":       # the length of the reply is wrong, and so is its end
            return self.cut(profiles[number][:-20] if number == 2 else profiles[number], len(profiles[number]) - (20 if number == 2 else 0))
        if bucket == "replaced":
            return self.say(200, profiles[6 if n == 1 else 7])
        if bucket == "thief":
            return self.say(200, listing(six))
        if bucket == "escape":
            number = count[bucket, "escaped"]
            count[bucket, "escaped"] += 1
        self.say(200, profiles[number])
    def do_PUT(self):
        bucket, key, q = self.split()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if hashlib.sha256(body).hexdigest() != self.headers.get("X-Amz-Content-SHA256"):
            return self.say(400, error("XAmzContentSHA256Mismatch"))
        if bucket == "lost":        # stored, but the answer does not arrive; then it is there
            count[bucket, key] += 1
            if count[bucket, key] == 1:
                self.close_connection = True
                return
            return self.say(412, error("PreconditionFailed"))
        if bucket == "conditions" and self.headers.get("If-None-Match"):
            return self.say(501, error("NotImplemented"))
        if key in stored and self.headers.get("If-None-Match") == "*":
            return self.say(412, error("PreconditionFailed"))
        stored[key] = body
        self.say(200)

s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
END
python3 "$T/server.py" "$T" >"$T/port" 2>"$T/server.err" &
server=$!
for _ in {1..200}; do
	[ -s "$T/port" ] && break
	sleep 0.1
done
unset "${!AWS_@}" http_proxy https_proxy all_proxy
export HOME=$T AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=VERYSECRET
AWS_ENDPOINT_URL=http://127.0.0.1:$(cat "$T/port")

gets() { # BUCKET: requests for its objects
	grep -c "^GET /$1/." "$T/log"
}

# a listing that does not end, is none, or is too much
expect 3 'the same page of its listing again and again' "$PGO" fetch s3://loop/ -o "$T/x"
expect 3 'the same page of its listing again and again' "$PGO" fetch s3://loop1/ -o "$T/x"
expect 0 '6 objects listed: .*6 examined' "$PGO" fetch s3://marker/ -o "$T/marker"
expect 3 'the answer is no listing of a bucket' "$PGO" fetch s3://page/ -o "$T/x"
expect 3 'larger than the limit' "$PGO" fetch s3://bomb/ -o "$T/x"
expect 3 'the answer is no listing of a bucket' "$PGO" fetch s3://laughs/ -o "$T/x"

# refusals
expect 3 'clock of this machine and the server.s differ too much \(here it is 20260921T100000Z, there 2026-09-21T12:00:00Z\)' "$PGO" fetch s3://skewed/ -o "$T/x"
expect 3 'these credentials do not allow this' "$PGO" fetch s3://denied/ -o "$T/x"
expect 3 'does not answer without credentials' "$PGO" fetch 's3://denied/?anonymous=1' -o "$T/x"
expect 3 'sends us to http://127.0.0.1:[0-9]*/thief/[^ ]*, and a signed request is not sent on' "$PGO" fetch s3://moved/ -o "$T/x"
grep -q ' /thief/' "$T/log" && no "a signed request went where the server said" || ok
expect 3 'answers 400 \(AuthorizationHeaderMalformed' "$PGO" fetch s3://hostile/ -o "$T/x"
AWS_ENDPOINT_URL=http://nowhere.invalid expect 3 'no reply \(Could not resolve host: nowhere.invalid\)' "$PGO" fetch --tries 1 s3://plain/ -o "$T/x"
grep -rq VERYSECRET "$T/out" "$T/x" && no "the secret is somewhere" || ok

# a bucket that changes under us
expect 0 '5 fetched .*1 failed' "$PGO" fetch s3://vanish/ -o "$T/vanish"
"$PGO" fetch s3://vanish/ -o "$T/vanish" 2>&1 | grep -q 'vanish/k3: the object is gone since it was listed, skipping' && ok || no "what is gone is not said to be"
expect 0 'archive/k3: the object is archived and cannot be read before it is restored, skipping' "$PGO" fetch s3://archive/ -o "$T/archive"
expect 0 '1 fetched' "$PGO" fetch s3://replaced/ -o "$T/replaced"
expect 0 '1 examined' "$PGO" fetch s3://replaced/ -o "$T/replaced"
cmp -s "$T/p8.pb.gz" "$T/replaced/objects/"*/"$(sha256sum <"$T/p8.pb.gz" | cut -d' ' -f1)" && ok || no "the object that replaced another is not there"

# credentials that expire on the way end the run at once; the next one goes on from there
AWS_SESSION_TOKEN=old expect 3 'the session token has expired; get new credentials' "$PGO" fetch --parallel 1 s3://expired/ -o "$T/expired"
[ "$(gets expired)" = 4 ] && ok || no "$(gets expired) requests, wanted three and the one that was refused"
AWS_SESSION_TOKEN=new expect 0 '6 objects listed: 3 unchanged, 3 examined' "$PGO" fetch s3://expired/ -o "$T/expired"
[ "$(gets expired)" = 7 ] && ok || no "$(gets expired) requests after the second run, wanted 7"

# busy, cut off, wrong length
expect 0 '6 fetched' "$PGO" fetch s3://busy/ -o "$T/busy"
grep -q '8 requests tried again' "$T/out" && ok || no "not as many tries as the server was busy"
expect 0 '6 fetched' "$PGO" fetch --tries 4 s3://cut/ -o "$T/cut"
expect 0 '5 fetched .*1 failed' "$PGO" fetch s3://short/ -o "$T/short"
[ "$(find "$T/short/objects" -type f | wc -l)" = 5 ] && ok || no "half an object was stored"

# names that would lead elsewhere
mkdir -p "$T/deep/er"
expect 0 '6 examined' "$PGO" fetch s3://escape/ -o "$T/deep/er/raw"
[ -z "$(find "$T" -name '*escaped*')" ] && [ "$(cd "$T/deep" && find . -type f | grep -cv '^./er/raw/')" = 0 ] && ok || no "a key led out of the directory"
grep -q '^GET /escape/../../../escaped ' "$T/log" && ok || no "dots in a key are not asked for as they are"

# storing
expect 0 '' "$PGO" push "$T/p1.pb.gz" s3://keep/a/
expect 0 '' "$PGO" push "$T/p1.pb.gz" s3://keep/a/
[ "$(grep -c '^PUT /keep/a/' "$T/log")" = 2 ] && ok || no "not one request for each push"
expect 0 '' "$PGO" push "$T/p2.pb.gz" s3://conditions/b/
expect 0 '' "$PGO" push "$T/p2.pb.gz" s3://conditions/b/
[ "$(grep -c '^PUT /conditions/b/' "$T/log")" = 3 ] && ok || no "a server without conditions: what is there is put again"
expect 0 '' "$PGO" push "$T/p3.pb.gz" s3://lost/c/

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
