#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# LLVM's sample profiles against llvm-profdata and clang: the newest llvm-profdata writes the same bytes, every one
# installed reads what we write, and clang compiles the same code from each of our formats as from the text that a
# person would write.
#
# Differences that are known and allowed:
#   * compressed sections: zlib's level is not LLVM's, so only their content is compared;
#   * metadata of contexts: llvm-profdata writes it in the order of a hash table, we in the order of the functions.
# shellcheck disable=SC2317 # called by name
set -u

B=${B:-build}
profdata=$(tests/tools.sh llvm-profdata) || {
	echo "llvm-profdata is not installed"
	exit 77
}
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
# shellcheck source=tests/interop/formats_lib.bash
. tests/interop/formats_lib.bash
build_tool

# What a profile can hold: inlined functions three deep, targets, discriminators, offsets that wrap around, names of
# C++ and of -funique-internal-linkage-names, ties in the order of functions.
profiles() {
	cat >"$T/plain.txt" <<-END
		work:41448:0
		 0: 1
		 2.1: 1000
		 2.2: 1000
		 3: 1000 leaf:1000
		 3.1: 400 leaf:390 other:10
		 5: 1
		 65520: 1
		 3.2: mid:7200
		  1: 400
		  2: 400
		  4.3: leaf:70
		   1: 35
		 3.2: aaa:10
		  1: 5
		leaf:100:7
		 1: 100
		other:100:7
		 1: 100
		 2: 0
	END
	cat >"$T/cxx.txt" <<-END
		_ZN2ns3FooIiE3barEv:9000000000:123456789
		 1: 4000000000
		 3.130: 18446744073 _ZNSt6vectorIiE4pushEv:7 std::function<int (a, b)>::operator():5
		operator<< <a::b, c>(int):70:3
		 1: 10 x::y<z, w>:7
		 2.3: f.isra.0:5
		  1: 5
	END
	printf 'foo.__uniq.123:100:5\n 1: 100 bar.__uniq.9:3\nbar:7:1\n 1: 7\n' >"$T/unique.txt"
	cat >"$T/probe.txt" <<-END
		foo:3200:13
		 1: 13
		 2: 7 foo:3 bar:4
		 3: bar:30
		  1: 14
		  4: baz:7
		   1: 7
		   !CFGChecksum: 77
		  !CFGChecksum: 300
		  !Attributes: 1
		 !CFGChecksum: 4660
		 !Attributes: 2
		bar:20:3
		 1: 20
		 !CFGChecksum: 22
	END
	cat >"$T/contexts.txt" <<-END
		[main:1 @ foo:2.1 @ bar]:300:30
		 1: 100
		 2: 200 baz:100 qux:100
		 !Attributes: 1
		[main]:100:1
		 1: 50
		 3: 50
		 !Attributes: 3
		[main:1 @ foo]:100:10
		 1: 100
		[bar]:100:10
		 1: 100
	END
	# Two hundred functions of one total: order is all by name.
	for i in $(seq 200); do
		printf 'fn%d:50:1\n 1: %d fn%d:%d\n 2: g%d:7\n  1: 7\n' \
			$((i * 7919 % 1000)) "$i" $((i % 13)) "$i" $((i % 3))
	done >"$T/many.txt"
}
profiles

# ------------------------------------------------------------------ the same bytes

for p in plain cxx unique probe contexts many; do
	for f in text binary extbinary; do
		# Raw files hold neither contexts nor probes.
		"$profdata" merge --sample --$f "$T/$p.txt" -o "$T/$p.$f" 2>/dev/null || continue
		case $p.$f in probe.binary | contexts.binary) continue ;; esac
		expect "read $p, $f" tool "$T/$p.$f" llvm-text "$T/back"
		[ $p.$f = contexts.extbinary ] && continue
		expect "write $p, $f" tool "$T/$p.txt" llvm-$f "$T/ours"
		expect "$p, $f: the bytes of llvm-profdata" cmp "$T/ours" "$T/$p.$f"
		expect "rewrite $p, $f" tool "$T/$p.$f" llvm-$f "$T/ours"
		expect "$p, $f, from its own format: the bytes of llvm-profdata" cmp "$T/ours" "$T/$p.$f"
	done
