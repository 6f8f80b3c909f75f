#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 at random moments of a fetch from a real S3 server: what the directory has then is whole, what it had is not
# asked for again, and a run that may end makes it complete.
#
#	KILLS=200 tests/run.sh tests/stores/s3_kill.sh      (30 by default; OBJECTS, 400; SEED)
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/stores/lib.bash
KILLS=${KILLS:-30} OBJECTS=${OBJECTS:-400}
RANDOM=${SEED:-4711}
stores_begin versitygw
store_start versitygw --quiet
data=$STORE_DIR/data/prof log=$STORE_DIR/access.log
export AWS_ENDPOINT_URL=$STORE_URL AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret

# Thirty kilobytes each, as a host's ten seconds have.
python3 - >"$T/base.txt" <<'END'
import random
random.seed(1)
print("type samples/count\nmapping 400000 500000 0 /bin/app aabbcc")
for i in range(700):
    print(";".join("f%d" % random.randrange(2500) for _ in range(random.randrange(5, 30))), random.randrange(1, 90))
END
python3 tests/lib/mkpprof.py "$T/base.pb.gz" <"$T/base.txt"
mkdir -p "$data"
python3 tests/stores/fleet.py "$T/base.pb.gz" "$data" "$OBJECTS" '{date}/{host}/{n}.pb.gz'
(cd "$data" && find . -type f -printf 'prof/%P\n' | sort) >"$T/all"
(cd "$data" && find . -type f -exec sha256sum {} + | cut -d' ' -f1 | sort) >"$T/digests"

gets() {
	sed -n 's/.* s3_GetObject \([^ ]*\) .*/prof\/\1/p' "$log" | sort
}

# Keys of which the directory has the object, by what it wrote itself.
had() {
	cat "$1/manifest.jsonl" "$1/.journal.jsonl" 2>/dev/null | sed -n 's/.*"digest":"\([0-9a-f]*\)".*"source":"\([^"]*\)".*/\1 \2/p' |
		while read -r digest key; do
			[ ! -e "$1/objects/${digest:0:2}/$digest" ] || echo "$key"
		done | sort -u
}

# Every object is what its name says.
whole() {
	find "$1/objects" -type f -printf '%f  %p\n' 2>/dev/null | sha256sum --check --quiet >"$T/out" 2>&1 || [ ! -s "$T/out" ] ||
		grep -q 'no properly formatted' "$T/out"
}

# The server has nobody to answer any more.
idle() {
	! awk -v port="$(printf ':%04X' "$STORE_PORT")" '$2 ~ port "$" && $4 == "01" { found = 1 } END { exit !found }' /proc/net/tcp
}

complete() {
	same "objects that are there at the end" "$(find "$1/objects" -type f -printf '%f\n' | sort | sha256sum)" "$(sha256sum <"$T/digests")"
	same "lines of the manifest" "$(wc -l <"$1/manifest.jsonl")" "$OBJECTS"
	if [ -e "$1/.journal.jsonl" ] || [ -n "$(ls -A "$1/.tmp")" ]; then no "leftovers at the end"; else ok; fi
}

# How long an undisturbed run takes, in ms; what it, and another one, cost on the wire.
: >"$log"
start=$(date +%s%3N)
expect 0 "$OBJECTS fetched" "$PGO" fetch 's3://prof/{date}/{host}/' -o "$T/raw"
full=$(($(date +%s%3N) - start))
complete "$T/raw"
: >"$log"
expect 0 "$OBJECTS unchanged, 0 examined" "$PGO" fetch 's3://prof/{date}/{host}/' -o "$T/raw"
same "gets of an unchanged bucket" "$(gets | wc -l)" 0
listing=$(sed -n 's/.* s3_ListObjectsV2 .* 200 - \([0-9]*\) .*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
bytes=$(find "$data" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
echo "an unchanged bucket costs $listing bytes, a new one $((listing + bytes)): $((listing * 1000 / (listing + bytes))) in a thousand"
if [ "$listing" -gt 0 ] && [ $((listing * 100)) -le $(((listing + bytes) * 6)) ]; then ok; else no "an unchanged bucket costs more than 6 %"; fi

killed=0 runs=0 chains=0 again=0 late=0
rm -rf "$T/raw"
: >"$T/had"
while [ "$killed" -lt "$KILLS" ]; do
	: >"$log"
	"$PGO" fetch -q 's3://prof/{date}/{host}/' -o "$T/raw" >"$T/out" 2>&1 &
	pid=$!
	sleep "$(awk -v r="$RANDOM" -v f="$full" 'BEGIN { printf "%.3f", f * r / 32768 / 1000 }')"
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	code=$?
	runs=$((runs + 1))
	until_true 20 idle || no "the server still has connections"
	again=$((again + $(gets | comm -12 - "$T/had" | wc -l)))
	whole "$T/raw" || no "a torn object after run $runs: $(cat "$T/out")"
	if [ "$code" = 137 ]; then
		killed=$((killed + 1))
		had "$T/raw" >"$T/had"
		[ ! -s "$T/had" ] || late=$((late + 1))
		continue
	fi
	[ "$code" = 0 ] || no "run $runs: exit code $code: $(cat "$T/out")"
	chains=$((chains + 1))
	complete "$T/raw"
	rm -rf "$T/raw"
	: >"$T/had"
done
: >"$log"
expect 0 '' "$PGO" fetch 's3://prof/{date}/{host}/' -o "$T/raw"
again=$((again + $(gets | comm -12 - "$T/had" | wc -l)))
complete "$T/raw"
same "objects that were there and were asked for again" "$again" 0
echo "$killed of $runs runs killed, $late of them with objects in the directory; $chains times it was complete before"
# Most moments must have been in the middle of something.
if [ "$late" -ge $((KILLS / 4)) ]; then ok; else no "too few of the kills were during transfers"; fi
stores_end
