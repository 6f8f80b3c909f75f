#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `pgo merge` of converted files beside those whose job it is: llvm-profdata (the same bytes, in every format), merge-fdata
# (the same lines), profile_merger (the same counts); the same bytes for every order, number of threads and tree.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need clang gcc llvm-profdata merge-fdata

digest() { sha256sum <"$1"; }
cut_off() { head -c "$(($(stat -c %s "$1") * $3 / 100))" "$1" >"$2"; }
# refused TEXT COMMAND...: exit code 3 or 2, one sentence with TEXT, and nothing written to $T/none
refused() {
	local text=$1 code=0
	shift
	"$@" >"$T/said" 2>&1 || code=$?
	cat "$T/said"
	[ "$code" = 2 ] || [ "$code" = 3 ] && [ "$(wc -l <"$T/said")" = 1 ] && grep -q -e "$text" "$T/said" && [ ! -e "$T/none" ]
}

# parts NAME: six profiles of a program's recording: three thirds as llvm, bolt and gcc have them
parts() {
	program "$1"
	for i in 1 2 3; do
		"$B/emu/mkperf" --aslr $i --host web-$i --start-time 1790000000 --max-samples $((i * 700)) -o "$T/$1.$i.perf" "$RING" || return 1
		"$PGO" convert -q "$T/$1.$i.perf" --binary "$APP" --clang "$T/$1.$i.prof" --gcc "$T/$1.$i.afdo" --gcc-release 11 \
			--bolt "$T/$1.$i.fdata" || return 1
	done
}

for name in quarry-clang-pie menagerie-gcc-fixed; do
	expect "$name is recorded three times" parts $name
	p=$T/$name
	for f in extbinary extbinary-md5 extbinary-zlib text binary; do
		case $f in
		extbinary-md5) theirs='-extbinary -use-md5' ;;
		extbinary-zlib) theirs='-extbinary -compress-all-sections' ;;
		*) theirs=-$f ;;
		esac
		expect "$name: merged to $f" "$PGO" merge -q "$p".[123].prof --clang-format $f -o "$p.$f"
		# shellcheck disable=SC2086 # options
		expect "$name: by llvm-profdata" "${TOOL[llvm-profdata]}" merge --sample $theirs "$p".[123].prof -o "$p.$f.theirs"
		expect "$name: the same $f, byte for byte" cmp "$p.$f" "$p.$f.theirs"
	done
	for i in 1 2 3; do
		"${TOOL[llvm-profdata]}" merge --sample -extbinary -use-md5 "$p.$i.prof" -o "$p.$i.md5"
	done
	expect "$name: hashed names" "$PGO" merge -q "$p".[123].md5 -o "$p.md5"
	expect "$name: as llvm-profdata" "${TOOL[llvm-profdata]}" merge --sample -extbinary -use-md5 "$p".[123].md5 -o "$p.theirs"
	expect "$name: byte for byte, hashed" cmp "$p.md5" "$p.theirs"
	expect "$name: text with binary" "$PGO" merge -q "$p".[123].prof "$p.text" -o "$p.mixed"
	expect "$name: is what llvm-profdata makes of them" "${TOOL[llvm-profdata]}" merge --sample -extbinary "$p".[123].prof "$p.text" -o "$p.theirs"
	expect "$name: byte for byte" cmp "$p.mixed" "$p.theirs"
	expect "$name: weights" "$PGO" merge -q "$p.1.prof" --weighted-input 7,"$p.2.prof" -o "$p.weighted"
	expect "$name: as llvm-profdata weighs" "${TOOL[llvm-profdata]}" merge --sample -extbinary "$p.1.prof" --weighted-input=7,"$p.2.prof" -o "$p.theirs"
	expect "$name: byte for byte, weighted" cmp "$p.weighted" "$p.theirs"

	expect "$name: .fdata" "$PGO" merge -q "$p".[123].fdata -o "$p.fdata"
	"${TOOL[merge-fdata]}" -q "$p".[123].fdata >"$p.fdata.theirs" 2>"$T/log"
	expect "$name: the lines of merge-fdata" cmp <(sort "$p.fdata") <(sort "$p.fdata.theirs")
	expect "$name: .afdo" "$PGO" merge -q "$p".[123].afdo -o "$p.afdo"
	for kind in prof fdata afdo; do
		expect "$name: $kind in another order by one thread" env PGO_THREADS=1 "$PGO" merge -q "$p".{3,1,2}.$kind -o "$T/b"
		expect "$name: $kind as a tree" "$PGO" merge -q "$p".{2,3}.$kind -o "$T/c"
		expect "$name: $kind, its root" "$PGO" merge -q "$T/c" "$p.1.$kind" -o "$T/d"
		"$PGO" merge -q "$p".[123].$kind -o "$T/a"
		expect "$name: $kind: one result" test "$(digest "$T/a")$(digest "$T/a")" = "$(digest "$T/b")$(digest "$T/d")"
		expect "$name: $kind: a file named twice counts once" "$PGO" merge -q "$p".[123].$kind "$p.2.$kind" -o "$T/b"
		expect "$name: $kind: and changes nothing" cmp "$T/a" "$T/b"
		expect "$name: $kind: one file stays as it is" "$PGO" merge -q "$p.1.$kind" -o "$T/b"
		expect "$name: $kind: byte for byte" cmp "$p.1.$kind" "$T/b"
		for percent in 1 30 60 99; do
			cut_off "$p.1.$kind" "$T/cut.$kind" $percent
			expect "$name: $kind cut at $percent %" refused "cut.$kind" "$PGO" merge -q "$p.2.$kind" "$T/cut.$kind" -o "$T/none"
		done
	done
	expect "$name: kinds do not mix" refused "merge each kind by itself" "$PGO" merge "$p.1.prof" "$p.1.fdata" -o "$T/none"
	expect "$name: names do not mix with hashes" refused "MD5 hashes" "$PGO" merge "$p.1.prof" "$p.extbinary-md5" -o "$T/none"
	expect "$name: half-lives are for profiles" refused "neither hosts nor times" "$PGO" merge --half-life 7d "$p.1.prof" -o "$T/none"
