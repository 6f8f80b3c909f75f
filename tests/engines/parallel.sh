#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shards by GNU parallel and by xargs: the bytes of one machine; stopped runs go on, damaged parts are refused by name.
set -u
. tests/engines/lib.bash
parallel --version 2>/dev/null | grep -q '^GNU' || skip "GNU parallel is not installed"
engines_begin
run() { merge/engines/pgo-parallel "$@" -- "${WEIGHTS[@]}" "$T/fleet"; }

for n in 1 5 24; do
	expect "$n shards" run -o "$T/$n.pb.gz" -n $n
	expect "$n shards: the bytes of one machine" cmp "$T/$n.pb.gz" "$T/whole.pb.gz"
done
expect "nothing is left behind" test -z "$(ls -d "$T"/*.parts.* 2>/dev/null)"
expect "by a directory that stays" run -o "$T/kept.pb.gz" -n 6 -w "$T/dir"
rm "$T/dir/part.3" "$T/dir/part.5"
touch -d 2001-01-01 "$T/dir/part.1"
expect "lost parts" run -o "$T/again.pb.gz" -n 6 -w "$T/dir"
expect "are made anew" cmp "$T/again.pb.gz" "$T/whole.pb.gz"
expect "the others are not" test "$(date -r "$T/dir/part.1" +%Y)" = 2001
head -c 200 "$T/dir/part.2" >"$T/cut" && cp "$T/cut" "$T/dir/part.2"
expect "a part that was cut off" fails 'part.2' run -o "$T/none.pb.gz" -n 6 -w "$T/dir"
expect "stops the merge" test ! -e "$T/none.pb.gz"
rm "$T/dir/part.2"
cp "$T/dir/part.4" "$T/dir/part.2"
expect "a part twice is a part that is missing" fails 'missing' run -o "$T/none.pb.gz" -n 6 -w "$T/dir"
rm "$T/dir/part.2"
fleet=("$T"/fleet/*)
mv "${fleet[0]}" "$T/gone.pb.gz"
expect "an input that is gone" run -o "$T/less.pb.gz" -n 6 -w "$T/dir"
"$PGO" merge -q "${WEIGHTS[@]}" "$T/fleet" -o "$T/whole.pb.gz"
expect "makes another plan" cmp "$T/less.pb.gz" "$T/whole.pb.gz"
# Killed in the middle: the next run ends well.
for after in 0.05 0.2 0.5; do
	rm -rf "$T/dir"
	timeout -s KILL $after merge/engines/pgo-parallel -o "$T/killed.pb.gz" -n 12 -w "$T/dir" -- "${WEIGHTS[@]}" "$T/fleet" >"$T/said" 2>&1
	expect "killed after $after s" run -o "$T/killed.pb.gz" -n 12 -w "$T/dir"
	expect "killed after $after s: complete" cmp "$T/killed.pb.gz" "$T/whole.pb.gz"
done
# Without GNU parallel.
mkdir "$T/bin" && printf '#!/bin/sh\nexit 1\n' >"$T/bin/parallel" && chmod +x "$T/bin/parallel"
expect "by xargs" env PATH="$T/bin:$PATH" merge/engines/pgo-parallel -o "$T/xargs.pb.gz" -n 5 -- "${WEIGHTS[@]}" "$T/fleet"
expect "the same bytes" cmp "$T/xargs.pb.gz" "$T/whole.pb.gz"
expect "without operands it says what it wants" fails 'pgo-parallel -o OUT' merge/engines/pgo-parallel
engines_end
