#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a run shows to those who do not read its report: numbers, events, marks for the journal; and that none of it changes
# how the run ends.
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
value() {
	sed -n "s/^$1 //p" "$T/m.prom"
}
events() {
	sed 's/.*"event":"\([a-z]*\)".*/\1/' "$1" | uniq | tr '\n' ' '
}

export PGO_NOW=2026-11-20T12:00:00Z
mkdir "$T/store"
cp "$FIX/app" "$T/app"
for host in web-1 web-2; do
	"$PGO" import -q "$FIX/app.perf" --host $host --service app --time 2026-11-19T10:00:00Z --binary "$FIX/app" -o "$T/store" >/dev/null ||
		exit 1
done
cat >"$T/pgo.conf" <<'C'
state = "state"
metrics = "m.prom"
target "app" {
	sources = {"store"}
	binary = "app"
	clang = "out.prof"
	gates { acceptance = "off" }
}
target "no\"where" {
	sources = {"nowhere"}
	binary = "app"
	clang = "other.prof"
}
C
exits 0 "$PGO" run -c "$T/pgo.conf" --events "$T/events" app
check "the report is there as well" grep -q '^app$' "$T/stdout"
check "events in order" [ "$(events "$T/events")" = "start stage gate decision end " ]
check "stages in order" [ "$(sed -n 's/.*"stage":"\([a-z]*\)".*/\1/p' "$T/events" | tr '\n' ' ')" = "fetch merge convert check publish " ]
check "the decision is the log's" grep -q '"event":"decision","target":"app","decision":"published"' "$T/events"
check "the end has the exit code" grep -q '"event":"end","target":"app","exit":0,' "$T/events"
check "last-good is there" [ "$(value 'pgo_last_good_present{target="app"}')" = 1 ]
check "its hosts" [ "$(value 'pgo_hosts{target="app"}')" -ge 1 ]
check "its age" [ "$(value 'pgo_last_good_age_seconds{target="app"}')" = 0 ]
check "when it was published" [ "$(value 'pgo_last_good_timestamp_seconds{target="app"}')" = "$(date -d $PGO_NOW +%s)" ]
check "the exit code" [ "$(value 'pgo_run_exit_code{target="app"}')" = 0 ]
check "a gate" [ "$(value 'pgo_gate_verdict{target="app",gate="mapped"}')" = 0 ]
check "a target that did not run has no exit code" [ -z "$(value 'pgo_run_exit_code{target="no\\\\"where"}')" ]
check "and no last-good; its name is escaped" [ "$(value 'pgo_last_good_present{target="no\\"where"}')" = 0 ]
check "the size of the output" [ "$(value 'pgo_output_bytes{target="app",output="clang"}')" = "$(stat -c %s "$T/out.prof")" ]

# A week later, the same again: appended, and on standard output nothing but events.
export PGO_NOW=2026-11-27T12:00:00Z
exits 10 "$PGO" run -c "$T/pgo.conf" --events - app
check "standard output has events only" [ "$(events "$T/stdout")" = "start stage decision end " ]
check "a week is a week" [ "$(value 'pgo_last_good_timestamp_seconds{target="app"}')" = "$(date -d 2026-11-20T12:00:00Z +%s)" ]
check "the decision" [ "$(value 'pgo_decision{target="app",decision="unchanged"}')" = 1 ]

# A target that fails: the error is in its last event, and the other one's numbers are there.
exits 3 "$PGO" run -c "$T/pgo.conf" --events "$T/events"
check "events were appended" [ "$(grep -c '"event":"end"' "$T/events")" = 3 ]
check "the error is in the last one" grep -q '"event":"end","target":"no\\"where","exit":3,.*"error":".*nowhere' "$T/events"
check "exit codes of both" [ "$(value 'pgo_run_exit_code{target="app"}') $(value 'pgo_run_exit_code{target="no\\"where"}')" = "10 3" ]

# Nowhere to write: a warning for metrics, which come at the end; an error for events, which come first.
exits 10 "$PGO" run -c "$T/pgo.conf" --metrics "$T/none/m.prom" app
check "it is said" grep -q 'warning: .*none/m.prom' "$T/stderr"
fails 3 'none/e: ' "$PGO" run -c "$T/pgo.conf" --events "$T/none/e" app
fails 2 'mix' "$PGO" run -c "$T/pgo.conf" --events - --json app
exits 10 "$PGO" run -c "$T/pgo.conf" --events /dev/full app
check "a full disk is said once" [ "$(grep -c 'warning: /dev/full' "$T/stderr")" = 1 ]
rm -f "$T/m.prom"
exits 0 "$PGO" run -c "$T/pgo.conf" --dry-run
check "a dry run writes none" [ ! -e "$T/m.prom" ]

# Standard error is the journal if the variable says so.
JOURNAL_STREAM=$(stat -L -c %d:%i "$T/stderr") exits 3 "$PGO" run -c "$T/pgo.conf" no\"where
check "an error has its priority" grep -q '^<3>pgo run: target' "$T/stderr"
JOURNAL_STREAM=$(stat -L -c %d:%i "$T/stderr") exits 10 "$PGO" run -c "$T/pgo.conf" --metrics "$T/none/m.prom" app
check "so has a warning" grep -q '^<4>pgo run: warning: ' "$T/stderr"
JOURNAL_STREAM=1:1 exits 3 "$PGO" run -c "$T/pgo.conf" no\"where
check "elsewhere there is none" grep -q '^pgo run: target' "$T/stderr"
finish