done
# All but the metadata, which comes last.
expect "contexts, extbinary" tool "$T/contexts.txt" llvm-extbinary "$T/ours"
expect "contexts, extbinary: the bytes of llvm-profdata up to the metadata" \
	cmp -n $(($(stat -c %s "$T/ours") - 8)) "$T/ours" "$T/contexts.extbinary"

"$profdata" merge --sample --extbinary --use-md5 "$T/plain.txt" -o "$T/md5"
expect "hash names" tool "$T/plain.txt" llvm-extbinary "$T/ours" md5
expect "hashed names: the bytes of llvm-profdata" cmp "$T/ours" "$T/md5"
"$profdata" merge --sample --extbinary --use-md5 "$T/md5" -o "$T/md5again"
expect "rewrite hashed names" tool "$T/md5" llvm-extbinary "$T/ours"
expect "rewritten hashes: the bytes of llvm-profdata" cmp "$T/ours" "$T/md5again"
printf 'a\nzz\nb\naa\n' >"$T/symbols"
"$profdata" merge --sample --extbinary --prof-sym-list="$T/symbols" "$T/plain.txt" -o "$T/with_list"
expect "rewrite a symbol list" tool "$T/with_list" llvm-extbinary "$T/ours"
expect "symbol list: the bytes of llvm-profdata" cmp "$T/ours" "$T/with_list"
"$profdata" merge --sample --extbinary --gen-partial-profile "$T/plain.txt" -o "$T/partial"
expect "rewrite a partial profile" tool "$T/partial" llvm-extbinary "$T/ours"
expect "partial profile: the bytes of llvm-profdata" cmp "$T/ours" "$T/partial"
for layout in --compress-all-sections --split-layout; do
	"$profdata" merge --sample --extbinary $layout "$T/plain.txt" -o "$T/layout"
	expect "read $layout" tool "$T/layout" llvm-extbinary "$T/ours"
	expect "$layout: the same profile" cmp "$T/ours" "$T/plain.extbinary"
done
expect "compress" tool "$T/plain.txt" llvm-extbinary "$T/ours" compress
expect "llvm-profdata inflates ours" "$profdata" merge --sample --extbinary "$T/ours" -o "$T/theirs"
expect "inflated: the same profile" cmp "$T/theirs" "$T/plain.extbinary"

# ------------------------------------------------------------------ every llvm-profdata reads ours

