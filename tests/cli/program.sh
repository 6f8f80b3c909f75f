#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program around the commands: help, version, unknown names, standard descriptors, closed pipes, full disks, names
# of links.
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

# run CODE OUT-REGEX ERR-REGEX COMMAND...; "-" = must be empty
run() {
	local want=$1 out=$2 err=$3 code=0
	shift 3
	timeout 60 "$@" >"$T/out" 2>"$T/err" </dev/null || code=$?
	if [ "$code" = "$want" ] && holds "$out" "$T/out" && holds "$err" "$T/err"; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $*: exit $code, want $want; /$out/ /$err/"
		sed 's/^/    /' "$T/out" "$T/err" | head -n 20
	fi
}
holds() {
	if [ "$1" = - ]; then
		[ ! -s "$2" ]
	else
		grep -qE -- "$1" "$2"
	fi
}
check() {
	local name=$1
	shift
	if "$@"; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
	fi
}

run 0 'Usage: pgo COMMAND' - "$PGO" --help
run 0 'Usage: pgo COMMAND' - "$PGO" help
run 0 '  20  there is no profile' - "$PGO" -h
run 0 '^pgo [0-9]+\.[0-9]+\.[0-9]+$' - "$PGO" --version
run 0 '"zstd": "[0-9.]+"' - "$PGO" --version --json
check "version --json is JSON" python3 -c 'import json, sys; json.load(open(sys.argv[1]))["libraries"]["zlib"]' "$T/out"
run 2 - 'say which command' "$PGO"
run 2 - 'unknown command "mrege"; did you mean "merge"' "$PGO" mrege
run 2 - 'unknown command "zzz"; .*--help' "$PGO" zzz
run 2 - 'unknown command "zzz"' "$PGO" help zzz
run 2 - 'unknown option --json before the command' "$PGO" --json merge
run 2 - 'unknown option --verison' "$PGO" --verison
run 2 - 'did you mean --output|--help. lists them' "$PGO" merge --ouptut x
run 2 - '^\{"level":"error","command":"merge","exit":2,"message":"unknown option --nonsense' "$PGO" merge --nonsense --json
run 2 - 'PGO_NOW.*is not a time' env PGO_NOW=tomorrow "$PGO" show x

for command in $("$PGO" --list-commands); do
	run 0 "^Usage: pgo $command" - "$PGO" "$command" --help
	run 0 "^Usage: pgo $command" - "$PGO" help "$command"
	ln -sf "$PGO" "$T/pgo-$command"
	run 0 "^Usage: pgo $command" - "$T/pgo-$command" --help
	run 2 - "^pgo $command: unknown option --no-such-option" "$PGO" "$command" --no-such-option
	run 2 - "^pgo $command: unknown option -Z" "$PGO" "$command" -Z
	run 3 - "^pgo $command: standard output cannot be written: No space left" \
		sh -c "\"$PGO\" $command --help >/dev/full"
done

# A reader that leaves early ends the program without a word.
run 3 - - sh -c "{ sleep 0.2; \"$PGO\" --help 2>\"$T/late\"; echo \$? >\"$T/code\"; } | true; exit \$(cat \"$T/code\")"

# Closed descriptors do not end up in a file that we open: a message must not land in an output.
printf 'no profile' >"$T/in"
"$PGO" merge "$T/in" -o "$T/merged" >&- 2>&- <&-
check "closed descriptors: exit code 3" [ $? = 3 ]
check "closed descriptors: no output" [ ! -e "$T/merged" ]

# Nothing depends on the locale: not the messages, not the numbers.
LC_ALL=C "$PGO" merge "$T/nowhere" -o "$T/m" 2>"$T/c"
LC_ALL=C.UTF-8 LANGUAGE=de "$PGO" merge "$T/nowhere" -o "$T/m" 2>"$T/utf8"
check "messages do not depend on the locale" cmp -s "$T/c" "$T/utf8"

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ] && [ "$good" -gt 0 ]
