#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the comparisons with other tools share: programs built by several compilers, their recordings, and the measures.
# Sourced, from the repository's root. Programs and recordings are made once under $B/fixture-interop, by whichever
# script comes first, and never changed by one.
#
#	. tests/interop/peers_lib.bash; interop_init
#	program quarry-clang-pie       then $APP, $DATA (perf.data), $RING, $P (their folder)
#
# A program is SOURCE-COMPILER-KIND. SOURCE: quarry (tests/demo/src, C and C++) or menagerie (tests/programs).
# COMPILER: gcc, clang (the newest), clangold (the oldest, if another), and for AArch64, emulated like the others: arm64gcc
# (Debian's cross compiler), arm64clang. KIND: pie, fixed, and
#	dwarf4   gcc, position-independent, DWARF 4: what create_gcov 0.19 understands. Its build-id is $SAME_ID, so that
#	         the same code with other debug information can pass for it
#	fixed4   the same at fixed addresses
#	uniq     clang, position-independent, -funique-internal-linkage-names
#	lld      clang, at fixed addresses, linked by lld: a read-only segment before the text
#	bbmap    clang, position-independent, linked by lld, with the map of its basic blocks
#	dense    gcc, position-independent; recorded with a period five times shorter
#	densefix the same at fixed addresses
# All have debug information, a build-id and the linker's relocations.

B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
FI=$PWD/$B/fixture-interop
SAME_ID=6d656e616765726965206f7220717561727279ff
good=0 bad=0

skip() {
	echo "$1"
	exit 77
}

# need TOOL...: sets TOOL[name] to its path, or leaves with 77.
declare -A TOOL
need() {
	local t
	for t; do
		# shellcheck disable=SC2034 # for the scripts
		TOOL[$t]=$(tests/tools.sh "$t") || skip "$t is not installed"
	done
}

# What every test here needs.
interop_tools() {
	[ -x "$PGO" ] || {
		echo "$PGO is missing: run make"
		exit 1
	}
}

# tool NAME: builds tests/interop/NAME.c with the library, as $T/NAME
tool() {
	local libs san=()
	[ -z "${SAN-}" ] || san=("-fsanitize=$SAN")
	read -r -a libs < <(pkg-config --libs libelf libdw libzstd zlib libisal libxxhash jansson libprotobuf-c)
	"${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -O1 -I. "${san[@]}" -o "$T/$1" "tests/interop/$1.c" "$B/libpgo.a" "${libs[@]}" -lZydis -lm \
		-pthread || exit 1
}

interop_init() {
	why=$(tests/emu/have_plugins.sh) || skip "$why"
	[ "$(uname -m)" = x86_64 ] || skip "the comparisons are made on x86-64"
	[ -x "$PGO" ] || {
		echo "$PGO is missing: run make"
		exit 1
	}
	make -s B="$B" SAN= COV= emu || exit 1
	export EMU_DIR=$PWD/$B/emu
	T=$(mktemp -d) || exit 1
	trap 'rm -rf "$T"' EXIT
	export PERF_BUILDID_DIR=$T/buildid
	mkdir -p "$FI"
}

