#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo push, from the command line: files, directories and what fetch made, into directories and back.
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

for host in 1 2 3; do
	python3 tests/lib/mkpprof.py "$T/web-$host.pb.gz" <<-TEXT
		type cpu/nanoseconds
		time 1790000000
		main;work $((host * 10)) host=web-$host
	TEXT
done

# Into a directory by a template, found there again with its labels.
code 0 "$PGO" push --service shop "$T"/web-?.pb.gz "$T/store/{service}/{date}/{host}/"
says '3 profiles of 3 files: 3 pieces put'
[ -s "$T/stderr" ] && no "a warning though the name keeps the label" || ok
[ "$(find "$T/store/shop/2026-09-21" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 3 ] && ok || no "not a directory for each host"
code 0 "$PGO" push --json --service shop "$T"/web-?.pb.gz "$T/store/{service}/{date}/{host}/"
says '"present": 3'
says '"bytes": 0'
for f in "$T"/store/shop/*/*/*; do
	[ "$(sha256sum <"$f" | cut -c1-64)" = "$(basename "$f" .pb.gz)" ] && ok || no "$f is not what it is called"
done
code 0 "$PGO" fetch "$T/store" -o "$T/raw"
says '3 fetched'

# What fetch made goes on with its manifest's labels.
code 0 "$PGO" push "$T/raw" "$T/second/{host}"
[ -d "$T/second/web-2" ] && ok || no "the manifest's labels were not used"
[ "$(find "$T/second" -type f | wc -l)" = 3 ] && ok || no "not every object was pushed"

# Refusals: torn, no profile, no such kind of store, a label that is missing, one that would get lost.
head -c 60 "$T/web-1.pb.gz" >"$T/torn.pb.gz"
code 3 "$PGO" push "$T/torn.pb.gz" "$T/third"
says 'torn.pb.gz' stderr
[ -e "$T/third" ] && no "something was written for a torn profile" || ok
code 2 "$PGO" push "$T/web-1.pb.gz" "$T/{zone}/"
says 'zone' stderr
code 2 "$PGO" push "$T/web-1.pb.gz" "http://127.0.0.1:9/"
says 'takes no profiles' stderr
code 2 "$PGO" push "$T/web-1.pb.gz"
says 'where to' stderr
code 0 "$PGO" push --label zone=a "$T/web-1.pb.gz" "$T/fourth"
says '\{NAME\}' stderr
code 0 "$PGO" push -n "$T/web-1.pb.gz" "$T/fifth"
[ -e "$T/fifth" ] && no "a dry run wrote something" || ok
code 3 "$PGO" push "$T/none.pb.gz" "$T/sixth"

# Killed at any moment, no torn file is left under a name; the next run completes.
mkdir "$T/many"
for i in $(seq 40); do
	printf 'type cpu/nanoseconds\ntime %d\nmain;work;f%d %d\n' $((1790000000 + i)) "$i" "$i" |
		python3 tests/lib/mkpprof.py "$T/many/$i.pb.gz"
done
for ms in 5 10 20 40 80; do
	timeout -s KILL "0.0$(printf %02d $ms)" "$PGO" push "$T/many" "$T/killed" >/dev/null 2>&1
	for f in "$T"/killed/*.pb.gz; do
		[ -e "$f" ] || continue
		[ "$(sha256sum <"$f" | cut -c1-64)" = "$(basename "$f" .pb.gz)" ] || no "$f is torn"
	done
done
code 0 "$PGO" push "$T/many" "$T/killed"
[ "$(find "$T/killed" -name '*.pb.gz' | wc -l)" = 40 ] && ok || no "not all are there in the end"

echo "$good passed, $bad failed"
[ "$bad" = 0 ]
