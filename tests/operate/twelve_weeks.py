#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Twelve weeks of one service, and what a careful engineer would have decided each week.

    twelve_weeks.py DIR BUILD        PGO, CC, CLANG (may be empty) from the environment

The service is a program of a dozen functions that is written anew for each release: some functions get other bodies, one
is added, one goes. Forty hosts of three kinds run it; each kind spends its time in another way, and the ways drift. What
every kind does is recorded for real (tests/emu), and each host's profile is a sample of its kind's recording: so the
truth of a week is known, namely the whole recordings, each as often as there are hosts of its kind.

Each Sunday the pipeline runs, with PGO_NOW for a clock. Then, from outside:

  * the newest line of the log is the decision that WEEKS expects, with the exit code that goes with it;
  * last-good has changed if and only if something was published, and is whole;
  * what was published has more in common with the week's truth than last-good had before (lines of the profile that
    clang would read, as shares: the sum of the smaller ones); garbage had less;
  * a result that is taken back does not come back by itself.

The text form of the profile is read here by a few lines of Python; nothing of ours is asked how good it is.
"""
import datetime
import json
import os
import random
import re
import shutil
import subprocess
import sys

PGO = os.environ["PGO"]
T, B = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
RECORD = os.path.abspath("tests/emu/record.sh")
KINDS = {"web": 20, "api": 14, "batch": 6}
FIRST = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc)  # a Monday
PERIOD = 149

# What happens in each week, what is decided, and the exit code.
WEEKS = [
    ("the first release", {}, "published", 0),
    ("a release", {"change": 2, "drift": 1}, "published", 0),
    ("a release", {"change": 2, "drift": 1}, "published", 0),
    ("garbage: rebuilt elsewhere under the same build-id, another program, halves of files",
     {"change": 1, "drift": 1, "garbage": True}, "quarantined", 11),
    ("a release", {"change": 1, "drift": 1}, "published", 0),
    ("the store is gone", {"change": 1, "drift": 1, "outage": True}, "failed", 3),
    ("one host sends sixty times as much, of its own kind of load",
     {"change": 1, "drift": 1, "dominant": True}, "published", 0),
    ("the agent runs on three hosts only", {"change": 1, "drift": 1, "hosts": 3}, "quarantined", 11),
    ("another compiler, which counts lines in its own way", {"change": 1, "drift": 1, "compiler": True}, "published", 0),
    ("the binary has another name", {"change": 1, "drift": 1, "rename": True}, "published", 0),
    ("nothing changes", {}, "suppressed", 10),
    ("a release", {"change": 2, "drift": 1}, "published", 0),
]

problems = []


def problem(text):
    problems.append(text)
    print("  PROBLEM: " + text, flush=True)


def command(*words, code=0, env=None, quiet=True):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, cwd=T,
                          env=dict(os.environ, **(env or {})))
    if code is not None and done.returncode != code:
        sys.exit("%s: exit %d\n%s%s" % (" ".join(words), done.returncode, done.stdout[-2000:], done.stderr[-2000:]))
    return done


# ---------------------------------------------------------------- the program


class Program:
    """Functions with bodies that their seeds say; a release changes seeds."""

    def __init__(self, rng):
        self.rng = rng
        self.seeds = {"handle_%s" % name: rng.randrange(1 << 30) for name in
                      "parse route auth cache render encode log search rank batch".split()}
        self.added = 0

    def change(self, n):
        for name in self.rng.sample(sorted(self.seeds), n):
            self.seeds[name] = self.rng.randrange(1 << 30)
        self.added += 1
        self.seeds["handle_feature%d" % self.added] = self.rng.randrange(1 << 30)

    def body(self, name):
        rng = random.Random(self.seeds[name])
        out = ["static unsigned %s(unsigned x, unsigned n)" % name, "{", "\tunsigned s = x, t = %uu;" % rng.randrange(1 << 16)]
        out.append("\tfor (unsigned i = 0; i < n; i++) {")
        out.append("\t\ts = s * 1664525u + 1013904223u;")
        for _ in range(rng.randint(3, 6)):
            what = rng.randrange(3)
            if what == 0:
                out += ["\t\tif ((s >> %d & 255) < %d)" % (rng.randint(8, 20), rng.randint(16, 240)),
                        "\t\t\tt ^= s >> %d;" % rng.randint(1, 9), "\t\telse", "\t\t\tt += i * %uu;" % rng.randint(3, 99)]
            elif what == 1:
                out += ["\t\tfor (unsigned k = s >> 28; k < %d; k++)" % rng.randint(14, 20), "\t\t\tt = t * 33u + k;"]
            else:
                out += ["\t\tt = (t << %d | t >> 7) ^ s;" % rng.randint(3, 11)]
        return out + ["\t}", "\treturn t;", "}", ""]

    def source(self):
        names = sorted(self.seeds)
        out = ["#include <stdio.h>", "#include <stdlib.h>", ""]
        for name in names:
            out += ["__attribute__((noinline))"] + self.body(name)
        out += ["int main(int argc, char **argv)", "{", "\tunsigned s = 1, rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 1;",
                "\tunsigned n[%d] = {0};" % len(names), "",
                "\tfor (int i = 2; i < argc && i < %d; i++)" % (len(names) + 2), "\t\tn[i - 2] = (unsigned)atoi(argv[i]);",
                "\tfor (unsigned r = 0; r < rounds; r++) {"]
        out += ["\t\ts ^= %s(s + r, n[%d]);" % (name, i) for i, name in enumerate(names)]
        return "\n".join(out + ["\t}", '\tprintf("%u\\n", s);', "\treturn 0;", "}", ""])


class Load:
    """How often a kind of host calls what: what all have in common, and twice or half as much of some of it."""

    TIMES = (2, 4, 8, 16, 32, 64)

    def __init__(self, rng):
        self.rng = rng
        self.common = {}
        self.own = {kind: {} for kind in KINDS}

    def of(self, kind, names):
        for name in names:
            if name not in self.common:
                self.common[name] = self.rng.choice(self.TIMES)
                for own in self.own.values():
                    own[name] = self.rng.choice((0.5, 1, 1, 1, 2))
        return {name: int(self.common[name] * self.own[kind][name]) for name in names}

    def drift(self):
        # Of those that take long, or nobody would see it.
        long = sorted(self.common, key=lambda name: (-self.common[name], name))[:6]
        for name in self.rng.sample(long, 3):
            now = self.common[name]
            self.common[name] = now * 2 if now == 2 or now < 64 and self.rng.random() < 0.5 else now // 2


# ---------------------------------------------------------------- a week


def build(source, out, compiler, level="-O2", build_id="sha1"):
    path = out + ".c"
    with open(path, "w") as f:
        f.write(source)
    # The same name in every directory: nothing of the place may show in the profile.
    command(compiler, level, "-g", "-Wl,--build-id=" + build_id, "-Wl,--emit-relocs", "-o", out, path)


def record(binary, program, load, kind, out, scale=1):
    names = sorted(program.seeds)
    times = load.of(kind, names)
    rounds = max(1, 120000 // sum(times[n] for n in names)) * scale
    command(RECORD, "-e", "branches", "-p", str(PERIOD), "-o", out, "--", binary, str(rounds),
            *[str(times[n]) for n in names], env={"EMU_DIR": os.path.join(B, "emu")})


def perf(ring, out, host, seed, samples, *more):
    command(os.path.join(B, "emu/mkperf"), "-o", out, "--host", host, "--aslr", str(seed), "--seed", str(seed),
            "--max-samples", str(samples), *more, ring)


def store(path, host, when, binary, where="store"):
    command(PGO, "import", "-q", path, "--host", host, "--service", "svc", "--time", when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "--binary", binary, "-o", where)


def hosts():
    return [(kind, "%s-%d" % (kind, i)) for kind in sorted(KINDS) for i in range(KINDS[kind])]


def truth(week, binary, rings):
    """The week's whole fleet as the profile that clang would read."""
    files = []
    for kind, ring in rings.items():
        files.append(os.path.join(T, "truth-%s.perf" % kind))
        perf(ring, files[-1], kind, 1, 2500, "--weight", str(KINDS[kind]))
    out = os.path.join(T, "truth-%d.prof" % week)
    shutil.rmtree(os.path.join(T, "truth"), ignore_errors=True)
    for kind, path in zip(rings, files):
        store(path, kind, FIRST, binary, "truth")
    command(PGO, "merge", "-q", "--host-cap", "0", "--half-life", "0", "--window", "0", "truth", "-o", "truth.pb.gz")
    command(PGO, "convert", "-q", "truth.pb.gz", "--binary", binary, "--clang", out, "--clang-format", "text")
    return shares(out)


