#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo verify --target: two versions of a target, found in its store; the report is kept in the state, and a published
# result is verified or taken back by it.
set -u
. tests/operate/lib.bash
operate_begin
fixture
mkdir -p "$T/store" "$T/builds"
cp "$FIX/app" "$T/builds/app-41"
cp "$FIX/app.other" "$T/app"
tests/emu/record.sh -e branches -p 997 -o "$T/other.ring" -- "$T/app" >/dev/null || exit 1

# Three hosts, each with the old and the new build on two days each of two weeks; the new one costs less.
n=0
for host in web-1 web-2 web-3; do
	for day in 10 11 17 18; do
		n=$((n + 1))
		version=41 ring=$FIX/app.ring binary=$FIX/app samples=1400
		if [ $day -gt 15 ]; then version=42 ring=$T/other.ring binary=$T/app samples=1000; fi
		"$B/emu/mkperf" -o "$T/one.perf" --host $host --aslr $n --max-samples $((samples + n)) "$ring" &&
			"$PGO" import -q "$T/one.perf" --host $host --service app --version $version --time 2026-11-${day}T10:00:00Z \
				--binary "$binary" -o "$T/store" >/dev/null || exit 1
	done
done
operate_conf "$T/pgo.conf" state out
sed -i 's/binary = "app"/binary = "app"\n\t\tolder_builds = {"builds"}/' "$T/pgo.conf"
says() {
	if grep -qE -- "$1" "$T/stdout" "$T/stderr"; then good=$((good + 1)); else bad=$((bad + 1)); echo "FAIL: no /$1/ in:"; cat "$T/stdout" "$T/stderr"; fi
}

exits 3 "$PGO" verify -c "$T/pgo.conf" --target app --before 41 --after 42 --no-fetch
says "no profile of target 'app'"
exits 0 "$PGO" verify -c "$T/pgo.conf" --target app --before 41 --after 42
says 'report +.*state/app/reports/verify-41-42'
report=$T/state/app/reports/verify-41-42
for kind in html json txt; do expect "the report is there as $kind" test -s "$report.$kind"; done
expect "its design is paired: the hosts are the same" python3 - "$report.json" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["kind"] == "verdict" and d["design"]["hosts_both"] == 3, d["design"]
assert d["before"]["profiles"] == d["after"]["profiles"] == 6, (d["before"], d["after"])
names = {f["name"] for f in d["findings"]}
assert "compare" in names, names
PY

# By build-ids; a word that names none lists those there are.
exits 0 "$PGO" verify -c "$T/pgo.conf" --target app --no-fetch --before "$("$PGO" show "$FIX/app" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["build_id"][:12])')" --after 42
exits 3 "$PGO" verify -c "$T/pgo.conf" --target app --no-fetch --before 40 --after 42
says '42 \(6 profiles\), 41 \(6 profiles\)'
exits 2 "$PGO" verify -c "$T/pgo.conf" --target app --before 42 --after 42
exits 2 "$PGO" verify -c "$T/pgo.conf" --target app --before 41
exits 2 "$PGO" verify -c "$T/pgo.conf" --target nothing --before 41 --after 42
exits 2 "$PGO" verify --result 2026 --before "$FIX/app.pb.gz" --after "$FIX/app.pb.gz"

# The result that the new version was built with: verified, or, if a gate fails, taken back.
exits 11 "$PGO" verify -c "$T/pgo.conf" --target app --before 41 --after 42 --result last-good
says "nothing is decided about last-good"
exits 0 "$PGO" run -q -c "$T/pgo.conf"
exits 0 "$PGO" verify -c "$T/pgo.conf" --target app --before 41 --after 42 --same-work --result last-good
says '^verified last-good; in use: 2026'
expect "the log says so" grep -q '"decision":"verified"' "$T/state/app/log.jsonl"
exits 1 "$PGO" verify -c "$T/pgo.conf" --target app --before 41 --after 42 --result last-good --fail-if 'overlap<100%'
says '^rejected last-good; in use: none'
expect "nothing is in use" test ! -e "$T/state/app/last-good"
operate_end
