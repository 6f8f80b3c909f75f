#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The estimate of executions (fetch/unbias.h) on real programs: how alike the shares of edges are to the exact counts of the
# run, as recorded and as estimated, for each event that could have sampled it.
#
#	unbias.sh [PROGRAM COMPILER LINK]...     triples; or set TRUTH_PROGRAMS (lua quickjs ninja sqlite leveldb),
#	                                         TRUTH_COMPILERS (gcc-12 clang-22)
#
# Exit 0: at $SAMPLES samples at least $LEAST per cent wherever the unit of the event is known and as many samples by a branch
# event reach that, or within a point and a half of them; branch events unharmed; without lengths not worse than without the estimate, on the
# mean. Exit 77: the last line names what is missing.
set -u
. tests/truth/truth_lib.bash
. tests/interop/unbias_lib.bash

LEAST=97.5
SAMPLES=80000
truth_init
unbias_build_tool
CELLS=()
while [ $# -ge 3 ]; do
	CELLS+=("$1 $2 $3")
	shift 3
done
if [ "${#CELLS[@]}" = 0 ]; then
	for p in ${TRUTH_PROGRAMS-lua quickjs ninja sqlite leveldb}; do
		for c in ${TRUTH_COMPILERS-gcc-12 clang-22}; do
			CELLS+=("$p $c pie")
		done
	done
fi

# record NAME EVENT RATE OPTIONS: a third more samples than wanted, of which a random part is taken
record() {
	local ring=$CELL/unbias-$1
	[ -e "$ring" ] || {
		emulated "$ring.new" -e "$2" -p "$(($3 * 3 / (4 * SAMPLES)))" -s 7 ${4:+-O "$4"} && mv "$ring.new" "$ring" || return 1
	}
	RING=$ring
}

failed=0 cells=0
declare -A GAIN=()
printf '%-22s %-18s %9s %9s %9s %9s %8s %8s  %s\n' program event 'edges %' estimated 'blocks %' estimated total phi by
for cell in "${CELLS[@]}"; do
	read -r p c l <<<"$cell"
	truth_cell "$p" "$c" "$l" 1000000 || continue
	emulated "$T/first" -e branches -p 100000007 && "$B/emu/exact" "$T/first" >"$T/exact" || exit 1
	tests/truth/programs.sh run "$p" train "$APP" "$PWD/tests/emu/record.sh" --count "$T/count" -- >/dev/null || exit 1
	rate() { awk -v k="$1" '$1 == k { printf "%.0f", $2 }' "$T/count"; }
	cells=$((cells + 1))
	reference=0
	for e in branches::taken-branches instructions::instructions cycles::model-cycles cycles:skid=8:model-cycles \
		cycles:cyclesfield=0:model-cycles cycles:cyclesfield=0,skid=8:model-cycles; do
		IFS=: read -r event options unit <<<"$e"
		name=$event${options:+,$options}
		record "$name" "$event" "$(rate "$unit")" "$options" || exit 1
		"$B/emu/mkperf" --aslr 11 --max-samples "$SAMPLES" --binary "$APP" -o "$T/data" "$RING" || exit 1
		unbias_measure "$T/data" "$APP" "$T/exact" || exit 1
		by=${HOW#* by }
		printf '%-22s %-18s %9s %9s %9s %9s %8s %8s  %s\n' "$p-$c" "${name/cyclesfield=0/no-field}" "$BEFORE" "$AFTER" \
			"$BLOCKS_BEFORE" "$BLOCKS_AFTER" "$TOTAL" "$PHI" "${by%, phi*}"
		case $name in
		branches)
			reference=$AFTER
			awk -v a="$AFTER" -v b="$BEFORE" 'BEGIN { exit a < b - 0.15 }' || failed=$((failed + 1))
			;;
		*cyclesfield=0*) GAIN[$name]=$(awk -v g="${GAIN[$name]:-0}" -v a="$AFTER" -v b="$BEFORE" 'BEGIN { print g + a - b }') ;;
		*)
			awk -v a="$AFTER" -v least=$LEAST -v r="$reference" 'BEGIN { exit !(a >= least || a >= r - 1.5) }' || {
				echo "  below $LEAST, and below $reference of a branch event"
				failed=$((failed + 1))
			}
			;;
		esac
	done
done
[ $cells -gt 0 ] || leave "none of the programs could be built"
for name in "${!GAIN[@]}"; do
	awk -v g="${GAIN[$name]}" -v n=$cells -v e="$name" 'BEGIN { printf "%s: %+.2f points on the mean\n", e, g / n; exit g < 0 }' ||
		failed=$((failed + 1))
done
echo "$cells programs, $failed misses"
[ $failed = 0 ]
