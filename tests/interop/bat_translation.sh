#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Profiles of programs that llvm-bolt has rewritten. With --enable-bat their addresses are translated back: the .fdata must
# have the mass of perf2bolt's, and llvm-bolt must use it on the program as it was. With --update-debug-sections the
# compilers' profiles must be those of the program as it was, but for the sampling. Without either, the error says so.
#
# Exit 0: all held; 77: the last line names what is missing; 1: something did not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc clang llvm-bolt perf2bolt

# edges FDATA: `FROM>TO COUNT`
edges() {
	awk -v OFS='\t' 'NF == 8 { print $1 " " $2 "+" $3 ">" $4 " " $5 "+" $6, $8 }' "$1"
}

for name in menagerie-clang-pie quarry-gcc-pie menagerie-gcc-fixed; do
	have_compiler "$(cut -d- -f2 <<<"$name")" || continue
	program $name
	plain=$APP source=${name%%-*}
	w=$T/$name
	mkdir "$w"
	expect "$name: pgo converts" "$PGO" convert "$DATA" --binary "$APP" --bolt "$w/first.fdata" --clang "$w/plain.prof" --clang-format text \
		--gcc "$w/plain.afdo" --gcc-release 12
	for kind in bat both none; do
		how=()
		[ $kind = none ] || how+=(--enable-bat)
		[ $kind != both ] || how+=(--update-debug-sections)
		expect "$name: llvm-bolt, $kind" "${TOOL[llvm-bolt]}" "$APP" -o "$w/$kind" -data "$w/first.fdata" -reorder-blocks=ext-tsp \
			-reorder-functions=cdsort -split-functions -split-all-cold -split-eh "${how[@]}"
	done
	# shellcheck disable=SC2046 # several words
	tests/emu/record.sh -e branches -p 797 -s 7 -o "$w/ring" -- "$w/both" $(args_of "$source") >"$w/out" &&
		"$B/emu/mkperf" -o "$w/perf.data" "$w/ring" || exit 1
	expect "$name: the rewritten program does the same" cmp "$P/out" "$w/out"

	# ------------------------------------------------------------ for llvm-bolt, translated
	expect "$name: pgo translates" "$PGO" convert "$w/perf.data" --binary "$w/both" --bolt "$w/ours.fdata" --no-unbias
	expect "$name: the file says what it is of" grep -qx boltedcollection "$w/ours.fdata"
	expect "$name: perf2bolt translates" "${TOOL[perf2bolt]}" -p "$w/perf.data" -o "$w/theirs.fdata" "$w/both"
	edges "$w/ours.fdata" >"$w/ours" && edges "$w/theirs.fdata" >"$w/theirs"
	same=$(same_mass "$w/ours" "$w/theirs")
	echo "$name: $same % in common with perf2bolt's translation"
	expect "$name: as perf2bolt does" at_least "$same" 99
	[ "$(awk -v s="$same" 'BEGIN { print s < 99 }')" = 0 ] || differences "$w/ours" "$w/theirs"
	expect "$name: llvm-bolt uses it on the program as it was" "${TOOL[llvm-bolt]}" "$plain" -o "$w/again" -data "$w/ours.fdata" \
		-reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions
	expect "$name: no function of it is stale" test "$(grep -c 'stale' "$T/log")" = 0
	# shellcheck disable=SC2046 # several words
	"$w/again" $(args_of "$source") >"$w/again.out"
	expect "$name: what llvm-bolt makes of it does the same" cmp "$P/out" "$w/again.out"

	# ------------------------------------------------------------ for the compilers, by its own debug information
	expect "$name: pgo converts by lines" "$PGO" convert "$w/perf.data" --binary "$w/both" --clang "$w/bolted.prof" --clang-format text
	overlap=$(python3 tests/truth/positions.py overlap "$w/plain.prof" llvm "$w/bolted.prof")
	overlap=${overlap% /*}
	echo "$name: lines of the rewritten program against the plain one's: $overlap"
	expect "$name: the same lines" at_least "$(awk '{ print $2 }' <<<"$overlap")" 93
	expect "$name: the same calls" at_least "$(awk '{ print $4 }' <<<"$overlap")" 93

	# ------------------------------------------------------------ for the compilers, by that of the program as it was
	expect "$name: pgo converts by both" "$PGO" convert "$w/perf.data" --binary "$w/bat" --binary "$plain" --clang "$w/moved.prof" \
		--clang-format text
	overlap=$(python3 tests/truth/positions.py overlap "$w/bolted.prof" llvm "$w/moved.prof")
	overlap=${overlap% /*}
	echo "$name: by the table and the program as it was, against llvm-bolt's own debug information: $overlap"
	expect "$name: lines as llvm-bolt translates them" at_least "$(awk '{ print $2 }' <<<"$overlap")" 99
	expect "$name: calls as llvm-bolt translates them" at_least "$(awk '{ print $4 }' <<<"$overlap")" 99

	# ------------------------------------------------------------ refused
	# code is where it was in `both`, so its recording is as good for the others
	id() { readelf -n "$1" | sed -n 's/.*Build ID: //p'; }
	expect "$name: the same build" test "$(id "$w/both")" = "$(id "$w/none")"
	"$PGO" convert "$w/perf.data" --binary "$w/none" --bolt "$w/x" >"$w/said" 2>&1
	expect "$name: without the table: an error" test $? = 3
	expect "$name: which names the remedy" grep -e --enable-bat "$w/said"
	"$PGO" convert "$w/perf.data" --binary "$w/bat" --clang "$w/x" >"$w/said" 2>&1
	expect "$name: without debug information: an error" test $? = 3
	expect "$name: which names that remedy" grep -e '--update-debug-sections.*with --binary as well' "$w/said"
	head -c 60 /dev/urandom >"$w/note"
	expect "$name: a table is damaged" objcopy --update-section .note.bolt_bat="$w/note" "$w/both" "$w/damaged"
	"$PGO" convert "$w/perf.data" --binary "$w/damaged" --bolt "$w/x" >"$w/said" 2>&1
	expect "$name: which is an error" test $? = 3
	expect "$name: and is named" grep -e 'damaged, or of a version' "$w/said"
	expect "$name: nothing was written" test ! -e "$w/x"
done
finish
