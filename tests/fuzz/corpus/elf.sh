#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Seeds of fuzz_elf: small linked files with every part that is read.  None without a compiler.
set -eu
out=$1
command -v gcc >/dev/null || exit 0
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cat >"$T/lib.c" <<'C'
extern int other(int);
static __attribute__((noinline)) int helper(int x) { return other(x) * 3; }
__attribute__((weak)) int feeble(int x) { return helper(x) + 1; }
int api(int x) { return feeble(x) - helper(x + 1); }
C
small="-Os -nostdlib -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,--build-id -Wl,--hash-style=gnu"
# shellcheck disable=SC2086
{
	gcc $small -shared -fPIC "$T/lib.c" -o "$out/lib.so"
	gcc $small -shared -fPIC -g -gz "$T/lib.c" -o "$out/debug.so"
	gcc $small -shared -fPIC -Wl,--emit-relocs "$T/lib.c" -o "$out/relocs.so"
	gcc $small -shared -fPIC -fcf-protection -Wl,-z,ibtplt "$T/lib.c" -o "$out/ibt.so"
	gcc $small -shared -fPIC -s "$T/lib.c" -o "$out/stripped.so"
}
if command -v objcopy >/dev/null; then
	objcopy --only-keep-debug "$out/debug.so" "$out/only.debug"
	objcopy --add-gnu-debuglink="$out/only.debug" "$out/stripped.so" "$out/linked.so"
fi
cat >"$T/switch.c" <<'C'
int weigh(unsigned n, int x) {
	switch (n) {
	case 0: return x * 7;
	case 1: return x ^ 99;
	case 2: return x / 3;
	case 3: return x << 4 | 1;
	case 4: return x - 12345;
	case 5: return ~x & 0xf0f0;
	default: return x;
	}
}
C
cat >"$T/throw.cpp" <<'C'
extern void might(int);
extern "C" int guarded(int x) { try { might(x); } catch (...) { return 1; } return x; }
C
# shellcheck disable=SC2086
for cc in gcc aarch64-linux-gnu-gcc; do
	command -v $cc >/dev/null || continue
	$cc $small -O2 -shared -fPIC "$T/switch.c" -o "$out/switch-$cc.so"
	$cc $small -O2 -shared -fPIC -Wl,-z,pac-plt "$T/lib.c" -o "$out/lib-$cc.so" 2>/dev/null || true
done
if command -v g++ >/dev/null; then
	# shellcheck disable=SC2086
	g++ $small -shared -fPIC "$T/throw.cpp" -o "$out/throw.so"
fi
