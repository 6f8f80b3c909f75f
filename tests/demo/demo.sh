#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The whole job on a sample program, with a table at the end: what `make demo` runs.
#
#	demo.sh [BUILD-DIRECTORY]          default: build; everything goes to its folder demo/
#
# quarry, a small log-analytics engine (tests/demo/src), is built with gcc and with clang, profiled
# on three "hosts" on two days, the profiles are put into a store, pgo makes compiler and llvm-bolt
# input of them, the program is rebuilt, profiled again, verified and measured.
#
# Branch data comes from `perf record -b` where the machine can; otherwise from an emulator that
# keeps a branch ring like the processor's (tests/emu/README.md says what that is and is not); where
# qemu-user has no plugins (Debian 13), by stopping and stepping the program (stepring.c; slow).
# Needs no root.  A missing clang or llvm-bolt costs its rows of the table, nothing else.
#
# Environment: DEMO_ROUNDS (wall-time runs per program, default 9), DEMO_SIZE (bytes of a training
# input, default 300000), NO_DEPS=1 (do not look for missing packages).
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
here=tests/demo

# ------------------------------------------------------------------ helpers

say() {
	printf '%s\n' "$*"
}

fail() {
	say "demo: $*" >&2
	exit 1
}

# quietly LOG COMMAND...: the output goes to a log, which is named if the command fails.
quietly() {
	local log=$D/log/$1.log code=0
	shift
	printf '$ %s\n' "$*" >>"$log"
	"$@" >>"$log" 2>&1 </dev/null || code=$?
	if [ "$code" -ne 0 ]; then
		say "  failed with exit code $code: $*" >&2
		say "  the log is $log; its end:" >&2
		tail -n 8 "$log" | sed 's/^/    /' >&2
	fi
	return "$code"
}

# At most $JOBS at a time; wait_all fails if one of them did.
pids=()
spawn() {
	if [ "${#pids[@]}" -ge "$JOBS" ]; then
		wait "${pids[0]}"
		pids=("${pids[@]:1}")
	fi
	"$@" &
	pids+=($!)
}
wait_all() {
	local p
	for p in "${pids[@]}"; do
		wait "$p"
	done
	pids=()
}

have() {
	[ -e "$D/$1/quarry" ]
}

size_of() {
	stat -c %s "$1"
}

# ------------------------------------------------------------------ the hosts

HOSTS=(web-1 api-1 batch-1)
DAYS=(3 1) # how many days ago

# The log that a host had to work on, on a day: HOST DAY
input() {
	echo "$D/input/$1-$2.log"
}

# record PROGRAM-FOLDER HOST DAY SEED: one process on one host, as a perf.data
record() {
	local program=$1 host=$2 day=$3 seed=$4
	local name=$program/$host-$day start
	local out=$D/perf/$name.data log=record/${name//\//-}

	mkdir -p "$D/perf/$program" "$D/log/record"
	start=$(($(cat "$D/now") - day * 86400))
	case $RING in
	processor)
		quietly "$log" perf record -q -e cycles:u -c 200003 -b -o "$out" -- \
			"$D/$program/quarry" run "$(input "$host" "$day")" 80
		return
		;;
	emulator)
		quietly "$log" tests/emu/record.sh -e instructions -p 20011 -s "$seed" \
			-o "$D/perf/$name.ring" -- "$D/$program/quarry" run "$(input "$host" "$day")" 6
		;;
	stepping)
		quietly "$log" "$D/stepring" -n 3000 -t 10 -s "$seed" -o "$D/perf/$name.ring" -- \
			"$D/$program/quarry" run "$(input "$host" "$day")" 200
		;;
	esac
	quietly "$log" "$B/emu/mkperf" --host "$host" --start-time "$start" --aslr "$seed" \
		-o "$out" "$D/perf/$name.ring"
	rm -f "$D/perf/$name.ring"
}

# import PROGRAM-FOLDER SERVICE HOST DAY OUTPUT-FOLDER
import() {
	local start
	start=$(($(cat "$D/now") - $4 * 86400))
	mkdir -p "$5"
	quietly "import" "$PGO" import "$D/perf/$1/$3-$4.data" -o "$5" --host "$3" --service "$2" \
		--version "$(cat "$D/$1/version")" --time "$(date -u -d "@$start" +%Y-%m-%dT%H:%M:%SZ)" \
		--binary "$D/$1/quarry"
}

