#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our profiles in front of every gcc and clang of four Debian releases: what `make consumers` runs.
#
#	table.sh [COMPILER...]          default: all of them, gcc from 9 on and clang from 14 on
#
# Makes the releases' directories if they are not there (tests/consumers/root.sh: root, network, some 7 GB), then
# runs tests/consumers/measure.sh for each compiler and program, and tests/interop/formats_gcc.sh against the newest
# gccs.  Exit code 1 if a compiler refuses a profile, says something about it, matches less of it than MATCHED percent
# (75), or makes another program of it.
#
# Environment: SUITES (bullseye bookworm trixie sid), PROGRAMS (quarry menagerie), PGO_ROOTS, MIRROR.
set -u
cd "$(dirname "$0")/../.." || exit 2

here=tests/consumers
bad=0
declare -A seen
# shellcheck disable=SC2048 # several words
for suite in ${SUITES-sid trixie bookworm bullseye}; do
	root=$($here/root.sh "$suite") || {
		echo "$suite: no root directory; skipped"
		bad=1
		continue
	}
	mountpoint -q "$root/proc" || mount -t proc proc "$root/proc" 2>/dev/null
	for path in "$root"/usr/bin/gcc-[0-9]* "$root"/usr/bin/clang-[0-9]*; do
		compiler=${path##*/}
		[[ $compiler =~ ^(gcc|clang)-[0-9]+$ ]] && [ -z "${seen[$compiler]-}" ] || continue
		[ $# = 0 ] || [[ " $* " == *" $compiler "* ]] || continue
		seen[$compiler]=1
		for program in ${PROGRAMS-quarry menagerie}; do
			extra=()
			# What gcc to 15 switches on for a profile, and later ones do not.
			[[ $compiler =~ ^gcc-(1[6-9]|[2-9][0-9])$ ]] && extra=(+ -fpeel-loops)
			timeout 600 nice $here/measure.sh -r "$root" -p "$program" "$compiler" "${extra[@]}" || bad=1
		done
	done | while read -r line; do
		echo "$line"
		awk -v min="${MATCHED-75}" '{ print } / accepted, / && match($0, /[0-9.]+ % of the counts/) { m = substr($0, RSTART) + 0; exit !(m >= min) }' \
			<<<"$line" >/dev/null || echo "FAIL: less than ${MATCHED-75} % matched"
	done
	[ "$suite" != sid ] || [ $# != 0 ] || PGO_GCC_TREE=$root timeout 900 nice tests/interop/formats_gcc.sh || bad=1
	mountpoint -q "$root/proc" && umount "$root/proc"
done
exit $bad
