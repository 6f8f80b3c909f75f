#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo convert from the command line: one pass for all outputs, the account, all outputs or none, the same bytes again.
# shellcheck source=tests/lib/fixture.sh
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
good=0 bad=0

check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		echo "FAIL: $name"
		sed 's/^/    /' "$T/log" | tail -n 8
		bad=$((bad + 1))
	fi
}
quiet() {
	"$@" >/dev/null
}

# ---- every kind of input gives the same outputs
check "perf.data" quiet "$PGO" convert "$FIX/app.perf" --binary "$FIX/app" --gcc "$T/a.afdo" --gcc-release 12 \
	--clang "$T/a.prof" --bolt "$T/a.fdata"
check "a pprof" quiet "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" --gcc "$T/b.afdo" --gcc-release 12 \
	--clang "$T/b.prof" --bolt "$T/b.fdata"
for x in afdo prof fdata; do
	check "a pprof gives the .$x that perf.data gives" cmp "$T/a.$x" "$T/b.$x"
done
check "an inflated pprof" quiet "$PGO" convert "$FIX/app.pb" --binary "$FIX/app" --bolt "$T/c.fdata"
check "gives the same" cmp "$T/a.fdata" "$T/c.fdata"

# ---- executions are counted if they were estimated, unless records are asked for
counted() { # true|false [OPTION...] IN
	local want=$1
	shift
	"$PGO" convert "$@" --binary "$FIX/app" --bolt "$T/n.fdata" --json | grep -q "\"executions_used\": $want"
}
check "a recording's executions are estimated" counted true "$FIX/app.perf"
check "and not with --no-unbias" counted false --no-unbias "$FIX/app.perf"
differ() {
	! cmp -s "$1" "$2"
}
check "which gives other counts" differ "$T/n.fdata" "$T/a.fdata"
cp "$T/n.fdata" "$T/records.fdata"
check "a profile's executions are counted" counted true "$FIX/app.pb.gz"
check "and not with --no-unbias" counted false --no-unbias "$FIX/app.pb.gz"
check "which gives what the recording gives" cmp "$T/n.fdata" "$T/records.fdata"
imported=$("$PGO" import --no-unbias --no-labels "$FIX/app.perf" -o "$T/raw" | sed -n 's/^\(.*\.pb\.gz\): .*/\1/p' | head -n 1)
check "one profile without an estimate and all are counted by records" counted false "$FIX/app.pb.gz" "$imported"

# ---- functions are left out, and the account says how much went with them
trimmed() { # OPTION...: of a profile for clang; leaves $T/trim.prof, $T/trim.json, $T/trim.err
	"$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" --clang "$T/trim.prof" --clang-format text "$@" --json \
		>"$T/trim.json" 2>"$T/trim.err"
}
one_is_left() {
	trimmed --hottest 1 && [ "$(grep -c '^[^ ]' "$T/trim.prof")" = 1 ] || return 1
	# All counts are those that are left and those that are not.
	python3 - "$T/trim.json" <<-'END'
		import json, sys
		o = json.load(open(sys.argv[1]))
		t, left = o["account"]["trim"], o["outputs"][0]["counts"]
		assert t["hottest"]["functions"] == t["functions"] - 1 > 0
		assert 0 < t["hottest"]["counts"] == t["counts"] - left
	END
}
check "--hottest leaves so many" one_is_left
hottest=$(sed -n '1s/:.*//p' "$T/trim.prof")
gone() {
	trimmed --drop-functions "^$hottest\$" && [ -s "$T/trim.prof" ] && ! grep -q "^ *\(.*: \)\{0,1\}$hottest:[0-9]*\(:[0-9]*\)\{0,1\}\$" "$T/trim.prof"
}
check "--drop-functions leaves out by name" gone
nothing() {
	trimmed --min-count 1000000000000
	[ $? = 20 ] && grep -q 'nothing is left' "$T/trim.err"
}
check "nothing left is an error" nothing
wrong() { # PATTERN ARG...
	local pattern=$1
	shift
	"$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" "$@" >"$T/out" 2>&1
	[ $? = 2 ] && grep -q -- "$pattern" "$T/out"
}
check "trims want an output that they trim" wrong 'neither is asked for' --bolt "$T/x" --hottest 3
check "an expression has to be one" wrong 'no extended regular expression' --clang "$T/x" --drop-functions 'a('
told() {
	"$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" --gcc "$T/x.afdo" --gcc-release "$1" --hottest 1 2>&1 |
		grep -q 'fprofile-partial-training'
}
check "with gcc 16 what that means is said" told 16
check "with gcc 15 it means nothing" eval '! told 15'

