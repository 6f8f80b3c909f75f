#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch and pgo push against a real Parca server, with its REST interface as the other client.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/lib/fixture.sh
. tests/stores/lib.bash
stores_begin parca
fixture
# A profile's samples as lines, by a reader of its own.
samples() {
	python3 tests/stores/pprof_samples.py "$@"
}
# rest_push FILE LABEL=VALUE...: by REST
rest_push() {
	python3 - "$STORE_URL" "$@" <<-'PY'
		import base64, json, sys, urllib.request
		url, path, *labels = sys.argv[1:]
		pairs = [dict(zip(("name", "value"), l.split("=", 1))) for l in labels]
		raw = base64.b64encode(open(path, "rb").read()).decode()
		body = {"series": [{"labels": {"labels": pairs}, "samples": [{"rawProfile": raw}]}]}
		request = urllib.request.Request(url + "/api/profiles/writeraw", json.dumps(body).encode(), {"Content-Type": "application/json"})
		assert urllib.request.urlopen(request).status == 200
	PY
}
# rest_merge QUERY FILE: all of 2026 merged, by REST
rest_merge() {
	python3 - "$STORE_URL" "$@" <<-'PY'
		import base64, json, sys, urllib.parse, urllib.request
		url, query, path = sys.argv[1:]
		q = {"mode": "MODE_MERGE", "report_type": "REPORT_TYPE_PPROF", "merge.query": query,
		     "merge.start": "2026-01-01T00:00:00Z", "merge.end": "2026-12-31T00:00:00Z"}
		reply = urllib.request.urlopen(url + "/api/profiles/query?" + urllib.parse.urlencode(q)).read()
		open(path, "wb").write(base64.b64decode(json.loads(reply)["pprof"]))
	PY
}
# stored DIR [KEY VALUE]: the paths of the stored objects, of those whose record says so
stored() {
	python3 - "$@" <<-'PY'
		import json, sys
		for line in open(sys.argv[1] + "/manifest.jsonl"):
		    r = json.loads(line)
		    r.update(dict(r["labels"]))
		    if len(sys.argv) < 3 or r.get(sys.argv[2]) == sys.argv[3]:
		        print("%s/objects/%s/%s" % (sys.argv[1], r["digest"][:2], r["digest"]))
	PY
}
# field FILE NAME: a number of the JSON that --json prints
field() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}
# visible TYPE-PREFIX: the server shows such a column
visible() {
	curl -sS "$STORE_URL/api/profiles/types" | grep -q "\"name\":\"$1\""
}
# make_profile FILE BASE DURATION PERIOD COUNT: stacks of two, at BASE
make_profile() {
	local k
	{
		echo "type samples/count"
		echo "type cpu/nanoseconds"
		echo "time $T0"
		echo "duration $3"
		echo "period $4 cpu/nanoseconds"
		printf 'mapping %x %x 1000 /bin/app 00aabb\n' "$2" $(($2 + 0x9000))
		for ((k = 1; k <= $5; k++)); do
			printf '0x%x;0x%x %d %d\n' $(($2 + k * 4 % 0x9000)) $(($2 + k % 7 * 8)) "$k" $((k * $4))
		done
	} | python3 tests/lib/mkpprof.py "$1"
}
T0=1790000000

# ---------------------------------------------------------------- hosts with addresses of their own
store_start parca
store=parca://127.0.0.1:$STORE_PORT
expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none"
make_profile "$T/a.pb.gz" 0x555500000000 10 10000000 300
make_profile "$T/b.pb.gz" 0x7f0000000000 10 10000000 200
rest_push "$T/a.pb.gz" __name__=process_cpu node=host-a service=shop zone=eu && ok || no "push of host a"
rest_push "$T/b.pb.gz" __name__=process_cpu node=host-b service=shop zone=us && ok || no "push of host b"
until_true 20 visible process_cpu || no "the server does not show what was pushed"