# The oldest clang's number, if it is not the newest's.
clang_old_version() {
	local d old=''
	for d in /usr/lib/llvm-*/bin/clang++; do
		[ -x "$d" ] || continue
		d=${d#/usr/lib/llvm-}
		d=${d%%/*}
		if [ -z "$old" ] || [ "$d" -lt "$old" ]; then old=$d; fi
	done
	[ -n "$old" ] && [ "$old" != "$(tests/tools.sh --version clang)" ] && echo "$old"
}

# compiler_of gcc|clang|clangold: prints the C and the C++ compiler; fails if there is none.
compiler_of() {
	local v
	case $1 in
	gcc) echo "$(tests/tools.sh gcc) $(tests/tools.sh g++)" ;;
	clang) echo "$(tests/tools.sh clang) $(tests/tools.sh clang++)" ;;
	arm64gcc) echo "$(command -v aarch64-linux-gnu-gcc) $(command -v aarch64-linux-gnu-g++)" ;;
	arm64clang)
		# its headers and libraries are those of the cross compiler
		[ -n "$(command -v aarch64-linux-gnu-g++)" ] && compiler_of clang
		;;
	clangold) v=$(clang_old_version) && echo "/usr/lib/llvm-$v/bin/clang /usr/lib/llvm-$v/bin/clang++" ;;
	esac | grep ' /'
}

have_compiler() {
	compiler_of "$1" >/dev/null
}

# flags_of COMPILER KIND
flags_of() {
	local flags='-O2 -g -Wl,--build-id -Wl,--emit-relocs'
	case $1 in *clang*) flags="$flags -Qunused-arguments -fdebug-info-for-profiling" ;; esac
	[ "$1" != arm64clang ] || flags="--target=aarch64-linux-gnu $flags"
	case $2 in
	pie | dense) flags="$flags -fPIE -pie" ;;
	fixed | densefix) flags="$flags -no-pie" ;;
	dwarf4) flags="$flags -fPIE -pie -gdwarf-4 -Wl,--build-id=0x$SAME_ID" ;;
	fixed4) flags="$flags -no-pie -gdwarf-4" ;;
	uniq) flags="$flags -fPIE -pie -funique-internal-linkage-names" ;;
	lld) flags="$flags -no-pie -fuse-ld=lld" ;;
	bbmap)
		# linked by the newest lld, whatever the compiler
		flags="$flags -fPIE -pie --ld-path=$(tests/tools.sh ld.lld)"
		case $1 in
		clang) flags="$flags -fbasic-block-address-map" ;;
		*) flags="$flags -fbasic-block-sections=labels" ;;
		esac
		;;
	esac
	echo "$flags"
}

# build SOURCE CC CXX OUT FLAGS...: the program is OUT/app. Used for the rebuilt programs as well.
build() {
	local source=$1 cc=$2 cxx=$3 out=$4 f compile=()
	shift 4
	mkdir -p "$out"
	if [ "$source" = quarry ]; then
		tests/demo/build.sh "$cc" "$cxx" "$out" "$@" && mv "$out/quarry" "$out/app"
		return
	fi
	for f; do
		case $f in
		-Wl,* | -fuse-ld=* | --ld-path=* | -pie) ;;
		-no-pie) compile+=(-fno-pie) ;;
		*) compile+=("$f") ;;
		esac
	done
	for f in left right; do
		"$cc" -std=gnu17 "${compile[@]}" -c "tests/programs/menagerie_$f.c" -o "$out/$f.o" || return 1
	done
	"$cxx" -std=c++17 "${compile[@]}" -c tests/programs/menagerie.cpp -o "$out/main.o" &&
		"$cxx" "$@" "$out"/{main,left,right}.o -o "$out/app"
}

# What a program is given: a hundred million instructions or so. COPY is the same for each build.
args_of() {
	case $1 in
	quarry) echo "run $FI/input.log 2" ;;
	menagerie) echo 250 ;;
	esac
}

# emulated APP ARG...: runs it, by the emulator if it is for another machine
emulated() {
	if [ "$(machine_of "$1")" = arm64 ]; then
		QEMU_LD_PREFIX=${QEMU_LD_PREFIX-/usr/aarch64-linux-gnu} qemu-aarch64 "$@"
	else
		"$@"
	fi
}

# machine_of APP: x86-64 or arm64
machine_of() {
	case $(od -An -tu2 -j18 -N2 "$1" | tr -d ' ') in
	183) echo arm64 ;;
	*) echo x86-64 ;;
	esac
}

# objdump_of APP: the command that disassembles it
objdump_of() {
	if [ "$(machine_of "$1")" = arm64 ]; then echo aarch64-linux-gnu-objdump; else echo objdump; fi
}

program_make() {
	local name=$1 source=$2 cc=$3 cxx=$4 flags=$5 period=$6 new=$FI/$1
	rm -rf "$new" && mkdir -p "$new" || return 1
	# shellcheck disable=SC2086 # several words
	build "$source" "$cc" "$cxx" "$new" $flags || return 1
	if [ "$source" = quarry ] && [ ! -e "$FI/input.log" ]; then
		emulated "$new/app" gen 5 250000 web >"$new/input" && mv "$new/input" "$FI/input.log" || return 1
	fi
	# shellcheck disable=SC2046
	tests/emu/record.sh -e branches -p "$period" -s 7 -o "$new/ring" -- "$new/app" $(args_of "$source") >"$new/out" &&
		"$B/emu/mkperf" --aslr 11 --host web-1 --start-time 1790000000 -o "$new/perf.data" "$new/ring"
}

# program NAME: sets APP, DATA, RING, P; makes them if they are not there or older than what they are made of.
program() {
	local name=$1 source compiler kind cc cxx flags period=797 key
	IFS=- read -r source compiler kind <<<"$name"
	read -r cc cxx < <(compiler_of "$compiler") || skip "$compiler is not installed"
	flags=$(flags_of "$compiler" "$kind")
	[[ "$kind" != dense* ]] || period=149
	# shellcheck disable=SC2034 # for the scripts
	P=$FI/$name APP=$P/app DATA=$P/perf.data RING=$P/ring
	# quarry's input is made by quarry
	(
		flock 9
		key=$({
			"$cc" --version
			echo "$flags $period $(args_of "$source")"
			cat tests/interop/peers_lib.bash tests/demo/src/* tests/programs/* tests/emu/*.[ch]
		} | cksum)
		if [ "$(cat "$P/.made" 2>/dev/null)" != "$key" ]; then
			program_make "$name" "$source" "$cc" "$cxx" "$flags" "$period" >"$FI/$name.log" 2>&1 || {
				cat "$FI/$name.log"
				echo "FAIL: $name could not be built or recorded"
				exit 1
			}
			echo "$key" >"$P/.made"
		fi
	) 9>"$FI/lock" || exit 1
}

# ---------------------------------------------------------------- checks

# expect NAME COMMAND...: the command must succeed; its output is shown when it does not.
expect() {
	local name=$1
	shift
	if "$@" >"$T/log" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAIL: $name"
		tail -n 12 "$T/log" | sed 's/^/      /'
		return 1
	fi
}

at_least() {
	awk -v x="$1" -v y="$2" 'BEGIN { print x, "should be at least", y; exit !(x != "" && x + 0 >= y + 0) }'
}

below() {
	awk -v x="$1" -v y="$2" 'BEGIN { print x, "should be below", y; exit !(x != "" && x + 0 < y + 0) }'
}

# silent FILE: nothing was said there
silent() {
	if [ -s "$1" ]; then
		echo "said:"
		cat "$1"
		return 1
	fi
}

finish() {
	echo "$good checks passed, $bad failed"
	[ "$bad" = 0 ] && [ "$good" -gt 0 ]
}

# ---------------------------------------------------------------- rebuilt programs

# counted PROGRAM SOURCE OUT: runs it as the recording was; OUT.out is what it said, OUT.count instructions and branches
counted() {
	# shellcheck disable=SC2046 # several words
	tests/emu/record.sh --count "$3.count" -- "$1" $(args_of "$2") >"$3.out"
}

# ratio A B NAME: counter NAME of A by that of B
ratio() {
	awk -v name="$3" '$1 == name { n[FNR == NR] = $2 } END { printf "%.4f\n", n[0] / n[1] }' "$2.count" "$1.count"
}

# same_work NAME OLD NEW: a rebuilt program does what the plain one did, with at most 2 % more taken branches
same_work() {
	expect "$1: the rebuilt program says the same" cmp "$2.out" "$3.out"
	printf '%-36s instructions x %s  taken branches x %s\n' "$1" "$(ratio "$3" "$2" instructions)" \
		"$(ratio "$3" "$2" taken-branches)"
	expect "$1: the rebuilt program takes no more branches" below "$(ratio "$3" "$2" taken-branches)" 1.02
}

# ---------------------------------------------------------------- measures

# same_mass A B: two lists of `KEY COUNT`; prints what their distributions have in common, per cent: the sum of the smaller
# of both shares that each key has. Ours scales runs up for the one that each ring's newest branch lacks, so that sums differ.
same_mass() {
	awk -F '\t' 'FNR == 1 { side++ } { n[side, $1] += $2; sum[side] += $2; key[$1] }
		END {
			if (sum[1] > 0 && sum[2] > 0) for (k in key) { a = n[1, k] / sum[1]; b = n[2, k] / sum[2]; s += a < b ? a : b }
			printf "%.3f\n", 100 * s
		}' "$1" "$2"
}

# truth FOLDER RING EDGES OUT: the exact counts of the kinds of edges that .fdata has, as fdata_edges lists them. Fall-throughs
# that EDGES lists are looked up: executions of the instruction, less those that branched away. Across a call it is the
# returns that arrive.
truth() {
	local kind
	for kind in taken calls through; do
		: >"$4.$kind"
	done
	"$B/emu/exact" "$2" >"$4.exact"
	awk -v OFS='\t' -v out="$4" '
		FILENAME ~ /\/insns$/ { follow[$1] = $2; order[++n] = $1; mnemonic[$1] = $3; next }
		FILENAME ~ /\/bounds$/ { function_of[$1] = $2; next }
		FILENAME ~ /\.exact$/ && $1 == "edge" {
			if ($2 != "-") away[$2] += $4
			if (mnemonic[$2] ~ /^(bnd )?ret/ || $2 == "-") { back[$3] += $4; next }
			if ($2 == "-" || $3 == "-" || !($3 in follow) || !($2 in follow)) next
			edge[$2 ">" $3] = $4
			next
		}
		FILENAME ~ /\.exact$/ && $1 == "block" { first[$2] += $4; last[$3] += $4; next }
		{ split($1, e, ">"); want[$1] }
		END {
			for (i = 1; i <= n; i++) { a = order[i]; run += first[a]; runs[a] = run; run -= last[a]; in_function[a] = f = (a in function_of) ? function_of[a] : f }
			for (k in edge) {
				split(k, e, ">")
				if (follow[e[1]] == e[2]) continue
				print k, edge[k] >(out "." (in_function[e[1]] == in_function[e[2]] ? "taken" : "calls"))
			}
			for (k in want) {
				split(k, e, ">")
				c = mnemonic[e[1]] ~ /^(bnd )?call|^bl(r(a[ab]z?)?)?$/ ? back[e[2]] : runs[e[1]] - away[e[1]]
				# an indirect jump to what follows it
				if (mnemonic[e[1]] ~ /^(jmp|notrack|br|bra[ab]z?)$/) c = edge[k]
				if (c > 0) print k, c >(out ".through")
			}
		}' "$1/insns" "$1/bounds" "$4.exact" "$3.through"
}

# alike A B: remembers the overlap of the kinds in SHARE
declare -A SHARE
# shellcheck disable=SC2034 # for the scripts
alike() {
	local kind
	for kind in taken calls through; do
		SHARE[$kind]=$(same_mass "$1.$kind" "$2.$kind")
	done
	SHARE[all]=$(same_mass <(cat "$1".{taken,calls,through}) <(cat "$2".{taken,calls,through}))
}

# differences A B [N]: the N largest differences of two such lists: KEY A B
differences() {
	awk -F '\t' -v OFS='\t' '{ if (FNR == 1) side++; n[side, $1] += $2; key[$1] }
		END { for (k in key) { d = n[1, k] - n[2, k]; if (d) print (d < 0 ? -d : d), k, n[1, k] + 0, n[2, k] + 0 } }' "$1" "$2" |
		sort -rn | head -n "${3:-10}" | cut -f2-
}

# symbols APP: `NAME ADDRESS` (hex) of every function as .fdata calls it: globals plainly, locals as NAME/N and
# NAME/FILE/N, N counting from 1 in the order of addresses.
symbols() {
	readelf -sW "$1" | awk '
		/^Symbol table/ { table = $3; next }
		table !~ /symtab/ || $4 !~ /FUNC|FILE/ { next }
		$4 == "FILE" { file = $8; next }
		$7 == "UND" { next }
		$5 == "LOCAL" { print "L", $2, $8, file; next }
		{ print "G", $2, $8 }' | sort -k2,2 | awk '
		{ sub(/^0+/, "", $2) }
		$1 == "G" { print $3, $2; next }
		{ print $3 "/" ++n[$3], $2; print $3 "/" $4 "/" ++nf[$3 "/" $4], $2 }'
}

# instructions APP: `ADDRESS NEXT MNEMONIC` of every instruction, hex; NEXT is the address after it.
instructions() {
	"$(objdump_of "$1")" -d --no-show-raw-insn -w "$1" | awk -F '\t' '
		/^ *[0-9a-f]+:\t/ {
			sub(/^ */, "", $1); sub(/:.*/, "", $1)
			if (last != "") print last, $1, m
			last = $1; m = $2; sub(/ .*/, "", m)
			next
		}
		/^$/ { if (last != "") print last, "-", m; last = "" }
		END { if (last != "") print last, "-", m }'
}

