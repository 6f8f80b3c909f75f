#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# .afdo files against the compilers that read them: every gcc from release 12 on that is installed takes the file
# made for it without a word, inlines what is hot, and counts blocks as the profile does; it refuses the versions
# made for others.  dump_gcov of autofdo prints our version 1 as it is.
#
# PGO_GCC_TREE=DIR: also the releases in the root directory of another Debian (mmdebstrap makes one; needs root).
# shellcheck disable=SC2317,SC2016 # called by name; expanded elsewhere
set -u

B=${B:-build}
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T" "$W"' EXIT
W=$T # where the compiler works
# shellcheck source=tests/interop/formats_lib.bash
. tests/interop/formats_lib.bash
build_tool

# A hot loop calls mid, which is too large to be inlined unless it is known to be hot; its arms run nine to one.
# The call of mid is the second of its line, so gcc gives it discriminator 1.
cat >"$T/q.c" <<'END'
volatile long sink;
long __attribute__((noinline)) leaf(long x)
{
	return x * 3;
}
static long mid(long a, long b)
{
	for (int k = 0; k < 3; k++) {
		sink += a / (b | 1);
		sink ^= b / (a | 1);
		sink += a % (b | 3);
		sink ^= b % (a | 3);
		if (a > b + k)
			sink += a;
		else
			sink -= b;
	}
	sink = sink * a + b * 77 + leaf(a) - leaf(b) * leaf(sink);
	return a ^ b;
}
long __attribute__((noinline)) work(int n)
{
	long s = 0;
	for (int i = 0; i < n; i++) {
		s += leaf(i) + mid(i, s);
	}
	return s;
}
long __attribute__((noinline)) once(long n)
{
	return mid(n, 3) + mid(n, 5) + mid(n, 6);
}
END
cat >"$T/q.txt" <<'END'
work:5000000:0
 2: 1
 3: 1
 3.1: 100001
 3.2: 100000
 4: 100000
 4.1: 100000
 4.2: 100000
 4.1: mid:600000
  2: 300000
  3: 300000
  4: 300000
  5: 300000
  6: 300000
  7: 300000
  8: 270000
  10: 30000
  12: 100000
  13: 100000
leaf:200000:250000
 2: 250000
leaf.constprop.0:100:50000
 2: 50000
leaf.cold:100:0
 2: 50000
once:10:1
 2: 10
mid:40:3
 2: 9
 3: 9
 7: 9
 8: 9
 12: 3
 13: 3
END
# Two files with a static function of one name; arms nine to one in the first, one to nineteen in the second.
mkdir "$T/d1" "$T/d2"
cat >"$T/d1/u.c" <<'END'
extern volatile long sink;
static __attribute__((noinline)) long twin(long n)
{
	long s = 0;
	for (long i = 0; i < n; i++)
		if (i & 1)
			s += sink / (i + 1);
		else
			s -= sink;
	return s;
}
long call1(long n)
{
	return twin(n);
}
END
sed 's/call1/call2/' "$T/d1/u.c" >"$T/d2/v.c"
cat >"$T/twins.txt" <<'END'
twin.lto_priv.0:4000000:10
 2: 10
 3: 1000000
 4: 1000000
 5: 900000
 7: 100000
twin.lto_priv.1:8000000:20
 2: 20
 3: 2000000
 4: 2000000
 5: 100000
 7: 1900000
call1:10:10
 2: 10
call2:20:20
 2: 20
END

# run GCC ARG...: in $W, possibly inside the other root
run() {
	local gcc=$1
	shift
	if [ "$W" = "$T" ]; then
		(cd "$W" && "$gcc" "$@")
	else
		chroot "$PGO_GCC_TREE" sh -c 'cd "$0" && exec "$@"' "${W#"$PGO_GCC_TREE"}" "$gcc" "$@"
	fi
}