# ------------------------------------------------------------------ the stages

stage_setup() {
	if [ -z "${NO_DEPS-}" ]; then
		tests/deps.sh demo
	fi
	quietly make make -s -j"$JOBS" B="$B"
	quietly make make -s -j"$JOBS" B="$B" emu
	find_tools
	find_ring
	declare -p GCC GXX CLANG CLANGXX BOLT RING >"$D/env"
	if [ "$RING" = stepping ]; then
		quietly stepring "$GCC" -std=gnu17 -D_GNU_SOURCE -O2 -I. "$here/stepring.c" \
			tests/emu/emuelf.c -lZydis -o "$D/stepring"
	fi
	case $RING in
	processor) say "  branch data: the processor's own, by perf record -b" ;;
	emulator) say "  branch data: this machine gives none, so from an emulated processor's ring" ;;
	stepping) say "  branch data: this machine gives none and its qemu-user has no plugins: by stepping (slow)" ;;
	esac
}

# One program of one compiler: FOLDER CC CXX FLAGS...
build() {
	local out=$1
	shift
	quietly "build-${out//\//-}" "$here/build.sh" "$1" "$2" "$D/$out" "${@:3}" -Wl,--build-id
	# A version is what a deployment would call it; the build-id is in the profiles anyway.
	dirname "$out" >"$D/$out/version"
}

gcc_flags=(-O2 -g)
clang_flags=(-O2 -g -fdebug-info-for-profiling -funique-internal-linkage-names)

stage_build() {
	spawn build before/gcc "$GCC" "$GXX" "${gcc_flags[@]}" -Wl,--emit-relocs
	if [ -n "$CLANG" ]; then
		spawn build before/clang "$CLANG" "$CLANGXX" "${clang_flags[@]}" -Wl,--emit-relocs
	fi
	wait_all
	say "  gcc $("$GCC" -dumpversion): $D/before/gcc/quarry, $(size_of "$D/before/gcc/quarry") bytes"
	if have before/clang; then
		say "  clang $(tests/tools.sh --version clang): $D/before/clang/quarry, $(size_of "$D/before/clang/quarry") bytes"
	else
		say "  no clang here: its rows will say so"
	fi
}

stage_record() {
	local host day seed=1 p kind

	mkdir -p "$D/input"
	for day in "${DAYS[@]}"; do
		for host in "${HOSTS[@]}"; do
			kind=${host%-*}
			"$D/before/gcc/quarry" gen "$seed" "$DEMO_SIZE" "$kind" >"$(input "$host" "$day")"
			for p in before/gcc before/clang; do
				if have "$p"; then
					spawn record "$p" "$host" "$day" "$seed"
				fi
			done
			seed=$((seed + 1))
		done
	done
	wait_all
	say "  $(find "$D/perf/before" -name '*.data' | wc -l) recordings, $(du -sh "$D/perf/before" | cut -f1): hosts ${HOSTS[*]}, ${DAYS[*]} days ago"
}

stage_import() {
	local host day p
	for p in gcc clang; do
		have "before/$p" || continue
		for day in "${DAYS[@]}"; do
			for host in "${HOSTS[@]}"; do
				import "before/$p" "quarry-$p" "$host" "$day" "$D/store/quarry-$p"
			done
		done
	done
	say "  $(find "$D/store" -type f | wc -l) profiles in the store $D/store"
}

# A target section of the configuration: SERVICE PROGRAM-FOLDER OUTPUT-LINES
target() {
	cat <<-END
		target "$1" {
			sources = {"store"}
			select = {'service="$1"'}
			since = "7d"
			binary = "$2/quarry"
			gates { hosts = "3/1" } # a fleet of three
			$3
		}
	END
}

stage_run() {
	local bolt='bolt = "out/quarry.fdata"'
	{
		echo 'state = "state"'
		if have before/clang; then
			target quarry-gcc before/gcc 'gcc = "out/quarry.afdo"'
			target quarry-clang before/clang "clang = \"out/quarry.prof\"
			$bolt"
		else
			target quarry-gcc before/gcc "gcc = \"out/quarry.afdo\"
			$bolt"
		fi
	} >"$D/pgo.conf"
	mkdir -p "$D/out"
	say "  the configuration is $D/pgo.conf; its plan is in $D/log/plan.log"
	quietly plan "$PGO" run -c "$D/pgo.conf" --dry-run
	quietly run "$PGO" run -c "$D/pgo.conf"
	sed '/^\$/d; s/^/  /' "$D/log/run.log"
}

