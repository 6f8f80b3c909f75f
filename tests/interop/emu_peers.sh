#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The instrument of tests/emu against others: the emulator's single-step mode, perf, perf2bolt, llvm-profgen and
# create_gcov must agree with it on what ran and on what was sampled.
#
# Exit 0: all agreed; 77: what could be checked agreed, the last line names the missing peer; 1: something did not.
set -u

B=${B:-build}
emu=$PWD/$B/emu
export EMU_DIR=$emu
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
good=0 bad=0 missing=

skip() {
	echo "$1"
	exit 77
}

# expect NAME COMMAND...: the command must succeed
expect() {
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
		tail -n 5 "$T/log" | sed 's/^/      /'
	fi
}

tool() {
	tests/tools.sh "$1" || {
		missing="$missing $1"
		echo ""
	}
}

record() {
	tests/emu/record.sh "$@"
}

why=$(tests/emu/have_plugins.sh) || skip "$why"
command -v perf >/dev/null || skip "perf is not installed"
[ "$(uname -m)" = x86_64 ] || skip "the sample program is built for x86-64"
make -s B="$B" SAN= COV= emu || exit 1
clang=$(tool clang) profgen=$(tool llvm-profgen) profdata=$(tool llvm-profdata) perf2bolt=$(tool perf2bolt) create_gcov=$(tool create_gcov)
PERF_BUILDID_DIR=$T/buildid
export PERF_BUILDID_DIR

# ---- programs: gcc and clang, position-independent and not
programs=
build() {
	local name=$1
	shift
	"$@" -O2 -g -gdwarf-4 -Wl,--build-id -Wl,--emit-relocs -o "$T/$name" tests/emu/sample.c || exit 1
	programs="$programs $name"
}
build gcc_pie gcc -pie -fPIE
build gcc_fixed gcc -no-pie -fno-pie
if [ -n "$clang" ]; then
	build clang_pie "$clang" -pie -fPIE -fdebug-info-for-profiling
	build clang_fixed "$clang" -no-pie -fno-pie -fdebug-info-for-profiling
fi

# ---- overlap of two `exact` listings: sum of the smaller share of each edge, per cent
overlap() {
	awk '$1 == "edge" { k = $2 " " $3; if (FNR == NR) { a[k] += $4; sa += $4 } else { b[k] += $4; sb += $4 } }
		END { for (k in a) { x = a[k] / sa; y = b[k] / sb; s += x < y ? x : y } printf "%.2f\n", 100 * s }' "$1" "$2"
}
at_least() {
	awk -v x="$1" -v y="$2" 'BEGIN { print x, "should be at least", y; exit !(x + 0 >= y + 0) }'
}

single_step_agrees() {
	record -p 5000 -o "$T/tb.ring" -- "$T/$1" 5 >/dev/null
	EMU_QEMU=-singlestep record -p 5000 -o "$T/ss.ring" -- "$T/$1" 5 >/dev/null
	local libc
	libc=$(ldd "$T/$1" | awk '/libc\.so/ { print $3 }')
	for lib in "$T/$1" "$(readlink -f "$libc")"; do
		"$emu/exact" -b "$lib" "$T/tb.ring" | grep -v '^block' >"$T/tb.txt"
		"$emu/exact" -b "$lib" "$T/ss.ring" | grep -v '^block' >"$T/ss.txt"
		cmp "$T/tb.txt" "$T/ss.txt" && [ "$(grep -c '^edge' "$T/tb.txt")" -gt 50 ] || return 1
	done
}

repeats() {
	local i
	for i in 1 2; do
		record -e cycles -p 3001 -s "$1" -O skid=5,callchain=1 -o "$T/r$i.ring" -- "$T/gcc_fixed" 20 >/dev/null &&
			"$emu/mkperf" --pid 100 --mode lbr+callchain -o "$T/r$i.data" "$T/r$i.ring" || return 1
	done
	cmp "$T/r1.data" "$T/r2.data" || return 1
	record -e cycles -p 3001 -s 77 -O skid=5,callchain=1 -o "$T/r3.ring" -- "$T/gcc_fixed" 20 >/dev/null &&
		"$emu/mkperf" --pid 100 --mode lbr+callchain -o "$T/r3.data" "$T/r3.ring" || return 1
	! cmp -s "$T/r1.data" "$T/r3.data"
}

