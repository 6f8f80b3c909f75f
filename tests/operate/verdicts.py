# SPDX-License-Identifier: Apache-2.0
"""Verdicts for tests of their views: verdicts.py KIND prints one as JSON.

typical   a service in C++: hundreds of functions with long template names, gates of every verdict
empty     nothing was found, and there are no gates
hostile   names that try to leave the document they stand in
large     as much as fits: 20,000 findings and nodes
"""
import json
import random
import sys

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "</title></style><script>window.pwned = 1</script>",
    "\" onmouseover=\"window.pwned = 1",
    "' autofocus onfocus='window.pwned = 1",
    "<!--<script>",
    "]]><x/>&amp;&#0;&nosuch;",
    "a|b*c_d`e`[f](javascript:alert(1))![g](h)~~i~~@someone #1 $x$",
    "\x1b[31mred\x1b[0m\x07\x08\x01",
    "left\u202eright\u2066x\u200b",
    "line\nbreak\ttab\rback",
    "\u2028separator\u2029",
    "${process.env}{{constructor}}%s%n",
    "日本語の関数<テンプレート>",
    "x" * 5000,
    "",
]


def template(rnd, deep=0):
    base = ["std::vector", "std::map", "absl::flat_hash_map", "boost::intrusive::rbtree", "folly::Function", "std::tuple", "std::variant"]
    leaf = ["int", "char const*", "std::string", "unsigned long", "app::Row const&", "double"]
    if deep > 3 or rnd.random() < .35:
        return rnd.choice(leaf)
    return rnd.choice(base) + "<" + ", ".join(template(rnd, deep + 1) for _ in range(rnd.randint(1, 3))) + ">"


def function(rnd, i):
    spaces = ["app::query", "app::storage::lsm", "net::http2", "json", "(anonymous namespace)", "protobuf::internal"]
    verbs = ["parse", "insert", "lookup", "compact", "encode", "decode", "hash", "merge", "visit", "flush", "compare"]
    nouns = ["Row", "Block", "Frame", "Key", "Varint", "Table", "Page", "Header", "Token"]
    name = rnd.choice(spaces) + "::" + rnd.choice(verbs) + rnd.choice(nouns)
    if i % 3 == 0:
        name += "<" + template(rnd) + ">"
    return name + ("(" + ", ".join(template(rnd, 2) for _ in range(rnd.randint(0, 4))) + ")" if i % 2 else "") + (f"#{i}" if i % 7 == 0 else "")


def finding(rnd, name, before):
    kind = rnd.choices(["unchanged", "improved", "regressed", "unclear", "moved"], [50, 22, 3, 15, 10])[0]
    change = {"unchanged": rnd.gauss(0, .01), "improved": -abs(rnd.gauss(.12, .06)) - .05, "regressed": abs(rnd.gauss(.1, .05)) + .05,
              "unclear": rnd.gauss(0, .08), "moved": rnd.choice([None, -1, .7])}[kind]
    half = rnd.uniform(.01, .05)
    after = before * (1 + change) if change is not None else before
    return {
        "name": name, "verdict": kind, "before": 0 if change is None else before, "after": after, "change": change,
        "low": None if change is None else change - half, "high": None if change is None else change + half,
        "p": .00001 if kind in ("improved", "regressed") else rnd.random(), "q": .0001 if kind in ("improved", "regressed") else rnd.random(),
        "rank_p": rnd.random(), "exact": False, "samples_before": int(before * 4e6), "samples_after": int(after * 4e6), "group": None,
    }


def gate(name, verdict, value, warn, fail, unit, above, why, source="default"):
    return {"name": name, "verdict": verdict, "value": value, "unit": unit, "warn": warn, "fail": fail, "above": above, "source": source, "why": why}


