#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the profiles are worth: real programs rebuilt with ours, with the other converters' from the same recording, and with
# the compilers' own instrumentation for orientation. Trained on one input, measured on another.
#
#	speedup.sh [-c gcc-12,clang-22] [-l pie] [-n SAMPLES] [-t ROUNDS] [-o FOLDER] [PROGRAM...]
#
# Instructions and taken branches are counted by the emulator and carry no noise; every ratio is to the plain build of the
# same compiler. Each profile variant is built twice, from two recordings of the training input, because a single inlining
# decision can weigh more than what the profiles differ in: both are shown. With -t, wall time: the variants take turns, and
# of the ratios to the plain build's run of the same round the quartiles are printed. A rebuilt program that prints something
# else than the plain one is a failure.
#
# Every row also goes to FOLDER/speedup.tsv. Exit 0; 1: something failed, or ours takes more branches than the best other
# converter's, by more than the two builds of either differ; 77: nothing to measure with.
set -u
cd "$(dirname "$0")/../.." || exit 2
export B=${B:-$PWD/build}
case $B in /*) ;; *) B=$PWD/$B ;; esac
PGO=${PGO:-$B/pgo}
P=tests/truth/programs.sh
compilers=${TRUTH_COMPILERS:-gcc clang} link=pie samples=80000 rounds=0 out=$B/truth/speedup

usage() {
	sed -n '6s/^#	/usage: /p' "$0" >&2
	exit 2
}

while getopts c:l:n:t:o: o; do
	case $o in
	c) compilers=${OPTARG//,/ } ;;
	l) link=$OPTARG ;;
	n) samples=$OPTARG ;;
	t) rounds=$OPTARG ;;
	o) out=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
# shellcheck disable=SC2046,SC2086 # several words
[ $# -gt 0 ] || set -- ${TRUTH_PROGRAMS:-$($P list)}

why=$(tests/emu/have_plugins.sh) || { echo "$why"; exit 77; }
[ -x "$PGO" ] || { echo "$PGO is missing: run make"; exit 1; }
make -s B="$B" emu >/dev/null || exit 1
export EMU_DIR=$B/emu
mkdir -p "$out"
out=$(cd "$out" && pwd)
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
export PERF_BUILDID_DIR=$T/buildid
${CC:-gcc} -O2 -o "$T/stopwatch" tests/bench/stopwatch.c || exit 1
: >"$out/speedup.tsv"
failures=0

complain() {
	echo "  FAIL: $*"
	failures=$((failures + 1))
}

# ---------------------------------------------------------------- one program by one compiler

# record SEED: $W/SEED.data, about $samples rings of the training input
record() {
	[ -e "$W/$1.data" ] && return
	if [ ! -e "$W/period" ]; then
		$P run "$program" train "$plain" tests_emu --count "$W/train.count" -- >/dev/null 2>"$W/log" || return 1
		awk -v n="$samples" '$1 == "taken-branches" { p = int($2 / n); if (p < 41) p = 41; print p + 1 - p % 2 }' \
			"$W/train.count" >"$W/period"
	fi
	$P run "$program" train "$plain" tests_emu -e branches -p "$(cat "$W/period")" -s "$1" -o "$W/$1.ring" -- \
		>/dev/null 2>"$W/log" &&
		"$B/emu/mkperf" --aslr "$1" --host web-1 --start-time 1790000000 -o "$W/$1.data" "$W/$1.ring" && rm -f "$W/$1.ring"
}

# The commands below run elsewhere: programs.sh changes to the folder of inputs.
mkdir -p "$T/bin"
cat >"$T/bin/tests_emu" <<END
#!/bin/sh
exec "$PWD/tests/emu/record.sh" "\$@"
END
chmod +x "$T/bin/tests_emu"
PATH=$T/bin:$PATH

# make_profile VARIANT SEED: $W/VARIANT.SEED, a profile of the kind that the variant's consumer reads
make_profile() {
	local to=$W/$1.$2 from=$W/$2.data
	case $1 in
	gcc-pgo) "$PGO" convert -q "$from" --binary "$plain" --gcc "$to" --gcc-release "$("$cc" -dumpversion | sed 's/\..*//')" ;;
	create_gcov) create_gcov --binary="$plain" --profile="$from" --gcov="$to" --gcov_version=2 ;;
	clang-pgo) "$PGO" convert -q "$from" --binary "$plain" --clang "$to" ;;
	llvm-profgen) "$profgen" --perfdata="$from" --binary="$plain" --output="$to" --format=extbinary ;;
	create_llvm_prof) create_llvm_prof --binary="$plain" --profile="$from" --out="$to" --format=binary ;;
	bolt-pgo) "$PGO" convert -q "$from" --binary "$plain" --bolt "$to" ;;
	perf2bolt) "$perf2bolt" "$plain" -p "$from" -o "$to" ;;
	esac >"$W/log" 2>&1 && [ -s "$to" ]
}

