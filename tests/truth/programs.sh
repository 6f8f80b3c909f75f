#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real programs to measure with: fetched by name from package registries, built by any compiler, run on fixed inputs.
#
#	programs.sh list [-v]                                     names; with what they are
#	programs.sh source PROGRAM                                fetches it; prints the folder
#	programs.sh build PROGRAM COMPILER LINK [FLAG...]         builds it; prints the path of the binary
#	programs.sh run PROGRAM train|test BINARY [WRAPPER...]    runs WRAPPER... BINARY with the input's arguments
#
# COMPILER: gcc-12, clang-22 and the like, gcc or clang for the newest, or a path; aarch64-linux-gnu-gcc, aarch64-linux-gnu-clang
# (the emulator runs what they build). LINK: pie or fixed (addresses). FLAGs go to
# compiler and linker both; @OUT@ in them is the folder of the build. Always: -O2 -g, a build-id, --emit-relocs; with clang -fdebug-info-for-profiling. `train` and
# `test` are different inputs, seconds at most, and give the same output every time, which is how rebuilt programs are checked.
#
# What was fetched and built stays in $PGO_TRUTH_CACHE ($B/truth), under a digest of the recipe, the compiler's version, the
# flags and the content of files that flags name. $TRUTH_JOBS (2) compilations run at once. $TRUTH_COMPILED, a folder, receives
# what the compiler says (for -fdump-..., give absolute paths).
#
# Exit 0: done; 77: the registry cannot be reached or a tool is missing (the last line says which); 1: failed.
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
CACHE=${PGO_TRUTH_CACHE:-$root/${B:-build}/truth}
JOBS=${TRUTH_JOBS:-2}
# shellcheck source=tests/truth/fetch.bash
. "$here/fetch.bash"

fail() {
	echo "programs.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '5,8s/^#	/usage: /p' "$0" >&2
	exit 2
}

# recipe PROGRAM: the functions that a recipe gives (programs/README is in the head of programs/lua.sh)
recipe() {
	RECIPE=$here/programs/$1.sh
	[ -f "$RECIPE" ] || fail "there is no program '$1'; see: programs.sh list"
	# shellcheck source=/dev/null
	. "$RECIPE"
}

digest() {
	sha256sum | cut -c1-16
}

# compilers NAME: sets CC, CXX
compilers() {
	local v
	case $1 in
	/*) CC=$1 ;;
	gcc | clang) CC=$("$root/tests/tools.sh" "$1") || CC= ;;
	clang-*)
		v=${1#clang-}
		CC=/usr/lib/llvm-$v/bin/clang
		[ -x "$CC" ] || CC=$(command -v "$1")
		;;
	aarch64-linux-gnu-clang)
		# clang goes by its own name; headers and libraries are those of Debian's cross compiler
		command -v aarch64-linux-gnu-g++ >/dev/null || missing "g++-aarch64-linux-gnu is not installed"
		CC=$CACHE/cc/$1 && mkdir -p "$CACHE/cc"
		ln -sfn "$(readlink -f "$("$root/tests/tools.sh" clang)")" "$CC"
		ln -sfn "$(readlink -f "$("$root/tests/tools.sh" clang++)")" "$CC++"
		;;
	*) CC=$(command -v "$1") ;;
	esac
	[ -x "$CC" ] || missing "$1 is not installed"
	case ${CC##*/} in
	*clang*) CXX=${CC##*/} && CXX=${CC%/*}/${CXX/clang/clang++} ;;
	*) CXX=${CC%/*}/${CC##*/} && CXX=${CXX%gcc*}g++${CC##*gcc} ;;
	esac
	[ -x "$CXX" ] || missing "$CXX is not installed"
}

# source_of: fetches what the recipe names; SRC is the folder. Kept under the recipe's digest.
source_of() {
	local key
	key=$({ echo "$FROM" && declare -f recipe_prepare; } | digest)
	SRC=$CACHE/src/$PROGRAM-$key
	[ -e "$SRC/.ready" ] && return
	mkdir -p "$CACHE/src"
	(
		flock 8
		[ -e "$SRC/.ready" ] && exit 0
		rm -rf "$SRC"
		# shellcheck disable=SC2086 # registry and name
		fetch $FROM "$SRC" || exit
		cd "$SRC" || exit 1
		! declare -f recipe_prepare >/dev/null || recipe_prepare >"$SRC.log" 2>&1 || {
			tail -n 5 "$SRC.log" >&2
			fail "$PROGRAM: its source cannot be prepared"
		}
		touch "$SRC/.ready"
	) 8>"$CACHE/src/$PROGRAM.lock" || exit
}

