#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same code, described by DWARF 4, by DWARF 5, and in a separate debug file, must get the same profile to the byte.
# (create_gcov 0.19, the peer of convert_peers.sh, understands DWARF 4 only.)
#
# Exit 0: it does; 77: the last line names what is missing; 1: it does not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++

text_of() {
	objcopy -O binary -j .text "$1" "$2"
}

for source in quarry menagerie; do
	program $source-gcc-dwarf4
	# shellcheck disable=SC2046 # several words
	build $source "${TOOL[gcc]}" "${TOOL[g++]}" "$T/twin" $(flags_of gcc dwarf4 | sed s/gdwarf-4/gdwarf-5/) >"$T/said" 2>&1
	text_of "$APP" "$T/text4" && text_of "$T/twin/app" "$T/text5"
	expect "$source: DWARF 4 and 5 describe the same code" cmp "$T/text4" "$T/text5"
	for version in 4 5; do
		[ $version = 4 ] || APP=$T/twin/app
		expect "$source: pgo converts with DWARF $version" "$PGO" convert "$DATA" --binary "$APP" --gcc "$T/dwarf$version" --gcc-release 13
	done
	expect "$source: DWARF 5 gives what DWARF 4 does" cmp "$T/dwarf4" "$T/dwarf5"
	objcopy --only-keep-debug "$APP" "$T/app.debug" && strip -o "$T/app.stripped" "$APP"
	expect "$source: pgo converts with a separate debug file" "$PGO" convert "$DATA" --binary "$T/app.stripped" \
		--debug "$T/app.debug" --gcc "$T/separate" --gcc-release 13
	expect "$source: a separate debug file gives the same" cmp "$T/dwarf5" "$T/separate"
done
finish
