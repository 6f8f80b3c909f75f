#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# s3:// and gs:// (by the XML interface, with HMAC keys) against a real S3 server, and s3cmd beside it.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/stores/lib.bash
. tests/lib/fixture.sh
stores_begin versitygw
store_start versitygw --virtual-domain s3.localhost
data=$STORE_DIR/data/prof
mkdir -p "$data"
export AWS_ENDPOINT_URL=$STORE_URL AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret

# profile FILE NUMBER [HOST]
profile() {
	mkdir -p "$(dirname "$1")"
	python3 tests/lib/mkpprof.py "$1" <<-END
		type samples/count
		time $((1790000000 + $2))
		mapping 400000 500000 0 /bin/app aabbcc
		main;work $2 ${3:+host=$3}
	END
}

# stored DIR FILE...: DIR holds the bytes of these files and no others
stored() {
	local dir=$1 f
	shift
	for f in "$@"; do
		sha256sum <"$f" | cut -d' ' -f1
	done | sort -u >"$T/wanted"
	find "$dir/objects" -type f -printf '%f\n' | sort >"$T/have"
	for f in "$dir"/objects/*/*; do
		sha256sum <"$f" | cut -d' ' -f1
	done | sort -u | cmp -s - "$T/have" || no "$dir: objects that are not what their names say"
	if cmp -s "$T/wanted" "$T/have"; then ok; else no "$dir: other objects than wanted: $(diff "$T/wanted" "$T/have" | head -n 3)"; fi
}

# ------------------------------------------------------------------ keys

n=0
for key in 'a b+c&d.pb.gz' 'dt=2026-08-01/h=1/p.pb.gz' '100%/%41%2F.pb.gz' 'ünï/日本.pb.gz' "tilde~'()*!,;:@\$.pb.gz" 'q?a#b.pb.gz' \
	'back\slash"quote<>&amp;.pb.gz' 'two  blanks/ x .pb.gz' 'dots/a..b/...x/..y.pb.gz' '+plus+/%2B.pb.gz' '-_.~/=' \
	"$(printf 'tab\there')" "long/$(printf 'x%.0s' {1..240})"; do
	n=$((n + 1))
	profile "$data/keys/$key" "$n"
done
expect 0 "$n objects listed: 0 unchanged, $n examined" "$PGO" fetch s3://prof/keys/ -o "$T/keys"
expect 0 "$n unchanged, 0 examined" "$PGO" fetch s3://prof/keys/ -o "$T/keys"
mapfile -t files < <(find "$data/keys" -type f)
stored "$T/keys" "${files[@]}"

# The bucket's name in the host's: libcurl takes every name below localhost for this machine.
AWS_ENDPOINT_URL=http://s3.localhost:$STORE_PORT expect 0 "$n examined" "$PGO" fetch 's3://prof/keys/?style=host' -o "$T/host"
stored "$T/host" "${files[@]}"
grep -q ' s3_GetObject keys/dots/a..b/...x/..y.pb.gz ' "$STORE_DIR/access.log" && ok || no "dots in a key are not asked for as they are"
# The same names without a bucket in the path are what the server resolves by the host alone.
expect 0 "$n unchanged" env AWS_ENDPOINT_URL= "$PGO" fetch "s3://prof/keys/?endpoint=http://s3.localhost:$STORE_PORT&style=host" -o "$T/host"

# ------------------------------------------------------------------ many pages, by template

python3 tests/lib/mkpprof.py "$T/base.pb.gz" <<-END
	type samples/count
	mapping 400000 500000 0 /bin/app aabbcc
	main;work 7
END
python3 tests/stores/fleet.py "$T/base.pb.gz" "$data/fleet" 2345 'web/{date}/{host}/{n}.pb.gz'
: >"$STORE_DIR/access.log"
expect 0 '2345 objects listed: 0 unchanged, 2345 examined' "$PGO" fetch 's3://prof/fleet/{service}/{date}/{host}/' -o "$T/fleet"
mapfile -t files < <(find "$data/fleet" -type f)
stored "$T/fleet" "${files[@]}"
same "pages of the listing" "$(grep -c ' s3_ListObjectsV2 ' "$STORE_DIR/access.log")" 3
same "gets" "$(grep -c ' s3_GetObject ' "$STORE_DIR/access.log")" 2345
grep -c '"host":"host-3".*"service":"web"' "$T/fleet/manifest.jsonl" >"$T/out"
same "profiles of host-3" "$(cat "$T/out")" 335
: >"$STORE_DIR/access.log"
expect 0 '2345 unchanged, 0 examined' "$PGO" fetch 's3://prof/fleet/{service}/{date}/{host}/' -o "$T/fleet"
same "gets of an unchanged bucket" "$(grep -c ' s3_GetObject ' "$STORE_DIR/access.log")" 0
# A template that is fixed up to the date lists those days alone, with one more at either end.
: >"$STORE_DIR/access.log"
expect 0 '144 fetched' "$PGO" fetch 's3://prof/fleet/web/{date}/{host}/' --since 2026-09-22 --until 2026-09-23 -o "$T/day"
same "days that were listed" "$(grep -c ' s3_ListObjectsV2 ' "$STORE_DIR/access.log")" 4
expect 0 '335 fetched' "$PGO" fetch 's3://prof/fleet/{service}/*/{host}/' --select host=host-5 -o "$T/host5"

# A changed object is fetched again, a vanished one is kept, a new one is added.
profile "$data/keys/-_.~/=" 4711
rm "$data/keys/q?a#b.pb.gz"
profile "$data/keys/new.pb.gz" 4712
expect 0 "$n objects listed: $((n - 2)) unchanged, 2 examined" "$PGO" fetch s3://prof/keys/ -o "$T/keys"
same "objects of the bucket's history" "$(find "$T/keys/objects" -type f | wc -l)" $((n + 2))

# ------------------------------------------------------------------ who asks, and where

expect 3 'does not answer without credentials; set AWS_ACCESS_KEY_ID' env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$PGO" fetch s3://prof/ -o "$T/x"
expect 3 'does not answer without credentials' "$PGO" fetch 's3://prof/?anonymous=1' -o "$T/x"
expect 3 'does not accept the signature: the secret key is another one' env AWS_SECRET_ACCESS_KEY=HIDDEN "$PGO" fetch s3://prof/ -o "$T/x"
grep -q HIDDEN "$T/out" && no "the secret is shown" || ok
expect 3 'does not know the access key' env AWS_ACCESS_KEY_ID=nobody "$PGO" fetch s3://prof/ -o "$T/x"
expect 3 '/nowhere: there is no bucket of this name here' "$PGO" fetch s3://nowhere/ -o "$T/x"
expect 0 '1 examined' env AWS_REGION=eu-west-1 "$PGO" fetch s3://prof/keys/new -o "$T/moved"
expect 3 'the bucket is in the region us-east-1, and the requests are signed for eu-west-1' "$PGO" fetch 's3://prof/?region=eu-west-1' -o "$T/x"
expect 0 '1 examined' env AWS_SESSION_TOKEN=of-a-role "$PGO" fetch s3://prof/keys/new -o "$T/token"
expect 20 'nothing to store: of 0 objects' "$PGO" fetch s3://prof/none/ -o "$T/x"
mkdir -p "$T/.aws"
printf '[default]\nregion = eu-west-1\n[profile perf]\nregion = us-east-1\nendpoint_url = %s\n' "$STORE_URL" >"$T/.aws/config"
printf '[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n[perf]\naws_access_key_id=testkey\naws_secret_access_key=testsecret\n' >"$T/.aws/credentials"
chmod 600 "$T/.aws/credentials"
bare=(env -u AWS_ENDPOINT_URL -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY)
expect 0 '1 examined' "${bare[@]}" AWS_PROFILE=perf "$PGO" fetch s3://prof/keys/new -o "$T/perf"
expect 3 'does not know the access key' "${bare[@]}" AWS_ENDPOINT_URL="$STORE_URL" "$PGO" fetch s3://prof/keys/new -o "$T/x"
chmod 644 "$T/.aws/credentials"
expect 2 'holds a secret that everybody on this machine may read' "${bare[@]}" AWS_PROFILE=perf "$PGO" fetch s3://prof/keys/new -o "$T/x"
rm -rf "$T/.aws"
gs=(env GS_ACCESS_KEY_ID=testkey GS_SECRET_ACCESS_KEY=testsecret)
expect 0 "$n examined" "${gs[@]}" "$PGO" fetch "gs://prof/keys/?endpoint=$STORE_URL" -o "$T/gs"
expect 3 'GS_ACCESS_KEY_ID' "$PGO" fetch "gs://prof/keys/?endpoint=$STORE_URL" -o "$T/x"

# An address that somebody signed for us is asked for as any other is, and never shown or kept.
signed=$(python3 - "$STORE_PORT" <<'END'
import datetime, hashlib, hmac, sys
host, day = "127.0.0.1:" + sys.argv[1], datetime.datetime.now(datetime.timezone.utc)
stamp, date = day.strftime("%Y%m%dT%H%M%SZ"), day.strftime("%Y%m%d")
scope = date + "/us-east-1/s3/aws4_request"
query = ("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=testkey%2F" + scope.replace("/", "%2F") + "&X-Amz-Date=" + stamp +
         "&X-Amz-Expires=600&X-Amz-SignedHeaders=host")
text = "GET\n/prof/keys/new.pb.gz\n" + query + "\nhost:" + host + "\n\nhost\nUNSIGNED-PAYLOAD"
key = b"AWS4testsecret"
for part in scope.split("/"):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
sign = "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hashlib.sha256(text.encode()).hexdigest()
print("http://" + host + "/prof/keys/new.pb.gz?" + query + "&X-Amz-Signature=" + hmac.new(key, sign.encode(), hashlib.sha256).hexdigest())
END
)
expect 0 '1 fetched' "$PGO" fetch "$signed" -o "$T/signed"
stored "$T/signed" "$data/keys/new.pb.gz"
grep -rq "${signed##*=}" "$T/signed" && no "the signature of an address is kept" || ok
expect 20 'answers 403' "$PGO" fetch "${signed%?????}00000" -o "$T/x"
grep -q 'Signature=[^.]' "$T/out" && no "the signature of an address is shown" || ok

# ------------------------------------------------------------------ recordings

if (fixture) >"$T/out" 2>&1; then
	mkdir -p "$data/rec" && cp "$FIX/app.perf" "$data/rec/web-1.data" && cp "$FIX/plain.perf" "$data/rec/"
	expect 0 '2 fetched' "$PGO" fetch s3://prof/rec/ -o "$T/rec"
	mkdir "$T/recordings" && cp "$data"/rec/* "$T/recordings"
	expect 0 '2 fetched' "$PGO" fetch "$T/recordings" -o "$T/direct"
	expect 0 '' "$PGO" merge "$T/rec" --binary "$FIX/app" -o "$T/rec.pb.gz"
	expect 0 '' "$PGO" merge "$T/direct" --binary "$FIX/app" -o "$T/direct.pb.gz"
	cmp -s "$T/rec.pb.gz" "$T/direct.pb.gz" && ok || no "recordings of a bucket merge to something else than those of a directory"
else
	echo "without the emulator: no recordings ($(tail -n 1 "$T/out"))"
fi

# ------------------------------------------------------------------ the other direction

profile "$T/p1.pb.gz" 81 web-1
profile "$T/p2.pb.gz" 82 web-2
expect 0 '' "$PGO" push "$T/p1.pb.gz" "$T/p2.pb.gz" 's3://prof/pushed/{service}/{date}/{host}/' --service shop
same "keys that were pushed" "$(cd "$data/pushed" && find . -type f | sed 's|/[0-9a-f]\{64\}\.pb\.gz$||' | sort | tr '\n' ' ')" './shop/2026-09-21/web-1 ./shop/2026-09-21/web-2 '
before=$(find "$data/pushed" -type f -printf '%p %T@\n' | sort)
expect 0 '' "$PGO" push "$T/p1.pb.gz" "$T/p2.pb.gz" 's3://prof/pushed/{service}/{date}/{host}/' --service shop
same "objects after a second push" "$(find "$data/pushed" -type f -printf '%p %T@\n' | sort)" "$before"
expect 0 '2 fetched' "$PGO" fetch 's3://prof/pushed/{service}/{date}/{host}/' -o "$T/back"
stored "$T/back" "$T/p1.pb.gz" "$T/p2.pb.gz"
expect 0 '' "${gs[@]}" "$PGO" push "$T/p1.pb.gz" "gs://prof/google/?endpoint=$STORE_URL"
expect 0 '' "${gs[@]}" "$PGO" push "$T/p1.pb.gz" "gs://prof/google/?endpoint=$STORE_URL"
same "objects pushed to gs:" "$(find "$data/google" -type f | wc -l)" 1
AWS_REGION=eu-west-1 expect 0 '' "$PGO" push "$T/p2.pb.gz" 's3://prof/moved/a b+c=d/'
stored_key=$(find "$data/moved" -type f)
cmp -s "$stored_key" "$T/p2.pb.gz" && ok || no "what was pushed under a key with signs in it"
expect 3 'does not accept the signature' env AWS_SECRET_ACCESS_KEY=x "$PGO" push "$T/p1.pb.gz" s3://prof/pushed/
expect 3 'there is no bucket of this name' "$PGO" push "$T/p1.pb.gz" s3://nowhere/

# ------------------------------------------------------------------ beside another client

if command -v s3cmd >/dev/null; then
	other=(s3cmd --no-ssl --host="127.0.0.1:$STORE_PORT" --host-bucket="127.0.0.1:$STORE_PORT" --access_key=testkey --secret_key=testsecret --region=us-east-1 -q)
	profile "$T/theirs.pb.gz" 99
	expect 0 '' "${other[@]}" put "$T/theirs.pb.gz" 's3://prof/theirs/a b+c&d=e.pb.gz'
	expect 0 '1 fetched' "$PGO" fetch s3://prof/theirs/ -o "$T/theirs"
	stored "$T/theirs" "$T/theirs.pb.gz"
	expect 0 '' "${other[@]}" get --force "s3://prof/${stored_key#"$data/"}" "$T/got.pb.gz"
	cmp -s "$T/got.pb.gz" "$T/p2.pb.gz" && ok || no "s3cmd gets other bytes than were pushed"
	same "keys as s3cmd lists them" "$("${other[@]/-q/--no-progress}" ls -r s3://prof/fleet/ | sed 's|.* s3://||' | sort | sha256sum)" \
		"$(sed 's/.*"source":"\([^"]*\)".*/\1/' "$T/fleet/manifest.jsonl" | sort | sha256sum)"
else
	echo "without s3cmd: nothing to compare with"
fi

# ------------------------------------------------------------------ it goes away, and comes back

: >"$STORE_DIR/access.log"
store_stop "$STORE_PID" KILL
"$PGO" fetch s3://prof/keys/ -o "$T/patient" >"$T/out" 2>&1 &
waiting=$!
until_true 30 test -e "$T/patient/.lock"
store_again "$STORE_DIR" || no "the server does not come back"
wait "$waiting" && ok || no "a server that comes back within half a minute"
same "objects after the server came back" "$(find "$T/patient/objects" -type f | wc -l)" "$n"
store_stop "$STORE_PID"
expect 3 'no reply' "$PGO" fetch --tries 1 s3://prof/keys/ -o "$T/x"
stores_end
