#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo canary on fleets of which the truth is known: rolls a slower build back, lets an equal one go on, waits where it
# cannot know, remembers between runs, and says all that by exit codes.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
export PGO_NOW=2026-11-21T12:00:00Z

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}
# code WANT COMMAND...: exit code, output in $T/stdout and $T/stderr
code() {
	local want=$1 got=0
	shift
	timeout 60 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || got=$?
	[ "$got" = "$want" ] && ok || { no "$*: exit $got, want $want"; sed 's/^/    /' "$T/stdout" "$T/stderr"; }
}
says() {
	grep -q -- "$1" "$T/stdout" "$T/stderr" && ok || { no "not said: $1"; sed 's/^/    /' "$T/stdout" "$T/stderr"; }
}
fleet() {
	local dir=$1
	shift
	python3 tests/lib/fleet.py "$T/$dir" work="$T/work.csv" hosts=12 samples=40000 "$@" || exit 1
}

then=start=1763900000
fleet slow prefix=new change=0.10 seed=1
fleet equal prefix=new seed=2
fleet control prefix=old seed=3 load=1.15
fleet new-before prefix=new seed=4 $then
fleet old-before prefix=old seed=5 $then load=1.15
before=(--canary-before "$T/new-before" --control-before "$T/old-before" --work "$T/work.csv")

# A build that costs 8 % more is rolled back; the truth is in the interval.
code 1 "$PGO" canary "${before[@]}" --once --json "$T/slow" -- "$T/control"
python3 - "$T/stdout" <<'PY' && ok || no "the interval does not hold the truth of +8 %"
import json, sys
v = json.load(open(sys.argv[1]))
assert v["decision"] == "roll_back" and v["kind"] == "canary"
assert 0 < v["low"] < 0.08 < v["high"], v
PY

# An equal one goes on, if 3 % is tolerated; that none at all is lost would never be known.
code 0 "$PGO" canary "${before[@]}" --once --tolerate 3 "$T/equal" -- "$T/control"
says 'go on'
code 2 "$PGO" canary "${before[@]}" --once --tolerate 0 "$T/equal" -- "$T/control"
code 10 "$PGO" canary --work "$T/work.csv" --once --tolerate 0.1 "$T/equal" -- "$T/control"
says 'wait'

# Several looks end after their number; the state goes on where it was, and what was excluded stays so.
code 10 "$PGO" canary --work "$T/work.csv" --looks 2 --every 1ms --tolerate 0.1 --state "$T/state" "$T/equal" -- "$T/control"
[ "$(wc -l <"$T/stdout")" = 2 ] && ok || no "two looks are not two lines"
code 10 "$PGO" canary --work "$T/work.csv" --once --tolerate 0.1 --state "$T/state" "$T/equal" -- "$T/control"
says 'look 3'
code 2 "$PGO" canary --work "$T/work.csv" --once --tolerate 2 --state "$T/state" "$T/equal" -- "$T/control"
says 'tolerate 0.1'
python3 - "$T/state" <<'PY'
import json, sys
v = json.load(open(sys.argv[1]))
v["exact_low"] = (0.01).hex()
json.dump(v, open(sys.argv[1], "w"))
PY
code 1 "$PGO" canary --work "$T/work.csv" --once --tolerate 0.1 --state "$T/state" "$T/equal" -- "$T/control"
echo '{"kind": "other"}' >"$T/state"
code 3 "$PGO" canary --work "$T/work.csv" --once --state "$T/state" "$T/equal" -- "$T/control"
says 'no state of pgo canary'

# Nothing there yet is no error, and too little of it none either.
mkdir "$T/empty" "$T/one" && cp "$T/equal/new00.pb.gz" "$T/one"
code 20 "$PGO" canary --same-work --once --state "$T/early" "$T/empty" -- "$T/control"
says 'no data'
code 20 "$PGO" canary --same-work --once --state "$T/early" "$T/one" -- "$T/control"
says 'two hosts'
code 3 "$PGO" canary --same-work --once "$T/nowhere" -- "$T/control"

# Usage.
code 2 "$PGO" canary --same-work "$T/equal"
says 'CANARY'
code 2 "$PGO" canary --same-work --canary-before "$T/new-before" --once "$T/equal" -- "$T/control"
says 'both arms'
code 2 "$PGO" canary --same-work --work "$T/work.csv" --once "$T/equal" -- "$T/control"
says 'give one'

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
