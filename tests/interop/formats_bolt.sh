#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# .fdata against its peers: merge-fdata and we add up to the same edges, and llvm-bolt attaches what we write to the
# functions it is about, none of it stale, with names that need escapes and local ranks.
#
# Known difference: merge-fdata keeps its own order of lines, and drops the events of a no_lbr header.
# shellcheck disable=SC2317,SC2016 # called by name; expanded by eval
set -u

B=${B:-build}
bolt=$(tests/tools.sh llvm-bolt) || {
	echo "llvm-bolt is not installed"
	exit 77
}
merge=$(tests/tools.sh merge-fdata) || {
	echo "merge-fdata is not installed"
	exit 77
}
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
# shellcheck source=tests/interop/formats_lib.bash
. tests/interop/formats_lib.bash
build_tool

# ------------------------------------------------------------------ sums

random_edges() { # SEED
	awk -v seed="$1" 'BEGIN {
		srand(seed)
		for (i = 0; i < 3000; i++) {
			from = int(rand() * 9); to = int(rand() * 9)
			f = from == 0 ? "0 [unknown] 0" : sprintf("1 fn\\ %d/%d %x", from, from % 3 + 1, int(rand() * 40) * 3)
			t = to == 0 && from != 0 ? "0 [unknown] 0" : sprintf("1 g%d %x", to + 1, int(rand() * 4) * 16)
			printf "%s %s %d %d\n", f, t, int(rand() * 5), int(rand() * 1000000)
		}
	}'
}
random_edges 1 >"$T/one.fdata"
random_edges 2 >"$T/two.fdata"
cat "$T/one.fdata" "$T/two.fdata" >"$T/both.fdata"
expect "merge-fdata takes what we read" "$merge" "$T/one.fdata" "$T/two.fdata" -o "$T/theirs"
expect "we take both files" tool "$T/both.fdata" fdata "$T/ours"
sort "$T/theirs" >"$T/theirs.sorted"
sort "$T/ours" >"$T/ours.sorted"
expect "the sums agree with merge-fdata's" cmp "$T/ours.sorted" "$T/theirs.sorted"
expect "there were repeats to sum" test "$(wc -l <"$T/ours")" -lt 5900
expect "merge-fdata takes what we wrote" "$merge" "$T/ours" -o "$T/again"
sort "$T/again" >"$T/again.sorted"
expect "and changes nothing" cmp "$T/again.sorted" "$T/ours.sorted"
expect "we take what merge-fdata wrote" tool "$T/theirs" fdata "$T/ours2"
expect "and write the same" cmp "$T/ours" "$T/ours2"
printf 'no_lbr cycles:u\n1 f 2 7\n1 f 2 3\n1 g 0 1\n' >"$T/samples"
expect "we sum samples" tool "$T/samples" fdata "$T/ours"
expect "merge-fdata sums samples" "$merge" "$T/samples" -o "$T/theirs"
expect "the sums of samples agree" cmp <(grep -v '^no_lbr' "$T/ours" | sort) <(grep -v '^no_lbr' "$T/theirs" | sort)
expect "the event stays" grep -qx 'no_lbr cycles:u' "$T/ours"

# ------------------------------------------------------------------ llvm-bolt uses it

cat >"$T/p.c" <<'END'
volatile int sink;
__attribute__((noinline)) static int helper(int x) { return x * 3 + sink; }
__attribute__((noinline)) int odd(int x) { return helper(x) + 1; }
__attribute__((noinline)) int work(int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		if (i & 3)
			s += odd(i);
		else
			s -= helper(i);
	return s;
}
int main(int argc, char **argv) { (void)argv; return work(argc * 1000) & 1; }
END
if ! { ${CC:-cc} -O1 -g -fno-inline -c -o "$T/p.o" "$T/p.c" && objcopy --redefine-sym 'odd=odd name\x' "$T/p.o" &&
	${CC:-cc} -Wl,-q -o "$T/p" "$T/p.o"; } 2>"$T/log"; then
	echo "no program to optimise: $(head -n 1 "$T/log")"
	exit 77
fi
# Every call and jump of the disassembly is an edge, every place it leaves one as well.
objdump -d --no-show-raw-insn "$T/p" | awk '
	function hex(s,  i, v) { v = 0; for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return v }
	/^[0-9a-f]+ <.*>:$/ { name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name); start = hex($1); next }
	name == "work" && /call|j[a-z]+ / {
		at = $1; sub(/:/, "", at); from = hex(at) - start
		target = $0; sub(/.*</, "", target); sub(/>.*/, "", target)
		to = 0
		if (match(target, /\+0x[0-9a-f]+$/)) { to = hex(substr(target, RSTART + 3)); target = substr(target, 1, RSTART - 1) }
		if (target == "helper") target = "helper/1"
		gsub(/\\/, "\\\\\\\\", target); gsub(/ /, "\\\\ ", target)
		if (target == "work" || $0 ~ /call/) printf "1 work %x 1 %s %x %d %d\n", from, target, to, 3, $0 ~ /call/ ? 500 : 400
	}
	END { print "0 [unknown] 0 1 work 0 0 9" }' >"$T/edges"
expect "the program has calls with odd names" grep -q 'odd\\ name' "$T/edges"
expect "we take its edges" tool "$T/edges" fdata "$T/p.fdata"
"$bolt" "$T/p" -data="$T/p.fdata" -o "$T/p.bolt" -reorder-blocks=ext-tsp -print-cfg -v=1 \
	-print-only=work >"$T/said" 2>&1
expect "llvm-bolt takes them" test $? = 0
# "[unknown]" is the one object that it finds no function for.
expect "without a word about the profile" eval \
	'! grep -iE "invalid|stale|mismatch|ignored" "$T/said" | grep -v "profile for 1 objects was ignored"'
expect "it has the profile of the functions" grep -Eq 'BOLT-INFO: [1-9][0-9]* out of [0-9]+ functions in the binary .* have non-empty execution profile' "$T/said"
expect "work was entered nine times" grep -q 'Extern Entry Count: 9$' "$T/said"
expect "and the calls have their counts" grep -q 'call.*"odd name.*Count: 500$' "$T/said"
"$T/p"
want=$?
"$T/p.bolt"
expect "what it made still works" test $? = $want

finish "$(basename "$bolt"), $(basename "$merge")"
