# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of the engines share. Sourced, from the repository's root; a script sets nothing but calls
#
#	. tests/engines/lib.bash; engines_begin       T, PGO, a fleet in $T/fleet, $T/whole.pb.gz: merged on one machine
#	expect NAME COMMAND...; engines_end
#
# The fleet: 24 profiles of one program on as many hosts, merged with a half-life and a host cap.

B=${B:-build}
# shellcheck disable=SC2034 # for the scripts
PGO=$(realpath "${PGO:-$B/pgo}")
export PGO
WEIGHTS=(--half-life 7d --host-cap 3)
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

# fails TEXT COMMAND...: exit code not 0, and TEXT is said
fails() {
	local text=$1
	shift
	if "$@" >"$T/said" 2>&1; then
		echo "it went well"
		return 1
	fi
	cat "$T/said"
	grep -q -e "$text" "$T/said"
}

# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

engines_begin() {
	local libs
	[ -x "$PGO" ] || {
		echo "$PGO is missing: run make"
		exit 1
	}
	T=$(mktemp -d) || exit 1
	trap engines_clean EXIT
	read -r -a libs < <(pkg-config --libs libzstd zlib libisal libxxhash libprotobuf-c)
	"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 -I. ${SAN:+-fsanitize=$SAN} -o "$T/gen" tests/bench/gen_profiles.c "$B/libpgo.a" "${libs[@]}" -pthread || exit 1
	"$T/gen" "$T/fleet" 24 400 3000 symbols || exit 1
	"$PGO" merge -q "${WEIGHTS[@]}" "$T/fleet" -o "$T/whole.pb.gz" || exit 1
}

engines_clean() {
	declare -F engine_stop >/dev/null && engine_stop
	rm -rf "$T"
}

engines_end() {
	echo "$good checks passed, $bad failed"
	[ "$bad" = 0 ] && [ "$good" -gt 0 ]
}
