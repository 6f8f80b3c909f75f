#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The compilers that the profiles are for take them without a complaint and use them: gcc's dump shows our counts, the
# IR of clang has them, llvm-bolt lays code out by them, and the rebuilt programs do the same work with fewer taken
# branches.
#
# Exit 0: all agreed; 77: what could be checked agreed, the last line names the missing tool; 1: something did not.
set -u

B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
emu=$PWD/$B/emu
export EMU_DIR=$emu
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
good=0 bad=0 missing=
cxx=tests/interop/convert_prog.cpp

skip() {
	echo "$1"
	exit 77
}
why=$(tests/emu/have_plugins.sh) || skip "$why"
[ "$(uname -m)" = x86_64 ] || skip "the program is built for x86-64"
make -s B="$B" SAN= COV= emu || exit 1
bolt=$(tests/tools.sh llvm-bolt) || missing="$missing llvm-bolt"
clangxx=$(tests/tools.sh clang++) || missing="$missing clang++"
old_clangxx=$(command -v clang++-14 || command -v clang++-15 || command -v clang++-16 || true)

expect() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
		tail -n 5 "$T/log" | sed 's/^/      /'
	fi
}

taken() { # taken branches of a run
	tests/emu/record.sh --count "$T/count" -- "$1" 60 >"$T/out" && awk '$1 == "taken-branches" { print $2 }' "$T/count"
}
# Most branches of the whole process are the libraries' (exceptions, memory), which nothing here changes.
# The program built with the profile gives the same output and takes at most PERCENT of the branches.
improves() { # BEFORE AFTER PERCENT
	local before after
	before=$(taken "$1") && cp "$T/out" "$T/want" && after=$(taken "$2") && cmp "$T/want" "$T/out" || return 1
	echo "taken branches: $before before, $after after"
	awk -v a="$after" -v b="$before" -v p="$3" 'BEGIN { exit !(a <= b * p / 100) }'
}
silent() {
	"$@" >"$T/said" 2>&1 || { cat "$T/said"; return 1; }
	[ ! -s "$T/said" ] || { cat "$T/said"; return 1; }
}
record() { # NAME
	tests/emu/record.sh -e branches -p 53 -o "$T/$1.ring" -- "$T/$1" 90 >/dev/null &&
		"$emu/mkperf" -o "$T/$1.data" --aslr 5 "$T/$1.ring"
}

# ---- gcc
# Functions are hot by counts only; without a profile none is.
hot_functions() {
	grep '^;; Function .*(hot)$' "$T"/gcc.dump/*optimized >"$T/hot"
	cat "$T/hot"
	[ "$(wc -l <"$T/hot")" -ge 8 ] && grep -q 'machine' "$T/hot" && grep -q 'risky' "$T/hot"
}
silent g++ -O2 -g -Wl,--build-id -Wl,--emit-relocs -o "$T/gcc" $cxx && record gcc || exit 1
release=$(gcc -dumpversion)
expect "convert for gcc $release" "$PGO" convert "$T/gcc.data" --binary "$T/gcc" --gcc "$T/gcc.afdo" --bolt "$T/gcc.fdata"
mkdir -p "$T/gcc.dump"
expect "gcc takes the profile in silence" silent g++ -O2 -g -fauto-profile="$T/gcc.afdo" -fdump-tree-optimized \
	-dumpdir "$T/gcc.dump/" -o "$T/gcc.after" $cxx
expect "gcc finds the functions hot that ran most" hot_functions
expect "the program gcc rebuilt takes fewer branches" improves "$T/gcc" "$T/gcc.after" 99

# ---- clang
ir_has_counts() { # COMPILER PROFILE
	silent "$1" -O2 -g -fdebug-info-for-profiling -fprofile-sample-use="$2" -S -emit-llvm -o "$T/a.ll" $cxx || return 1
	# main, machine, sums, guarded and more have entry counts; branches of hot ones have weights.
	[ "$(grep -c 'function_entry_count' "$T/a.ll")" -ge 10 ] && [ "$(grep -c 'branch_weights' "$T/a.ll")" -ge 20 ]
}
for clang in $clangxx $old_clangxx; do
	n=$(basename "$clang" | tr -dc 0-9)
	silent "$clang" -O2 -g -fdebug-info-for-profiling -Wl,--build-id -Wl,--emit-relocs -o "$T/clang$n" $cxx &&
		record "clang$n" || exit 1
	for format in extbinary text binary; do
		expect "convert for clang $n, $format" "$PGO" convert "$T/clang$n.data" --binary "$T/clang$n" \
			--clang "$T/clang$n.$format" --clang-format $format --bolt "$T/clang$n.fdata"
		expect "clang $n puts the counts of $format into its IR, in silence" ir_has_counts "$clang" "$T/clang$n.$format"
	done
	expect "clang $n builds with it" silent "$clang" -O2 -g -fdebug-info-for-profiling \
		-fprofile-sample-use="$T/clang$n.extbinary" -o "$T/clang$n.after" $cxx
	expect "the program clang $n rebuilt takes fewer branches" improves "$T/clang$n" "$T/clang$n.after" 99
done

# ---- llvm-bolt
bolted() {
	"$bolt" "$T/$1" -o "$T/$1.bolt" -data="$T/$1.fdata" -reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions \
		>"$T/bolt.log" 2>&1 || { cat "$T/bolt.log"; return 1; }
	cat "$T/bolt.log"
	! grep -qE 'stale|invalid profile|no valid profile|unable to' "$T/bolt.log" &&
		grep -q 'profile quality metrics' "$T/bolt.log" && improves "$T/$1" "$T/$1.bolt" 99.9
}
if [ -n "$bolt" ]; then
	expect "llvm-bolt takes what gcc's program gave and saves branches" bolted gcc
	[ -z "$clangxx" ] || expect "llvm-bolt takes what clang's program gave and saves branches" bolted "clang$(basename "$clangxx" | tr -dc 0-9)"
fi

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ] && [ "$good" -gt 0 ] || exit 1
[ -z "$missing" ] || skip "not installed:$missing (the rest agreed)"
