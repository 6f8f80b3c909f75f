#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/interop/formats_*.sh: the tool that converts, and counting.  Needs $B and $T.

good=0 bad=0

# expect NAME COMMAND...: the command must succeed
expect() {
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
		tail -n 5 "$T/log" | sed 's/^/      /'
	fi
}

build_tool() {
	local libs
	libs="$(pkg-config --libs libelf libdw libzstd zlib libisal libxxhash libconfuse jansson libprotobuf-c) -lZydis"
	for san in "" "-fsanitize=address,undefined" "-fsanitize=thread"; do
		# shellcheck disable=SC2086 # options are words
		"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -I. $san -o "$T/tool" tests/interop/formats_tool.c "$B/libpgo.a" \
			$libs -pthread -lm 2>"$T/log" && return
	done
	cat "$T/log"
	exit 1
}

tool() {
	"$T/tool" "$@"
}

# finish WHAT: the verdict, with what took part
finish() {
	echo "$good held, $bad did not; $1"
	[ "$bad" = 0 ] && [ "$good" != 0 ]
	exit
}
