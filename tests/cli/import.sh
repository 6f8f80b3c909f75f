#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo import: names of outputs, options, every refusal with its exit code, and that failures leave nothing behind.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/lib/fixture.sh
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
fixture
T=$(mktemp -d) && trap 'chmod -R u+w "$T"; rm -rf "$T"' EXIT
good=0 bad=0
mkperf=$B/emu/mkperf

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}
# fails CODE PART COMMAND...: exit code, a sentence on stderr that holds PART, nothing on stdout
fails() {
	local code=$1 part=$2
	shift 2
	"$@" >"$T/stdout" 2>"$T/stderr"
	local rc=$?
	[ "$rc" = "$code" ] && ok || no "exit code $rc, not $code: $*"
	grep -qF -- "$part" "$T/stderr" && ok || no "no \"$part\" on stderr: $* ($(head -c 200 "$T/stderr"))"
	[ ! -s "$T/stdout" ] && ok || no "something on stdout: $*"
}
works() {
	"$@" >"$T/stdout" 2>"$T/stderr" && ok || no "$(head -n 1 "$T/stderr"): $*"
}
small() {
	"$mkperf" --start-time 1790000000 --host web-1 --max-samples 40 "$@" "$FIX/app.ring"
}
sole() {
	set -- "$1"/*
	[ $# = 1 ] && [ -e "$1" ] && echo "$1"
}

# ---- names, determinism, what is printed
small -o "$T/a.perf"
works "$PGO" import "$T/a.perf" -o "$T/one"
name=$(basename "$(sole "$T/one")")
[[ $name =~ ^web-1-app-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}\.pb\.gz$ ]] && ok || no "an odd name: $name"
[ "$(sha256sum <"$T/one/$name" | head -c 12)" = "${name: -18:12}" ] && ok || no "the name does not hold the digest"
grep -qF "$T/one/$name: 40 samples, 1280 branches of app" "$T/stdout" && ok || no "the profile is not printed"
works "$PGO" import "$T/a.perf" -o "$T/two"
diff -r "$T/one" "$T/two" >/dev/null && ok || no "a second run gives other bytes"
works "$PGO" import "$T/a.perf" -o "$T/one"
[ "$(sole "$T/one")" = "$T/one/$name" ] && ok || no "importing again adds a file"
gzip -k "$T/a.perf" && touch -r "$T/a.perf" "$T/a.perf.gz"
works "$PGO" import "$T/a.perf.gz" -o "$T/gz"
# The same but for the recording that each was made from, which is another file or none.
bare() {
	"$PGO" merge -q --keep-labels --no-origins "$1"/* -o "$1.bare"
}
bare "$T/gz" && bare "$T/one" && cmp -s "$T/gz.bare" "$T/one.bare" && ok || no "through gzip it is another profile"
works "$PGO" import --time @1790000000 "$T/a.perf" -o "$T/timed"
works "$PGO" import --time @1790000000 - -o "$T/stdin" <"$T/a.perf"
bare "$T/timed" && bare "$T/stdin" && cmp -s "$T/timed.bare" "$T/stdin.bare" && ok || no "standard input gives another profile"
works "$PGO" import --json "$T/a.perf" -o "$T/one"
python3 - "$T/stdout" <<'PY' && ok || no "--json is not what it should be"
import json, sys
d = json.load(open(sys.argv[1]))
assert len(d) == 1 and d[0]["kind"] == "perf.data" and d[0]["account"]["branches"] == 1280, d
assert d[0]["profiles"][0]["samples"] == 40 and d[0]["profiles"][0]["group"] == "app", d
PY
works "$PGO" import --host '../../etc/x y' --no-labels "$T/a.perf" -o "$T/evil"
name=$(basename "$(sole "$T/evil")")
[[ $name == _._.._etc_x_y-app-* ]] || [[ $name == *etc_x_y-app-* && $name != */* && $name != .* ]] && ok || no "an unsafe name: $name"

