#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# AArch64: what `pgo convert` makes of branch records, against the exact counts of the very run, and beside it what the
# peers make of the same records. .fdata by its edges; profiles by source position against what llvm-profgen makes of
# the exact counts instead of samples. The records come in the forms that Arm's machines give: its branch record buffer
# (BRBE), with interrupts; rings that perf inject makes of a trace (ETM).
#
# Exit 0: close enough; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
have_compiler arm64gcc || skip "g++-aarch64-linux-gnu is not installed"
command -v qemu-aarch64 >/dev/null || skip "qemu-user is not installed"

LEAST=98
programs=${ARM64_PROGRAMS:-menagerie-arm64gcc-dense quarry-arm64clang-densefix}
perf2bolt=$(command -v perf >/dev/null && tests/tools.sh perf2bolt)
profgen=$(tests/tools.sh llvm-profgen)
python=$(command -v python3)
bolt=$(tests/tools.sh llvm-bolt) && tool blocks_tool

# row NAME PROFILE TAKEN CALLS THROUGH ALL POSITIONS
row() {
	printf '%-30s %12s %8s %8s %9s %8s %10s\n' "$@"
}

# positions OURS TRUE: overlap of two LLVM text profiles by source position
positions() {
	"$python" tests/interop/convert_compare.py prof "$1" "$2" | awk '$1 == "positions" { printf "%.2f\n", $2 }'
}

# profgen_of UNSYMBOLIZED OUT
profgen_of() {
	"$profgen" --unsymbolized-profile="$1" --use-offset=0 --binary="$APP" --output="$2" --format=text
}

# The exact counts as llvm-profgen takes ranges and branches.
exact_unsymbolized() {
	"$B/emu/exact" "$RING" | awk '
		$1 == "block" && $2 != "-" && $3 != "-" { range[++r] = $2 "-" $3 ":" $4 }
		$1 == "edge" && $2 != "-" && $3 != "-" { edge[++e] = $2 "->" $3 ":" $4 }
		END {
			print r; for (i = 1; i <= r; i++) print range[i]
			print e; for (i = 1; i <= e; i++) print edge[i]
		}'
}

