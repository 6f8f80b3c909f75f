#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch, from the command line: a directory into the raw layout, twice, selected, killed, and handed to merge.
# shellcheck disable=SC2013 # digests have no blanks
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}
code() {
	local want=$1 got=0
	shift
	timeout 60 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || got=$?
	[ "$got" = "$want" ] && ok || { no "$*: exit $got, want $want"; sed 's/^/    /' "$T/stderr"; }
}
says() {
	grep -qE -- "$1" "$T/${2:-stdout}" && ok || { no "no /$1/ in:"; sed 's/^/    /' "$T/${2:-stdout}"; }
}
lines() {
	wc -l <"$1/manifest.jsonl" | tr -d ' '
}
# Every line has its object and every object its line, with the right digest.
whole() {
	local d
	for d in $(sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p' "$1/manifest.jsonl"); do
		[ "$(sha256sum <"$1/objects/${d:0:2}/$d" | cut -c1-64)" = "$d" ] || return 1
	done
	[ "$(find "$1/objects" -type f | wc -l)" = "$(lines "$1")" ] && [ -z "$(ls -A "$1/.tmp")" ]
}

for host in 1 2 3; do
	for day in 0 1; do
		mkdir -p "$T/store/web-$host"
		python3 tests/lib/mkpprof.py "$T/store/web-$host/day$day" <<-TEXT
			type cpu/nanoseconds
			time $((1790000000 + day * 86400))
			main;work $((host * 10 + day)) host=web-$host service=shop
		TEXT
	done
done
echo "not a profile" >"$T/store/notes.txt"
before=$(cd "$T/store" && find . -type f -exec sha256sum {} + | sort | sha256sum)

code 0 "$PGO" fetch "$T/store" -o "$T/raw"
says '7 objects listed: 0 unchanged, 7 examined'
says '6 fetched .* 1 no profiles, 0 failed'
[ "$(lines "$T/raw")" = 6 ] && whole "$T/raw" && ok || no "the raw layout is not whole"
grep -q '"source":"store/web-1/day0","host":"web-1","service":"shop"' "$T/raw/manifest.jsonl" && ok || no "the manifest does not say where a profile came from"
grep -q "$T" "$T/raw/manifest.jsonl" && no "the manifest holds a path of this machine" || ok
cp "$T/raw/manifest.jsonl" "$T/first"
code 0 "$PGO" fetch "$T/store" -o "$T/raw" --json
python3 -c 'import json,sys; s=json.load(open(sys.argv[1])); assert s["unchanged"] == 7 and s["examined"] == 0 and s["fetched"] == 0, s' "$T/stdout" && ok || no "a second run opens objects again"
cmp -s "$T/first" "$T/raw/manifest.jsonl" && ok || no "a second run changes the manifest"
[ "$(cd "$T/store" && find . -type f -exec sha256sum {} + | sort | sha256sum)" = "$before" ] && ok || no "the source was changed"

# selection
code 0 "$PGO" fetch "$T/store" -o "$T/sel" --select 'host=~"web-[12]"' --select 'service="shop"' --since @1790080000
[ "$(lines "$T/sel")" = 2 ] && ok || no "selection took $(lines "$T/sel") profiles, want 2"
code 20 "$PGO" fetch "$T/store" -o "$T/sel2" -s 'host="db"'
says 'nothing to store' stderr
code 2 "$PGO" fetch "$T/store" -o "$T/sel2" -s 'host'
says 'selector' stderr

# merge of what was fetched takes host and time from the manifest
code 0 "$PGO" merge "$T/raw" -o "$T/merged" --half-life 1d --explain
says '^store/web-1/day0 .*web-1 .*0\.500000'
says '6 of 6 profiles, 3 hosts'
code 0 "$PGO" merge -q "$T/raw" -o "$T/a.pb.gz"
code 0 "$PGO" merge -q "$T/store" -o "$T/b.pb.gz"
cmp -s "$T/a.pb.gz" "$T/b.pb.gz" && ok || no "the fetched profiles merge to something else than the store's"

# killed at any time: the next run completes, and then there is nothing left to do
mkdir "$T/many"
for i in $(seq 1 150); do
	echo "main;f$i $i host=h$((i % 5))"
done >"$T/text"
for i in $(seq 1 150); do
	{ echo "time $((1790000000 + i))"; head -n "$i" "$T/text"; } | python3 tests/lib/mkpprof.py "$T/many/$i"
done
for delay in 0.002 0.005 0.01 0.015 0.02 0.03 0.04 0.06; do
	"$PGO" fetch -q "$T/many" -o "$T/killed" >/dev/null 2>&1 &
	pid=$!
	sleep "$delay"
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
done
code 0 "$PGO" fetch -q "$T/many" -o "$T/killed"
[ -s "$T/stdout" ] && no "-q is not quiet" || ok
[ "$(lines "$T/killed")" = 150 ] && whole "$T/killed" && ok || no "after kills the directory is not whole: $(lines "$T/killed") lines"
code 0 "$PGO" fetch "$T/many" -o "$T/killed"
says '150 unchanged, 0 examined'
code 0 "$PGO" fetch "$T/many" -o "$T/straight"
cmp -s "$T/killed/manifest.jsonl" "$T/straight/manifest.jsonl" && ok || no "a killed fetch ends with another manifest than a straight one"

# killed after it had taken an object over from a killed run and then met its source: the journal has both lines
cp -r "$T/straight" "$T/twice"
sed 's/"source":"[^"]*"/"source":""/; s/"source_size":[0-9]*/"source_size":0/; s/"source_mtime_ns":[0-9]*/"source_mtime_ns":0/' \
	"$T/straight/manifest.jsonl" >"$T/twice/.journal.jsonl"
cat "$T/straight/manifest.jsonl" >>"$T/twice/.journal.jsonl"
rm "$T/twice/manifest.jsonl"
code 0 "$PGO" fetch "$T/many" -o "$T/twice"
says '150 unchanged, 0 examined'
cmp -s "$T/twice/manifest.jsonl" "$T/straight/manifest.jsonl" && ok || no "objects taken over forget where they came from"

# The machine went down before the disk had everything: an object that has its size but not its bytes is found.
one=$(find "$T/twice/objects" -type f | sort | head -n 1)
cp "$one" "$T/one" && printf 'x' | dd of="$one" bs=1 seek=30 conv=notrunc 2>/dev/null
code 0 "$PGO" fetch "$T/many" -o "$T/twice"
says '150 unchanged, 0 examined'
echo 00000000-0000-0000-0000-000000000000 >"$T/twice/.unsynced"
code 0 "$PGO" fetch "$T/many" -o "$T/twice"
says 'missing or damaged; it is fetched again' stderr
says '149 unchanged, 1 examined'
cmp -s "$one" "$T/one" && ok || no "the damaged object is still there"
cmp -s "$T/twice/manifest.jsonl" "$T/straight/manifest.jsonl" && ok || no "an object fetched again changes the manifest"

# branch stacks as text, without a map: stored, though only a later stage knows the program
mkdir "$T/text.store"
printf '%s\n' ' 401160 0x401150/0x401160/P/-/-/0 0x401166/0x401140/M/-/-/0' >"$T/text.store/stacks.txt"
code 0 "$PGO" fetch "$T/text.store" -o "$T/text.raw"
grep -q '"kind":"brstack","source":"text.store/stacks.txt"' "$T/text.raw/manifest.jsonl" && ok || no "branch stacks in text form are not stored"
code 20 "$PGO" merge "$T/text.raw" -o "$T/merged"
says 'warning: .*binary.*, skipping' stderr
cp -r "$T/raw/objects" "$T/text.raw/" # without lines: adopted
code 0 "$PGO" fetch -q "$T/text.store" -o "$T/text.raw"
code 0 "$PGO" merge -q "$T/text.raw" -o "$T/c.pb.gz"
cmp -s "$T/a.pb.gz" "$T/c.pb.gz" && ok || no "an object of no use changes the merge of the others"

# two at once
exec 8>"$T/raw/.lock" && flock 8
code 3 "$PGO" fetch "$T/store" -o "$T/raw"
says 'another fetch is writing' stderr
exec 8>&-

# what cannot be
code 3 "$PGO" fetch "$T/nowhere" -o "$T/x"
says 'nowhere.*No such file' stderr
code 2 "$PGO" fetch gopher://host/x -o "$T/x"
says 'no kind of store called .gopher.' stderr
code 2 "$PGO" fetch -o "$T/x"
code 2 "$PGO" fetch "$T/store"
mkdir "$T/bare"
code 20 "$PGO" fetch "$T/bare" -o "$T/x"
code 3 "$PGO" fetch "$T/store" -o "$T/store/notes.txt"
says 'notes.txt' stderr
head -c 60 "$T/store/web-1/day0" >"$T/bare/cut" && cp "$T/store/web-2/day0" "$T/bare/good"
code 0 "$PGO" fetch "$T/bare" -o "$T/partly"
says '1 failed'
says 'warning: bare/cut: .*skipping' stderr

# A sample: every host gives as many; what is missing is said; the numbers add up.
code 0 "$PGO" fetch "$T/store" -o "$T/sample" --max-profiles 3 --coverage
says 'coverage: 3 of 6 profiles taken, of 3 hosts'
says '3 left where they are, beyond --max-profiles'
[ "$(sed 's/.*"host":"\([^"]*\)".*/\1/' "$T/sample/manifest.jsonl" | sort -u | wc -l)" = 3 ] && ok || no "the sample is not of all hosts"
cp "$T/sample/manifest.jsonl" "$T/sample.first"
code 0 "$PGO" fetch "$T/store" -o "$T/sample" --max-profiles 3 --since 2026-09-20 --until 2026-09-24 --json
cmp -s "$T/sample.first" "$T/sample/manifest.jsonl" && ok || no "the same question gave another sample"
python3 - "$T/stdout" <<-'PY' && ok || no "the numbers do not add up"
	import json, sys
	d = json.load(open(sys.argv[1]))
	c = d["coverage"]
	assert d["listed"] == d["unchanged"] + d["examined"] + d["not_taken"], d
	assert c["taken"] == sum(h["taken"] for h in c["hosts"]) == sum(b["taken"] for b in c["builds"]) == 3
	assert c["there"] == sum(h["there"] for h in c["hosts"]) == 6
	assert c["first_day"] == "2026-09-20" and c["last_day"] == "2026-09-23"
	assert d["asked"]["max_profiles"] == 3 and d["asked"]["since"] == "2026-09-20T00:00:00Z"
	assert all(len(h["days_missing"]) == h["days_missing_in_all"] == 2 for h in c["hosts"]), c
	assert all(s["profiles"] == s["addressed"] + s["symbol_only"] + s["erased"] + s["blank"] for s in d["sources"]), d
PY
code 0 "$PGO" fetch "$T/store" -o "$T/by" --by-host service --select 'host="shop"' --type cpu
says '6 fetched'
code 20 "$PGO" fetch "$T/store" -o "$T/none" --type lbr_traces
code 2 "$PGO" fetch "$T/store" -o "$T/none" --deadline 1000d
code 2 "$PGO" fetch 'ftp://u:hunter2@h/' -o "$T/none"
says 'no kind of store' stderr
grep -q hunter2 "$T/stderr" && no "a password in a message" || ok

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
