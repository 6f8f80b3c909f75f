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
