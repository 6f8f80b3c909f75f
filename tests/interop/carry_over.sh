#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A profile of an older build carried over to the newer one, beside the profile that the newer one has of its own: functions
# that did not change keep all counts, those whose lines moved are found again, renamed ones by their canonical names, and
# what is gone is counted. For gcc's and clang's builds; llvm-profdata is the judge.
#
# Exit 0: all held; 77: the last line names what is missing; 1: something did not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc clang llvm-profdata

cat >"$T/v1.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
static unsigned table[1024];
static unsigned long calls;
static int less(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	calls++;
	return x < y ? -1 : x > y;
}
__attribute__((noinline)) unsigned scramble(unsigned x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	return x;
}
__attribute__((noinline)) unsigned unchanged(unsigned x)
{
	for (int i = 0; i < 20; i++) {
		if (x & 1)
			x = scramble(x);
		else
			x = x / 2 + 7;
	}
	return x;
}
__attribute__((noinline)) unsigned edited(unsigned x)
{
	unsigned sum = 0;
	for (int i = 0; i < 30; i++) {
		if ((x + i) % 3 == 0)
			sum += scramble(i);
		else if ((x ^ i) & 4)
			sum ^= table[i & 1023];
		table[(x + i) & 1023] = sum;
	}
	return sum;
}
__attribute__((noinline)) unsigned removed(unsigned x)
{
	for (int i = 0; i < 10; i++)
		x = x * 31 + table[x & 1023];
	return x;
}
int main(void)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < 20000; i++) {
		sum += unchanged(i);
		sum ^= edited(i);
		if (i % 4 == 0)
			sum += removed(i);
		if (i % 2000 == 0)
			qsort(table, 1024, sizeof *table, less);
	}
	printf("%u %lu\n", sum, calls);
	return 0;
}
END
# The newer source: lines put into `edited`, one before and some between; `removed` is gone; all else is the same text.
awk '
/unsigned edited/ { print; getline; print; print "\tunsigned seen = 0;"; print "\tif (x == 0xffffffffu)"; print "\t\tabort();"; next }
/else if \(\(x \^ i\)/ { print; getline; print; print "\t\tseen |= sum;"; print "\t\tif (seen == 12345)"; print "\t\t\tputs(\"rare\");"; next }
/unsigned removed/ { skip = 1 }
skip { if (/^}/) skip = 0; next }
/i % 4 == 0/ { getline; next }
{ print }' "$T/v1.c" >"$T/v2.c"
expect "the sources differ" test "$(diff "$T/v1.c" "$T/v2.c" | grep -c '^[<>]')" -gt 10

# overlap A B: of two sample profiles, per cent, as llvm-profdata has it
overlap() {
	"${TOOL[llvm-profdata]}" overlap --sample "$1" "$2" | sed -n 's/.*Whole program profile similarity: \([0-9.]*\)%.*/\1/p; s/.*Sample overlap *: *\([0-9.]*\)%.*/\1/p' | head -n 1
}
at_least() {
	awk -v a="$1" -v b="$2" 'BEGIN { print a, "should be at least", b; exit !(a != "" && a >= b) }'
}
member() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["account"]["carried_over"][sys.argv[2]])' "$T/json" "$1"; }
adds_up() {
	python3 - "$T/json" <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))["account"]["carried_over"]
assert c["read"] == c["same"] + c["moved"] + c["moved_lost"] + c["no_function"] + c["no_line"], c
assert c["functions"] == c["functions_same"] + c["functions_moved"] + c["functions_gone"], c
assert c["no_function"] > 0 and c["moved"] > 0 and c["same"] > 0, c
PY
}
record() {
	tests/emu/record.sh -e branches -p 397 -s 7 -o "$T/$1.ring" -- "$T/$1" >"$T/$1.out" && "$B/emu/mkperf" --aslr "$2" --host "h$2" -o "$T/$1.perf" "$T/$1.ring"
}
# record_of PROFILE FUNCTION: as text
record_of() {
	"${TOOL[llvm-profdata]}" merge --sample -text "$1" -o "$T/text" 2>/dev/null && awk -v f="$2:" 'index($0, f) == 1 { on = 1; print; next } /^[^ ]/ { on = 0 } on' "$T/text"
}

