#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo plan, merge --plan --shard, merge --worker, reduce, finish: one digest, that of one machine, whatever the number
# of shards, the tree and the memory; and what is lost, doubled, cut off, foreign or killed is told or mended.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
unset JOB_COMPLETION_INDEX SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_COUNT SLURM_ARRAY_TASK_STEP

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}
code() {
	local want=$1 got=0
	shift
	timeout 120 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || got=$?
	[ "$got" = "$want" ] && ok || { no "$*: exit $got, want $want"; sed 's/^/    /' "$T/stderr"; }
}
says() {
	grep -qF -- "$1" "$T/stderr" && ok || { no "no message '$1':"; sed 's/^/    /' "$T/stderr"; }
}
same() {
	cmp -s "$1" "$2" && ok || no "$1 and $2 differ"
}
cd "$T" || exit 1

# ---- a fleet: hosts, days, two kinds of columns, one profile without samples, one file twice

python3 - <<'PY'
import gzip, os, random, sys
random.seed(7)
def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)
def field(num, v):
    if isinstance(v, int):
        return varint(num << 3) + varint(v)
    return varint(num << 3 | 2) + varint(len(v)) + v
def packed(num, values):
    return field(num, b"".join(map(varint, values)))
def profile(k, empty=False):
    strings = [""]
    def s(text):
        if text not in strings:
            strings.append(text)
        return strings.index(text)
    base = 0x550000000000 + random.randrange(1000) * 4096
    cpu = k % 3 != 0
    b = field(1, field(1, s("samples")) + field(2, s("count")))
    if cpu:
        b += field(1, field(1, s("cpu")) + field(2, s("nanoseconds")))
    for i in range(0 if empty else 60):
        deep = random.randrange(1, 12)
        locs = [random.randrange(1, 200) for _ in range(deep)] + [201, 202]
        n = random.randrange(1, 50)
        b += field(2, packed(1, locs) + packed(2, [n, n * 10000] if cpu else [n])
                   + field(3, field(1, s("host")) + field(2, s("host-%d" % (k % 5)))))
    b += field(3, field(1, 1) + field(2, base) + field(3, base + 0x100000) + field(5, s("/usr/bin/app"))
               + field(6, s("aabb%02d" % (k % 2))))
    for i in range(1, 203):
        b += field(4, field(1, i) + field(2, 1) + field(3, base + i * 16)
                   + (field(4, field(1, i % 7 + 1) + field(2, i)) if i % 4 == 0 else b""))
    for i in range(1, 8):
        b += field(5, field(1, i) + field(2, s("f%d" % i)) + field(4, s("a.c")))
    tail = field(9, (1763600000 + k * 40000) * 10**9) + field(10, 10**10)
    tail += field(11, field(1, s("cpu")) + field(2, s("nanoseconds"))) + field(12, 10000)
    for text in strings:
        b += field(6, text.encode())
    return gzip.compress(b + tail, mtime=0)
os.mkdir("raw")
for k in range(24):
    open("raw/%02d.pb.gz" % k, "wb").write(profile(k, k == 11))
open("raw/twin.pb.gz", "wb").write(open("raw/03.pb.gz", "rb").read())
PY

# ---- one digest

shard_all() { # PLAN N PREFIX [OPTION...]
	local plan=$1 n=$2 prefix=$3 i
	shift 3
	for ((i = n; i >= 1; i--)); do # never in their order
		"$PGO" merge -q --plan "$plan" --shard "$i/$n" -o "$prefix.$i" "$@" || return 1
	done
}
rounds=0
for options in "" "--keep-labels --half-life 3d --host-cap 1.5" "--tag-focus host=host-[123]"; do
	# shellcheck disable=SC2086
	PGO_THREADS=1 "$PGO" merge -q raw $options -o one.pb.gz 2>/dev/null || no "pgo merge $options"
	# shellcheck disable=SC2086
	PGO_THREADS=2 "$PGO" merge -q --memory 2M raw $options -o small.pb.gz 2>/dev/null
	same one.pb.gz small.pb.gz
	for n in 1 2 3 7 16 40; do
		rounds=$((rounds + 1))
		rm -f p.*
		# shellcheck disable=SC2086
		"$PGO" plan -q raw $options --shards $n -o plan.json 2>/dev/null || no "pgo plan $options --shards $n"
		PGO_THREADS=$((n % 2 + 1)) shard_all plan.json $n p || no "shards of $n"
		PGO_THREADS=1 "$PGO" finish -q p.* -o sharded.pb.gz || no "pgo finish of $n"
		same one.pb.gz sharded.pb.gz
		# A tree, with one of them twice, and small memory.
		"$PGO" reduce -q --memory 1M p.1 -o r.left && "$PGO" reduce -q p.* r.left -o r.all || no "pgo reduce of $n"
		"$PGO" reduce -q --text r.left r.all -o - >r.txt || no "pgo reduce --text"
		PGO_THREADS=2 "$PGO" finish -q r.txt p.1 -o tree.pb.gz || no "pgo finish of a tree"
		same one.pb.gz tree.pb.gz
	done
