#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo bisect: a compiler as the judge, judges that know the answer, one that is wrong now and then, and one that is killed on the way.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
#	exits CODE COMMAND
exits() {
	local code=0
	timeout 180 "${@:2}" >"$T/stdout" 2>"$T/stderr" || code=$?
	check "${*:2}: exit $code, want $1: $(cat "$T/stderr")" [ "$code" = "$1" ]
}
#	found NAME...      the sets of the last result, a line each, are these
found() {
	python3 - "$T/stdout" "$@" <<-'PY'
		import json, sys
		b = json.load(open(sys.argv[1]))
		sets = sorted(" ".join(sorted(f["name"] for f in s)) for s in b["sets"])
		if sets != sorted(sys.argv[2:]) or b["kind"] != "bisection":
		    sys.exit("sets are %s" % sets)
	PY
}
# Twenty functions; the judge looks for words in the text of the profile.
for i in $(seq 10 29); do printf 'fn%d:%d00:1\n 1: %d00\n' "$i" "$i" "$i"; done >"$T/all.prof"
for i in $(seq 10 29); do printf 'fn%d:5:1\n 1: 5\n' "$i"; done >"$T/good.prof"
# shellcheck disable=SC2016 # the judge's shell expands it
has() { printf 'grep -q "^fn%s:%s00:" "$PGO_PROFILE"' "$1" "$1"; }

exits 0 "$PGO" bisect none "$T/all.prof" --state "$T/s1" --judge "$(has 17) && exit 1; exit 0" --json -o "$T/fixed.prof" --minimal "$T/min.prof"
check "the one function is found" found fn17
check "the profile without it has the others" [ "$(grep -c '^fn' "$T/fixed.prof")" = 19 ]
check "and the other has nothing else" [ "$(grep '^fn' "$T/min.prof")" = "fn17:1700:1" ]
check "the state stays, the judge's profile does not" test -e "$T/s1" -a ! -e "$T/s1.profile"
exits 0 "$PGO" bisect "$T/good.prof" "$T/all.prof" --state "$T/s2" --judge "$(has 12) && $(has 28) && exit 1; exit 0" --json -o "$T/fixed.prof"
check "two that are bad together are found together" found "fn12 fn28"
check "with the others' counts from the good one" grep -q '^fn12:5:1' "$T/fixed.prof"
exits 0 "$PGO" bisect none "$T/all.prof" --state "$T/s3" --judge "$(has 12) && exit 1; $(has 28) && exit 7; exit 0" --json
check "two causes are two sets" found fn12 fn28

# Wrong every fourth time; asked five times it is believed.
exits 0 "$PGO" bisect none "$T/all.prof" --state "$T/s4" --repeat 5 --json \
	--judge "[ \$((PGO_BISECT_RUN % 4)) != 0 ] && w=1 || w=0; $(has 21) && exit \$w; exit \$((1 - w))"
check "a judge that errs is outvoted" found fn21

# Some mixes cannot be judged.
exits 0 "$PGO" bisect none "$T/all.prof" --state "$T/s5" --json --judge "[ \$PGO_BISECT_FUNCTIONS = 5 ] && exit 125; $(has 14) && exit 1; exit 0"
check "what cannot be told accuses nobody else" grep -q '"fn14"' "$T/stdout"

# Nothing to find.
exits 1 "$PGO" bisect none "$T/all.prof" --state "$T/s6" --judge true
exits 1 "$PGO" bisect none "$T/all.prof" --state "$T/s7" --judge false
exits 1 "$PGO" bisect none "$T/all.prof" --state "$T/s8" --judge 'exit 125'
check "it says so" grep -q 'cannot tell' "$T/stdout"

