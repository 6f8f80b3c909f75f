#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch from lists of running programs: files of three kinds, servers, DNS; and programs that cannot be asked now.
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
# expect CODE TEXT COMMAND...: exit code, and a regular expression in what is said; afterwards $T/raw is gone
expect() {
	local code=$1 text=$2
	shift 2
	rm -rf "$T/raw"
	"$@" >"$T/out" 2>&1 </dev/null
	local got=$?
	[ "$got" = "$code" ] && grep -qE -- "$text" "$T/out" && ok || no "exit code $got, wanted $code and '$text': $*"
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

# One server for everything: programs under /pprof/NAME, lists under /list/, and a name server of its own.
# The profile says how it was asked, so each is another one.
cat >"$T/server.py" <<'END'
import http.server, os, socket, struct, subprocess, sys, threading, time
T = sys.argv[1]
log, lock, running = open(T + "/log", "a", 1), threading.Lock(), [0, 0]
def profile(path, host):
    path += "@" + host
    name = "%s/%x.pb.gz" % (T, abs(hash(path)))
    text = "samples/count"
    subprocess.run([sys.executable, "tests/lib/mkpprof.py", name], check=True, text=True, input=
        "type samples/count\ntime 1790000000\nmapping 400000 500000 0 /bin/app aabbcc\nmain;%s 7\n" % path.replace("/", "_").replace("?", "_").replace("=", "_"))
    return open(name, "rb").read()
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a):
        pass
    def say(self, code, body, kind="application/octet-stream"):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        log.write(self.path + " " + (self.headers.get("Authorization") or "-") + "\n")
        port = self.server.server_port
        if self.path.startswith("/list/"):
            if self.headers.get("Authorization") != "Bearer LISTTOKEN":
                self.say(401, b"who are you?")
            else:
                self.say(200, open(T + self.path, "rb").read(), "application/json")
        elif self.path.startswith("/taken"):
            self.say(500, b"Could not enable CPU profiling: cpu profiling already in use\n")
        elif self.path.startswith("/brpc"):
            self.say(200, b"Another profiler (not by /hotspots) is running, please retry later", "text/plain")
        elif self.path.startswith("/gone"):
            self.say(404, b"nothing here")
        else:
            with lock:
                running[0] += 1
                running[1] = max(running)
                open(T + "/most", "w").write(str(running[1]))
            time.sleep(0.15)
            body = profile(self.path, self.server.server_address[0])
            with lock:
                running[0] -= 1
            self.say(200, body)
web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 0))
def answer():
    while True:
        q, who = dns.recvfrom(4096)
        at, labels = 12, []
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode())
            at += 1 + q[at]
        question, kind, name = q[12:at + 5], struct.unpack(">H", q[at + 1:at + 3])[0], ".".join(labels)
        if name == "_pprof._tcp.app.test" and kind == 33:
            # the second one's name is a pointer into the question: app.test
            rr = [struct.pack(">HHH", 1, 1, web.server_port) + b"\x09localhost\x00"]
        elif name == "app.test" and kind == 1:
            rr = [socket.inet_aton("127.0.0.1"), socket.inet_aton("127.0.0.2")]
        elif name == "app.test":
            rr = []
        else:
            dns.sendto(q[:2] + b"\x81\x83" + struct.pack(">HHHH", 1, 0, 0, 0) + question, who)
            continue
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(r)) + r for r in rr)
        dns.sendto(q[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, len(rr), 0, 0) + question + body, who)
threading.Thread(target=answer, daemon=True).start()
threading.Thread(target=web.serve_forever, daemon=True).start()
other = http.server.ThreadingHTTPServer(("127.0.0.2", web.server_port), H)
threading.Thread(target=other.serve_forever, daemon=True).start()
os.rename(T + "/port.part", T + "/port") if open(T + "/port.part", "w").write("%d %d\n" % (web.server_port, dns.getsockname()[1])) else None
threading.Event().wait()
END
python3 "$T/server.py" "$T" &
server=$!
for _ in {1..200}; do
	[ -s "$T/port" ] && break
	sleep 0.1
done
read -r port dns <"$T/port" || { echo "the server did not start"; exit 1; }
at=127.0.0.1:$port

# text: hosts with labels, whole addresses, comments, one twice
cat >"$T/list.txt" <<END
# checkout
$at  service=checkout zone=a   # the first
$at
http://127.0.0.2:$port/debug/other?seconds=1	host=web-2,service=checkout

END
expect 0 '2 fetched' "$PGO" fetch "targets+file:$T/list.txt#path=/pprof/one?seconds=1" -o "$T/raw"
says host 127.0.0.1 web-2
says service checkout
says zone a
says instance "$at" "127.0.0.2:$port"
grep -q '^/pprof/one?seconds=1 ' "$T/log" && grep -q '^/debug/other?seconds=1 ' "$T/log" && ok || no "not asked as the list says: $(cat "$T/log")"
expect 0 '1 fetched' "$PGO" fetch "targets+file://$T/list.txt#path=/pprof/one?seconds=1" -s 'zone="a"' -o "$T/raw"

# Prometheus; what is between __ is not a label
cat >"$T/sd.json" <<END
[{"targets": ["$at"], "labels": {"job": "checkout", "env": "prod", "__scheme__": "http", "__param_seconds": "2"}},
 {"targets": ["127.0.0.2:$port"]}]
