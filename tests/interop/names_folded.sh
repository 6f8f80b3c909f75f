#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Functions that the linker folds, and aliases: one address with several names.  What ran is called cold under none of
# them, the compiler that reads the profile keeps the folded function in place, and an expression drops by each name.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need clang ld.lld llvm-profdata

cat >"$T/fold.c" <<'END'
#include <stdio.h>
volatile long sink;
__attribute__((noinline)) long sum_int(const long *a, long n)
{
	long s = 0;
	for (long i = 0; i < n; i++) {
		if (a[i] & 1)
			s += a[i];
		else
			s -= 1;
	}
	return s;
}
__attribute__((noinline)) long sum_long(const long *a, long n)
{
	long s = 0;
	for (long i = 0; i < n; i++) {
		if (a[i] & 1)
			s += a[i];
		else
			s -= 1;
	}
	return s;
}
__attribute__((noinline)) long aliased(long x)
{
	for (int i = 0; i < 10; i++)
		sink += x;
	return sink;
}
long other_name(long x) __attribute__((alias("aliased")));
__attribute__((noinline)) long never(long x)
{
	for (int i = 0; i < 10; i++)
		sink -= x;
	return sink;
}
int main(int c, char **v)
{
	long a[256], r = 0;
	for (int i = 0; i < 256; i++)
		a[i] = i * 7 + c;
	for (int k = 0; k < 3000; k++) {
		r += sum_int(a, 256) + other_name(k);
		if (k % 10 == 0)
			r += sum_long(a, 256);
		if (c > 100)
			r += never(k);
	}
	printf("%ld %s\n", r, v[0] ? "" : "?");
	return 0;
}
END
flags=(-O2 -g -fdebug-info-for-profiling -ffunction-sections)
"${TOOL[clang]}" "${flags[@]}" "-fuse-ld=lld" "-Wl,--icf=all,--build-id" -o "$T/fold" "$T/fold.c" || exit 1
nm "$T/fold" >"$T/nm"
address() {
	awk -v n="$1" '$3 == n { print $1 }' "$T/nm"
}
expect "the linker folds" test "$(address sum_int)" = "$(address sum_long)"
tests/emu/record.sh -e branches -p 97 -s 7 -o "$T/ring" -- "$T/fold" >/dev/null &&
	"$B/emu/mkperf" --aslr 11 -o "$T/data" "$T/ring" || exit 1
expect "pgo converts" "$PGO" convert "$T/data" --binary "$T/fold" --clang "$T/prof"

listed() { # NAME: in the list of functions that never ran
	"${TOOL[llvm-profdata]}" show --sample --show-prof-sym-list "$T/prof" >"$T/list" && grep -qx "$1" "$T/list"
}
not() {
	! "$@"
}
expect "what never ran is listed" listed never
for name in sum_int sum_long aliased other_name main; do
	expect "$name is not" not listed $name
done
cold() { # NAME: compiled as a function that never runs
	"${TOOL[clang]}" "${flags[@]}" -fprofile-sample-use="$T/prof" -S -emit-llvm -o "$T/a.ll" "$T/fold.c" &&
		grep -E "^define .*@$1\(" "$T/a.ll" | grep -oE '!prof ![0-9]+' | grep -oE '[0-9]+' >"$T/id" &&
		grep -qx "!$(cat "$T/id") = !{!\"function_entry_count\", i64 0}" "$T/a.ll"
}
expect "clang takes for cold what never ran" cold never
for name in sum_int sum_long aliased; do
	expect "clang does not take $name for cold" not cold $name
done
finish
