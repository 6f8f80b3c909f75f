# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # much is for the scripts
# What the truth tests share: programs, their recordings and their exact counts. Sourced from the repository's root.
#
#	. tests/truth/truth_lib.bash
#	truth_init                                      builds the tools; T is a folder of this run's own
#	truth_cell PROGRAM COMPILER LINK BRANCHES       then APP, KIND (gcc, clang), CELL (folder: ring, exact, insns, calls,
#	                                                aliases, exact.prof), SAMPLES (how many there are); kept in the cache
#	mkperf OUT [SAMPLES [SEED [OPTION...]]]         a file of CELL's ring, or of a random part of it

B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
export PGO_TRUTH_CACHE=${PGO_TRUTH_CACHE:-$PWD/$B/truth}
TRUTH=$PWD/$B/truth-tools/truth
STOPWATCH=$PWD/$B/truth-tools/stopwatch

leave() {
	echo "$*"
	exit 77
}

truth_init() {
	local why
	why=$(tests/emu/have_plugins.sh) || leave "$why"
	[ "$(uname -m)" = x86_64 ] || leave "the programs are built for x86-64"
	command -v python3 >/dev/null || leave "python3 is not installed"
	make -s B="$B" SAN= COV= all emu truth-tools >/dev/null || exit 1
	T=$(mktemp -d) || exit 1
	trap 'rm -rf "$T"' EXIT
	export EMU_DIR=$PWD/$B/emu
	SYMBOLIZER=$(tests/tools.sh llvm-symbolizer) || leave "llvm-symbolizer is not installed"
	export PERF_BUILDID_DIR=$T/buildid
}

# emulated OUT.ring OPTIONS... : the training run of PROGRAM under the instrument
emulated() {
	local out=$1
	shift
	tests/truth/programs.sh run "$PROGRAM" train "$APP" "$PWD/tests/emu/record.sh" "$@" -o "$out" -- >"$CELL/output"
}

# Share of the taken branches that have an end in the program itself, and all of them: two numbers.
own_branches() {
	awk '$1 == "total" { all = $5 } $1 == "edge" { own += $4 } END { printf "%.0f %.0f\n", own, all }' "$1"
}

# A first run counts, so that the second can be sampled as densely as wanted: half as many samples again, of which a random
# part is taken.
cell_make() {
	local own all period
	emulated "$CELL/first" -e branches -p 10000019 || return 1
	"$B/emu/exact" "$CELL/first" >"$CELL/exact" || return 1
	read -r own all < <(own_branches "$CELL/exact")
	rm -f "$CELL"/first*
	[ "$own" -gt 0 ] || return 1
	SAMPLES=$(awk -v n="$BRANCHES" -v own="$own" -v all="$all" 'BEGIN { printf "%d\n", n / 32 * all / own }')
	period=$((2 * all / (3 * SAMPLES)))
	[ "$period" -ge 31 ] || period=31
	# hardly any jitter: with a fixed period a counter has none, and who weighs samples by their periods would carry its noise
	emulated "$CELL/ring" -e branches -p "$period" -s 7 -O jitter=1 || return 1
	"$B/emu/exact" "$CELL/ring" >"$CELL/exact" || return 1
	echo "$SAMPLES" >"$CELL/samples"
}

# What is derived from the exact counts, made anew where the rules changed.
cell_derive() {
	local key
	key=$(cat tests/truth/truth.c tests/truth/positions.py pgo/core/insn*.c | sha256sum)
	[ "$(cat "$CELL/derived" 2>/dev/null)" != "$key" ] || return 0
	"$TRUTH" insns "$APP" "$CELL/exact" >"$CELL/insns" && "$TRUTH" calls "$APP" "$CELL/exact" >"$CELL/calls" || return 1
	"$TRUTH" aliases "$APP" "$CELL/exact" >"$CELL/aliases" || return 1
	tests/truth/positions.py exact "$KIND" "$SYMBOLIZER" "$APP" "$CELL/insns" "$CELL/calls" >"$CELL/exact.prof" || return 1
	echo "$key" >"$CELL/derived"
}

# 0, 77 (MISSING says what), 1
truth_cell() {
	local flags=() key code
	PROGRAM=$1 COMPILER=$2 LINK=$3 BRANCHES=$4
	case $LINK in fixed) flags=(-gdwarf-4) ;; esac
	case ${COMPILER##*/} in *clang*) KIND=clang ;; *) KIND=gcc ;; esac
	APP=$(tests/truth/programs.sh build "$PROGRAM" "$COMPILER" "$LINK" "${flags[@]}") || {
		code=$?
		[ $code != 77 ] || MISSING=$APP
		echo "skip: $PROGRAM $COMPILER $LINK: $APP"
		return $code
	}
	key=$({
		echo "$BRANCHES"
		readelf -n "$APP"
		cat tests/emu/*.[ch] "tests/truth/programs/$PROGRAM.sh"
		declare -f cell_make
	} | sha256sum | cut -c1-16)
	CELL=$PGO_TRUTH_CACHE/cell/$PROGRAM-${COMPILER##*/}-$LINK-$key
	mkdir -p "$CELL"
	(
		flock 9
		[ -e "$CELL/samples" ] || cell_make || exit 1
		cell_derive
	) 9>"$CELL/lock" || return 1
	SAMPLES=$(cat "$CELL/samples")
}

mkperf() {
	local out=$1 n=${2:-$SAMPLES} seed=${3:-1}
	shift $(($# < 3 ? $# : 3))
	"$B/emu/mkperf" --aslr 11 --max-samples "$n" --seed "$seed" "$@" --binary "$APP" -o "$out" "$CELL/ring"
}
