#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo check: what fits passes; another program's, an older build's, a cut, an empty and a renamed profile do not, each by the gate
# that is meant for it.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
export PGO_NOW=@1790086400

#	gate NAME VERDICT [REGEX]     of the last `judge`
gate() {
	if python3 - "$T/json" "$1" "$2" "${3:-.}" <<-'PY'; then good=$((good + 1)); else echo "    FAIL: $what"; bad=$((bad + 1)); fi
		import json, re, sys
		path, name, verdict, regex = sys.argv[1:]
		rows = [g for g in json.load(open(path))["gates"] if g["name"] == name]
		if not rows or rows[0]["verdict"] != verdict or not re.search(regex, rows[0]["why"] + " " + rows[0]["source"]):
		    sys.exit("FAIL: gate %s is not %s /%s/: %s" % (name, verdict, regex, rows))
	PY
}
#	judge EXIT ARGUMENT...
judge() {
	local want=$1 code=0
	what="${*:2}"
	timeout 120 "$PGO" check --json --no-acceptance "${@:2}" >"$T/json" 2>"$T/stderr" || code=$?
	if [ "$code" = "$want" ]; then good=$((good + 1)); else
		echo "FAIL: check $what: exit $code, want $want"; cat "$T/stderr"; grep -B1 -A8 '"fail",' "$T/json"; bad=$((bad + 1))
	fi
}

# What fits, converted or not.
for f in perf pb.gz afdo prof proftext profbin fdata; do
	judge 0 "$FIX/app.$f" --binary "$FIX/app"
	gate mapped pass
	gate readable pass
	gate name_collapse pass
done
judge 0 "$FIX/app.perf" --binary "$FIX/app"
gate bogus pass
gate density pass
gate stale pass 'this very build'
gate freshness pass '1.0 days'
gate hosts skipped 'one profile'
gate acceptance skipped 'switched off'

# Several are merged, and then hosts and days count.
for h in 1 2; do "$B/emu/mkperf" -o "$T/$h.perf" --host "web-$h" --start-time 1790000000 --max-samples 2000 --seed $h "$FIX/app.ring" || exit 1; done
judge 0 "$T/1.perf" "$T/2.perf" --binary "$FIX/app"
gate hosts warn 'no result in use that is better'
judge 11 "$T/1.perf" "$T/2.perf" --binary "$FIX/app" --gate hosts=30/5
gate hosts fail
mkdir "$T/fleet"
printf '{"gates":[{"name":"hosts","verdict":"pass","value":40}]}\n' >"$T/fleet/gates.json"
judge 11 "$T/1.perf" "$T/2.perf" --binary "$FIX/app" --last-good "$T/fleet"
gate hosts fail 'in use has 40'
printf '{"gates":[{"name":"hosts","verdict":"warn","value":3.5}]}\n' >"$T/fleet/gates.json"
judge 0 "$T/1.perf" "$T/2.perf" --binary "$FIX/app" --last-good "$T/fleet"
gate hosts warn 'not clearly better'
judge 0 "$T/1.perf" "$T/2.perf" --binary "$FIX/app" --gate hosts=1.9/1 --gate days=1 --gate dominance=off
gate dominance skipped
gate hosts pass

# Another program; another build.
judge 11 "$FIX/app.perf" --binary /bin/true
gate mapped fail 'no sample belongs'
echo 'int helper(int x) { return x; } int main(void) { return helper(0); }' >"$T/another.c"
${CC:-gcc} -g -o "$T/another" "$T/another.c" || exit 1
judge 11 "$FIX/app.prof" --binary "$T/another"
gate mapped fail
gate name_collapse fail 'another program'
judge 11 "$FIX/app.perf" --binary "$FIX/app.other"
gate mapped fail 'other binary'

# An older build, whose function has changed.
sed 's/^#include <stdio.h>/&\n/; s/^\(static .*\|int \)\?main(.*/&/' tests/emu/sample.c >"$T/new.c"
python3 - "$T/new.c" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
# Two empty statements at the top of every function: lines below move away from their offsets.
open(sys.argv[1], "w").write(re.sub(r"\n\{\n", "\n{\n\n\n\n\n\n\n", text))
PY
${CC:-gcc} -O2 -g -Wl,--build-id -o "$T/new" "$T/new.c" || exit 1
judge 11 "$FIX/app.prof" --binary "$T/new"
gate stale fail 'have changed'
judge 0 "$FIX/app.prof" --binary "$T/new" --gate stale=off
mkdir "$T/old" && cp "$FIX/app" "$T/old"
judge 0 "$FIX/app.perf" --binary "$T/new" --binary-dir "$T/old"
gate stale pass '100.0 % .* of older builds'
gate mapped pass

