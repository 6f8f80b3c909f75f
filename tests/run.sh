#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests that are built (`make check` builds them) and counts.
#
#	tests/run.sh [-j N] [GROUP|TEST]...
#
# Groups: lint unit fuzz cli interop; all of them if none is named; stores (make check-stores);
# engines (make check-engines); operate (make check-operate).  A test is a path such as
# tests/cli/exit_codes.sh, or a unit such as test_merge.  Every test runs from the repository root with
# a TMPDIR of its own and a time limit; output is shown for those that fail or skip.
#
# Environment: B (build directory: build), JOBS, TEST_TIMEOUT (seconds for one test: 900), CI or
# PGO_CI (list what was skipped again at the end).
#
# The last line is "N passed, N failed, N skipped"; exit code 1 if any failed, or none was there.  Unit programs count
# as many as they have tests, lint one a rule, everything else one a script.
set -u

B=${B:-build}
JOBS=${JOBS:-$(nproc)}
TEST_TIMEOUT=${TEST_TIMEOUT:-900}
cd "$(dirname "$0")/.." || exit 2

# ------------------------------------------------------------------ one test

# The number in front of "test(s)" on cmocka's summary line of that kind.
summary() {
	sed -n "s/^\[  $1 *\] \([0-9][0-9]*\) test(s).*/\1/p" "$2" | tail -n 1
}

# Writes "passed failed skipped" to $1.count; the output is $1.out, the exit code $3.
judge() {
	local base=$1 kind=$2 code=$3 p f s
	if [ "$kind" = unit ]; then
		p=$(summary PASSED "$base.out")
		f=$(summary FAILED "$base.out")
		s=$(summary SKIPPED "$base.out")
		# A crash, a leak report or a set-up that failed counts once more.
		if [ "$code" != 0 ] && [ "${f:-0}" = 0 ]; then
			f=1
		fi
		if [ "$code" = 0 ] && [ "${p:-0}${s:-0}" = 00 ]; then
			echo "no test ran" >>"$base.out"
			f=1
		fi
		echo "${p:-0} ${f:-0} ${s:-0}" >"$base.count"
	elif [ "$code" = 0 ]; then
		echo "1 0 0" >"$base.count"
	elif [ "$code" = 77 ]; then
		echo "0 0 1" >"$base.count"
	else
		echo "0 1 0" >"$base.count"
	fi
}

# A line for a test that did not simply pass, with its output if it failed.
report() {
	local base=$1 name=$2 code=$3 p f s
	read -r p f s <"$base.count"
	if [ "$f" != 0 ]; then
		echo "FAIL $name (exit $code)"
		if [ "$code" = 124 ]; then
			echo "     no end after $TEST_TIMEOUT s"
		fi
		grep -v -e '^\[ RUN ' -e '^\[       OK ' "$base.out" | tail -n 40 | sed 's/^/     /'
	elif [ "$s" != 0 ] && [ "$code" = 77 ]; then
		echo "SKIP $name: $(tail -n 1 "$base.out")" | tee "$base.skip"
	elif [ "$s" != 0 ]; then
		grep '^\[  SKIPPED \] [a-z]' "$base.out" | sort -u |
			sed "s|^\[  SKIPPED \]|SKIP $name:|" | tee "$base.skip"
	fi
	: "$p"
}

# timeout puts a test into a process group of its own; its number is kept for stop_all.
within_limit() {
	local base=$1
	shift
	timeout -k 5 "$TEST_TIMEOUT" "$@" &
	echo $! >"$base.pid"
	wait $!
}

# fuzz_pprof -> its saved inputs, and those that tests/fuzz/corpus/pprof.sh makes
run_fuzz() {
	local base=$1 name=${2##*/fuzz_} made=$TMPDIR/made
	shift
	mkdir -p "$made"
	if [ -e "tests/fuzz/corpus/$name.sh" ]; then
		"tests/fuzz/corpus/$name.sh" "$made" || return
	fi
	if [ -d "tests/fuzz/corpus/$name" ]; then
		set -- "$1" "tests/fuzz/corpus/$name"
	fi
	within_limit "$base" "$1" -n "${FUZZ_MUTATIONS:-20000}" -t "${FUZZ_TIME:-20}" "${@:2}" "$made"
}

run_one() {
	local kind=${1%%:*} what=${1#*:} base code=0
	base=$RESULTS/$(echo "$1" | tr '/:' '__')
	mkdir -p "$base.tmp"
	export TMPDIR=$base.tmp B
	case $kind in
	lint) within_limit "$base" tests/lint.sh "$what" ;;
	unit) within_limit "$base" "$B/tests/$what" ;;
	fuzz) run_fuzz "$base" "$B/tests/$what" ;;
	*) within_limit "$base" bash "$what" ;;
	esac >"$base.out" 2>&1 </dev/null || code=$?
	rm -f "$base.pid"
	judge "$base" "$kind" "$code"
	report "$base" "${what#tests/}" "$code"
	rm -rf "$base.tmp"
}

if [ "${1-}" = --one ]; then
	run_one "$2"
	exit 0
fi

# ------------------------------------------------------------------ all of them

list_group() {
	local f
	case $1 in
	lint) tests/lint.sh --list | sed 's/^/lint:/' ;;
	unit) for f in "$B"/tests/test_*; do [ ! -x "$f" ] || echo "unit:${f##*/}"; done ;;
	fuzz) for f in "$B"/tests/fuzz_*; do [ ! -x "$f" ] || echo "fuzz:${f##*/}"; done ;;
	cli | interop | stores | engines | operate) for f in tests/"$1"/*.sh; do [ ! -e "$f" ] || echo "$1:$f"; done ;;
	test_*) echo "unit:$1" ;;
	fuzz_*) echo "fuzz:$1" ;;
	*.sh) echo "script:$1" ;;
	*)
		echo "tests/run.sh: there is no group or test \"$1\"" >&2
		return 1
		;;
	esac
}

# Interrupted: what runs is ended too.
runner=
stop_all() {
	local f
	[ -z "$runner" ] || kill "$runner" 2>/dev/null
	for f in "$RESULTS"/*.pid; do
		[ ! -e "$f" ] || kill -- "-$(cat "$f")" 2>/dev/null
	done
}

if [ "${1-}" = -j ]; then
	JOBS=$2
	shift 2
fi
if [ $# -eq 0 ]; then
	# The long ones first.
	set -- interop cli fuzz unit lint
fi
RESULTS=$(mktemp -d "${TMPDIR:-/tmp}/pgo-run.XXXXXX") || exit 2
trap 'rm -rf "$RESULTS"' EXIT
trap 'stop_all; exit 130' INT TERM
export RESULTS TEST_TIMEOUT B
for group in "$@"; do
	list_group "$group" || exit 2
done >"$RESULTS/list"
xargs -P "$JOBS" -n 1 "$BASH" tests/run.sh --one <"$RESULTS/list" &
runner=$!
wait "$runner"

passed=0 failed=0 skipped=0
while read -r p f s; do
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
done < <(cat "$RESULTS"/*.count 2>/dev/null)
# A test that left no count did not run to its end.
lost=$(($(wc -l <"$RESULTS/list") - $(find "$RESULTS" -name '*.count' | wc -l)))
if [ "$lost" != 0 ]; then
	echo "$lost tests left no result"
	failed=$((failed + lost))
fi
if [ "$skipped" != 0 ] && [ -n "${PGO_CI-}${CI-}" ]; then
	echo
	echo "SKIPPED ($skipped):"
	cat "$RESULTS"/*.skip | sed 's/^SKIP /  /'
	echo
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ $((passed + skipped)) != 0 ]
