#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A program and its two shared libraries, converted in one pass: the same as one by one where there must be no
# difference (.fdata, whatever the order, found by build-id), one profile of all for the compilers, and what was not given
# named. perf2bolt agrees on every library; gcc and clang use the one profile for all three.
#
# Exit 0: all held; 77: the last line names what is missing; 1: something did not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++ clang++ perf2bolt

D=$T/d
mkdir -p "$D/lib"
cat >"$T/shared.h" <<'END'
template <class V> __attribute__((noinline)) long fold(const V *v, int n)
{
	long sum = 0;
	for (int i = 0; i < n; i++) {
		if (v[i] & 1)
			sum += v[i] * 3;
		else
			sum ^= v[i];
	}
	return sum;
}
int left_step(int), right_step(int);
int right_back(int (*)(int), int);
END
cat >"$T/left.cc" <<'END'
#include "shared.h"
static int table[64];
int left_step(int x)
{
	for (int i = 0; i < 64; i++)
		table[i] = (table[i] * 5 + x + i) & 0xffff;
	return (int)fold(table, 64);
}
END
cat >"$T/right.cc" <<'END'
#include "shared.h"
static int ring[32];
int right_step(int x)
{
	ring[x & 31] += x;
	return (int)fold(ring, 32);
}
int right_back(int (*f)(int), int n)
{
	int sum = 0;
	for (int i = 0; i < n; i++)
		sum += f(i);
	return sum;
}
END
cat >"$T/app.cc" <<'END'
#include "shared.h"
#include <cstdio>
static int twist(int x) { return x % 3 == 0 ? left_step(x) : x ^ 7; }
int main()
{
	unsigned sum = 0;
	for (int i = 0; i < 12000; i++) {
		sum += left_step(i);
		if (i % 4 == 0)
			sum += right_step(i) + right_back(twist, 5);
	}
	std::printf("%u\n", sum);
}
END

# make_all FOLDER COMPILER FLAGS...
make_all() {
	local to=$1 cxx=$2 f
	shift 2
	mkdir -p "$to/lib"
	for f in left right; do
		(cd "$T" && "$cxx" "$@" -O2 -g -fPIC -shared -Wl,--build-id -Wl,--emit-relocs $f.cc -o "$to/lib/lib$f.so") || return 1
	done
	(cd "$T" && "$cxx" "$@" -O2 -g -fPIE -pie -Wl,--build-id -Wl,--emit-relocs app.cc -o "$to/app" -L"$to/lib" -lleft -lright \
		-Wl,-rpath,"$to/lib")
}
make_all "$D" "${TOOL[g++]}" || exit 1
tests/emu/record.sh -e branches -p 797 -s 7 -o "$T/ring" -- "$D/app" >"$T/out" || exit 1
"$B/emu/mkperf" -o "$T/perf.data" "$T/ring" || exit 1
app=$D/app left=$D/lib/libleft.so right=$D/lib/libright.so

convert() { "$PGO" convert "$T/perf.data" "$@"; }

# ---------------------------------------------------------------- one pass
mkdir -p "$T"/{one,all,dir,other}
for b in "$app" "$left" "$right"; do
	n=$(basename "$b")
	expect "$n by itself" convert --binary "$b" --bolt "$T/one/$n.fdata" --clang "$T/one/$n.prof" --clang-format text
done
expect "all three" convert --binary "$app" --binary "$left" --binary "$right" --bolt "$T/all/%b.fdata" \
	--clang "$T/all/prof" --clang-format text --gcc "$T/all/afdo" --gcc-release 13
expect "in another order" convert --binary "$right" --binary "$app" --binary "$left" --bolt "$T/other/" \
	--clang "$T/other/prof" --clang-format text --gcc "$T/other/afdo" --gcc-release 13
cp -r "$D" "$T/stage"
expect "found by build-id" convert --binary-dir "$T/stage" --bolt "$T/dir" --clang "$T/dir/prof" --clang-format text \
	--gcc "$T/dir/afdo" --gcc-release 13
for n in app libleft.so libright.so; do
	expect "$n: .fdata as by itself" cmp "$T/one/$n.fdata" "$T/all/$n.fdata"
done
expect "the order makes no difference" diff -r "$T/all" "$T/other"
expect "files found are as good as files named" diff -r "$T/all" "$T/dir"

