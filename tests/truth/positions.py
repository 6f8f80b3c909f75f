#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Source positions: what a profile by line should say, and how near one comes.

    positions.py exact clang|gcc SYMBOLIZER BINARY INSNS CALLS   the exact profile, as LLVM's text format
    positions.py overlap [-a ALIASES] EXACT FORM FILE [...]   FORM llvm (text), gcov (dump_gcov's text) or show (pgo show --all)

INSNS, CALLS and ALIASES are what `truth insns` and the like print. The lines, the inline chains and the discriminators come from
llvm-symbolizer, which shares no code with pgo. The rules are those of the consumers. A position is worth its most executed
instruction, with clang times the duplication factor in the discriminator; the copies of a function that several objects have
are added up. A call's position is worth at least the sum of its targets. Totals are instructions by their size. Lines 0 and
functions without a line are nobody's. Where gcc split a function (.part) and inlined it back, it is one again: the compiler
reads the profile before it splits. Entries of parts are none of a function.

`overlap` prints "positions P targets T heads H": the sums of the smaller shares, per cent. For gcc 12 and the formats that it
reads discriminators are left out, the largest count of a line counts (what gcc up to 12 does with them).
"""
import json
import re
import subprocess
import sys

COUNT = re.compile(r"^(\d+)((?: +.+:\d+)*)$")


def component(value):
    """One component of clang's discriminator and the rest."""
    if value & 1:
        return 0, value >> 1
    if value & 0x40:
        return (value >> 1 & 0x1f) | (value >> 7 & 0x7f) << 5, value >> 14
    return value >> 1 & 0x1f, value >> 7


def discriminator(raw, clang):
    if not clang or raw == 0:
        return raw, 1
    base, rest = component(raw)
    factor = component(rest)[0] if rest else 0
    return base, factor or 1


ALIAS = {}


def read_aliases(path):
    """Functions that the compiler or the linker folded into one: any of their names is right."""
    for line in open(path):
        name, other = (one_name(n) for n in line.split())
        if name != other:
            ALIAS[name] = ALIAS.get(other, other)


def one_name(name):
    """What the compiler looks up; of the constructors and destructors of one body, one."""
    name = re.sub(r"(?<=[CD])[14](?=[EI])", "2", name.split(".")[0] if not name.startswith(".") else name)
    return ALIAS.get(name, name)


class Function:
    def __init__(self):
        self.total = 0
        self.head = 0
        self.counts = {}
        self.targets = {}
        self.inlined = {}

    def add(self, other, how):
        self.total += other.total
        for loc, n in other.counts.items():
            self.counts[loc] = how(self.counts.get(loc, 0), n)
        for loc, targets in other.targets.items():
            mine = self.targets.setdefault(loc, {})
            for name, n in targets.items():
                mine[name] = mine.get(name, 0) + n
        for key, f in other.inlined.items():
            self.inlined.setdefault(key, Function()).add(f, how)

    def text(self, name, out, depth=0):
        pad = " " * depth
        out.append("%s%s:%d%s" % (pad, name, self.total, ":%d" % self.head if depth == 0 else ""))
        for loc in sorted(set(self.counts) | set(self.targets)):
            targets = self.targets.get(loc, {})
            n = max(self.counts.get(loc, 0), sum(targets.values()))
            out.append("%s %s: %d%s" % (pad, place(loc), n, "".join(
                " %s:%d" % t for t in sorted(targets.items(), key=lambda t: (-t[1], t[0])))))
        for (loc, callee), f in sorted(self.inlined.items()):
            inner = []
            f.text(callee, inner, depth + 1)
            out.append(pad + " %s: %s" % (place(loc), inner[0].lstrip()))
            out.extend(inner[1:])


def place(loc):
    return "%d.%d" % loc if loc[1] else "%d" % loc[0]


def symbolize(tool, binary, addrs):
    """For each address its frames, innermost first: (function, line, first line, discriminator)."""
    run = subprocess.run([tool, "--obj=" + binary, "--functions=linkage", "--inlines", "--no-demangle", "--output-style=JSON"],
                         input="".join("0x%x\n" % a for a in addrs), capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        yield [(f["FunctionName"], f["Line"], f["StartLine"], f.get("Discriminator", 0))
               for f in json.loads(line).get("Symbol", [])]


def is_part(frames, k):
    """Did the function of frame k inline itself at its own first line? Then the frame before it says all."""
    return k > 0 and frames[k - 1][0] == frames[k][0] and frames[k][1] == frames[k][2]


def exact(compiler, tool, binary, insns_path, calls_path):
    clang = compiler == "clang"
    insns = []
    for line in open(insns_path):
        addr, size, n, start, symbol = line.split()
        part = ".cold" in symbol or ".part." in symbol
        insns.append((int(addr, 16), int(size), int(n), 0 if part else int(start, 16)))
    calls, heads, parts = {}, {}, set()
    for line in open(calls_path):
        source, to, n, symbol = line.split()
        if ".cold" in symbol:
            continue
        if ".part." in symbol:
            parts.add(int(to, 16))
        heads[int(to, 16)] = heads.get(int(to, 16), 0) + int(n)
        if source != "-":
            calls.setdefault(int(source, 16), []).append((int(to, 16), int(n)))
    entries = sorted(heads)
    entry_name = {}
    for addr, frames in zip(entries, symbolize(tool, binary, entries)):
        if frames and frames[-1][2]:
            entry_name[addr] = one_name(frames[-1][0])
    copies = {}
    for (addr, size, n, copy), frames in zip(insns, symbolize(tool, binary, [i[0] for i in insns])):
        if not frames or any(not line or not start for _, line, start, _ in frames):
            continue
        if not clang:
            frames = [f for k, f in enumerate(frames) if not is_part(frames, k)]
        f = copies.setdefault(one_name(frames[-1][0]), {}).setdefault(copy, Function())
        f.total += n * size
        for k in range(len(frames) - 1, 0, -1):
            _, line, start, disc = frames[k]
            loc = ((line - start) & 0xffff, discriminator(disc, clang)[0])
            f = f.inlined.setdefault((loc, one_name(frames[k - 1][0])), Function())
            f.total += n * size
        _, line, start, disc = frames[0]
        base, factor = discriminator(disc, clang)
        loc = ((line - start) & 0xffff, base)
        f.counts[loc] = max(f.counts.get(loc, 0), n * factor)
        for to, times in calls.get(addr, ()):
            if to in entry_name and not (to in parts and entry_name[to] == one_name(frames[0][0])):
                t = f.targets.setdefault(loc, {})
                t[entry_name[to]] = t.get(entry_name[to], 0) + times
    top = {}
    for name, of in copies.items():
        top[name] = Function()
        for copy, f in sorted(of.items(), reverse=True):
            top[name].add(f, max if copy == 0 else int.__add__)
    for addr, name in entry_name.items():
        if name in top and addr not in parts:
            top[name].head += heads[addr]
    out = []
    for name, f in sorted(top.items(), key=lambda i: (-i[1].total, i[0])):
        f.text(name, out)
    print("\n".join(out))


def load(form, path):
    """(positions, targets, heads): keys are text, (inline chain, line, discriminator)."""
    pos, targets, heads, chain = {}, {}, {}, []
    step, first = (1, 0) if form == "llvm" else (2, 0) if form == "gcov" else (2, 1)
    for line in open(path, errors="surrogateescape"):
        line = line.rstrip("\n")
        text = line.strip()
        if not text or text[0] == "!":
            continue
        depth = (len(line) - len(line.lstrip(" "))) // step - first
        if depth < 0:
            continue
        if depth == 0:
            head = re.match(r"^(.*?)(?:: total \d+, head | total:\d+ head:|:\d+:)(\d+)$", text)
            if not head:
                continue
            chain = [one_name(head.group(1))]
            heads[chain[0]] = heads.get(chain[0], 0) + int(head.group(2))
            continue
        at = re.match(r"^(\d+(?:\.\d+)?): (.*)$", text)
        if not at or not chain:
            continue
        loc, rest = at.groups()
        del chain[depth:]
        count = COUNT.match(rest)
        if count:
            if int(float(loc)) >= 32768 or any(int(c.split("@")[0].split(".")[0]) >= 32768 for c in chain[1:]):
                continue
            key = ("/".join(chain), loc)
            n = int(count.group(1))
            if n:
                pos[key] = max(pos.get(key, 0), n)
            for t in count.group(2).split():
                name, times = t.rsplit(":", 1)
                k = key + (one_name(name),)
                targets[k] = targets.get(k, 0) + int(times)
        else:
            name = re.sub(r"(, total \d+| total:\d+|:\d+)$", "", re.sub(r"^inlined ", "", rest))
            chain.append(loc + "@" + one_name(name))
    return pos, targets, heads


def collapse(profile):
    pos, targets, heads = {}, {}, profile[2]

    def plain(key):
        return re.sub(r"(\d+)\.\d+@", r"\1@", key[0]), key[1].split(".")[0]
    for key, n in profile[0].items():
        pos[plain(key)] = max(pos.get(plain(key), 0), n)
    for key, n in profile[1].items():
        k = plain(key) + key[2:]
        targets[k] = targets.get(k, 0) + n
    return pos, targets, heads


def shares(a, b):
    all_a, all_b = sum(a.values()), sum(b.values())
    if not all_a or not all_b:
        return 0.0
    return 100 * sum(min(n / all_a, b[k] / all_b) for k, n in a.items() if k in b)


def differences(a, b, what):
    all_a, all_b = max(sum(a.values()), 1), max(sum(b.values()), 1)
    worst = sorted(((abs(a.get(k, 0) / all_a - b.get(k, 0) / all_b), k) for k in set(a) | set(b)), reverse=True)
    for _, k in worst[:12]:
        print("# %s exact %.0f file %.0f ppm: %s" % (what, 1e6 * a.get(k, 0) / all_a, 1e6 * b.get(k, 0) / all_b, " ".join(k)),
              file=sys.stderr)


def main():
    if sys.argv[1] == "exact":
        exact(*sys.argv[2:7])
        return
    args = sys.argv[2:]
    if args[0] == "-a":
        read_aliases(args[1])
        args = args[2:]
    truth = load("llvm", args[0])
    details = "-v" in sys.argv
    args = [a for a in args[1:] if a != "-v"]
    for form, path in zip(args[::2], args[1::2]):
        one = load(form, path)
        want = truth
        if form != "llvm":
            one, want = collapse(one), collapse(truth)
        print("positions %.3f targets %.3f heads %.3f %s" % (*(shares(w, o) for w, o in zip(want, one)), path))
        if details:
            differences(want[0], one[0], "position")
            differences(want[1], one[1], "target")


main()
