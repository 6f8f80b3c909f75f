#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch from an S3 server on this machine, against `curl --parallel` for the same objects: the faster of ROUNDS
# (3) turns each, by turns.  curl only writes what it gets; pgo lists, looks into every profile, digests it and keeps
# its manifest.  (The server: tests/stores/build.sh versitygw.)
# shellcheck disable=SC2154 # T is of stores_begin
set -u
. tests/stores/lib.bash
ROUNDS=${ROUNDS:-3} OBJECTS=${OBJECTS:-1000}
# A benchmark that cannot be run here is none that failed.
"$STORES/build.sh" --path versitygw >/dev/null || {
	echo "fetch: $("$STORES/build.sh" --path versitygw)"
	exit 0
}
stores_begin versitygw
CC=${CC:-gcc}
$CC -O2 -o "$T/measure" tests/bench/stopwatch.c || exit 1

# generator LOCATIONS: profiles of a program with so many
generator() {
	# shellcheck disable=SC2046
	$CC -std=gnu17 -D_GNU_SOURCE -DN_LOCATIONS="$1" -O2 -I. -I"$B/gen" -o "$T/gen" tests/bench/gen_profiles.c "$B/libpgo.a" \
		$(pkg-config --libs libzstd zlib libisal libprotobuf-c) -pthread || exit 1
}

# seconds COMMAND...
seconds() {
	"$T/measure" "$@" >"$T/out" 2>"$T/err" || {
		cat "$T/out" "$T/err"
		exit 1
	}
	tail -n 1 "$T/err" | cut -d' ' -f1
}

less() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

# compare NAME LOCATIONS SAMPLES STACKS [SERVER FLAG...]
compare() {
	local name=$1 curl=999 pgo=999 s f data
	generator "$2"
	store_start versitygw --quiet "${@:5}"
	data=$STORE_DIR/data/prof/fleet
	mkdir -p "$data" "$T/got"
	"$T/gen" "$data" "$OBJECTS" "$3" "$4" || exit 1
	printf '%s\n' 'user = "testkey:testsecret"' 'aws-sigv4 = "aws:amz:us-east-1:s3"' 'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"' >"$T/curlrc"
	for f in "$data"/*; do
		printf 'url = "%s/prof/fleet/%s"\noutput = "%s/got/%s"\n' "$STORE_URL" "${f##*/}" "$T" "${f##*/}" >>"$T/curlrc"
	done
	export AWS_ENDPOINT_URL=$STORE_URL AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret
	for _ in $(seq "$ROUNDS"); do
		rm -rf "$T/got" "$T/raw" && mkdir "$T/got"
		s=$(seconds curl -s --parallel --parallel-max 8 -K "$T/curlrc") || exit 1
		! less "$s" "$curl" || curl=$s
		s=$(seconds "$PGO" fetch -q --parallel 8 s3://prof/fleet/ -o "$T/raw") || exit 1
		! less "$s" "$pgo" || pgo=$s
	done
	s=$(find "$data" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%.0f", n / NR / 1000 }')
	awk -v name="$name" -v n="$OBJECTS" -v kb="$s" -v c="$curl" -v p="$pgo" \
		'BEGIN { printf "fetch: %d profiles of %d kB (%s): curl %.2f s, pgo %.2f s, ratio %.2f\n", n, kb, name, c, p, p / c }'
	store_stop "$STORE_PID"
}

compare 'ten seconds of a host' 2500 700 3000
compare 'the same over kept connections' 2500 700 3000 --keep-alive
compare 'a minute, 10,000 locations' 10000 500 3000
