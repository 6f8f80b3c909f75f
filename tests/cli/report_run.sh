#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo run writes the report of a target that says `report = true`, whatever was decided; that it cannot be written is said, and changes nothing else.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
mkdir "$T/store" "$T/out" && cp "$FIX/app" "$T/app" && cp "$FIX/app.pb.gz" "$T/store/one.pb.gz" || exit 1
cat >"$T/pgo.conf" <<'C'
state = "state"
target "app" {
	sources = {"store"}
	binary = "app"
	gcc = "out/app.afdo"
	gcc_release = 12
	gates { hosts = "off" dominance = "off" days = "off" freshness = "off" acceptance = "off" density = "off" }
	report = true
}
C
export PGO_NOW=2026-09-22T00:00:00Z
code=0
"$PGO" run -c "$T/pgo.conf" >"$T/run" 2>&1 || code=$?
check "the first run publishes (exit $code: $(tail -n 2 "$T/run"))" [ "$code" = 0 ]
check "and reports" [ -s "$T/state/app/reports/20260922T000000Z-published.html" ]
check "as text too" grep -q '^in use  ' "$T/state/app/reports/20260922T000000Z-published.txt"
code=0
PGO_NOW=2026-09-23T00:00:00Z "$PGO" run -c "$T/pgo.conf" >"$T/run" 2>&1 || code=$?
check "a run that changes nothing is exit 10 (got $code)" [ "$code" = 10 ]
check "what was in use before is in its report" [ "$(find "$T/state/app/reports" -name '*.html' | wc -l)" -ge 1 ]
# Directories where the files would go.
mkdir -p "$T"/state/app/reports/20260924T000000Z-{published,unchanged,suppressed}.html/in-the-way
code=0
PGO_NOW=2026-09-24T00:00:00Z "$PGO" run -c "$T/pgo.conf" --force >"$T/run" 2>&1 || code=$?
check "a report that cannot be written is a warning" grep -q 'no report: ' "$T/run"
check "and no failure (exit $code)" [ "$code" != 3 ]
finish
