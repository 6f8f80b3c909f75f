# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of build systems share: a project of two files, a compiler that logs what it compiles, and the four
# questions to each of them.  Sourced after tests/operate/lib.bash:
#
#	build_begin TOOL...            T, pgo on PATH, $T/p (sample.c, greet.c), $T/bin/cc; skips without one of the tools
#	build_profile 1|2|none         what $T/p/profile.afdo is: made of the program's recording, or of a part of it
#	build_cycle BUILD PROGRAM      the four questions; BUILD is a function that builds in $T/p
#
# The questions: without a profile it builds; with one, the compiler gets it and makes other code; the same profile
# again, in a new file, compiles nothing; another one compiles both files anew; and back to none.

build_begin() {
	local tool
	operate_begin
	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	command -v gcc >/dev/null || skip "gcc is not installed"
	fixture
	mkdir -p "$T/p" "$T/bin"
	ln -s "$PGO" "$T/bin/pgo"
	# What is on the path may be another one, of another time.
	export PATH=$T/bin:$PATH
	cp tests/emu/sample.c "$T/p/sample.c"
	printf 'int greet(int n);\nint greet(int n)\n{\n\treturn n + 1;\n}\n' >"$T/p/greet.c"
	cat >"$T/bin/cc" <<-S
		#!/bin/sh
		for a; do case \$a in *sample.c | *greet.c) echo "\$*" >>"$T/compiled" ;; esac; done
		exec gcc "\$@"
	S
	chmod +x "$T/bin/cc"
	export CC=$T/bin/cc
	unset CFLAGS CXXFLAGS LDFLAGS MAKEFLAGS MAKELEVEL
	: >"$T/compiled"
	cp "$FIX/app.afdo" "$T/1.afdo"
	"$B/emu/mkperf" -o "$T/some.perf" --host web-1 --start-time 1790000000 --max-samples 200 "$FIX/app.ring" &&
		"$PGO" convert -q "$T/some.perf" --binary "$FIX/app" --gcc "$T/2.afdo" >/dev/null || exit 1
	cmp -s "$T/1.afdo" "$T/2.afdo" && echo "the two profiles are one" && exit 1
	return 0
}

# As a file that is new, whatever its content is.
build_profile() {
	rm -f "$T/p/profile.afdo"
	[ "$1" = none ] || cp "$T/$1.afdo" "$T/p/profile.afdo"
}

build_code() {
	objdump -d --no-show-raw-insn "$T/p/$1" | sed 1,3d | sha256sum
}

build_digest() {
	sha256sum <"$T/$1.afdo" | cut -c1-12
}

# build_is NAME COUNT BUILD: it succeeds, and compiles so many files.
build_is() {
	: >"$T/compiled"
	expect "$1: it builds" "$3"
	expect "$1: compiled files: $(cut -c1-300 "$T/compiled")" test "$(wc -l <"$T/compiled")" = "$2"
}

# The compiler was told, in words or by a file of flags.
build_told() {
	local word
	# shellcheck disable=SC2013 # words
	for word in $(cat "$T/compiled"); do
		case $word in
		-fauto-profile=*"$1"*) return 0 ;;
		@*) (cd "$T/p/${2:-.}" && grep -q -- "-fauto-profile=.*$1" "${word#@}") && return 0 ;;
		esac
	done
	echo "no profile $1 in: $(cat "$T/compiled")"
	return 1
}

# build_cycle BUILD PROGRAM [DIRECTORY OF COMPILERS]
build_cycle() {
	local build=$1 program=$2 where=${3:-.} plain with
	build_profile none
	build_is "no profile" 2 "$build"
	expect "it runs" cmp <("$T/p/$program") "$FIX/app.out"
	expect "no profile is used" test -z "$(grep -e -fauto-profile "$T/compiled")"
	expect "it can be recorded" test -n "$(readelf -SW "$T/p/$program" | grep debug_line)"
	plain=$(build_code "$program")
	build_is "nothing new" 0 "$build"
	build_profile 1
	build_is "a profile" 2 "$build"
	expect "the compiler is told" build_told "$(build_digest 1)" "$where"
	with=$(build_code "$program")
	expect "and makes other code" test "$with" != "$plain"
	expect "that does the same" cmp <("$T/p/$program") "$FIX/app.out"
	build_profile 1
	touch -d '2030-01-01' "$T/p/profile.afdo"
	build_is "an equal profile" 0 "$build"
	build_profile 2
	touch -d '2001-01-01' "$T/p/profile.afdo" # older than all that was made
	build_is "another profile" 2 "$build"
	expect "the compiler is told" build_told "$(build_digest 2)" "$where"
	build_profile none
	build_is "the profile is gone" 2 "$build"
	expect "and the code is what it was" test "$(build_code "$program")" = "$plain"
	expect "no path of this machine is in it" test -z "$(strings -a "$T/p/$program" | grep profile.afdo)"
}