# rebuild VARIANT PROFILE: sets APP
rebuild() {
	case $1 in
	gcc-pgo | create_gcov) APP=$($P build "$program" "$cc" "$link" "-fauto-profile=$2" 2>"$W/log") ;;
	clang-pgo | llvm-profgen | create_llvm_prof) APP=$($P build "$program" "$cc" "$link" "-fprofile-sample-use=$2" 2>"$W/log") ;;
	bolt-pgo | perf2bolt)
		APP=$2.bolted
		"$bolt" "$plain" -o "$APP" -data="$2" -reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions \
			-split-all-cold -icf >"$W/log" 2>&1
		;;
	esac
}

# The compiler's own counters: APP
instrumented() {
	local dir=$W/instrumented made
	rm -rf "$dir" && mkdir -p "$dir"
	case ${cc##*/} in
	*gcc*)
		made=$($P build "$program" "$cc" "$link" "-fprofile-generate=$dir" -fprofile-prefix-path=@OUT@ 2>"$W/log") &&
			$P run "$program" train "$made" >/dev/null 2>"$W/log" &&
			APP=$($P build "$program" "$cc" "$link" "-fprofile-use=$dir" -fprofile-prefix-path=@OUT@ \
				-Wno-missing-profile 2>"$W/log")
		;;
	*)
		made=$($P build "$program" "$cc" "$link" -fprofile-generate 2>"$W/log") &&
			LLVM_PROFILE_FILE=$dir/%p.profraw $P run "$program" train "$made" >/dev/null 2>"$W/log" &&
			"$profdata" merge -o "$W/instr.profdata" "$dir"/*.profraw >"$W/log" 2>&1 &&
			APP=$($P build "$program" "$cc" "$link" "-fprofile-use=$W/instr.profdata" 2>"$W/log")
		;;
	esac
}

# measure NAME APP: counts, and what it prints against what the plain build prints
measure() {
	$P run "$program" test "$2" tests_emu --count "$W/$1.count" -- >"$W/$1.out" 2>"$W/$1.log" || {
		complain "$program, $cc: $1 does not run"
		return 1
	}
	cmp -s "$W/$1.out" "$W/plain.out" || complain "$program, $cc: $1 prints something else than the plain build"
	apps+=("$1" "$2")
}

# reason: why the last step failed, in a few words
reason() {
	if grep -q 'internal compiler error' "$W/log"; then
		echo 'its file crashes the compiler'
	else
		grep -m 1 -iE 'error|fail|cannot|unable' "$W/log" | cut -c1-60 | grep . || echo 'failed'
	fi
}

# row NAME: ratios to the plain build of the builds NAME.1 and NAME.2 (or NAME), to the table and the list
row() {
	local n files=()
	for n in "$1" "$1.1" "$1.2"; do
		[ -e "$W/$n.count" ] && files+=("$W/$n.count")
	done
	[ ${#files[@]} -gt 0 ] || return
	awk -v OFS='\t' -v program="$program" -v cc="${cc##*/}" -v link="$link" -v name="$1" -v tsv="$out/speedup.tsv" '
		FNR == 1 { k++ }
		$1 == "instructions" { i[k] = $2 }
		$1 == "taken-branches" { b[k] = $2 }
		END {
			for (j = 2; j <= k; j++) {
				ri = ri sprintf("%8.4f", i[j] / i[1]); rb = rb sprintf("%8.4f", b[j] / b[1])
				print program, cc, link, name, j - 1, i[j], b[j], i[j] / i[1], b[j] / b[1] >>tsv
			}
			printf "  %-18s %-17s %-17s\n", name, ri, rb
		}' "$W/plain.count" "${files[@]}"
}

