#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo fetch and pgo push against a real Grafana Pyroscope, with both of its storages; profilecli is the other client,
# and a few lines of Python the other reader.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/lib/fixture.sh
. tests/stores/lib.bash
stores_begin pyroscope profilecli
fixture

# The newer storage finds profiles only where their time is near that of the push, so all are of half an hour ago.
# The range asked for holds that one moment, on whichever days it lies: each host is one object.
now=$(date +%s)
at=$((now - 1800))
range=(--since "@$((at - 60))" --until "@$((at + 60))")
from=$(date -u -d "@$((at - 60))" +%FT%TZ)
to=$(date -u -d "@$((at + 60))" +%FT%TZ)

samples() {
	python3 tests/stores/pprof_samples.py "$@"
}
# objects DIR: the files of what was fetched
objects() {
	find "$1/objects" -type f | sort
}
# all DIR: the samples of all of it
all() {
	local of
	mapfile -t of < <(objects "$1")
	samples "${@:2}" "${of[@]}"
}
# records DIR KEY...: what the manifest says, a line each, sorted
records() {
	python3 - "$@" <<-'PY' | sort
		import json, sys
		for line in open(sys.argv[1] + "/manifest.jsonl"):
		    r = json.loads(line)
		    r.update(dict(r["labels"]))
		    print(*(r.get(k) or "-" for k in sys.argv[2:]))
	PY
}
# host DIR NAME: the file of that host
host() {
	python3 - "$@" <<-'PY'
		import json, sys
		for line in open(sys.argv[1] + "/manifest.jsonl"):
		    r = json.loads(line)
		    if r["host"] == sys.argv[2]:
		        print("%s/objects/%s/%s" % (sys.argv[1], r["digest"][:2], r["digest"]))
	PY
}
# field FILE NAME: a number of the JSON that --json prints
field() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}
# shows N FETCH-ARGUMENT...: until the server shows N objects (the newer storage takes a second or two)
shows() {
	rm -rf "$T/probe"
	"$PGO" fetch --json "$store" "${range[@]}" -o "$T/probe" "${@:2}" >"$T/probe.json" 2>"$T/probe.err"
	[ "$(field "$T/probe.json" fetched)" = "$1" ]
}
there() {
	until_true 60 shows "$@" || no "the server does not show $1 profiles: ${*:2} $(cat "$T/probe.err")"
}
# put FILE SERVICE HOST [ARGUMENT...]: pushed, and said so
put() {
	expect 0 '1 pieces put' "$PGO" push "$1" --service "$2" --host "$3" "${@:4}" "$store"
}
# upload FILE LABEL=VALUE...: by the other client, as it is
upload() {
	local args=() l
	for l in "${@:2}"; do args+=("--extra-labels=$l"); done
	# shellcheck disable=SC2154 # set by stores_begin
	"$PROGRAM_profilecli" upload --url "$STORE_URL" "${args[@]}" "$1" >"$T/out" 2>&1 || no "profilecli upload: $*"
}
# query FILE QUERY TYPE: by the other client
query() {
	rm -f "$1"
	"$PROGRAM_profilecli" query profile --url "$STORE_URL" --query "$2" --from "$from" --to "$to" \
		--profile-type "$3" --output "pprof=$1" >"$T/out" 2>&1 || no "profilecli query: $*"
}

# ------------------------------------------------------------------ what is pushed