# stubs APP: `NAME@PLT ADDRESS` of the linkage table's entries.
stubs() {
	"$(objdump_of "$1")" -d --no-show-raw-insn -w "$1" |
		sed -n 's/^0*\([0-9a-f]*\) <\(.*\)@plt>:$/\2@PLT \1/p'
}

# prepare APP FOLDER: symbols and instructions of a program, for fdata_edges
prepare() {
	[ -e "$2/insns" ] || {
		{ symbols "$1" && stubs "$1"; } >"$2/syms"
		instructions "$1" >"$2/insns.new" && mv "$2/insns.new" "$2/insns"
	}
}

# fdata_edges FOLDER FILE OUT: OUT.taken, OUT.mispredicted, OUT.through, OUT.calls, OUT.other: lists of
# `FROM>TO COUNT` by address. A fall-through goes to the next instruction; calls are between functions; other are edges
# with an end outside.
fdata_edges() {
	local kind
	for kind in taken mispredicted through calls other; do
		: >"$3.$kind"
	done
	awk -v OFS='\t' -v out="$3" '
		function hex(s,  i, v) { v = 0; for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return v }
		function at(kind, name, off) {
			if (kind == 0) return "[unknown]"
			if (name in addr) return sprintf("%x", addr[name] + hex(off))
			return name "+" off
		}
		FILENAME ~ /\/syms$/ { addr[$1] = hex($2); next }
		FILENAME ~ /\/insns$/ { follow[$1] = $2; next }
		NF != 8 { next }
		{
			from = at($1, $2, $3); to = at($4, $5, $6)
			if ($1 == 0 || $4 == 0) what = "other"
			else if (follow[from] == to) what = "through"
			else what = $2 == $5 ? "taken" : "calls"
			print from ">" to, $8 >(out "." what)
			if (what != "through" && $7 > 0) print from ">" to, $7 >(out ".mispredicted")
		}' "$1/syms" "$1/insns" "$2"
}

