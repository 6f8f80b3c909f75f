#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch and pgo push against a real Profefe server, with curl and Go's pprof as the other clients.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/lib/fixture.sh
. tests/stores/lib.bash
stores_begin profefe
fixture
store_start profefe
api=$STORE_URL/api/0 store=profefe://127.0.0.1:$STORE_PORT

# post FILE SERVICE TYPE LABELS [CREATED_AT]: by curl; LABELS with its escapes
post() {
	curl -sS -f -o "$T/posted" --data-binary "@$1" "$api/profiles?service=$2&type=$3&labels=$4${5:+&created_at=$5}"
}
# digests DIR: of the stored objects
digests() {
	sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p' "$1/manifest.jsonl" | sort
}
# field FILE NAME: a number of the JSON that --json prints
field() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}
# records DIR KEY...: what the manifest says, a line each, sorted
records() {
	python3 - "$@" <<-'PY' | sort
		import json, sys
		for line in open(sys.argv[1] + "/manifest.jsonl"):
		    r = json.loads(line)
		    r.update(dict(r["labels"]))
		    print(*(r.get(k, "-") for k in sys.argv[2:]))
	PY
}

expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none"

# Three hosts with bases of their own, an hour apart and not in the order of their times; a service with a slash.
mkdir "$T/pushed"
for i in 3 1 2; do
	base=$((0x555500000000 + i * 0x10000000000))
	{
		echo "type samples/count"
		echo "type cpu/nanoseconds"
		echo "time $((1790000000 + i * 3600))"
		printf 'mapping %x %x 1000 /bin/app 00%dbb\n' $base $((base + 0x9000)) 1
		for k in $(seq 400); do
			printf '0x%x;0x%x %d %d cpu=c%d\n' $((base + k * 16)) $((base + k * 32 % 0x9000)) "$k" $((k * 1000)) $((k % 3))
		done
	} | python3 tests/lib/mkpprof.py "$T/pushed/$i.pb.gz"
	post "$T/pushed/$i.pb.gz" shop%2Fweb cpu "host%3Dweb-$i,zone%3Deu%25201" && ok || no "push of host $i"
done
post "$FIX/app.pb.gz" lbr other "host%3Dweb-1,version%3D1.2" && ok || no "push of the branch profile"
post "$FIX/plain.pb.gz" lbr cpu "host%3Dweb-2" && ok || no "push of the plain profile"
cp "$FIX/app.pb.gz" "$T/pushed/"
cp "$FIX/plain.pb.gz" "$T/pushed/"
printf 'type inuse_space/bytes\ntime 1790000000\nmain 7\n' | python3 tests/lib/mkpprof.py "$T/heap.pb.gz"
post "$T/heap.pb.gz" lbr heap "host%3Dweb-1" && ok || no "push of the heap profile"

# Everything of CPU time and branches, byte for byte, each with what the store says of it.
expect 0 '5 fetched' "$PGO" fetch "$store" -o "$T/raw"
same "bytes fetched" "$(digests "$T/raw")" "$(sha256sum "$T"/pushed/* | cut -c1-64 | sort)"
same "labels" "$(records "$T/raw" service host version zone)" "lbr web-1 1.2 -
lbr web-2  -
shop/web web-1  eu 1
shop/web web-2  eu 1
shop/web web-3  eu 1"
for id in $(curl -sS "$api/profiles?service=shop/web&type=cpu&from=2026-01-01T00:00:00&to=2027-01-01T00:00:00" |
	python3 -c 'import json, sys; print(*(p["id"] for p in json.load(sys.stdin)["body"]))'); do
	digest=$(curl -sS "$api/profiles/$id" | sha256sum | cut -c1-64)
	[ -s "$T/raw/objects/${digest:0:2}/$digest" ] && ok || no "curl gets profile $id otherwise than pgo"
done

