#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo merge: sums, weights, directories, its account, and that a failure leaves the old output alone.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}
mk() {
	python3 tests/lib/mkpprof.py "$1"
}
# The profile as text, read with nothing of ours.
dump() {
	python3 - "$1" <<'PY'
import gzip, sys
d = gzip.open(sys.argv[1]).read()
def varint(b, i):
    n = k = 0
    while True:
        n |= (b[i] & 127) << k
        k += 7
        i += 1
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
strings = [v.decode() for k, v in fields(d) if k == 6]
types = [dict(fields(v)) for k, v in fields(d) if k == 1]
print("types", *["%s/%s" % (strings[t.get(1, 0)], strings[t.get(2, 0)]) for t in types])
functions = {}
for k, v in fields(d):
    if k == 5:
        f = dict(fields(v))
        functions[f[1]] = strings[f.get(2, 0)]
locations = {}
for k, v in fields(d):
    if k == 4:
        lines = [dict(fields(l)) for kk, l in fields(v) if kk == 4]
        f = dict(fields(v))
        locations[f[1]] = ",".join(functions[l[1]] for l in lines) if lines else hex(f.get(3, 0))
for k, v in fields(d):
    if k == 2:
        s = dict(fields(v))
        print(";".join(locations[i] for i in reversed(packed(s[1]))), *packed(s[2]))
PY
}
has() {
	dump "$1" >"$T/dump"
	grep -qxF -- "$2" "$T/dump" && ok || { no "$1 does not hold '$2':"; sed 's/^/    /' "$T/dump"; }
}
code() {
	local want=$1 got=0
	shift
	timeout 60 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || got=$?
	[ "$got" = "$want" ] && ok || { no "$*: exit $got, want $want"; sed 's/^/    /' "$T/stderr"; }
}
says() {
	grep -qE -- "$1" "$T/${2:-stderr}" && ok || { no "no /$1/ in:"; sed 's/^/    /' "$T/${2:-stderr}"; }
}

mk "$T/a.pb.gz" <<'TEXT'
type samples/count
type cpu/nanoseconds
time 1790000000
mapping 555000000000 555000010000 1000 /bin/app ab12
main;parse 2 20 host=web-1
0x555000000010;0x555000000020 1 10 host=web-1
TEXT
mk "$T/b.pb.gz" <<'TEXT'
type samples/count
type lbr_traces/count
time 1790604800
mapping 7f0000000000 7f0000010000 1000 /bin/app ab12
main;parse 3 0 host=web-2
0x7f0000000010;0x7f0000000020 5 7 host=web-2
TEXT

# sums over load addresses, and the union of the columns
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" -o "$T/ab.pb.gz"
says '^[^ ]*/ab.pb.gz: 2 profiles, 4 samples -> 2' stdout
has "$T/ab.pb.gz" "types samples/count cpu/nanoseconds lbr_traces/count"
has "$T/ab.pb.gz" "main;parse 5 20 0"
has "$T/ab.pb.gz" "0x555000000010;0x555000000020 6 10 7"
code 0 "$PGO" merge -q "$T/b.pb.gz" "$T/a.pb.gz" -o "$T/ba.pb.gz"
cmp -s "$T/ab.pb.gz" "$T/ba.pb.gz" && ok || no "the order of the inputs shows"
# Many inputs, so that threads do share them out.
mkdir "$T/many"
for n in {1..40}; do
	mk "$T/many/$n.pb.gz" <<-END
		mapping $(printf %x $((n * 4096))) $(printf %x $((n * 4096 + 65536))) 0 /bin/app aabbcc
		0x$(printf %x $((n * 4096 + 16)));0x$(printf %x $((n * 4096 + 16 * n))) $n
		main;f$((n % 7)) $((n * n))
	END
done
for threads in 1 2 3 16; do
	PGO_THREADS=$threads "$PGO" merge -q "$T/many" --half-life 7d -o "$T/threads$threads.pb.gz" &&
		cmp -s "$T/threads1.pb.gz" "$T/threads$threads.pb.gz" && ok || no "$threads threads show in the result"
done
rm -rf "$T/many"
[ -s "$T/stdout" ] && no "-q is not quiet" || ok
code 0 "$PGO" merge -q "$T/ab.pb.gz" -o "$T/again.pb.gz"
cmp -s "$T/ab.pb.gz" "$T/again.pb.gz" && ok || no "merging a merged profile changes it"

# a directory of anything, and to standard output
mkdir -p "$T/dir/deep" && cp "$T/a.pb.gz" "$T/dir/x" && cp "$T/b.pb.gz" "$T/dir/deep/y.txt" && echo note >"$T/dir/README"
code 0 "$PGO" merge -q "$T/dir" -o "$T/dir.pb.gz"
cmp -s "$T/ab.pb.gz" "$T/dir.pb.gz" && ok || no "a directory gives another result than its files"
code 0 "$PGO" merge "$T/dir" -o -
cmp -s "$T/ab.pb.gz" "$T/stdout" && ok || no "standard output holds something else than the profile"

# the same bytes twice
cp "$T/a.pb.gz" "$T/copy.pb.gz"
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" "$T/copy.pb.gz" -o "$T/out"
says 'warning: .*copy.pb.gz has the same bytes as .*a.pb.gz'
cmp -s "$T/ab.pb.gz" "$T/out" && ok || no "a copy was counted"
code 0 "$PGO" merge "$T/copy.pb.gz" "$T/b.pb.gz" "$T/a.pb.gz" -o "$T/out" --manifest "$T/m.json"
says 'warning: .* has the same bytes as '
cmp -s "$T/ab.pb.gz" "$T/out" && ok || no "a copy was counted in a plan"

