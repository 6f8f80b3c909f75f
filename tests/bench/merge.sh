#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time and peak memory of `pgo merge` beside `go tool pprof -proto` and beside `gzip -dc` of the same files, in one run,
# because only ratios travel between machines.  Two fleets: addresses only, and with functions and lines.
#
#	tests/bench/merge.sh [FILES [SAMPLES [STACKS]]]      (100, 4500, 70000)
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
files=${1:-100} samples=${2:-4500} stacks=${3:-70000}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
CC=${CC:-gcc}
export HOME="$T" PPROF_TMPDIR="$T/tmp" PPROF_BINARY_PATH="$T"

$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1
# The generator needs the writer of pprofs and nothing else of the library.
# shellcheck disable=SC2046
$CC -std=gnu17 -D_GNU_SOURCE -O2 -I. -o "$T/gen" tests/bench/gen_profiles.c "$B/libpgo.a" \
	$(pkg-config --libs libzstd zlib libisal libprotobuf-c) -pthread || exit 1

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
	printf '  %-24s %8.3f s  %8.1f MiB' "$1" "$2" "$(echo "$3" | awk '{print $1 / 1024}')"
	[ -z "${4:-}" ] || printf '  %6.1f x' "$(awk "BEGIN { print $2 / $4 }")"
	echo
}

for kind in "" symbols; do
	dir=$T/${kind:-addresses}
	# shellcheck disable=SC2086
	"$T/gen" "$dir" "$files" "$samples" "$stacks" $kind || exit 1
	packed=$(cat "$dir"/*.gz | wc -c) raw=$(gzip -dc "$dir"/*.gz | wc -c)
	echo "merge: $files profiles with ${kind:-addresses}, $((packed >> 20)) MiB, $((raw >> 20)) MiB inflated, $((files * samples)) samples"
	ours=$(best "$PGO" merge -q "$dir" -o "$T/ours.pb.gz") || exit 1
	row "pgo merge" "${ours% *}" "${ours#* }"
	theirs=$(best sh -c "gzip -dc $dir/*.gz >/dev/null")
	row "gzip -dc" "${theirs% *}" "${theirs#* }" "${ours% *}"
	if command -v go >/dev/null; then
		theirs=$(best go tool pprof -proto -symbolize=none -output "$T/go.pb.gz" "$dir"/*.gz) || exit 1
		row "go tool pprof -proto" "${theirs% *}" "${theirs#* }" "${ours% *}"
		printf '  %-24s %8s    %8.1f x\n' "its memory" "" "$(awk "BEGIN { print ${theirs#* } / ${ours#* } }")"
	else
		echo "  go is not installed: nothing to compare with"
	fi
done
