#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The test runner itself: what fails, crashes, hangs, skips or does not exist is counted as that.
set -u
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
mkdir -p "$T/b/tests"

# fake NAME BODY: a unit program; script NAME BODY: a script
fake() {
	printf '#!/bin/sh\n%s\n' "$2" >"$T/b/tests/test_$1"
	chmod +x "$T/b/tests/test_$1"
}
script() {
	printf '%s\n' "$2" >"$T/$1.sh"
}

# expect NAME "N passed, N failed, N skipped" CODE REGEX TEST...
expect() {
	local name=$1 line=$2 want=$3 regex=$4 code=0
	shift 4
	env -u CI -u PGO_CI B="$T/b" TEST_TIMEOUT=2 tests/run.sh -j 2 "$@" >"$T/log" 2>&1 || code=$?
	if [ "$code" = "$want" ] && [ "$(tail -n 1 "$T/log")" = "$line" ] && grep -qE -- "$regex" "$T/log"; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name: exit $code, want $want, \"$line\" and /$regex/; it said:"
		sed 's/^/    /' "$T/log"
	fi
}

fake passing 'echo "[  PASSED  ] 7 test(s)."'
fake failing 'echo "[  FAILED  ] a_rule"; echo "[  PASSED  ] 5 test(s)."; echo "[  FAILED  ] 2 test(s), listed below:"; exit 2'
fake skipping 'echo "[  SKIPPED ] a_rule"; echo "[  PASSED  ] 3 test(s)."; echo "[  SKIPPED ] 1 test(s), listed below:"'
fake crashing 'echo "[  PASSED  ] 4 test(s)."; kill -SEGV $$'
fake leaking 'echo "[  PASSED  ] 4 test(s)."; echo "ERROR: LeakSanitizer"; exit 23'
fake silent 'exit 0'
fake hanging 'sleep 30'
script pass 'exit 0'
script fail 'echo reason of failure; exit 1'
script skip 'echo some output; echo no such tool; exit 77'
# shellcheck disable=SC2016
script tmpdir '[ -n "$TMPDIR" ] && [ -d "$TMPDIR" ] && touch "$TMPDIR/x"'

expect "all pass" "7 passed, 0 failed, 0 skipped" 0 . test_passing
expect "failures count" "5 passed, 2 failed, 0 skipped" 1 '^FAIL test_failing \(exit 2\)' test_failing
expect "unit skips count" "3 passed, 0 failed, 1 skipped" 0 '^SKIP test_skipping: a_rule' test_skipping
expect "a crash is a failure" "4 passed, 1 failed, 0 skipped" 1 'FAIL test_crashing' test_crashing
expect "a leak is a failure" "4 passed, 1 failed, 0 skipped" 1 'LeakSanitizer' test_leaking
expect "no test is a failure" "0 passed, 1 failed, 0 skipped" 1 'no test ran' test_silent
expect "a hang is a failure" "0 passed, 1 failed, 0 skipped" 1 'no end after 2 s' test_hanging
expect "scripts count one each" "1 passed, 1 failed, 1 skipped" 1 'reason of failure' "$T/pass.sh" "$T/fail.sh" "$T/skip.sh"
expect "skips give their reason" "1 passed, 0 failed, 1 skipped" 0 '^SKIP .*skip.sh: no such tool$' "$T/pass.sh" "$T/skip.sh"
expect "a skip alone is no failure" "0 passed, 0 failed, 1 skipped" 0 SKIP "$T/skip.sh"
expect "each test has a directory" "1 passed, 0 failed, 0 skipped" 0 . "$T/tmpdir.sh"
expect "a missing script fails" "0 passed, 1 failed, 0 skipped" 1 'No such file' "$T/nowhere.sh"
expect "a missing unit fails" "0 passed, 1 failed, 0 skipped" 1 FAIL test_nowhere
rm -f "$T"/b/tests/test_{failing,crashing,leaking,silent,hanging}
expect "a group is all of its kind" "10 passed, 0 failed, 1 skipped" 0 . unit
expect "an unknown group is refused" 'tests/run.sh: there is no group or test "nonsense"' 2 . nonsense

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ] && [ "$good" -gt 0 ]
