#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks a run in one place after another and looks at what is left.

    campaign.py faults DIR SHIM [--all] [--step K]    each file system call fails in turn
    campaign.py kills DIR SHIM COUNT                  killed COUNT times, half by call, half by the clock

DIR has "before/", a directory with a configuration pgo.conf and everything it names below it, and may have "command":
the words after `pgo` (default: run -q -c pgo.conf), "recover": the same for what is run after the fault (default: the
command), and "now", the time. PGO names the program.

A straight run of a copy of before/ says what has to come out. For each place: a fresh copy, the command with the fault,
then these must hold:

  whole        what last-good points to is complete: every output and the merged profile have the digests that its
               manifest states; and it is the one before the run, or the one after it
  outputs      each file that the configuration names is the one before or the one after, byte for byte
  sentence     the exit code is not 0, 10 or 11 unless all came out as it should; then one line on standard error names
               the file, or its directory, and why
  log          every line of the log of decisions is one JSON object, but for the last one of a run that was killed
  recovery     the command without a fault: exit code of a straight run (or 10: it had been done), same last-good, same
               outputs, no temporary file left

Prints counts and the first offences; exit code 1 if there were any.
"""
import collections
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

ERRORS = ["ENOSPC", "EIO", "EROFS", "EDQUOT"]
REASON = {"ENOSPC": "No space left", "EIO": "Input/output error", "EROFS": "Read-only", "EDQUOT": "quota"}
TEMPORARY = re.compile(r"^\.(.+)\.[A-Za-z0-9]{6}\.tmp$")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def words(path, default):
    if not os.path.exists(path):
        return default
    with open(path) as f:
        return f.read().split()


class Case:
    """One directory to break, and what a straight run makes of it."""

    def __init__(self, directory, shim):
        self.dir, self.shim = directory, shim
        self.before = os.path.join(directory, "before")
        self.work = os.path.join(directory, "work")
        self.command = words(os.path.join(directory, "command"), ["run", "-q", "-c", "pgo.conf"])
        self.recover = words(os.path.join(directory, "recover"), self.command)
        os.environ.update(zip(["PGO_NOW"], words(os.path.join(directory, "now"), [])))
        with open(os.path.join(self.before, "pgo.conf")) as f:
            conf = f.read()
        self.state = re.search(r'state = "([^"]*)"', conf).group(1) + "/" + re.search(r'target "([^"]*)"', conf).group(1)
        self.names = re.findall(r'^\s*(?:gcc|clang|bolt) = "([^"]*)"', conf, re.M)
        self.offences = []
        self.counts = collections.Counter()
        self.old = self.look(self.before)
        self.fresh()
        trace = os.path.join(directory, "trace")
        started = time.monotonic()
        self.code, said, self.calls = self.run(self.command, {"FAULT_TRACE": trace}, trace)
        self.seconds = time.monotonic() - started
        self.new = self.look(self.work)
        if self.code not in (0, 10, 11):
            sys.exit("a straight run ends with %d: %s" % (self.code, said))

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.before, self.work, symlinks=True)

    def run(self, command, env, trace):
        """Exit code, what was said, the traced calls."""
        if os.path.exists(trace):
            os.unlink(trace)
        done = subprocess.run([os.environ["PGO"]] + command, cwd=self.work, stdin=subprocess.DEVNULL, timeout=120,
                              capture_output=True, text=True, env=dict(os.environ, LD_PRELOAD=self.shim, **env))
        calls = []
        if os.path.exists(trace):
            with open(trace) as f:
                calls = f.read().splitlines()
        return done.returncode, done.stderr, calls

    def look(self, root):
        """What is there: id of last-good, digests of the outputs at their places."""
        link = os.path.join(root, self.state, "last-good")
        there = {"last-good": os.path.basename(os.readlink(link)) if os.path.islink(link) else None}
        for name in self.names:
            path = os.path.join(root, name)
            there[name] = digest(path) if os.path.exists(path) else None
        return there

    def offend(self, where, what):
        self.offences.append("%s: %s" % (where, what))

    def check_whole(self, where):
        link = os.path.join(self.work, self.state, "last-good")
        if not os.path.islink(link):
            if self.old["last-good"] is not None:
                self.offend(where, "last-good is gone")
            return
        at = os.path.join(os.path.dirname(link), os.readlink(link))
        if os.path.basename(at) not in (self.old["last-good"], self.new["last-good"]):
            self.offend(where, "last-good is %s, neither the old nor the new one" % at)
        try:
            with open(os.path.join(at, "manifest.json")) as f:
                manifest = json.load(f)
            stated = {os.path.basename(o["path"]): o["sha256"] for o in manifest["outputs"]}
            for name in self.names:
                if digest(os.path.join(at, os.path.basename(name))) != stated[os.path.basename(name)]:
                    self.offend(where, "%s of last-good is not what its manifest says" % name)
            if digest(os.path.join(at, "merged.pb.gz")) != manifest["merged"]["sha256"]:
                self.offend(where, "the merged profile of last-good is not what its manifest says")
        except (OSError, ValueError, KeyError, TypeError) as e:
            self.offend(where, "last-good is not complete: %r" % e)

    def check_outputs(self, where):
        now = self.look(self.work)
        for name in self.names:
            if now[name] not in (self.old[name], self.new[name]):
                self.offend(where, "%s is neither the old nor the new one" % name)

    def check_log(self, where, killed):
        path = os.path.join(self.work, self.state, "log.jsonl")
        if not os.path.exists(path):
            return
        with open(path, "rb") as f:
            lines = f.read().split(b"\n")
        if lines.pop() != b"" and not killed:
            self.offend(where, "the log ends in half a line")
        for i, line in enumerate(lines):
            try:
                json.loads(line)
            except ValueError:
                self.offend(where, "line %d of the log: %r" % (i + 1, line[:80]))

    def check_sentence(self, where, code, said, paths, fault):
        if code in (0, 10, 11):
            if code != self.code or self.look(self.work) != self.new:
                self.offend(where, "exit %d, but it is not what a straight run makes" % code)
            self.counts["did not matter"] += 1
            return
        self.counts["refused"] += 1
        lines = [line for line in said.splitlines() if "warning:" not in line and "note:" not in line]
        shown = set()
        for path in paths:
            m = TEMPORARY.match(os.path.basename(path))
            shown.add(m.group(1) if m else os.path.basename(path))
            above = os.path.dirname(path)
            shown.add(os.path.basename(above))
            # Of what is removed as a whole, the whole.
            shown.add(os.path.basename(os.path.dirname(above)) if "candidate." in above else "")
        shown.discard("")
        if not any(x in line for line in lines for x in shown) or REASON[fault] not in said:
            self.offend(where, "does not name %s and why: %r" % (" or ".join(shown), said))

    def check_recovery(self, where):
        trace = os.path.join(self.dir, "trace")
        code, said, _ = self.run(self.recover, {"FAULT_TRACE": trace}, trace)
        if code not in ((self.code, 10) if self.recover == self.command else (0, 10, 11)):
            self.offend(where, "the next run ends with %d: %s" % (code, said))
        now = self.look(self.work)
        allowed = [self.new] if self.recover == self.command else [self.new, self.old]
        if now not in allowed:
            self.offend(where, "the next run makes %s, a straight one %s" % (now, self.new))
        self.check_whole(where + ", next run")
        self.check_log(where + ", next run", False)
        for root, dirs, files in os.walk(self.work):
            for name in dirs + files:
                if TEMPORARY.match(name) or os.path.basename(root) == ".tmp":
                    self.offend(where, "left behind: %s" % os.path.relpath(os.path.join(root, name), self.work))

    def check_after(self, where, killed):
        self.check_whole(where)
        self.check_outputs(where)
        self.check_log(where, killed)
        self.check_recovery(where)

    def strike(self, at, fault, extra=None):
        self.fresh()
        trace = os.path.join(self.dir, "trace")
        env = {"FAULT_AT": str(at), "FAULT": fault, "FAULT_TRACE": trace}
        code, said, calls = self.run(self.command, dict(env, **(extra or {})), trace)
        struck = [c for c in calls if c.endswith(" struck")]
        self.counts["places"] += 1
        if not struck:
            self.counts["ended before"] += 1
            self.check_after("call %d (not reached)" % at, False)
            return
        _, call, path = struck[0][:-7].split(" ", 2)
        path = path.split("\t")[-1]
        self.counts["%s %s" % (fault, call)] += 1
        where = "call %d, %s %s of %s" % (at, fault, call, os.path.relpath(path, self.work) if path[0] == "/" else path)
        if fault in ("KILL", "TORN"):
            if code != -9:
                self.offend(where, "exit %d instead of being killed" % code)
        elif fault == "SHORT":
            if code != self.code:
                self.offend(where, "half a write that went well ends with %d: %s" % (code, said))
        else:
            self.check_sentence(where, code, said, [x for c in struck for x in c[:-7].split(" ", 2)[2].split("\t")], fault)
        self.check_after(where, fault in ("KILL", "TORN"))

    def kill_after(self, seconds):
        self.fresh()
        child = subprocess.Popen([os.environ["PGO"]] + self.command, cwd=self.work, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        child.kill()
        code = child.wait()
        self.counts["places"] += 1
        self.counts["killed by the clock" if code == -9 else "ended before"] += 1
        self.check_after("killed after %.1f ms" % (seconds * 1e3), True)
        return code == -9

    def finish(self, what):
        kinds = collections.Counter()
        for name, n in self.counts.items():
            if " " in name and name.split()[0] in ERRORS + ["SHORT", "KILL", "TORN"]:
                kinds[name.split()[1]] += n
                kinds[name.split()[0]] += n
        print("%s: %d calls in a straight run, %d places: %s; %s" % (
            what, len(self.calls), self.counts["places"],
            ", ".join("%d %s" % (self.counts[k], k) for k in
                      ("refused", "did not matter", "killed by the clock", "ended before") if self.counts[k]),
            ", ".join("%s %d" % x for x in sorted(kinds.items()))))
        for line in self.offences[:15]:
            print("  " + line)
        if len(self.offences) > 15:
            print("  ... and %d more" % (len(self.offences) - 15))
        sys.exit(1 if self.offences or not self.counts["places"] else 0)


def faults(case, every, step):
    n = len(case.calls)
    for at in range(1, n + 1, step):
        for fault in ERRORS if every else [ERRORS[at % 4]]:
            case.strike(at, fault)
        # A disk that is full stays full.
        if every or at % 3 == 0:
            case.strike(at, "ENOSPC", {"FAULT_STICKY": "1"})
        if case.calls[at - 1].split(" ")[1] == "write":
            case.strike(at, "SHORT")
    case.finish("faults in %s" % os.path.basename(case.dir))


def kills(case, count):
    rng = random.Random(8)
    by_call = count // 2
    for i in range(by_call):
        at = 1 + i * len(case.calls) // by_call if by_call > len(case.calls) else rng.randint(1, len(case.calls))
        case.strike(at, ("KILL", "TORN")[i % 2])
    # A run may take less time than the first one did: then the moments move forward until enough have met it.
    scale, met = case.seconds, 0
    for _ in range(4 * count):
        if met == count - by_call:
            break
        if case.kill_after(rng.random() * scale):
            met += 1
        else:
            scale *= 0.95
    if met < count - by_call:
        case.offend("kills by the clock", "only %d of %d met a run" % (met, count - by_call))
    case.finish("kills in %s" % os.path.basename(case.dir))


def main():
    what, case = sys.argv[1], Case(os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3]))
    rest = sys.argv[4:]
    if what == "faults":
        faults(case, "--all" in rest, int(rest[rest.index("--step") + 1]) if "--step" in rest else 1)
    else:
        kills(case, int(rest[0]))


main()