# Damaged, empty, missing.
for f in afdo prof fdata perf; do
	head -c $(($(stat -c %s "$FIX/app.$f") * 2 / 3)) "$FIX/app.$f" >"$T/cut.$f"
	judge 11 "$T/cut.$f" --binary "$FIX/app"
	gate readable fail
	: >"$T/empty.$f"
	judge 11 "$T/empty.$f" --binary "$FIX/app"
	gate readable fail 'empty'
done

# Programs that say less about themselves.
strip -g -o "$T/nodebug" "$FIX/app"
judge 0 "$FIX/app.prof" --binary "$T/nodebug"
gate stale skipped 'debug information'
gate mapped pass
judge 0 "$FIX/app.perf" --binary "$T/nodebug"
gate mapped pass
judge 0 "$FIX/app.prof" --binary "$FIX/app.stripped"
gate mapped skipped 'no symbols'

# Names that were all renamed: a prefix; the hash of Rust's names.
sed -E 's/^( *)([0-9.]+: )?([a-z_]+):/\1\2__dl_\3:/' "$FIX/app.proftext" >"$T/dl.prof"
judge 11 "$T/dl.prof" --binary "$FIX/app" --last-good "$FIX/app.proftext"
gate name_collapse warn '"__dl_" stands before the names of the profile'
gate overlap_functions pass
gate mapped fail
judge 0 "$FIX/app.proftext" --last-good "$T/dl.prof" --binary "$FIX/app"
gate name_collapse warn '"__dl_" stands before the names of the last good'
printf '_ZN1a4work17h%sE:1000:10\n 1: 900\n 2: 100\n' 0123456789abcdef >"$T/rust1.prof"
printf '_ZN1a4work17h%sE:1000:10\n 1: 900\n 2: 100\n' fedcba9876543210 >"$T/rust2.prof"
judge 0 "$T/rust1.prof" --last-good "$T/rust2.prof"
gate name_collapse warn '0.0 % .* 100.0 %'
gate overlap_functions pass

# The last good one: a file, or a directory with files of the same names.
mkdir "$T/good" && cp "$FIX/app.afdo" "$FIX/app.prof" "$T/good"
judge 0 "$FIX/app.afdo" "$FIX/app.prof" --last-good "$T/good"
gate overlap_functions pass '100.0 %'
gate moved pass
printf 'one_round:100000:1\n 1: 100000\n' >"$T/shifted.prof"
judge 11 "$T/shifted.prof" --last-good "$FIX/app.prof"
gate moved warn 'one_round'
gate overlap_functions fail
judge 0 "$FIX/app.afdo" --last-good "$FIX/app.fdata"
gate overlap_functions skipped 'cannot be compared'

# Limits of the target's own history.
mkdir "$T/history"
for v in 90 91 92 93 94; do
	printf '{"gates":[{"name":"overlap_functions","verdict":"pass","value":%d,"unit":"%%","warn":90,"fail":50,"above":false,"source":"default","why":"x"}]}\n' $v >"$T/history/$v.gates.json"
done
sed 's/:/:/; s/^ 1: 100000/ 1: 100000/' "$FIX/app.proftext" >"$T/same.prof"
printf 'one_round_too:150000:1\n 1: 150000\n' >>"$T/same.prof"
judge 0 "$T/same.prof" --last-good "$FIX/app.proftext" --history "$T/history"
gate overlap_functions pass 'history of 5 .median - 3 MAD.'
judge 0 "$T/same.prof" --last-good "$FIX/app.proftext" --history "$T/history" --gate overlap_functions=95/10
gate overlap_functions warn ' --gate$'
fails 3 'no list of gates' "$PGO" check "$FIX/app.prof" --history <(echo '{"a":1}') --no-acceptance

