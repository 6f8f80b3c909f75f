#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What pgo verify says of the layout, from sampled branch records, against the exact counts of the same run: each instruction and each taken
# branch of the program counted one by one (tests/emu/README.md), lines and pages worked out from those by another program.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
OBJDUMP=$(command -v objdump || tests/tools.sh llvm-objdump) || {
	echo 'objdump is not here'
	exit 77
}
tests/emu/record.sh -e branches -p 499 -s 5 -o "$T/app.ring" -- "$FIX/app" >/dev/null || exit 1
"$B/emu/mkperf" -o "$T/app.perf" "$T/app.ring" || exit 1
"$B/emu/exact" "$T/app.ring" >"$T/exact" || exit 1
"$OBJDUMP" -d --no-show-raw-insn "$FIX/app" >"$T/code" || exit 1
"$PGO" verify "$T/app.perf" -- "$T/app.perf" --binary "$FIX/app" --json >"$T/verdict.json" || exit 1
python3 - "$T/verdict.json" "$T/exact" "$T/code" <<'PY'
import bisect
import json
import re
import sys

verdict = json.load(open(sys.argv[1], encoding="utf-8"))
said = verdict["layout"]["before"]
insns = sorted({int(m[1], 16) for m in (re.match(r"\s+([0-9a-f]+):\t", line) for line in open(sys.argv[3], encoding="utf-8")) if m})
count = [0] * (len(insns) + 1)
taken = mispredicted = 0
for line in open(sys.argv[2], encoding="ascii"):
    f = line.split()
    if f[0] == "edge" and f[1] != "-":
        taken += int(f[3])
        mispredicted += int(f[4])
    elif f[0] == "block":
        count[bisect.bisect_left(insns, int(f[1], 16))] += int(f[3])
        count[bisect.bisect_left(insns, int(f[2], 16)) + 1] -= int(f[3])
executed = {}
running = 0
for at, change in zip(insns, count):
    running += change
    if running:
        executed[at] = running
total = sum(executed.values())


def cover(bits, share):
    blocks = {}
    for at, n in executed.items():
        blocks[at >> bits] = blocks.get(at >> bits, 0) + n
    left = share * total
    for i, n in enumerate(sorted(blocks.values(), reverse=True), 1):
        left -= n
        if left <= 0:
            return i
    return len(blocks)


def near(what, got, want, room):
    print(f"{what}: said {got:.3f}, exact {want:.3f}")
    assert abs(got / want - 1) <= room, (what, got, want)


# Some thousands of rings, 32 branches each, which overlap in what they show.
near("taken branches per 1,000 instructions", said["taken_per_1000"], taken / total * 1000, 0.03)
near("instructions in a straight run", said["run_instructions"], total / taken, 0.03)
near("mispredicted", said["mispredicts"], mispredicted / taken, 0.10)
assert said["records"] == said["runs"] + said["open"] + said["outside"] + said["bogus"] and said["bogus"] == 0, said
for key, bits in (("lines", 6), ("small_pages", 12), ("large_pages", 21)):
    for name, share in (("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999)):
        want = cover(bits, share)
        print(f"{key} for {name} %: said {said[key][name]}, exact {want}")
        assert abs(said[key][name] - want) <= 1 + want * 0.05, (key, name, said[key][name], want)
assert verdict["layout"]["after"] == said
PY
