#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What converters make of branch records, against the exact counts of the very run that was sampled.
#
#	truth.sh [-o FILE.json] [-n BRANCHES] PROGRAM COMPILER pie|fixed ...     triples; or set
#	TRUTH_PROGRAMS (all), TRUTH_COMPILERS (gcc-12 clang-14 clang-22), TRUTH_LINKS (pie fixed)
#
# BRANCHES (1000000): recorded branches of the program's own code, libraries' not counted. At fixed addresses programs have
# DWARF 4, which the old converters understand; position-independent ones have what the compiler writes by itself.
#
# For every program, compiler and link, one line for each converter; all figures are the shares that two distributions have in
# common, per cent (README.md here):
#
#	edges, blocks      .fdata for llvm-bolt: pgo, perf2bolt
#	positions, targets profile by line: pgo, llvm-profgen, create_llvm_prof (text); pgo's and create_gcov's .afdo
#	similar            the whole profile, by llvm-profdata overlap
#	seconds, MiB       of that converter alone, once; pgo writes two files at once
#
# What is checked, else exit 1: pgo is nowhere below another converter by more than the noise of sampling, which comes from
# converting random halves of the recording by both; and edges, blocks and positions are at least $LEAST, or the sampling is what is
# missing: what random quarters of the recording lose tells how far the whole one is from what more samples would give.
# Exit 77: something that the comparison cannot do without is not here.
set -u
. tests/truth/truth_lib.bash

LEAST=${TRUTH_LEAST:-97}
BRANCHES=1000000
JSON=''
while getopts o:n: c; do
	case $c in
	o) JSON=$OPTARG ;;
	n) BRANCHES=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))