# compile FLAGS... -- FILES...: for the recipes; objects of C and C++ files of the current folder go to $OUT/o
compile() {
	local flags=()
	while [ "$1" != -- ]; do
		flags+=("$1")
		shift
	done
	shift
	mkdir -p "$OUT/o"
	export CC CXX OUT
	export TRUTH_C_FLAGS="$CFLAGS ${flags[*]}"
	# shellcheck disable=SC2016 # for the inner shell
	printf '%s\n' "$@" | xargs -P "$JOBS" -I{} sh -c '
		case $1 in *.c) cc=$CC ;; *) cc=$CXX ;; esac
		$cc $TRUTH_C_FLAGS -c "$1" -o "$OUT/o/$(echo "$1" | tr / _).o"' - {}
}

# link LIBRARIES...: the objects of compile, by the C++ compiler if any is of C++
link() {
	local cc=$CC f
	for f in "$OUT"/o/*; do
		case $f in *.c.o) ;; *) cc=$CXX ;; esac
	done
	# shellcheck disable=SC2086 # several words
	"$cc" $CFLAGS $LDFLAGS "$OUT"/o/*.o -o "$OUT/app" "$@"
}

build() {
	local compiler=$1 kind=$2 key f
	shift 2
	compilers "$compiler"
	CFLAGS='-O2 -g' LDFLAGS='-Wl,--build-id -Wl,--emit-relocs'
	case ${CC##*/} in *clang*) CFLAGS="$CFLAGS -fdebug-info-for-profiling -Qunused-arguments" ;; esac
	case $kind in
	pie) CFLAGS="$CFLAGS -fPIE" LDFLAGS="$LDFLAGS -pie" ;;
	fixed) CFLAGS="$CFLAGS -fno-pie" LDFLAGS="$LDFLAGS -no-pie" ;;
	*) usage ;;
	esac
	CFLAGS="$CFLAGS${*:+ $*}"
	source_of
	key=$({
		declare -f compile link recipe_build
		"$CC" --version
		echo "$SRC $CFLAGS $LDFLAGS"
		for f; do [ ! -f "${f#*=}" ] || cat "${f#*=}"; done
	} | digest)
	OUT=$CACHE/bin/$PROGRAM-${compiler##*/}-$kind-$key
	CFLAGS=${CFLAGS//@OUT@/$OUT}
	mkdir -p "$OUT"
	(
		flock 8
		[ -e "$OUT/.ready" ] && exit 0
		rm -rf "$OUT/app" "$OUT/o"
		(cd "$SRC" && recipe_build) >"$OUT/log" 2>&1 && [ -x "$OUT/app" ] || {
			tail -n 12 "$OUT/log" >&2
			fail "$PROGRAM does not build with $compiler $CFLAGS"
		}
		rm -rf "$OUT/o"
		touch "$OUT/.ready"
	) 8>"$OUT/lock" || exit
	[ -z "${TRUTH_COMPILED-}" ] || cp "$OUT/log" "$TRUTH_COMPILED/"
	echo "$OUT/app"
}

run() {
	local input=$1 app=$2 key
	shift 2
	case $input in train | test) ;; *) usage ;; esac
	app=$(readlink -f "$app") || fail "$app is not there"
	source_of
	key=$({ echo "$SRC" && declare -f recipe_inputs; } | digest)
	IN=$CACHE/in/$PROGRAM-$key
	mkdir -p "$IN"
	(
		flock 8
		[ -e "$IN/.ready" ] && exit 0
		cd "$IN" && recipe_inputs && touch "$IN/.ready"
	) 8>"$IN/lock" || fail "$PROGRAM: its inputs cannot be made"
	cd "$IN" || exit 1
	recipe_run "$input" "$@" "$app"
}

case ${1-} in
list)
	for f in "$here"/programs/*.sh; do
		PROGRAM=$(basename "$f" .sh)
		# shellcheck source=/dev/null
		. "$f"
		if [ "${2-}" = -v ]; then
			printf '%-10s %s (%s)\n' "$PROGRAM" "$ABOUT" "$FROM"
		else
			echo "$PROGRAM"
		fi
	done
	;;
source)
	[ $# = 2 ] || usage
	PROGRAM=$2
	recipe "$2"
	source_of
	echo "$SRC"
	;;
build)
	[ $# -ge 4 ] || usage
	PROGRAM=$2
	recipe "$2"
	shift 2
	build "$@"
	;;
run)
	[ $# -ge 4 ] || usage
	PROGRAM=$2
	recipe "$2"
	shift 2
	run "$@"
	;;
*) usage ;;
esac
