#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Profiles that have names and lines but no addresses: refused with the option's name, converted with --allow-symbolic, and
# every sample accounted for.
set -u
. tests/lib/fixture.sh
fixture
command -v addr2line >/dev/null || { echo "addr2line is not installed"; exit 77; }
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
good=0 bad=0

check() {
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
		sed 's/^/      /' "$T/log" | tail -n 8
	fi
}

# symbolised OUT KIND: plain.pb.gz as a store that symbolises gives it back: by name and line, without addresses. KIND:
# lines; starts (the functions' first lines, everything ten lines further down); strangers (half the names are another's)
symbolised() {
	python3 - "$FIX/plain.pb.gz" "$FIX/app" "$1" "$2" <<'PY'
import gzip, subprocess, sys
src, app, out, kind = sys.argv[1:]
def fields(b):
	i = 0
	def varint():
		nonlocal i
		n = s = 0
		while True:
			c = b[i]; i += 1; n |= (c & 127) << s; s += 7
			if c < 128: return n
	while i < len(b):
		key = varint()
		if (key & 7) == 0: yield key >> 3, varint()
		else:
			n = varint(); yield key >> 3, b[i:i + n]; i += n
def ints(v):
	if isinstance(v, int): return [v]
	got, n, s = [], 0, 0
	for c in v:
		n |= (c & 127) << s; s += 7
		if c < 128: got.append(n); n = s = 0
	return got
address, samples = {}, []
for f, v in fields(gzip.decompress(open(src, "rb").read())):
	if f == 4:
		d = dict(fields(v)); address[d[1]] = d.get(3, 0)
	elif f == 2:
		loc, val = [], []
		for g, w in fields(v):
			if g == 1: loc += ints(w)
			if g == 2: val += ints(w)
		samples.append((loc[0], val[0]))
samples = [(address[l], n) for l, n in samples]
inside = sorted({a for a, _ in samples})
text = subprocess.run(["addr2line", "-e", app, "-i", "-f", "-a"] + [hex(a) for a in inside], capture_output=True, text=True, check=True).stdout.split("\n")
chain, at = {}, None
k = 0
while k < len(text) - 1:
	if text[k].startswith("0x"):
		at = int(text[k], 16); chain[at] = []; k += 1
	else:
		line = text[k + 1].split(" ")[0].rsplit(":", 1)[1]
		chain[at].append((text[k], int(line) if line.isdigit() else 0)); k += 2
first = {}
for line in subprocess.run(["readelf", "--debug-dump=info", "-W", app], capture_output=True, text=True).stdout.split("\n"):
	if "DW_TAG" in line: name, code = None, "DW_TAG_subprogram" in line
	elif "DW_AT_name" in line: name = line.split(": ")[-1].strip()
	elif "DW_AT_decl_line" in line and name and code: first.setdefault(name, int(line.split()[-1]))
def varint(n):
	o = bytearray()
	while True:
		o.append(n & 127 | (128 if n > 127 else 0)); n >>= 7
		if not n: return bytes(o)
num = lambda f, n: varint(f << 3) + varint(n) if n else b""
blob = lambda f, b: varint(f << 3 | 2) + varint(len(b)) + b
strings, functions, locations, body = {"": 0}, {}, {}, b""
s = lambda t: strings.setdefault(t, len(strings))
for a, n in samples:
	if a not in chain or chain[a][0][0] == "??": continue
	key = tuple(chain[a])
	loc = locations.setdefault(key, len(locations) + 1)
	body += blob(2, blob(1, varint(loc)) + blob(2, varint(n)))
where = 10 if kind == "starts" else 0
for key, i in locations.items():
	lines = b""
	for name, line in key:
		if kind == "strangers" and len(name) % 2: name = "stranger_" + name
		f = functions.setdefault(name, len(functions) + 1)
		lines += blob(4, num(1, f) + num(2, line + where if line else 0))
	body += blob(4, num(1, i) + num(2, 1) + lines)
for name, i in functions.items():
	start = first.get(name, 0) + where if kind == "starts" else 0
	body += blob(5, num(1, i) + num(2, s(name)) + num(3, s(name)) + num(5, start))
body = blob(1, num(1, s("samples")) + num(2, s("count"))) + blob(3, num(1, 1) + num(5, s("app")) + num(7, 1)) + body
body += b"".join(blob(6, t.encode()) for t in strings)
open(out, "wb").write(gzip.compress(body))
PY
}

