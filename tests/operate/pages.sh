#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The HTML pages of verdicts and reports in a real browser: zooming, searching, sorting by mouse and keys; phones, paper, dark and light; names that try to
# break out; nothing loaded and nothing on the console.
set -u
. tests/operate/lib.bash
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "chromium is not installed"
operate_begin
for kind in typical empty hostile large; do
	python3 tests/operate/verdicts.py "$kind" >"$T/$kind.json" || exit 1
	exits 0 "$PGO" verify --verdict "$T/$kind.json" --html "$T/$kind.html" --markdown "$T/$kind.md" --junit "$T/$kind.xml"
done
mkdir "$T/w" "$T/h"
python3 tests/operate/weeks.py "$T/w" && python3 tests/operate/weeks.py "$T/h" hostile || exit 1
PGO_NOW=2026-11-17T08:00:00Z exits 0 "$PGO" report -c "$T/w/pgo.conf" app -o "$T/weeks.html"
PGO_NOW=2026-11-17T08:00:00Z exits 0 "$PGO" report -c "$T/h/pgo.conf" app -o "$T/weeks-hostile.html"
expect "the pages do in a browser what they promise" timeout 400 python3 tests/operate/pages.py "$chromium" "$T"
operate_end
