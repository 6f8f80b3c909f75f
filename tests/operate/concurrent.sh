#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two runs of one target at once, many times over: one works, the other says that it waits for it or finds nothing to
# do, and the outputs are those of a run that was alone.
set -u
. tests/operate/lib.bash
operate_begin
PAIRS=${PAIRS:-60}
operate_store "$T" 8
operate_conf "$T/alone.conf" alone alone
operate_conf "$T/both.conf" both both

exits 0 "$PGO" run -q -c "$T/alone.conf"
want=$(cd "$T" && cat alone.afdo alone.prof alone.fdata | sha256sum)

# One of a pair; its exit code goes to FILE.code.
one() {
	timeout 120 "$PGO" run -q -c "$T/both.conf" >"$T/$1.out" 2>&1
	echo $? >"$T/$1.code"
}

# 0: it published; 10: the other had, before this one looked; 3: the other was at work.
pair_is_right() {
	local codes
	codes=$(sort -n "$T/a.code" "$T/b.code" | tr '\n' ' ')
	case $codes in
	"0 3 ") grep -q 'another run is working on target' "$T/a.out" "$T/b.out" ;;
	"0 10 ") ;;
	*)
		echo "exit codes $codes"
		cat "$T/a.out" "$T/b.out"
		return 1
		;;
	esac
}

both_are_whole() {
	[ "$want" = "$(cd "$T" && cat both.afdo both.prof both.fdata | sha256sum)" ]
}

met=0
for _ in $(seq "$PAIRS"); do
	rm -rf "$T/both" "$T"/both.afdo "$T"/both.prof "$T"/both.fdata
	one a &
	one b
	wait
	expect "a pair ends with one result" pair_is_right
	expect "its outputs are those of a run alone" both_are_whole
	! grep -qx 3 "$T/a.code" "$T/b.code" || met=$((met + 1))
done
echo "$PAIRS pairs, $met of them met"
operate_end
