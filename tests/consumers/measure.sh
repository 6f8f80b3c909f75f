#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What one compiler makes of our profile of a program that it built itself: is the file accepted, what is said about it,
# how much of its counts finds a statement, and what the rebuilt program gains.
#
#	measure.sh [-r ROOT] [-p quarry|menagerie] [-o OUT] COMPILER [FLAG...]
#
# COMPILER is gcc-N or clang-N, in the directory ROOT (tests/consumers/root.sh) or here.  FLAGs go to both builds, except
# those after a "+", which go to the rebuild only.  Trained on one input, measured on another (quarry) by an emulator that counts
# exactly.  Prints one line; with -o the dumps stay there.  Exit code 0: accepted in silence with the same output.
#
#	gcc-16 quarry: accepted, 0 warnings, 97.1 % of the counts matched, instructions -9.1 %, taken branches -18.8 %
#
# Matched: of the counts in the profile, the share that the compiler found a statement for.  clang says so itself
# (-sample-profile-check-sample-coverage), gcc from 16 on in -fdump-ipa-afdo_offline; for older gcc it is the share of
# the functions that have a block with a count of the profile in -fdump-tree-optimized (those inlined everywhere have none).
set -u

root='' source=quarry out=''
while getopts r:p:o: c; do
	case $c in
	r) root=${OPTARG%/} ;;
	p) source=$OPTARG ;;
	o) out=$OPTARG ;;
	*) sed -n 's/^#	\(measure.sh.*\)/usage: \1/p' "$0" >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || {
	sed -n 's/^#	\(measure.sh.*\)/usage: \1/p' "$0" >&2
	exit 2
}
compiler=$1 both=() after=()
shift
for f; do
	if [ "$f" = + ]; then
		after=("")
	elif [ ${#after[@]} -gt 0 ]; then
		after+=("$f")
	else
		both+=("$f")
	fi
done
after=("${after[@]:1}")

. tests/interop/peers_lib.bash
interop_init
family=${compiler%-*} release=${compiler##*-}
cxx=g++-$release
[ "$family" = gcc ] || cxx=clang++-$release

# The sources, as the compiler sees them.
work=$(mktemp -d "${root:-}/tmp/pgo-consumer.XXXXXX") || exit 1
trap 'rm -rf "$work" "$T"' EXIT
seen=${work#"$root"}
mkdir -p "$work/tests/demo" "$work/tests/interop"
cp -r tests/demo/build.sh tests/demo/src "$work/tests/demo"
cp -r tests/programs "$work/tests"
cp tests/interop/peers_lib.bash "$work/tests/interop"

# built NAME FLAG...: the program is $work/NAME/app; what was said is in $T/NAME.log
built() {
	local name=$1
	shift
	set -- bash -c "cd $seen && . tests/interop/peers_lib.bash && build \"\$@\"" build \
		"$source" "$compiler" "$cxx" "$seen/$name" "$@"
	[ -z "$root" ] || set -- chroot "$root" "$@"
	"$@" >"$T/$name.log" 2>&1
}

fail() {
	echo "$compiler $source: $1"
	[ -z "${2-}" ] || tail -n 5 "$2" | sed 's/^/    /'
	exit 1
}

# args TRAIN|TEST
args() {
	case $source in
	quarry) echo "run $FI/consumer-$1.log 2" ;;
	menagerie) echo 250 ;;
	esac
}

count() { # NAME: exact counts of a run go to $T/NAME.count
	# shellcheck disable=SC2046 # several words
	tests/emu/record.sh --count "$T/$1.count" -- "$work/$1/app" $(args TEST) >"$T/$1.out"
}

flags=(-O2 -g -static '-Wl,--build-id')
[ "$family" = gcc ] || flags+=(-fdebug-info-for-profiling -Qunused-arguments)
built plain "${flags[@]}" "${both[@]}" || fail "does not build the program" "$T/plain.log"
if [ "$source" = quarry ]; then
	"$work/plain/app" gen 5 250000 web >"$FI/consumer-TRAIN.log" || exit 1
	"$work/plain/app" gen 9 250000 api >"$FI/consumer-TEST.log" || exit 1
fi
# shellcheck disable=SC2046 # several words
tests/emu/record.sh -e branches -p 797 -s 7 -o "$T/ring" -- "$work/plain/app" $(args TRAIN) >/dev/null ||
	fail "cannot be recorded"
"$B/emu/mkperf" --aslr 11 --host web-1 --start-time 1790000000 -o "$T/data" "$T/ring" || exit 1
count plain

case $family in
gcc)
	"$PGO" convert "$T/data" --binary "$work/plain/app" --gcc "$work/profile" --gcc-release "$release" \
		>"$T/account" 2>&1 || fail "pgo convert failed" "$T/account"
	after+=("-fauto-profile=$seen/profile" -fdump-tree-optimized-blocks-details)
	[ "$release" -lt 16 ] || after+=(-Wauto-profile -fdump-ipa-afdo_offline-details)
	;;
clang)
	"$PGO" convert "$T/data" --binary "$work/plain/app" --clang "$work/profile" \
		>"$T/account" 2>&1 || fail "pgo convert failed" "$T/account"
	after+=("-fprofile-sample-use=$seen/profile" -mllvm -sample-profile-check-sample-coverage=101)
	;;