# No instruction branches more often than it runs, and every source of a branch ends a block.
blocks_fit_edges() {
	"$emu/exact" "$T/$1.ring" | awk '
		$1 == "edge" && $2 != "-" { src[$2] += $4; n++ }
		$1 == "block" { last[$3] += $4 }
		END { for (s in src) if (src[s] > last[s]) { print "more branches than executions at", s; exit 1 } exit n < 50 }'
}

# ---- perf's reading of our perf.data against our own text of the same plan
perf_reads() {
	local ring=$1 plan=$2
	shift 2
	# shellcheck disable=SC2086
	"$emu/mkperf" --text $plan -o "$T/want.txt" "$ring" &&
		"$emu/mkperf" $plan "$@" -o "$T/p.data" "$ring" || return 1
	perf script -i "$T/p.data" -F ip,brstack >"$T/got.txt" 2>"$T/perf.err"
	[ -s "$T/want.txt" ] && cmp "$T/want.txt" "$T/got.txt"
}

# From a pipe perf prints the symbol too, asked or not: take it out.
without_symbols() {
	awk '{ s = $1; for (i = 2; i <= NF; i++) if ($i ~ /^0x[0-9a-f]+\/0x/) s = s " " $i; print s }'
}

perf_pipes() {
	local ring=$1
	shift
	"$emu/mkperf" --max-samples 2000 --text -o - "$ring" | without_symbols >"$T/want.txt" &&
		"$emu/mkperf" --max-samples 2000 --pipe "$@" -o - "$ring" |
		perf script -F ip,brstack -i - 2>"$T/perf.err" | without_symbols >"$T/got.txt"
	[ -s "$T/want.txt" ] && cmp "$T/want.txt" "$T/got.txt"
}

header_says() {
	"$emu/mkperf" --host web-7 --start-time 1700000000 -o "$T/h.data" "$T/gcc_pie.ring" &&
		perf report -i "$T/h.data" --header-only >"$T/header" 2>/dev/null || return 1
	grep -q '^# hostname : web-7$' "$T/header" && grep -q '^# arch : x86_64$' "$T/header" &&
		grep -q 'name = br_inst_retired.near_taken:u.*sample_type = IP|TID|TIME|PERIOD|BRANCH_STACK' "$T/header" &&
		grep -q "^# cmdline : .*gcc_pie 700" "$T/header" &&
		perf script -i "$T/h.data" --show-mmap-events 2>/dev/null | grep -q 'PERF_RECORD_MMAP2.*gcc_pie$' &&
		[ "$(perf buildid-list -i "$T/h.data" | awk -v p="$T/gcc_pie" '$2 == p { print $1 }')" = \
			"$(file_build_id "$T/gcc_pie")" ]
}

file_build_id() {
	readelf -n "$1" | awk '/Build ID:/ { print $3 }'
}

# Symbols of the hottest function by IP, callers by call chain.
chain_says() {
	record -e cycles -p 20000 -O callchain=1 -o "$T/chain.ring" -- "$T/gcc_pie" 200 >/dev/null &&
		"$emu/mkperf" --mode callchain --aslr 9 -o "$T/c.data" "$T/chain.ring" || return 1
	perf script -i "$T/c.data" -F ip,sym 2>/dev/null >"$T/c.txt"
	# samples in compare(), called back by the library, must lead to one_round and main
	awk -v RS= '/ compare\n/ { n++; if (/one_round/ && / main\n/) ok++ }
		END { print ok, "of", n, "chains are complete"; exit !(n > 20 && ok > 0.97 * n) }' "$T/c.txt"
}

modes_say() {
	"$emu/mkperf" --mode ip --event cycles:u -o "$T/i.data" "$T/chain.ring" &&
		perf evlist -v -i "$T/i.data" | grep -q '^cycles:u:.*sample_type: IP|TID|TIME|PERIOD,' &&
		"$emu/mkperf" --mode callstack -o "$T/k.data" "$T/chain.ring" &&
		perf evlist -v -i "$T/k.data" | grep -q 'branch_sample_type: .*CALL_STACK'
}