for reader in /usr/lib/llvm-*/bin/llvm-profdata; do
	[ -x "$reader" ] || continue
	version=${reader#/usr/lib/llvm-}
	version=${version%%/*}
	seen="${seen-} $version"
	for p in plain cxx unique many; do
		for f in text binary extbinary; do
			tool "$T/$p.txt" llvm-$f "$T/ours"
			expect "$version shows $p, $f" "$reader" show --sample "$T/ours"
			expect "$version overlaps $p, $f" "$reader" overlap --sample "$T/ours" "$T/$p.txt"
			"$reader" overlap --sample "$T/ours" "$T/$p.txt" >"$T/overlap" 2>/dev/null
			expect "$version: $p, $f overlaps its text wholly" \
				grep -q 'program level similarity is 100.000%\|Program level:.*100.000%\|Whole program profile similarity: 100.000%' \
				"$T/overlap"
			"$reader" merge --sample --text "$T/ours" -o "$T/theirs" 2>/dev/null
			tool "$T/$p.txt" llvm-text "$T/text"
			expect "$version reads all of $p, $f" cmp "$T/theirs" "$T/text"
		done
	done
	tool "$T/probe.txt" llvm-extbinary "$T/ours"
	expect "$version shows probes" "$reader" show --sample "$T/ours"
	for o in md5 compress; do
		tool "$T/plain.txt" llvm-extbinary "$T/ours" $o
		expect "$version shows $o" "$reader" show --sample "$T/ours"
	done
done

# ------------------------------------------------------------------ clang uses them

cat >"$T/p.c" <<'END'
extern int put(int);
static volatile int sink;
static int mid(int a, int b)
{
	if (a > b)
		sink += a;
	else
		sink -= b;
	return a ^ b;
}
int work(int n, int (*f)(int))
{
	int s = 0;
	for (int i = 0; i < n; i++) {
		s += f(i);
		s += mid(i, s);
		if (s == 7)
			put(s);
	}
	return s;
}
END
cat >"$T/p.txt" <<'END'
work:900000:1234
 2: 1234
 3: 1234
 3.1: 100000
 3.2: 100000
 4: 100000 put:99000
 5: 100000
 6: 100000
 7: 17
 9: 1234
 5: mid:400000
  2: 100000
  3: 99000
  5: 1000
  6: 100000
END
ir() { # CLANG PROFILE OUT
	"$1" -O2 -g -S -emit-llvm -Werror -fprofile-sample-use="$2" -o - "$T/p.c" 2>"$T/warnings" |
		grep -v '^!.*DIFile\|^!.*DICompileUnit\|^; \|^source_filename' >"$3"
	[ ! -s "$T/warnings" ] || { cat "$T/warnings" >&2; return 1; }
}
for clang in /usr/lib/llvm-*/bin/clang; do
	[ -x "$clang" ] || continue
	version=${clang#/usr/lib/llvm-}
	version=${version%%/*}
	compilers="${compilers-} $version"
	"$clang" -O2 -g -S -emit-llvm -o "$T/without.ll" "$T/p.c"
	expect "clang $version takes the text" ir "$clang" "$T/p.txt" "$T/want.ll"
	expect "clang $version has the entry count" grep -Eq '"function_entry_count", i64 123[45]\}' "$T/want.ll"
	expect "clang $version knows the target of the indirect call" grep -Eq '@put, i64 990[0-9]{2}' "$T/want.ll"
	expect "clang $version has 99 to 1 from the inlined body" \
		grep -Eq '"branch_weights", i32 9900[01], i32 100[01]\}' "$T/want.ll"
	for variant in "llvm-text" "llvm-binary" "llvm-extbinary" "llvm-extbinary md5" "llvm-extbinary compress" \
		"llvm-extbinary rules"; do
		# shellcheck disable=SC2086 # options are words
		set -- $variant
		tool "$T/p.txt" "$1" "$T/ours.prof" "${@:2}"
		expect "clang $version takes $variant" ir "$clang" "$T/ours.prof" "$T/ours.ll"
		expect "clang $version: $variant gives the code of the text" cmp "$T/ours.ll" "$T/want.ll"
	done
	# Names that only -funique-internal-linkage-names explains.
	"$clang" -O2 -g -funique-internal-linkage-names -S -emit-llvm -o "$T/unique.ll" -fno-inline "$T/p.c"
	name=$(sed -n 's/^define.*@\(_ZL3midii\.__uniq\.[0-9]*\)(.*/\1/p' "$T/unique.ll")
	printf '%s.llvm.99:500:777\n 2: 500\n' "$name" >"$T/u.txt"
	tool "$T/u.txt" llvm-extbinary "$T/u.prof" rules
	"$clang" -O2 -g -funique-internal-linkage-names -fno-inline -S -emit-llvm -fprofile-sample-use="$T/u.prof" \
		-o "$T/unique.ll" "$T/p.c"
	expect "clang $version finds $name" grep -Eq '"function_entry_count", i64 (778|500)\}' "$T/unique.ll"
done

finish "llvm-profdata$seen, clang${compilers:- (none)}"
