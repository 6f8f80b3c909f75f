#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of input, cut at every hundredth of its length: one sentence and exit 3, or (a text that ends at the end of a line) a
# result; never a crash, never a changed output.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

# cut NAME FILE may|must COMMAND... : runs COMMAND with "CUT" replaced by the cut file
cut_everywhere() {
	local name=$1 file=$2 rule=$3 size code at
	shift 3
	size=$(stat -c %s "$file")
	for pct in $(seq 0 99); do
		at=$((size * pct / 100))
		head -c "$at" "$file" >"$T/cut"
		echo keep >"$T/out"
		code=0
		timeout 60 "${@//CUT/$T/cut}" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
		if [ "$code" -gt 20 ]; then
			echo "FAIL: $name cut at $pct %: exit $code"; sed 's/^/    /' "$T/stderr" | head -20; bad=$((bad + 1))
		elif [ "$code" = 0 ] && [ "$rule" = must ]; then
			echo "FAIL: $name cut at $pct %: accepted"; bad=$((bad + 1))
		elif [ "$code" != 0 ] && [ "$(cat "$T/out")" != keep ]; then
			echo "FAIL: $name cut at $pct %: failed, but the output was touched"; bad=$((bad + 1))
		elif [ "$code" != 0 ] && ! grep -q 'cut' "$T/stderr"; then
			echo "FAIL: $name cut at $pct %: the message does not name the file:"; sed 's/^/    /' "$T/stderr"; bad=$((bad + 1))
		else
			good=$((good + 1))
		fi
	done
}

cut_everywhere pprof.gz "$FIX/app.pb.gz" must "$PGO" merge CUT -o "$T/out"
cut_everywhere pprof "$FIX/app.pb" must "$PGO" merge CUT -o "$T/out"
cut_everywhere pprof-convert "$FIX/app.pb.gz" must "$PGO" convert CUT --binary "$FIX/app" --bolt "$T/out"
cut_everywhere perf.data "$FIX/app.perf" must "$PGO" convert CUT --binary "$FIX/app" --gcc "$T/out"
cut_everywhere perf-import "$FIX/app.perf" must "$PGO" import CUT -o "$T/dir"
cut_everywhere gperf "$FIX/app.gperf" may "$PGO" merge CUT -o "$T/out"
cut_everywhere brstack "$FIX/app.brstack" may "$PGO" convert CUT --binary "$FIX/app" --bolt "$T/out"
cut_everywhere afdo "$FIX/app.afdo" must "$PGO" show CUT
cut_everywhere extbinary "$FIX/app.prof" must "$PGO" show CUT
cut_everywhere binary "$FIX/app.profbin" must "$PGO" show CUT
cut_everywhere llvm-text "$FIX/app.proftext" may "$PGO" show CUT
cut_everywhere fdata "$FIX/app.fdata" may "$PGO" show CUT
cut_everywhere program "$FIX/app" must "$PGO" convert "$FIX/app.perf" --binary CUT --bolt "$T/out"
finish