# Selection: by what the store says, whatever order profiles came in; by time.
expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/one" --select 'service="shop/web",host="web-2"'
same "the host asked for" "$(records "$T/one" host)" web-2
expect 0 '3 fetched' "$PGO" fetch "$store" -o "$T/zone" --select 'zone="eu 1"'
expect 0 '2 objects listed' "$PGO" fetch "$store" -o "$T/not" --select 'service=~"shop.*",host!="web-1"'
expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/time" --since @1790003600 --until @1790007200
same "the hour asked for" "$(records "$T/time" host)" web-1
expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none" --since 2027-01-01
expect 20 'nothing to store' "$PGO" fetch "$store" -o "$T/none" --select 'service="shop"'

# An unchanged store costs the listing.
"$PGO" fetch --json "$store" -o "$T/cold" >"$T/cold.json" && "$PGO" fetch --json "$store" -o "$T/cold" >"$T/warm.json" ||
	no "cold and warm"
same "fetched again" "$(field "$T/warm.json" unchanged) $(field "$T/warm.json" examined)" "5 0"
cold=$(field "$T/cold.json" received_bytes) warm=$(field "$T/warm.json" received_bytes)
[ $((warm * 100)) -le $((cold * 6)) ] && ok || no "an unchanged store costs $warm bytes, the first run $cold"
echo "an unchanged store costs $warm bytes of $cold"

# Through the store and merged, the same as without.
for way in direct store; do
	if [ $way = direct ]; then mkdir "$T/in" && cp "$FIX/app.pb.gz" "$T/in/"; else
		expect 0 '1 fetched' "$PGO" fetch "$store" -o "$T/in2" --select 'service="lbr",host="web-1"'
	fi
done
expect 0 '' "$PGO" merge "$T/in/app.pb.gz" -o "$T/direct.pb.gz"
expect 0 '' "$PGO" merge "$T/in2" -o "$T/store.pb.gz"
for way in direct store; do
	expect 0 '' "$PGO" convert "$T/$way.pb.gz" --binary "$FIX/app" --clang "$T/$way.prof" --bolt "$T/$way.fdata"
done
cmp "$T/direct.prof" "$T/store.prof" && cmp "$T/direct.fdata" "$T/store.fdata" && [ -s "$T/store.prof" ] && ok ||
	no "the profile for the compiler is another one by way of the store"
# Go's pprof merges what was fetched as it merges what was pushed.
if command -v go >/dev/null; then
	raw() {
		go tool pprof -raw "$@" 2>/dev/null | sed -n '/^Samples:/,/^Mappings/p' | grep -v '^Mappings'
	}
	# shellcheck disable=SC2046 # words
	same "samples as Go's pprof sees them" \
		"$(raw $(find "$T/zone/objects" -type f) | md5sum)" "$(raw $(sha256sum "$T"/pushed/[123].pb.gz | sort | sed 's/.* //') | md5sum)"
fi

# The server dies while a fetch is at it, and comes back.
rm -rf "$T/raw"
"$PGO" fetch --rate 10k --parallel 1 --tries 30 --json "$store" -o "$T/raw" >"$T/json" 2>"$T/out" &
fetching=$!
until_true 60 sh -c "find '$T/raw/objects' -type f | grep -q ."
store_stop "$STORE_PID" KILL
store_again "$STORE_DIR" || no "the server does not start again"
wait $fetching && ok || no "fetch did not outlive the server's end"
same "all there" "$(digests "$T/raw")" "$(sha256sum "$T"/pushed/* | cut -c1-64 | sort)"

# Servers that are something else.
expect 3 'no interface of Profefe' "$PGO" fetch "$store/prefix" -o "$T/none"
expect 2 'no host in this address' "$PGO" fetch profefe:// -o "$T/none"
expect 2 'must not hold a user or a password' "$PGO" fetch "profefe://me:secret@127.0.0.1:$STORE_PORT" -o "$T/none"
stores_end