# The same lists from what `pgo show --all` prints of a sample profile (how = pgo), or dump_gcov (how = gcov).
#	flat_gcc HOW positions|targets|heads [collapsed] <TEXT
# collapsed: discriminators left out, the largest count of a line's, as gcc 12 looks counts up.
flat_gcc() {
	awk -v how="$1" -v what="$2" -v collapsed="${3-}" -v OFS='\t' '
		function put(k, n) {
			if (n <= 0) return
			if (!collapsed) print k, n
			else if (what == "targets") out[k] += n
			else if (n > out[k]) out[k] = n
		}
		how == "pgo" && NR == 1 { pgo = 1 }
		{ match($0, /^ */); depth = RLENGTH / 2 - (how == "pgo" ? 1 : 0); line = substr($0, RLENGTH + 1) }
		depth < 0 { next }
		depth == 0 && how == "pgo" {
			if (!match(line, /: total [0-9]*, head [0-9]*$/)) next
			chain[0] = substr(line, 1, RSTART - 1)
			if (what == "heads") { sub(/^.*, head /, "", line); put(chain[0], line + 0) }
			next
		}
		depth == 0 {
			if (!match(line, / total:[0-9]* head:[0-9]*$/)) next
			chain[0] = substr(line, 1, RSTART - 1)
			if (what == "heads") { sub(/^.* head:/, "", line); put(chain[0], line + 0) }
			next
		}
		{
			match(line, /^[0-9]+(\.[0-9]+)?: /)
			if (RLENGTH < 0) next
			loc = substr(line, 1, RLENGTH - 2); rest = substr(line, RLENGTH + 1)
			if (collapsed) sub(/\..*/, "", loc)
			if (rest ~ /^[0-9]+( |$)/) {
				n = split(rest, f, / +/)
				if (what == "positions") put(chain[depth - 1] "@" loc, f[1])
				if (what == "targets") for (i = 2; i <= n; i++) if (f[i] != "") {
					t = f[i]; c = f[i]; sub(/:[0-9]*$/, "", t); sub(/^.*:/, "", c)
					put(chain[depth - 1] "@" loc ">" t, c + 0)
				}
			} else {
				if (how == "pgo") { sub(/^inlined /, "", rest); sub(/, total [0-9]*$/, "", rest) }
				else sub(/ total:[0-9]*$/, "", rest)
				chain[depth] = chain[depth - 1] "@" loc "/" rest
			}
		}
		END { for (k in out) print k, out[k] }'
}
