#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# perf2bolt makes of our pre-aggregated records what it makes of the recording itself, mispredictions too, and what our own
# .fdata of it says; of the older records (before LLVM 22) all but the runs that a return led to.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
need perf2bolt
program quarry-clang-pie

# aggregate FILE OUT: what perf2bolt makes of pre-aggregated records; nothing may be lost on the way
aggregate() {
	"${TOOL[perf2bolt]}" "$APP" -p "$1" --pa -o "$2" ${3:+"$3"} >"$2.log" 2>&1 || { cat "$2.log"; return 1; }
	grep -E 'mismatching|out of range' "$2.log"
	! grep -E '(mismatching|unknown regions)[^:]*: [1-9]' "$2.log"
}

# same KIND A B: edges of a kind in common, per cent
same() {
	same_mass "$T/$2.$1" "$T/$3.$1"
}

expect "pgo writes both forms and .fdata" "$PGO" convert "$DATA" --binary "$APP" --bolt-preagg "$T/new.pa" --bolt "$T/ours.fdata"
expect "pgo writes the older form" "$PGO" convert "$DATA" --binary "$APP" --bolt-preagg "$T/old.pa" --bolt-release 19
expect "the newer form is made of traces" test "$(grep -c '^T ' "$T/new.pa")" -gt 100
expect "the older form has no other records than those LLVM 14 to 19 know" silent <(grep -v '^[BFf] ' "$T/old.pa")
expect "pgo shows it" "$PGO" show "$T/new.pa"
expect "perf2bolt takes the traces whole" aggregate "$T/new.pa" "$T/new.fdata"
expect "perf2bolt takes the older records whole" aggregate "$T/old.pa" "$T/old.fdata"
prepare "$APP" "$P"
for f in ours new old; do
	fdata_edges "$P" "$T/$f.fdata" "$T/$f"
done
for kind in taken through calls mispredicted; do
	printf '%-14s traces and ours %s %%, older records and ours %s %%\n' "$kind" "$(same $kind new ours)" "$(same $kind old ours)"
	expect "perf2bolt's $kind edges of our traces are those of our .fdata" at_least "$(same $kind new ours)" 99.5
done
for kind in taken calls mispredicted; do
	expect "perf2bolt's $kind edges of our older records are those of our .fdata" at_least "$(same $kind old ours)" 99.5
done
expect "perf2bolt's fall-throughs of our older records are nearly those" at_least "$(same through old ours)" 97

# ---- the recording itself
if command -v perf >/dev/null; then
	expect "pgo writes what was recorded" "$PGO" convert "$DATA" --binary "$APP" --bolt-preagg "$T/raw.pa" --no-unbias
	expect "perf2bolt takes it whole" aggregate "$T/raw.pa" "$T/raw.fdata"
	expect "perf2bolt reads the recording" "${TOOL[perf2bolt]}" "$APP" -p "$DATA" -o "$T/peer.fdata"
	fdata_edges "$P" "$T/raw.fdata" "$T/raw"
	fdata_edges "$P" "$T/peer.fdata" "$T/peer"
	for kind in taken through calls mispredicted; do
		printf '%-14s traces and the recording %s %%\n' "$kind" "$(same $kind raw peer)"
		expect "perf2bolt's $kind edges of our traces are those of the recording" at_least "$(same $kind raw peer)" 99.9
	done
fi

# ---- without branches
# shellcheck source=tests/lib/fixture.sh
. tests/lib/fixture.sh
fixture
APP=$FIX/app
expect "plain samples become records" "$PGO" convert "$FIX/plain.pb.gz" --binary "$APP" --bolt-preagg "$T/plain.pa"
if grep -q '^S ' "$T/plain.pa"; then
	expect "with their event" grep -q '^E ' "$T/plain.pa"
	expect "perf2bolt takes them" aggregate "$T/plain.pa" "$T/plain.fdata" --ba
	expect "as samples" grep -q '^no_lbr' "$T/plain.fdata"
else
	expect "perf2bolt takes what was estimated" aggregate "$T/plain.pa" "$T/plain.fdata"
fi
finish