# The store itself joins them wrongly: the premise of all that follows.
rest_merge 'process_cpu:cpu:nanoseconds:cpu:nanoseconds:delta{service="shop"}' "$T/rest.pb.gz"
[ "$(samples --outside "$T/rest.pb.gz")" -gt 0 ] && ok || no "the store rebases now: hosts need not be asked one by one"

expect 0 '2 fetched' "$PGO" fetch "$store" -o "$T/each"
for host in a b; do
	same "samples of host $host" "$(samples "$(stored "$T/each" host host-$host)")" "$(samples "$T/$host.pb.gz")"
	same "addresses outside of mappings" "$(samples --outside "$(stored "$T/each" host host-$host)")" 0
	rest_merge "process_cpu:cpu:nanoseconds:cpu:nanoseconds:delta{node=\"host-$host\"}" "$T/rest.pb.gz"
	same "samples of host $host by REST" "$(samples --columns cpu "$(stored "$T/each" host host-$host)")" "$(samples "$T/rest.pb.gz")"
done
# Joined hosts are taken apart where the addresses do not fit.
expect 0 '2 fetched' "$PGO" fetch "$store?hosts=joined" -o "$T/joined"
for host in a b; do
	same "samples of host $host" "$(samples "$(stored "$T/joined" host host-$host)")" "$(samples "$T/$host.pb.gz")"
done
expect 0 ' 0 examined' "$PGO" fetch "$store?hosts=joined" -o "$T/joined"

# Selection is the server's.
expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/s1" -s 'host="host-a"'
same "host asked for" "$(samples "$(stored "$T/s1" host host-a)")" "$(samples "$T/a.pb.gz")"
expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/s2" -s 'service=~"sh.p",zone!="eu"'
same "zone asked for" "$(samples "$(stored "$T/s2" zone us)")" "$(samples "$T/b.pb.gz")"
expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none" -s 'zone="asia"'
expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none" --since 2027-01-01
expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none" --since @$((T0 + 1)) --until @$((T0 + 9))
expect 0 '2 fetched' "$PGO" fetch "$store" -o "$T/s3" --since @$T0 --until @$((T0 + 1))
same "the second asked for" "$(samples "$(stored "$T/s3" host host-a)")" "$(samples "$T/a.pb.gz")"
expect 0 '2 fetched' "$PGO" fetch "$store" -o "$T/year" --since 2026-08-01 --until 2026-10-31
same "three months" "$(samples "$(stored "$T/year" host host-b)")" "$(samples "$T/b.pb.gz")"
for h in 1 6; do
	expect 0 '2 fetched' "$PGO" fetch "$store?window=${h}h" -o "$T/w$h"
	same "windows of $h hours" "$(samples "$(stored "$T/w$h" host host-b)")" "$(samples "$T/b.pb.gz")"
done

# A window that grew: fetched anew, in the place of what it was.
make_profile "$T/late.pb.gz" 0x555500000000 10 10000000 50
rest_push "$T/late.pb.gz" __name__=process_cpu node=host-a service=shop zone=eu
merged() {
	rest_merge 'process_cpu:cpu:nanoseconds:cpu:nanoseconds:delta{node="host-a"}' "$T/rest.pb.gz" &&
		[ "$(samples "$T/rest.pb.gz")" != "$(samples --columns cpu "$T/a.pb.gz")" ]
}
until_true 20 merged || no "the server does not show the late profile"
expect 0 '1 unchanged, 1 examined' "$PGO" fetch "$store" -o "$T/each"
same "a late profile" "$(samples "$(stored "$T/each" host host-a)")" "$(samples "$T/a.pb.gz" "$T/late.pb.gz")"
same "objects" "$(stored "$T/each" | wc -l)" 2

