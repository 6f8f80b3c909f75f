#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the inputs of fuzz_dwarf: debug information of a small C++ program, by what compilers there are.
#
#	tests/fuzz/corpus/dwarf.sh DIR
set -eu
out=$1
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cat >"$T/a.cc" <<'CC'
struct s { int x; int twice() const { return 2 * x; } };
namespace n { static int f(int a) { return a * 3; } }
int g(int a) { auto l = [] { return 7; }; return n::f(a) + l() + s{a}.twice(); }
int main(int argc, char **) { return g(argc); }
CC

# le BYTES VALUE: a little-endian number
le() {
	local i v=$2
	for ((i = 0; i < $1; i++)); do
		# shellcheck disable=SC2059 # the format is the point
		printf "\\x$(printf %02x $((v & 255)))"
		v=$((v >> 8))
	done
}

# pack PROGRAM VERSION FIRST BASE
pack() {
	local s
	le 1 "$2"
	le 1 8
	le 1 4
	le 2 "$3"
	le 2 "$4"
	for s in info abbrev addr line str line_str; do
		: >"$T/section"
		objcopy -O binary --only-section=".debug_$s" --set-section-flags ".debug_$s=alloc" "$1" "$T/section" 2>/dev/null || :
		le 4 "$(wc -c <"$T/section")"
		cat "$T/section"
	done
}

for cc in g++ clang++-22 clang++; do
	command -v "$cc" >/dev/null || continue
	for v in 3 4 5; do
		"$cc" -O1 -g "-gdwarf-$v" -c "$T/a.cc" -o "$T/a.o" 2>/dev/null || continue
		"$cc" "$T/a.o" -o "$T/a" 2>/dev/null || continue
		pack "$T/a" "$v" $((v < 5 ? 11 : 12)) 8 >"$out/$cc-$v.dwarf"
	done
done
