#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `pgo convert --bolt` against the truth: the instrument counted each branch of the very run that was sampled. What is
# measured is how alike the shares are that each edge has, of some 80,000 rings: sum of the smaller share, per cent.
#
# Exit 0: close enough; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++

LEAST=98

perf2bolt=$(command -v perf >/dev/null && tests/tools.sh perf2bolt)
printf '%-28s %10s %9s %9s %9s %9s\n' program profile 'taken %' 'calls %' 'through %' 'all %'
for name in quarry-gcc-dense menagerie-gcc-dense; do
	program "$name"
	prepare "$APP" "$P"
	[ -e "$P/bounds" ] || awk '{ print $2, $1 }' "$P/syms" >"$P/bounds"
	expect "$name: pgo converts" "$PGO" convert "$DATA" --binary "$APP" --bolt "$T/ours.fdata" || continue
	fdata_edges "$P" "$T/ours.fdata" "$T/a"
	truth "$P" "$RING" "$T/a" "$T/t"
	alike "$T/a" "$T/t"
	printf '%-28s %10s %9s %9s %9s %9s\n' "$name" pgo "${SHARE[taken]}" "${SHARE[calls]}" "${SHARE[through]}" "${SHARE[all]}"
	if [ -n "${DETAILS-}" ]; then
		for kind in taken calls through; do
			echo "  $kind: share sampled, share exact, in millionths"
			for f in a t; do
				awk -F '\t' -v OFS='\t' '{ n[$1] += $2; all += $2 } END { for (k in n) print k, int(1e6 * n[k] / all) }' "$T/$f.$kind" >"$T/$f.ppm"
			done
			differences "$T/a.ppm" "$T/t.ppm" 6
		done
	fi
	for kind in "${!SHARE[@]}"; do
		expect "$name: edges of the kind '$kind' have their true shares" at_least "${SHARE[$kind]}" "$LEAST"
	done
	[ -n "$perf2bolt" ] || continue
	ours=${SHARE[all]}
	expect "$name: perf2bolt converts" "$perf2bolt" "$APP" -p "$DATA" -o "$T/theirs.fdata"
	fdata_edges "$P" "$T/theirs.fdata" "$T/b"
	alike "$T/b" "$T/t"
	printf '%-28s %10s %9s %9s %9s %9s\n' "$name" perf2bolt "${SHARE[taken]}" "${SHARE[calls]}" "${SHARE[through]}" "${SHARE[all]}"
	# a ring of 32 has 32 branches and 31 runs between them: ours makes up for it
	expect "$name: all edges together are nearer to the truth than perf2bolt's" at_least "$ours" "${SHARE[all]}"
done

# The measure must see what it is for: a hundredth of the samples is not enough.
program quarry-gcc-dense
"$B/emu/mkperf" --max-samples 200 -o "$T/few.data" "$RING"
"$PGO" convert "$T/few.data" --binary "$APP" --bolt "$T/few.fdata" >/dev/null
fdata_edges "$P" "$T/few.fdata" "$T/f"
truth "$P" "$RING" "$T/f" "$T/t"
expect "the measure sees that two hundred rings are few" below "$(same_mass "$T/f.taken" "$T/t.taken")" 95
finish