# Oscillation.
hot() { printf 'steady:%d:1\n 1: 1000000\n' 1000000; [ "$1" = hot ] && printf 'flip_flop:90000:1\n 1: 90000\n'; true; }
hot hot >"$T/c1.prof"; hot cold >"$T/c2.prof"; hot hot >"$T/c3.prof"
judge 11 --cycles "$T/c1.prof" "$T/c2.prof" "$T/c3.prof"
gate flips fail 'flip_flop .*blend'
judge 0 --cycles "$T/c1.prof" "$T/c3.prof" "$T/c2.prof"
gate flips pass
fails 2 'three results' "$PGO" check --cycles "$T/c1.prof" "$T/c2.prof"

# Consumers are believed: a crash, an error, a warning that nothing came of the profile; one that is missing or slow is not asked.
#	tool NAME SAYS-AND-DOES
# shellcheck disable=SC2016 # for the tool's shell
tool() { printf '#!/bin/sh\n[ "$1" = --version ] && { echo "tool (test) 12.3.0"; exit 0; }\n%s\n' "$2" >"$T/$1"; chmod +x "$T/$1"; }
accept() { # VERDICT REGEX ARGUMENT...
	local code=0
	what="acceptance ${*:3}"
	timeout 120 "$PGO" check --json --gate freshness=off "${@:3}" >"$T/json" 2>"$T/stderr" || code=$?
	gate acceptance "$1" "$2"
	[ "$1" != fail ] || [ "$code" = 11 ] || { echo "FAIL: $what: exit $code"; bad=$((bad + 1)); }
}
# shellcheck disable=SC2016 # for the tool's shell
tool fine 'for f; do case $f in *.c) grep -q "^long one_round(long" "$f" || { echo "error: not the names of the profile"; exit 1; } ;; esac; done; exit 0'
tool crash 'kill -SEGV $$'
tool error 'echo "app.c: error: cannot use profile"; exit 1'
tool ignores 'echo "warning: profile is ignored"; exit 0'
tool stale 'echo "BOLT-WARNING: 90 out of 100 samples in the binary (90.0%) belong to functions with invalid (possibly stale) profile."; exit 0'
tool few 'echo "BOLT-INFO: 10 out of 19 functions have profile"; echo "BOLT-WARNING: 9 out of 100 samples in the binary (9.0%) belong to functions with invalid (possibly stale) profile."; exit 0'
accept pass 'taken by gcc 12' "$FIX/app.afdo" --gcc "$T/fine"
accept fail 'signal 11' "$FIX/app.afdo" --gcc "$T/crash"
accept fail 'cannot use profile' "$FIX/app.afdo" --gcc "$T/error"
accept fail 'profile is ignored' "$FIX/app.afdo" --gcc "$T/ignores"
accept fail 'llvm-profdata 12 failed .* taken by clang 12' "$FIX/app.prof" --clang "$T/fine" --llvm-profdata "$T/error"
accept fail '90 out of 100' "$FIX/app.fdata" --binary "$FIX/app" --llvm-bolt "$T/stale"
accept pass 'taken by llvm-bolt' "$FIX/app.fdata" --binary "$FIX/app" --llvm-bolt "$T/few"
accept skipped 'needs the program' "$FIX/app.fdata" --llvm-bolt "$T/few"
accept skipped 'nowhere/gcc is not installed' "$FIX/app.afdo" --gcc "$T/nowhere/gcc"
accept skipped 'gcc 99 is not installed' "$FIX/app.afdo" --gcc-release 99
[ -z "$(ls -d "${TMPDIR:-/tmp}"/pgo-accept.* 2>/dev/null)" ] || { echo "FAIL: temporary files stay"; bad=$((bad + 1)); }

# --strict, text, and usage.
code=0; "$PGO" check "$T/rust1.prof" --last-good "$T/rust2.prof" --no-acceptance --strict >"$T/text" || code=$?
if ! { [ "$code" = 11 ] && grep -q '^warn  *name_collapse' "$T/text" && tail -1 "$T/text" | grep -q 'do not build'; }; then
	echo "FAIL: --strict"; cat "$T/text"; bad=$((bad + 1))
fi
fails 2 'no profile' "$PGO" check
fails 2 'did you mean "mapped"' "$PGO" check "$FIX/app.prof" --gate maped=1
fails 2 'some of the profiles' "$PGO" check "$FIX/app.prof" "$FIX/app.perf"
fails 2 '--binary' "$PGO" check "$FIX/app.perf"
fails 3 "no file $T/nowhere" "$PGO" check "$T/nowhere"
finish
