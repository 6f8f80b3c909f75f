#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo tune: fleets of which the best half-life and cap are known.
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
best() {
	python3 -c 'import json,sys; b=json.load(open(sys.argv[1]))["services"][0]["best"]; print(b["half_life_ns"]//86400//10**9, b["host_cap"])' "$T/stdout"
}

python3 - "$T" <<'PY' || no "the fleets cannot be made"
import os, subprocess, sys
def write(fleet, name, day, host, counts):
    os.makedirs("%s/%s" % (sys.argv[1], fleet), exist_ok=True)
    text = ["type cpu/nanoseconds", "time %d" % (1790000000 + day * 86400)]
    text += ["main;%s %d host=%s service=shop" % (f, n, host) for f, n in counts.items()]
    subprocess.run([sys.executable, "tests/lib/mkpprof.py", "%s/%s/%s.pb.gz" % (sys.argv[1], fleet, name)],
                   input="\n".join(text).encode(), check=True)
for week in range(6):
    swing = 150 if week % 2 else -150
    write("still", "w%d" % week, 7 * week, "h1", {"a": 600 + swing, "b": 400 - swing})
    write("drift", "w%d" % week, 7 * week, "h1", {"f%d" % week: 700, "f%d" % (week + 1): 300})
    # A batch job every other week, somewhere else each time: the week after is without it.
    for host in "abc":
        write("burst", "w%d%s" % (week, host), 7 * week, host, {"serve": 1000 + week})
    if week % 2 == 0:
        write("burst", "w%dx" % week, 7 * week, "batch%d" % week, {"job%d" % week: 9000})
PY
code 0 "$PGO" tune "$T/still" --json
[ "$(best)" = "0 0" ] && ok || no "a mix that swings about its mean: best is $(best)"
cp "$T/stdout" "$T/first"
mapfile -t files < <(find "$T/still" -name '*.pb.gz' | sort -r)
PGO_THREADS=1 code 0 "$PGO" tune "${files[@]}" --json
cmp -s "$T/stdout" "$T/first" && ok || no "the order of the profiles shows"
code 0 "$PGO" tune "$T/drift" --json
[ "$(best)" = "1 0" ] && ok || no "a mix that drifts: best is $(best)"
code 0 "$PGO" tune "$T/burst" --json
[ "$(best | cut -d' ' -f2)" = 1 ] && ok || no "bursts that do not return: best is $(best)"
code 0 "$PGO" tune "$T/drift"
grep -q 'service shop: .*mean over 5 steps of 7.0 d' "$T/stdout" && ok || no "no heading"
grep -q 'best: half-life 1d, host cap none, season off' "$T/stdout" && ok || no "no best line"
code 20 "$PGO" tune "$T/drift/w0.pb.gz"
grep -q 'at least two steps' "$T/stderr" && ok || no "a short history is not named"
code 2 "$PGO" tune
code 2 "$PGO" tune "$T/drift" --step 0

echo "$good good, $bad bad"
[ "$bad" = 0 ]
