#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time, processor time and peak memory of `pgo merge` beside `go tool pprof -proto` and beside `gzip -dc` of the same
# files, in one run, because only ratios travel between machines.  Then the curve of memory over the size of the fleet.
#
#	tests/bench/merge.sh [FILES [SAMPLES [STACKS]]]      (100, 4500, 70000)
#	BENCH_BIG=1: also 64 profiles of 200 MB inflated in all, and 5000 profiles of 8 GiB (4 GB of disk, half an hour)
#	BENCH_CURVE=0: without the curve
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
files=${1:-100} samples=${2:-4500} stacks=${3:-70000}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
CC=${CC:-gcc}
if command -v go >/dev/null; then
	# What Go has built already lies below the real home; pprof writes to the other one.
	GOCACHE=$(go env GOCACHE) GOPATH=$(go env GOPATH) GOFLAGS=$(go env GOFLAGS) GOPROXY=$(go env GOPROXY)
	export GOCACHE GOPATH GOFLAGS GOPROXY
	go tool pprof -h >/dev/null 2>&1 # builds it, where Go does not come with it
fi
export HOME="$T" PPROF_TMPDIR="$T/tmp" PPROF_BINARY_PATH="$T/none"

$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1
# The generator needs the writer of pprofs and nothing else of the library.
# shellcheck disable=SC2046
$CC -std=gnu17 -D_GNU_SOURCE -O2 -I. -o "$T/gen" tests/bench/gen_profiles.c "$B/libpgo.a" \
	$(pkg-config --libs libzstd zlib libisal libprotobuf-c) -pthread || exit 1

# best COMMAND...: the faster of two runs, as "SECONDS KIB CPU_SECONDS"
best() {
	local one two
	"$T/measure" -c "$@" >/dev/null 2>"$T/err" </dev/null || { cat "$T/err" >&2; return 1; }
	one=$(tail -n 1 "$T/err")
	"$T/measure" -c "$@" >/dev/null 2>"$T/err" </dev/null || return 1
	two=$(tail -n 1 "$T/err")
	printf '%s\n%s\n' "$one" "$two" | sort -n | head -n 1
}

# row NAME "SECONDS KIB CPU" ["SECONDS KIB CPU" of ours]
row() {
	echo "$1|$2|${3:-}" | awk -F'|' '{
		split($2, t, " ")
		printf "  %-24s %8.3f s  %8.3f s cpu  %8.1f MiB", $1, t[1], t[3], t[2] / 1024
		if (split($3, o, " ")) printf "  %6.1f x, cpu %6.1f x, memory %6.1f x", t[1] / o[1], t[3] / o[3], t[2] / o[2]
		print ""
	}'
}

# peers FILES SAMPLES STACKS KIND: ours and theirs over one fleet
peers() {
	local dir=$T/fleet ours theirs
	rm -rf "$dir"
	# shellcheck disable=SC2086
	"$T/gen" "$dir" "$1" "$2" "$3" $4 || exit 1
	echo "merge: $1 profiles with ${4:-addresses}, $(($(cat "$dir"/*.gz | wc -c) >> 20)) MiB, $(($(gzip -dc "$dir"/*.gz | wc -c) >> 20)) MiB inflated, $(($1 * $2)) samples"
	ours=$(best "$PGO" merge -q "$dir" -o "$T/ours.pb.gz") || exit 1
	row "pgo merge" "$ours"
	theirs=$(best sh -c "gzip -dc $dir/*.gz >/dev/null")
	row "gzip -dc" "$theirs" "$ours"
	if command -v go >/dev/null; then
		theirs=$(best go tool pprof -proto -symbolize=none -output "$T/go.pb.gz" "$dir"/*.gz) || exit 1
		row "go tool pprof -proto" "$theirs" "$ours"
	else
		echo "  go is not installed: nothing to compare with"
	fi
}

for kind in "" symbols; do
	peers "$files" "$samples" "$stacks" "$kind"
done
[ -z "${BENCH_BIG:-}" ] || peers 64 60000 70000 symbols
[ "${BENCH_CURVE:-1}" != 0 ] || exit 0

# The curve: a fleet of one program, so the stacks that are new get fewer with every profile.
most=1000 each=4500
[ -z "${BENCH_BIG:-}" ] || { most=5000 each=22000; }
rm -rf "$T/fleet"
"$T/gen" "$T/fleet" $most $each "$stacks" symbols || exit 1
echo "peak memory of pgo merge over the size of the fleet, profiles with symbols of $(($(gzip -dc "$T/fleet/00000.pb.gz" | wc -c) >> 10)) KiB inflated each"
for n in 10 100 1000 5000; do
	[ $n -le $most ] || continue
	rm -rf "$T/part" && mkdir "$T/part"
	find "$T/fleet" -name '*.pb.gz' | LC_ALL=C sort | head -n $n | xargs -I{} ln -s {} "$T/part"
	row "$n profiles" "$(best "$PGO" merge -q "$T/part" -o "$T/ours.pb.gz")"
done
