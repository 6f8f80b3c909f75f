#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Block executions from plain samples, against the exact ones.

    plain_blocks.py EXACT INSNS IPS PREAGG

EXACT is what tests/emu/exact printed, INSNS what `truth insns` made of it (ADDRESS SIZE COUNT), IPS one sampled address a line
(hex), PREAGG what `pgo convert --bolt-preagg` wrote. Blocks are the stretches of executed instructions between which the run
shows no branch to arrive or leave. Prints, for each way to estimate, what its distribution over the blocks has in common with
the exact one, per cent:

    max N average N pgo N      the largest sample count of an instruction; samples / instructions; ours
"""
import bisect
import sys


def read_insns(path):
    out = []
    for line in open(path):
        address, size, count = line.split()[:3]
        out.append((int(address, 16), int(size), int(count)))
    return sorted(out)


def partition(insns, exact):
    """First indices of the blocks."""
    starts = set()
    for line in open(exact):
        word = line.split()
        if word[0] == "edge":
            if word[2] != "-":
                starts.add(int(word[2], 16))
            if word[1] != "-":
                starts.add(("behind", int(word[1], 16)))
    first, last = [], None
    for i, (address, size, count) in enumerate(insns):
        if (last is None or last[0] + last[1] != address or last[2] != count or address in starts
                or ("behind", last[0]) in starts):
            first.append(i)
        last = (address, size, count)
    return first


def overlap(a, b):
    sa, sb = sum(a), sum(b)
    return 100 * sum(min(x / sa, y / sb) for x, y in zip(a, b)) if sa and sb else 0.0


def main(exact, insns, ips, preagg):
    insns = read_insns(insns)
    at = [i[0] for i in insns]
    first = partition(insns, exact)
    samples = [0] * len(insns)
    for line in open(ips):
        address = int(line.split()[0], 16)
        i = bisect.bisect_right(at, address) - 1
        if i >= 0 and address < insns[i][0] + insns[i][1]:
            samples[i] += 1
    runs = [0] * (len(insns) + 1)
    for line in open(preagg):
        word = line.split()
        if word[0] in "TR":
            start, end, count = int(word[2], 16), int(word[3], 16), int(word[4])
        elif word[0] in "Ffr":
            start, end, count = int(word[1], 16), int(word[2], 16), int(word[3])
        else:
            continue
        if end > 1 << 62 or end < start:
            continue
        runs[bisect.bisect_left(at, start)] += count
        runs[bisect.bisect_right(at, end)] -= count
    for i in range(1, len(runs)):
        runs[i] += runs[i - 1]
    true, most, mean, ours = [], [], [], []
    for b, i in enumerate(first):
        j = first[b + 1] if b + 1 < len(first) else len(insns)
        true.append(insns[i][2])
        most.append(max(samples[i:j]))
        mean.append(sum(samples[i:j]) / (j - i))
        ours.append(runs[i])
    print("max %.2f average %.2f pgo %.2f" % (overlap(true, most), overlap(true, mean), overlap(true, ours)))


main(*sys.argv[1:])
