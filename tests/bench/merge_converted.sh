#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time and peak memory of `pgo merge` of converted files beside llvm-profdata merge and merge-fdata, in one run, because
# only ratios travel between machines; and how many different files merge-fdata makes of the same inputs.
#
#	tests/bench/merge_converted.sh [FILES]      (100)
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
files=${1:-100}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
CC=${CC:-gcc}

$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1
read -r -a libs < <(pkg-config --libs libelf libdw libzstd zlib libisal libxxhash jansson libprotobuf-c)
$CC -std=gnu17 -D_GNU_SOURCE -O2 -I. -o "$T/gen" tests/bench/gen_converted.c "$B/libpgo.a" "${libs[@]}" -lZydis -lm -pthread || exit 1

# best COMMAND...: the faster of two runs, as "SECONDS KIB"
best() {
	local one two
	"$T/measure" "$@" >/dev/null 2>"$T/err" || { cat "$T/err" >&2; return 1; }
	one=$(tail -n 1 "$T/err")
	"$T/measure" "$@" >/dev/null 2>"$T/err" || return 1
	two=$(tail -n 1 "$T/err")
	printf '%s\n%s\n' "$one" "$two" | sort -n | head -n 1
}

row() {
	printf '  %-24s %8.3f s  %8.1f MiB' "$1" "${2% *}" "$(awk -v k="${2#* }" 'BEGIN { print k / 1024 }')"
	[ -z "${3:-}" ] || awk -v t="${2% *}" -v m="${2#* }" -v u="${3% *}" -v n="${3#* }" 'BEGIN { printf "  %6.1f x time, %6.1f x memory", t / u, m / n }'
	echo
}

size() { du -cm "$@" | tail -n 1 | cut -f 1; }

"$T/gen" "$T/llvm" "$files" 2000 llvm || exit 1
echo "merge: $files extbinary sample profiles, $(size "$T/llvm") MiB"
ours=$(best "$PGO" merge -q "$T/llvm" -o "$T/ours.prof") || exit 1
row "pgo merge" "$ours"
if peer=$(tests/tools.sh llvm-profdata); then
	theirs=$(best "$peer" merge --sample -extbinary "$T"/llvm/*.prof -o "$T/theirs.prof") || exit 1
	row "llvm-profdata merge" "$theirs" "$ours"
	cmp "$T/ours.prof" "$T/theirs.prof" && echo "  the same bytes"
else
	echo "  llvm-profdata is not installed"
fi
rm -rf "$T/llvm"

"$T/gen" "$T/fdata" "$files" 4000 fdata || exit 1
echo "merge: $files .fdata, $(size "$T/fdata") MiB"
ours=$(best "$PGO" merge -q "$T/fdata" -o "$T/ours.fdata") || exit 1
row "pgo merge" "$ours"
row "pgo merge, one thread" "$(PGO_THREADS=1 best "$PGO" merge -q "$T/fdata" -o "$T/one.fdata")" "$ours"
cmp "$T/ours.fdata" "$T/one.fdata" && echo "  the same bytes"
if peer=$(tests/tools.sh merge-fdata); then
	theirs=$(best sh -c "'$peer' -q '$T'/fdata/*.fdata -o '$T/theirs.fdata'") || exit 1
	row "merge-fdata -q" "$theirs" "$ours"
	for i in 1 2 3; do
		mapfile -t mixed < <(printf '%s\n' "$T"/fdata/*.fdata | sort -R)
		"$peer" -q "${mixed[@]}" -o "$T/theirs.$i" 2>/dev/null
	done
	echo "  different files from it in three orders: $(sha256sum "$T"/theirs.[123] | cut -c 1-64 | sort -u | wc -l)"
	cmp <(sort "$T/ours.fdata") <(sort "$T/theirs.fdata") && echo "  the same lines"
else
	echo "  merge-fdata is not installed"
fi
