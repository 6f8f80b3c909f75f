#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Samples without branch records: our profiles against those of create_gcov and create_llvm_prof (--use_lbr=false) and of
# perf2bolt -nl from the same recording. Compared: positions with the exact profile of the run, and what gcc, clang and
# llvm-bolt make of them, by exact instructions and taken branches.
#
# Exit 0: nowhere below them; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++ llvm-symbolizer
command -v python3 >/dev/null || skip "python3 is not installed"
command -v perf >/dev/null || skip "perf is not installed"
make -s B="$B" SAN= COV= truth-tools || exit 1
TRUTH=$B/truth-tools/truth SAMPLES=20000

# sampled NAME: the program, $T/ip.data, $T/exact.prof, $T/plain.count
sampled() {
	program "$1"
	# shellcheck disable=SC2046 # several words
	tests/emu/record.sh -e cycles -p 1000 -s 3 -O skid=3,callchain=1 -o "$T/ring" -- "$APP" $(args_of "${1%%-*}") >/dev/null &&
		"$B/emu/exact" "$T/ring" >"$T/exact" && "$TRUTH" insns "$APP" "$T/exact" >"$T/insns" &&
		"$TRUTH" calls "$APP" "$T/exact" >"$T/calls" &&
		tests/truth/positions.py exact "$2" "${TOOL[llvm-symbolizer]}" "$APP" "$T/insns" "$T/calls" >"$T/exact.prof" &&
		"$B/emu/mkperf" --mode callchain --event cycles:u --max-samples $SAMPLES -o "$T/ip.data" "$T/ring" &&
		"$B/emu/mkperf" --mode ip --event cycles:u --max-samples $SAMPLES -o "$T/plain.data" "$T/ring" &&
		counted "$APP" "${1%%-*}" "$T/plain"
}

positions() {
	tests/truth/positions.py overlap "$T/exact.prof" "$1" "$2" | awk '{ print $2 }'
}

lacks() {
	! grep "$1" "$2"
}

# not_behind WHAT OURS THEIRS: taken branches of the rebuilt programs; equal up to half a hundredth
not_behind() {
	local a b
	a=$(ratio "$2" "$T/plain" taken-branches) b=$(ratio "$3" "$T/plain" taken-branches)
	printf '%-44s taken branches: ours x %s, theirs x %s; instructions x %s, x %s\n' "$1" "$a" "$b" \
		"$(ratio "$2" "$T/plain" instructions)" "$(ratio "$3" "$T/plain" instructions)"
	expect "$1: no more taken branches than with the other's file" at_least "$(awk -v b="$b" 'BEGIN { print b + 0.005 }')" "$a"
}

# ---- gcc
read -r GCC GXX < <(compiler_of gcc)
sampled quarry-gcc-fixed4 gcc || exit 1
release=$("$GCC" -dumpversion | sed 's/\..*//')
expect "gcc: pgo converts" "$PGO" convert -q "$T/ip.data" --binary "$APP" --gcc "$T/ours.afdo" --gcc-release "$release" --bolt "$T/ours.fdata"
"$PGO" show --all "$T/ours.afdo" >"$T/ours.text"
ours=$(positions show "$T/ours.text")
echo "gcc: positions, per cent: ours $ours"
expect "gcc: most of the positions" at_least "$ours" 70
# shellcheck disable=SC2046 # several words
build quarry "$GCC" "$GXX" "$T/gcc" $(flags_of gcc fixed4) "-fauto-profile=$T/ours.afdo" >"$T/log" 2>&1
counted "$T/gcc/app" quarry "$T/gcc-ours"
same_work "gcc, from plain samples" "$T/plain" "$T/gcc-ours"
if command -v create_gcov >/dev/null && command -v dump_gcov >/dev/null; then
	create_gcov --use_lbr=false --binary="$APP" --profile="$T/plain.data" --gcov="$T/theirs.afdo" --gcov_version=2 >"$T/log" 2>&1
	dump_gcov --gcov_version=2 "$T/theirs.afdo" >"$T/theirs.text" 2>/dev/null
	theirs=$(positions gcov "$T/theirs.text")
	echo "gcc: positions, per cent: create_gcov $theirs"
	expect "gcc: positions not below create_gcov's" at_least "$ours" "$theirs"
	# shellcheck disable=SC2046 # several words
	if build quarry "$GCC" "$GXX" "$T/gcc2" $(flags_of gcc fixed4) "-fauto-profile=$T/theirs.afdo" >"$T/log" 2>&1; then
		counted "$T/gcc2/app" quarry "$T/gcc-theirs"
		not_behind "gcc" "$T/gcc-ours" "$T/gcc-theirs"
	else
		echo "gcc cannot be given what create_gcov wrote"
	fi