done
[ $rounds = 18 ] && ok || no "$rounds rounds"

"$PGO" plan -q raw --shards 3 -o a.json 2>/dev/null
printf '%s\0' raw/[0-9]* raw/twin.pb.gz | sort -rz | xargs -0 "$PGO" plan -q --shards 3 -o b.json 2>/dev/null
same a.json b.json
python3 -c 'import json
p = json.load(open("a.json"))
assert p["kind"] == "plan" and p["shards"] == 3, p
assert sorted({f["shard"] for f in p["files"]}) in ([1, 2, 3], [0, 1, 2, 3])
assert all(i["why"] for f in p["files"] for i in f["inputs"])
sizes = [sum(f["bytes"] for f in p["files"] if f["shard"] == s) for s in (1, 2, 3)]
assert max(sizes) < 1.5 * min(sizes), sizes' && ok || no "the plan is not what it should be"

# ---- which shard: the environments of tasks

rm -f p.* q.*
shard_all a.json 3 p
"$PGO" merge -q raw -o one.pb.gz 2>/dev/null
for i in 0 1 2; do
	JOB_COMPLETION_INDEX=$i "$PGO" merge -q --plan a.json --shard auto -o q.$((i + 1)) || no "index $i"
	same p.$((i + 1)) q.$((i + 1))
	SLURM_ARRAY_TASK_ID=$((10 + 2 * i)) SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=2 SLURM_ARRAY_TASK_COUNT=3 \
		"$PGO" merge -q --plan a.json --shard auto -o q.$((i + 1)) || no "task $i"
	same p.$((i + 1)) q.$((i + 1))
	"$PGO" merge -q --plan a.json --shard $((i + 1)) -o q.$((i + 1))
	same p.$((i + 1)) q.$((i + 1))
done
code 2 "$PGO" merge --plan a.json --shard auto -o x
says "none of JOB_COMPLETION_INDEX"
code 2 env SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_COUNT=1 "$PGO" merge --plan a.json --shard auto -o x
says "the array has 1 tasks, the plan 3 shards"
code 2 env JOB_COMPLETION_INDEX=3 "$PGO" merge --plan a.json --shard auto -o x
code 2 "$PGO" merge --plan a.json --shard 0/3 -o x
code 2 "$PGO" merge --plan a.json --shard 1/4 -o x
says "the plan has 3 shards"
code 2 "$PGO" merge --plan a.json --shard 1/3 --keep-labels -o x
says "settled by pgo plan"
code 2 "$PGO" merge --plan a.json --shard 1/3 raw -o x
[ ! -e x ] && ok || no "something was written"

# ---- faults

code 3 "$PGO" finish p.1 p.3 -o x
says "1 of 3 shards are missing: 2"
code 0 "$PGO" finish --allow-missing p.1 p.3 -o x
says "1 of 3 shards are missing: 2"
rm -f x
"$PGO" plan -q raw --shards 2 -o other.json 2>/dev/null
"$PGO" merge -q --plan other.json --shard 1 -o o.1
code 3 "$PGO" finish p.1 p.2 p.3 o.1 -o x
says "two plans"
"$PGO" reduce -q p.1 p.2 -o r.12
"$PGO" reduce -q p.2 p.3 -o r.23
code 3 "$PGO" reduce r.12 r.23 -o x
says "it can be neither added nor left out"
code 0 "$PGO" finish r.12 r.23 p.3 p.1 -o y.pb.gz
same one.pb.gz y.pb.gz
head -c 1000 p.2 >cut.part
code 3 "$PGO" finish p.1 cut.part p.3 -o x
says "cut.part"
gzip -dc p.2 | head -c 1500 | gzip >cut.part
code 3 "$PGO" finish p.1 cut.part p.3 -o x
says "cut off"
gzip -dc p.2 | python3 -c 'import sys
b = bytearray(sys.stdin.buffer.read())
b[-50] ^= 1
sys.stdout.buffer.write(b)' >flipped.part
gzip flipped.part && mv flipped.part.gz flipped.part
code 3 "$PGO" finish p.1 flipped.part p.3 -o x
says "flipped.part"
gzip -dc p.2 | python3 -c 'import sys
b = bytearray(sys.stdin.buffer.read())
b[8] = 9
sys.stdout.buffer.write(b)' | gzip >new.part
code 3 "$PGO" finish p.1 new.part p.3 -o x
says "is a partial of version 9"
gzip -dc p.2 | sed 's/pgo 0\./pgo 9./' | gzip >tool.part
code 3 "$PGO" finish p.1 tool.part p.3 -o x
says "made by pgo 9."
code 3 "$PGO" finish one.pb.gz -o x
says "is no partial"
head -n 3 a.json >cut.json
code 3 "$PGO" merge --plan cut.json --shard 1 -o x
says "cut off"
sed 's/"schema":1/"schema":2/' a.json >new.json
code 3 "$PGO" merge --plan new.json --shard 1 -o x
says "schema 2"
code 3 "$PGO" merge --plan raw/00.pb.gz --shard 1 -o x
says "no plan"
first=$(python3 -c 'import json; print([f["path"] for f in json.load(open("a.json"))["files"] if f["shard"] == 2][0])')
cp "$first" kept && cp raw/01.pb.gz "$first"
[ "$first" != raw/01.pb.gz ] || cp raw/02.pb.gz "$first"
code 3 "$PGO" merge --plan a.json --shard 2 -o x
says "is not the file that was planned"
rm "$first"
code 3 "$PGO" merge --plan a.json --shard 2 -o x
mv kept "$first"
[ ! -e x ] && ok || no "something was written"

