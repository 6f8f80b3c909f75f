#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `pgo run` decides from week to week, and what people decide about it: each a line in the log, none undone by the
# next run.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
# exits CODE COMMAND...
exits() {
	local want=$1 code=0
	shift
	timeout 120 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	if [ "$code" = "$want" ]; then
		good=$((good + 1))
	else
		echo "FAIL: $*: exit $code, want $want"; sed 's/^/    /' "$T/stdout" "$T/stderr"; bad=$((bad + 1))
	fi
}
# put HOST DAY SEED: a profile of that host and day in the store
put() {
	"$B/emu/mkperf" -o "$T/one.perf" --host "$1" --aslr "$3" --max-samples 400 "$FIX/app.ring" || exit 1
	"$PGO" import "$T/one.perf" --host "$1" --service app --time "2026-11-$2T10:00:00Z" --binary "$FIX/app" -o "$T/store" >/dev/null || exit 1
}
at() {
	export PGO_NOW=$1T12:00:00Z
}
run() {
	local want=$1
	shift
	exits "$want" "$PGO" run -c "$T/pgo.conf" "$@"
}
# What is in published/ or quarantine/.
ids() {
	find "$T/state/app/$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort
}
in_use() {
	basename "$(readlink "$T/state/app/last-good")"
}
# The field of the last line of the log.
last() {
	tail -n 1 "$T/state/app/log.jsonl" | sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"]*\).*/\1/p"
}
decided() {
	check "the log says $1, not $(last decision)" [ "$(last decision)" = "$1" ]
}
same_outputs() {
	cmp -s "$T/out.afdo" "$T/state/app/last-good/out.afdo" && cmp -s "$T/out.fdata" "$T/state/app/last-good/out.fdata"
}

mkdir "$T/store" "$T/bin"
cp "$FIX/app" "$T/bin/app"
cat >"$T/pgo.conf" <<'C'
state = "state"
target "app" {
	sources = {"store"}
	select = {'service="app"'}
	since = "14d"
	binary = "bin/app"
	gcc = "out.afdo"
	gcc_release = 12
	bolt = "out.fdata"
	last_good_ttl = "21d"
	hysteresis = 0
	gates { hosts = "5/1" dominance = "90/100" acceptance = "off" freshness = "7/30" }
}
C
edit() {
	sed -i "$1" "$T/pgo.conf"
}

# Nothing yet.
at 2026-11-02
exits 20 "$PGO" status -c "$T/pgo.conf"
check "status says that there is nothing" grep -q 'in use *nothing' "$T/stdout"
check "looking makes no state" test ! -e "$T/state"
fails 3 'nothing was published' "$PGO" rollback -c "$T/pgo.conf"
run 20
fails 3 'no other result' "$PGO" rollback -c "$T/pgo.conf"

# The first result, and the same again.
put web-1 02 1; put web-2 02 2
run 0
decided published
A=$(in_use)
check "the outputs are those of last-good" same_outputs
check "an id is a day and a digest" grep -qE '^20261102-[0-9a-f]{12}$' <<<"$A"
run 10
decided unchanged
exits 0 "$PGO" status -c "$T/pgo.conf"
check "status says what is in use" grep -q "in use *$A" "$T/stdout"
check "in ten lines" [ "$(wc -l <"$T/stdout")" = 10 ]

# The next week's.
at 2026-11-09
put web-1 09 3
run 0
B_=$(in_use)
check "it is another" [ "$A" != "$B_" ]
check "the log names what it replaces" grep -q "it takes the place of $A" "$T/state/app/log.jsonl"

# Back: at once, and the next run leaves it so.
exits 0 "$PGO" rollback -c "$T/pgo.conf" -m "slower since Monday"
check "the one before is in use" [ "$(in_use)" = "$A" ]
check "and so are its outputs" same_outputs
decided rolled_back
run 10
check "a run does not undo it" [ "$(in_use)" = "$A" ]
check "and says why" grep -q 'rolled_back: slower since Monday' "$T/stdout"
run 10 --force
check "nor one that is forced" [ "$(in_use)" = "$A" ]
rm "$T/out.afdo"
run 0
check "outputs are mended from what is in use" same_outputs
fails 3 'no other result' "$PGO" rollback -c "$T/pgo.conf"
exits 0 "$PGO" promote -c "$T/pgo.conf" "${B_:9:6}"
check "promoted by a part of its id" [ "$(in_use)" = "$B_" ]
run 10
fails 2 'in use already' "$PGO" promote -c "$T/pgo.conf" "$B_"
fails 3 "no result 'ffffff'" "$PGO" promote -c "$T/pgo.conf" ffffff

# A pin holds; what passes waits for it.
exits 0 "$PGO" pin -c "$T/pgo.conf" "$A" -m "release 4.2"
check "pinned is in use" [ "$(in_use)" = "$A" ]
at 2026-11-12
put web-2 12 4
run 10
decided held
check "the pin holds" [ "$(in_use)" = "$A" ]
exits 0 "$PGO" run -c "$T/pgo.conf" --require fresh
run 10
decided unchanged
check "what waits is kept" [ "$(ids published | wc -l)" = 3 ]
exits 0 "$PGO" gc -c "$T/pgo.conf" --keep 0 --keep-for 0
check "also by gc: the pinned and the one that waits" [ "$(ids published | wc -l)" = 2 ]
fails 2 'is pinned' "$PGO" rollback -c "$T/pgo.conf" "$(ids published | tail -n 1)"
at 2026-12-30
exits 0 "$PGO" status -c "$T/pgo.conf"
check "a pin does not get too old" grep -q 'never while it is pinned' "$T/stdout"
at 2026-11-12
exits 0 "$PGO" pin -c "$T/pgo.conf" --remove
check "letting go changes nothing by itself" [ "$(in_use)" = "$A" ]
fails 3 'nothing is pinned' "$PGO" pin -c "$T/pgo.conf" --remove
run 0
decided published
C=$(in_use)
check "the next run uses what waited" [ "$C" != "$A" ]
run 10

