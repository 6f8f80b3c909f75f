#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo import against perf itself. perf script prints every sample of a recording; an oracle of fifty lines that knows
# nothing of ours makes traces of that text, by the rules that pgo-import(1) states, and they must be the profile's,
# one by one: for every form of the file, for the text itself, and (plain samples) for what perf records here.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
. tests/lib/fixture.sh
command -v perf >/dev/null || { echo "perf is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}

# From the text of perf script, or from a pprof: lines "COUNT MISPREDICTS END TARGET SOURCE" of traces and
# "ip COUNT PLACE ..." of stacks, sorted; a place is FILE+OFFSET.
cat >"$T/oracle.py" <<'PY'
import collections, gzip, re, sys

KERNEL = 1 << 63
MIB = 1 << 20

def from_text(path):
    maps, traces, stacks = collections.defaultdict(list), collections.Counter(), collections.Counter()
    missed = collections.Counter()
    def place(pid, addr):
        for start, size, offset, name in reversed(maps[pid]):
            if start <= addr < start + size:
                return (name, addr - start + offset)
        return "kernel" if addr >= KERNEL else "unmapped"
    def show(p):
        return "%s+%x" % p if isinstance(p, tuple) else p
    for line in open(path):
        m = re.search(r"PERF_RECORD_MMAP2? (\d+)/\d+: \[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (?:0x)?([0-9a-f]+) ?.*?\]: (\S+) (.*)", line)
        if m:
            if "x" in m[5] and m[6][:2] != "//" and (m[6][0] != "[" or m[6] == "[vdso]"):
                maps[int(m[1])].append((int(m[2], 16), int(m[3], 16), int(m[4], 16), m[6].strip()))
            continue
        m = re.match(r"\s*(\d+)\s+[\d.]+:\s+\S+:\s+([0-9a-f]+)(.*)", line)
        if not m or "PERF_RECORD" in line:
            continue
        pid, ip = int(m[1]), place(int(m[1]), int(m[2], 16))
        if isinstance(ip, tuple):
            stacks[show(ip)] += 1
        ring = [e.split("/") for e in m[3].split()]
        ring = [(place(pid, int(e[0], 16)), place(pid, int(e[1], 16)), "M" in e[2], int(e[0], 16), int(e[1], 16))
                for e in ring if len(e) > 4]
        end = waiting = None    # waiting: a return from the kernel, with the end of its run
        def emit(source, target, end, missed_):
            if end is not None and (not isinstance(target, tuple) or end[0] != target[0] or not 0 <= end[1] - target[1] <= MIB):
                end = None
            source = source if isinstance(source, tuple) else "[lbr:external]"
            target = target if isinstance(target, tuple) else "[lbr:external]"
            key = " ".join((show(end) if end else "[lbr:branch_only]", show(target), show(source)))
            traces[key] += 1
            missed[key] += missed_
        for k, (source, target, missed_, from_, to) in enumerate(ring):
            if k == 0 and len(ring) > 1 and ring[0][3:] == ring[1][3:] and from_ - to > 0x1000:
                continue
            if source == "kernel" and isinstance(target, tuple):
                if waiting:
                    emit("kernel", *waiting)
                waiting, end = (target, end, missed_), None
                continue
            if "kernel" in (source, target):
                if source == "kernel":
                    end = None
                elif waiting and isinstance(source, tuple) and waiting[0][0] == source[0] and 0 <= waiting[0][1] - source[1] <= 15:
                    end, waiting = waiting[1], None
                else:
                    if waiting:
                        emit("kernel", *waiting)
                    end, waiting = (source if isinstance(source, tuple) else None), None
                continue
            if waiting:
                emit("kernel", *waiting)
                waiting = None
            run, end = end, source if isinstance(source, tuple) else None
            if isinstance(source, tuple) or isinstance(target, tuple):
                emit(source, target, run, missed_)
        if waiting:
            emit("kernel", *waiting)
    return traces, missed, stacks

def from_pprof(path):
    data = open(path, "rb").read()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    def varint(b, i):
        n = k = 0
        while True:
            n |= (b[i] & 127) << k
            k, i = k + 7, i + 1
            if b[i - 1] < 128:
                return n, i
    def fields(b):
        i = 0
        while i < len(b):
            key, i = varint(b, i)
            if key & 7 == 0:
                v, i = varint(b, i)
            else:
                n, i = varint(b, i)
                v, i = b[i:i + n], i + n
            yield key >> 3, v
    def packed(b):
        i, out = 0, []
        while i < len(b):
            v, i = varint(b, i)
            out.append(v)
        return out
    top = collections.defaultdict(list)
    for k, v in fields(data):
        top[k].append(v)
    text = [s.decode() for s in top[6]]
    types = [text[dict(fields(t))[1]] for t in top[1]]
    mapping = {dict(fields(m))[1]: dict(fields(m)) for m in top[3]}
    function = {dict(fields(f))[1]: text[dict(fields(f))[2]] for f in top[5]}
    where = {}
    for l in top[4]:
        f = dict(fields(l))
        if 4 in f:
            where[f[1]] = function[dict(fields(f[4]))[1]]
        else:
            m = mapping[f[2]]
            where[f[1]] = "%s+%x" % (text[m[5]], f[3] - m.get(2, 0) + m.get(4, 0))
    traces, missed, stacks = collections.Counter(), collections.Counter(), collections.Counter()
    for s in top[2]:
        f = dict(fields(s))
        loc, value = [where[i] for i in packed(f[1])], dict(zip(types, packed(f[2])))
        if value.get("lbr_traces"):
            traces[" ".join(loc)] += value["lbr_traces"]
            missed[" ".join(loc)] += value["lbr_mispredicts"]
        if value["samples"]:
            stacks[loc[0]] += value["samples"]
    return traces, missed, stacks

traces, missed, stacks = (from_text if sys.argv[1] == "text" else from_pprof)(sys.argv[2])
for k in sorted(traces):
    print(traces[k], missed[k], k)
for k in sorted(stacks):
    print("ip", stacks[k], k)
PY

# Imports into one profile and says what it holds.
imported() {
	rm -rf "$T/dir"
	"$PGO" import --json --together --no-labels -o "$T/dir" "$@" >"$T/account" 2>"$T/stderr" || return
	python3 "$T/oracle.py" pprof "$T"/dir/*.pb.gz
}

forms=("" "--pipe" "--compress" "--compress --pipe --build-id mmap" "--hw-idx --save-type" "--kernel-noise 25"
	"--processes 3 --aslr 11" "--processes 2 --aslr 3 --kernel-noise 60 --compress --event cycles:u")
for form in "${forms[@]}"; do
	# shellcheck disable=SC2086
	"$B/emu/mkperf" -o "$T/x.perf" --start-time 1790000000 --max-samples 1500 $form "$FIX/app.ring" || no "mkperf $form"
	perf script -F pid,time,event,ip,brstack --show-mmap-events -i "$T/x.perf" >"$T/x.txt" 2>/dev/null
	python3 "$T/oracle.py" text "$T/x.txt" >"$T/want" || no "the oracle fails on $form"
	[ "$(grep -c -v '^ip' "$T/want")" -gt 50 ] && ok || no "the oracle finds nothing in $form"
	imported "$T/x.perf" >"$T/got" && cmp -s "$T/want" "$T/got" && ok || no "perf.data '$form' differs from perf script"
	# Entries of the text = entries read; and used + losses = read.
	python3 - "$T/x.txt" "$T/account" <<'PY' && ok || no "the account of '$form' does not add up"
import json, re, sys
n = sum(len(re.findall(r" 0x[0-9a-f]+/0x[0-9a-f]+/", line)) for line in open(sys.argv[1]))
a = json.load(open(sys.argv[2]))[0]["account"]
assert n == a["branches"] == sum(v for k, v in a.items() if k.startswith("branches_")), (n, a)
PY
	imported "$T/x.txt" >"$T/got" && cmp -s "$T/want" "$T/got" && ok || no "text of '$form' differs from perf.data"
done

# Big-endian files perf reads too, but only ours need be trusted: it is the same recording.
"$B/emu/mkperf" -o "$T/little.perf" --start-time 1790000000 --max-samples 1500 "$FIX/app.ring"
"$B/emu/mkperf" -o "$T/big.perf" --big-endian --start-time 1790000000 --max-samples 1500 "$FIX/app.ring"
imported "$T/little.perf" >"$T/want" && imported "$T/big.perf" >"$T/got" && cmp -s "$T/want" "$T/got" && ok || no "big-endian differs"

# What perf records on this machine, where it may.
real() {
	local what=$1
	shift
	if ! perf record -q -e cpu-clock:u -F 4000 "$@" -- "$FIX/app" 600 >/dev/null 2>&1; then
		echo "perf record $* is refused here; not checked"
		return
	fi
	perf script -F pid,time,event,ip --show-mmap-events -i "$T/real.data" 2>/dev/null >"$T/real.txt"
	python3 "$T/oracle.py" text "$T/real.txt" >"$T/want"
	[ -s "$T/want" ] && ok || no "the oracle finds no samples in $what"
	imported "$T/real.data" >"$T/got" && cmp -s "$T/want" "$T/got" && ok || no "$what: samples differ from perf script"
}
real "a file" -o "$T/real.data"
real "a compressed file" -z -o "$T/real.data"
real "build-ids in mappings" --buildid-mmap -o "$T/real.data"
if perf record -q -e cpu-clock:u -F 4000 -o - -- "$FIX/app" 600 >"$T/real.pipe" 2>/dev/null && [ -s "$T/real.pipe" ]; then
	perf script -F pid,time,event,ip --show-mmap-events -i "$T/real.pipe" 2>/dev/null >"$T/real.txt"
	python3 "$T/oracle.py" text "$T/real.txt" >"$T/want"
	imported - <"$T/real.pipe" >"$T/got" && cmp -s "$T/want" "$T/got" && ok || no "a pipe: samples differ from perf script"
fi
if perf record -q -e cpu-clock -g -o "$T/real.data" -- "$FIX/app" 300 >/dev/null 2>&1; then
	imported "$T/real.data" >"$T/got" && [ -s "$T/got" ] && ok || no "perf record -g: nothing imported"
fi

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
