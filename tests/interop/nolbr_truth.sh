#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Samples without branch records against the exact counts of the very run that was sampled: blocks, edges, and what the two
# usual ways make of the same samples (samples / instructions of a block, and the largest count of an instruction).
# The samples are of the emulator's cycles, one to three instructions late. `make truth` has the large table.
#
# Exit 0: far enough above both; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++
command -v python3 >/dev/null || skip "python3 is not installed"
command -v perf >/dev/null || skip "perf is not installed"
make -s B="$B" SAN= COV= truth-tools || exit 1
TRUTH=$B/truth-tools/truth

# overlaps N: BLOCKS ("max M average A pgo P") and EDGES from N samples
overlaps() {
	"$B/emu/mkperf" --mode callchain --event cycles:u --max-samples "$1" -o "$T/ip.data" "$T/ring" &&
		"$PGO" convert -q "$T/ip.data" --binary "$APP" --bolt "$T/o.fdata" --bolt-preagg "$T/o.preagg" >"$T/account" &&
		perf script -i "$T/ip.data" -F ip -G 2>/dev/null | awk 'NF == 1' >"$T/ips" && [ -s "$T/ips" ] &&
		BLOCKS=$(tests/truth/plain_blocks.py "$T/exact" "$T/insns" "$T/ips" "$T/o.preagg") &&
		EDGES=$("$TRUTH" edges "$APP" "$T/exact" "$T/o.fdata" | awk '{ print $4 }')
}

printf '%-20s %8s  %-40s %6s\n' program samples blocks edges
for name in quarry-gcc-fixed menagerie-gcc-fixed; do
	program "$name"
	# shellcheck disable=SC2046 # several words
	tests/emu/record.sh -e cycles -p 1000 -s 3 -O skid=3,callchain=1 -o "$T/ring" -- "$APP" $(args_of "${name%%-*}") >/dev/null || exit 1
	"$B/emu/exact" "$T/ring" >"$T/exact"
	"$TRUTH" insns "$APP" "$T/exact" >"$T/insns"
	for n in 2000 20000; do
		expect "$name: converts $n samples" overlaps "$n" || continue
		printf '%-20s %8s  %-40s %6s\n' "$name" "$n" "$BLOCKS" "$EDGES"
		read -r _ max _ average _ ours <<<"$BLOCKS"
		expect "$name, $n samples: blocks well above samples / instructions" at_least "$ours" "$(awk -v a="$average" 'BEGIN { print a + 5 }')"
		expect "$name, $n samples: blocks well above the largest count" at_least "$ours" "$(awk -v a="$max" 'BEGIN { print a + 5 }')"
	done
	expect "$name: 20000 samples give most of the blocks" at_least "$ours" 70
	expect "$name: and of the edges" at_least "$EDGES" 66
	expect "$name: the account says that it is an estimate" grep -q 'estimated from [0-9]* samples without branch records' "$T/account"
done

# The measure must see what it is for: samples of another kind of place are no estimate.
awk '{ print $1 }' "$T/insns" | head -n 2000 >"$T/ips"
read -r _ _ _ average _ _ <<<"$(tests/truth/plain_blocks.py "$T/exact" "$T/insns" "$T/ips" "$T/o.preagg")"
expect "the measure sees samples that say nothing" below "$average" 40
finish