truth_init
CELLS=()
while [ $# -ge 3 ]; do
	CELLS+=("$1 $2 $3")
	shift 3
done
if [ "${#CELLS[@]}" = 0 ]; then
	for p in ${TRUTH_PROGRAMS-$(tests/truth/programs.sh list)}; do
		for c in ${TRUTH_COMPILERS-gcc-12 clang-14 clang-22}; do
			for l in ${TRUTH_LINKS-pie fixed}; do
				CELLS+=("$p $c $l")
			done
		done
	done
fi

PERF2BOLT=$(tests/tools.sh perf2bolt) PROFGEN=$(tests/tools.sh llvm-profgen) PROFDATA=$(tests/tools.sh llvm-profdata)
command -v perf >/dev/null || PERF2BOLT='' PROFGEN=''
CREATE_GCOV=$(command -v create_gcov) CREATE_LLVM=$(command -v create_llvm_prof) DUMP_GCOV=$(command -v dump_gcov)

declare -A FIGURE # CONVERTER:NAME of the present cell
LINES=()          # JSON objects

# timed NAME COMMAND...: fills FIGURE[NAME:seconds], FIGURE[NAME:MiB]
timed() {
	local name=$1 kib
	shift
	"$STOPWATCH" "$@" >"$T/log" 2>"$T/err" || {
		tail -n 4 "$T/err" >&2
		return 1
	}
	read -r FIGURE["$name:seconds"] kib < <(tail -n 1 "$T/err")
	FIGURE["$name:MiB"]=$((kib / 1024))
}

# of CONVERTER FDATA
edges_of() {
	local r
	r=$("$TRUTH" edges "$APP" "$CELL/exact" "$2") || return 1
	read -r _ FIGURE["$1:blocks"] _ FIGURE["$1:edges"] _ FIGURE["$1:taken"] _ FIGURE["$1:calls"] _ FIGURE["$1:through"] \
		_ FIGURE["$1:wrong"] _ <<<"$r"
}

# of CONVERTER FORM TEXT
positions_of() {
	local r
	r=$(tests/truth/positions.py overlap -a "$CELL/aliases" "$CELL/exact.prof" "$2" "$3") || return 1
	read -r _ FIGURE["$1:positions"] _ FIGURE["$1:targets"] _ FIGURE["$1:heads"] _ <<<"$r"
	[ "$2" = llvm ] && [ -n "$PROFDATA" ] || return 0
	FIGURE[$1:similar]=$("$PROFDATA" overlap --sample "$CELL/exact.prof" "$3" 2>/dev/null |
		sed -n 's/.*Whole program profile similarity: \([0-9.]*\)%/\1/p')
}

# The converters: each DATA RING -> figures under its name. $1 perf.data, $2 text of create_gcov's kind
convert_pgo() {
	local by=(--bolt "$T/pgo.fdata")
	if [ "$KIND" = clang ]; then
		by+=(--clang "$T/pgo.prof" --clang-format text)
	else
		by+=(--gcc "$T/pgo.afdo" --gcc-release 12)
	fi
	timed pgo "$PGO" convert "$1" --binary "$APP" "${by[@]}" || return 1
	edges_of pgo "$T/pgo.fdata" || return 1
	if [ "$KIND" = clang ]; then
		positions_of pgo llvm "$T/pgo.prof"
	else
		"$PGO" show --all "$T/pgo.afdo" >"$T/pgo.text" && positions_of pgo show "$T/pgo.text"
	fi
}

convert_perf2bolt() {
	[ -n "$PERF2BOLT" ] || return 0
	timed perf2bolt "$PERF2BOLT" "$APP" -p "$1" -o "$T/peer.fdata" && edges_of perf2bolt "$T/peer.fdata"
}

convert_llvm_profgen() {
	[ -n "$PROFGEN" ] && [ "$KIND" = clang ] || return 0
	timed llvm_profgen "$PROFGEN" --perfdata="$1" --binary="$APP" --output="$T/peer.prof" --format=text &&
		positions_of llvm_profgen llvm "$T/peer.prof"
}

convert_create_llvm_prof() {
	[ -n "$CREATE_LLVM" ] && [ "$KIND" = clang ] && [ "$LINK" = fixed ] || return 0
	timed create_llvm_prof "$CREATE_LLVM" --binary="$APP" --profile="$2" --profiler=text --format=text --out="$T/peer.prof" &&
		positions_of create_llvm_prof llvm "$T/peer.prof"
}

convert_create_gcov() {
	[ -n "$CREATE_GCOV" ] && [ "$KIND" = gcc ] && [ "$LINK" = fixed ] || return 0
	timed create_gcov "$CREATE_GCOV" --binary="$APP" --profile="$2" --profiler=text --gcov="$T/peer.gcov" --gcov_version=1 &&
		"$DUMP_GCOV" --gcov_version=1 "$T/peer.gcov" >"$T/peer.text" 2>/dev/null && positions_of create_gcov gcov "$T/peer.text"
}

CONVERTERS='pgo perf2bolt llvm_profgen create_llvm_prof create_gcov'
CHECKED='blocks edges positions targets similar'

# part SHARE SEED CONVERTER...: converts a random part of the recording; FIGURE as for the whole
part() {
	local n=$(($1 * SAMPLES / 100)) seed=$2 c
	shift 2
	mkperf "$T/part.data" "$n" "$seed" && mkperf "$T/part.text" "$n" "$seed" --autofdo-text || return 1
	for c; do
		"convert_$c" "$T/part.data" "$T/part.text" || return 1
	done
}

# spread VALUE...: mean, and twice its standard error
spread() {
	printf '%s\n' "$@" | awk '{ s += $1; q += $1 * $1 } END {
		m = s / NR; v = NR > 1 ? (q - NR * m * m) / (NR - 1) : 0
		printf "%.4f %.4f\n", m, 2 * sqrt((v > 0 ? v : 0) / NR) }'
}

less() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 < b + 0) }'
}

# Where another converter is ahead of pgo: is that more than noise? Halves of the recording, both converted.
behind() {
	local figure=$1 peer=$2 ahead=$3 d=() k mean error
	[ -n "${NO_NOISE-}" ] || for k in 1 2 3 4 5; do
		part 50 "$k" pgo "$peer" || return 1
		d+=("$(awk -v a="${FIGURE[$peer:$figure]}" -v b="${FIGURE[pgo:$figure]}" 'BEGIN { print a - b }')")
	done
	read -r mean error < <(spread "${d[@]-$ahead}")
	# a hundredth of a per cent is what rounding to whole counts may do
	if less "$(awk -v e="$error" 'BEGIN { print e + 0.01 }')" "$mean"; then
		echo "FAIL: $NAME: $figure: pgo is $ahead below $peer ($mean, give or take $error, in random halves)"
		return 1
	fi
	echo "note: $NAME: $figure: pgo is $ahead below $peer, which is noise ($mean, give or take $error, in random halves)"
}