# ---- perf2bolt: perf.data against our pre-aggregated text, and its branch counts against the sampled ones
bolt_says() {
	local p=$1
	"$emu/mkperf" --aslr 4 --processes 2 -o "$T/b.data" "$T/$p.ring" &&
		"$emu/mkperf" --preagg=bf --processes 2 -o "$T/b.pa" "$T/$p.ring" &&
		"$emu/mkperf" --preagg --processes 2 -o "$T/b.pt" "$T/$p.ring" &&
		"$perf2bolt" "$T/$p" -p "$T/b.data" -o "$T/b.fdata" &&
		"$perf2bolt" "$T/$p" -pa -p "$T/b.pa" -o "$T/b.pa.fdata" &&
		"$perf2bolt" "$T/$p" -pa -p "$T/b.pt" -o "$T/b.pt.fdata" &&
		cmp "$T/b.fdata" "$T/b.pa.fdata" || return 1
	# T records carry no mispredictions
	awk '{ $7 = ""; print }' "$T/b.fdata" >"$T/b1"
	awk '{ $7 = ""; print }' "$T/b.pt.fdata" >"$T/b2"
	cmp "$T/b1" "$T/b2" || return 1
	objdump -d "$T/$p" | awk '$NF == "ret" { sub(":", "", $1); print $1 }' >"$T/rets"
	"$emu/exact" -s "$T/$p.ring" >"$T/sampled"
	nm "$T/$p" >"$T/syms"
	# every sampled edge within the program, but for returns, stands in the .fdata with both its counts, twice (2 processes)
	awk 'function hex(s,  i, v) { v = 0; for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return v }
		FILENAME ~ /rets$/ { ret[hex($1)] = 1; next }
		FILENAME ~ /syms$/ { if (NF == 3) { sub(/^0+/, "", $1); addr[$3] = hex($1) } next }
		FILENAME ~ /fdata$/ { if ($1 == 1 && $4 == 1) { sub(/\/1.*$/, "", $2); sub(/\/1.*$/, "", $5)
			k = addr[$2] + hex($3) " " addr[$5] + hex($6); mis[k] = $7; n[k] = $8 } next }
		$1 == "edge" && $2 != "-" && $3 != "-" && !ret[hex($2)] { k = hex($2) " " hex($3); total += $4
			if (n[k] == 2 * $4 && mis[k] == 2 * $5) same += $4; else print "edge", $2, $3, $4, $5, "is", n[k], mis[k] }
		END { print same, "of", total; exit !(total > 10000 && same > 0.995 * total) }' \
		"$T/rets" "$T/syms" "$T/b.fdata" "$T/sampled"
}

# ---- llvm-profgen: perf.data against our ranges and branches
profgen_says() {
	local p=$1
	"$emu/mkperf" --aslr 6 -o "$T/l.data" "$T/$p.ring" && "$emu/mkperf" --unsymbolized -o "$T/l.txt" "$T/$p.ring" &&
		"$profgen" --binary="$T/$p" --perfdata="$T/l.data" --format=text --output="$T/l1.prof" &&
		"$profgen" --binary="$T/$p" --unsymbolized-profile="$T/l.txt" --use-offset=0 --format=text --output="$T/l2.prof" &&
		cmp "$T/l1.prof" "$T/l2.prof" && "$profdata" show --sample "$T/l1.prof" >/dev/null || return 1
	# compare() is called by the library only: its head is the sum of the branches to it
	entry_equals "$p" "$(sed -n 's/^compare:[0-9]*:\([0-9]*\)$/\1/p' "$T/l1.prof")"
}

entry_equals() {
	local addr
	addr=$(nm "$T/$1" | awk '$3 == "compare" { sub(/^0+/, "", $1); print $1 }')
	"$emu/exact" -s "$T/$1.ring" | awk -v to="$addr" -v want="$2" '$1 == "edge" && $3 == to { n += $4 }
		END { print "entries of compare:", n, "reported:", want; exit !(n > 1000 && n == want) }'
}