# Without a duration it is another type, and one that `:delta` does not find.
make_profile "$T/c.pb.gz" 0x400000 0 10000000 40
rest_push "$T/c.pb.gz" __name__=process_cpu node=host-c service=plain
no_delta() {
	curl -sS "$STORE_URL/api/profiles/types" | grep -q '"delta":false'
}
until_true 20 no_delta || no "the server does not show the profile without duration"
expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/c" -s 'service="plain"'
same "samples without duration" "$(samples "$(stored "$T/c" host host-c)")" "$(samples "$T/c.pb.gz")"

# Two periods in one window: what cannot be undone is left out, and said.
make_profile "$T/p1.pb.gz" 0x400000 10 10000000 30
make_profile "$T/p2.pb.gz" 0x400000 10 3333333 30
rest_push "$T/p1.pb.gz" __name__=process_cpu node=host-p service=periods
rest_push "$T/p2.pb.gz" __name__=process_cpu node=host-p service=periods
expect 0 'multiplies counts of samples by their period' "$PGO" fetch "$store" -o "$T/p" -s 'service="periods"'
same "the column that can be had" "$(samples "$(stored "$T/p" host host-p)")" "$(samples --columns cpu "$T/p1.pb.gz" "$T/p2.pb.gz")"

# ---------------------------------------------------------------- branch records, pushed and fetched
store_stop "$STORE_PID"
store_start parca
store=parca://127.0.0.1:$STORE_PORT
for host in web-1 web-2; do
	expect 0 '1 pieces put' "$PGO" push "$FIX/app.pb.gz" --host $host --service app "$store"
done
expect 0 '1 pieces put' "$PGO" push "$FIX/plain.pb.gz" --host web-3 --service app "$store"
until_true 20 visible process_cpu || no "the server does not show what was pushed"
three_webs() {
	[ "$(curl -sS "$STORE_URL/api/profiles/labels/node/values" | grep -o 'web-[123]' | sort -u | wc -l)" = 3 ]
}
until_true 20 three_webs || no "the server does not show three hosts"
expect 0 '3 fetched' "$PGO" fetch "$store" -o "$T/raw"
for host in web-1 web-2; do
	same "branch records of $host" "$(samples "$(stored "$T/raw" host $host)")" "$(samples "$FIX/app.pb.gz")"
done
same "plain samples" "$(samples "$(stored "$T/raw" host web-3)")" "$(samples "$FIX/plain.pb.gz")"
rest_merge 'process_cpu:lbr_traces:count:br_inst_retired_near_taken:count:delta{node="web-2"}' "$T/rest.pb.gz"
same "traces by REST" "$(samples --columns lbr_traces "$(stored "$T/raw" host web-2)")" "$(samples "$T/rest.pb.gz")"
# Addresses of the file fit wherever they come from: joined hosts stay joined.
expect 0 '1 fetched' "$PGO" fetch "$store?hosts=joined" -o "$T/one"
# shellcheck disable=SC2046 # words
same "all hosts in one" "$(samples $(stored "$T/one"))" "$(samples "$FIX/app.pb.gz" "$FIX/app.pb.gz" "$FIX/plain.pb.gz")"

# The profile for the compiler is the same by way of the store.
cp "$(stored "$T/raw" host web-1)" "$T/store.pb.gz"
for way in "$FIX/app.pb.gz:direct" "$T/store.pb.gz:store"; do
	expect 0 '' "$PGO" merge "${way%:*}" -o "$T/${way##*:}.merged.pb.gz"
	expect 0 '' "$PGO" convert "$T/${way##*:}.merged.pb.gz" --binary "$FIX/app" --clang "$T/${way##*:}.prof" --bolt "$T/${way##*:}.fdata"
done
cmp "$T/direct.prof" "$T/store.prof" && cmp "$T/direct.fdata" "$T/store.fdata" && [ -s "$T/store.fdata" ] && ok ||
	no "the profile for the compiler is another one by way of the store"

# Many samples, and the price of an unchanged store.
python3 - >"$T/many.txt" <<-'PY'
	print("type samples/count\ntype cpu/nanoseconds\ntime 1790000000\nduration 10\nperiod 1000 cpu/nanoseconds\nmapping 400000 900000 0 /bin/many 00ccdd")
	for k in range(20000):
	    print("0x%x;0x%x %d %d" % (0x400000 + k * 7, 0x500000 + k * 31 % 0x300000, k % 9 + 1, (k % 9 + 1) * 1000))
