#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Time, processor time and peak memory of `pgo convert` from perf.data, all three outputs at once, beside the converters
# that make one of them, in one run, because only ratios travel between machines.  (On a busy machine only those of the
# processor time do.)  Two programs: the demo's, and a large one (gen_program.sh), of which a small part runs.  The
# recordings are the emulator's, of four processes; sizes are in ring entries, 32 a sample.
#
#	tests/bench/convert.sh [ENTRIES...]                          (100000 1000000 10000000)
#	BENCH_UNITS=20   units of the large program, 3.5 MB of debug information each
#	BENCH_APP=FILE BENCH_ARGS='...'   measures this program as well: built by the caller with -g and --emit-relocs
#
# Peers get what they want: create_gcov and create_llvm_prof read perf.data themselves, the other two run perf script.
# create_gcov and create_llvm_prof 0.19 understand DWARF 4 only, and write next to nothing for programs with DWARF 5:
# "(nothing)"; BENCH_DWARF=4 builds such programs.
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
sizes=${*:-100000 1000000 10000000}
units=${BENCH_UNITS:-20}
D=$B/bench/convert
CC=${CC:-gcc} CXX=${CXX:-g++}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
export PERF_BUILDID_DIR=$T/buildid HOME=$T

why=$(tests/emu/have_plugins.sh) || {
	echo "convert: $why: nothing to measure"
	exit 0
}
make -s B="$B" SAN= COV= emu || exit 1
export EMU_DIR=$PWD/$B/emu
mkdir -p "$D"
$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1

# ---------------------------------------------------------------- programs

dwarf=${BENCH_DWARF:-5}
flags="-O2 -gdwarf-$dwarf -Wl,--build-id -Wl,--emit-relocs"

make_quarry() {
	[ -x "$D/quarry-$dwarf" ] && return
	# shellcheck disable=SC2086 # several words
	tests/demo/build.sh "$CC" "$CXX" "$D/quarry-$dwarf.d" $flags >"$T/log" 2>&1 && mv "$D/quarry-$dwarf.d/quarry" "$D/quarry-$dwarf" || return
	"$D/quarry-$dwarf" gen 5 250000 web >"$D/input.log"
}

