# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the measures of the estimate of executions share. Sourced from the repository's root; needs $B, $PGO and $T.
#
#	unbias_build_tool
#	unbias_measure DATA BINARY EXACT       sets BEFORE, AFTER (edges in common with the exact counts, per cent, of the
#	                                       branch records and of the executions), BLOCKS_BEFORE, BLOCKS_AFTER, TOTAL
#	                                       (executions of the program over the exact number), PHI, HOW (the line that
#	                                       import prints)

unbias_build_tool() {
	local libs san
	libs="$(pkg-config --libs libelf libdw libzstd zlib libisal libxxhash libconfuse jansson libprotobuf-c) -lZydis"
	for san in "" "-fsanitize=address,undefined" "-fsanitize=thread"; do
		# shellcheck disable=SC2086 # options are words
		"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -I. $san -o "$T/unbias_tool" tests/interop/unbias_tool.c "$B/libpgo.a" \
			$libs -pthread -lm 2>"$T/log" && return
	done
	cat "$T/log"
	exit 1
}

# shellcheck disable=SC2034 # for the scripts
unbias_measure() {
	local out=$T/imported
	rm -rf "$out"
	BEFORE='' AFTER='' BLOCKS_BEFORE='' BLOCKS_AFTER='' TOTAL='' PHI=''
	"$PGO" import --together --no-labels --binary "$2" -o "$out" "$1" >"$T/import.log" || return 1
	HOW=$(grep '^executions' "$T/import.log")
	PHI=${HOW##*phi }
	read -r BEFORE BLOCKS_BEFORE AFTER BLOCKS_AFTER TOTAL < <("$T/unbias_tool" "$out"/*.pb.gz "$3" |
		awk '$1 == "lbr_traces" { printf "%s %s ", $3, $5 } $1 == "lbr_executions" { print $3, $5, $7 }')
	[ -n "$TOTAL" ]
}
