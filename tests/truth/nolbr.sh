#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What converters make of samples without branch records, against the exact counts of the very run that was sampled, and what
# programs rebuilt with the results do.
#
#	nolbr.sh [-s "2000 20000 200000"] [-R] PROGRAM COMPILER ...     pairs; or set
#	TRUTH_PROGRAMS (lua quickjs ninja), TRUTH_COMPILERS (gcc-12 clang-22)
#
# Samples are of the emulator's `cycles`, one to three instructions late, and, where perf can record it, of the kernel's
# cpu-clock on this machine (line `clock`: twenty runs of the training input; the exact counts are the emulated run's).
# Programs are at fixed addresses, with DWARF 4, which the old converters understand.
#
#	blocks       max: the largest count of an instruction; average: samples / instructions; pgo
#	edges        pgo's .fdata
#	positions, similar     by line: pgo, and create_llvm_prof or create_gcov with --use_lbr=false; `similar` is llvm-profdata's
#	rebuilt      instructions and taken branches on another input, by those of the plain build: with pgo's file, with the
#	             peer's, through llvm-bolt with pgo's and with perf2bolt -nl's, with that of branch records. -R: left out
#
# Exit 1: pgo's blocks are not at least 5 points above the average's and the maximum's, its positions below the peer's, or a
# rebuilt program says something else. Exit 77: what is missing stands in the last line.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/truth/truth_lib.bash

SIZES='2000 20000 200000' REBUILD=1
while getopts s:R c; do
	case $c in
	s) SIZES=$OPTARG ;;
	R) REBUILD='' ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
