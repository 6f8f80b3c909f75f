#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Verdicts on real rebuilds. Three programs, gcc and clang; eight "hosts" with loads of their own, each measured before and after a rebuild
# of unchanged sources with its profile. Nothing may be called regressed because its inlining changed; the win that is stated must hold the truth,
# which is the exact number of instructions; a slow-down planted in one function must be found under its name; and a profile of another
# program must not pass.
#
# Samples are of instructions, under the emulator (tests/emu/README.md): what they estimate is known exactly.
# VERIFY_REBUILD_KEEP=DIR works there, and keeps it.
set -u
. tests/operate/lib.bash
operate_begin
fixture
if [ -n "${VERIFY_REBUILD_KEEP-}" ]; then
	mkdir -p "$VERIFY_REBUILD_KEEP"
	rm -rf "$T"
	ln -s "$(realpath "$VERIFY_REBUILD_KEEP")" "$T"
fi
HOSTS=(1 2 3 4 5 6 7 8)
PLANT='q_lex_word'

command -v g++ >/dev/null || skip 'g++ is not here'
for tool in llvm-symbolizer llvm-objdump llvm-cxxfilt; do
	tests/tools.sh "$tool" >/dev/null || skip "$tool is not here"
done
CLANG=$(tests/tools.sh clang 2>/dev/null) || CLANG=
CLANGXX=$(tests/tools.sh clang++ 2>/dev/null) || CLANG=

# ---- programs: build COMPILER FOLDER FLAGS...; the program is FOLDER/app

build_quarry() {
	tests/demo/build.sh "$1" "$2" "$3" "${@:4}" -Wl,--build-id >/dev/null && mv "$3/quarry" "$3/app"
}

build_menagerie() {
	local cc=$1 cxx=$2 out=$3 f
	shift 3
	mkdir -p "$out"
	for f in left right; do
		"$cc" "$@" -c "tests/programs/menagerie_$f.c" -o "$out/$f.o" || return 1
	done
	"$cxx" "$@" -Wl,--build-id tests/programs/menagerie.cpp "$out/left.o" "$out/right.o" -o "$out/app"
}

build_maze() {
	local cxx=$2 out=$3
	shift 3
	mkdir -p "$out"
	"$cxx" "$@" -Wl,--build-id tests/interop/convert_prog.cpp -o "$out/app"
}

# What host $2 had to do, as arguments; and how much that is.
arguments() {
	case $1 in
	quarry) echo "run $T/input/$2.log $((2 + $2 % 3))" ;;
	menagerie) echo "$((60 + 5 * $2)) $2" ;;
	maze) echo "$((400 + 20 * $2))" ;;
	esac
}
work() {
	case $1 in
	quarry) echo "$((2 + $2 % 3))" ;;
	menagerie) echo "$((60 + 5 * $2))" ;;
	maze) echo "$((400 + 20 * $2))" ;;
	esac
}

# record PROGRAM FOLDER HOST SEED: a profile in FOLDER/perf, and exact counts in FOLDER/exact/HOST
record() {
	local program=$1 dir=$2 host=$3 seed=$4 args start
	read -ra args <<<"$(arguments "$program" "$host")"
	start=$((1794700000 + 86400 * seed))
	mkdir -p "$dir/perf" "$dir/exact"
	tests/emu/record.sh -e instructions -p 2503 -s "$((100 * seed + host))" -o "$dir/$host.ring" -- "$dir/app" "${args[@]}" >/dev/null &&
		"$B/emu/exact" "$dir/$host.ring" >"$dir/exact/$host" &&
		"$B/emu/mkperf" --host "web-$host" --start-time "$start" --aslr "$host$seed" -o "$dir/$host.perf" "$dir/$host.ring" &&
		"$PGO" import -q "$dir/$host.perf" --host "web-$host" --time "@$start" --binary "$dir/app" -o "$dir/perf" >/dev/null &&
		rm "$dir/$host.ring" "$dir/$host.perf"
}

# Two at a time; the failure of any is remembered.
record_all() {
	local h
	for h in "${HOSTS[@]}"; do
		record "$1" "$2" "$h" "$3" || touch "$T/failed" &
		if [ $((h % 2)) = 0 ]; then wait; fi
	done
	wait
	[ ! -e "$T/failed" ]
}

# How much each of the files in the folders has in it.
work_file() {
	local program=$1 dir f host
	shift
	echo "requests,file"
	for dir; do
		for f in "$dir"/perf/*.pb.gz; do
			host=${f##*/web-}
			echo "$(work "$program" "${host%%-*}"),$f"
		done
	done
}

