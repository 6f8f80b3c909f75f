#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo doctor: what it says of a program, a compiler and a store that are as they should be, and of those that are not.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

# says CODE REGEX ARGUMENT...
says() {
	local want=$1 regex=$2 code=0
	shift 2
	timeout 120 "$PGO" doctor "$@" >"$T/out" 2>"$T/err" </dev/null || code=$?
	if [ "$code" = "$want" ] && cat "$T/out" "$T/err" | grep -qE -- "$regex"; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: doctor $*: exit $code, want $want; /$regex/"
		sed 's/^/    /' "$T/out" "$T/err"
	fi
}

says 0 '^machine$'
says 0 '(good|lacks) +branch records'
says 2 "unexpected operand 'app'" app

# A program as a compiler leaves it, one without debug information and names, one that is none.
says 0 'good +build-id +[0-9a-f]{40}$' --binary "$FIX/app"
says 0 'good +debug information +in the program' --binary "$FIX/app"
says 0 'good +relocations' --binary "$FIX/app"
says 0 'note +relocations' --binary "$FIX/app.other"
says 0 'lacks +debug information' --binary "$FIX/app.stripped"
says 0 'lacks +symbols' --binary "$FIX/app.stripped"
says 0 'good +debug information +in .*/app$' --binary "$FIX/app.stripped" --debug "$FIX/app"
objcopy --remove-section .note.gnu.build-id "$FIX/app" "$T/no-id"
says 0 'lacks +build-id +none' --binary "$T/no-id"
says 1 'broken +file .*doctor.sh' --binary tests/cli/doctor.sh
says 1 'broken +file .*nowhere' --binary "$T/nowhere"

# Compilers: found by name, by path, of another kind, not there.
printf '#!/bin/sh\necho "Debian clang version 9.0.1"\n' >"$T/clang-9"
printf '#!/bin/sh\necho "tcc version 0.9.27"\n' >"$T/tcc"
chmod +x "$T/clang-9" "$T/tcc"
says 0 'good +gcc +/.*gcc' --compiler gcc
says 0 'lacks +clang +.*version 9' --compiler "$T/clang-9"
says 1 'broken +compiler .*neither gcc nor clang nor go' --compiler "$T/tcc"
says 1 'broken +compiler +there is no no-such-cc' --compiler no-such-cc

# Stores: a directory with something in it, an empty one, one that is not there, a server that is not.
mkdir "$T/store" "$T/empty"
cp "$FIX/app.pb.gz" "$T/store/"
says 0 'good +store .*app.pb.gz' --store "$T/store"
says 1 'broken +store .*nothing is in it' --store "$T/empty"
says 1 'broken +store .*nowhere' --store "$T/nowhere"
says 1 'broken +store .*127.0.0.1:9/' --store parca://127.0.0.1:9

# All of it from a configuration, and as JSON.
printf 'state = "s"\ntarget "app" {\n\tsources = {"%s"}\n\tbinary = "%s"\n\tgcc = "o.afdo"\n}\n' "$T/store" "$FIX/app" >"$T/pgo.conf"
says 0 'good +build-id' -c "$T/pgo.conf"
says 0 'good +store' -c "$T/pgo.conf"
says 2 'pgo.conf' -c "$T/empty/pgo.conf"
says 1 '"health": "broken"' --json --store "$T/empty"
if python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["broken"] and d["findings"][-1]["mend"] and d["findings"][0]["what"] == "kernel"' "$T/out"; then good=$((good + 1)); else bad=$((bad + 1)); echo "FAIL: JSON"; fi

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ] && [ "$good" -gt 0 ]
