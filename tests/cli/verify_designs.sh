#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo verify on fleets of which the truth is known: which hosts are compared with which, per what, and what is said of it.
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
# what NAME EXPRESSION: over v, the verdict just printed
what() {
	python3 -c '
import json, sys
v = json.load(open(sys.argv[1])); d, t = v["design"], v["total"]
f = {x["name"]: x for x in v["findings"]}
sys.exit(not eval(sys.argv[2]))' "$T/stdout" "$2" && ok || { no "$1"; grep sentence "$T/stdout"; }
}
fails() {
	local want=$1 regex=$2
	shift 2
	code "$want" "$@"
	grep -qE -- "$regex" "$T/stderr" && ok || { no "$*: not said: $regex"; cat "$T/stderr"; }
}
fleet() {
	local dir=$1
	shift
	python3 tests/lib/fleet.py "$T/$dir" work="$T/work.csv" samples=40000 "$@" || exit 1
}
day=86400 t0=1764000000
fleet before seed=1 start=$t0
fleet after seed=2 start=$((t0 + day)) change=-0.08 functions=f2:0.5 load=1.15
fleet others prefix=other seed=3 start=$t0 change=-0.08
fleet later prefix=other seed=4 start=$((t0 + 3 * day)) change=-0.08
fleet control-before prefix=old seed=5 start=$t0
fleet control-after prefix=old seed=6 start=$((t0 + day)) load=1.15
fleet joint-before seed=1 start=$t0 one=1
fleet joint-after seed=2 start=$((t0 + day)) change=-0.08 functions=f2:0.5 load=1.15 one=1
verify() {
	code 0 "$PGO" verify --json "$@"
}

# The same hosts: paired, in spite of more load.  f2 is 8 % cheaper and 50 % dearer.
verify "$T/before" -- "$T/after" --work "$T/work.csv" --cores 1000 --price 0.05
what "the same hosts are paired" 'd["name"] == "paired" and d["replicate"] == "host" and d["hosts_both"] == 10 and not d["causal"]'
what "the work is found" 'v["work"]["profiles_with"] == 20 and v["work"]["rows_used"] == 20 and v["work"]["rows"] == v["work"]["rows_used"] + v["work"]["rows_unmatched"] + v["work"]["rows_zero"]'
what "per request" 'd["per"] == "request" and d["basis"] == "work"'
what "f2 is named" 'f["f2"]["verdict"] == "regressed" and f["f2"]["low"] < 0.42 < f["f2"]["high"]'
what "what got cheaper is not" 'all(f[n]["verdict"] != "regressed" for n in f if n != "f2")'
what "the library did not change" 'f["g0"]["low"] < 0 < f["g0"]["high"]'
# 0.8 x (-8 % + 50 % of f2's 10 parts in 78) = -1.3 %
what "the interval holds the truth" 't["low"] < 0.8 * (-0.08 + 0.5 * 10 / 78) < t["high"]'
what "the interval is the wider of the two" 'abs((t["high"] - t["low"]) - max(t["t"]["high"] - t["t"]["low"], t["bootstrap"]["high"] - t["bootstrap"]["low"])) < 1e-6 and t["bootstrap"]["rounds"] == 10000'
what "money is the interval turned round" 'abs(v["money"]["cores_low"] + 1000 * t["high"]) < 1e-3 and abs(v["money"]["saved_a_year"] + 1000 * t["change"] * 0.05 * 8766) < 1'
what "the sentence says it" 'all(w in v["sentence"] for w in ("CPU per request", "95 % CI", "10 + 10 hosts", "paired by host", "minimum detectable", "A/A false positives"))'
cp "$T/stdout" "$T/paired.json"
PGO_THREADS=1 verify "$T/before" -- "$T/after" --work "$T/work.csv" --cores 1000 --price 0.05
cmp -s "$T/stdout" "$T/paired.json" && ok || no "another number of threads gives another verdict"
verify "$T"/before/web0[9876543210].pb.gz -- "$T"/after/web0[5678901234].pb.gz --work "$T/work.csv" --cores 1000 --price 0.05
cmp -s "$T/stdout" "$T/paired.json" && ok || no "another order gives another verdict"

# One file of many hosts, told apart by their label; work by file and host, or by the label.
verify "$T/joint-before" -- "$T/joint-after" --work "$T/work.csv"
what "a merged profile is its hosts" 'd["name"] == "paired" and d["hosts_both"] == 10 and v["work"]["profiles_with"] == 20'
verify "$T/joint-before" -- "$T/joint-after" --work-label requests
what "work is in a label" 'd["per"] == "request" and t["low"] < 0.8 * (-0.08 + 0.5 * 10 / 78) < t["high"]'

