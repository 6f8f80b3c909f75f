#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs of clang with flow-sensitive discriminators, and with pseudo-probes: the first are recognised, their profile
# says so and clang applies it; the second are recognised and the user is told.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need clang llvm-profdata

cat >"$T/fs.c" <<'END'
#include <stdio.h>
__attribute__((noinline)) long sum(const long *a, long n)
{
	long s = 0;
	for (long i = 0; i < n; i++) { if (a[i] % 3) s += a[i]; else s -= a[i] / 5; }
	return s;
}
int main(int c, char **v)
{
	long a[256], r = 0;
	for (int i = 0; i < 256; i++)
		a[i] = i * 7 + c;
	for (int k = 0; k < 1000; k++)
		r += sum(a, 256);
	printf("%ld %s\n", r, v[0] ? "" : "?");
	return 0;
}
END
fs=(-O2 -g -fdebug-info-for-profiling -mllvm -enable-fs-discriminator)

# made NAME FLAG...: $T/NAME, its recording, and what pgo made of it: NAME.ext, NAME.txt, NAME.said
made() {
	local name=$1
	shift
	"${TOOL[clang]}" "$@" "-Wl,--build-id" -o "$T/$name" "$T/fs.c" &&
		tests/emu/record.sh -e branches -p 97 -s 7 -o "$T/$name.ring" -- "$T/$name" >/dev/null &&
		"$B/emu/mkperf" --aslr 11 -o "$T/$name.data" "$T/$name.ring" &&
		"$PGO" convert "$T/$name.data" --binary "$T/$name" --clang "$T/$name.ext" >/dev/null 2>"$T/$name.said" &&
		"$PGO" convert "$T/$name.data" --binary "$T/$name" --clang "$T/$name.txt" --clang-format text >/dev/null 2>&1
}
flagged() {
	"${TOOL[llvm-profdata]}" show --sample --show-sec-info-only "$T/$1.ext" | grep -q 'ProfileSummarySection.*fs-discriminator'
}
not() {
	! "$@"
}
# applied FLAG...: clang applies at least 70 % of what it has for sum
applied() {
	"${TOOL[clang]}" "${fs[@]}" "$@" -mllvm -sample-profile-check-sample-coverage=101 -c -o /dev/null "$T/fs.c" >"$T/said" 2>&1
	cat "$T/said"
	awk '/fs.c:2: .* available profile samples/ { sub(/.*samples \(/, ""); if ($0 + 0 >= 70) good = 1 } END { exit !good }' "$T/said"
}

made fs "${fs[@]}" || exit 1
expect "the profile is marked" flagged fs
expect "discriminators are whole" grep -qE '^ [0-9]+\.[0-9]{4,}: [1-9]' "$T/fs.txt"
expect "clang applies it" applied -fprofile-sample-use="$T/fs.ext"
expect "clang applies the text, if told" applied -fprofile-sample-use="$T/fs.txt" -mllvm -profile-isfs
expect "nothing is said" silent "$T/fs.said"

made plain -O2 -g -fdebug-info-for-profiling || exit 1
expect "other profiles are not marked" not flagged plain

made probes -O2 -g -fdebug-info-for-profiling -fpseudo-probe-for-profiling || exit 1
expect "of probes the user is told" grep -q 'fpseudo-probe-for-profiling' "$T/probes.said"
expect "of no probes nothing" silent "$T/plain.said"
finish