make_large() {
	local src=$D/large-$units-$dwarf.d
	[ -x "$D/large-$units-$dwarf" ] && return
	echo "(building a program of $units units: some minutes, once)"
	tests/bench/gen_program.sh "$src" "$units" || return
	(cd "$src" && printf '%s\n' ./*.cpp | xargs -P 2 -I{} sh -c "$CXX -std=c++17 -O2 -gdwarf-$dwarf -c {} -o {}.o") || return
	# shellcheck disable=SC2086 # several words
	$CXX $flags "$src"/*.o -o "$D/large-$units-$dwarf" && rm -rf "$src"
}

# record NAME PERIOD PROGRAM ARGS...: $D/NAME.ring, once
record() {
	local ring=$D/$1.ring period=$2
	shift 2
	[ "$ring" -nt "$1" ] && return
	tests/emu/record.sh -e branches -p "$period" -s 7 -o "$ring" -- "$@" >/dev/null
}

# ---------------------------------------------------------------- measuring

# best N COMMAND...: the fastest of N runs, as "SECONDS KIB CPU_SECONDS"; what it said in $T/err
best() {
	local n=$1 i
	shift
	for ((i = 0; i < n; i++)); do
		"$T/measure" -c "$@" >"$T/out" 2>"$T/err" || return 1
		tail -n 1 "$T/err"
	done | sort -n | head -n 1
}

# row NAME MEASURED [MEASURED of ours]
row() {
	awk -v name="$1" -v it="$2" -v ours="${3:-}" 'BEGIN {
		split(it, t, " ")
		printf "    %-22s %8.3f s  %8.3f s CPU  %7.1f MiB", name, t[1], t[3], t[2] / 1024
		if (split(ours, o, " ") == 3)
			printf "  %6.1f x  %6.1f x CPU  %5.1f x", t[1] / o[1], t[3] / o[3], t[2] / o[2]
		print ""
	}'
}

# does_something FILE: an output with next to nothing in it is no conversion
does_something() {
	[ "$(wc -c <"$1")" -gt 5000 ]
}

# peer NAME OUTPUT COMMAND...: its row; keeps what is the best of each
peer() {
	local name=$1 out=$2 tool it
	shift 2
	tool=$(tests/tools.sh "$name") || {
		echo "    $name is not installed"
		return
	}
	rm -f "$out"
	it=$(best "$runs" "$tool" "$@")
	[ -n "$it" ] || {
		echo "    $name failed: $(grep -v '^[0-9. ]*$' "$T/err" | tail -n 1)"
		return
	}
	does_something "$out" || {
		row "$name (nothing)" "$it" "$ours"
		return
	}
	row "$name" "$it" "$ours"
	echo "$it" | tr ' ' '\n' | paste - "$T/best" | awk -v name="$name" '
		{ if ($2 == "" || $1 + 0 < $2 + 0) print $1, name; else print $2, $3 }' >"$T/better"
	mv "$T/better" "$T/best"
}

# compare PROGRAM DATA
compare() {
	local app=$1 data=$2 ours runs=2
	[ "$(wc -c <"$data")" -lt 100000000 ] || runs=1
	ours=$(best 3 "$PGO" convert -q "$data" --binary "$app" --gcc "$T/o.afdo" --gcc-release 12 --clang "$T/o.prof" \
		--bolt "$T/o.fdata")
	[ -n "$ours" ] || {
		cat "$T/err"
		return 1
	}
	row "pgo, all three" "$ours"
	: >"$T/best"
	peer create_gcov "$T/p.afdo" --binary="$app" --profile="$data" --gcov="$T/p.afdo" --gcov_version=2
	peer create_llvm_prof "$T/p.prof" --binary="$app" --profile="$data" --out="$T/p.prof" --format=binary
	peer llvm-profgen "$T/p.prof" --binary="$app" --perfdata="$data" --output="$T/p.prof" --format=extbinary
	peer perf2bolt "$T/p.fdata" "$app" -p "$data" -o "$T/p.fdata"
	[ -s "$T/best" ] && echo "$ours" | tr ' ' '\n' | paste -d ' ' - "$T/best" | awk '
		NR == 1 { printf "    => %.1f x as fast as %s", $2 / $1, $3 }
		NR == 2 { memory = sprintf("%.2f of the memory of %s", $1 / $2, $3) }
		NR == 3 { printf ", %.1f x by CPU time than %s; %s\n", $2 / $1, $3, memory }'
}

# measure NAME PROGRAM
measure() {
	local name=$1 app=$2 n size
	size=$(wc -c <"$app")
	for n in $sizes; do
		[ -e "$D/$name-$n.data" ] && [ "$D/$name-$n.data" -nt "$D/$name.ring" ] ||
			"$EMU_DIR/mkperf" --aslr 3 --host web-1 --max-samples $((n / 32)) --processes 4 -o "$D/$name-$n.data" \
				"$D/$name.ring" || return 1
		echo "  $name, $((size >> 20)) MiB; $n ring entries, $(($(wc -c <"$D/$name-$n.data") >> 20)) MiB of perf.data"
		compare "$app" "$D/$name-$n.data"
	done
}

echo "convert: pgo makes all three outputs, each peer one; the times and memories of the peers also as multiples of ours"
make_quarry && record "quarry-$dwarf" 997 "$D/quarry-$dwarf" run "$D/input.log" 30 && measure "quarry-$dwarf" "$D/quarry-$dwarf" || exit 1
make_large && record "large-$units-$dwarf" 997 "$D/large-$units-$dwarf" 4000 && measure "large-$units-$dwarf" "$D/large-$units-$dwarf" || exit 1
if [ -n "${BENCH_APP:-}" ]; then
	# shellcheck disable=SC2086 # several words
	record "${BENCH_APP##*/}" 997 "$BENCH_APP" ${BENCH_ARGS:-} && measure "${BENCH_APP##*/}" "$BENCH_APP"
fi
