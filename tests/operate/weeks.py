# SPDX-License-Identifier: Apache-2.0
"""weeks.py DIRECTORY [hostile]: a state directory of twelve weekly results of 40 hosts, written by hand, and DIRECTORY/pgo.conf for it.

Week 8 is in quarantine; hosts 30 to 39 join in week 6; host 7 stops in week 9.  hostile: names of hosts, functions and reasons that try to leave
the page.
"""
import datetime
import json
import os
import random
import sys

from verdicts import HOSTILE, function, gate

START = datetime.datetime(2026, 8, 31, 3, tzinfo=datetime.timezone.utc)  # a Monday


def stamp(t):
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def manifest(rnd, week, when, names, hosts, bad):
    plan, mass = [], {}
    for h, host in enumerate(hosts):
        for day in range(1, 22):
            if (h >= 30 and week < 6) or (h == 7 and week >= 9) or (h * 5 + day + week) % 4 == 0:
                continue
            at = when - datetime.timedelta(days=day)
            dropped = "older than the window of 14.0 d" if day > 14 else "not like the others" if h == 3 and day == 5 else None
            plan.append({"name": f"{host}-{day}", "host": host, "time_ns": int(at.timestamp()) * 10**9, "weight": 0 if dropped else 1000, "blend": False,
                         "why": "left out: " + dropped if dropped else "in full"})
            if not dropped:
                mass[host] = mass.get(host, 0) + rnd.randint(900, 1100) * (400 if bad and h == 0 else 1)
    plan.append({"name": "last", "host": "", "time_ns": 0, "weight": 250, "blend": True, "why": "the result before"})
    whole = sum(mass.values())
    weights = [rnd.uniform(.8, 1.2) / (k + 1) for k in range(len(names))]
    shares = sorted(((w / sum(weights) * .97, n) for w, n in zip(weights, names)), reverse=True)[:20]
    used, other = 4_000_000 + rnd.randrange(10**6), 90_000 + rnd.randrange(10**4)
    return {
        "schema": 2, "kind": "manifest", "tool": "pgo 0.1.0", "target": "app", "time": stamp(when), "binary": "app", "build_id": "00" * 20,
        "merged": {"file": "merged.pb.gz", "sha256": "0" * 64, "bytes": 1},
        "weights": {"kept": sum(p["weight"] == 1000 for p in plan), "hosts": len(mass), "effective_hosts": 1.2 if bad else len(mass) * .97,
                    "dominance": max(mass.values()) / whole, "days": 14,
                    "by_host": [{"host": h, "unit": "cpu/nanoseconds", "profiles": 1, "weighted_mass": m, "share": m / whole} for h, m in mass.items()]},
        "plan": plan,
        "account": {"functions": 900, "functions_hot": 212, "density": 61.5 + week, "mapped_share": .98,
                    "branches": {"read": used + other + 1234, "used": used, "other_binary": other, "no_mapping": 1234, "erased_address": 0},
                    "ranges": {"read": used, "used": used - 99, "backward": 99},
                    "plain": {"read": 0, "used": 0},
                    "hottest": [{"name": n, "executions": int(s * 10**8), "share": s} for s, n in shares]},
        "outputs": [{"kind": "gcc", "path": "out/app.afdo", "file": "app.afdo", "sha256": "ab" * 32, "bytes": 812345 + week}],
        "gates": [
            gate("mapped", "pass", 98 + rnd.random(), 97, 95, "%", False, "Nearly all counts belong to the program."),
            gate("hosts", "warn" if bad else "pass", 1.2 if bad else len(mass) * .97, 30, 5, "hosts", False, "Hosts as good as equal ones."),
            gate("dominance", "fail" if bad else "pass", 100 * max(mass.values()) / whole, 20, 50, "%", True, "The largest host's part of the mass.", "pgo.conf"),
            gate("overlap_functions", "pass", 95 + rnd.random() * 3, 90, 50, "%", False, "In common with the result before."),
            gate("stale", "pass", 2 + rnd.random() + week / 3, 20, 60, "%", True, "Code that changed since it was recorded."),
            gate("flips", "skipped" if week < 3 else "pass", None if week < 3 else .4, 2, 5, "%", True, "Functions hot, cold and hot again."),
        ],
    }


def main():
    place, rnd = sys.argv[1], random.Random(11)
    hostile = sys.argv[2:] == ["hostile"]
    state = f"{place}/state/app"
    names = [n for n in HOSTILE if n and "\0" not in n][:14] if hostile else [function(rnd, i) for i in range(40)]
    hosts = names[:9] if hostile else [f"web-{h:02}.eu-west" for h in range(40)]
    os.makedirs(state + "/published")
    os.makedirs(state + "/quarantine")
    log, last = [], ""
    for week in range(12):
        when, bad = START + datetime.timedelta(weeks=week), week == 8
        entry = when.strftime("%Y%m%d-") + f"{week:012x}"
        where = f"{state}/{'quarantine' if bad else 'published'}/{entry}"
        os.makedirs(where)
        m = manifest(rnd, week, when, names, hosts, bad)
        m["id"] = entry
        for name, what in (("manifest.json", m), ("gates.json", {"schema": 1, "kind": "gates", "gates": m["gates"]})):
            with open(f"{where}/{name}", "w", encoding="utf-8") as f:
                json.dump(what, f)
        last = last if bad else entry
        reason = HOSTILE[week] if hostile else "gate dominance: the largest host has 91.2 % of the mass" if bad else "all gates passed"
        log.append({"v": 1, "seq": week + 1, "time": stamp(when), "target": "app", "decision": "quarantined" if bad else "published", "id": entry,
                    "last_good": last, "reason": reason, "exit": 11 if bad else 0, "tool": "pgo 0.1.0", "by": "run"})
    os.symlink("published/" + last, state + "/last-good")
    with open(state + "/format", "w", encoding="utf-8") as f:
        f.write("2\n")
    with open(state + "/log.jsonl", "w", encoding="utf-8") as f:
        f.writelines(json.dumps(e, ensure_ascii=False) + "\n" for e in log)
    with open(place + "/pgo.conf", "w", encoding="utf-8") as f:
        f.write('state = "state"\ntarget "app" {\n\tsources = {"store"}\n\tbinary = "app"\n\tgcc = "out/app.afdo"\n}\n'
                'target "never" {\n\tsources = {"store"}\n\tbinary = "app"\n\tgcc = "out/never.afdo"\n}\n')


main()
