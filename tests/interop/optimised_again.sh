#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Profiles of programs that were built with a profile already, as a fleet that is rebuilt every week has them: deep inline
# stacks, split functions, clang's duplication factors. The second profile must be what the exact counts of that run say
# (the first one is no measure: counts by line depend on what was unrolled and hoisted); and the third build, with the second profile, must be as good as the second one.
#
# Exit 0: all held; 77: the last line names what is missing; 1: something did not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++ clang clang++ llvm-profdata llvm-symbolizer
make -s B="$B" SAN= COV= truth-tools || exit 1

# profile APP DATA TO: TO.text for comparing, TO.prof and TO.afdo for the compilers
profile() {
	"$PGO" convert "$2" --binary "$1" --clang "$3.text" --clang-format text --gcc "$3.afdo" --gcc-release "$GCC" &&
		"$PGO" convert "$2" --binary "$1" --clang "$3.prof"
}

# build_with HOW OUT PROFILES: menagerie by the compiler of HOW
build_with() {
	local flags
	case $1 in
	clang-sample) flags="-fprofile-sample-use=$3.prof" ;;
	clang-instr) flags="-fprofile-instr-use=$T/instr.profdata" ;;
	gcc-auto) flags="-fauto-profile=$3.afdo" ;;
	esac
	# shellcheck disable=SC2046,SC2086 # several words
	build menagerie "$cc" "$cxx" "$2" $(flags_of "${1%%-*}" pie) $flags
}

# exact APP RING TO KIND: what a profile by line should say of that very run
exact() {
	"$B/emu/exact" "$2" >"$3.edges" && "$B/truth-tools/truth" insns "$1" "$3.edges" >"$3.insns" &&
		"$B/truth-tools/truth" calls "$1" "$3.edges" >"$3.calls" &&
		python3 tests/truth/positions.py exact "$4" "${TOOL[llvm-symbolizer]}" "$1" "$3.insns" "$3.calls" >"$3.exact"
}

record() {
	# shellcheck disable=SC2046 # several words
	tests/emu/record.sh -e branches -p 397 -s 7 -o "$2.ring" -- "$1" $(args_of menagerie) >"$2.out" &&
		"$B/emu/mkperf" -o "$2.data" "$2.ring"
}

GCC=$(tests/tools.sh --version gcc)
for how in clang-sample clang-instr gcc-auto; do
	program menagerie-${how%%-*}-pie
	read -r cc cxx < <(compiler_of "${how%%-*}")
	w=$T/$how
	mkdir "$w"
	if [ $how = clang-instr ]; then
		# shellcheck disable=SC2046 # several words
		expect "$how: instrumented" build menagerie "$cc" "$cxx" "$w/i" $(flags_of clang pie) -fprofile-instr-generate
		# shellcheck disable=SC2046 # several words
		LLVM_PROFILE_FILE=$w/raw "$w/i/app" $(args_of menagerie) >/dev/null
		expect "$how: merged" "${TOOL[llvm-profdata]}" merge "$w/raw" -o "$T/instr.profdata"
	fi
	expect "$how: the first profile" profile "$APP" "$DATA" "$w/one"
	expect "$how: built with it" build_with $how "$w/b1" "$w/one"
	expect "$how: recorded" record "$w/b1/app" "$w/r1"
	expect "$how: it does the same" cmp "$P/out" "$w/r1.out"
	expect "$how: the second profile" profile "$w/b1/app" "$w/r1.data" "$w/two"
	expect "$how: the exact counts" exact "$w/b1/app" "$w/r1.ring" "$w/r1" "${how%%-*}"
	"$PGO" show --all "$w/two.afdo" >"$w/two.show"
	case $how in
	clang*) python3 tests/truth/positions.py overlap "$w/r1.exact" llvm "$w/two.text" ;;
	gcc*) python3 tests/truth/positions.py overlap "$w/r1.exact" show "$w/two.show" ;;
	esac >"$w/overlap"
	read -r _ positions _ targets _ <"$w/overlap"
	echo "$how: the second profile against the exact counts: positions $positions %, targets $targets %"
	# The measure takes two static functions of one name for one, and knows gcc's lambdas by another name.
	case $how in clang*) least=94 ;; gcc*) least=90 ;; esac
	expect "$how: lines are right" at_least "$positions" "$least"
	expect "$how: calls are right" at_least "$targets" 95
	[ $how != clang-sample ] && [ $how != gcc-auto ] && continue
	expect "$how: built with the second profile" build_with $how "$w/b2" "$w/two"
	for n in 1 2; do counted "$w/b$n/app" menagerie "$w/c$n"; done
	echo "$how: built again: instructions x $(ratio "$w/c2" "$w/c1" instructions), taken branches x $(ratio "$w/c2" "$w/c1" taken-branches)"
	expect "$how: the third build is as good: instructions" below "$(ratio "$w/c2" "$w/c1" instructions)" 1.05
	expect "$how: the third build is as good: taken branches" below "$(ratio "$w/c2" "$w/c1" taken-branches)" 1.1
done
finish