# blocks_of_bolt: `FUNCTION BLOCK` (addresses) of all functions that llvm-bolt builds a flow graph for. It names blocks by
# them. Printed offsets are those of the file, since no instruction changes its length.
blocks_of_bolt() {
	"$bolt" "$APP" -o "$T/unchanged" -print-cfg 2>/dev/null | awk '
		function hex(s,  i, v) { v = 0; for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return v }
		/^Binary Function/ { name = $3; simple = 0; block = 0 }
		/^  Address *:/ { start = hex(substr($3, 3)) }
		/^  IsSimple/ { simple = $3 == 1 }
		/^\.[A-Za-z_0-9]+ \([0-9]+ instructions/ { block = 1; next }
		# what the linker adds has NOPs behind its ends that are in the functions for us
		!/^    [0-9a-f]+:/ || length($1) != 9 { next }
		block && simple && name !~ /^"(_start|frame_dummy|__do_global_dtors_aux)/ { sub(/:/, "", $1); printf "%x %x\n", start, start + hex($1) }
		{ block = 0 }' | sort -u
}

# same_blocks: those of the same functions are ours
same_blocks() {
	blocks_of_bolt >"$T/blocks.bolt"
	"$T/blocks_tool" "$APP" 2>/dev/null | awk 'FNR == NR { of[$1]; next } $1 in of' "$T/blocks.bolt" - | sort -u >"$T/blocks.ours"
	wc -l <"$T/blocks.bolt"
	diff "$T/blocks.bolt" "$T/blocks.ours" | head -n 20
	[ "$(wc -l <"$T/blocks.bolt")" -gt 200 ] && cmp -s "$T/blocks.bolt" "$T/blocks.ours"
}

# shares FDATA: the overlap with the truth, in SHARE
shares() {
	fdata_edges "$P" "$1" "$T/a"
	truth "$P" "$RING" "$T/a" "$T/t"
	alike "$T/a" "$T/t"
}

row program profile 'taken %' 'calls %' 'through %' 'all %' 'position %'
for name in $programs; do
	program "$name"
	[ "$(machine_of "$APP")" = arm64 ] || expect "$name is for AArch64" false
	prepare "$APP" "$P"
	[ -e "$P/bounds" ] || awk '{ print $2, $1 }' "$P/syms" >"$P/bounds"
	expect "$name: pgo converts" "$PGO" convert "$DATA" --binary "$APP" --bolt "$T/ours.fdata" --clang "$T/ours.prof" \
		--clang-format text || continue
	shares "$T/ours.fdata"
	share=- peer_share=-
	# gcc's names of functions in unnamed name spaces are not llvm-profgen's, and menagerie has two functions of one name
	if [ -n "$profgen" ] && [ -n "$python" ] && [[ $name == quarry-*clang-* ]]; then
		exact_unsymbolized >"$T/exact.unsym"
		"$B/emu/mkperf" -o "$T/unsym" --unsymbolized --binary "$APP" "$RING"
		expect "$name: llvm-profgen takes the exact counts" profgen_of "$T/exact.unsym" "$T/exact.prof"
		expect "$name: llvm-profgen takes the samples" profgen_of "$T/unsym" "$T/peer.prof"
		share=$(positions "$T/ours.prof" "$T/exact.prof") peer_share=$(positions "$T/peer.prof" "$T/exact.prof")
		expect "$name: source positions have their true shares" at_least "$share" "$LEAST"
		expect "$name: no worse than llvm-profgen's" at_least "$share" "$(awk -v x="$peer_share" 'BEGIN { print x - 0.1 }')"
	fi
	row "$name" pgo "${SHARE[taken]}" "${SHARE[calls]}" "${SHARE[through]}" "${SHARE[all]}" "$share"
	for kind in "${!SHARE[@]}"; do
		expect "$name: edges of the kind '$kind' have their true shares" at_least "${SHARE[$kind]}" "$LEAST"
	done
	ours=${SHARE[all]}
	[ "$share" = - ] || row "$name" llvm-profgen - - - - "$peer_share"
	if [ -n "$perf2bolt" ]; then
		expect "$name: perf2bolt converts" "$perf2bolt" "$APP" -p "$DATA" -o "$T/theirs.fdata"
		shares "$T/theirs.fdata"
		row "$name" perf2bolt "${SHARE[taken]}" "${SHARE[calls]}" "${SHARE[through]}" "${SHARE[all]}" -
		expect "$name: all edges together are no further from the truth than perf2bolt's" at_least "$ours" "${SHARE[all]}"
	fi

	[ -z "$bolt" ] || expect "$name: blocks begin where llvm-bolt finds them" same_blocks

	# The branch record buffer: one entry in twenty is interrupted, and the ring is shorter by the two records of it.
	"$B/emu/mkperf" --aslr 11 --brbe --kernel-noise 5 -o "$T/brbe.data" "$RING"
	expect "$name: pgo converts records of a BRBE" "$PGO" convert "$T/brbe.data" --binary "$APP" --bolt "$T/brbe.fdata"
	shares "$T/brbe.fdata"
	row "$name" 'pgo, BRBE' "${SHARE[taken]}" "${SHARE[calls]}" "${SHARE[through]}" "${SHARE[all]}" -
	for kind in "${!SHARE[@]}"; do
		expect "$name: interrupts change nothing of '$kind'" at_least "${SHARE[$kind]}" "$LEAST"
	done
	# A trace knows no mispredictions; the counts are the same.
	"$B/emu/mkperf" --aslr 11 --trace -o "$T/trace.data" "$RING"
	expect "$name: pgo converts rings of a trace" "$PGO" convert "$T/trace.data" --binary "$APP" --bolt "$T/trace.fdata"
	expect "$name: they are the same edges" cmp <(awk '{ $7 = ""; print }' "$T/ours.fdata") <(awk '{ $7 = ""; print }' "$T/trace.fdata")
done

# perf inject takes a ring every so many instructions, which favours long runs; the lengths of runs are known from addresses.
# shellcheck disable=SC2046 # several words
tests/emu/record.sh -e instructions -p 1499 -s 7 -o "$T/every.ring" -- "$APP" $(args_of "${name%%-*}") >/dev/null
"$B/emu/mkperf" --aslr 11 --trace -o "$T/every.data" "$T/every.ring"
for how in --no-unbias ''; do
	# shellcheck disable=SC2086 # one word or none
	expect "$name: pgo converts rings taken every so many instructions" "$PGO" convert "$T/every.data" --binary "$APP" $how --bolt "$T/every.fdata"
	shares "$T/every.fdata"
	row "$name" "pgo, ETM${how:+ raw}" "${SHARE[taken]}" "${SHARE[calls]}" "${SHARE[through]}" "${SHARE[all]}" -
done
expect "$name: the bias towards long runs is taken out" at_least "${SHARE[all]}" "$LEAST"
finish
