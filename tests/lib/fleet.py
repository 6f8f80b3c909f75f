# SPDX-License-Identifier: Apache-2.0
"""Profiles of a fleet of which the truth is known: fleet.py DIR NAME=VALUE...

Writes DIR/HOST.pb for hosts PREFIX00 ... (or one file DIR/all.pb, samples labelled by host, with one=1), each with
functions f0, f1, ... of the program and g0, g1, ... of a library, and appends "file,host,start,end,requests" rows to the
file that work= names.  Deterministic: the same arguments, the same bytes.
"""
import gzip, os, random, sys


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while True:
        out.append((n & 127) | (128 if n > 127 else 0))
        n >>= 7
        if n == 0:
            return bytes(out)


def num(field, n):
    return varint(field << 3) + varint(n)


def sub(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


class Profile:
    def __init__(self, start, seconds):
        self.strings, self.ids, self.body = {"": 0}, {}, bytearray()
        self.start, self.seconds, self.functions = start, seconds, {}
        for t, u in (("samples", "count"), ("cpu", "nanoseconds")):
            self.body += sub(1, num(1, self.string(t)) + num(2, self.string(u)))
        for i, name in ((1, "/usr/bin/app"), (2, "/lib/libbase.so")):
            self.body += sub(3, num(1, i) + num(2, i << 20) + num(3, (i << 20) + 65536) + num(5, self.string(name)) + num(7, 1))

    def string(self, s):
        return self.strings.setdefault(s, len(self.strings))

    def location(self, name, mapping):
        if name not in self.functions:
            i = self.functions[name] = len(self.functions) + 1
            self.body += sub(5, num(1, i) + num(2, self.string(name)))
            self.body += sub(4, num(1, i) + num(2, mapping) + num(3, (mapping << 20) + 16 * i) + sub(4, num(1, i) + num(2, 1)))
        return self.functions[name]

    def sample(self, name, mapping, count, labels):
        loc = self.location(name, mapping)
        data = sub(1, varint(loc)) + sub(2, varint(count) + varint(count * 10000000))
        for k, v in labels.items():
            value = num(3, v) if isinstance(v, int) else num(2, self.string(v))
            data += sub(3, num(1, self.string(k)) + value)
        self.body += sub(2, data)

    def write(self, path):
        out = bytes(self.body) + b"".join(sub(6, s.encode()) for s in self.strings)
        out += num(9, self.start * 10**9) + num(10, self.seconds * 10**9)
        with open(path, "wb") as f:
            f.write(gzip.compress(out, mtime=0))


def main():
    directory = sys.argv[1]
    o = dict(a.split("=", 1) for a in sys.argv[2:])
    hosts, seed = int(o.get("hosts", 10)), o.get("seed", "1")
    change, load, samples = float(o.get("change", 0)), float(o.get("load", 1)), float(o.get("samples", 20000))
    start, seconds, spread = int(o.get("start", 1764000000)), int(o.get("seconds", 3600)), float(o.get("spread", 0.15))
    only = {k: float(v) for k, v in (p.split(":") for p in o.get("functions", "").split(",") if p)}
    os.makedirs(directory, exist_ok=True)
    rows, joint = [], Profile(start, seconds)
    for i in range(hosts):
        host = "%s%02d" % (o.get("prefix", "web"), i)
        # What a host is like does not depend on when it is looked at.
        own, now = random.Random("host" + host), random.Random(seed + host)
        level = 2.718281828 ** (spread * own.gauss(0, 1))
        requests = round(1e6 * load * 2.718281828 ** (0.1 * now.gauss(0, 1)))
        p = joint if "one" in o else Profile(start, seconds)
        for mapping, letter, total in ((1, "f", 0.8), (2, "g", 0.2)):
            for k in range(12):
                name = "%s%d" % (letter, k)
                mean = samples * level * requests / 1e6 * total * (12 - k) / 78
                if mapping == 1:
                    mean *= 1 + change + only.get(name, 0)
                n = max(0, round(mean + (2 * mean) ** 0.5 * now.gauss(0, 1)))
                if n > 0:
                    p.sample(name, mapping, n, {"host": host, "requests": requests})
        if "one" not in o:
            p.write("%s/%s.pb.gz" % (directory, host))
        rows.append("%s/%s.pb.gz,%s,%d,%d,%d" % (directory, "all" if "one" in o else host, host, start, start + seconds, requests))
    if "one" in o:
        joint.write(directory + "/all.pb.gz")
    if "work" in o:
        new = not os.path.exists(o["work"])
        with open(o["work"], "a") as f:
            f.write(("file,host,start,end,requests\n" if new else "") + "".join(r + "\n" for r in rows))


main()