# ---- killed and run again: nothing half done is left, and the old file stays

cp p.2 before
for delay in 0 0.002 0.005 0.01 0.02; do
	"$PGO" merge -q --plan a.json --shard 2 -o p.2 &
	sleep $delay
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	same p.2 before
	"$PGO" reduce -q p.1 p.2 p.3 -o r.killed &
	sleep $delay
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	[ ! -e r.killed ] || "$PGO" finish -q r.killed -o y.pb.gz || no "half a partial is there"
done
"$PGO" merge -q --plan a.json --shard 2 -o p.2 && "$PGO" reduce -q p.1 p.2 p.3 -o r.killed && "$PGO" finish -q r.killed -o y.pb.gz
same one.pb.gz y.pb.gz

# ---- no room for what does not fit into memory

if [ -e /dev/full ]; then
	code 3 env TMPDIR=/proc "$PGO" merge --memory 1 raw -o y.pb.gz
	says "give more --memory"
	same one.pb.gz y.pb.gz
fi

# ---- a worker that moves lines

printf 'raw/%02d.pb.gz\n' $(seq 0 23) | "$PGO" merge --worker --batch 5 >lines || no "worker"
[ "$(grep -c '^pgo-partial 1 ' lines)" = 5 ] && ok || no "$(grep -c . lines) lines for 5 batches"
code 0 "$PGO" finish lines -o y.pb.gz
same one.pb.gz y.pb.gz
shuf --random-source=raw/05.pb.gz lines | "$PGO" reduce --text - -o - | "$PGO" finish -q - -o y.pb.gz
same one.pb.gz y.pb.gz
# Hadoop gives the offset and a tab; the same task may run twice; a task may get nothing.
{
	printf '0\tfile://%s/raw/00.pb.gz\n22\traw/01.pb.gz\n' "$T" | "$PGO" merge --worker
	printf '0\traw/00.pb.gz\r\n22\traw/01.pb.gz\n' | "$PGO" merge --worker
	"$PGO" merge --worker </dev/null
	printf 'raw/%02d.pb.gz\n' $(seq 2 23) | "$PGO" merge --worker
} >lines
code 0 "$PGO" finish lines -o y.pb.gz
same one.pb.gz y.pb.gz
"$PGO" merge -q raw --half-life 2d -o weighted.pb.gz 2>/dev/null
"$PGO" plan -q raw --half-life 2d -o w.json 2>/dev/null
printf 'raw/%02d.pb.gz\n' $(seq 0 23) | "$PGO" merge -q --worker --plan w.json --batch 7 >lines
code 0 "$PGO" finish lines -o y.pb.gz
same weighted.pb.gz y.pb.gz
head -n 2 lines >fewer
code 3 "$PGO" finish fewer -o x
got=0
echo s3://bucket/x | "$PGO" merge --worker >/dev/null 2>"$T/stderr" || got=$?
[ $got = 2 ] && ok || no "a name that is no file: exit $got"
says "pgo fetch"

# ---- the account

code 0 "$PGO" finish p.1 p.2 p.3 -o y.pb.gz --manifest m.json
python3 - <<'PY' && ok || no "the account is not what it should be"
import hashlib, json
m = json.load(open("m.json"))
assert m["digest"] == hashlib.sha256(open("y.pb.gz", "rb").read()).hexdigest()
assert m["shards"] == m["shards_of_plan"] == 3 and m["inputs"] == m["inputs_of_plan"] == 24, m
assert m["hosts"] >= 5 and 1 < m["effective_hosts"] <= m["hosts"] and m["days"] > 5, m
a = m["account"]
assert a["profiles"] == 24 and a["samples_in"] == 23 * 60 and a["samples_out"] > 0, a
PY

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
