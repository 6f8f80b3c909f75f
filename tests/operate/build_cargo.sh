#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cargo: a stable rustc makes a program that can be recorded, and llvm-bolt uses its profile; a nightly one (here the
# stable one that is told to be) reads the sample profile itself.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin cargo rustc
bolt=$(tests/tools.sh llvm-bolt) || skip "llvm-bolt is not installed"
unset CC RUSTFLAGS RUSTC_BOOTSTRAP
mkdir -p "$T/r/src"
printf '[package]\nname = "sort"\nversion = "0.1.0"\nedition = "2021"\n' >"$T/r/Cargo.toml"
cat >"$T/r/src/main.rs" <<'R'
fn rank(v: &[u32], x: u32) -> usize {
    let mut n = 0;
    for &y in v {
        if y < x { n += 1 } else if y == x && n % 7 == 3 { n += 2 }
    }
    n
}
fn main() {
    let mut v: Vec<u32> = Vec::new();
    let mut seed = 12345u32;
    for _ in 0..400 {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        v.push(seed >> 16);
    }
    let total: usize = v.iter().map(|&x| rank(&v, x)).sum();
    println!("{total}");
}
R
build() {
	(cd "$T/r" && RUSTFLAGS=$("$PGO" flags --compiler rustc "$@") cargo build --offline --release -q)
}
program=$T/r/target/release/sort
expect "stable rustc builds it to be recorded" build --stage record --bolt
"$program" >"$T/want" || exit 1
expect "with a build-id" grep -q 'Build ID' <(readelf -n "$program")
expect "and relocations" grep -q '\.rela\.text' <(readelf -SW "$program")
cp "$program" "$T/recorded"
make -s B="$B" emu SAN= >/dev/null || exit 1
tests/emu/record.sh -e branches -p 97 -o "$T/sort.ring" -- "$program" >"$T/out" || exit 1
expect "the recording is converted" bash -c "'$B/emu/mkperf' -o '$T/sort.perf' --host web-1 --start-time 1790000000 '$T/sort.ring' &&
	'$PGO' convert '$T/sort.perf' --binary '$program' --bolt '$T/sort.fdata' --clang '$T/sort.prof'"
# shellcheck disable=SC2046 # words
expect "llvm-bolt uses it" "$bolt" "$program" -o "$T/sort.bolt" $("$PGO" flags --compiler "$bolt" -p "$T/sort.fdata" --require any)
expect "the program does the same" cmp <("$T/sort.bolt") "$T/want"
expect "and was rewritten by a profile" grep -q '\.note\.bolt_info' <(readelf -SW "$T/sort.bolt")

# Stable: no sample profile, and the build is what it was; nightly: used.
rustc --version | grep -q nightly || expect "stable rustc goes without the profile" build --stage both --profile "$T/sort.prof"
export RUSTC_BOOTSTRAP=1
B=$(realpath "$B")
cd "$T/r" || exit 1
flags=$("$PGO" flags --compiler rustc --stage both -p "$T/sort.prof" -d kept -f shell)
expect "nightly rustc is told" grep -q -- '-Zprofile-sample-use=kept/pgo-[0-9a-f]*.prof' <<<"$flags"
nightly() {
	RUSTFLAGS=$("$PGO" flags --compiler rustc --stage both -p "$T/sort.prof" -d "$T/r/kept" -f shell) cargo build --offline --release -v >"$T/said" 2>&1 || { cat "$T/said"; return 1; }
}
expect "and builds" nightly
expect "the program does the same" cmp <("$program") "$T/want"
expect "the compiler had it" grep -q -- '-Zprofile-sample-use' "$T/said"
cp "$T/sort.prof" "$T/copy" && rm "$T/sort.prof" && cp "$T/copy" "$T/sort.prof"
expect "an equal profile" nightly
expect "rebuilds nothing" test "$(grep -c Compiling "$T/said")" = 0
"$B/emu/mkperf" -o "$T/some.perf" --host web-1 --start-time 1790000000 --max-samples 100 "$T/sort.ring"
"$PGO" convert "$T/some.perf" --binary "$T/recorded" --clang "$T/sort.prof" >/dev/null
cmp -s "$T/copy" "$T/sort.prof" && echo "the two profiles are one" && bad=$((bad + 1))
expect "another profile" nightly
expect "rebuilds" grep -q Compiling "$T/said"
operate_end
