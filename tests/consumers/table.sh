#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Our profiles in front of every gcc and clang of four Debian releases: what `make consumers` runs.
#
#	table.sh [COMPILER...]          default: all of them, gcc from 9 on and clang from 14 on
#
# Makes the releases' directories if they are not there (tests/consumers/root.sh: root, network, some 7 GB), then
# runs tests/consumers/measure.sh for each compiler and program, and tests/interop/formats_gcc.sh against the newest
# gccs.  Exit code 1 if a compiler refuses a profile, says something about it, matches less of it than MATCHED percent
# (70), or makes another program of it.
#
# Environment: SUITES (bullseye bookworm trixie sid), PROGRAMS (quarry menagerie), PGO_ROOTS, MIRROR.
set -u
cd "$(dirname "$0")/../.." || exit 2

here=tests/consumers
bad=0
declare -A seen

# one ROOT COMPILER PROGRAM: prints the line, and what is wrong with it
one() {
	local extra=() line
	# What gcc to 15 switches on for a profile, and later ones do not.
	[[ $2 =~ ^gcc-(1[6-9]|[2-9][0-9])$ ]] && extra=(+ -fpeel-loops)
	line=$(timeout 900 nice $here/measure.sh -r "$1" -p "$3" "$2" "${extra[@]}" 2>&1) || bad=1
	echo "$line"
	awk -v min="${MATCHED-70}" 'match($0, /[0-9.]+ % of the counts/) { m = substr($0, RSTART) + 0; exit !(m >= min) }' <<<"$line" || {
		echo "FAIL: less than ${MATCHED-70} % of the counts matched"
		bad=1
	}
}

for suite in ${SUITES-sid trixie bookworm bullseye}; do
	root=$($here/root.sh "$suite") || {
		echo "FAIL: there is no $suite"
		bad=1
		continue
	}
	for path in "$root"/usr/bin/gcc-[0-9]* "$root"/usr/bin/clang-[0-9]*; do
		compiler=${path##*/}
		if ! [[ $compiler =~ ^(gcc|clang)-[0-9]+$ && -z ${seen[$compiler]-} ]]; then continue; fi
		[ $# = 0 ] || [[ " $* " == *" $compiler "* ]] || continue
		seen[$compiler]=1
		for program in ${PROGRAMS-quarry menagerie}; do
			one "$root" "$compiler" "$program"
		done
	done
	[ "$suite" != sid ] || [ $# != 0 ] || PGO_GCC_TREE=$root timeout 900 nice tests/interop/formats_gcc.sh || bad=1
done
exit $bad