PY
python3 tests/lib/mkpprof.py "$T/many.pb.gz" <"$T/many.txt"
many=$(samples "$T/many.pb.gz" | md5sum)
expect 0 '20000 different stacks' "$PGO" push "$T/many.pb.gz" --host web-4 --service many "$store"
shows_many() {
	curl -sS "$STORE_URL/api/profiles/labels/node/values" | grep -q web-4
}
until_true 20 shows_many || no "the server does not show the many samples"
expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/many" -s 'service="many"'
same "20000 samples" "$(samples "$(stored "$T/many" host web-4)" | md5sum)" "$many"
"$PGO" fetch --json "$store" -o "$T/cold" >"$T/cold.json" && "$PGO" fetch --json "$store" -o "$T/cold" >"$T/warm.json" ||
	no "cold and warm"
same "fetched again" "$(field "$T/warm.json" unchanged) $(field "$T/warm.json" examined)" "4 0"
cold=$(field "$T/cold.json" received_bytes) warm=$(field "$T/warm.json" received_bytes)
[ $((warm * 100)) -le $((cold * 6)) ] && ok || no "an unchanged store costs $warm bytes, the first run $cold"
echo "an unchanged store costs $warm bytes of $cold"

# ---------------------------------------------------------------- lines take addresses away
printf 'type cpu/nanoseconds\ntime %s\nduration 10\nperiod 10 cpu/nanoseconds\nmapping 400000 500000 0 /bin/l 00ee\n0x400010=main;0x400100=f 10\n0x400010=main;0x400108=f 20\n' $T0 |
	python3 tests/lib/mkpprof.py "$T/lines.pb.gz"
rest_push "$T/lines.pb.gz" __name__=process_cpu node=host-l service=lines
shows_lines() {
	curl -sS "$STORE_URL/api/profiles/labels/node/values" | grep -q host-l
}
until_true 20 shows_lines || no "the server does not show the profile with lines"
"$PGO" fetch "$store" -o "$T/lines" -s 'service="lines"' >"$T/out" 2>&1
same "what the store leaves of lines" "$(samples "$(stored "$T/lines" host host-l)")" "30 cpu/nanoseconds f main"

# ---------------------------------------------------------------- the server dies in the middle, and comes back
store_stop "$STORE_PID"
store_start parca --enable-persistence "--storage-path=$T/parca.data"
store=parca://127.0.0.1:$STORE_PORT
for i in 1 2 3; do
	expect 0 'pieces put' "$PGO" push "$T/many.pb.gz" --host "h$i" --service many "$store"
done
three_hosts() {
	[ "$(curl -sS "$STORE_URL/api/profiles/labels/node/values" | grep -o '"h[1-3]"' | wc -l)" = 3 ]
}
until_true 20 three_hosts || no "the server does not show the hosts"
store_stop "$STORE_PID"
store_again "$STORE_DIR" || no "the server does not start again"
if until_true 20 three_hosts; then
	"$PGO" fetch --rate 200k --parallel 1 --tries 30 "$store" -o "$T/killed" >"$T/out" 2>&1 &
	fetching=$!
	until_true 60 sh -c "find '$T/killed/objects' -type f | grep -q ."
	store_stop "$STORE_PID" KILL
	store_again "$STORE_DIR" || no "the server does not start again"
	wait $fetching && ok || no "fetch did not outlive the server's end"
	for i in 1 2 3; do
		same "host h$i" "$(samples "$(stored "$T/killed" host h$i)" | md5sum)" "$many"
	done
else
	no "the server lost what it had"
fi
store_stop "$STORE_PID"
expect 3 'no reply' "$PGO" fetch --tries 1 "$store" -o "$T/none"
stores_end
