# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of operating share. Sourced, from the repository's root:
#
#	. tests/operate/lib.bash; operate_begin       T, PGO
#	operate_store DIRECTORY PROFILES               a store of recordings of the fixture's program, and DIRECTORY/app
#	operate_conf FILE STATE OUTPUTS [WORDS]        a configuration over the store beside it
#	expect NAME COMMAND...; operate_end
#
# A script that needs something of its own at its end defines operate_stop.

. tests/lib/fixture.sh
PGO=$(realpath "${PGO:-$B/pgo}")
export PGO
# Tests say what time it is.
export PGO_NOW=${PGO_NOW:-2026-11-20T12:00:00Z}
good=0 bad=0

skip() {
	echo "$1"
	exit 77
}

expect() {
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
		tail -n 12 "$T/log" | sed 's/^/      /'
	fi
}

# exits CODE COMMAND...: that exit code; what was said is in $T/stdout and $T/stderr
exits() {
	local want=$1 code=0
	shift
	timeout 180 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	if [ "$code" = "$want" ]; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $*: exit $code, want $want"
		tail -n 12 "$T/stdout" "$T/stderr" | sed 's/^/      /'
	fi
}

# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

operate_begin() {
	[ -x "$PGO" ] || {
		echo "$PGO is missing: run make"
		exit 1
	}
	T=$(mktemp -d) || exit 1
	trap operate_clean EXIT
}

operate_clean() {
	declare -F operate_stop >/dev/null && operate_stop
	rm -rf "$T"
}

operate_end() {
	echo "$good checks passed, $bad failed"
	[ "$bad" = 0 ] && [ "$good" -gt 0 ]
}

# operate_profile STORE N: one more recording, of host N % 12 on a day that N says.
operate_profile() {
	local day
	day=$(printf '%02d' $((10 + $2 % 10)))
	"$B/emu/mkperf" -o "$T/one.perf" --host "web-$(($2 % 12))" --aslr "$2" --max-samples 300 "$FIX/app.ring" &&
		"$PGO" import -q "$T/one.perf" --host "web-$(($2 % 12))" --service app --time "2026-11-${day}T10:00:00Z" \
			--binary "$FIX/app" -o "$1" >/dev/null
}

# operate_store DIRECTORY N: N recordings below DIRECTORY/store, the program beside them.
operate_store() {
	local n
	fixture
	mkdir -p "$1/store"
	cp "$FIX/app" "$1/app"
	for n in $(seq "$2"); do
		operate_profile "$1/store" "$n" || {
			echo "the store could not be made"
			exit 1
		}
	done
}

# operate_conf FILE STATE PREFIX [WORDS]: everything relative to the directory of FILE.
operate_conf() {
	cat >"$1" <<-C
		state = "$2"
		target "app" {
			sources = {"store"}
			since = "30d"
			binary = "app"
			gcc = "$3.afdo"
			gcc_release = 12
			clang = "$3.prof"
			bolt = "$3.fdata"
			${4-}
		}
	C
}
