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

# close OURS THEIRS PERCENT
close() {
	awk -v a="$1" -v b="$2" -v p="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; print a, "against", b; exit !(b > 0 && d <= b * p / 100 + 0.05) }'
}

for name in menagerie-clang-pie menagerie-gcc-fixed quarry-gcc-pie; do
	program $name
	# From the records as they are, which is what the others count; estimates may put another function at the limit.
	"$PGO" convert "$DATA" --no-unbias --binary "$APP" --clang "$T/x" --json >"$T/json" 2>/dev/null
	expect "$name: perf2bolt" "${TOOL[perf2bolt]}" -p "$DATA" -o "$T/x.fdata" "$APP"
	bolt=$(printed)
	expect "$name: llvm-profgen" "${TOOL[llvm-profgen]}" --perfdata="$DATA" --binary="$APP" --output="$T/x.prof" --format=text --show-density
	profgen=$(printed)
	echo "$name: llvm-bolt $bolt, ours $(member density); llvm-profgen $profgen, ours $(member density_llvm)"
	# The figure is that of one function, the one at which 99 % are reached; in quarry several are near, and a record more or
	# less makes it the next one.
	expect "$name: llvm-bolt's" close "$(member density)" "$bolt" "$([ "${name%%-*}" = quarry ] && echo 10 || echo 0.5)"
	# Its counts lack the runs behind the newest branch of each ring, 1 in 32; and it takes gcc's discriminators for clang's.
	expect "$name: llvm-profgen's" close "$(member density_llvm)" "$profgen" 6
done
finish
