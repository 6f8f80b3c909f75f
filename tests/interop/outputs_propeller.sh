#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang and lld lay functions out by our clusters: the rebuilt program does the same work with far fewer taken branches, for
# the newest clang and the oldest, whose maps of blocks differ; both versions of the file give the same program; llvm-readobj
# knows the same blocks.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need clang ld.lld llvm-readobj

# rebuild NAME COMPILER CLUSTERS [ORDER]: quarry with our clusters, linked by lld
rebuild() {
	local cc cxx
	read -r cc cxx < <(compiler_of "$2")
	build quarry "$cc" "$cxx" "$T/$1" -O2 -fPIE -pie -Qunused-arguments --ld-path="${TOOL[ld.lld]}" \
		-fbasic-block-sections=list="$3" ${4:+-Wl,--symbol-ordering-file="$4" -Wl,--no-warn-symbol-ordering}
}

# ids FILE: block ids of each function, sorted, by name
ids() {
	awk '/^f / { f = $2; next } /^c/ { n = split($0, a, " "); for (i = 2; i <= n; i++) print f, a[i] }' "$1" | sort
}

# known APP: every block of the map as llvm-readobj reads it: NAME ID
known() {
	"${TOOL[llvm-readobj]}" --bb-addr-map "$1" | awk '$1 == "Name:" { f = $2 } $1 == "ID:" { print f, $2 }' | sort -u
}

refused() {
	"$PGO" convert "$@" --propeller "$T/none" >"$T/said" 2>&1
	[ $? = 3 ] && [ ! -e "$T/none" ] && cat "$T/said" && grep -q -- '-fbasic-block-address-map' "$T/said"
}

for compiler in clang clangold; do
	have_compiler "$compiler" || continue
	program "quarry-$compiler-bbmap"
	expect "$compiler: pgo writes the clusters of version 0" "$PGO" convert "$DATA" --binary "$APP" --propeller "$T/v0" \
		--propeller-order "$T/order"
	expect "$compiler: and of version 1" "$PGO" convert "$DATA" --binary "$APP" --propeller "$T/v1" --propeller-version 1
	expect "$compiler: both versions say the same" cmp <(sed '1d; s/^f /!/; s/^c /!!/; /^![^!]/s, ,/,g' "$T/v1") "$T/v0"
	expect "$compiler: pgo shows them" "$PGO" show "$T/v0" "$T/v1"
	known "$APP" >"$T/known"
	expect "$compiler: there are many blocks" at_least "$(ids "$T/v1" | wc -l)" 500
	expect "$compiler: llvm-readobj knows every block that we list" silent <(ids "$T/v1" | comm -23 - "$T/known")
	expect "$compiler: rebuilds with them" rebuild "$compiler" "$compiler" "$T/v0" "$T/order"
	counted "$APP" quarry "$T/plain"
	counted "$T/$compiler/app" quarry "$T/placed"
	same_work "$compiler" "$T/plain" "$T/placed"
	expect "$compiler: an eighth fewer branches are taken" below "$(ratio "$T/placed" "$T/plain" taken-branches)" 0.875
	expect "$compiler: cold parts are split off" at_least "$(nm "$T/$compiler/app" | grep -c '\.cold$')" 20
done
program quarry-clang-bbmap
"$PGO" convert "$DATA" --binary "$APP" --propeller "$T/v0" --propeller-version 0 >/dev/null
"$PGO" convert "$DATA" --binary "$APP" --propeller "$T/v1" --propeller-version 1 >/dev/null
read -r cc _ < <(compiler_of clang)
for v in v0 v1; do
	expect "clang takes $v" "$cc" -std=gnu17 -O2 -fbasic-block-sections=list="$T/$v" -c tests/demo/src/qvm.c -o "$T/$v.o"
done
expect "and makes the same code of both versions" cmp "$T/v0.o" "$T/v1.o"
expect "in which functions are split" grep -q '\.text\.split\.' <(readelf -SW "$T/v0.o")
program quarry-clang-pie
expect "a program without the map is refused, and the flag named" refused "$DATA" --binary "$APP"
finish