# ---- one profile a program, or one in all; labels
"$mkperf" -o "$T/two.perf" --comm other --pid 77 --host web-1 --start-time 1790000000 --max-samples 30 "$FIX/app.ring"
works "$PGO" import "$T/a.perf" "$T/two.perf" -o "$T/both"
[ "$(find "$T/both" -type f | wc -l)" = 2 ] && ok || no "two recordings, not two profiles"
works "$PGO" import --service shop --version 1.2 "$T/a.perf" -o "$T/labels"
gzip -dc "$T"/labels/*.gz | grep -qa shop && ok || no "--service is no label"
works "$PGO" import --service shop --no-labels "$T/a.perf" -o "$T/nolabels"
! gzip -dc "$T"/nolabels/*.gz | grep -qa shop && ok || no "--no-labels labels"

# ---- the ELF: at its path, given, not to be looked for
works "$PGO" import --no-search "$T/a.perf" -o "$T/offsets"
works "$PGO" import --no-search --binary "$FIX/app" "$T/a.perf" -o "$T/given"
works "$PGO" convert "$T"/offsets/*.pb.gz --binary "$FIX/app" --bolt "$T/offsets.fdata"
works "$PGO" convert "$T"/given/*.pb.gz --binary "$FIX/app" --bolt "$T/given.fdata"
cmp -s "$T/offsets.fdata" "$T/given.fdata" && [ -s "$T/given.fdata" ] && ok || no "file offsets convert to something else"

# ---- usage
fails 2 "no recording" "$PGO" import -o "$T/x"
fails 2 "-o DIR" "$PGO" import "$T/a.perf"
fails 2 "--binari" "$PGO" import --binari x "$T/a.perf" -o "$T/x"
fails 3 "no event \"nosuch\"" "$PGO" import --event nosuch "$T/a.perf" -o "$T/x"
fails 3 "$T/nosuch" "$PGO" import "$T/nosuch" -o "$T/x"
fails 3 "$T/nosuch.elf" "$PGO" import --binary "$T/nosuch.elf" "$T/a.perf" -o "$T/x"

# ---- refusals
small --mode callstack -o "$T/callstack.perf"
fails 3 "record with perf record -b" "$PGO" import "$T/callstack.perf" -o "$T/x"
small -o "$T/cut.perf" && truncate -s 9000 "$T/cut.perf"
fails 3 "cut off at byte 9000" "$PGO" import "$T/cut.perf" -o "$T/x"
gzip -c "$T/a.perf" | head -c 1000 >"$T/cut.gz"
fails 3 "cut.gz" "$PGO" import "$T/cut.gz" -o "$T/x"
head -c 100000 /dev/urandom >"$T/noise"
fails 3 "no profile that pgo knows" "$PGO" import "$T/noise" -o "$T/x"
fails 2 "--binary" "$PGO" import "$FIX/app.brstack" -o "$T/x"
fails 3 "limit" "$PGO" import --max-size 4k "$T/a.perf.gz" -o "$T/x"
[ -z "$(ls "$T/x" 2>/dev/null)" ] && ok || no "refused recordings leave $(ls "$T/x")"

# ---- a bad file does not keep the others from it
"$PGO" import "$T/noise" "$T/a.perf" "$T/cut.perf" -o "$T/some" >"$T/stdout" 2>"$T/stderr"
[ $? = 3 ] && [ -n "$(sole "$T/some")" ] && [ "$(wc -l <"$T/stderr")" = 2 ] && ok || no "one bad file of three: $(cat "$T/stderr")"

# ---- places that cannot be written
fails 3 "$T/a.perf/sub" "$PGO" import "$T/a.perf" -o "$T/a.perf/sub"
if [ "$(id -u)" != 0 ]; then
	mkdir "$T/ro" && chmod a-w "$T/ro"
	fails 3 "$T/ro" "$PGO" import "$T/a.perf" -o "$T/ro"
fi
"$PGO" import "$T/a.perf" -o "$T/one" >/dev/full 2>"$T/stderr"
[ $? = 3 ] && grep -q "standard output" "$T/stderr" && ok || no "a full standard output goes unnoticed"

# ---- a recording and what was imported from it count once
works "$PGO" merge -q "$T/a.perf" -o "$T/sole.pb.gz"
works "$PGO" merge "$T/one" "$T/a.perf" -o "$T/both.pb.gz"
grep -q "was made from .*a.perf, which is given as well" "$T/stderr" && ok || no "counted twice: $(cat "$T/stderr")"
cmp -s "$T/sole.pb.gz" "$T/both.pb.gz" && ok || no "a recording and its profile count twice"

# ---- recordings of other kinds
works "$PGO" import "$FIX/app.gperf" -o "$T/gperf"
grep -q "gperftools" "$T/stdout" && grep -q "10 samples of app" "$T/stdout" && ok || no "gperftools: $(cat "$T/stdout")"
works "$PGO" import "$T/one/"* -o "$T/again"
works "$PGO" import - -o "$T/piped" <"$(sole "$T/one")"
bare "$T/again" && bare "$T/piped" && cmp -s "$T/again.bare" "$T/piped.bare" && ok || no "a pprof from standard input is another"

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
