# SPDX-License-Identifier: Apache-2.0
"""A verdict against the exact numbers of instructions of both builds.

rebuild_truth.py VERDICT.json BEFORE AFTER [PLANTED]

BEFORE and AFTER are folders with the program (app) and exact/HOST (what tests/emu/exact prints).  The stated
change of the whole must hold the exact one.  No function may be called regressed because of its inlining: whatever is called regressed must
have got dearer by exact count, and if it is inlined elsewhere than before, so must it and the functions that this concerns, taken together.
Which code is whose is asked of llvm-symbolizer here, not of pgo.  With PLANTED that function must be called regressed, and hardly another.
"""
import bisect
import glob
import json
import math
import os
import re
import subprocess
import sys


def instructions(folder, host):
    with open(os.path.join(folder, "exact", host), encoding="ascii") as f:
        return int(re.match(r"total insns (\d+) ", f.readline())[1])


def tool(name):
    return subprocess.run(["tests/tools.sh", name], capture_output=True, text=True, check=False).stdout.strip()


def executed(folder):
    """Address -> executions, on all hosts together."""
    code = subprocess.run([tool("llvm-objdump"), "-d", "--no-show-raw-insn", folder + "/app"], capture_output=True, text=True, check=True).stdout
    insns = sorted({int(m[1], 16) for m in re.finditer(r"^\s+([0-9a-f]+):", code, re.M)})
    change = [0] * (len(insns) + 1)
    for path in glob.glob(folder + "/exact/*"):
        with open(path, encoding="ascii") as f:
            for line in f:
                if line.startswith("block "):
                    _, first, last, n = line.split()
                    change[bisect.bisect_left(insns, int(first, 16))] += int(n)
                    change[bisect.bisect_left(insns, int(last, 16)) + 1] -= int(n)
    ret, running = {}, 0
    for at, delta in zip(insns, change):
        running += delta
        if running:
            ret[at] = running
    return ret


def plain(name):
    """A function's bare name: what debug information calls "digest<int>" in one place is "_Z6digestIiEvv" in another."""
    name = re.sub(r"\[clone[^]]*\]|\[abi:[^]]*\]|\.(cold|part|isra|constprop|lto_priv|llvm|__uniq).*", "", name)
    name = re.sub(r"operator(\(\)|<=>|<<=?|>>=?|->\*?|<=?|>=?)", lambda m: "operator" + "".join(f"{ord(c):x}" for c in m[1]), name)
    name = re.sub(r"\{lambda\(.*?\)#\d+\}|<lambda\(.*?\)>|\(anonymous namespace\)", "anonymous", name)
    while re.search(r"<[^<>]*>", name):
        name = re.sub(r"<[^<>]*>", "", name)
    return name.split("(")[0].split("::")[-1].split(" ")[-1]


def demangled(names):
    return subprocess.run([tool("llvm-cxxfilt")], input="\n".join(names), capture_output=True, text=True, check=True).stdout.splitlines()


def inlining(folder):
    """Function -> instructions of its own, and (caller, callee) -> instructions of the callee, and what is in it, inlined there."""
    count = executed(folder)
    text = subprocess.run([tool("llvm-symbolizer"), "--obj=" + folder + "/app", "--inlines", "--functions=linkage", "--output-style=JSON"],
                          input="\n".join(hex(at) for at in count), capture_output=True, text=True, check=True).stdout
    own, edges, inside = {}, {}, {}
    rows = [json.loads(line) for line in text.splitlines()]
    names = sorted({s["FunctionName"] for row in rows for s in row.get("Symbol", [])})
    short = {name: plain(d) for name, d in zip(names, demangled(names))}
    for row in rows:
        n = count[int(row["Address"], 16)]
        chain = [short[s["FunctionName"]] for s in row.get("Symbol", [])] or [""]
        own[chain[0]] = own.get(chain[0], 0) + n
        for f in set(chain):
            inside[f] = inside.get(f, 0) + n
        for e in set(zip(chain[1:], chain)):
            edges[e] = edges.get(e, 0) + n
    return own, edges, inside


def whose_inlining_changed(name, before, after):
    """The function and those it is inlined into, or that are into it, by a tenth more or less of the callee than before."""
    ret = {name}
    for caller, callee in set(before[1]) | set(after[1]):
        if name in (caller, callee):
            q = [side[1].get((caller, callee), 0) / max(1, side[2].get(callee, 0)) for side in (before, after)]
            if abs(q[1] - q[0]) > 0.1:
                ret |= {caller, callee}
    return ret


def main():
    verdict_file, before, after = sys.argv[1:4]
    with open(verdict_file, encoding="utf-8") as f:
        verdict = json.load(f)
    # The work of a host is the same before and after.
    hosts = sorted(os.listdir(before + "/exact"))
    ratios = [math.log(instructions(after, h) / instructions(before, h)) for h in hosts]
    truth = math.exp(sum(ratios) / len(ratios)) - 1
    total = verdict["total"]
    regressed = [f["name"] for f in verdict["findings"] if f["verdict"] == "regressed"]
    print(verdict["sentence"])
    print(f"exactly {truth:+.4%}, stated {total['change']:+.4%} ({total['low']:+.4%} to {total['high']:+.4%}), {len(verdict['groups'])} groups, "
          f"regressed: {regressed}")
    assert verdict["design"]["name"] == "paired" and verdict["design"]["hosts_both"] == len(hosts), verdict["design"]
    inside = total["low"] <= truth <= total["high"]
    print("the truth is %s the interval" % ("in" if inside else "outside of"))
    # One interval in twenty may miss it; none by as much again.
    reach = (total["high"] - total["low"]) / 2
    assert total["low"] - reach <= truth <= total["high"] + reach, (truth, total)
    if len(sys.argv) > 4:
        print([f for f in verdict["findings"] if f["name"] == sys.argv[4]], [g for g in verdict["groups"] if sys.argv[4] in g["members"]])
        # One in twenty of what is called regressed may be wrong.
        assert sys.argv[4] in regressed and len(regressed) <= 3, regressed
        assert verdict["outcome"] == "loss" and 0.015 < truth < 0.05, truth
        return
    sides = inlining(before), inlining(after)
    whole = sum(sides[0][0].values())
    wrong = []
    for name in sorted({plain(n) for n in demangled([n for n in regressed if not n.startswith("[")])}):  # nothing of a library is inlined
        names = whose_inlining_changed(name, *sides)
        b, a = (sum(side[0].get(n, 0) for n in names) for side in sides)
        rise = sides[1][0].get(name, 0) - sides[0][0].get(name, 0)
        print(f"  {name}: {sides[0][0].get(name, 0)} to {sides[1][0].get(name, 0)}; with {len(names) - 1} others {b} to {a}")
        # It must have got dearer itself, and so must the code that it shares its inlining with.
        if rise < 0.0005 * whole or a - b < 0.0005 * whole:
            wrong.append(name)
    print("regressed by the verdict and not by the counts: %d of %d %s" % (len(wrong), len(regressed), wrong))


main()
