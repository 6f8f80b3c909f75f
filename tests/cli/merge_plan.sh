#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo merge: weights by host, hour, class, probability and build; the last good profile; outliers;
# what counts once. Small fleets whose right result is known.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
NOW=1790000000 # 2026-09-21T14:13:20Z, a Monday

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
	grep -qE -- "$1" "$T/${2:-stderr}" && ok || { no "no /$1/ in:"; sed 's/^/    /' "$T/${2:-stderr}"; }
}
quiet() {
	[ ! -s "$T/stderr" ] && ok || { no "unexpected:"; sed 's/^/    /' "$T/stderr"; }
}
# profile OUT HOST SECONDS-AGO FUNCTION=COUNT...; labels in $LABELS
profile() {
	local out=$1 host=$2 ago=$3 pair
	shift 3
	{
		echo "type ${TYPE:-cpu/nanoseconds}"
		echo "time $((NOW - ago))"
		echo "mapping 1000 100000 1000 /bin/app ${BUILD:-abcd}"
		for pair; do
			echo "main;${pair%=*} ${pair#*=}${host:+ host=$host}${LABELS:+ $LABELS}"
		done
	} | python3 tests/lib/mkpprof.py "$out"
}
# value FILE JSON-EXPRESSION over d
value() {
	python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"
}
# ---- hosts
mkdir "$T/hosts"
for n in {1..9}; do
	profile "$T/hosts/$n.pb.gz" "web-$n" 0 parse=1000
done
profile "$T/hosts/batch.pb.gz" batch 0 sort=20000
code 0 "$PGO" merge "$T/hosts" --host-cap 3 --manifest "$T/cap.json" -o "$T/cap.pb.gz"
[ "$(value "$T/cap.json" '[h["share"] for h in d["by_host"] if h["host"]=="batch"]')" = "[0.25]" ] &&
	ok || no "one host is not held to 3 of 12"
[ "$(value "$T/cap.json" 'd["dominance"], d["hosts"]')" = "(0.25, 10)" ] && ok || no "dominance"
code 0 "$PGO" merge "$T/hosts" --mode equal-host --manifest "$T/equal.json" -o "$T/equal.pb.gz"
[ "$(value "$T/equal.json" 'd["effective_hosts"], d["dominance"]')" = "(10, 0.1)" ] &&
	ok || no "hosts are not equal: $(value "$T/equal.json" 'd["effective_hosts"]')"
code 2 "$PGO" merge "$T/hosts" --mode fair -o "$T/x.pb.gz"
says 'none of fleet-cost and equal-host'
[ ! -e "$T/x.pb.gz" ] && ok || no "an output after wrong usage"

# ---- the sampling probability, from a label and from the command line
LABELS=sampling_probability=0.25 profile "$T/q.pb.gz" h1 0 rare=100
profile "$T/full.pb.gz" h2 0 often=100
code 0 "$PGO" merge "$T/q.pb.gz" "$T/full.pb.gz" --explain --host-cap 9 --manifest "$T/q.json" -o "$T/qm.pb.gz"
says 'taken with probability 0.25' stdout
[ "$(value "$T/q.json" 'sorted(i["mass"] for i in d["inputs"])')" = "[100, 400]" ] && ok || no "mass of q"
[ "$(value "$T/q.json" 'd["columns"][0]["total"]')" = 500 ] && ok || no "q does not reach the counts"
code 0 "$PGO" merge "$T/q.pb.gz" "$T/full.pb.gz" --no-sampling-probability --host-cap 9 --manifest "$T/q.json" -o "$T/qm.pb.gz"
[ "$(value "$T/q.json" 'd["columns"][0]["total"]')" = 200 ] && ok || no "the label is not switched off"
code 0 "$PGO" merge "$T/q.pb.gz" "$T/full.pb.gz" --sampling-probability '*full*=0.5' --manifest "$T/q.json" -o "$T/qm.pb.gz"
[ "$(value "$T/q.json" 'd["columns"][0]["total"]')" = 600 ] && ok || no "a pattern does not set q"
code 2 "$PGO" merge "$T/q.pb.gz" --sampling-probability 1.5 -o "$T/x.pb.gz"
says 'probability above 0 and at most 1'

# ---- hours of the week: three profiles at one hour of Monday, one at one of Thursday
mkdir "$T/week"
for n in 1 2 3; do
	profile "$T/week/mon$n.pb.gz" "h$n" "$n" monday=100
