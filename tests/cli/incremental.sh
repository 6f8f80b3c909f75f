#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A refresh reads what is new and little else, and makes the bytes of a run that starts from nothing; what is kept for
# that may be lost, damaged or of other options.  By bytes read and profiles read, never by time.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}

CC=${CC:-gcc}
$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1
# The library may be a sanitizers' build; what the generator leaves to its end is no leak of ours.
sanitizers=
if nm "$PGO" | grep -q __asan_init; then sanitizers=-fsanitize=address,undefined; fi
# shellcheck disable=SC2046,SC2086
$CC -std=gnu17 -D_GNU_SOURCE -DN_LOCATIONS=1500 -O1 -I. -o "$T/gen" tests/bench/gen_profiles.c "$B/libpgo.a" \
	$sanitizers ${LDFLAGS:-} $(pkg-config --libs libzstd zlib libisal libprotobuf-c) -pthread || exit 1

# state NAME: a configuration with that state directory
config() {
	cat >"$T/$1.conf" <<-C
	state = "$1"
	target "app" {
		sources = {"store"}
		since = "100d"
		binary = "app"
		clang = "$1.prof"
		bolt = "$1.fdata"
		hysteresis = 0
		gates { hosts = "3/1" }
	}
	C
}

# refresh NAME: runs it; sets read (bytes) and code
refresh() {
	code=0
	"$T/measure" -r "$PGO" run -c "$T/$1.conf" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	read=$(tail -n 1 "$T/stderr" | cut -d' ' -f4)
	[ "$code" = 0 ] || [ "$code" = 10 ] || { echo "exit $code"; cat "$T/stdout" "$T/stderr"; bad=$((bad + 1)); }
}
digest() { (cd "$T" && sha256sum "$1.prof" "$1.fdata" "$1/app/last-good/merged.pb.gz" | cut -d' ' -f1); }

export PGO_NOW=2025-10-12T00:00:00Z
cp "$FIX/app" "$T/app"
ASAN_OPTIONS=detect_leaks=0 "$T/gen" "$T/store" 150 1000 3000 "$T/app" || exit 1
config warm
config cold
refresh warm
full=$read
check "a run from nothing reads all" [ "$full" -gt "$(cat "$T"/store/*.gz | wc -c)" ]

# Eight new ones among 150: about a twentieth of the work, and what any run costs.
ASAN_OPTIONS=detect_leaks=0 "$T/gen" "$T/store" 8 1000 3000 "$T/app" 150 || exit 1
refresh warm
echo "bytes read: $full from nothing, $read by the refresh: $((read * 1000 / full)) in 1000"
check "the refresh reads a small part" [ $((read * 100)) -lt $((full * 15)) ]
check "it says what it read" grep -q "merge  .*(8 of them read)" "$T/stdout"
refresh cold
check "with the bytes of a run from nothing" [ "$(digest warm)" = "$(digest cold)" ]

# Nothing new: nothing is read but what has to be looked at, nothing is written.
find "$T/warm" "$T"/warm.* -newermt '2000-01-01' -type f -exec touch -d 2020-01-01 {} +
refresh warm
check "nothing new is exit 10" [ "$code" = 10 ]
check "no profile is read" [ "$read" -lt $((full / 20)) ]
check "what is kept and published stays as it is" [ -z "$(find "$T/warm/app/cache" "$T/warm/app/published" "$T"/warm.* -type f -newermt 2021-01-01)" ]

# What is kept, gone and damaged in turn: the same bytes, more to read.
spoil() {
	case $1 in
	deleted) rm -rf "$T/warm/app/cache" ;;
	"cut off") for f in "$T"/warm/app/cache/measures "$T"/warm/app/cache/sums/*; do truncate -s 300 "$f"; done ;;
	overwritten) for f in "$T"/warm/app/cache/measures "$T"/warm/app/cache/sums/*; do printf XXXXXXXX | dd of="$f" bs=1 seek=3000 conv=notrunc status=none; done ;;
	"a file in its place") rm -rf "$T/warm/app/cache"; echo >"$T/warm/app/cache" ;;
	esac
}
n=158
for how in deleted "cut off" overwritten "a file in its place"; do
	spoil "$how"
	ASAN_OPTIONS=detect_leaks=0 "$T/gen" "$T/store" 1 1000 3000 "$T/app" $n || exit 1
	n=$((n + 1))
	refresh warm
	rm -rf "$T/cold"
	refresh cold
	check "$how, it makes the same bytes" [ "$(digest warm)" = "$(digest cold)" ]
done

# Other options: other weights, the same measures.
for words in 'half_life = "1d"' 'mode = "equal-host"' 'season = true'; do
	sed -i "s/hysteresis/$words\n\t&/" "$T/warm.conf" "$T/cold.conf"
	refresh warm
	rm -rf "$T/cold"
	refresh cold
	check "with $words it makes the bytes of a run from nothing" [ "$(digest warm)" = "$(digest cold)" ]
done

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