# ---- two inputs are summed
double() {
	"$PGO" convert "$FIX/app.pb.gz" "$FIX/app.pb.gz" --binary "$FIX/app" --bolt "$T/two.fdata" >/dev/null || return 1
	# Runs are scaled by a ratio that stays the same, and rounded: twice the count, or one beside it.
	awk '{ k = $1 " " $2 " " $3 " " $4 " " $5 " " $6 } NR == FNR { n[k] = $8; next }
		{ d = n[k] * 2 - $8; if (d < -1 || d > 1) { print; exit 1 } }' "$T/a.fdata" "$T/two.fdata"
}
check "two inputs give twice the counts" double

# ---- place, locale, time zone do not show
elsewhere() {
	mkdir "$T/dir" && cp "$FIX/app" "$T/dir/app" &&
		(cd "$T/dir" && TZ=Asia/Tokyo LC_ALL=C.UTF-8 "$PGO" convert "$FIX/app.pb.gz" --binary app --gcc-release 12 \
			--gcc a.afdo --clang a.prof --bolt a.fdata >/dev/null) || return 1
	for x in afdo prof fdata; do cmp "$T/a.$x" "$T/dir/a.$x" || return 1; done
	! grep -qa "$T" "$T/dir/a.afdo" "$T/dir/a.prof" "$T/dir/a.fdata"
}
check "the same bytes from another directory, zone and locale, without its path" elsewhere

# ---- the account
account() {
	"$PGO" convert "$1" --binary "$FIX/app" --bolt "$T/x.fdata" --clang "$T/x.prof" --json >"$T/json" || return 1
	python3 - "$T/json" "$2" <<-'PY'
		import json, sys
		a = json.load(open(sys.argv[1]))["account"]
		for kind in "branches", "ranges", "plain":
		    flow = dict(a[kind])
		    read = flow.pop("read")
		    assert read == sum(flow.values()), (kind, read, flow)
		assert a["branch_records"] == (sys.argv[2] == "lbr"), a
		assert a["mapped_share"] > 0.99, a["mapped_share"]
		assert a["executions"] > 0 and a["functions"] >= 3 and a["hottest"], a
		assert abs(sum(h["share"] for h in a["hottest"]) - 1) < 0.2, a["hottest"]
		assert a["debug_file"].endswith("app"), a["debug_file"]
	PY
}
check "what was read is used or lost under a name" account "$FIX/app.pb.gz" lbr
check "without branch records too" account "$FIX/plain.pb.gz" plain
lacks() {
	! grep -q "$1" "$2"
}
says() {
	"$PGO" convert "$1" --binary "$FIX/app" --bolt "$T/x.fdata" | grep -q "$2"
}
check "the account for people says what it was made from" says "$FIX/app.pb.gz" "with branch records"
check "and that block counts are estimates" says "$FIX/plain.pb.gz" "block counts are estimates"
check "BOLT's file has inferred branches and fall-throughs" grep -q '^1 .* 1 .* 0 [1-9]' "$T/x.fdata"
check "and says nothing of samples without branches" lacks '^no_lbr' "$T/x.fdata"

# ---- all outputs or none
echo old >"$T/keep.fdata"
fails 3 "/nonexistent/x.prof" "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" --bolt "$T/keep.fdata" \
	--clang /nonexistent/x.prof
check "a failing output leaves the others alone" test "$(cat "$T/keep.fdata")" = old
fails 3 "another build|build-id|was taken from build" "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app.other" --bolt "$T/keep.fdata"
check "so does a profile of another program" test "$(cat "$T/keep.fdata")" = old
fails 3 "no debug information.*-g" "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app.stripped" --clang "$T/none.prof" --bolt "$T/keep.fdata"
check "so does missing debug information" test "$(cat "$T/keep.fdata")" = old
check "and nothing else is left behind" test ! -e "$T/none.prof"

# ---- a stripped program and its debug file
separate() {
	objcopy --only-keep-debug "$FIX/app" "$T/app.debug" &&
		"$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app.stripped" --debug "$T/app.debug" --gcc-release 12 \
			--gcc "$T/s.afdo" --clang "$T/s.prof" --bolt "$T/s.fdata" >"$T/account" &&
		grep -q "app.debug" "$T/account" && cmp "$T/a.prof" "$T/s.prof" && cmp "$T/a.afdo" "$T/s.afdo" && cmp "$T/a.fdata" "$T/s.fdata"
}
check "a stripped program with its debug file gives the same" separate

finish