# weights: a week older at a half-life of a week counts half
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" -o "$T/w.pb.gz" --half-life 7d --explain --manifest "$T/w.json"
has "$T/w.pb.gz" "main;parse 4 10 0"
says '^.*a.pb.gz .*web-1 .* 0\.500000 .*age halves it 1.00 times' stdout
says '^.*b.pb.gz .*web-2 .* 1\.000000 .*in full' stdout
python3 - "$T/w.json" "$T/w.pb.gz" <<'PY' && ok || no "the manifest is not what it should be"
import hashlib, json, sys
m = json.load(open(sys.argv[1]))
assert m["schema"] == 1 and m["kind"] == "merge" and m["weighted"] is True
assert m["digest"] == hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest()
assert m["output"] == "w.pb.gz"
w = {i["name"]: i["weight"] / m["weight_one"] for i in m["inputs"]}
assert w == {"a.pb.gz": 0.5, "b.pb.gz": 1}, w
assert all(len(i["digest"]) == 64 for i in m["inputs"])
assert [c["total"] for c in m["columns"]] == [10, 15, 7], m["columns"]
PY
grep -q "$T" "$T/w.json" && no "the manifest holds a path of this machine" || ok
code 0 "$PGO" merge "$T/a.pb.gz" "$T/b.pb.gz" -o "$T/out" --window 6d --json
python3 -c 'import json,sys; m=json.load(open(sys.argv[1])); assert [i.get("dropped") for i in sorted(m["inputs"], key=lambda i: i["name"])] == ["too old", None]' "$T/stdout" && ok || no "--window leaves nothing out"

# labels
code 0 "$PGO" merge -q "$T/a.pb.gz" -o "$T/out" --keep-labels
gzip -dc "$T/out" | grep -qa web-1 && ok || no "--keep-labels keeps none"
code 0 "$PGO" merge -q "$T/a.pb.gz" -o "$T/out"
gzip -dc "$T/out" | grep -qa web-1 && no "labels are kept unasked" || ok

# --explain alone writes nothing
code 0 "$PGO" merge --explain "$T/a.pb.gz" "$T/b.pb.gz"
says '^2 of 2 profiles, 2 hosts' stdout

# what cannot be
echo keep >"$T/keep"
mkdir "$T/none" && echo text >"$T/none/text"
code 20 "$PGO" merge "$T/none" -o "$T/keep"
says 'there is no profile in this directory'
code 3 "$PGO" merge "$T/nowhere" -o "$T/keep"
says 'nowhere.*No such file'
head -c 80 "$T/a.pb.gz" >"$T/cut.pb.gz"
code 3 "$PGO" merge "$T/b.pb.gz" "$T/cut.pb.gz" -o "$T/keep"
says 'cut.pb.gz'
code 3 "$PGO" merge "$T/none/text" -o "$T/keep"
code 2 "$PGO" merge -o "$T/keep"
code 2 "$PGO" merge "$T/a.pb.gz"
says '-o FILE'
mk "$T/zero.pb.gz" <<<'main 0'
code 20 "$PGO" merge "$T/zero.pb.gz" -o "$T/keep"
mk "$T/huge1.pb.gz" <<<'main 9223372036854775807'
mk "$T/huge2.pb.gz" <<<'main 9223372036854775806'
code 3 "$PGO" merge "$T/huge1.pb.gz" "$T/huge2.pb.gz" -o "$T/keep"
says 'samples/count.*64 bits'
code 3 "$PGO" merge "$T/a.pb.gz" -o "$T/no/such/place"
code 3 "$PGO" merge "$T/a.pb.gz" -o /dev/full
says 'No space left'
[ "$(cat "$T/keep")" = keep ] && ok || no "a failed merge wrote its output"

# addresses outside of their mapping: kept, and said
mk "$T/outside.pb.gz" <<'TEXT'
mapping 555000000000 555000010000 1000 /bin/app ab12
0x1234 5
TEXT
code 0 "$PGO" merge "$T/outside.pb.gz" -o "$T/out"
says 'warning: 1 of 1 locations lie outside'
has "$T/out" "0x1234 5"

# labels as filters
mk "$T/tags.pb.gz" <<'TEXT'
a 1 host=web-1 zone=east
a 2 host=web-2 zone=west
a 4 host=db-1 zone=east
TEXT
code 0 "$PGO" merge "$T/tags.pb.gz" -o "$T/out" --tag-focus host=web --tag-ignore west --json
says '"samples_filtered": *2' stdout
has "$T/out" "a 1"
code 0 "$PGO" merge "$T/tags.pb.gz" -o "$T/out" --tag-keep zone
has "$T/out" "a 5"
has "$T/out" "a 2"
gzip -dc "$T/out" | grep -q host && no "--tag-keep kept another label" || ok
code 2 "$PGO" merge "$T/tags.pb.gz" -o "$T/keep" --tag-focus 'host=('
says 'tag-focus: .*Unmatched'
code 20 "$PGO" merge "$T/tags.pb.gz" -o "$T/keep" --tag-focus nothing

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
