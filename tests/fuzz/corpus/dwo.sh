#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Seeds of fuzz_dwo: split debug information of DWARF 4 and 5, by itself and packed.  None without a compiler.
set -eu
out=$1
command -v gcc >/dev/null || exit 0
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T"
printf 'int twice(int x) { return x * 2; }\n' >a.c
printf 'static inline int half(int x) { return x / 2; }\nint other(int x) { return half(x) + half(x + 1); }\n' >b.c
for v in 4 5; do
	gcc -O2 -gdwarf-$v -gsplit-dwarf -c a.c b.c
	cp a.dwo "$out/a$v.dwo"
	cp b.dwo "$out/b$v.dwo"
	# binutils' does not know DWARF 5
	[ $v = 5 ] || ! command -v dwp >/dev/null || dwp a.dwo b.dwo -o "$out/both$v.dwp"
	for dwp in /usr/lib/llvm-*/bin/llvm-dwp; do
		[ ! -x "$dwp" ] || "$dwp" a.dwo b.dwo -o "$out/llvm$v.dwp" 2>/dev/null || true
	done
done
