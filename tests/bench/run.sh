#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `pgo run` takes: from nothing, with a twentieth of new profiles, and with nothing new; beside the merge alone by
# `go tool pprof -proto`, which is what one does by hand every time.  Wall time, processor time, peak memory, bytes
# read; only ratios travel between machines.
#
#	tests/bench/run.sh [FILES [NEW [SAMPLES [STACKS]]]]      (1000 50 4500 70000)
#	BENCH_INSTRUCTIONS=1: instructions too, by valgrind (fifty times as long)
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
files=${1:-1000} new=${2:-50} samples=${3:-4500} stacks=${4:-70000}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
CC=${CC:-gcc} CXX=${CXX:-g++}
command -v "$CXX" >/dev/null || { echo "run: no C++ compiler: there is no program to make profiles of"; exit 0; }
if command -v go >/dev/null; then
	GOCACHE=$(go env GOCACHE) GOPATH=$(go env GOPATH) GOFLAGS=$(go env GOFLAGS) GOPROXY=$(go env GOPROXY)
	export GOCACHE GOPATH GOFLAGS GOPROXY
	go tool pprof -h >/dev/null 2>&1 # builds it, where Go does not come with it
fi
export HOME="$T" PPROF_TMPDIR="$T/tmp" PPROF_BINARY_PATH="$T/none" PGO_NOW=2025-10-20T00:00:00Z

$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1
# shellcheck disable=SC2046
$CC -std=gnu17 -D_GNU_SOURCE -O2 -I. -o "$T/gen" tests/bench/gen_profiles.c "$B/libpgo.a" \
	$(pkg-config --libs libzstd zlib libisal libprotobuf-c) -pthread || exit 1
tests/bench/gen_program.sh "$T/src" 1 &&
	$CXX -std=c++17 -O1 -g -Wl,--build-id -Wl,--emit-relocs -o "$T/program" "$T"/src/*.cpp || exit 1
"$T/gen" "$T/store" "$files" "$samples" "$stacks" "$T/program" || exit 1
cat >"$T/pgo.conf" <<'C'
state = "state"
target "app" {
	sources = {"store"}
	since = "1000d"
	binary = "program"
	gcc = "out.afdo"
	gcc_release = 12
	clang = "out.prof"
	bolt = "out.fdata"
	hysteresis = 0
}
C

# measure NAME COMMAND...: a row; the figures go to $figures
measure() {
	local name=$1
	shift
	"$T/measure" -r "$@" >"$T/out" 2>"$T/err" </dev/null
	figures=$(tail -n 1 "$T/err")
	echo "$name|$figures|${first:-}" | awk -F'|' '{
		split($2, t, " ")
		printf "  %-26s %8.3f s  %8.3f s cpu  %8.1f MiB peak  %9.1f MB read", $1, t[1], t[3], t[2] / 1024, t[4] / 1e6
		if (split($3, o, " ")) printf "  cpu %5.1f %%, read %5.2f %%", t[3] / o[3] * 100, t[4] / o[4] * 100
		print ""
	}'
}
digest() { cat "$T"/out.* "$T/state/app/last-good/merged.pb.gz" | sha256sum; }
run() { measure "$1" "$PGO" run -c "$T/pgo.conf"; }

# instructions: of a run in a copy of the state, in millions
instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$PGO" run -c "$T/pgo.conf" 2>&1 >/dev/null |
		awk '/Collected/ {printf "%.0f\n", $NF / 1e6}'
}

echo "run: $files profiles of $(($(cat "$T"/store/*.gz | wc -c) / files >> 10)) KiB, then $new new ones"
first=
run "pgo run, from nothing"
first=$figures
cp -r "$T/state" "$T/before"
"$T/gen" "$T/store" "$new" "$samples" "$stacks" "$T/program" "$files" || exit 1
run "pgo run, $new new"
warm=$(digest)
run "pgo run, nothing new"
if command -v go >/dev/null; then
	measure "go tool pprof -proto, all" go tool pprof -proto -symbolize=none -output "$T/go.pb.gz" "$T"/store/*.gz
fi
if [ -n "${BENCH_INSTRUCTIONS:-}" ]; then
	rm -rf "$T/state" && mv "$T/before" "$T/state"
	some=$(instructions)
	rm -rf "$T/state"
	all=$(instructions)
	echo "  instructions (millions, without compilers): $all from nothing, $some with $new new: $((some * 1000 / all)) in 1000"
else
	rm -rf "$T/state"
	first=
	run "all of it, from nothing"
fi
[ "$warm" = "$(digest)" ] || { echo "run: the refresh has other bytes than a run from nothing"; exit 1; }
echo "  the refresh has the bytes of a run from nothing"
