#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time, processor time and peak memory of a whole `pgo verify` of two profiles of 100 MB (as protobuf) with 50 hosts each, 2,000 rounds of the
# bootstrap included; of the same with 1,000 hosts; and of `go tool pprof -diff_base` over the same two files, in one run.
#
#	tests/bench/verify.sh [SAMPLES [STACKS]]      (1600000, 20000)
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
samples=${1:-1600000} stacks=${2:-20000}
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
# shellcheck disable=SC2046
$CC -std=gnu17 -D_GNU_SOURCE -O2 -I. -o "$T/gen" tests/bench/gen_verify.c "$B/libpgo.a" \
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

row() {
	echo "$1|$2|${3:-}" | awk -F'|' '{
		split($2, t, " ")
		printf "  %-28s %8.3f s  %8.3f s cpu  %8.1f MiB", $1, t[1], t[3], t[2] / 1024
		if (split($3, o, " ")) printf "  %6.1f x, cpu %6.1f x, memory %6.1f x", t[1] / o[1], t[3] / o[3], t[2] / o[2]
		print ""
	}'
}

for hosts in 50 1000; do
	for side in before after; do
		"$T/gen" "$T/$side.pb.gz" "$side" "$hosts" "$samples" "$stacks" || exit 1
	done
	echo "verify: 2 profiles of $(($(gzip -dc "$T/before.pb.gz" | wc -c) / 1000000)) MB, $hosts hosts and $samples samples each"
	ours=$(best "$PGO" verify -q --bootstrap 2000 "$T/before.pb.gz" -- "$T/after.pb.gz") || exit 1
	row "pgo verify" "$ours"
	[ "$hosts" = 50 ] || continue
	if command -v go >/dev/null; then
		row "go tool pprof -diff_base" "$(best go tool pprof -top -nodecount=40 -diff_base "$T/before.pb.gz" "$T/after.pb.gz")" "$ours"
	else
		echo "  go is not here"
	fi
	row "gzip -dc of both" "$(best sh -c "gzip -dc $T/before.pb.gz $T/after.pb.gz >/dev/null")" "$ours"
done