done
profile "$T/week/thu.pb.gz" h4 $((4 * 86400)) thursday=100
code 0 "$PGO" merge "$T/week" --season --window 14d --manifest "$T/season.json" -o "$T/season.pb.gz"
[ "$(value "$T/season.json" 'sorted(round(i["mass"]*i["season_factor"]) for i in d["inputs"])')" = "[67, 67, 67, 200]" ] &&
	ok || no "hours are not balanced: $(value "$T/season.json" 'sorted(i["season_factor"] for i in d["inputs"])')"
[ "$(value "$T/season.json" 'd["hours_of_week"]')" = 2 ] && ok || no "hours covered"

# ---- classes, from patterns and from a label
mkdir "$T/field" "$T/bench"
for n in 1 2 3; do
	profile "$T/field/$n.pb.gz" "h$n" 0 "field=$((n * 100003))"
	LABELS=tier=bench profile "$T/bench/$n.pb.gz" "b$n" 0 "bench=$((n * 7))"
done
mix=(--class 'field=75,benchmark=25' --class-of 'benchmark=*/bench/*' --class-of 'field=*')
code 0 "$PGO" merge "$T/field" "$T/bench" "${mix[@]}" --manifest "$T/mix.json" -o "$T/mix.pb.gz"
quiet
[ "$(value "$T/mix.json" '[(c["class"], round(c["share"],9)) for c in d["by_class"]]')" = "[('benchmark', 0.25), ('field', 0.75)]" ] &&
	ok || no "classes have other shares"
total=$((6 * 100003 + 6 * 7))
[ "$(value "$T/mix.json" "abs(d['columns'][0]['total'] - $total) <= 1")" = True ] && ok || no "the mix changes the total"
profile "$T/other.pb.gz" h9 0 other=5
code 0 "$PGO" merge "$T/bench" "$T/other.pb.gz" --class bench=1 --class-label tier --explain -o "$T/mix2.pb.gz"
says '1 profile is of no class in the mix'
says 'class \(none\) is not in the mix' stdout
code 2 "$PGO" merge "$T/bench" --class 'bench=0' -o "$T/x.pb.gz"
says 'share above 0'

# ---- the last good profile
profile "$T/new.pb.gz" h1 0 new=1000
profile "$T/old.pb.gz" h1 $((7 * 86400)) old=1000
code 0 "$PGO" merge -q "$T/old.pb.gz" -o "$T/last.pb.gz"
code 0 "$PGO" merge "$T/new.pb.gz" --blend "$T/last.pb.gz" --manifest "$T/blend.json" -o "$T/blend.pb.gz"
[ "$(value "$T/blend.json" 'd["columns"][0]["total"], d["hosts"], d["days"]')" = "(1250, 1, 1)" ] &&
	ok || no "blend: $(value "$T/blend.json" 'd["columns"][0]["total"], d["hosts"], d["days"]')"
code 0 "$PGO" merge "$T/new.pb.gz" --blend "$T/last.pb.gz=0.5" --half-life 7d --manifest "$T/blend.json" -o "$T/blend.pb.gz"
# Aged from noon of its day, two hours before: a little less than 0.5 x 0.5 x 1000.
[ "$(value "$T/blend.json" '1240 <= d["columns"][0]["total"] <= 1250')" = True ] && ok || no "decayed blend"
code 0 "$PGO" merge "$T/old.pb.gz" --blend "$T/last.pb.gz" --manifest "$T/blend.json" -o "$T/blend.pb.gz"
[ "$(value "$T/blend.json" 'd["columns"][0]["total"]')" = 1250 ] && ok || no "a blend may hold the inputs"

# ---- outliers: nine alike and one of garbage, which writes the most profiles
mkdir "$T/mad"
export TYPE=samples/count
for n in {1..12}; do
	profile "$T/mad/$n.pb.gz" "web-$n" 0 "parse=$((500 + n))" "lex=$((300 - n))" "emit=$((200 + 3 * n))"
done
for n in 1 2 3; do
	profile "$T/mad/bad$n.pb.gz" mad 0 "zero=$((260 + n))" "spin=$((70 + n))"
done
code 0 "$PGO" merge "$T/mad" --drop-outliers --explain --manifest "$T/mad.json" -o "$T/mad.pb.gz"
says '3 of 15 profiles are left out as outliers'
says 'left out: outlier, 0\.[0-9]* in common with the others' stdout
[ "$(value "$T/mad.json" 'sorted(i["name"][-11:] for i in d["inputs"] if "dropped" in i)')" = "['bad1.pb.gz', 'bad2.pb.gz', 'bad3.pb.gz']" ] &&
	ok || no "other profiles are outliers: $(value "$T/mad.json" '[(i["name"][-11:],i["overlap"]) for i in d["inputs"]]')"