bolt_flags=(-reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions -split-all-cold
	-icf -dyno-stats -update-debug-sections)

bolt() {
	local from=before/gcc
	if have before/clang; then from=before/clang; fi
	mkdir -p "$D/after/bolt"
	quietly bolt "$BOLT" "$D/$from/quarry" -o "$D/after/bolt/quarry" -data="$D/out/quarry.fdata" \
		"${bolt_flags[@]}"
	echo after >"$D/after/bolt/version"
}

stage_rebuild() {
	spawn build after/gcc "$GCC" "$GXX" "${gcc_flags[@]}" "-fauto-profile=$abs/out/quarry.afdo"
	if have before/clang; then
		spawn build after/clang "$CLANG" "$CLANGXX" "${clang_flags[@]}" \
			"-fprofile-sample-use=$abs/out/quarry.prof"
	fi
	if [ -n "$BOLT" ]; then
		spawn bolt
	fi
	wait_all
	local p log warnings
	for p in gcc clang; do
		log=$D/log/build-after-$p.log
		[ -e "$log" ] || continue
		warnings=$(grep -c -E 'warning:|error:' "$log" || true)
		say "  $p: rebuilt, $warnings warnings"
	done
	if have after/bolt; then
		say "  llvm-bolt: $(grep -m 1 -o '[0-9]* out of [0-9]* functions in the binary.*' "$D/log/bolt.log" || echo 'rewritten, see the log')"
	else
		say "  no llvm-bolt here: its row will say so"
	fi
}

# The rebuilt programs do the same work as their originals did: same hosts, same inputs.
stage_again() {
	local host day p seed=101
	for p in after/gcc after/clang after/bolt; do
		have "$p" || continue
		for day in "${DAYS[@]}"; do
			for host in "${HOSTS[@]}"; do
				spawn record "$p" "$host" "$day" "$seed"
				seed=$((seed + 1))
			done
		done
	done
	wait_all
	for p in gcc clang bolt; do
		have "after/$p" || continue
		for day in "${DAYS[@]}"; do
			for host in "${HOSTS[@]}"; do
				import "after/$p" "quarry-$p" "$host" "$day" "$D/store-after/quarry-$p"
			done
		done
	done
	say "  $(find "$D/store-after" -type f | wc -l) profiles of the rebuilt programs in $D/store-after"
}

# What ran before the rebuild PROGRAM: the gcc or the clang build.
origin() {
	case $1 in
	bolt) if have before/clang; then echo clang; else echo gcc; fi ;;
	*) echo "$1" ;;
	esac
}

# verify NAME: the same hosts on the same inputs, before and after
verify() {
	local from log=$D/log/verify-$1.log code=0
	local before=() after=() options=()
	# stepping ends after so many samples, not after so much work
	if [ "$RING" != stepping ]; then options+=(--same-work); fi
	from=$(origin "$1")
	mapfile -t before < <(find "$D/store/quarry-$from" -type f | sort)
	mapfile -t after < <(find "$D/store-after/quarry-$1" -type f | sort)
	"$PGO" verify "${options[@]}" --before-binary "$D/before/$from/quarry" --after-binary "$D/after/$1/quarry" \
		--fail-if 'regression>10%' "${before[@]}" -- "${after[@]}" >"$log" 2>&1 || code=$?
	case $code in
	0 | 1)
		say "  $1: $(grep -m 1 -E '^(total cost|overlap)' "$log" || echo "see the log")"
		sed -n 's/^gate /  '"$1"': gate /p' "$log"
		;;
	*)
		say "  $1: pgo verify failed with exit code $code; the log is $log" >&2
		tail -n 5 "$log" | sed 's/^/    /' >&2
		return 1
		;;
	esac
}

stage_verify() {
	local p
	for p in gcc clang bolt; do
		if have "after/$p"; then
			verify "$p"
		fi
	done
	say "  function by function: $D/log/verify-*.log"
}

PROGRAMS=(before/gcc after/gcc before/clang after/clang after/bolt)