END
expect 0 '2 fetched' "$PGO" fetch "targets+file:$T/sd.json#path=/pprof/sd" -o "$T/raw"
says env prod
says service checkout
grep -q '^/pprof/sd?seconds=2 ' "$T/log" && grep -q '^/pprof/sd ' "$T/log" && ok || no "seconds: $(cat "$T/log")"
grep -q '__' "$T/raw/manifest.jsonl" && no "a label of Prometheus' own is kept" || ok

# Kubernetes, from a server that wants a token, which no target gets
mkdir "$T/list"
cat >"$T/list/endpoints" <<END
{"kind": "Endpoints", "apiVersion": "v1", "metadata": {"name": "checkout", "namespace": "shop"},
 "subsets": [{"addresses": [{"ip": "127.0.0.1", "nodeName": "node-1", "targetRef": {"kind": "Pod", "name": "checkout-abc"}},
                            {"ip": "127.0.0.2", "nodeName": "node-2", "targetRef": {"kind": "Pod", "name": "checkout-def"}}],
              "notReadyAddresses": [{"ip": "127.0.0.9"}],
              "ports": [{"name": "web", "port": 1}, {"name": "pprof", "port": $port}]}]}
END
cat >"$T/list/slices" <<END
{"kind": "EndpointSliceList", "items": [{"metadata": {"name": "checkout-x1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "checkout"}},
 "addressType": "IPv4", "ports": [{"name": "debug", "port": $port}, {"name": "web", "port": 2}], "endpoints": [
 {"addresses": ["127.0.0.1"], "conditions": {"ready": true}, "nodeName": "node-1", "targetRef": {"kind": "Pod", "name": "checkout-abc"}},
 {"addresses": ["127.0.0.3"], "conditions": {"ready": false}}]}]}
END
: >"$T/log"
PGO_FETCH_TOKEN=LISTTOKEN expect 0 '2 fetched' "$PGO" fetch "targets+http://$at/list/endpoints#path=/pprof/k" -o "$T/raw"
says host node-1 node-2
says pod checkout-abc checkout-def
says namespace shop
says service checkout
grep '^/pprof/k' "$T/log" | grep -q LISTTOKEN && no "a target was sent the token of the list" || ok
PGO_FETCH_TOKEN=LISTTOKEN expect 0 '1 fetched' "$PGO" fetch "targets+http://$at/list/slices#port=debug,path=/pprof/s" -o "$T/raw"
says pod checkout-abc
PGO_FETCH_TOKEN=LISTTOKEN expect 2 'there is more than one port.*debug \([0-9]*\), web \(2\)' "$PGO" fetch "targets+http://$at/list/slices" -o "$T/raw"
expect 3 'answers 401' "$PGO" fetch "targets+http://$at/list/slices" -o "$T/raw"

# DNS: the host's own way, and a name server
expect 0 '1 fetched' "$PGO" fetch "targets+dns://127.0.0.1:$port/pprof/d?seconds=1" -o "$T/raw"
says dns_name 127.0.0.1
expect 0 '2 fetched' "$PGO" fetch "targets+dns://app.test:$port/pprof/d?seconds=1#dns=127.0.0.1:$dns" -o "$T/raw"
says host 127.0.0.1 127.0.0.2
expect 0 '1 fetched' "$PGO" fetch "targets+srv://_pprof._tcp.app.test/pprof/d?seconds=1#dns=127.0.0.1:$dns" -o "$T/raw"
says instance "localhost:$port"
expect 3 'nosuch.test: there is no such name' "$PGO" fetch "targets+srv://nosuch.test#dns=127.0.0.1:$dns" -o "$T/raw"

# what fails is named and counted, and keeps nothing else from being fetched
printf '%s\n' "http://$at/pprof/fine" "http://$at/taken" "http://$at/brpc" "http://$at/gone" >"$T/mixed"
expect 0 '1 fetched.*3 failed|3 failed' "$PGO" fetch --tries 1 "targets+file:$T/mixed" -o "$T/raw"
grep -q "taken: somebody else takes a profile there" "$T/out" && grep -q 'brpc: somebody else.*nother profiler' "$T/out" &&
	grep -q 'gone.*404' "$T/out" && ok || no "the reasons are not named"

# so many at a time, and not all in the same moment
for i in {1..12}; do echo "http://$at/pprof/many$i"; done >"$T/many"
echo 0 >"$T/most"
expect 0 '12 fetched' "$PGO" fetch -j 3 "targets+file:$T/many#jitter=20ms" -o "$T/raw"
[ "$(cat "$T/most")" -le 3 ] && ok || no "$(cat "$T/most") at a time, wanted at most 3"

# addresses and lists that cannot be
expect 2 "'speed=9'" "$PGO" fetch "targets+file:$T/many#speed=9" -o "$T/raw"
expect 2 'no port' "$PGO" fetch "targets+dns://app.test/x" -o "$T/raw"
echo "ftp://x/y" >"$T/wrong"
expect 3 "wrong, line 1: 'ftp://x/y' is no target" "$PGO" fetch "targets+file:$T/wrong" -o "$T/raw"
echo '{"a":1}' >"$T/wrong"
expect 3 'no list of targets' "$PGO" fetch "targets+file:$T/wrong" -o "$T/raw"
: >"$T/empty"
expect 20 'no targets in the list' "$PGO" fetch "targets+file:$T/empty" -o "$T/raw"

echo "$good checks passed, $bad failed"
[ "$bad" -eq 0 ]