def tree(rnd, names, size):
    """Nodes in depth-first order, [parent, name, before, after]; each no less than its children together."""
    nodes = [[-1, len(names), 1, .93]]

    def grow(parent, depth, before, after):
        here = len(nodes)
        nodes.append([parent, rnd.randrange(len(names)), round(before, 6), round(after, 6)])
        if depth > 38 or len(nodes) >= size or before + after < .0006:
            return
        left_b, left_a = before * rnd.uniform(.75, .99), after * rnd.uniform(.75, .99)
        for _ in range(rnd.choice([1, 1, 2, 2, 3, 4])):
            part = rnd.uniform(.2, .9)
            b, a = left_b * part, left_a * part * rnd.uniform(.7, 1.15)
            a = min(a, left_a)
            if rnd.random() < .03:
                b = 0
            grow(here, depth + 1, b, a)
            left_b, left_a = left_b - b, left_a - a

    grow(0, 1, .62, .57)
    grow(0, 1, .38, .36)
    return {"called": True, "pruned": 0, "names": names + ["all"], "nodes": nodes}


def verdict(kind):
    rnd = random.Random(7)
    count = {"typical": 340, "empty": 0, "hostile": len(HOSTILE), "large": 20000}[kind]
    names = HOSTILE if kind == "hostile" else [function(rnd, i) for i in range(count)]
    names = list(dict.fromkeys(names))
    weights = sorted((rnd.paretovariate(1.1) for _ in names), reverse=True)
    whole = sum(weights) or 1
    findings = [finding(rnd, n, .97 * w / whole) for n, w in zip(names, weights)]
    if kind == "hostile":
        for f, v in zip(findings, ["regressed", "improved", "moved", "unclear", "unchanged"] * 5):
            f["verdict"] = v
    v = {
        "schema": 2, "kind": "verdict",
        "sentence": "CPU per request -6.1 % (95 % CI -7.0 to -5.2), 50 + 50 hosts, 3 days concurrent, paired by host, minimum detectable 0.8 %, "
                    "A/A false positives 4.9 %",
        "outcome": "win",
        "design": {"name": "paired", "replicate": "host", "unit": "cpu/nanoseconds", "per": "request", "basis": "work", "causal": True, "concurrent": True,
                   "hosts_before": 50, "hosts_after": 50, "hosts_both": 50, "days_before": 3, "days_after": 3,
                   "notes": ["2 of 52 hosts have profiles on one side only and are left out.", "Work units are known for 148 of 150 profiles."]},
        "total": {"change": -.061, "low": -.07, "high": -.052, "p": 1e-9, "rank_p": 2e-9, "before": 4.31e6, "after": 4.05e6,
                  "t": {"low": -.0695, "high": -.0525}, "bootstrap": {"low": -.07, "high": -.052, "rounds": 10000},
                  "minimum_detectable": .008, "hosts_needed": 33, "days_needed": 2, "needed_for": .01},
        "calibration": {"valid": True, "splits": 1000, "nominal": .05, "false_positives": .049, "low": .037, "high": .064},
        "money": {"cores": 12000, "cores_saved": 732, "cores_low": 624, "cores_high": 840, "price": .021, "saved_a_year": 134660.0, "saved_low": 114793,
                  "saved_high": 154526},
        "work": {"rows": 148, "rows_used": 148, "rows_unmatched": 0, "rows_zero": 0, "profiles": 150, "profiles_with": 148, "profiles_without": 2},
        "before": {"profiles": 150, "replicates": 50, "samples": 4310221, "unmatched": .004, "unnamed": .0012},
        "after": {"profiles": 150, "replicates": 50, "samples": 4051221, "unmatched": .006, "unnamed": .0011},
        "overlap": .943, "design_effect": 2.1, "design_effect_assumed": False,
        "findings": findings, "findings_not_listed": 4107,
        "verdicts": {k: sum(f["verdict"] == k for f in findings) for k in ("unchanged", "regressed", "improved", "moved", "unclear")},
        "groups": [{"id": "g1", "verdict": "unchanged", "members": names[3:7], "before": .051, "after": .0505, "change": -.0098, "low": -.03, "high": .011,
                    "p": .4, "q": .6}],
        "layout": {"before": {"records": 910221, "runs": 901002, "taken_per_1000": 148.2, "run_instructions": 6.75, "run_bytes": 41.2, "mispredicts": .031,
                              "lines": {"50": 212, "90": 2210, "99": 9120, "99.9": 15200}, "small_pages": {"50": 31, "90": 190, "99": 702, "99.9": 1012}},
                   "after": {"records": 902154, "runs": 899120, "taken_per_1000": 96.8, "run_instructions": 10.3, "run_bytes": 66.9, "mispredicts": .029,
                             "lines": {"50": 160, "90": 1500, "99": 6100, "99.9": 11000}, "small_pages": {"50": 9, "90": 44, "99": 160, "99.9": 420}}},
        "applied": {"result": "applied", "sentence": "The profile was applied: 92.1 % of what it counts is in code that changed.", "shares_of": "profile",
                    "same": .031, "straight": .022, "changed": .921, "inlined": .019, "gone": .007,
                    "before": {"name": "app", "option": "", "bolt": "", "units": 120, "units_told": 0, "functions": 4120, "text": 1900233, "hot": 410221,
                               "cold_parts": 12, "cold_bytes": 3310, "hot_section": 0, "cold_section": 20113},
                    "after": {"name": "app", "option": "-fauto-profile=app.afdo", "bolt": "", "units": 120, "units_told": 118, "functions": 3988,
                              "text": 1950233, "hot": 360221, "cold_parts": 612, "cold_bytes": 203310, "hot_section": 512000, "cold_section": 220113},
                    "functions": [{"name": n, "share": .2 / (i + 1), "before": 640 + i, "after": 700 - i, "same": i == 3} for i, n in enumerate(names[:15])],
                    "gates": [gate("applied", "pass", 92.1, 50, 10, "%", False, "Of what the profile counts.")]},
        "staleness": {"functions_stale": 17, "mass_stale": .012},
        "gates": [
            gate("mapped", "pass", 99.4, 99, 95, "%", False, "99.4 % of the samples belong to the program."),
            gate("overlap_functions", "warn", 87.2, 90, 50, "%", False,
                 "87.2 % of the cost is where it was in last-good; look at what moved with pgo explain.", "history of 7 (median - 3 MAD)"),
            gate("hosts", "pass", 50, 30, 5, "hosts", False, "50 hosts, as if 48.2 of equal weight."),
            gate("dominance", "fail", 53.1, 20, 50, "%", True, "One host, web-17, has 53.1 % of the mass: cap hosts with host_cap in pgo.conf.", "pgo.conf"),
            gate("acceptance", "skipped", None, None, None, "", True, "There is no compiler here to try the profile with."),
        ],
        "fail_if": [{"gate": "regression>2%", "value": .31, "verdict": "pass"}], "failed": False,
        "calltree": tree(rnd, names, {"typical": 3000, "hostile": 60, "large": 20000}[kind]) if names else {"names": [], "nodes": []},
    }
    if kind == "empty":
        v.update(sentence="No effect shown: CPU per profile +0.2 % (95 % CI -1.9 to +2.3), 3 + 3 profiles", outcome="no_effect_shown", gates=[], fail_if=[], groups=[],
                 layout=None, applied=None, staleness=None, money=None, work=None, calltree=None, overlap=1)
        v["total"].update(change=.002, low=-.019, high=.023)
        v["design"].update(name="before-after", replicate="profile", causal=False, concurrent=False, notes=[])
        v["calibration"] = {"valid": False, "why": "fewer than 8 replicates"}
    if kind == "hostile":
        v["sentence"] = HOSTILE[0] + " " + HOSTILE[6] + HOSTILE[7]
        v["outcome"] = "loss"
        v["gates"] = [gate(n, "fail", 1, 2, 3, n[:9], False, n, n) for n in HOSTILE]
        v["design"]["notes"] = HOSTILE
        v["design"]["unit"] = HOSTILE[2]
        v["groups"][0]["members"] = HOSTILE
        v["applied"] = {"sentence": HOSTILE[0], "after": {"option": HOSTILE[1], "bolt": HOSTILE[2], "functions": 1}, "changed": 1,
                        "functions": [{"name": n, "share": .1} for n in HOSTILE], "gates": [gate(HOSTILE[7], "fail", 1, 2, 3, HOSTILE[8], False, HOSTILE[0])]}
        v["staleness"] = {n: n for n in HOSTILE if n}
        v["layout"] = {"before": {n: 1 for n in HOSTILE}, "after": {n: 2 for n in HOSTILE}}
    return v


if __name__ == "__main__":
    json.dump(verdict(sys.argv[1]), sys.stdout, ensure_ascii=False)