done

# create_gcov's own merger takes the flavour 704 or 1 of what gcc up to 11 reads; its dump is the judge.
p=$T/menagerie-gcc-fixed
if merger=$(command -v profile_merger) && dump=$(command -v dump_gcov); then
	expect "profile_merger" "$merger" -gcov_version=1 -output_file="$T/theirs.afdo" "$p".[123].afdo
	expect "its counts are ours" cmp <("$dump" -gcov_version=1 "$p.afdo" 2>/dev/null | sort) <("$dump" -gcov_version=1 "$T/theirs.afdo" 2>/dev/null | sort)
	expect "and there are some" test "$("$dump" -gcov_version=1 "$p.afdo" 2>/dev/null | wc -l)" -gt 50
else
	echo "profile_merger is not installed: .afdo only against ourselves"
fi

# What recordings do not have: samples without branches, memory accesses, two spellings of one edge.
printf 'no_lbr cycles\n1 a 0 3\n1 b\\ c 1f 4\n' >"$T/n1"
printf 'no_lbr instructions\n1 b\\ c 1f 5\n' >"$T/n2"
expect "samples" "$PGO" merge -q "$T/n1" "$T/n2" -o "$T/n"
expect "are added, and their events are named" cmp "$T/n" <(printf 'no_lbr cycles instructions\n1 a 0 3\n1 b\\ c 1f 9\n')
printf '4 a 0 4 heap 10 7\n1 a 1F 1 b 1 2 3\n' >"$T/m1"
printf '4 a 0 4 heap 10 5\n1 a 1f 1 b 1 2 3\n' >"$T/m2"
expect "memory accesses" "$PGO" merge -q "$T/m1" "$T/m2" -o "$T/m"
expect "are added, and spellings are one edge" cmp "$T/m" <(printf '1 a 1f 1 b 1 4 6\n4 a 0 4 heap 10 12\n')
expect "samples do not mix with branches" refused "merge each kind by itself" "$PGO" merge "$T/n1" "$T/m1" -o "$T/none"
printf '1 a 0 1 b 1 2 9223372036854775807\n' >"$T/s1"
expect "sums that do not fit" "$PGO" merge "$T/s1" "$T/m1" -o "$T/s"
expect "are cut to the maximum" grep -q '^1 a 0 1 b 1 2 9223372036854775807$' "$T/s"
printf '1 a 0 1 b 1 2 9223372036854775807\n1 a 0 1 b 1 2 5\n' >"$T/s2"
"$PGO" merge "$T/s2" "$T/m1" -o "$T/s" >"$T/warned" 2>&1
expect "with a word" grep -q 'cut to its maximum' "$T/warned"
for line in '1 a 0 1 b 1 2 3 4' '1 a 0 1 b 1 2' '1 a 0 1 b 1 2 9223372036854775808' '1 a 0x0 1 b 1 2 3' '1 a 0 1 b\q 1 2 3'; do
	printf '1 a 0 1 b 1 1 1\n%s\n' "$line" >"$T/bad"
	expect "no record: $line" refused 'bad: line 2' "$PGO" merge -q "$T/m1" "$T/bad" -o "$T/none"
done

# Functions of other code than their namesakes: what was seen most stays, whatever the order.
printf 'f:30:5\n 1: 30\n !CFGChecksum: 11\n' >"$T/c1"
printf 'f:50:5\n 1: 50\n !CFGChecksum: 12\n' >"$T/c2"
printf 'f:25:5\n 1: 25\n !CFGChecksum: 11\n' >"$T/c3"
expect "checksums" "$PGO" merge -q "$T"/c[123] -o "$T/c"
expect "in another order" "$PGO" merge -q "$T"/c{2,3,1} -o "$T/d"
expect "one result" cmp "$T/c" "$T/d"
expect "the code with most counts" cmp "$T/c" <(printf 'f:55:10\n 1: 55\n !CFGChecksum: 11\n')
"$PGO" merge --json "$T"/c[123] -o "$T/c" >"$T/json" 2>/dev/null
expect "what is left out is counted" python3 -c 'import json, sys
a = json.load(open(sys.argv[1]))["account"]
assert (a["records_in"], a["records_out"], a["records_other_code"], a["total_other_code"]) == (3, 1, 1, 50), a' "$T/json"
finish