# A gate says no: quarantine, and last-good stays.
at 2026-11-14
put web-2 14 5
edit 's/hosts = "5\/1"/hosts = "9\/5"/'
run 11
decided quarantined
check "last-good stays" [ "$(in_use)" = "$C" ]
Q=$(ids quarantine)
check "why.txt names the gate" grep -q 'gate hosts' "$T/state/app/quarantine/$Q/why.txt"
check "gates.json is there" grep -q '"verdict": "fail"' "$T/state/app/quarantine/$Q/gates.json"
run 11
check "said again without computing" grep -q 'as on 2026-11-14, quarantined: gate hosts' "$T/stdout"
check "and without a second copy" [ "$(ids quarantine)" = "$Q" ]
exits 0 "$PGO" run -c "$T/pgo.conf" --require any
exits 11 "$PGO" run -c "$T/pgo.conf" --require fresh
exits 0 "$PGO" run -c "$T/pgo.conf" --require none
fails 2 'require' "$PGO" run -c "$T/pgo.conf" --require some
exits 0 "$PGO" status -c "$T/pgo.conf"
check "status says what to do" grep -q "next *read quarantine/$Q/why.txt" "$T/stdout"
fails 2 'why it is to be used' "$PGO" promote -c "$T/pgo.conf" "$Q"
exits 0 "$PGO" promote -c "$T/pgo.conf" "$Q" -m "there are only two hosts"
check "promoted out of quarantine" [ "$(in_use)" = "$Q" ]
check "which is empty" [ -z "$(ids quarantine)" ]
run 10
check "and it stays" [ "$(in_use)" = "$Q" ]
edit 's/hosts = "9\/5"/hosts = "5\/1"/'
run 10

# Much the same: not published, and last-good counts as fresh.
at 2026-11-20
put web-1 20 6
edit 's/hysteresis = 0/hysteresis = 0.5/'
run 10
decided suppressed
check "last-good stays" [ "$(in_use)" = "$Q" ]
check "the reason has both numbers" grep -qE 'kept .*[0-9.]+ % of its blocks.* 50 %' "$T/stdout"
exits 0 "$PGO" run -c "$T/pgo.conf" --require fresh
# At most once in so many days.
at 2026-11-21
put web-1 21 7
edit 's/hysteresis = 0.5/hysteresis = 0\n\tpublish_interval = "10d"/'
run 10
check "too soon" grep -q 'publish_interval is 10 days' "$T/stdout"
at 2026-11-26
run 0
check "then it is published" [ "$(in_use)" != "$Q" ]
D=$(in_use)

# The store does not answer: nothing is lost, and it says so.
mv "$T/store" "$T/gone"
at 2026-11-28
fails 3 "last-good $D stays in use up to 2026-12-17" "$PGO" run -c "$T/pgo.conf"
decided failed
exits 0 "$PGO" run -c "$T/pgo.conf" --require any
exits 3 "$PGO" run -c "$T/pgo.conf" --require fresh
# Until it is too old.
at 2026-12-18
fails 20 "too old to use" "$PGO" run -c "$T/pgo.conf"
check "the log has it once" [ "$(grep -c '"decision":"expired"' "$T/state/app/log.jsonl")" = 1 ]
fails 20 "too old to use" "$PGO" run -c "$T/pgo.conf"
check "and not again" [ "$(grep -c '"decision":"expired"' "$T/state/app/log.jsonl")" = 1 ]
exits 20 "$PGO" run -c "$T/pgo.conf" --require any
exits 0 "$PGO" run -c "$T/pgo.conf" --require none
exits 20 "$PGO" status -c "$T/pgo.conf"
check "nothing was taken away" same_outputs
mv "$T/gone" "$T/store"
put web-1 28 8
sed -i 's/since = "14d"/since = "60d"/' "$T/pgo.conf"
run 0
check "the log is in order" [ "$(sed 's/.*"seq":\([0-9]*\).*/\1/' "$T/state/app/log.jsonl" | sort -nc && echo yes)" = yes ]
exits 0 "$PGO" status -c "$T/pgo.conf" --all --json
check "status as JSON" python3 -c "import json,sys; s=json.load(open('$T/stdout')); sys.exit(not (s[0]['usable'] and len(s[0]['entries'])>3))"

# Old results go, with the profiles that only they were made of.
at 2027-02-20
exits 0 "$PGO" gc -c "$T/pgo.conf" --keep 1 --keep-for 1d --dry-run
cp "$T/stdout" "$T/plan"
check "a plan removes nothing" [ "$(ids published | wc -l)" -gt 3 ]
exits 0 "$PGO" gc -c "$T/pgo.conf" --keep 1 --keep-for 1d
check "it does what it said" diff <(grep "[0-9] gone" "$T/plan") <(grep "[0-9] gone" "$T/stdout")
check "one result is left" [ "$(ids published)" = "$(in_use)" ]
check "its profiles are" [ "$(find "$T/state/app/raw/objects" -type f | wc -l)" = "$(grep -c '"weight"' "$T/state/app/last-good/manifest.json")" ]
check "and no others are listed" [ "$(wc -l <"$T/state/app/raw/manifest.jsonl")" = "$(grep -c '"weight"' "$T/state/app/last-good/manifest.json")" ]
decided collected
exits 0 "$PGO" gc -c "$T/pgo.conf" --keep 1 --keep-for 1d
check "the second time nothing goes" grep -q 'results *0 gone' "$T/stdout"
finish
