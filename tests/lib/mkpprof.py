#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pprof from a few lines on standard input, written without any code of ours.

    mkpprof.py OUT < TEXT

    type cpu/nanoseconds                  in order; none = samples/count
    time 1790000000                       seconds
    duration 30                           seconds
    period 10000 cpu/nanoseconds
    mapping 1000 5000 200 /bin/app abcd   START LIMIT OFFSET (hex) FILE BUILD-ID [f: has_functions]
    main;parse 12                         frames root first, then the values
    0x1234;0x1250=f 3 40 host=web-1       addresses lie in the first mapping that holds them
"""
import gzip
import sys


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if n == 0:
            return bytes(out)


def num(field, n):
    return varint(field << 3) + varint(n) if n else b""


def blob(field, body):
    return varint(field << 3 | 2) + varint(len(body)) + body


strings = {"": 0}


def s(text):
    return strings.setdefault(text, len(strings))


types, maps, samples, locations, functions, time, duration, period = [], [], [], {}, {}, 0, 0, None
for line in sys.stdin.read().splitlines():
    word = line.split()
    if not word or word[0].startswith("#"):
        continue
    if word[0] == "type":
        types.append(tuple(word[1].split("/")))
    elif word[0] == "time":
        time = int(word[1]) * 10**9
    elif word[0] == "duration":
        duration = int(word[1]) * 10**9
    elif word[0] == "period":
        period = (int(word[1]), *word[2].split("/"))
    elif word[0] == "mapping":
        maps.append((int(word[1], 16), int(word[2], 16), int(word[3], 16), word[4], word[5], word[6:] == ["f"]))
    else:
        stack = [locations.setdefault(f, len(locations) + 1) for f in reversed(word[0].split(";"))]
        values = [int(w) for w in word[1:] if "=" not in w]
        labels = [w.split("=", 1) for w in word[1:] if "=" in w]
        samples.append((stack, values, labels))
types = types or [("samples", "count")]

out = [blob(1, num(1, s(t)) + num(2, s(u))) for t, u in types]
for stack, values, labels in samples:
    body = blob(1, b"".join(map(varint, stack))) + blob(2, b"".join(map(varint, values)))
    out.append(blob(2, body + b"".join(blob(3, num(1, s(k)) + num(2, s(v))) for k, v in labels)))
for i, (start, limit, offset, name, build, has) in enumerate(maps, 1):
    head = num(1, i) + num(2, start) + num(3, limit) + num(4, offset)
    out.append(blob(3, head + num(5, s(name)) + num(6, s(build)) + num(7, int(has))))
for frame, i in locations.items():
    if frame.startswith("0x"):
        addr, _, name = frame.partition("=")
        addr = int(addr, 16)
        line = b""
        if name:
            line = blob(4, num(1, functions.setdefault(name, len(functions) + 1)) + num(2, 1))
        inside = [k for k, m in enumerate(maps, 1) if m[0] <= addr < m[1]]
        out.append(blob(4, num(1, i) + num(2, inside[0] if inside else 1 if maps else 0) + num(3, addr) + line))
    else:
        f = functions.setdefault(frame, len(functions) + 1)
        out.append(blob(4, num(1, i) + blob(4, num(1, f) + num(2, 1))))
for name, i in functions.items():
    out.append(blob(5, num(1, i) + num(2, s(name)) + num(3, s(name))))
out.append(num(9, time) + num(10, duration))
if period:
    out.append(blob(11, num(1, s(period[1])) + num(2, s(period[2]))) + num(12, period[0]))
for text in strings:
    out.append(blob(6, text.encode()))
with open(sys.argv[1], "wb") as f:
    f.write(gzip.compress(b"".join(out), mtime=0))