# Compiles without a word; the dumps are $W/*.c.*
quiet() {
	rm -f "$W"/*.c.*
	run "$@" >"$T/said" 2>&1 || { cat "$T/said"; return 1; }
	[ ! -s "$T/said" ] || { cat "$T/said"; return 1; }
}

# dump PASS PATTERN: a line of the pass's dump fits
dump() {
	grep -Eq -- "$2" "$W"/*.c.*"$1"
}

calls_mid() {
	objdump -d --no-show-raw-insn "$W/q.o" |
		awk '/^[0-9a-f]+ <.*>:/ { f = $2 } /call.*<mid/ { print f }' | grep -q '<work>'
}

refuses() { # GCC PROFILE MESSAGE
	run "$1" -O2 -fauto-profile="$2" -c q.c -o /dev/null >"$T/said" 2>&1 && return 1
	grep -q -- "$3" "$T/said"
}

check_gcc() {
	local gcc=$1 release=$2 other=12
	local flags="-g -O2 -Wall -fno-tree-vectorize -fdump-ipa-afdo-all"
	[ "$release" -ge 16 ] && flags="$flags -Wauto-profile -fdump-ipa-afdo_offline-details"
	[ "$release" -lt 16 ] && other=16
	tool "$T/q.txt" gcc "$W/q.afdo" gcc="$release" rules
	# shellcheck disable=SC2086 # options are words
	expect "gcc $release takes its file" quiet "$gcc" $flags -fauto-profile=q.afdo -c q.c -o q.o
	if [ "$release" -ge 16 ]; then
		# Every statement of the inlined body has its count, and nothing was thrown away.
		expect "gcc $release counts the arms" dump afdo_offline '^ +8 +270000 '
		expect "gcc $release counts the other arm" dump afdo_offline '^ +10 +30000 '
		expect "gcc $release matches the body under its discriminator" \
			dump afdo_offline 'with auto profile: work:4.1 mid'
		expect "gcc $release sums clones" dump afdo_offline '^ +2 +350000 '
		expect "gcc $release throws nothing away" eval "! dump afdo_offline 'Removing'"
	else
		expect "gcc $release counts the arms" dump afdo 'succ:.*count:270000 \(auto FDO'
		expect "gcc $release counts the other arm" dump afdo 'succ:.*count:30000 \(auto FDO'
		expect "gcc $release sums clones" dump afdo 'succ:.*EXIT.*count:3[05]0000 \(auto FDO'
	fi
	expect "gcc $release inlines mid where it is hot" eval "! calls_mid"
	# It is the body that does that: without it the call is too large.  gcc 16 goes by the call's own count too.
	if [ "$release" -lt 16 ]; then
		sed '/^ 4.1: mid/,/^  13/d' "$T/q.txt" >"$T/less.txt"
		tool "$T/less.txt" gcc "$W/less.afdo" gcc="$release" rules
		# shellcheck disable=SC2086 # options are words
		expect "gcc $release takes a file without it" quiet "$gcc" $flags -fauto-profile=less.afdo -c q.c -o q.o
		expect "gcc $release does not inline mid without it" calls_mid
	fi

	tool "$T/q.txt" gcc "$W/other.afdo" gcc=$other rules
	expect "gcc $release refuses the file for gcc $other" refuses "$gcc" other.afdo 'AutoFDO profile version'
	tool "$T/q.txt" gcc "$W/other.afdo" gcc=11 rules
	expect "gcc $release refuses version 1" refuses "$gcc" other.afdo 'AutoFDO profile version'

	[ "$release" -ge 16 ] || return 0
	tool "$T/twins.txt" gcc "$W/twins.afdo" gcc=16 rules file=twin.lto_priv.0:/x/d1/u.c \
		file=twin.lto_priv.1:/x/d2/v.c
	for f in d1/u d2/v; do
		# shellcheck disable=SC2086 # options are words
		expect "gcc $release takes the twins for $f.c" quiet "$gcc" $flags -fauto-profile=twins.afdo \
			-c $f.c -o twin.o
		[ $f = d1/u ] && share=90.0 || share=5.0
		expect "gcc $release gives $f.c its own twin" dump afdo "succ:.*\\[$share% \\(auto FDO\\)\\]"
	done
}

seen=
for release in $(seq 12 30); do
	gcc=$(command -v "gcc-$release") || continue
	check_gcc "$gcc" "$release"
	seen="$seen $release"
done
if [ -n "${PGO_GCC_TREE-}" ]; then
	W=$(mktemp -d "$PGO_GCC_TREE/tmp/formats.XXXXXX") || exit 1
	cp -r "$T"/q.c "$T"/d1 "$T"/d2 "$W"
	for release in $(seq 12 30); do
		[ -x "$PGO_GCC_TREE/usr/bin/gcc-$release" ] || continue
		check_gcc "gcc-$release" "$release"
		seen="$seen $release"
	done
fi

if dumper=$(command -v dump_gcov); then
	tool "$T/q.txt" gcc "$T/q11.afdo" gcc=11 rules
	"$dumper" --gcov_version=1 "$T/q11.afdo" 2>/dev/null | sed 's/  */ /g; s/^ *//' | sort >"$T/theirs"
	tool "$T/q11.afdo" llvm-text - | awk '
		/^[^ ]/ { n = split($0, a, ":"); print a[1] " total:" a[2] " head:" a[3]; next }
		/: [^0-9]/ { sub(/:[0-9]+$/, " total&") }
		{ sub(/^ */, ""); print }' | sort >"$T/ours"
	expect "dump_gcov prints version 1 as it is" cmp "$T/theirs" "$T/ours"
	expect "dump_gcov printed something" grep -q 'mid total:2300000' "$T/theirs"
	seen="$seen, dump_gcov"
fi

[ -n "$seen" ] || {
	echo "neither gcc 12 or later nor dump_gcov is installed"
	exit 77
}
finish "gcc$seen"