mkperf() {
	"$B/emu/mkperf" "$@"
}
mkperf --start-time "$at" -o "$T/a.perf" --host web-1 --max-samples 3000 "$FIX/app.ring" || exit 1
mkperf --start-time "$at" -o "$T/b.perf" --host web-2 --max-samples 1100 "$FIX/app.ring" || exit 1
mkperf --start-time $((at + 5)) -o "$T/d.perf" --host web-2 --max-samples 700 "$FIX/app.ring" || exit 1
mkperf --start-time "$at" -o "$T/c.perf" --host web-3 --mode ip --max-samples 2000 "$FIX/app.ring" || exit 1
for f in a b c d; do
	"$PGO" import "$T/$f.perf" --service shop -o "$T/import.$f" >/dev/null || exit 1
	cp "$T/import.$f"/*app*.pb.gz "$T/$f.pb.gz" 2>/dev/null || cp "$T/import.$f"/*.pb.gz "$T/$f.pb.gz"
done
event=$(samples "$T/a.pb.gz" | awk '{ print $2 }' | grep -v -e lbr_ -e samples | sort -u | cut -d/ -f1)

# Two processes of one program, loaded at different addresses.
runtime() {
	{
		echo "type samples/count"
		echo "type cpu/nanoseconds"
		echo "time $at"
		printf 'mapping %x %x 1000 /bin/app 0badc0de\n' "$1" $(($1 + 0x9000))
		for k in $(seq 60); do
			printf '0x%x;0x%x %d %d\n' $(($1 + k * 16)) $(($1 + k * 32)) "$2" $(($2 * 1000))
		done
	} | python3 tests/lib/mkpprof.py "$3"
}
runtime 0x555500000000 3 "$T/low.pb.gz"
runtime 0x7f0000000000 5 "$T/high.pb.gz"

symbols() {
	printf 'type samples/count\ntype cpu/nanoseconds\ntime %d\nmapping 401000 409000 1000 /bin/app 0badc0de %s\n' "$at" "$1"
	for k in $(seq 16 20); do printf '0x4010%x%s;0x4020%x%s %d %d\n' "$k" "${2:+=f$k}" "$k" "${2:+=g$k}" "$k" "${k}000"; done
}
symbols f named | python3 tests/lib/mkpprof.py "$T/erased.pb.gz"
symbols f '' | python3 tests/lib/mkpprof.py "$T/nonsense.pb.gz"
symbols '' named | python3 tests/lib/mkpprof.py "$T/lines.pb.gz"

{
	printf 'type lbr_traces/count\ntype lbr_mispredicts/count\ntime %d\nmapping 401000 4ff000 1000 /bin/app 0badc0de\n' "$at"
	python3 -c 'for i in range(40000): print("0x%x;0x%x;0x%x %d %d" % (
	    0x401000 + i * 7 % 900000, 0x401000 + i * 13 % 900000, 0x401000 + i * 29 % 900000, i % 50 + 1, i % 3))'
} | python3 tests/lib/mkpprof.py "$T/large.pb.gz"

# ------------------------------------------------------------------ both storages

whole_story() {
	local storage=$1 t f h cold warm
	store_start pyroscope "$storage"
	store=pyroscope://127.0.0.1:$STORE_PORT
	expect 20 'no profiles at all' "$PGO" fetch "$store" "${range[@]}" -o "$T/none"

	put "$T/a.pb.gz" shop web-1 --version 1.0 --label zone=eu-1
	put "$T/b.pb.gz" shop web-2 --version 1.0 --label zone=eu-2
	put "$T/c.pb.gz" shop web-3 --version 1.1 --label zone=eu-1
	there 3
	expect 0 '3 fetched' "$PGO" fetch "$store" "${range[@]}" -o "$T/raw"
	same "$storage: labels" "$(records "$T/raw" service host version)" "shop web-1 1.0
shop web-2 1.0
shop web-3 1.1"
	for f in a:web-1 b:web-2 c:web-3; do
		h=$(host "$T/raw" "${f#*:}")
		samples "$T/${f%:*}.pb.gz" >"$T/want"
		samples "$h" >"$T/got"
		cmp "$T/want" "$T/got" && ok || no "$storage: the samples of ${f#*:} differ from what was pushed"
	done

	# The other client sees the same in each column.
	h=$(host "$T/raw" web-1)
	for t in samples/count "$event/count" lbr_traces/count lbr_mispredicts/count lbr_cycles/cycles lbr_executions/count; do
		query "$T/cli.pb.gz" '{service_name="shop",host="web-1"}' "process_cpu:${t/\//:}:$event:count"
		samples "$T/cli.pb.gz" >"$T/want"
		samples --columns "${t%/*}" "$h" >"$T/got"
		[ -s "$T/want" ] && cmp "$T/want" "$T/got" && ok || no "$storage: profilecli sees $t otherwise"
	done

	# Through the store and without it, compilers get the same bytes.
	"$PGO" fetch "$store" "${range[@]}" -o "$T/one" --select 'service="shop",host="web-1"' >"$T/out" 2>&1 || no "one host"
	"$PGO" merge "$T/one" -o "$T/one.pb.gz" >"$T/out" 2>&1 || no "merge"
	"$PGO" convert "$T/one.pb.gz" --binary "$FIX/app" --clang "$T/store.prof" --bolt "$T/store.fdata" --gcc "$T/store.afdo" >"$T/out" 2>&1 || no "convert"
	"$PGO" convert "$T/a.pb.gz" --binary "$FIX/app" --clang "$T/direct.prof" --bolt "$T/direct.fdata" --gcc "$T/direct.afdo" >"$T/out" 2>&1 || no "convert"
	for f in prof fdata afdo; do
		[ -s "$T/store.$f" ] && cmp "$T/store.$f" "$T/direct.$f" && ok || no "$storage: the .$f is not the same as without the store"
	done

	# An unchanged store costs the listing.
	rm -rf "$T/raw"
	"$PGO" fetch --json "$store" "${range[@]}" -o "$T/raw" >"$T/cold.json" 2>/dev/null
	"$PGO" fetch --json "$store" "${range[@]}" -o "$T/raw" >"$T/warm.json" 2>/dev/null
	cold=$(field "$T/cold.json" received_bytes) warm=$(field "$T/warm.json" received_bytes)
	same "$storage: unchanged objects" "$(field "$T/warm.json" unchanged)" 3
	[ $((warm * 100)) -le $((cold * 6)) ] && ok || no "$storage: $warm bytes for nothing new, $cold for everything"
	echo "$storage: $cold bytes for everything, $warm when nothing is new"

	# Selection: by the server and by us.
	expect 0 '1 fetched' "$PGO" fetch "$store" "${range[@]}" -o "$T/zone" --select 'zone="eu-1",version!="1.1"'
	same "$storage: the zone asked for" "$(records "$T/zone" host zone version)" "web-1 eu-1 1.0"
	expect 0 '2 fetched' "$PGO" fetch "$store" "${range[@]}" -o "$T/re" --select 'host=~"web-[23]",zone!~"us.*"'
	expect 20 'nothing to store' "$PGO" fetch "$store" "${range[@]}" -o "$T/nobody" --select 'service="other"'

	# More comes in: only that window is fetched again, and stands for what it was.
	put "$T/d.pb.gz" shop web-2 --version 1.0 --label zone=eu-2
	samples "$T/b.pb.gz" "$T/d.pb.gz" >"$T/want"
	refetch() {
		"$PGO" fetch "$store" "${range[@]}" -o "$T/raw" >"$T/out" 2>&1
		samples "$(host "$T/raw" web-2)" >"$T/got"
		cmp "$T/want" "$T/got"
	}
	until_true 60 refetch && ok || no "$storage: two profiles of a window do not add up"
	same "$storage: objects" "$(wc -l <"$T/raw/manifest.jsonl")" 3

	# More samples than the server takes at once.
	expect 0 '3 pieces put' "$PGO" push "$T/large.pb.gz" --service large --host l-1 "$store"
	there 1 --select 'service="large"'
	samples "$T/large.pb.gz" >"$T/want"
	all_pieces() { shows 1 --select 'service="large"' && samples "$(host "$T/probe" l-1)" >"$T/got" && cmp "$T/want" "$T/got"; }
	until_true 60 all_pieces && ok || no "$storage: 40,000 traces do not come back as they were"

	# Addresses of running processes: the store joins hosts, which only fetching each one undoes.
	upload "$T/low.pb.gz" service_name=aslr host=h-1
	upload "$T/high.pb.gz" service_name=aslr host=h-2
	there 2 --select 'service="aslr"'
	query "$T/cli.pb.gz" '{service_name="aslr"}' process_cpu:cpu:nanoseconds::
	[ "$(samples --outside "$T/cli.pb.gz")" -gt 0 ] && ok || no "$storage: the store has learnt to rebase"
	same "$storage: hosts one by one, locations outside" "$(all "$T/probe" --outside)" 0
	samples "$T/low.pb.gz" "$T/high.pb.gz" >"$T/want"
	all "$T/probe" >"$T/got"
	cmp "$T/want" "$T/got" && ok || no "$storage: two load addresses come back otherwise"
	upload "$T/low.pb.gz" service_name=nohost pid=17
	upload "$T/high.pb.gz" service_name=nohost pid=18
	split_up() { shows 2 --select 'service="nohost"' && all "$T/probe" >"$T/got" && cmp "$T/want" "$T/got"; }
	until_true 60 split_up && ok || no "$storage: processes that no host label tells apart are not split: $(cat "$T/probe.err")"
	same "$storage: processes one by one, locations outside" "$(all "$T/probe" --outside)" 0

	# Damage that the store did, or did not do.
	upload "$T/erased.pb.gz" service_name=erased host=h-1
	upload "$T/nonsense.pb.gz" service_name=nonsense host=h-1
	told() {
		rm -rf "$T/erased"
		"$PGO" fetch "$store" "${range[@]}" -o "$T/erased" --select "service=\"$1\"" >"$T/out" 2>&1
		[ "$?" = "$2" ] && grep -q has_functions "$T/out"
	}
	until_true 60 told erased 0 && ok || no "$storage: erased addresses are not told of"
	until_true 60 told nonsense 20 && ok || no "$storage: samples without addresses and names are not refused"
	upload "$T/lines.pb.gz" service_name=lines host=h-1
	there 1 --select 'service="lines"'
	samples "$T/lines.pb.gz" >"$T/want"
	all "$T/probe" >"$T/got"
	cmp "$T/want" "$T/got" && ok || no "$storage: addresses with lines come back otherwise"

	# Where the sources are wraps every build-id into JSON.
	put "$T/a.pb.gz" wrapped web-1 --label service_repository=https://example.com/shop --label service_git_ref=v1
	there 1 --select 'service="wrapped"'
	query "$T/cli.pb.gz" '{service_name="wrapped"}' "process_cpu:samples:count:$event:count"
	gzip -dc "$T/cli.pb.gz" | grep -qa '"build_id":' && ok || no "$storage: the store no longer wraps build-ids"
	samples "$T/a.pb.gz" >"$T/want"
	all "$T/probe" >"$T/got"
	cmp "$T/want" "$T/got" && ok || no "$storage: wrapped build-ids are not taken out"

	# Killed in the middle and started again.
	for h in $(seq 12); do
		"$PGO" push "$T/a.pb.gz" --service many --host "m-$h" "$store" >"$T/out" 2>&1 || no "push of host $h"
	done
	there 12 --select 'service="many"'
	rm -rf "$T/killed"
	"$PGO" fetch "$store" "${range[@]}" -o "$T/killed" --select 'service="many"' --parallel 1 >"$T/out" 2>&1 &
	f=$!
	some() { [ -n "$(objects "$T/killed" 2>/dev/null)" ]; }
	until_true 60 some || no "$storage: nothing was fetched"
	kill -9 "$f"
	wait "$f" 2>/dev/null
	"$PGO" fetch --json "$store" "${range[@]}" -o "$T/killed" --select 'service="many"' >"$T/probe.json" 2>"$T/out" || no "$storage: after a kill"
	same "$storage: objects after a kill" "$(objects "$T/killed" | wc -l)" 12
	same "$storage: lines of the manifest after a kill" "$(wc -l <"$T/killed/manifest.jsonl")" 12
	[ "$(field "$T/probe.json" fetched)" -lt 12 ] && ok || no "$storage: all was fetched again after a kill"
	store_stop "$STORE_PID"
	rm -rf "$T/raw" "$T/one" "$T/zone" "$T/re" "$T/nobody" "$T/none" "$T/erased" "$T/killed"
}
whole_story v1
whole_story v2

# ------------------------------------------------------------------ limits and tenants

# Times: a server that refuses what is old says so, and we what to set; ranges of several days are asked day by day.
store_start pyroscope v1 -validation.reject-older-than=1h
store=pyroscope://127.0.0.1:$STORE_PORT
expect 3 'reject-older-than' "$PGO" push "$FIX/app.pb.gz" "$store"
store_stop "$STORE_PID"
store_start pyroscope v1 -querier.max-query-lookback=0
store=pyroscope://127.0.0.1:$STORE_PORT
day=1789948800
for i in 0 1 2; do
	mkperf --start-time $((day + i * 86400 + 40000)) -o "$T/day.perf" --host web-1 --max-samples 500 "$FIX/app.ring" || exit 1
	rm -rf "$T/import.day" && "$PGO" import "$T/day.perf" --service shop -o "$T/import.day" >/dev/null || exit 1
	expect 0 '1 pieces put' "$PGO" push "$T"/import.day/*.pb.gz "$store"
done
expect 0 '3 fetched' "$PGO" fetch "$store" --since "@$((day + 30000))" --until "@$((day + 30000 + 3 * 86400))" -o "$T/days"
expect 0 '2 fetched' "$PGO" fetch "$store" --since "@$((day + 86400))" --until "@$((day + 3 * 86400))" -o "$T/two"
expect 20 'nothing to store' "$PGO" fetch "$store" --since "@$((day + 50000))" --until "@$((day + 60000))" -o "$T/gap"
store_stop "$STORE_PID"

store_start pyroscope v1 -auth.multitenancy-enabled=true
store=pyroscope://127.0.0.1:$STORE_PORT
expect 3 'PGO_FETCH_TENANT' "$PGO" push "$T/a.pb.gz" "$store"
PGO_FETCH_TENANT=red put "$T/a.pb.gz" shop web-1
PGO_FETCH_TENANT=blue put "$T/c.pb.gz" shop web-3
export PGO_FETCH_TENANT=red
there 1
expect 0 '1 fetched' "$PGO" fetch "$store" "${range[@]}" -o "$T/tenants"
export PGO_FETCH_TENANT=blue
there 1
expect 0 '1 fetched' "$PGO" fetch "$store" "${range[@]}" -o "$T/tenants"
unset PGO_FETCH_TENANT
same "hosts of both tenants" "$(records "$T/tenants" host)" "web-1
web-3"
expect 3 'org' "$PGO" fetch "$store" "${range[@]}" -o "$T/none"

stores_end