# ---- create_gcov: our text; its counts of compare() against the executions of that function's blocks
gcov_says() {
	local p=$1
	"$emu/mkperf" --autofdo-text -o "$T/g.txt" "$T/$p.ring" &&
		"$create_gcov" --binary="$T/$p" --profiler=text --profile="$T/g.txt" --gcov="$T/g.afdo" -gcov_version=2 &&
		dump_gcov -gcov_version=2 "$T/g.afdo" >"$T/g.dump" || return 1
	# the hottest source line of fib() ran as often as the ranges through its first instruction say
	local addr
	addr=$(nm "$T/$p" | awk '$3 == "fib" { sub(/^0+/, "", $1); print $1 }')
	local base
	base=$(readelf -lW "$T/$p" | awk '$1 == "LOAD" && / R E / { print $3, $2; exit }')
	awk -v addr="$addr" -v base="$base" 'function hex(s,  i, v) { v = 0; sub(/^0x0*/, "", s); for (i = 1; i <= length(s); i++)
			v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return v }
		FILENAME ~ /txt$/ { if (/-[^>]/) { split($1, r, /[-:]/); split(base, b, " "); at = hex(addr) - hex(b[1]) + hex(b[2])
			if (hex(r[1]) <= at && at <= hex(r[2])) want += r[3] } next }
		/^fib / { inside = 1; next }
		/^[^ ]/ { inside = 0 }
		inside && $1 == "1:" { got = $2 }
		inside && /^  [0-9.]+: / { if ($2 > max) max = $2 }
		END { print "fib ran", want, "line says", got, "hottest", max; exit !(want > 100 && max >= want && max <= 1.6 * want) }' "$T/g.txt" "$T/g.dump"
}

for p in $programs; do
	# some 20,000 samples
	record -e branches -p 967 -s 3 -o "$T/$p.ring" -- "$T/$p" 700 >"$T/out" || bad=$((bad + 1))
	"$T/$p" 700 >"$T/native" 2>/dev/null
	expect "$p: the program's output is the same" cmp "$T/out" "$T/native"
	expect "$p: single steps give the same counts of instructions, edges, mispredictions" single_step_agrees "$p"
	expect "$p: no branch is taken more often than it runs" blocks_fit_edges "$p"
	"$emu/exact" "$T/$p.ring" >"$T/exact" && "$emu/exact" -s "$T/$p.ring" >"$T/sampled"
	share=$(overlap "$T/exact" "$T/sampled")
	echo "$p: sampled edges overlap the exact ones by $share %"
	expect "$p: sampled edges overlap the exact ones" at_least "$share" 95
	expect "$p: perf prints the same branches" perf_reads "$T/$p.ring" "--aslr 3 --processes 2"
	[ -z "$perf2bolt" ] || expect "$p: perf2bolt agrees" bolt_says "$p"
	if [ -n "$profgen" ] && [ -n "$profdata" ]; then
		expect "$p: llvm-profgen agrees" profgen_says "$p"
	fi
done
[ -z "$create_gcov" ] || expect "create_gcov agrees" gcov_says gcc_pie

ring=$T/gcc_pie.ring
expect "perf reads build-ids in mapping records" perf_reads "$ring" "--max-samples 2000" --build-id mmap
expect "perf reads compressed records" perf_reads "$ring" "--max-samples 2000" --compress
expect "perf reads the other byte order" perf_reads "$ring" "--max-samples 2000" --big-endian
expect "perf reads branch types" perf_reads "$ring" "--max-samples 2000 --save-type" --hw-idx
expect "perf reads kernel entries" perf_reads "$ring" "--max-samples 2000 --kernel-noise 10"
expect "equal seeds give equal recordings, others do not" repeats 5
expect "perf reads a pipe" perf_pipes "$ring"
expect "perf reads a compressed pipe" perf_pipes "$ring" --compress
expect "perf reads the header" header_says
expect "call chains lead through the library to main" chain_says
expect "attributes say what was sampled" modes_say

echo "$good passed, $bad failed"
[ $bad -eq 0 ] || exit 1
[ -z "$missing" ] || skip "not installed:$missing"
