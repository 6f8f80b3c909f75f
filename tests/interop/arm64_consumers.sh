#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# AArch64: gcc, clang and llvm-bolt take the profiles that `pgo convert` made, and the programs they make do the same work
# with fewer taken branches; beside them the profiles of the peers. Instructions and taken branches are exact counts of
# the emulator, relative to the plain program.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
interop_init
have_compiler arm64gcc || skip "g++-aarch64-linux-gnu is not installed"
command -v qemu-aarch64 >/dev/null || skip "qemu-user is not installed"
perf2bolt=$(command -v perf >/dev/null && tests/tools.sh perf2bolt)
profgen=$(tests/tools.sh llvm-profgen)
bolt=$(tests/tools.sh llvm-bolt)
programs=${ARM64_PROGRAMS:-quarry-arm64gcc-pie quarry-arm64clang-fixed}

# rebuilt NAME WHO OUT FLAG...: builds with the profile that FLAG names, which must be taken in silence, and measures
rebuilt() {
	local name=$1 who=$2 out=$3 cc cxx
	shift 3
	read -r cc cxx < <(compiler_of "$compiler")
	rm -rf "$out"
	# shellcheck disable=SC2046 # several words
	build "$source" "$cc" "$cxx" "$out" $(flags_of "$compiler" "$kind") "$@" >"$T/said" 2>&1
	expect "$name: the compiler takes the profile of $who in silence" silent "$T/said"
	counted "$out/app" "$source" "$out.run"
	same_work "$name by $who" "$T/plain" "$out.run"
}

# bolted FDATA OUT
bolted() {
	"$bolt" "$APP" -data="$1" -o "$2" -reorder-blocks=ext-tsp -reorder-functions=cdsort -split-functions -split-all-cold \
		>"$2.log" 2>&1 || { cat "$2.log"; return 1; }
	cat "$2.log"
	! grep -qE 'stale|invalid profile|no valid|unable to|ERROR' "$2.log" && grep -qE 'reordering modified layout of [1-9]' "$2.log"
}

profgen_of() {
	"$B/emu/mkperf" -o "$T/unsym" --unsymbolized --binary "$APP" "$RING" &&
		"$profgen" --unsymbolized-profile="$T/unsym" --use-offset=0 --binary="$APP" --output="$1" --format=extbinary
}

for name in $programs; do
	IFS=- read -r source compiler kind <<<"$name"
	program "$name"
	counted "$APP" "$source" "$T/plain"
	expect "$name: pgo converts" "$PGO" convert "$DATA" --binary "$APP" --gcc "$T/afdo" --clang "$T/prof" --bolt "$T/fdata" || continue
	if [ "$compiler" = arm64gcc ]; then
		rebuilt "$name" 'pgo --gcc' "$T/gcc" -fauto-profile="$T/afdo" -Wno-missing-profile -fdump-tree-optimized-blocks-details
		blocks=$(cat "$T"/gcc/*.optimized | grep -c 'basic block.*count [1-9][0-9]* (auto FDO')
		expect "$name: blocks have counts of the profile" at_least "$blocks" 100
	else
		rebuilt "$name" 'pgo --clang' "$T/clang" -fprofile-sample-use="$T/prof"
		ours=$T/clang.run
		if [ -n "$profgen" ]; then
			expect "$name: llvm-profgen converts" profgen_of "$T/peer.prof"
			rebuilt "$name" llvm-profgen "$T/peer" -fprofile-sample-use="$T/peer.prof"
			expect "$name: as few taken branches as with llvm-profgen's profile" below "$(ratio "$ours" "$T/peer.run" taken-branches)" 1.02
		fi
	fi
	[ -n "$bolt" ] || continue
	expect "$name: llvm-bolt takes the profile" bolted "$T/fdata" "$T/bolted" || continue
	grep -E 'non-empty execution profile|reordering modified layout' "$T/bolted.log" | sed 's/^BOLT-INFO: /    /'
	counted "$T/bolted" "$source" "$T/ours"
	same_work "$name by pgo --bolt" "$T/plain" "$T/ours"
	expect "$name: llvm-bolt saves branches" below "$(ratio "$T/ours" "$T/plain" taken-branches)" 0.95
	[ -n "$perf2bolt" ] || continue
	expect "$name: perf2bolt converts" "$perf2bolt" "$APP" -p "$DATA" -o "$T/peer.fdata"
	expect "$name: llvm-bolt takes perf2bolt's profile" bolted "$T/peer.fdata" "$T/peer.bolted" || continue
	counted "$T/peer.bolted" "$source" "$T/peer"
	same_work "$name by perf2bolt" "$T/plain" "$T/peer"
	expect "$name: as few taken branches as with perf2bolt's profile" below "$(ratio "$T/ours" "$T/peer" taken-branches)" 1.01
done
finish
