#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pprof files say, as a sorted multiset and without any code of ours.

    pprof_samples.py [--outside] [--columns A,B] FILE...

Prints a line for each stack and sample type whose value is not 0, summed over all files:
    VALUE TYPE/UNIT FRAME FRAME...
leaf first, a frame being BUILD-ID+ADDRESS or the names of its functions.  With --outside: how many
locations with an address lie outside of their mappings.  With --columns: only those types.
"""
import collections
import gzip
import sys


def fields(data):
    at, end = 0, len(data)

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < end:
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 2:
            size = varint()
            yield tag >> 3, data[at:at + size]
            at += size
        else:
            raise ValueError("field type %d" % (tag & 7))


def numbers(value):
    if isinstance(value, int):
        return [value]
    out, shift, one = [], 0, 0
    for byte in value:
        one |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            out.append(one)
            shift = one = 0
    return out


def message(data):
    m = collections.defaultdict(list)
    for number, value in fields(data):
        m[number].append(value)
    return m


def one(m, number):
    return m[number][-1] if number in m else 0


def read(path, totals, only):
    raw = open(path, "rb").read()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    p = message(raw)
    text = [s.decode() for s in p[6]]
    types = []
    for t in p[1]:
        m = message(t)
        types.append(text[one(m, 1)] + "/" + text[one(m, 2)])
    functions = {one(m, 1): text[one(m, 2)] for m in map(message, p[5])}
    maps = {one(m, 1): m for m in map(message, p[3])}
    frames, outside = {}, 0
    for l in map(message, p[4]):
        mapping = maps.get(one(l, 2))
        names = "<".join(functions[one(message(n), 1)] for n in l[4])
        address = one(l, 3)
        where = text[one(mapping, 6)] if mapping is not None else ""
        frames[one(l, 1)] = "%s+%x" % (where, address) + ("=" + names if names else "") if address else names or "?"
        if address and mapping is not None and not one(mapping, 2) <= address < one(mapping, 3):
            outside += 1
    for s in map(message, p[2]):
        stack = " ".join(frames[i] for v in s[1] for i in numbers(v))
        for name, value in zip(types, [n for v in s[2] for n in numbers(v)]):
            if value and (only is None or name.split("/")[0] in only):
                totals[name, stack] += value
    return outside


args = sys.argv[1:]
count_outside = "--outside" in args
only = args[args.index("--columns") + 1].split(",") if "--columns" in args else None
files = [a for i, a in enumerate(args) if not a.startswith("--") and (i == 0 or args[i - 1] != "--columns")]
totals = collections.Counter()
outside = sum([read(f, totals, only) for f in files])
if count_outside:
    print(outside)
else:
    for (name, stack), value in sorted(totals.items()):
        print(value, name, stack)