# times: quartiles of each program's ratios to the plain one in the same round
times() {
	local r k n=${#apps[@]}
	[ "$rounds" -gt 0 ] || return
	for ((r = 0; r < rounds; r++)); do
		for ((k = 0; k < n; k += 2)); do
			local j=$(((k + 2 * r) % n))
			$P run "$program" test "${apps[j + 1]}" "$T/stopwatch" 2>&1 >/dev/null | tail -n 1 |
				awk -v r="$r" -v name="${apps[j]}" '{ print r, name, $1 }'
		done
	done >"$W/times"
	echo "  wall time against the plain build's run of the same round: quartiles of $rounds"
	awk '$2 == "plain" { base[$1] = $3 } { t[$1, $2] = $3; if (!($2 in seen)) { seen[$2]; names[++n] = $2 } if ($1 > last) last = $1 }
		END { for (k = 1; k <= n; k++) if (names[k] != "plain") for (r = 0; r <= last; r++)
			print names[k], t[r, names[k]] / base[r] }' "$W/times" | sort -k1,1 -k2,2g |
		awk '{ if ($1 != name) { show(); name = $1; n = 0 } v[++n] = $2 }
			function show() { if (n) printf "    %-18s %.3f  (%.3f to %.3f)\n", name, v[int((n + 1) / 2)], v[int((n + 3) / 4)], v[int((3 * n + 1) / 4)] }
			END { show() }'
}

one_compiler() {
	local v seed peers
	plain=$($P build "$program" "$cc" "$link" 2>"$T/log") || {
		tail -n 1 "$T/log" | sed "s/^/  $program, $cc: /"
		return
	}
	W=$out/$(basename "$(dirname "$plain")")
	mkdir -p "$W"
	apps=()
	$P run "$program" test "$plain" tests_emu --count "$W/plain.count" -- >"$W/plain.out" 2>"$W/log" || {
		complain "$program, $cc: the plain build does not run"
		return
	}
	apps=(plain "$plain")
	if ! record 1 || ! record 2; then
		complain "$program, $cc: no recording: $(tail -n 1 "$W/log")"
		return
	fi
	echo
	echo "$program, ${cc##*/} -O2, $link: $(awk '{ printf "%s %.1f M  ", $1, $2 / 1e6 }' "$W/plain.count" | sed 's/mispredicts.*//')"
	printf '  %-18s %-17s %-17s\n' "" "  instructions x" "taken branches x"
	case ${cc##*/} in
	*gcc*) peers='gcc-pgo create_gcov bolt-pgo perf2bolt' ;;
	*) peers='clang-pgo llvm-profgen create_llvm_prof bolt-pgo perf2bolt' ;;
	esac
	for v in $peers; do
		for seed in 1 2; do
			rm -f "$W/$v.$seed.count"
			if ! make_profile "$v" "$seed" || ! rebuild "$v" "$W/$v.$seed"; then
				case $v in
				*-pgo) complain "$program, $cc: $v: $(reason)" ;;
				*) printf '  %-18s %s\n' "$v" "$(reason)" ;;
				esac
				break
			fi
			measure "$v.$seed" "$APP"
		done
		row "$v"
	done
	if instrumented; then
		measure instrumented "$APP"
		row instrumented
	else
		printf '  %-18s %s\n' instrumented "$(reason)"
	fi
	times
	judge
}

# judge: ours against the best of the others that have the same consumer, beyond what two builds of one differ
judge() {
	local pair ours other
	for pair in gcc-pgo:create_gcov clang-pgo:llvm-profgen clang-pgo:create_llvm_prof bolt-pgo:perf2bolt; do
		ours=${pair%:*} other=${pair#*:}
		if [ ! -e "$W/$ours.2.count" ] || [ ! -e "$W/$other.2.count" ]; then continue; fi
		awk '$1 == "taken-branches" { b[++n] = $2 }
			function gap(x, y) { return x > y ? x - y : y - x }
			END { slack = gap(b[1], b[2]) + gap(b[3], b[4]) + 0.002 * b[3]
				exit (b[1] + b[2]) / 2 > (b[3] + b[4]) / 2 + slack }' \
			"$W/$ours.1.count" "$W/$ours.2.count" "$W/$other.1.count" "$W/$other.2.count" ||
			complain "$program, $cc: $ours takes more branches than $other"
	done
}

profgen=$(tests/tools.sh llvm-profgen) profdata=$(tests/tools.sh llvm-profdata)
perf2bolt=$(tests/tools.sh perf2bolt) bolt=$(tests/tools.sh llvm-bolt)
for t in "llvm-profgen:$profgen" "llvm-profdata:$profdata" "perf2bolt:$perf2bolt" "llvm-bolt:$bolt" \
	"create_gcov:$(command -v create_gcov)" "create_llvm_prof:$(command -v create_llvm_prof)"; do
	[ -n "${t#*:}" ] || echo "without ${t%%:*}: not installed"
done
for program; do
	for cc in $compilers; do
		case $cc in gcc | clang) cc=$(tests/tools.sh "$cc") || continue ;; esac
		one_compiler
	done
done
[ "$failures" = 0 ] || {
	echo "$failures failures"
	exit 1
}