# What is below the goal: the samples, or the conversion? Noise halves when samples quadruple: the loss of quarters against the
# whole is what the whole still lacks for want of samples. At least: what ran rarely is not seen at all, and comes more slowly.
below_goal() {
	local figure=$1 whole=$2 q=() k mean rest
	for k in 1 2 3; do
		part 25 "$k" pgo || return 1
		q+=("${FIGURE[pgo:$figure]}")
	done
	read -r mean _ < <(spread "${q[@]}")
	rest=$(awk -v w="$whole" -v q="$mean" 'BEGIN { printf "%.2f", 2 * w - q }')
	if less "$rest" 98; then
		echo "FAIL: $NAME: $figure: $whole is below $LEAST, and more samples would bring about $rest"
		return 1
	fi
	echo "note: $NAME: $figure: $whole for want of samples: a quarter of them gives $mean, without end it would be about $rest"
}

check_cell() {
	local figure peer best value ahead
	local -A whole
	for k in "${!FIGURE[@]}"; do
		whole[$k]=${FIGURE[$k]}
	done
	for figure in $CHECKED; do
		value=${whole[pgo:$figure]-}
		[ -n "$value" ] || continue
		best=''
		for peer in $CONVERTERS; do
			if [ "$peer" = pgo ] || [ -z "${whole[$peer:$figure]-}" ]; then continue; fi
			if [ -z "$best" ] || ! less "${whole[$peer:$figure]}" "${whole[$best:$figure]}"; then best=$peer; fi
		done
		if [ -n "$best" ] && less "$value" "${whole[$best:$figure]}"; then
			ahead=$(awk -v a="${whole[$best:$figure]}" -v b="$value" 'BEGIN { printf "%.3f", a - b }')
			behind "$figure" "$best" "$ahead" || BAD=$((BAD + 1))
		fi
		GOOD=$((GOOD + 1))
	done
	for figure in blocks edges positions; do
		value=${whole[pgo:$figure]-}
		if [ -n "$value" ] && less "$value" "$LEAST"; then
			below_goal "$figure" "$value" || BAD=$((BAD + 1))
		fi
	done
	for k in "${!whole[@]}"; do
		FIGURE[$k]=${whole[$k]}
	done
}

print_cell() {
	local c f json
	for c in $CONVERTERS; do
		[ -n "${FIGURE[$c:seconds]-}" ] || continue
		printf '%-28s %-17s' "$NAME" "${c//_/-}"
		json="{\"program\":\"$PROGRAM\",\"compiler\":\"$COMPILER\",\"link\":\"$LINK\",\"converter\":\"$c\",\"samples\":$SAMPLES"
		for f in edges blocks positions targets similar seconds MiB; do
			printf ' %9s' "${FIGURE[$c:$f]--}"
			[ -z "${FIGURE[$c:$f]-}" ] || json="$json,\"$f\":${FIGURE[$c:$f]}"
		done
		echo
		LINES+=("$json}")
	done
}

GOOD=0 BAD=0
printf '%-28s %-17s %9s %9s %9s %9s %9s %9s %9s\n' program converter edges blocks positions targets similar seconds MiB
for cell in "${CELLS[@]}"; do
	read -r PROGRAM COMPILER LINK <<<"$cell"
	NAME="$PROGRAM $COMPILER $LINK"
	FIGURE=()
	truth_cell "$PROGRAM" "$COMPILER" "$LINK" "$BRANCHES" || {
		[ $? = 77 ] && continue
		echo "FAIL: $NAME: it cannot be recorded"
		BAD=$((BAD + 1))
		continue
	}
	mkperf "$T/perf.data" && mkperf "$T/autofdo.text" "" 1 --autofdo-text || exit 1
	for c in $CONVERTERS; do
		if "convert_$c" "$T/perf.data" "$T/autofdo.text"; then
			[ "$c" != pgo ] || cp "$T/log" "$CELL/account"
			continue
		fi
		if [ "$c" = pgo ]; then
			echo "FAIL: $NAME: pgo convert failed"
			BAD=$((BAD + 1))
			continue 2
		fi
		echo "note: $NAME: $c failed"
	done
	print_cell
	check_cell
done
if [ -n "$JSON" ]; then
	{
		printf '[\n'
		printf '%s\n' "${LINES[@]}" | sed '$!s/$/,/'
		printf ']\n'
	} >"$JSON"
fi
echo "$GOOD figures compared, $BAD failed"
if [ "$GOOD" = 0 ] && [ "$BAD" = 0 ]; then
	leave "${MISSING:-nothing to compare}"
fi
[ "$BAD" = 0 ]