# Stopped and killed: what was judged is not asked again.
judge="echo x >>'$T/log'; $(has 19) && $(has 25) && exit 1; exit 0"
: >"$T/log"
exits 0 "$PGO" bisect none "$T/all.prof" --state "$T/whole" --judge "$judge" --json
check "the whole search finds both" found "fn19 fn25"
runs=$(wc -l <"$T/log")
: >"$T/log"
exits 3 "$PGO" bisect none "$T/all.prof" --state "$T/cut" --judge "$judge" --max-runs 3
check "a bounded search says that it is not finished" grep -q 'not finished' "$T/stdout"
i=0
while :; do
	# Each time the judge itself kills the search, in the middle of its second run.
	code=0
	timeout 60 "$PGO" bisect none "$T/all.prof" --state "$T/cut" --json \
		--judge "$judge" --max-runs 2 >"$T/stdout" 2>/dev/null || code=$?
	i=$((i + 1))
	if [ "$code" != 3 ] || [ $i -ge 100 ]; then break; fi
done
check "in pieces it comes to the same end (exit $code)" found "fn19 fn25"
check "with as many runs ($(wc -l <"$T/log") and $runs)" [ "$(wc -l <"$T/log")" = "$runs" ]
killer="[ -e '$T/killed' ] || { touch '$T/killed'; kill -9 \$PPID; sleep 5; }; $(has 22) && exit 1; exit 0"
exits 137 "$PGO" bisect none "$T/all.prof" --state "$T/k" --judge "$killer" --json
exits 0 "$PGO" bisect none "$T/all.prof" --state "$T/k" --judge "$killer" --json
check "after a kill it goes on" found fn22

# A compiler as the judge: which function's counts make the code of one function large?
if ${CC:-gcc} --version 2>/dev/null | grep -qi 'gcc'; then
	cp tests/emu/sample.c "$T/app.c"
	cat >"$T/judge.sh" <<-'END'
		${CC:-gcc} -O2 -g -fauto-profile="$1" -S -o "$2.s" "$2" || exit 125
		test "$(grep -c . "$2.s")" -le "$LIMIT"
	END
	lines() { ${CC:-gcc} -O2 -g -fauto-profile="$1" -S -o - "$T/app.c" | grep -c .; }
	LIMIT=$(lines "$FIX/app.afdo")
	"$PGO" bisect none "$FIX/app.afdo" --state "$T/g2" --judge "[ \$PGO_BISECT_FUNCTIONS = 0 ] && cp \"\$1\" '$T/nothing.afdo'; [ \$PGO_BISECT_FUNCTIONS = 0 ]" >/dev/null 2>&1
	low=$(lines "$T/nothing.afdo")
	if [ "$LIMIT" -gt "$low" ]; then
		export LIMIT=$(((LIMIT + low) / 2))
		exits 0 "$PGO" bisect none "$FIX/app.afdo" --state "$T/gcc" --json -o "$T/less.afdo" --judge "sh '$T/judge.sh' \"\$1\" '$T/app.c'"
		check "gcc's code is small without what was found" [ "$(lines "$T/less.afdo")" -le "$LIMIT" ]
	fi
fi

# Whole mixes are the bad profile itself, byte for byte.
for f in afdo prof proftext profbin fdata; do
	"$PGO" bisect none "$FIX/app.$f" --state "$T/b.$f" --judge "cp \"\$1\" '$T/whole.$f'; exit 130" >/dev/null 2>&1
	check "all of app.$f is app.$f" cmp "$FIX/app.$f" "$T/whole.$f"
done

# Usage and input.
fails 2 'GOOD and BAD' "$PGO" bisect "$T/all.prof" --judge true
fails 2 'no judge' "$PGO" bisect none "$T/all.prof"
fails 2 'of another bisection' "$PGO" bisect none "$T/all.prof" --state "$T/s1" --judge 'exit 1'
fails 3 'no state of a bisection' "$PGO" bisect none "$T/all.prof" --state <(echo '{}') --judge true
fails 3 'two kinds' "$PGO" bisect "$FIX/app.afdo" "$FIX/app.fdata" --judge true
fails 20 'say the same' "$PGO" bisect "$T/all.prof" "$T/all.prof" --judge true
fails 2 'repeat' "$PGO" bisect none "$T/all.prof" --judge true --repeat 0
finish
