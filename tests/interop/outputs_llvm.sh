#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every form that `pgo convert --clang-format` offers is one profile: llvm-profdata writes the same bytes, and every clang
# makes the same code of each.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need clang llvm-profdata
program quarry-clang-pie

# code CLANG OUT [PROFILE]: what the compiler makes of one file of the program; says nothing
code() {
	"$1" -std=gnu17 -O2 -g -fdebug-info-for-profiling ${3:+-fprofile-sample-use="$3"} -c tests/demo/src/qvm.c -o "$2" >"$T/said" 2>&1 &&
		[ ! -s "$T/said" ]
}

differ() {
	! cmp -s "$1" "$2"
}

# peer NAME OPTION...: llvm-profdata's file of our plain extbinary, with its options
peer() {
	local name=$1
	shift
	"${TOOL[llvm-profdata]}" merge --sample --extbinary "$@" "$T/extbinary" -o "$T/peer.$name"
}

for f in extbinary extbinary-md5 extbinary-zlib extbinary-md5-zlib text binary; do
	expect "pgo writes $f" "$PGO" convert "$DATA" --binary "$APP" --clang "$T/$f" --clang-format "$f"
	expect "pgo shows $f" "$PGO" show "$T/$f"
done
expect "hashed names take less room" below "$(stat -c %s "$T/extbinary-md5")" "$(stat -c %s "$T/extbinary")"
expect "zlib takes less room" below "$(stat -c %s "$T/extbinary-zlib")" "$(($(stat -c %s "$T/extbinary") / 2))"
peer extbinary && peer extbinary-md5 --use-md5 && peer extbinary-zlib --compress-all-sections &&
	peer extbinary-md5-zlib --use-md5 --compress-all-sections
for f in extbinary extbinary-md5 extbinary-zlib extbinary-md5-zlib; do
	expect "llvm-profdata writes the same $f, byte for byte" cmp "$T/$f" "$T/peer.$f"
done

old=$(clang_old_version)
for clang in "${TOOL[clang]}" ${old:+/usr/lib/llvm-$old/bin/clang}; do
	code "$clang" "$T/none.o"
	expect "$clang takes extbinary in silence" code "$clang" "$T/want.o" "$T/extbinary"
	expect "$clang: the profile changes the code" differ "$T/none.o" "$T/want.o"
	for f in extbinary-md5 extbinary-zlib extbinary-md5-zlib text binary; do
		# clang 14 finds hashed names in compressed sections truncated, also those that LLVM wrote.
		[ "$f" = extbinary-md5-zlib ] && [ "$clang" != "${TOOL[clang]}" ] && ! code "$clang" "$T/$f.o" "$T/peer.$f" && continue
		expect "$clang takes $f in silence" code "$clang" "$T/$f.o" "$T/$f"
		expect "$clang makes the same code of $f" cmp "$T/want.o" "$T/$f.o"
	done
done
finish