# Instructions and taken branches of one run, to a file.
count() {
	local out=$D/measure/${1//\//-}
	if have_plugins; then
		quietly count tests/emu/record.sh --count "$out.count" -- \
			"$D/$1/quarry" run "$D/input/measure.log" 4
	elif command -v valgrind >/dev/null; then
		# its reader of debug information is not needed and may be older than the compiler
		strip -g -o "$out.stripped" "$D/$1/quarry"
		quietly "count-${1//\//-}" valgrind --tool=lackey "--log-file=$out.lackey" \
			"$out.stripped" run "$D/input/measure.log" 4
		sed -n -e 's/,//g' -e 's/.*guest instrs: *\([0-9]*\).*/instructions \1/p' \
			-e 's/.* taken: *\([0-9]*\).*/taken-branches \1/p' "$out.lackey" >"$out.count"
	else
		: >"$out.count"
	fi
	"$D/$1/quarry" run "$D/input/measure.log" 4 >"$out.out"
}

stage_measure() {
	local p sums found=()

	mkdir -p "$D/measure"
	# a kind of input that no host had
	"$D/before/gcc/quarry" gen 4711 800000 mixed >"$D/input/measure.log"
	for p in "${PROGRAMS[@]}"; do
		have "$p" || continue
		found+=("$D/$p/quarry")
		spawn count "$p"
	done
	wait_all
	sums=$(grep -h ^checksum "$D"/measure/*.out | sort -u)
	[ "$(echo "$sums" | wc -l)" = 1 ] || fail "the programs disagree about the results: $sums"
	say "  every program gives the same results ($sums)"
	"$D/measure-tool" race "$DEMO_ROUNDS" "${found[@]}" -- run "$D/input/measure.log" 20 >"$D/measure/wall" ||
		fail "a timing run failed"
	say "  wall time: median of $DEMO_ROUNDS runs each, taking turns"
}

# ------------------------------------------------------------------ the table

# row LABEL PROGRAM BASE: one line, with the change against BASE if there is one
row() {
	local label=$1 p=$2 base=${3-}
	if ! have "$p"; then
		printf '%-34s %s\n' "$label" "not installed here"
		return
	fi
	awk -v label="$label" -v p="$D/$p/quarry" -v base="${base:+$D/$base/quarry}" \
		-v pc="$D/measure/${p//\//-}.count" -v bc="${base:+$D/measure/${base//\//-}.count}" \
		-v wall="$D/measure/wall" '
		function counts(file, to,   line, w) {
			while ((getline line < file) > 0) {
				split(line, w, " ")
				if (w[1] == "instructions") to["i"] = w[2]
				if (w[1] == "taken-branches") to["b"] = w[2]
			}
			close(file)
		}
		function change(new, old) { return old ? sprintf("%+6.1f %%", (new / old - 1) * 100) : "        " }
		function sort(a, n,   i, j, v) {
			for (i = 2; i <= n; i++) {
				v = a[i]
				for (j = i - 1; j && a[j] > v; j--) a[j + 1] = a[j]
				a[j + 1] = v
			}
		}
		function quantile(a, n, q,   i) { i = int(1 + q * (n - 1) + 0.5); return a[i] }
		# round by round against the neighbour of the same round: a slow minute hits both alike
		function against(   i, text, r) {
			for (i = 1; i <= rounds; i++) r[i] = t[i] / u[i]
			sort(r, rounds)
			text = sprintf("%+6.1f %%", (quantile(r, rounds, 0.5) - 1) * 100)
			return text sprintf(" (%+.1f to %+.1f)", (quantile(r, rounds, 0.25) - 1) * 100,
				(quantile(r, rounds, 0.75) - 1) * 100)
		}
		BEGIN {
			while ((getline line < wall) > 0) {
				k = split(line, w, " ")
				for (i = 2; i <= k; i++) {
					if (w[1] == p) t[i - 1] = w[i]
					if (w[1] == base) u[i - 1] = w[i]
				}
				rounds = k - 1
			}
			counts(pc, n)
			if (base != "") {
				counts(bc, o)
				diff = against()
			}
			sort(t, rounds)
			printf "%-34s %9.1f M %s %8.1f M %s %8.3f s %s\n", label, n["i"] / 1e6, change(n["i"], o["i"]),
				n["b"] / 1e6, change(n["b"], o["b"]), quantile(t, rounds, 0.5), diff
		}'
}

table() {
	local gcc clang boltname from
	gcc="gcc $("$GCC" -dumpversion)"
	clang="clang"
	if [ -n "$CLANG" ]; then clang="clang $(tests/tools.sh --version clang)"; fi
	boltname="llvm-bolt"
	if [ -n "$BOLT" ]; then boltname="llvm-bolt $(tests/tools.sh --version llvm-bolt)"; fi
	say ""
	printf '%-34s %11s %8s %10s %8s %10s\n' "" "instructions" "" "taken branches" "" "wall time"
	row "$gcc -O2" before/gcc
	row "$gcc -O2 -fauto-profile" after/gcc before/gcc
	row "$clang -O2" before/clang
	row "$clang -O2 -fprofile-sample-use" after/clang before/clang
	from=$gcc
	if [ "$(origin bolt)" = clang ]; then from=$clang; fi
	row "$from -O2, then $boltname" after/bolt "before/$(origin bolt)"
	say ""
	if have_plugins; then
		say "Instructions and taken branches: of one run (4 rounds) on an input that no host had, counted exactly."
	else
		say "Instructions and conditional branches taken: of one run (4 rounds) on an input that no host had, by valgrind."
	fi
	say "Wall time: native, on the same input, 20 rounds; the median of $DEMO_ROUNDS runs each, taking turns; the change is"
	say "the median over neighbouring runs, in brackets its middle half. On a busy machine trust the counts more."
}

# ------------------------------------------------------------------ one after the other

STAGES=(
	"setup:find or install what is missing, build pgo"
	"build:build the sample program"
	"record:profile it on ${#HOSTS[@]} hosts and ${#DAYS[@]} days"
	"import:perf.data to profiles in a store"
	"run:pgo run: fetch, merge, convert"
	"rebuild:rebuild with the profiles"
	"again:profile the rebuilt programs"
	"verify:pgo verify: before against after"
	"measure:count and time before and after"
)

find_tools() {
	GCC=$(tests/tools.sh gcc || true)
	GXX=$(tests/tools.sh g++ || true)
	CLANG=$(tests/tools.sh clang || true)
	CLANGXX=$(tests/tools.sh clang++ || true)
	BOLT=$(tests/tools.sh llvm-bolt || true)
	if [ -z "$CLANGXX" ]; then CLANG=; fi
}

have_plugins() {
	tests/emu/have_plugins.sh >/dev/null
}

find_ring() {
	if tests/emu/have_lbr.sh >/dev/null 2>&1; then
		RING=processor
	elif have_plugins; then
		RING=emulator
	else
		RING=stepping
	fi
}

prepare() {
	rm -rf "$D"
	mkdir -p "$D/log"
	date +%s >"$D/now"
	# the first thing built, because it measures everything after it; needs a compiler
	if ! tests/tools.sh gcc >/dev/null; then
		tests/deps.sh demo
	fi
	quietly measure-tool "$(tests/tools.sh gcc)" -O2 "$here/measure.c" -o "$D/measure-tool"
}

main() {
	local s name text i=0 began=$SECONDS
	prepare
	for s in "${STAGES[@]}"; do
		name=${s%%:*}
		text=${s#*:}
		i=$((i + 1))
		say "[$i/${#STAGES[@]}] $text"
		"$D/measure-tool" stage "$D/log/$name.time" "$BASH" "$0" --stage "$name" "$B" ||
			fail "stage '$name' failed; the logs are in $D/log"
		awk '{printf "  %.1f s, peak memory %.0f MB\n", $1, $2 / 1024}' "$D/log/$name.time"
	done
	# shellcheck disable=SC1091 # what stage_setup found
	. "$D/env"
	table | tee "$D/table.txt"
	say "Took $((SECONDS - began)) s. Profiles: $D/store; compiler input: $D/out; programs: $D/before, $D/after;"
	say "logs and verdicts: $D/log; this table: $D/table.txt"
}

JOBS=$(nproc)
DEMO_ROUNDS=${DEMO_ROUNDS:-9}
DEMO_SIZE=${DEMO_SIZE:-300000}
only=
if [ "${1-}" = --stage ]; then
	only=$2
	shift 2
fi
B=${1:-${B:-build}}
D=$B/demo
PGO=$B/pgo
case $B in
/*) abs=$D ;;
*) abs=$root/$D ;;
esac
if [ -n "$only" ]; then
	# shellcheck disable=SC1091 # what stage_setup found
	if [ "$only" != setup ]; then . "$D/env"; fi
	"stage_$only"
else
	main
fi
