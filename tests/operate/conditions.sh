#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where a run finds itself: a clock that went backwards, a state that cannot be written, a file system that is full, a
# state as an older version left it, whole or half written.
set -u
. tests/operate/lib.bash
operate_begin
command -v python3 >/dev/null || skip "python3 is not installed"
missing=

# whole STATE-OF-TARGET: what last-good points to is what its manifest says.
whole() {
	python3 - "$1/last-good" <<-'PY'
		import hashlib, json, os, sys
		at = sys.argv[1]
		manifest = json.load(open(os.path.join(at, "manifest.json")))
		merged = manifest.get("merged") # format 1 did not tell
		for o in ([{"file": "merged.pb.gz", **merged}] if merged else []) + manifest["outputs"]:
		    with open(os.path.join(at, o.get("file") or os.path.basename(o["path"])), "rb") as f:
		        assert hashlib.sha256(f.read()).hexdigest() == o["sha256"], o
	PY
}
whole_if_any() {
	[ ! -L "$1/last-good" ] || whole "$1"
}
finds_nothing_to_do() {
	local code=0
	timeout 60 "$PGO" run -q -c "$1" || code=$?
	[ "$code" = 10 ]
}
outputs() {
	(cd "$1" && cat out.afdo out.prof out.fdata | sha256sum)
}
QUIET='hysteresis = 0 gates { acceptance = "off" }'
operate_store "$T/a" 8
operate_conf "$T/a/pgo.conf" state out "$QUIET"
cp -a "$T/a" "$T/empty"
exits 0 "$PGO" run -q -c "$T/a/pgo.conf"
first=$(outputs "$T/a")

