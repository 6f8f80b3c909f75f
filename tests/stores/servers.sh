#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The servers themselves: each starts, two of a kind beside each other, answers as what it is, ends when told to, and
# finds its data again.
set -u
. tests/stores/lib.bash
have=
for name in versitygw profefe parca pyroscope; do
	if why=$("$STORES/build.sh" --path "$name"); then have="$have $name"; else echo "$why"; fi
done
# shellcheck disable=SC2086 # words
[ -n "$have" ] && stores_begin $have || exit 77

# answers NAME: the server of STORE_URL is of that kind
answers() {
	case $1 in
	versitygw) curl -s "$STORE_URL/none" | grep -q '<Code>NoSuchBucket</Code>' ;;
	profefe) curl -s "$STORE_URL/api/0/services" | grep -q '"code":404' ;;
	parca) curl -s "$STORE_URL/metrics" | grep -q '^parca_' ;;
	pyroscope) curl -s "$STORE_URL/metrics" | grep -q '^pyroscope_build_info.*version=' ;;
	esac
}

# pair NAME [FLAG...]
pair() {
	local first
	store_start "$@"
	first=$STORE_PID
	store_start "$@"
	if answers "$1" && ! store_is_gone "$first"; then ok; else no "$*: two of them beside each other"; fi
	store_stop "$first"
	if store_is_gone "$first" && answers "$1"; then ok; else no "$*: one ends, the other stays"; fi
	store_stop "$STORE_PID" KILL
	if store_again "$STORE_DIR" && answers "$1"; then ok; else no "$*: started again after it was killed"; fi
	store_stop "$STORE_PID"
}

for name in $have; do
	if [ "$name" = pyroscope ]; then
		pair pyroscope v1
		pair pyroscope v2
	else
		pair "$name"
	fi
done
stores_end
