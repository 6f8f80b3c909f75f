#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How much of a profile a newer build can use: nothing is stale against the same source built again, with the other
# compiler no function is; a function that was renamed is gone with all its counts, one that lines were put into is
# changed; another program is an error. And what is stale the compilers do not use.
#
# Exit 0: all held; 77: the last line names what is missing; 1: something did not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++ clang

cat >"$T/p.c" <<'END'
#include <stdio.h>
static unsigned table[256];
__attribute__((noinline)) unsigned mix(unsigned x)
{
	for (int i = 0; i < 40; i++) {
		if (x & 1)
			x = x / 2 ^ 0xedb88320u;
		else
			x = x / 2;
		table[x & 255] += 1;
	}
	return x;
}
__attribute__((noinline)) unsigned fold(unsigned x)
{
	unsigned sum = 0;
	for (int i = 0; i < 256; i++)
		sum = sum * 31 + table[i] + x;
	return sum;
}
int main(void)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < 20000; i++) {
		sum += mix(i);
		if (i % 16 == 0)
			sum ^= fold(i);
	}
	printf("%u\n", sum);
	return 0;
}
END
make_it() { "$1" -O2 -g -fPIE -pie -Wl,--build-id "${@:4}" "$2" -o "$3"; }
make_it gcc "$T/p.c" "$T/app" || exit 1
tests/emu/record.sh -e branches -p 397 -s 7 -o "$T/ring" -- "$T/app" >"$T/out" || exit 1
"$B/emu/mkperf" -o "$T/perf.data" "$T/ring" || exit 1

# against TARGET: $T/json
against() { "$PGO" convert "$T/perf.data" --binary "$T/app" --gcc "$T/afdo" --gcc-release 12 --target "$1" --json >"$T/json" 2>"$T/said"; }
# share MEMBER: of all counts, per cent
share() { python3 -c 'import json, sys; t = json.load(open(sys.argv[1]))["account"]["target"]; print(100 * t[sys.argv[2]] / t["counts"])' "$T/json" "$1"; }
is() { expect "$1" awk -v a="$2" -v lo="$3" -v hi="$4" 'BEGIN { print a, "should be from", lo, "to", hi; exit !(a != "" && a >= lo && a <= hi) }'; }

make_it gcc "$T/p.c" "$T/again" -Wl,--build-id=0x11223344
expect "the same source" against "$T/again"
for what in no_function no_line changed; do is "the same source: $what" "$(share $what)" 0 0; done
make_it "${TOOL[clang]}" "$T/p.c" "$T/by-clang"
expect "another compiler" against "$T/by-clang"
is "another compiler: no function is gone" "$(share no_function)" 0 0
is "another compiler: most lines are there" "$(share no_line)" 0 35

sed 's/\<fold\>/reduce/' "$T/p.c" >"$T/renamed.c" && make_it gcc "$T/renamed.c" "$T/renamed"
"$PGO" convert "$T/perf.data" --binary "$T/app" --clang "$T/text" --clang-format text >/dev/null 2>&1
fold=$(awk -F: '/^[^ ]/ { on = index($0, "fold:") == 1 } /^ / { all += $2; if (on) n += $2 } END { print 100 * n / all }' "$T/text")
expect "a function renamed" against "$T/renamed"
is "a function renamed: its counts are gone" "$(share no_function)" "$(awk -v f="$fold" 'BEGIN { print f - 0.1 }')" "$(awk -v f="$fold" 'BEGIN { print f + 0.1 }')"
is "a function renamed: its caller is as it was" "$(share changed)" 0 0
expect "a function renamed: it is named" grep -q '"name": *"fold"' "$T/json"

sed 's/^	for (int i = 0; i < 40; i++) {/	x *= 3;\n	x += 7;\n	x ^= x >> 5;\n&/' "$T/p.c" >"$T/grown.c" && make_it gcc "$T/grown.c" "$T/grown"
expect "a function with new lines" against "$T/grown"
is "new lines: nothing is gone" "$(share no_function)" 0 0
is "new lines: some lines have no code" "$(share no_line)" 1 60
is "new lines: the function is changed" "$(share changed)" 50 99
expect "new lines: it is named" grep -q '"name": *"mix"' "$T/json"

printf 'int start(int x) { return x * 3; }\n' | gcc -g -O2 -shared -fPIC -x c - -o "$T/other" || exit 1
against "$T/other"
expect "another program is an error" test $? = 3
expect "it says why" grep 'has none of the 3 functions' "$T/said"
"$PGO" convert "$T/perf.data" --binary "$T/app" --bolt "$T/x" --target "$T/again" >"$T/said" 2>&1
expect "without a source-level output there is nothing to compare" test $? = 2
finish
