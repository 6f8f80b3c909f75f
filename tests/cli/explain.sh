#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo explain: the story of a result adds up and names every source; the origins of one function.
set -u
. tests/operate/lib.bash
operate_begin
operate_store "$T" 6
operate_conf "$T/pgo.conf" state out
sed -i 's/since = "30d"/since = "30d"\n\t\tgates { hosts = "3\/1" dominance = "90\/100" }/' "$T/pgo.conf"
says() {
	if grep -qE -- "$1" "$T/stdout" "$T/stderr"; then good=$((good + 1)); else bad=$((bad + 1)); echo "FAIL: no /$1/ in:"; cat "$T/stdout" "$T/stderr"; fi
}

exits 20 "$PGO" explain -c "$T/pgo.conf"
says "nothing of target 'app' is published yet"
exits 0 "$PGO" run -c "$T/pgo.conf"
exits 0 "$PGO" explain -c "$T/pgo.conf"
says 'in use \(last-good\)'
says 'inputs +6 of 6 profiles, [0-9]+ hosts'
says 'pass +mapped'
says ' published '
for f in "$T"/store/*; do says "store/${f##*/}"; done

# As JSON: shares of the inputs and every loss add up.
exits 0 "$PGO" explain app -c "$T/pgo.conf" --json
cp "$T/stdout" "$T/all.json"
expect "the account adds up" python3 - "$T/all.json" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["last_good"] and len(d["inputs"]) == 6 and all(i["kept"] and i["plan"]["why"] for i in d["inputs"]), d
for kind in ("branches", "ranges"):
    a = d["account"][kind]
    assert a["read"] == sum(v for k, v in a.items() if k != "read") > 0, a
mass = sum(i["plan"]["weight"] / d["weights"]["weight_one"] * i["plan"]["mass"] for i in d["inputs"])
by_host = sum(h["weighted_mass"] for h in d["weights"]["by_host"])
assert abs(mass / by_host - 1) < 1e-6, (mass, by_host)
assert [e["decision"] for e in d["decisions"]] == ["published"], d["decisions"]
PY

# By a file that was published, and by the beginning of an id.
exits 0 "$PGO" explain "$T/out.prof" -c "$T/pgo.conf"
id=$(head -n 1 "$T/stdout" | sed 's/^app \([^:]*\):.*/\1/')
exits 0 "$PGO" explain -c "$T/pgo.conf" --id "${id:0:12}"
says "^app $id"
exits 3 "$PGO" explain "$T/app" -c "$T/pgo.conf"
says 'is of no result'
exits 2 "$PGO" explain nothing -c "$T/pgo.conf"
exits 2 "$PGO" explain a b -c "$T/pgo.conf"
exits 3 "$PGO" explain -c "$T/pgo.conf" --id 1999
says '1999'

# A function: its hosts make up all of it, and the outputs are asked.
exits 0 "$PGO" explain -c "$T/pgo.conf" --function compare
says 'hosts +[0-9.]+% +web-[0-9]+ \([12] profiles?\)'
says 'number 1 of'
says 'out.prof: counts of'
says 'out.fdata: '
exits 0 "$PGO" explain -c "$T/pgo.conf" --function scan --json
expect "origins make up the cost" python3 - "$T/stdout" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
assert d["name"] == "op_scan" and d["cost"] > 0 and d["profiles"] == 6, d
for kind in ("hosts", "builds", "days"):
    assert abs(sum(o["cost"] for o in d[kind]) / d["cost"] - 1) < 1e-6, (kind, d)
PY
exits 3 "$PGO" explain -c "$T/pgo.conf" --function op_
says "part of [0-9]+ names"
exits 3 "$PGO" explain -c "$T/pgo.conf" --function no_such_function
says 'no function of the profiles'

# An input is gone: said, and the rest still tells.
f=$(find "$T/state/app/raw/objects" -type f | sort | head -n 1)
rm "$f"
grep -v "${f##*/}" "$T/state/app/raw/manifest.jsonl" >"$T/left" && cp "$T/left" "$T/state/app/raw/manifest.jsonl"
exits 0 "$PGO" explain -c "$T/pgo.conf"
exits 0 "$PGO" explain -c "$T/pgo.conf" --function compare
says '1 profiles are not kept any more'
operate_end