# ---- the clock goes backwards, by four days, and comes back
cp -a "$T/a" "$T/clock"
operate_profile "$T/clock/store" 9
PGO_NOW=2026-11-16T12:00:00Z exits 0 "$PGO" run -q -c "$T/clock/pgo.conf"
expect "last-good is whole after a clock that went back" whole "$T/clock/state/app"
operate_profile "$T/clock/store" 10
exits 0 "$PGO" run -q -c "$T/clock/pgo.conf"
expect "and when it has come back" whole "$T/clock/state/app"
times() { sed 's/.*"time":"\([^"]*\)".*/\1/' "$T/clock/state/app/log.jsonl"; }
expect "times of the log never go back" test "$(times)" = "$(times | sort)"
expect "the newest result is in use" test "$(readlink "$T/clock/state/app/last-good")" = \
	"published/$(tail -n 1 "$T/clock/state/app/log.jsonl" | sed 's/.*"id":"\([^"]*\)".*/\1/')"

# ---- a state that can be read only: the results are of use, a run says why it cannot work
cp -a "$T/a" "$T/ro"
operate_profile "$T/ro/store" 9
readonly_run() {
	cd "$T/ro" || return 1
	mount --bind state state && mount -o remount,ro,bind state || return 77
	timeout 60 "$PGO" run -q -c pgo.conf >"$T/ro.out" 2>&1
	echo $? >"$T/ro.code"
	timeout 60 "$PGO" status -c pgo.conf >"$T/ro.status" 2>&1
	echo $? >"$T/ro.status.code"
}
export -f readonly_run
export T PGO
if [ "$(id -u)" = 0 ] && unshare -m bash -c readonly_run 2>"$T/mount"; then
	expect "a run fails" test "$(cat "$T/ro.code")" = 3
	expect "and says where and why" grep -q 'state/app.*Read-only file system' "$T/ro.out"
	expect "status can be asked: $(cat "$T/ro.status.code")" grep -q published "$T/ro.status"
	expect "last-good is whole" whole "$T/ro/state/app"
else
	missing="mounts in a name space of one's own (root)"
fi

# ---- a file system of a few kilobytes
# full_run SIZE: the state on a file system of that size, first run; FILLED then a refresh when nothing is left.
full_run() {
	cd "$T/full" || return 1
	mkdir -p state && mount -t tmpfs -o "size=$1" tmpfs state || return 77
	timeout 60 "$PGO" run -q -c pgo.conf >"$T/full.out" 2>&1
	echo $? >"$T/full.code"
	rm -rf kept && cp -a state kept
	[ "$(cat "$T/full.code")" = 0 ] || return 0
	cat /dev/zero >state/filler 2>/dev/null
	cp store2/* store/
	timeout 60 "$PGO" run -q -c pgo.conf >"$T/filled.out" 2>&1
	echo $? >"$T/filled.code"
	rm -rf kept && cp -a state kept && rm -f kept/filler
	rm -f state/filler
	timeout 60 "$PGO" run -q -c pgo.conf >"$T/freed.out" 2>&1
	echo $? >"$T/freed.code"
	rm -rf kept2 && cp -a state kept2
}
export -f full_run
cp -a "$T/empty" "$T/full"
mkdir "$T/full/store2"
operate_profile "$T/full/store2" 9
mv "$T/full/store2" "$T/store2"
rm -f "$T/store2"/manifest*
cp -a "$T/a" "$T/straight"
cp "$T/store2"/*.pb.gz "$T/straight/store/"
exits 0 "$PGO" run -q -c "$T/straight/pgo.conf"
second=$(outputs "$T/straight")
refused=0 fitted=0 went_on=0
if [ -z "$missing" ]; then
	for size in 8k 40k 72k 104k 136k 168k 200k 260k 2m; do
		rm -rf "$T/full" && cp -a "$T/empty" "$T/full" && cp -a "$T/store2" "$T/full/store2"
		unshare -m bash -c "full_run $size" || {
			missing="a tmpfs of $size"
			break
		}
		if [ "$(cat "$T/full.code")" != 0 ]; then
			refused=$((refused + 1))
			expect "$size: a run fails" test "$(cat "$T/full.code")" = 3
			expect "$size: it says where and why" grep -q 'state.*No space left on device' "$T/full.out"
			expect "$size: there is no last-good, or a whole one" whole_if_any "$T/full/kept/app"
			continue
		fi
		fitted=$((fitted + 1))
		expect "$size: nothing left: a refresh fails" test "$(cat "$T/filled.code")" = 3
		expect "$size: it says where and why" grep -q 'state.*No space left on device' "$T/filled.out"
		expect "$size: last-good is whole" whole "$T/full/kept/app"
		expect "$size: last-good is whole" whole "$T/full/kept2/app"
		# There may be room for one result and not for two.
		if [ "$(cat "$T/freed.code")" = 0 ]; then
			went_on=$((went_on + 1))
			expect "$size: the outputs are those of a straight run" test "$(outputs "$T/full")" = "$second"
		else
			expect "$size: it says where and why" grep -q 'state.*No space left on device' "$T/freed.out"
			expect "$size: the outputs are those before" test "$(outputs "$T/full")" = "$first"
		fi
	done
	expect "with room again it goes on" test "$went_on" -gt 0
	expect "some sizes were too small ($refused), some not ($fitted)" test "$refused" -gt 0 -a "$fitted" -gt 0
fi

# ---- a state of format 1: one result, its files in the directory itself
# old_state DIRECTORY: makes one of a state of today.
old_state() {
	local s=$1/state/app
	cp -a "$T/a" "$1"
	python3 - "$s/last-good/manifest.json" >"$s/manifest.json" <<-'PY'
		import json, sys
		m = json.load(open(sys.argv[1]))
		m["schema"] = 1
		m.pop("gates", None)
		m.pop("merged", None)
		for o in m["outputs"]:
		    o.pop("file", None)
		print(json.dumps(m, indent=2))
	PY
	cp "$s/last-good/merged.pb.gz" "$s/"
	rm -rf "$s"/{published,quarantine,reports,cache,last-good,log.jsonl,README,format}
	case $2 in
	whole) ;;
	no-manifest) rm "$s/manifest.json" ;;
	half-manifest) truncate -s 700 "$s/manifest.json" ;;
	half-merged) truncate -s 100 "$s/merged.pb.gz" ;;
	no-merged) rm "$s/merged.pb.gz" ;;
	half-output) truncate -s 100 "$1/out.prof" ;;
	no-outputs) rm "$1"/out.* ;;
	temporaries) cp "$s/merged.pb.gz" "$s/.merged.pb.gz.Ab12cD.tmp" ;;
	half-raw) truncate -s 50 "$s"/raw/objects/*/* ;;
	esac
}
for how in whole no-manifest half-manifest half-merged no-merged half-output no-outputs temporaries half-raw; do
	old_state "$T/$how" "$how"
	timeout 60 "$PGO" run -q -c "$T/$how/pgo.conf" >"$T/stdout" 2>"$T/stderr"
	code=$?
	expect "$how: the run ends well ($code): $(cat "$T/stderr")" test "$code" = 0 -o "$code" = 10
	expect "$how: last-good is whole" whole "$T/$how/state/app"
	expect "$how: the outputs are those of a straight run" test "$(outputs "$T/$how")" = "$first"
	expect "$how: no temporary file is left" test -z "$(find "$T/$how" -name '.*.??????.tmp')"
	expect "$how: the next run finds nothing to do" finds_nothing_to_do "$T/$how/pgo.conf"
done
operate_end || exit 1
[ -z "$missing" ] || skip "$good checks passed, but there is no $missing"
