#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The forms of a verdict of real recordings: JSON as its schema says, a page, Markdown, JUnit, folded stacks; each the same bytes every time, and the
# same again from the JSON.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}

for i in 1 2 3 4; do
	"$B/emu/mkperf" -o "$T/$i.perf" --mode ip --aslr $i --max-samples 1500 --seed $i "$FIX/app.ring" || exit 1
done
compare() {
	"$PGO" verify "$T"/[12].perf -- "$T"/[34].perf --binary "$FIX/app" "$@"
}
compare --json >"$T/v.json" || exit 1
compare --html "$T/v.html" --markdown "$T/v.md" --junit "$T/v.xml" >/dev/null || exit 1
TZ=Asia/Tokyo LC_ALL=C.UTF-8 compare --html "$T/w.html" --markdown "$T/w.md" --junit "$T/w.xml" >/dev/null
check "all forms are the same bytes again, elsewhere" cmp -s <(cat "$T"/v.{html,md,xml}) <(cat "$T"/w.{html,md,xml})
"$PGO" verify --verdict "$T/v.json" --markdown "$T/r.md" --junit "$T/r.xml" --html "$T/r.html"
check "and from the JSON" cmp -s <(cat "$T"/v.{md,xml}) <(cat "$T"/r.{md,xml})
check "the page too, but for the blanks in the JSON it carries" cmp -s <(grep -v '^ *["{}]\|<script type' "$T/v.html" | grep -v '^ *[]\[]') \
	<(grep -v '^ *["{}]\|<script type' "$T/r.html" | grep -v '^ *[]\[]')

schema() {
	local py
	for py in python3 /usr/bin/python3; do
		"$py" -c 'import jsonschema' 2>/dev/null && break
	done || {
		echo "python3-jsonschema is not installed: the schema is not tried"
		return 0
	}
	"$py" - "$@" <<-'PY'
		import copy, json, sys
		import jsonschema
		schema = json.load(open("verify/verdict.schema.json"))
		jsonschema.Draft202012Validator.check_schema(schema)
		validator = jsonschema.Draft202012Validator(schema)
		for path in sys.argv[1:]:
		    v = json.load(open(path))
		    for e in validator.iter_errors(v):
		        sys.exit(f"{path}: {e.json_path}: {e.message}")
		    # A schema that takes anything would pass as well.
		    assert v["findings"]
		    for damage in (lambda x: x.pop("sentence"), lambda x: x.update(outcome="great"), lambda x: x["findings"][0].update(verdict="good"),
		                   lambda x: x["before"].update(samples=-1), lambda x: x.update(schema=1)):
		        bad = copy.deepcopy(v)
		        damage(bad)
		        assert not validator.is_valid(bad)
	PY
}
compare --json --same-work --fail-if 'overlap<10%' >"$T/work.json"
check "the JSON is as its schema says" schema "$T/v.json" "$T/work.json"

cat >"$T/look.py" <<'PY'
import html.parser, json, sys, xml.etree.ElementTree as tree
at = sys.argv[1]
v = json.load(open(at + ".json"))
suites = tree.parse(at + ".xml").getroot()
cases = {c.get("name"): c for c in suites.iter("testcase")}
assert int(suites.get("tests")) == len(list(suites.iter("testcase"))) and int(suites.get("failures")) == len(list(suites.iter("failure")))
for f in v["findings"]:
    assert (cases[f["name"]].find("failure") is not None) == (f["verdict"] == "regressed"), f
class Page(html.parser.HTMLParser):
    void, stack, refs = {"meta", "link", "br", "input"}, [], []
    def handle_starttag(self, tag, attrs):
        self.refs += [val for k, val in attrs if k in ("src", "href") and not val.startswith(("#", "data:"))]
        if tag not in self.void: self.stack.append(tag)
    def handle_startendtag(self, tag, attrs): pass
    def handle_endtag(self, tag): assert self.stack.pop() == tag, tag
text = open(at + ".html").read()
page = Page()
page.feed(text)
assert not page.stack and not page.refs and "http" + "://" not in text
assert v["sentence"].split(" (")[0] in open(at + ".md").read().replace("\\", "")
PY
check "JUnit has a case a function, the page is well formed and refers to nothing, Markdown has the sentence" python3 "$T/look.py" "$T/v"

# Folded stacks: two columns, whose sums are the whole before, and after as the verdict has it.
compare --same-work --folded "$T/folded" --json >"$T/f.json"
check "folded stacks add up to the whole of both sides" python3 - "$T/folded" "$T/f.json" <<'PY'
import json, re, sys
rows = [re.fullmatch(r"(.+) (\d+) (\d+)", line.rstrip("\n")) for line in open(sys.argv[1])]
assert rows and all(rows), "a line is none"
before, after = (sum(int(r[k]) for r in rows) / 1e8 for k in (2, 3))
want = 1 + json.load(open(sys.argv[2]))["total"]["change"]
assert abs(before - 1) < .001 and abs(after - want) < .02, (before, after, want)
PY
compare --html "$T/g.html" --folded "$T/folded.again" >/dev/null
check "the page has the tree" grep -q '"calltree":{"called"' "$T/g.html"
# Usage and input.
fails 2 'either' "$PGO" verify --verdict "$T/v.json" "$T/1.perf"
fails 2 'folded' "$PGO" verify --verdict "$T/v.json" --folded "$T/f"
fails 3 'no verdict' "$PGO" verify --verdict <(echo '{"kind":"x"}')
fails 3 'schema 3' "$PGO" verify --verdict <(echo '{"kind":"verdict","schema":3}')
fails 3 "$T/none/x" "$PGO" verify --verdict "$T/v.json" --html "$T/none/x"
code=0
sed 's/"failed": false/"failed": true/' "$T/v.json" >"$T/failed.json"
"$PGO" verify --verdict "$T/failed.json" >"$T/out" || code=$?
check "a verdict that failed is exit 1 again (got $code)" [ "$code" = 1 ]
check "and says its sentence" grep -qF "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["sentence"])' "$T/v.json")" "$T/out"
finish