truth_init
command -v perf >/dev/null || leave "perf is not installed"
PROFDATA=$(tests/tools.sh llvm-profdata) PERF2BOLT=$(tests/tools.sh perf2bolt) BOLT=$(tests/tools.sh llvm-bolt)
if [ $# = 0 ]; then
	for p in ${TRUTH_PROGRAMS-lua quickjs ninja}; do
		for c in ${TRUTH_COMPILERS-gcc-12 clang-22}; do set -- "$@" "$p" "$c"; done
	done
fi
GOOD=0 BAD=0

check() {
	if awk -v a="$2" -v b="$3" 'BEGIN { exit !(a + 0 >= b + 0) }'; then
		GOOD=$((GOOD + 1))
	else
		BAD=$((BAD + 1))
		echo "FAIL: $PROGRAM $COMPILER: $1: $2 should be at least $3"
	fi
}

# The ring of samples in time, once, as dense as the largest size needs; a fifth of them may be the libraries'.
time_ring() {
	local period
	CELL=$CELL-time
	mkdir -p "$CELL"
	[ -e "$CELL/insns" ] && return
	emulated "$CELL/ring" -e cycles -p 100003 -O skid=3 && "$B/emu/exact" "$CELL/ring" >"$CELL/exact" || return 1
	period=$(awk -v n="${SIZES##* }" '$1 == "total" { p = int($9 * 100003 / n / 2); print (p > 61 ? p : 61) }' "$CELL/exact")
	emulated "$CELL/ring" -e cycles -p "$period" -O skid=3,callchain=1 && "$B/emu/exact" "$CELL/ring" >"$CELL/exact" || return 1
	"$TRUTH" calls "$APP" "$CELL/exact" >"$CELL/calls" && "$TRUTH" insns "$APP" "$CELL/exact" >"$CELL/insns.new" || return 1
	tests/truth/positions.py exact "$KIND" "$SYMBOLIZER" "$APP" "$CELL/insns.new" "$CELL/calls" >"$CELL/exact.prof" || return 1
	mv "$CELL/insns.new" "$CELL/insns"
}

# similar FILE: to the exact profile
similar() {
	[ "$KIND" = clang ] && "$PROFDATA" overlap --sample "$CELL/exact.prof" "$1" 2>/dev/null |
		sed -n 's/.*Whole program profile similarity: \([0-9.]*\)%/\1/p'
}

# ours DATA OUT: OUT.fdata, OUT.preagg, OUT.prof (for the compiler), OUT.text (to compare)
ours() {
	if [ "$KIND" = clang ]; then
		"$PGO" convert -q "$1" --binary "$APP" --bolt "$2.fdata" --bolt-preagg "$2.preagg" --clang "$2.prof" \
			--clang-format text >"$2.account" 2>&1 && cp "$2.prof" "$2.text"
	else
		"$PGO" convert -q "$1" --binary "$APP" --bolt "$2.fdata" --bolt-preagg "$2.preagg" --gcc "$2.prof" \
			--gcc-release 12 >"$2.account" 2>&1 && "$PGO" show --all "$2.prof" >"$2.text"
	fi
}

# create_llvm_prof 0.19 writes inlined bodies without a name, and random bytes in its place, which no reader takes: they go,
# with what is in them.
without_garbage() {
	LC_ALL=C awk '{ match($0, /^ */); depth = RLENGTH }
		skip && depth > at { next }
		{ skip = 0; name = $0; sub(/^ *[0-9.]+: */, "", name) }
		name !~ /^[ -~]+$/ || name ~ /^[^0-9A-Za-z_.$]/ || name ~ /^:/ { skip = 1; at = depth; next }
		{ print }'
}

# theirs DATA OUT
theirs() {
	rm -f "$2.prof" "$2.text"
	if [ "$KIND" = clang ]; then
		create_llvm_prof --use_lbr=false --binary="$APP" --profile="$1" --format=text --out="$2.raw" >"$T/log" 2>&1 &&
			without_garbage <"$2.raw" >"$2.text" && cp "$2.text" "$2.prof"
	else
		create_gcov --use_lbr=false --binary="$APP" --profile="$1" --gcov="$2.prof" --gcov_version=2 >"$T/log" 2>&1 &&
			dump_gcov --gcov_version=2 "$2.prof" >"$2.text" 2>/dev/null
	fi
}

positions() {
	tests/truth/positions.py overlap "$CELL/exact.prof" "$1" "$2" | awk '{ print $2 }'
}

# measured NAME BINARY: instructions and taken branches of another input, by the plain build's
measured() {
	tests/truth/programs.sh run "$PROGRAM" test "$2" "$PWD/tests/emu/record.sh" --count "$T/$1.count" -- >"$T/$1.out" 2>/dev/null ||
		return 1
	[ "$1" = plain ] && return
	cmp -s "$T/plain.out" "$T/$1.out" || check "$1 says what the plain build says" 0 1
	awk 'FNR == NR { n[$1] = $2; next } $1 == "instructions" { i = $2 / n[$1] } $1 == "taken-branches" { b = $2 / n[$1] }
		END { printf "%.3f/%.3f", i, b }' "$T/plain.count" "$T/$1.count"
}

# rebuilt NAME PROFILE, bolted NAME FDATA: the figures, or -
rebuilt() {
	local flag=-fauto-profile app
	[ "$KIND" != clang ] || flag=-fprofile-sample-use
	[ -s "$2" ] && app=$(tests/truth/programs.sh build "$PROGRAM" "$COMPILER" fixed -gdwarf-4 "$flag=$2" 2>/dev/null) &&
		measured "$1" "$app" || printf -- -
}

bolted() {
	[ -n "$BOLT" ] && [ -s "$2" ] && "$BOLT" "$APP" -o "$T/$1.bolted" -data="$2" -reorder-blocks=ext-tsp \
		-reorder-functions=cdsort -split-functions -split-all-cold >"$T/log" 2>&1 && measured "$1" "$T/$1.bolted" || printf -- -
}

# line SIZE DATA PEERDATA: perf2bolt takes no samples from a recording with call stacks of the instrument's
line() {
	local blocks edges p q='' s t=''
	ours "$2" "$T/ours" || {
		tail -n 3 "$T/ours.account"
		check "pgo converts" 0 1
		return
	}
	perf script -i "$2" -F ip -G 2>/dev/null | awk 'NF == 1' >"$T/ips"
	blocks=$(tests/truth/plain_blocks.py "$CELL/exact" "$CELL/insns" "$T/ips" "$T/ours.preagg")
	edges=$("$TRUTH" edges "$APP" "$CELL/exact" "$T/ours.fdata" | awk '{ print $4 }')
	p=$(positions "$([ "$KIND" = clang ] && echo llvm || echo show)" "$T/ours.text")
	s=$(similar "$T/ours.text")
	if theirs "$3" "$T/theirs"; then
		q=$(positions "$([ "$KIND" = clang ] && echo llvm || echo gcov)" "$T/theirs.text")
		t=$(similar "$T/theirs.text")
	fi
	printf '%-8s %-9s %7s  %-36s %6s  %6s %6s  %6s %6s' "$PROGRAM" "$COMPILER" "$1" "$blocks" "$edges" "$p" "${q:--}" "${s:--}" "${t:--}"
	if [ -n "$REBUILD" ]; then
		printf '  %-11s %-11s' "$(rebuilt ours "$T/ours.prof")" "$(rebuilt theirs "$T/theirs.prof")"
		rm -f "$T/nl.fdata"
		[ -z "$PERF2BOLT" ] || "$PERF2BOLT" "$APP" -nl -p "$3" -o "$T/nl.fdata" >"$T/log" 2>&1
		printf '  %-11s %-11s' "$(bolted bolt_ours "$T/ours.fdata")" "$(bolted bolt_theirs "$T/nl.fdata")"
	fi
	echo
	read -r _ max _ avg _ pgo <<<"$blocks"
	check "$1 samples: blocks against the average" "$pgo" "$(awk -v a="$avg" 'BEGIN { print a + 5 }')"
	check "$1 samples: blocks against the largest count" "$pgo" "$(awk -v a="$max" 'BEGIN { print a + 5 }')"
	[ -z "${q-}" ] || check "$1 samples: positions against the peer's" "$p" "$q"
	[ "$t" = - ] || [ -z "$t" ] || check "$1 samples: similarity against the peer's" "$s" "$t"
}

# The same from branch records of the same run, for orientation.
lbr_line() {
	mkperf "$T/lbr.data" 20000 1 --mode lbr
	ours "$T/lbr.data" "$T/lbr" || return
	printf '%-8s %-9s %7s  %-36s %6s  %6s %6s  %6s %6s' "$PROGRAM" "$COMPILER" branches - \
		"$("$TRUTH" edges "$APP" "$CELL/exact" "$T/lbr.fdata" | awk '{ print $4 }')" \
		"$(positions "$([ "$KIND" = clang ] && echo llvm || echo show)" "$T/lbr.text")" - "$(similar "$T/lbr.text")" -
	[ -z "$REBUILD" ] || printf '  %-11s %-11s  %-11s' "$(rebuilt lbr "$T/lbr.prof")" - "$(bolted bolt_lbr "$T/lbr.fdata")"
	echo
}

# Real samples of the kernel's clock.
clock_line() {
	cat >"$T/many" <<END
for i in \$(seq 20); do tests/truth/programs.sh run "$PROGRAM" train "$APP" >/dev/null || exit 1; done
END
	perf record -q -e cpu-clock:u -c 100000 -o "$T/clock.data" -- bash "$T/many" >"$T/log" 2>&1 && line clock "$T/clock.data" "$T/clock.data"
}

printf '%-8s %-9s %7s  %-36s %6s  %6s %6s  %6s %6s  %-11s %-11s  %-11s %-11s\n' program compiler samples 'blocks, per cent' edges \
	posit. peer simil. peer rebuilt peer bolt 'perf2bolt -nl'
while [ $# -ge 2 ]; do
	truth_cell "$1" "$2" fixed 32000 || {
		[ $? = 77 ] && shift 2 && continue
		exit 1
	}
	shift 2
	time_ring || {
		check "the program can be recorded" 0 1
		continue
	}
	[ -z "$REBUILD" ] || measured plain "$APP"
	for n in $SIZES; do
		mkperf "$T/ip.data" "$n" 1 --mode callchain --event cycles:u && mkperf "$T/peer.data" "$n" 1 --mode ip --event cycles:u &&
			line "$n" "$T/ip.data" "$T/peer.data"
	done
	clock_line || echo "note: $PROGRAM: perf cannot record cpu-clock here"
	lbr_line
done
echo "$GOOD checks passed, $BAD failed"
[ "$GOOD$BAD" != 00 ] || leave "${MISSING:-nothing to compare}"
[ "$BAD" = 0 ]