rebuild() {
	local compiler=$1 program=$2 dir=$T/$1/$2 cc=gcc cxx=g++ flags=(-O2 -g) use=-fauto-profile= kind=--gcc
	if [ "$compiler" = clang ]; then
		cc=$CLANG cxx=$CLANGXX flags=(-O2 -g -fdebug-info-for-profiling) use=-fprofile-sample-use= kind=--clang
	fi
	"build_$program" "$cc" "$cxx" "$dir/before" "${flags[@]}" >"$T/log" 2>&1 && record_all "$program" "$dir/before" 1 >>"$T/log" 2>&1 &&
		"$PGO" convert "$dir/before/perf" --binary "$dir/before/app" "$kind" "$dir/profile" >>"$T/log" 2>&1 &&
		"build_$program" "$cc" "$cxx" "$dir/after" "${flags[@]}" "$use$dir/profile" >>"$T/log" 2>&1 &&
		record_all "$program" "$dir/after" 2 >>"$T/log" 2>&1
}

# verdict NAME BEFORE AFTER PROGRAM [OPTIONS]
verdict() {
	local name=$1 before=$2 after=$3 program=$4
	shift 4
	work_file "$program" "$before" "$after" >"$T/$name.csv"
	"$PGO" verify "$before/perf" -- "$after/perf" --before-binary "$before/app" --after-binary "$after/app" \
		--work "$T/$name.csv" --bootstrap 2000 --json "$@" >"$T/$name.json"
}

for compiler in gcc clang; do
	if [ "$compiler" = clang ] && [ -z "$CLANG" ]; then
		echo "clang is not here: gcc only"
		continue
	fi
	mkdir -p "$T/input"
	if [ ! -e "$T/app" ]; then
		mkdir -p "$T/generator"
		build_quarry gcc g++ "$T/generator" -O2 >"$T/log" 2>&1 || exit 1
		cp "$T/generator/app" "$T/app"
		for h in "${HOSTS[@]}"; do
			"$T/app" gen "$h" $((50000 + 2000 * h)) web >"$T/input/$h.log"
		done
	fi
	for program in quarry menagerie maze; do
		dir=$T/$compiler/$program
		expect "$compiler: $program is recorded, rebuilt with its profile, and recorded again" rebuild "$compiler" "$program"
		expect "$compiler: $program has a verdict" verdict "$compiler-$program" "$dir/before" "$dir/after" "$program"
		expect "$compiler: $program: the win that is stated is that of the counts" \
			python3 tests/operate/rebuild_truth.py "$T/$compiler-$program.json" "$dir/before" "$dir/after"
		cat "$T/log"
		cat "$T/log" >>"$T/said"
	done
done

# All verdicts are at a false-discovery rate of 5 %, so one function in twenty may be wrong; chance has room for three in all,
# and for one interval that misses the truth by a little, two of six are as rare as that.
wrong=$(sed -n 's/^regressed by the verdict and not by the counts: \([0-9]*\) of .*/\1/p' "$T/said" | awk '{ n += $1 } END { print n + 0 }')
expect "hardly anything is called regressed for being inlined elsewhere ($wrong)" test "$wrong" -le 3
missed=$(grep -c '^the truth is outside of' "$T/said")
expect "the intervals hold the truth (all but $missed)" test "$missed" -le 2

# The same sources but for one function, which does more than it did: against the program of the same flags and profile.
plant() {
	mkdir -p "$T/planted/tests/demo" && cp -r tests/demo/build.sh tests/demo/src "$T/planted/tests/demo/" &&
		sed -i "/^struct q_span $PLANT(/,/^{/s/^{/{\n\tfor (volatile int more = 0; more < 12; more++)\n\t\t;/" "$T/planted/tests/demo/src/qtoken.c" &&
		! cmp -s "$T/planted/tests/demo/src/qtoken.c" tests/demo/src/qtoken.c &&
		"$T/planted/tests/demo/build.sh" gcc g++ "$T/gcc/quarry/planted" -O2 -g "-fauto-profile=$T/gcc/quarry/profile" -Wl,--build-id >/dev/null &&
		mv "$T/gcc/quarry/planted/quarry" "$T/gcc/quarry/planted/app" && record_all quarry "$T/gcc/quarry/planted" 3
}
expect "a slow-down is planted" plant
expect "and compared" verdict planted "$T/gcc/quarry/after" "$T/gcc/quarry/planted" quarry
expect "it is found under its name, and the loss holds the truth" \
	python3 tests/operate/rebuild_truth.py "$T/planted.json" "$T/gcc/quarry/after" "$T/gcc/quarry/planted" "$PLANT"

# Another program's profile.
exits 11 "$PGO" check "$T/gcc/menagerie/before/perf" --binary "$T/gcc/quarry/after/app"
expect "because the program is another one" grep -q "fail *mapped" "$T/stdout"
exits 1 "$PGO" verify "$T/gcc/quarry/before/perf" -- "$T/gcc/menagerie/before/perf" --before-binary "$T/gcc/quarry/before/app" \
	--after-binary "$T/gcc/menagerie/before/app" --fail-if 'overlap<50%'
operate_end
