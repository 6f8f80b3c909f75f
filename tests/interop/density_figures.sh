#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The densities in the account are those that llvm-bolt and llvm-profgen print for the same recording.
#
# Exit 0: they are; 77: the last line names what is missing; 1: they are not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc clang perf2bolt llvm-profgen

# printed: the number in "Functions with density >= N account for ..."
printed() { sed -n 's/.*Functions with density >= \([0-9.]*\) account.*/\1/p' "$T/log"; }
member() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["account"][sys.argv[2]])' "$T/json" "$1"; }

# between OURS LOW HIGH PERCENT: with that much room at both ends
between() {
	awk -v a="$1" -v low="$2" -v high="$3" -v p="$4" 'BEGIN {
		print a, "between", low, "and", high
		exit !(low > 0 && a >= low * (1 - p / 100) - 0.05 && a <= high * (1 + p / 100) + 0.05) }'
}

# figures TOOL ARGUMENT...: sets low, mid, high: the density at 99.3, 99 and 98.7 % of the samples.  The figure is that of
# one function, the one at which so many are reached; where several are near, a record more or less makes it the next one.
figures() {
	local cut
	for cut in 993000 990000 987000; do
		"$@" --profile-density-cutoff-hot=$cut >"$T/log" 2>&1 || return 1
		case $cut in
		993000) low=$(printed) ;;
		990000) mid=$(printed) ;;
		*) high=$(printed) ;;
		esac
	done
	[ -n "$low" ] && [ -n "$mid" ] && [ -n "$high" ]
}

for name in menagerie-clang-pie menagerie-gcc-fixed quarry-gcc-pie; do
	program $name
	# From the records as they are, which is what the others count; estimates may put another function at the limit.
	"$PGO" convert "$DATA" --no-unbias --binary "$APP" --clang "$T/x" --json >"$T/json" 2>/dev/null
	expect "$name: perf2bolt" figures "${TOOL[perf2bolt]}" -p "$DATA" -o "$T/x.fdata" "$APP"
	echo "$name: llvm-bolt $mid, ours $(member density)"
	expect "$name: llvm-bolt's" between "$(member density)" "$low" "$high" 0.5
	expect "$name: llvm-profgen" figures "${TOOL[llvm-profgen]}" --perfdata="$DATA" --binary="$APP" --output="$T/x.prof" --format=text --show-density
	echo "$name: llvm-profgen $mid, ours $(member density_llvm)"
	# Its counts lack the runs behind the newest branch of each ring, 1 in 32; and it takes gcc's discriminators for clang's.
	expect "$name: llvm-profgen's" between "$(member density_llvm)" "$low" "$high" 6
done
finish