for cc in gcc clang; do
	for v in v1 v2; do
		expect "$cc builds $v" "${TOOL[$cc]}" -O2 -g -fPIE -pie -Wl,--build-id "$T/$v.c" -o "$T/$v"
		expect "$cc: $v runs" record $v "${v#v}"
	done 2>/dev/null
	"$PGO" convert "$T/v1.perf" --binary "$T/v1" --clang "$T/old.prof" >"$T/said" 2>&1 || exit 1
	"$PGO" convert "$T/v2.perf" --binary "$T/v2" --clang "$T/new.prof" >"$T/said" 2>&1 || exit 1
	expect "$cc: carried over" "$PGO" convert "$T/v1.perf" --binary "$T/v1" --target "$T/v2" --carry-over --affinity 1 --clang "$T/carried.prof" --gcc "$T/carried.afdo" --gcc-release 12 --json
	"$PGO" convert "$T/v1.perf" --binary "$T/v1" --target "$T/v2" --carry-over --affinity 1 --clang "$T/carried.prof" --json >"$T/json" 2>"$T/said"
	expect "$cc: every count is accounted for" adds_up
	as_it_was=$(overlap "$T/old.prof" "$T/new.prof")
	carried=$(overlap "$T/carried.prof" "$T/new.prof")
	echo "$cc: overlap with the newer build's own profile: as it was $as_it_was, carried over $carried"
	expect "$cc: much of the newer build's profile" at_least "$carried" 65
	expect "$cc: more than without" at_least "$carried" "$(awk -v a="$as_it_was" 'BEGIN { print a + 5 }')"
	expect "$cc: the unchanged function has a record" test "$(record_of "$T/old.prof" unchanged | wc -l)" -gt 5
	expect "$cc: and keeps it" test "$(record_of "$T/old.prof" unchanged)" = "$(record_of "$T/carried.prof" unchanged)"
	expect "$cc: the call in the edited one went with its line" test "$(record_of "$T/old.prof" edited | grep 'scramble:' | sed 's/^ *\([0-9]*\)/\1/' | awk -F: '{ print $1 + 3 }')" = \
		"$(record_of "$T/carried.prof" edited | grep 'scramble:' | awk -F: '{ print $1 + 0 }')"
	expect "$cc: the removed one has none" test -z "$(record_of "$T/carried.prof" removed)"

	# Both builds in one profile: what the old one says comes on top, and counts less where lines moved.
	expect "$cc: both builds together" "$PGO" convert "$T/v1.perf" "$T/v2.perf" --binary "$T/v1" --binary "$T/v2" --target "$T/v2" --carry-over --clang "$T/both.prof" --bolt "$T/both.fdata"
	expect "$cc: is nearer than the old one alone" at_least "$(overlap "$T/both.prof" "$T/new.prof")" "$carried"
	expect "$cc: .fdata is of the target" "$PGO" convert "$T/v2.perf" --binary "$T/v2" --bolt "$T/new.fdata"
	expect "$cc: and of nothing else" cmp "$T/both.fdata" "$T/new.fdata"
	expect "$cc: another order" "$PGO" convert "$T/v2.perf" "$T/v1.perf" --binary "$T/v2" --binary "$T/v1" --target "$T/v2" --carry-over --clang "$T/order.prof"
	expect "$cc: the same bytes" cmp "$T/both.prof" "$T/order.prof"
	# A build that is the target changes nothing.
	expect "$cc: the target itself" "$PGO" convert "$T/v2.perf" --binary "$T/v2" --target "$T/v2" --carry-over --clang "$T/self.prof"
	expect "$cc: the same bytes as without" cmp "$T/self.prof" "$T/new.prof"
done
finish
