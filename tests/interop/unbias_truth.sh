#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The estimate of executions against the truth: the instrument counted each branch of the very runs that were sampled, by events that
# count branches, instructions and model cycles, with and without skid, with and without cycles in the entries. What is
# measured is how alike the shares are that each edge has: sum of the smaller share, per cent.
#
# Exit 0: close enough; 77: the last line names what is missing; 1: something is not. With PGO_UNBIAS_ALL=1 all events of both
# programs, and fewer samples; tests/truth/unbias.sh has real programs.
set -u
. tests/interop/peers_lib.bash
. tests/interop/unbias_lib.bash
interop_init
need gcc g++
unbias_build_tool

LEAST=97.5
SAMPLES=80000

# rate EVENT: how many there are in the run
rate() {
	awk -v k="$1" '$1 == k { printf "%.0f", $2 }' "$P/unbias.count"
}

# record EVENT OPTIONS UNIT: sets RING, made once
record() {
	RING=$P/unbias-$1${2:+-${2//[=,]/}}.ring
	[ "$RING" -nt "$APP" ] && return
	# shellcheck disable=SC2046
	tests/emu/record.sh -e "$1" -p $(($(rate "$3") * 4 / (5 * SAMPLES))) -s 7 ${2:+-O "$2"} -o "$RING.new" -- "$APP" \
		$(args_of "${NAME%%-*}") >/dev/null && mv "$RING.new" "$RING"
}

# measure SAMPLES: a line of the table
measure() {
	"$B/emu/mkperf" --aslr 11 --max-samples "$1" -o "$T/data" "$RING" &&
		unbias_measure "$T/data" "$APP" "$P/unbias.exact" || return 1
	by=${HOW#* by }
	printf '%-22s %-26s %7s %8s %9s %8s %9s %8s  %s\n' "$NAME" "$EVENT${OPTIONS:+,$OPTIONS}" "$1" "$BEFORE" "$AFTER" \
		"$BLOCKS_BEFORE" "$BLOCKS_AFTER" "$PHI" "${by%, phi*}"
}

printf '%-22s %-26s %7s %8s %9s %8s %9s %8s  %s\n' program event samples 'edges %' estimated 'blocks %' estimated phi by
for NAME in quarry-gcc-dense menagerie-gcc-dense; do
	program "$NAME"
	# shellcheck disable=SC2046
	[ "$P/unbias.count" -nt "$APP" ] ||
		tests/emu/record.sh --count "$P/unbias.count" -- "$APP" $(args_of "${NAME%%-*}") >/dev/null
	[ "$P/unbias.exact" -nt "$APP" ] || "$B/emu/exact" "$RING" >"$P/unbias.exact"
	cases="branches::taken-branches instructions::instructions cycles::model-cycles cycles:skid=8:model-cycles"
	[ "$NAME" = menagerie-gcc-dense ] && [ -z "${PGO_UNBIAS_ALL-}" ] && cases="instructions::instructions cycles::model-cycles"
	[ "$NAME" = quarry-gcc-dense ] || [ -n "${PGO_UNBIAS_ALL-}" ] && cases="$cases cycles:cyclesfield=0:model-cycles"
	for c in $cases; do
		IFS=: read -r EVENT OPTIONS unit <<<"$c"
		expect "$NAME: records $EVENT" record "$EVENT" "$OPTIONS" "$unit" || continue
		measure $SAMPLES || {
			expect "$NAME: imports $EVENT" false
			continue
		}
		case $EVENT,$OPTIONS in
		branches,) expect "$NAME: branch events are not harmed" at_least "$AFTER" "$(awk -v b="$BEFORE" 'BEGIN { print b - 0.15 }')" ;;
		*cyclesfield=0*) [ "$NAME" = menagerie-gcc-dense ] || expect "$NAME: without cycles it is better than nothing" at_least "$AFTER" "$BEFORE" ;;
		*)
			expect "$NAME: $EVENT $OPTIONS leave the truth where it is not corrected" below "$BEFORE" 95
			expect "$NAME: $EVENT $OPTIONS are corrected" at_least "$AFTER" $LEAST
			;;
		esac
		[ "$EVENT,$OPTIONS" = instructions, ] || [ -n "${PGO_UNBIAS_ALL-}" ] || continue
		for n in 5000 20000; do
			measure $n
			[ "$EVENT" = cycles ] && [ -z "$OPTIONS" ] || [ "$EVENT" = instructions ] || continue
			expect "$NAME: $EVENT $OPTIONS, $n samples, are better than all of them uncorrected" at_least "$AFTER" "$BEFORE"
		done
	done
done

# A recording by the wrong name is found out.
program quarry-gcc-dense
"$B/emu/mkperf" --event br_inst_retired.near_taken:u --max-samples 20000 -o "$T/data" "$P/unbias-instructions.ring"
"$PGO" import --no-labels -o "$T/wrong" "$T/data" >"$T/import.log" 2>"$T/warnings"
expect "an event that does not count branches is warned of" grep -q 'should count taken branches' "$T/warnings"
"$B/emu/mkperf" --event r1234:u --max-samples 20000 -o "$T/data" "$P/unbias-instructions.ring"
"$PGO" import --no-labels -b "$APP" -o "$T/wrong" "$T/data" >"$T/import.log" 2>"$T/warnings"
expect "an event of no known name is known by its rings" grep -q 'by instructions (as the rings show)' "$T/import.log"
finish
