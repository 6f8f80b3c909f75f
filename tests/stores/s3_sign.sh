#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Signatures of bucket requests against another implementation's (botocore, under Amazon's own tools), for keys and
# tokens with every kind of sign in them: a server that answers nothing useful and checks what it is asked.
set -u
. tests/stores/lib.bash
# shellcheck disable=SC2119 # it needs no server
stores_begin
python=
for p in python3 /usr/bin/python3; do
	if "$p" -c 'import botocore.auth' 2>/dev/null; then python=$p; fi
done
if [ -z "$python" ]; then
	echo "botocore is not installed (python3-botocore)"
	exit 77
fi
cat >"$T/server.py" <<'END'
import http.server, sys, urllib.parse
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PAGE = "<ListBucketResult><IsTruncated>%s</IsTruncated>%s<Contents><Key>%s</Key><Size>3</Size></Contents></ListBucketResult>"

class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a):
        pass
    def check(self, body):
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.quote(urllib.parse.unquote(url.path), safe="/-_.~")
        req = AWSRequest(method=self.command, url="http://" + self.headers["Host"] + path + ("?" + url.query if url.query else ""), data=body)
        auth = self.headers["Authorization"]
        for name in auth.split("SignedHeaders=")[1].split(",")[0].split(";"):
            req.headers[name] = self.headers[name]
        signer = S3SigV4Auth(Credentials("key", "sec/ret+x"), "s3", "eu-central-1")
        req.context["timestamp"] = self.headers["x-amz-date"]
        signed = signer.headers_to_sign(req)
        canonical = "\n".join([self.command, path, signer.canonical_query_string(req), signer.canonical_headers(signed) + "\n",
                               signer.signed_headers(signed), self.headers["x-amz-content-sha256"]])
        want = signer.signature(signer.string_to_sign(req, canonical), req)
        # One write a line: requests are answered side by side, and print() writes its words one by one.
        sys.stdout.write("%s %s %s\n" % (self.command, self.path, "right" if auth.endswith("Signature=" + want) else "WRONG"))
        sys.stdout.flush()
    def say(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.check(None)
        if "list-type" not in self.path:
            self.say(b"nothing")
        elif "continuation-token" not in self.path:
            self.say((PAGE % ("true", "<NextContinuationToken>a/b+c=d e&amp;</NextContinuationToken>", "dt=1/a b+c&amp;d='(!*)~;:@$,\u00fc%41?#//..")).encode())
        else:
            self.say((PAGE % ("false", "", "dt=2/plain")).encode())
    def do_PUT(self):
        self.check(self.rfile.read(int(self.headers["Content-Length"])))
        self.say(b"")

s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()
END
"$python" "$T/server.py" >"$T/said" 2>"$T/err" &
stores_pids+=($!)
until_true 30 test -s "$T/said" || no "the server does not start: $(cat "$T/err")"
python3 tests/lib/mkpprof.py "$T/p.pb.gz" <<-END
	type samples/count
	time 1790000000
	mapping 400000 500000 0 /bin/app aabbcc
	main;work 7 host=web-1
END
AWS_ENDPOINT_URL=http://127.0.0.1:$(head -n 1 "$T/said")
export AWS_ENDPOINT_URL AWS_REGION=eu-central-1 AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=sec/ret+x AWS_SESSION_TOKEN='tok/+ =='
expect 20 'of 2 objects 2 are no profiles' "$PGO" fetch 's3://b-1/dt={x}/' -o "$T/raw"
expect 0 '' "$PGO" push "$T/p.pb.gz" 's3://b-1/dt={date}/a b+c&d=e/{host}/'
same "requests that botocore signs in the same way" "$(grep -c ' right$' "$T/said")" 5
same "requests that it does not" "$(grep ' WRONG$' "$T/said")" ''
AWS_SECRET_ACCESS_KEY=other "$PGO" fetch s3://b-1/ -o "$T/raw" >"$T/out" 2>&1
if grep -q ' WRONG$' "$T/said"; then ok; else no "another key is not told apart"; fi
stores_end
