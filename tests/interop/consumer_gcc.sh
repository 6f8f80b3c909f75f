#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# gcc uses what `pgo convert --gcc` writes: it compiles with the profile in silence, its dumps show our counts in the
# functions and blocks of the profile, and the program it makes does the same work and takes no more branches.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++
[ "$(tests/tools.sh --version gcc)" -ge 10 ] || skip "gcc is older than 10"

# with_counts HEADS DUMP...: of the functions that the profile has an entry count for and that gcc compiled as bodies of
# their own, the share by entries whose first block has a count of the profile, or had until inlined copies had taken all of
# it ("globally 0 adjusted"); then their numbers.
with_counts() {
	awk '
		FNR == 1 { file++; body = "" }
		file == 1 { split($0, f, "\t"); head[f[1]] += f[2]; next }
		/^;; Function / { match($0, /\([^ (]*, funcdef_no/); body = substr($0, RSTART + 1); sub(/[.,].*/, "", body); next }
		body in head && /basic block 2, loop depth 0.*count/ {
			seen[body]
			if (/count [1-9][0-9]* \((auto FDO|estimated locally, globally 0 adjusted)/) got[body]
			body = ""
		}
		END {
			for (b in seen) { all++; mass += head[b]; if (b in got) { n++; used += head[b] } else print "    no count in " b " (entries " head[b] ")" >"/dev/stderr" }
			printf "%.2f %d %d\n", mass ? 100 * used / mass : 0, n, all
		}' "$@"
}

for name in quarry-gcc-pie menagerie-gcc-pie; do
	source=${name%%-*}
	program "$name"
	flags=$(flags_of gcc "${name##*-}")
	counted "$APP" "$source" "$T/plain"
	expect "$name: pgo converts" "$PGO" convert "$DATA" --binary "$APP" --gcc "$T/afdo" || continue
	rm -rf "$T/with"
	# shellcheck disable=SC2086 # several words
	build "$source" "${TOOL[gcc]}" "${TOOL[g++]}" "$T/with" $flags -fauto-profile="$T/afdo" -Wno-missing-profile \
		-fdump-tree-optimized-blocks-details >"$T/said" 2>&1
	expect "$name: gcc takes the profile in silence" silent "$T/said"
	"$PGO" show --all "$T/afdo" | flat_gcc pgo heads >"$T/heads"
	read -r share got all < <(with_counts "$T/heads" "$T"/with/*.optimized 2>"$T/missed")
	blocks=$(cat "$T"/with/*.optimized | grep -c 'basic block.*count [1-9][0-9]* (auto FDO')
	echo "$name: $got of $all profiled functions have a count, $share % by entries; $blocks blocks have one"
	head -n 5 "$T/missed"
	expect "$name: functions have their counts" at_least "$share" 99
	expect "$name: blocks have counts" at_least "$blocks" 100
	counted "$T/with/app" "$source" "$T/ours"
	same_work "$name" "$T/plain" "$T/ours"
done

# With a profile that fits nothing no block has a count: the check can fail.
program menagerie-gcc-pie
expect "the profile of another program is made" "$PGO" convert "$FI/quarry-gcc-pie/perf.data" --binary "$FI/quarry-gcc-pie/app" --gcc "$T/foreign"
rm -rf "$T/with"
# shellcheck disable=SC2046 # several words
build menagerie "${TOOL[gcc]}" "${TOOL[g++]}" "$T/with" $(flags_of gcc pie) -fauto-profile="$T/foreign" -fdump-tree-optimized-blocks-details
printf 'left_walk\t10\nright_walk\t10\n' >"$T/heads"
read -r share got all < <(with_counts "$T/heads" "$T"/with/*.optimized 2>/dev/null)
expect "with another program's profile functions have no counts" test "$got" = 0 -a "$all" = 2
finish