says() {
	local code=$1 text=$2
	shift 2
	"$@" >"$T/said" 2>&1
	if [ $? != "$code" ] || ! grep -q -e "$text" "$T/said"; then
		cat "$T/said"
		return 1
	fi
}

# account FILE MINIMUM: converts; what was read is used or lost, at least MINIMUM of it used
account() {
	"$PGO" convert --allow-symbolic --json "$1" --binary "$FIX/app" --clang "$T/o.prof" --clang-format text --bolt "$T/o.fdata" >"$T/json" || return 1
	python3 - "$T/json" "$2" <<'PY'
import json, sys
a = json.load(open(sys.argv[1]))["account"]
p, s = a["plain"], a["symbolic"]
assert p["read"] == sum(v for k, v in p.items() if k != "read"), p
assert s["read"] == s["used"] + s["no_function"] + s["no_line"], s
assert p["used"] >= float(sys.argv[2]) * p["read"], (p, s)
print(p, s)
PY
}

# alike FILE FILE PERCENT: the functions' shares of two profiles overlap by that much; which is first may be chance
alike() {
	python3 - "$@" <<'PY'
import sys
def shares(path):
	total = {}
	for line in open(path):
		if not line.startswith(" "):
			name, n, _ = line.rsplit(":", 2); total[name] = int(n)
	return {k: v / sum(total.values()) for k, v in total.items()}
a, b = shares(sys.argv[1]), shares(sys.argv[2])
overlap = 100 * sum(min(a[k], b.get(k, 0)) for k in a)
print("%.1f %% overlap" % overlap, a, b)
sys.exit(overlap < float(sys.argv[3]))
PY
}

check "names and lines can be made of a recording" symbolised "$T/lines.pb.gz" lines
check "without the option they are refused, and it is named" says 3 --allow-symbolic "$PGO" convert "$T/lines.pb.gz" --binary "$FIX/app" --bolt "$T/o.fdata"
check "with it most samples find their instructions" account "$T/lines.pb.gz" 0.9
"$PGO" convert -q "$FIX/plain.pb.gz" --binary "$FIX/app" --clang "$T/a.prof" --clang-format text >"$T/log" 2>&1
check "the functions are as hot as by address" alike "$T/a.prof" "$T/o.prof" 60
check "llvm-bolt's file has branches" grep -q '^1 .* 1 .* 0 [1-9]' "$T/o.fdata"
check "an edit above a function does not matter" symbolised "$T/starts.pb.gz" starts
check "where the profile knows where it begins" account "$T/starts.pb.gz" 0.8
check "the functions are nearly as hot then" alike "$T/a.prof" "$T/o.prof" 45
check "names of another program" symbolised "$T/strangers.pb.gz" strangers
check "are lost under their name" account "$T/strangers.pb.gz" 0
check "and said" says 0 "not found: stranger_" "$PGO" convert --allow-symbolic "$T/strangers.pb.gz" --binary "$FIX/app" --bolt "$T/o.fdata"
check "profiles with addresses do not change" "$PGO" convert -q --allow-symbolic "$FIX/plain.pb.gz" --binary "$FIX/app" --clang "$T/b.prof" --clang-format text
check "by the option" cmp "$T/a.prof" "$T/b.prof"
echo "$good checks passed, $bad failed"
[ "$bad" = 0 ] && [ "$good" -gt 0 ]