profile "$T/mad/bad4.pb.gz" mad 0 "zero=2600" "spin=73"
rm -f "$T/x.pb.gz"
code 11 "$PGO" merge "$T/mad" --drop-outliers --explain -o "$T/x.pb.gz"
says 'more than the 10 % that may go'
says 'left out: outlier' stdout
[ ! -e "$T/x.pb.gz" ] && ok || no "an output though a gate refused it"
code 0 "$PGO" merge "$T/mad" --allow-outliers -o "$T/x.pb.gz"
code 0 "$PGO" merge "$T/mad" --drop-outliers --host-cap 1 -o "$T/x.pb.gz" # then it has less
# A thin fleet is not garbage.
mkdir "$T/thin"
for n in {1..6}; do
	profile "$T/thin/$n.pb.gz" "web-$n" 0 parse=5 "f$n=2"
done
code 0 "$PGO" merge "$T/thin" --drop-outliers --manifest "$T/thin.json" -o "$T/x.pb.gz"
says '6 of 6 profiles have fewer than 200 samples'
[ "$(value "$T/thin.json" 'd["kept"]')" = 6 ] && ok || no "a thin fleet is dropped"

unset TYPE

# ---- what counts once
profile "$T/a.pb.gz" h1 0 fa=100
profile "$T/b.pb.gz" h2 0 fb=10
profile "$T/c.pb.gz" h3 0 fc=1
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" "$T/c.pb.gz" -o "$T/abc.pb.gz"
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" -o "$T/ab.pb.gz"
quiet
code 0 "$PGO" merge "$T/ab.pb.gz" "$T/c.pb.gz" -o "$T/tree.pb.gz"
cmp -s "$T/abc.pb.gz" "$T/tree.pb.gz" && ok || no "a merge of merges is not the merge of all"
code 0 "$PGO" merge "$T/ab.pb.gz" "$T/a.pb.gz" "$T/c.pb.gz" -o "$T/twice.pb.gz"
says 'ab.pb.gz is a merge that holds 1 of the profiles given \(a.pb.gz\)'
cmp -s "$T/abc.pb.gz" "$T/twice.pb.gz" && ok || no "what is in a merged file counts twice"
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" "$T/c.pb.gz" "$T/ab.pb.gz" --explain -o "$T/twice.pb.gz"
says 'ab.pb.gz is a merge of 2 profiles that are all given as well'
cmp -s "$T/abc.pb.gz" "$T/twice.pb.gz" && ok || no "a merged file counts beside all that it holds"
code 0 "$PGO" merge "$T/abc.pb.gz" "$T/ab.pb.gz" -o "$T/twice.pb.gz"
says 'ab.pb.gz is a merge that shares 2 of its 2 profiles with abc.pb.gz'
cmp -s "$T/abc.pb.gz" "$T/twice.pb.gz" && ok || no "two merged files count twice"
code 0 "$PGO" merge "$T/a.pb.gz" -o "$T/a1.pb.gz"
code 0 "$PGO" merge "$T/a1.pb.gz" "$T/a.pb.gz" "$T/b.pb.gz" "$T/c.pb.gz" -o "$T/twice.pb.gz"
says 'a1.pb.gz was made from a.pb.gz'
cmp -s "$T/abc.pb.gz" "$T/twice.pb.gz" && ok || no "a copy of one profile counts twice"

# ---- one account, whatever the order
for seed in 1 2 3; do
	mapfile -t files < <(printf '%s\n' "$T"/hosts/* "$T"/week/* "$T/ab.pb.gz" "$T/a.pb.gz" |
		python3 -c 'import random,sys; l=sys.stdin.read().split(); random.Random('"$seed"').shuffle(l); print(*l,sep="\n")')
	PGO_THREADS=$seed "$PGO" merge -q "${files[@]}" --half-life 2d --host-cap 2 --season --drop-outliers \
		--manifest "$T/order$seed.json" -o "$T/order.pb.gz" || no "order $seed"
done
cmp -s "$T/order1.json" "$T/order2.json" && cmp -s "$T/order1.json" "$T/order3.json" && ok ||
	no "the order of the inputs shows in the plan"

echo "$good good, $bad bad"
[ "$bad" = 0 ]