esac
built after "${flags[@]}" "${both[@]}" "${after[@]}" || fail "does not build with the profile" "$T/after.log"
count after
cmp -s "$T/plain.out" "$T/after.out" || fail "the rebuilt program prints something else"

# ---- how much of the profile found a statement
"$PGO" show --all "$work/profile" >"$T/profile"
total=$(sed -n '2s/.*counts sum \([0-9]*\),.*/\1/p' "$T/profile")
case $family in
clang)
	# A function that several units have is counted once; what was inlined and not inlined is counted in both.
	read -r matched total < <(sed -n 's/^warning: \(.*\): \([0-9]*\) of \([0-9]*\) available profile samples.*/\1 \2 \3/p' "$T/after.log" |
		awk -v t="$total" '$3 > a[$1] { a[$1] = $3; n[$1] = $2 } END { for (k in n) { m += n[k]; s += a[k] } print m + 0, (s > t ? s : t) }')
	warnings=$(grep -c 'warning: ' "$T/after.log")
	warnings=$((warnings - $(grep -c 'available profile samples' "$T/after.log")))
	;;
gcc)
	warnings=$(grep -c 'warning: ' "$T/after.log")
	if [ "$release" -ge 16 ]; then
		# Every place of a matched function once; what the passes move to other functions comes later in the dump.
		matched=$(awk '
			FNR == 1 { off = 0; here = "" }
			/^Offlining function inlined to other module|^Removing external/ { off = 1 }
			off { next }
			/^Matching gimple function / { sub(/.* with auto profile: /, ""); here = $0; next }
			here != "" && $1 ~ /^[0-9.]+$/ && $2 ~ /^[0-9]+$/ && $2 > seen[here, $1] { n += $2 - seen[here, $1]; seen[here, $1] = $2 }
			END { print n + 0 }' "$work"/after/*.afdo_offline)
	else
		matched=$(awk '
			FNR == 1 { file++ }
			file == 1 && /^  [^ ].*: total [0-9]*, head [0-9]*$/ {
				name = $0; sub(/^  /, "", name); sub(/: total.*/, "", name)
				n = $0; sub(/.*: total /, "", n); total[name] = n + 0
				next
			}
			file == 1 { next }
			/^;; Function / { match($0, /\([^ (]*, funcdef_no/); f = substr($0, RSTART + 1); sub(/[.,].*/, "", f) }
			/basic block .*, count [1-9][0-9]* \(auto FDO/ && f in total { got[f] }
			END { for (f in got) sum += total[f]; print sum + 0 }' "$T/profile" "$work"/after/*.optimized)
	fi
	;;
esac
[ -z "$out" ] || { mkdir -p "$out" && cp -r "$work/plain" "$work/after" "$out" && cp -r "$T" "$out/log" && cp "$work/profile" "$out"; }

change() {
	awk -v n="$1" '$1 == n { c[++k] = $2 } END { printf "%+.1f", 100 * (c[2] / c[1] - 1) }' "$T/plain.count" "$T/after.count"
}
echo "$compiler $source${both[*]:+ ${both[*]}}: accepted, $warnings warnings," \
	"$(awk -v m="$matched" -v t="$total" 'BEGIN { printf "%.1f", t ? 100 * m / t : 0 }') % of the counts matched," \
	"instructions $(change instructions) %, taken branches $(change taken-branches) %"
