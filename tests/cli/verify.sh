#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Verdicts on real recordings: a program against itself changes nothing; against a slower one the difference is named, the gate closes, and
# text and JSON agree.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}

# Three random parts of one recording a side: nothing but noise between them.
for i in 1 2 3 4 5 6; do
	"$B/emu/mkperf" -o "$T/$i.perf" --mode ip --aslr $i --max-samples 2000 --seed $i "$FIX/app.ring" || exit 1
done
code=0
"$PGO" verify "$T"/[123].perf -- "$T"/[456].perf --binary "$FIX/app" --fail-if 'regression>2%,overlap<90%' --json >"$T/same.json" 2>"$T/stderr" || code=$?
check "the program against itself passes its gates (exit $code: $(cat "$T/stderr"))" [ "$code" = 0 ]
check "and is a valid verdict with names and verdicts" python3 - "$T/same.json" <<'PY'
import json, sys
v = json.load(open(sys.argv[1]))
assert v["kind"] == "verdict" and v["overlap"] > 0.9 and not v["failed"]
assert len(v["findings"]) >= 3 and v["schema"] == 2 and v["design"]["name"] != "counts"
for f in v["findings"]:
    assert f["verdict"] in ("regressed", "improved", "unchanged", "moved", "unclear") and f["name"]
assert not [f for f in v["findings"] if f["verdict"] == "regressed" and f["change"] > 0.2]
PY

# Another program: little in common, and the gate says so with exit 1.
tests/emu/record.sh -e branches -p 997 -o "$T/other.ring" -- "$FIX/app.other" >/dev/null || exit 1
"$B/emu/mkperf" -o "$T/other.perf" --mode ip "$T/other.ring" || exit 1
code=0
"$PGO" verify "$T/1.perf" -- "$T/other.perf" --before-binary "$FIX/app" --after-binary "$FIX/app.other" --fail-if 'overlap<99.9%' >"$T/text" 2>"$T/stderr" || code=$?
check "a gate that fails is exit 1 (got $code: $(cat "$T/stderr"))" [ "$code" = 1 ]
check "and is named in the text" grep -q 'gate overlap<99.9%: FAILED' "$T/text"

# A side may be a directory.
mkdir "$T/before" "$T/after" && cp -p "$T"/[123].perf "$T/before" && cp -p "$T"/[456].perf "$T/after"
"$PGO" verify "$T/before" -- "$T/after" --binary "$FIX/app" --json >"$T/dirs.json" 2>&1
check "directories give the verdict of their files" cmp -s "$T/dirs.json" <("$PGO" verify "$T"/[123].perf -- "$T"/[456].perf --binary "$FIX/app" --json)
mkdir "$T/none"
fails 20 'no profile in this directory' "$PGO" verify "$T/none" -- "$T/after"

# Usage and input.
fails 2 'after' "$PGO" verify "$T/1.perf"
fails 2 'gate' "$PGO" verify "$T/1.perf" -- "$T/2.perf" --fail-if 'speed>1%'
fails 2 'same-work' "$PGO" verify "$T/1.perf" -- "$T/2.perf" --fail-if 'total>1%'
fails 3 'wall' "$PGO" verify "$T/1.perf" -- "$T/2.perf" --sample-type wall
fails 3 "$T/nowhere" "$PGO" verify "$T/1.perf" -- "$T/nowhere"
finish