def shares(path):
    """Lines of a text profile (function, place within it) with their share of all."""
    counts, stack = {}, []
    with open(path) as f:
        for line in f:
            text = line.strip()
            depth = len(line) - len(line.lstrip())
            if not text or text.startswith("!"):
                continue
            if depth == 0:
                stack = [text.split(":")[0]]
                continue
            stack = stack[:depth]
            place, _, rest = text.partition(":")
            rest = rest.strip()
            if rest[:1].isdigit():
                counts[tuple(stack) + (place,)] = counts.get(tuple(stack) + (place,), 0) + int(rest.split()[0])
            else:
                stack.append(place + rest.split(":")[0])
    total = sum(counts.values())
    return {k: v / total for k, v in counts.items()} if total else {}


def overlap(a, b):
    return sum(min(share, b[place]) for place, share in a.items() if place in b)


class Life:
    def __init__(self):
        rng = random.Random(12)
        self.program, self.load = Program(rng), Load(rng)
        self.compiler = os.environ.get("CC") or "gcc"
        self.name = "svc"
        self.binary = None
        self.rings = {}
        os.makedirs(os.path.join(T, "builds"))
        os.makedirs(os.path.join(T, "store"))

    def release(self, week, what):
        """A new build and recordings of it, unless nothing changes."""
        if week != 1 and not what:
            return
        if what.get("change"):
            self.program.change(what["change"])
        if what.get("compiler"):
            self.compiler = os.environ.get("CLANG") or self.compiler
        if what.get("rename"):
            self.name = "svc-server"
        names = sorted(self.program.seeds)
        for kind in KINDS:
            self.load.of(kind, names)
        if what.get("drift"):
            self.load.drift()
        where = os.path.join(T, "builds", "%02d" % week)
        os.makedirs(where)
        self.binary = os.path.join(where, self.name)
        build(self.program.source(), self.binary, self.compiler)
        for kind in KINDS:
            self.rings[kind] = os.path.join(T, "%s.ring" % kind)
            record(self.binary, self.program, self.load, kind, self.rings[kind])

    def day(self, week, i):
        return FIRST + datetime.timedelta(days=7 * (week - 1) + 1 + i % 5, hours=10, minutes=i)

    def collect(self, week, what):
        path = os.path.join(T, "one.perf")
        for i, (kind, host) in enumerate(hosts()):
            if what.get("hosts") and i % (len(hosts()) // what["hosts"] + 1) != 0:
                continue
            perf(self.rings[kind], path, host, week * 1000 + i, 600)
            store(path, host, self.day(week, i), self.binary)

    def dominate(self, week):
        """A host on which something else is tried out, and whose agent records all day long."""
        ring, path = os.path.join(T, "dominant.ring"), os.path.join(T, "one.perf")
        lonely = Load(random.Random(99))
        lonely.common = {n: 128 if n == "handle_log" else 2 for n in self.program.seeds}
        lonely.own["web"] = {n: 1 for n in self.program.seeds}
        record(self.binary, self.program, lonely, "web", ring)
        for i in range(60):
            perf(ring, path, "web-0", week * 1000 + 500 + i, 300)
            store(path, "web-0", self.day(week, i), self.binary)

    def garbage(self, week):
        path, wrong = os.path.join(T, "one.perf"), os.path.join(T, "wrong")
        notes = command("readelf", "-n", self.binary).stdout
        same = re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)
        os.makedirs(wrong, exist_ok=True)
        fake = os.path.join(wrong, self.name)
        build(self.program.source(), fake, self.compiler, "-O0", "0x" + same)
        ring = os.path.join(T, "wrong.ring")
        record(fake, self.program, self.load, "web", ring)
        for i, (_, host) in enumerate(hosts()):
            if i % 8 == 0:
                with open(os.path.join(T, "store", "half-%d-%s.pb.gz" % (week, host)), "wb") as f:
                    f.write(b"\x1f\x8b\x08\0\0\0\0\0\0\3" + bytes(range(i, i + 50)))
                continue
            perf(ring, path, host, week * 1000 + i, 600)
            store(path, host, self.day(week, i), fake)

    # ------------------------------------------------------------ the pipeline

    def configure(self):
        with open(os.path.join(T, "pgo.conf"), "w") as f:
            f.write("""state = "state"
target "svc" {
	sources = {"store"}
	select = {"service=\\"svc\\""}
	since = "6d"
	binary = "%s"
	older_builds = {"builds"}
	clang = "svc.prof"
	clang_format = "text"
	bolt = "svc.fdata"
	hysteresis = 0.95
}
""" % os.path.relpath(self.binary, T))

    def log(self):
        path = os.path.join(T, "state/svc/log.jsonl")
        if not os.path.exists(path):
            return []
        with open(path) as f:
            return [json.loads(line) for line in f]

    def last_good(self):
        link = os.path.join(T, "state/svc/last-good")
        return os.readlink(link).split("/")[-1] if os.path.islink(link) else None

    def profile_of(self, kind, name):
        path = os.path.join(T, "state/svc", kind, name, "svc.prof")
        return shares(path) if os.path.exists(path) else {}

    def run(self, week, what):
        self.now = (FIRST + datetime.timedelta(days=7 * week - 1, hours=22)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.configure()
        if what.get("outage"):
            os.rename(os.path.join(T, "store"), os.path.join(T, "store.gone"))
        done = command(PGO, "run", "-c", "pgo.conf", code=None, env={"PGO_NOW": self.now})
        if what.get("outage"):
            os.rename(os.path.join(T, "store.gone"), os.path.join(T, "store"))
        return done


def judge(life, week, what, expected, code, done, before, good_before, fleet):
    entry = (life.log() or [{}])[-1]
    now = life.last_good()
    decision = entry.get("decision")
    if done.returncode != code or decision != expected:
        problem("week %d: decided %s with exit %d, not %s with %d: %s %s" % (
            week, decision, done.returncode, expected, code, entry.get("reason"), done.stderr[-500:] + done.stdout[-500:]))
    if entry.get("exit") not in (None, done.returncode):
        problem("week %d: the log says exit %s" % (week, entry.get("exit")))
    if (decision == "published") != (now != before):
        problem("week %d: %s, and last-good went from %s to %s" % (week, decision, before, now))
    had = overlap(good_before, fleet)
    mine = None
    if decision == "published":
        mine = overlap(life.profile_of("published", now), fleet)
        if before is not None and mine <= had:
            problem("week %d: published %.3f, and last-good had %.3f" % (week, mine, had))
        if mine < 0.9:
            problem("week %d: published %.3f of the truth" % (week, mine))
    elif decision == "quarantined":
        mine = overlap(life.profile_of("quarantine", entry["id"]), fleet)
        if not os.path.exists(os.path.join(T, "state/svc/quarantine", entry["id"], "why.txt")):
            problem("week %d: quarantined without a reason" % week)
    print("%3d  %-12s exit %2d  truth: last-good %.3f%s  %s" % (
        week, decision, done.returncode, had, "" if mine is None else ", candidate %.3f" % mine, entry.get("reason", "")),
        flush=True)
    return mine, had


def take_back(life, before):
    """The build with the last profile is slower, an engineer finds on Monday."""
    bad = life.last_good()
    command(PGO, "rollback", "-c", "pgo.conf", "-m", "p99 is up", env={"PGO_NOW": life.now})
    if life.log()[-1]["decision"] != "rolled_back" or life.last_good() != before:
        problem("taken back: %s, last-good %s" % (life.log()[-1], life.last_good()))
    done = command(PGO, "run", "-c", "pgo.conf", code=None, env={"PGO_NOW": life.now})
    if life.last_good() != before or done.returncode == 0:
        problem("what was taken back came back: exit %d, last-good %s: %s" % (
            done.returncode, life.last_good(), done.stdout[-300:]))
    print("     rolled_back  %s; the next run ends with %d and keeps %s" % (bad, done.returncode, before), flush=True)


def main():
    life = Life()
    for week, (title, what, expected, code) in enumerate(WEEKS, 1):
        print("     -- %s" % title, flush=True)
        before = life.last_good()
        good_before = life.profile_of("published", before) if before else {}
        life.release(week, what)
        fleet = truth(week, life.binary, life.rings)
        if what.get("garbage"):
            life.garbage(week)
        else:
            life.collect(week, what)
        if what.get("dominant"):
            life.dominate(week)
        done = life.run(week, what)
        mine, had = judge(life, week, what, expected, code, done, before, good_before, fleet)
        if what.get("garbage") and mine is not None and mine >= had:
            problem("week %d: the garbage was better than last-good" % week)
    take_back(life, before)
    print("%d weeks, %d problems" % (len(WEEKS), len(problems)))
    sys.exit(1 if problems else 0)


main()
