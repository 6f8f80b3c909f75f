#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo verify of two binaries: whether gcc, clang and llvm-bolt applied a profile, and builds that were given one of another program, or none.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0 missing=

#	result WANT BEFORE AFTER [PROFILE]     WANT may be several, for how much a compiler makes of a profile is its own affair
result() {
	local code=0
	"$PGO" verify --json --before-binary "$2" --after-binary "$3" ${4:+--profile "$4"} >"$T/json" 2>"$T/stderr" || code=$?
	if [ "$code" -gt 1 ] || ! python3 - "$T/json" "$1" "$code" <<-'PY'; then
		import json, sys
		a = json.load(open(sys.argv[1]))["applied"]
		failed = any(g["verdict"] == "fail" for g in a["gates"])
		total = a["same"] + a["straight"] + a["changed"] + a["inlined"] + a["gone"]
		if a["result"] not in sys.argv[2].split("|") or failed != (sys.argv[3] == "1") or abs(total - 1) > 1e-6:
		    sys.exit("FAIL: want %s, exit %s: %s" % (sys.argv[2], sys.argv[3], a))
	PY
		echo "    FAIL: $*"; cat "$T/stderr"; bad=$((bad + 1))
	else
		good=$((good + 1))
	fi
}
says() {
	if grep -q -- "$1" "$T/json"; then good=$((good + 1)); else echo "FAIL: no $1 in: $(cat "$T/json")"; bad=$((bad + 1)); fi
}

cp tests/emu/sample.c "$T/app.c"
gcc=$(tests/tools.sh gcc)
if [ -n "$gcc" ]; then
	(cd "$T" && "$gcc" -O2 -g -c app.c -o app.o && "$gcc" -o g0 app.o && "$gcc" -o g0.moved -Wl,--build-id -Wl,-Ttext-segment=0x800000 -no-pie app.o 2>/dev/null
		"$gcc" -O2 -g -fauto-profile="$FIX/app.afdo" -o g1 app.c) || bad=$((bad + 1))
	result 'applied|partly' "$T/g0" "$T/g1" "$FIX/app.afdo"
	says '"option": "-fauto-profile='
	result nothing "$T/g0" "$T/g0" "$FIX/app.afdo"
	# The same object linked to other addresses is the same code.
	[ -e "$T/g0.moved" ] && result nothing "$T/g0" "$T/g0.moved" "$FIX/app.afdo" && says '"changed": 0,'
else
	missing="$missing gcc"
fi

clang=$(tests/tools.sh clang)
if [ -n "$clang" ]; then
	printf 'elsewhere:100000:10\n 1: 100000\n' >"$T/other.prof"
	(cd "$T" && "$clang" -O2 -g -o c0 app.c && "$clang" -O2 -g -fprofile-sample-use="$FIX/app.prof" -o c1 app.c &&
		"$clang" -O2 -g -grecord-command-line -fprofile-sample-use="$FIX/app.prof" -o c2 app.c &&
		"$clang" -O2 -frecord-command-line -fprofile-sample-use="$FIX/app.prof" -o c3 app.c &&
		"$clang" -O2 -g -grecord-command-line -fprofile-sample-use=other.prof -o c4 app.c &&
		"$clang" -O2 -g -o c5 app.c) || bad=$((bad + 1))
	result untold "$T/c0" "$T/c1" "$FIX/app.prof"
	says 'grecord-command-line'
	result 'applied|partly' "$T/c0" "$T/c2" "$FIX/app.prof"
	result 'applied|partly' "$T/c0" "$T/c3" "$FIX/app.prof"
	says '"option": "-fprofile-sample-use='
	result nothing "$T/c0" "$T/c4" "$FIX/app.prof"
	says 'do not fit'
	result nothing "$T/c0" "$T/c5"
	says 'nothing says that it was given one'
else
	missing="$missing clang"
fi

bolt=$(tests/tools.sh llvm-bolt)
if [ -n "$bolt" ]; then
	"$bolt" "$FIX/app" -data "$FIX/app.fdata" -o "$T/b1" -reorder-blocks=ext-tsp -split-functions -reorder-functions=cdsort >"$T/bolt.log" 2>&1 || cat "$T/bolt.log"
	result 'applied|partly' "$FIX/app" "$T/b1" "$FIX/app.fdata"
	says 'BOLT revision'
	says '"cold_parts": [1-9]'
	printf '1 no_such_function 3 1 no_such_function 5 0 1000\n' >"$T/other.fdata"
	"$bolt" "$FIX/app" -data "$T/other.fdata" -o "$T/b2" -reorder-blocks=ext-tsp >"$T/bolt.log" 2>&1 || cat "$T/bolt.log"
	[ -e "$T/b2" ] && result nothing "$FIX/app" "$T/b2" "$FIX/app.fdata" && says 'llvm-bolt'
else
	missing="$missing llvm-bolt"
fi

fails 3 'no symbols of functions' "$PGO" verify --before-binary "$FIX/app" --after-binary "$FIX/app.stripped"
[ -z "$missing" ] || echo "not installed:$missing"
finish