# Work by host and time, in another order of columns, quoted.
{ echo '"host","end","queries","start"'; tail -n +2 "$T/work.csv" | awk -F, '!seen[$2, $3]++ { printf "\"%s\",%s,\"%s\",%s\r\n", $2, $4, $5, $3 }'; } >"$T/time.csv"
verify "$T/before" -- "$T/after" --work "$T/time.csv"
what "work by host and time" 'd["per"] == "query" and v["work"]["profiles_with"] == 20'

# Other hosts at the same time; at another time; with a control arm.
verify "$T/before" -- "$T/others" --work "$T/work.csv"
what "other hosts at the same time: Welch" 'd["name"] == "welch" and d["concurrent"] and d["causal"] and d["hosts_both"] == 0'
verify "$T/before" -- "$T/later" --work "$T/work.csv"
what "other hosts later: not causal" 'd["name"] == "before-after" and not d["causal"] and "not causal" in v["sentence"]'
verify "$T/before" -- "$T/after" --control-before "$T/control-before" --control-after "$T/control-after" --work "$T/work.csv"
what "with a control arm" 'd["name"] == "difference-in-differences" and d["causal"]'
verify "$T/before" -- "$T/after" --design welch --work "$T/work.csv"
what "a design can be forced" 'd["name"] == "welch"'
fails 2 'two hosts or more that are on both' "$PGO" verify "$T/before" -- "$T/others" --design paired --work "$T/work.csv"
fails 2 'control arm' "$PGO" verify "$T/before" -- "$T/after" --design difference-in-differences --work "$T/work.csv"
fails 2 'no design' "$PGO" verify "$T/before" -- "$T/after" --design best
fails 2 'both periods' "$PGO" verify "$T/before" -- "$T/after" --control-before "$T/control-before" --work "$T/work.csv"

# No work: the library as control; told by name; or only shares, which are no win whatever they say.
verify "$T/before" -- "$T/after"
what "what was not rebuilt tells the work" 'd["basis"] == "control" and t["low"] < 0.8 * (-0.08 + 0.5 * 10 / 78) < t["high"] and "not rebuilt" in v["sentence"]'
verify "$T/before" -- "$T/after" --control '^g[0-9]$'
what "the control set by name" 'd["basis"] == "control"'
fails 3 'matches too little' "$PGO" verify "$T/before" -- "$T/after" --control '^nothing$'
fails 2 'regular expression' "$PGO" verify "$T/before" -- "$T/after" --control '('

# One profile a side: counts, and it says so.
verify "$T/before/web00.pb.gz" -- "$T/after/web00.pb.gz" --same-work
what "one profile a side: counts" 'd["name"] == "counts" and "samples alone" in v["sentence"] and v["outcome"] != "not_comparable"'

# The same against itself.
verify "$T/before" -- "$T/before" --work "$T/work.csv"
what "no effect of nothing" 'v["outcome"] == "no_effect_shown" and not [x for x in v["findings"] if x["verdict"] in ("regressed", "improved", "moved")]'

# What is wrong with a table of work is told with its line.
row() {
	printf '%s\n' "$@" >"$T/bad.csv"
}
row file,requests 'before/web00.pb.gz,many'
fails 3 'line 2: .many. is no amount' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,requests 'before/web00.pb.gz,-1'
fails 3 'line 2' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,requests '"before/web00.pb.gz,1'
fails 3 'line 2: a quoted field' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,requests 'before/web00.pb.gz,1,2'
fails 3 'line 2: there are 3 fields' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row host,requests 'web00,1'
fails 3 'start and end' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,requests 'web00.pb.gz,1'
fails 3 'more of the path' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,requests 'before/web00.pb.gz,1' 'before/web00.pb.gz,2'
fails 3 'line 3: there is another row' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,requests 'elsewhere.pb.gz,1'
fails 3 'none of the 1 rows' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
row file,errors,bytes 'before/web00.pb.gz,1,1'
fails 3 'several columns' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
grep before/ "$T/work.csv" | sed 1ifile,host,start,end,requests >"$T/bad.csv"
fails 3 'no profile after has units of work' "$PGO" verify "$T/before" -- "$T/after" --work "$T/bad.csv"
fails 2 'give one' "$PGO" verify "$T/before" -- "$T/after" --work "$T/work.csv" --same-work
fails 2 'price' "$PGO" verify "$T/before" -- "$T/after" --price 3
fails 3 nowhere "$PGO" verify "$T/before" -- "$T/after" --work "$T/nowhere"

# Half of the profiles have work: the others are left out, and that is said.
grep -v 'web0[5-9]' "$T/work.csv" >"$T/half.csv"
verify "$T/before" -- "$T/after" --work "$T/half.csv"
what "profiles without work are left out" 'v["work"]["profiles_without"] == 10 and d["hosts_both"] == 5 and any("left out" in n for n in d["notes"])'

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
