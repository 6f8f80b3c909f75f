#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command of pgo-tutorial(7), in its order, by the installed program: each succeeds, and the result is an optimised
# program that does what it did.
set -u
. tests/operate/lib.bash
operate_begin
unset PGO_NOW
command -v gcc >/dev/null || skip "gcc is not installed"
command -v perf >/dev/null || skip "perf is not installed (linux-perf)"
perf record -q -e cpu-clock:u -o "$T/try" -- true >/dev/null 2>&1 || skip "perf record -e cpu-clock is refused here"
unset MAKEFLAGS MAKELEVEL MFLAGS
make -s B="$B" DESTDIR="$T/root" PREFIX=/usr -o all install >"$T/log" 2>&1 || {
	cat "$T/log"
	exit 1
}
PATH=$T/root/usr/bin:$PATH
export PATH

# Within blocks: a line after "$ ", with the lines of its here-document or after a backslash.
awk '
	/^\.Bd/ { block = 1; next }
	/^\.Ed/ { block = 0; next }
	!block { next }
	{ gsub(/\\e/, "\\") }
	here { print; if ($0 == here) here = ""; next }
	more || /^\$ / {
		if (!more) { sub(/^\$ /, ""); n++ }
		print
		more = /\\$/
		if (match($0, /<<.[A-Z]+/)) here = substr($0, RSTART + 3, RLENGTH - 3)
	}
	END { print n > "/dev/stderr" }
' pgo/man/pgo-tutorial.7 >"$T/commands" 2>"$T/count"
expect "the page has commands" test "$(cat "$T/count")" -ge 25
{
	echo 'set -eux'
	cat "$T/commands"
} >"$T/script"
mkdir "$T/here"
if (cd "$T/here" && timeout 600 bash "$T/script") >"$T/out" 2>"$T/err" </dev/null; then
	good=$((good + 1))
else
	bad=$((bad + 1))
	echo "FAIL: the tutorial stops at:"
	tail -n 20 "$T/out" "$T/err" | sed 's/^/      /'
fi
cd "$T/here/first" 2>/dev/null || no_place=1
expect "there is a place of work" test -z "${no_place-}"
expect "a profile was published" test -s state/shop/last-good/shop.afdo
expect "the programs say the same" test "$(./shop-1 7 20000)" = "$(./shop-2 7 20000)"
expect "the optimised one is another program" sh -c '! cmp -s shop-1 shop-2'
expect "the page is there" grep -qi '<html' verdict.html
operate_end