# ---------------------------------------------------------------- one profile
# body FILE FUNCTION: the lines of a function in a text profile
body() { awk -v f="$2" '/^[^ ]/ { on = index($0, f) == 1 } on' "$1"; }
sum_of() { cat "$@" | awk -F: '/^ / { n += $2 } END { print n + 0 }'; }
for f in _Z4foldIiElPKT_i _Z9left_stepi _Z10right_stepi main; do
	for n in app libleft.so libright.so; do body "$T/one/$n.prof" "$f" >"$T/$n.body"; done
	body "$T/all/prof" "$f" >"$T/all.body"
	expect "$f is in the one profile" test -s "$T/all.body"
	expect "$f: its counts are those of all binaries" test "$(sum_of "$T/all.body")" = "$(sum_of "$T"/{app,libleft.so,libright.so}.body)"
done

# ---------------------------------------------------------------- what perf2bolt makes of each
for b in "$app" "$left" "$right"; do
	n=$(basename "$b")
	mkdir -p "$T/p/$n"
	prepare "$b" "$T/p/$n"
	expect "$n: perf2bolt" "${TOOL[perf2bolt]}" -p "$T/perf.data" -o "$T/p/$n/theirs" "$b"
	fdata_edges "$T/p/$n" "$T/all/$n.fdata" "$T/p/$n/o"
	fdata_edges "$T/p/$n" "$T/p/$n/theirs" "$T/p/$n/t"
	for kind in taken through; do
		[ -s "$T/p/$n/t.$kind" ] || continue
		same=$(same_mass "$T/p/$n/o.$kind" "$T/p/$n/t.$kind")
		echo "$n $kind: $same % in common with perf2bolt"
		expect "$n: $kind as perf2bolt has them" at_least "$same" 99
	done
done

# ---------------------------------------------------------------- what is refused or missing
expect "one file cannot be two binaries' .fdata" test "$(convert --binary "$app" --binary "$left" --bolt "$T/x" 2>&1 >/dev/null | grep -c %b)" = 1
convert --binary "$app" --binary "$left" --bolt "$T/x" >/dev/null 2>&1
expect "that is a usage error" test $? = 2
expect "nothing was written" test ! -e "$T/x"
cp "$app" "$T/same"
convert --binary "$app" --binary "$T/same" --clang "$T/x" >/dev/null 2>&1
expect "one build twice is a usage error" test $? = 2
convert --binary-dir "$T/one" --clang "$T/x" >"$T/said" 2>&1
expect "a directory without the binaries is an error" test $? = 3
expect "it says so" grep 'no file there has a build-id' "$T/said"
convert --binary "$app" --clang "$T/x" --json >"$T/only.json" 2>/dev/null
id=$(readelf -n "$left" | sed -n 's/.*Build ID: //p')
expect "the libraries are named with their share" python3 - "$T/only.json" "$id" <<'END'
import json, sys
a = json.load(open(sys.argv[1]))["account"]
m = {x["build_id"]: x for x in a["missing"]}
assert m[sys.argv[2]]["name"].endswith("libleft.so"), m
assert a["missing"][0]["build_id"] == sys.argv[2]
b = a["branches"]
assert b["read"] == b["used"] + sum(v for k, v in b.items() if k not in ("read", "used"))
assert sum(x["count"] for x in a["missing"]) <= b["other_binary"]
END
convert --binary "$app" --binary "$left" --binary "$right" --clang "$T/x" --json >"$T/three.json" 2>/dev/null
expect "the account of each adds up, and they do to the sum" python3 - "$T/three.json" <<'END'
import json, sys
a = json.load(open(sys.argv[1]))["account"]
assert [b["name"] for b in a["binaries"]] == ["app", "libleft.so", "libright.so"]
for b in a["binaries"] + [a]:
    for kind in "branches", "ranges", "plain":
        f = b[kind]
        assert f["read"] == f["used"] + sum(v for k, v in f.items() if k not in ("read", "used")), (b["name"], f)
        assert f["read"] == a[kind]["read"]
for key in "executions", "no_line", "instructions_hit":
    assert a[key] == sum(b[key] for b in a["binaries"]), key
assert a["ranges"]["used"] == sum(b["ranges"]["used"] for b in a["binaries"])
# a branch between two of them is used by both
assert a["branches"]["used"] < sum(b["branches"]["used"] for b in a["binaries"])
END

# ---------------------------------------------------------------- the compilers
expect "clang builds all three with the one profile" make_all "$T/clang" "${TOOL[clang++]}" -fprofile-sample-use="$T/all/prof"
expect "gcc builds all three with the one profile" make_all "$T/gcc" "${TOOL[g++]}" -fauto-profile="$T/all/afdo"
for c in clang gcc; do
	"$T/$c/app" >"$T/$c.out"
	expect "$c: the program does the same" cmp "$T/out" "$T/$c.out"
done
finish
