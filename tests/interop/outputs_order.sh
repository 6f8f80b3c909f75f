#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Linkers place functions as our orders say: lld and gold (and GNU ld from 2.43 on) by lists, lld also by calls. Functions
# that ran lie on fewer pages than before, callers beside their callees.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need clang clang++ ld.lld
program quarry-clang-pie

# link NAME OPTION...: the program of the objects under $T/objects
link() {
	local out=$1
	shift
	"${TOOL[clang++]}" -fPIE -pie -Wl,--build-id "$@" "$T"/objects/q*.o -o "$T/$out" >"$T/$out.log" 2>&1
}

# text APP: functions by address
text() {
	nm -n --defined-only "$1" | awk '$2 ~ /[tTwW]/ && !($1 in seen) { seen[$1]; print $3 }'
}

# placed APP NAMES: the order that the names of the list have in the program
placed() {
	text "$1" | awk 'NR == FNR { want[$1]; next } $1 in want && !($1 in done) { done[$1]; print $1 }' "$2" -
}

# follows APP NAMES: are they in this order?
follows() {
	placed "$1" "$2" >"$T/is"
	grep -Fxf "$T/is" "$2" >"$T/should"
	[ "$(wc -l <"$T/is")" -ge 50 ] && diff "$T/should" "$T/is"
}

# pages APP NAMES: how many pages of 4 KB the functions of the list lie on
pages() {
	nm -S --defined-only "$1" | awk 'NR == FNR { want[$1]; next } NF == 4 && $4 in want { print $1, $2 }' "$2" - |
		while read -r at size; do
			seq $((0x$at / 4096)) $(((0x$at + 0x$size - 1) / 4096))
		done | sort -u | wc -l
}

for form in lld gold gnu-ld; do
	expect "pgo writes an order for $form" "$PGO" convert "$DATA" --binary "$APP" --symbol-order "$T/order.$form" --order-format $form
done
expect "pgo writes calls" "$PGO" convert "$DATA" --binary "$APP" --call-graph "$T/calls.txt"
expect "pgo takes no other linker" test "$("$PGO" convert "$DATA" --binary "$APP" --symbol-order "$T/x" --order-format mold 2>/dev/null; echo $?)" = 2
build quarry "${TOOL[clang]}" "${TOOL[clang++]}" "$T/objects" -O2 -fPIE -pie -ffunction-sections -Qunused-arguments

lld="--ld-path=${TOOL[ld.lld]}"
expect "lld links" link plain "$lld"
expect "lld takes the order" link listed "$lld" -Wl,--symbol-ordering-file="$T/order.lld" -Wl,--no-warn-symbol-ordering
expect "and follows it" follows "$T/listed" "$T/order.lld"
expect "the functions that ran lie closer together" below "$(pages "$T/listed" "$T/order.lld")" "$(pages "$T/plain" "$T/order.lld")"
echo "    pages of functions that ran: $(pages "$T/plain" "$T/order.lld") before, $(pages "$T/listed" "$T/order.lld") after"
expect "lld takes the calls in silence" link calls "$lld" -Wl,--call-graph-ordering-file="$T/calls.txt"
grep -vE 'unable to order|no such symbol' "$T/calls.log" >"$T/said"
expect "lld has nothing to say against them" silent "$T/said"
expect "lld places functions by them" test "$(text "$T/calls" | head -n 60)" != "$(text "$T/plain" | head -n 60)"
# Neighbours: the callee of the most frequent call is placed next to its caller by either file.
read -r from to _ < <(sort -k3,3nr "$T/calls.txt" | head -n 1)
distance() {
	text "$1" | awk -v a="$from" -v b="$to" '$1 == a { x = NR } $1 == b { y = NR } END { d = x - y; print d < 0 ? -d : d }'
}
for by in listed calls; do
	echo "    $from calls $to most: $(distance "$T/plain") functions apart before, $(distance "$T/$by") after ($by)"
	expect "the most frequent call stays near ($by)" below "$(distance "$T/$by")" 8
done
for app in listed calls; do
	"$T/$app" run "$FI/input.log" 1 >"$T/$app.out"
	"$T/plain" run "$FI/input.log" 1 | expect "the program placed by $app says the same" cmp - "$T/$app.out"
done

if command -v ld.gold >/dev/null; then
	expect "gold takes the order" link gold -fuse-ld=gold -Wl,--section-ordering-file="$T/order.gold"
	expect "and follows it" follows "$T/gold" "$T/order.lld"
fi
if ld --help 2>/dev/null | grep -q -- '--section-ordering-file'; then
	expect "GNU ld takes the order" link gnu -fuse-ld=bfd -Wl,--section-ordering-file="$T/order.gnu-ld"
	expect "and follows it" follows "$T/gnu" "$T/order.lld"
else
	echo "    this GNU ld takes no order of sections (2.43 and newer do)"
fi
finish