else
	echo "create_gcov is not here: not compared with it"
fi

# ---- llvm-bolt
bolt=$(tests/tools.sh llvm-bolt) perf2bolt=$(tests/tools.sh perf2bolt)
layout=(-reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions -split-all-cold)
if [ -n "$bolt" ]; then
	expect "llvm-bolt takes what was inferred" "$bolt" "$APP" -o "$T/bolted" -data="$T/ours.fdata" "${layout[@]}"
	expect "and finds no function whose profile does not fit" lacks 'have invalid (possibly stale) profile' "$T/log"
	counted "$T/bolted" quarry "$T/bolt-ours"
	same_work "llvm-bolt, from plain samples" "$T/plain" "$T/bolt-ours"
	if [ -n "$perf2bolt" ] && "$perf2bolt" "$APP" -nl -p "$T/plain.data" -o "$T/theirs.fdata" >"$T/log" 2>&1 &&
		"$bolt" "$APP" -o "$T/bolted2" -data="$T/theirs.fdata" "${layout[@]}" >"$T/log" 2>&1; then
		counted "$T/bolted2" quarry "$T/bolt-theirs"
		not_behind "llvm-bolt, against perf2bolt -nl" "$T/bolt-ours" "$T/bolt-theirs"
	fi
fi

# ---- clang
if read -r CC CXX < <(compiler_of clang); then
	sampled menagerie-clang-fixed4 clang || exit 1
	expect "clang: pgo converts" "$PGO" convert -q "$T/ip.data" --binary "$APP" --clang "$T/ours.prof" --clang-format text
	ours=$(positions llvm "$T/ours.prof")
	echo "clang: positions, per cent: ours $ours"
	expect "clang: most of the positions" at_least "$ours" 70
	# shellcheck disable=SC2046 # several words
	build menagerie "$CC" "$CXX" "$T/clang" $(flags_of clang fixed4) "-fprofile-sample-use=$T/ours.prof" >"$T/log" 2>&1
	counted "$T/clang/app" menagerie "$T/clang-ours"
	same_work "clang, from plain samples" "$T/plain" "$T/clang-ours"
	if command -v create_llvm_prof >/dev/null &&
		create_llvm_prof --use_lbr=false --binary="$APP" --profile="$T/plain.data" --format=text --out="$T/theirs.prof" >"$T/log" 2>&1; then
		theirs=$(positions llvm "$T/theirs.prof")
		echo "clang: positions, per cent: create_llvm_prof $theirs"
		expect "clang: positions not below create_llvm_prof's" at_least "$ours" "$theirs"
		# shellcheck disable=SC2046 # several words
		if build menagerie "$CC" "$CXX" "$T/clang2" $(flags_of clang fixed4) "-fprofile-sample-use=$T/theirs.prof" >"$T/log" 2>&1; then
			counted "$T/clang2/app" menagerie "$T/clang-theirs"
			not_behind "clang" "$T/clang-ours" "$T/clang-theirs"
		else
			echo "clang cannot be given what create_llvm_prof wrote"
		fi
	fi
fi
finish
