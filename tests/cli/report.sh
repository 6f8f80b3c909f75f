#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo report over twelve weeks of results: what is in use, what the last decision was, which hosts went silent, that counts add up; in the state
# directory and elsewhere, without writing where it may not, and in one piece whatever names say.
set -u
B=${B:-build}
PGO=$(realpath "${PGO:-$B/pgo}")
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
export PGO_NOW=2026-11-17T08:00:00Z
good=0 bad=0
check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
# ends CODE TEXT COMMAND...
ends() {
	local code=0
	"${@:3}" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	check "${*:3}: exit $code, want $1, and '$2' in its words" [ "$code" = "$1" ]
	check "${*:3} says $2" grep -q -- "$2" "$T/stdout" "$T/stderr"
}
mkdir "$T/w" "$T/h"
python3 tests/operate/weeks.py "$T/w" && python3 tests/operate/weeks.py "$T/h" hostile || exit 1

ends 0 '39 hosts and 14 days is in use' "$PGO" report -c "$T/w/pgo.conf" app
check "page and text are in the state, under the time and the decision" [ -s "$T/w/state/app/reports/20261116T030000Z-published.html" ]
check "the text printed is the text written" cmp -s <(sed '$d' "$T/stdout" | sed '$d') "$T/w/state/app/reports/20261116T030000Z-published.txt"
check "a host that went silent is named" grep -q 'NONE now' "$T/stdout"
check "what is left out is counted by reason" grep -qE '^ +204  older than the window' "$T/stdout"
check "gates tell their values before" grep -q 'pass *mapped 98.*before: 98' "$T/stdout"
check "the week in quarantine is among the decisions" grep -q '2026-10-26.*quarantined.*dominance' "$T/stdout"
# shellcheck disable=SC2016 # eval expands
check "nothing fails to add up" eval '! grep -q "NOT ADD UP" "$T/stdout"'
"$PGO" report -c "$T/w/pgo.conf" app -o "$T/a.html" >"$T/out"
TZ=Asia/Tokyo "$PGO" report -c "$T/w/pgo.conf" app -o - >"$T/b.html"
check "the same bytes elsewhere, and on standard output alone" cmp -s "$T/a.html" "$T/b.html"
check "its text beside it" [ -s "$T/a.txt" ]

# Counts that do not add up are said not to.
last=$(readlink -f "$T/w/state/app/last-good")/manifest.json
sed -i 's/"no_mapping": 1234/"no_mapping": 1233/' "$last"
ends 0 'DOES NOT ADD UP' "$PGO" report -c "$T/w/pgo.conf" app -o "$T/c.html"
check "on the page too" grep -q 'DOES NOT ADD UP' "$T/c.html"
# A result that cannot be read is passed over, and said to be.
echo '{' >"$last"
ends 0 'left out' "$PGO" report -c "$T/w/pgo.conf" app -o "$T/c.html"
# Too old.
PGO_NOW=2027-03-01T00:00:00Z ends 0 'TOO OLD' "$PGO" report -c "$T/h/pgo.conf" app -o "$T/c.html"
check "the page says no profile" grep -q 'class="badge fail">no profile' "$T/c.html"
# The last refresh was refused: its gates are shown, what is in use stays named.
cp -r "$T/h" "$T/q"
rm -rf "$T"/q/state/app/published/20261{102,109,116}-* && ln -sfn published/20261019-000000000007 "$T/q/state/app/last-good"
head -n 9 "$T/h/state/app/log.jsonl" >"$T/q/state/app/log.jsonl"
PGO_NOW=2026-10-27T00:00:00Z ends 0 'gates of 20261026-000000000008 (in quarantine)' "$PGO" report -c "$T/q/pgo.conf" app -o "$T/q.html"
check "with last-good named" grep -q 'in use     20261019-000000000007' "$T/stdout"

# Hostile names.
"$PGO" report -c "$T/h/pgo.conf" app -o "$T/h.html" >"$T/out"
check "names end no element" python3 - "$T/h.html" <<'PY'
import html.parser, sys
class Page(html.parser.HTMLParser):
    void, stack, scripts = {"meta", "link", "br", "input"}, [], 0
    def handle_starttag(self, tag, attrs):
        assert tag not in ("img", "x") and not [k for k, _ in attrs if k.startswith("on")], (tag, attrs)
        self.scripts += tag == "script"
        if tag not in self.void: self.stack.append(tag)
    def handle_startendtag(self, tag, attrs): pass
    def handle_endtag(self, tag): assert self.stack.pop() == tag, tag
page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
assert not page.stack and page.scripts == 1
PY
# shellcheck disable=SC2016
check "and no escape reaches a terminal" eval '! LC_ALL=C grep -q "[[:cntrl:]]" <(tr -d "\n\t" <"$T/out")'

# Usage and places.
ends 20 'nothing was decided' "$PGO" report -c "$T/w/pgo.conf" never
ends 2 'no target' "$PGO" report -c "$T/w/pgo.conf" other
ends 2 'one file' "$PGO" report -c "$T/w/pgo.conf" -o "$T/x.html"
ends 3 "$T/none" "$PGO" report -c "$T/h/pgo.conf" app -o "$T/none/x.html"
cp -r "$T/h" "$T/n" && echo 3 >"$T/n/state/app/format"
ends 3 'format' "$PGO" report -c "$T/n/pgo.conf" app
ends 0 '"decision": "published"' "$PGO" report -c "$T/h/pgo.conf" app --json
echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
