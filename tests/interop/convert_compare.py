#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what two converters made of the same branch data.

    convert_compare.py fdata BINARY OURS PEER       edges by address, so that aliases do not matter
    convert_compare.py prof OURS PEER               LLVM text profiles
    convert_compare.py gcov OURS DUMP               our text profile, dump_gcov's output of the peer's

Prints "KIND PERCENT" lines: the overlap of the two, sum of min(share, share) in per cent, and the largest differences as
comments.  Shares, because we scale runs up by the one that the newest branch of a ring lacks (32/31), which peers do not.
"""
import re
import subprocess
import sys


def report(kind, ours, peer, least=6):
    total, peer_total = max(sum(ours.values()), 1), max(sum(peer.values()), 1)
    common = sum(min(n / total, peer[k] / peer_total) for k, n in ours.items() if k in peer)
    print("%s %.4f" % (kind, 100.0 * common))
    worst = [(abs(ours.get(k, 0) - peer.get(k, 0)), str(k)) for k in set(ours) | set(peer)
             if ours.get(k, 0) != peer.get(k, 0)]
    for n, k in sorted(worst, key=lambda x: (-x[0], x[1]))[:least]:
        print("# %s differs by %d: %s" % (kind, n, k))


# ---- .fdata

def symbols(binary):
    """name as .fdata has it -> address"""
    local, names = {}, {}
    for line in subprocess.run(["nm", "-n", binary], capture_output=True, text=True, check=True).stdout.splitlines():
        part = line.split()
        if len(part) != 3:
            continue
        addr = int(part[0], 16)
        if part[1].islower() and part[1] not in "wvu":
            local.setdefault(part[2], []).append(addr)
        else:
            names[part[2]] = addr
    for name, addrs in local.items():
        for i, addr in enumerate(addrs):
            names["%s/%d" % (name, i + 1)] = addr
    return names


def load_fdata(path, names):
    edges, mispreds = {}, {}
    for line in open(path):
        part = re.sub(r"\\(.)", r"\1", line).split()
        if len(part) != 8:
            continue
        ends = []
        for known, name, off in (part[0:3], part[3:6]):
            # perf2bolt calls the head of the PLT, which resolves a symbol at its first call, a function of its
            # own; for us it is outside.  It runs once a symbol.
            if known == "0" or name.startswith("__BOLT_PSEUDO_"):
                ends.append("outside")
            else:
                ends.append(names[name] + int(off, 16) if name in names else (name, int(off, 16)))
        if ends == ["outside", "outside"]:
            continue
        key = tuple(ends)
        edges[key] = edges.get(key, 0) + int(part[7])
        mispreds[key] = mispreds.get(key, 0) + int(part[6])
    return edges, {k: n for k, n in mispreds.items() if n}


# ---- source-level profiles

def one_name(name):
    """The unified constructors and destructors exist in DWARF only; D1 and D2 mostly share a body."""
    return re.sub(r"(?<=[CD])[14](?=E)", "2", name)


def load_profile(path, step, gcov):
    pos, heads, targets, stack = {}, {}, {}, []
    for line in open(path):
        line = re.sub(r" total:(\d+) head:(\d+)$", r":\1:\2", line.rstrip("\n"))
        line = re.sub(r" total:(\d+)$", r":\1", line)
        text = line.strip()
        if not text or text[0] == "!":
            continue
        depth = (len(line) - len(line.lstrip(" "))) // step
        if depth == 0:
            name, _, head = text.rsplit(":", 2)
            stack = [one_name(name)]
            heads[stack[0]] = heads.get(stack[0], 0) + int(head)
            continue
        loc, rest = text.split(": ", 1)
        del stack[depth:]
        # Rows and call sites without a line, which create_gcov keeps as an offset that wraps around.
        if gcov and int(loc.split(".")[0]) >= 32768:
            loc = "none"
        if not rest[0].isdigit():
            stack.append((loc, one_name(rest.rsplit(":", 1)[0])))
            continue
        count, *calls = rest.split()
        if loc == "none" or any(s[0] == "none" for s in stack[1:]):
            continue
        if gcov and stack[-1][1] == "operator()":
            continue
        key = (tuple(stack), loc)
        pos[key] = max(pos.get(key, 0), int(count))
        for call in calls:
            name, n = call.rsplit(":", 1)
            targets[key + (one_name(name),)] = targets.get(key + (one_name(name),), 0) + int(n)
    return pos, heads, targets


def main():
    kind = sys.argv[1]
    if kind == "fdata":
        names = symbols(sys.argv[2])
        ours, peer = (load_fdata(p, names) for p in sys.argv[3:5])
        report("edges", ours[0], peer[0])
        report("mispredictions", ours[1], peer[1])
    else:
        ours = load_profile(sys.argv[2], 1, kind == "gcov")
        peer = load_profile(sys.argv[3], 2 if kind == "gcov" else 1, kind == "gcov")
        report("positions", ours[0], peer[0])
        report("heads", ours[1], peer[1])
        report("targets", ours[2], peer[2])


main()
