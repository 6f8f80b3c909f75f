#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Wherever the debug information of one and the same code is, and however it is packed, the profile must be the same to
# the byte: DWARF 2 to 5 mixed, compressed by zlib (both forms) and zstd, split into .dwo files (beside the program, in
# another directory) and packed by llvm-dwp and by binutils' dwp, shared by dwz, and served by a real debuginfod. What is
# missing is said by name.
#
# Exit 0: all held; 77: the last line names what is missing; 1: something did not.
set -u
. tests/interop/peers_lib.bash
interop_init
need gcc g++ clang clang++ llvm-dwp
for tool in dwz dwp debuginfod objcopy; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -e /usr/lib/x86_64-linux-gnu/libdebuginfod.so.1 ] || ldconfig -p | grep -q libdebuginfod.so.1 || skip "libdebuginfod is not installed"
objcopy --help | grep -q zstd || skip "this objcopy does not compress by zstd"

# variant NAME COMPILER FLAGS...: the same program once more, with the build-id of the one that was recorded
variant() {
	local name=$1 cc cxx
	read -r cc cxx < <(compiler_of "$2")
	# shellcheck disable=SC2046 # several words
	build menagerie "$cc" "$cxx" "$T/$name" $(flags_of "$2" pie) "-Wl,--build-id=0x$ID" "${@:3}" >"$T/said" 2>&1 || {
		cat "$T/said"
		exit 1
	}
	objcopy -O binary -j .text "$T/$name/app" "$T/$name/text"
	expect "$name: the code is the same" cmp "$T/want/text" "$T/$name/text"
}

# same NAME ARGUMENTS...: converting with these gives what the plain program gives
same() {
	local name=$1
	shift
	expect "$name: pgo converts" "$PGO" convert "$DATA" --gcc "$T/got" --gcc-release 16 --clang "$T/got.prof" --clang-format text "$@" &&
		expect "$name: the same for gcc" cmp "$T/want/afdo" "$T/got" &&
		expect "$name: the same for clang" cmp "$T/want/prof" "$T/got.prof"
	rm -f "$T/got" "$T/got.prof"
}

# refused NAME TEXT ARGUMENTS...: it fails and says so
refused() {
	local name=$1 text=$2
	shift 2
	"$PGO" convert "$DATA" --gcc "$T/got" --gcc-release 16 "$@" >"$T/said" 2>&1
	expect "$name: fails" test $? = 3
	expect "$name: says why" grep -e "$text" "$T/said"
	expect "$name: writes nothing" test ! -e "$T/got"
}

for c in clang gcc; do
	program menagerie-$c-pie
	ID=$(readelf -n "$APP" | sed -n 's/.*Build ID: //p')
	rm -rf "$T/want" && mkdir "$T/want"
	objcopy -O binary -j .text "$APP" "$T/want/text"
	expect "$c: plain" "$PGO" convert "$DATA" --binary "$APP" --gcc "$T/want/afdo" --gcc-release 16 --clang "$T/want/prof" --clang-format text

	# ------------------------------------------------------------ split
	for v in 4 5; do
		s=$c-split$v
		variant $s $c -gdwarf-$v -gsplit-dwarf
		same $s --binary "$T/$s/app"
		"$PGO" convert "$DATA" --binary "$T/$s/app" --clang "$T/x" --json >"$T/json" 2>/dev/null
		expect "$s: the account names a .dwo" grep -q '"split_file": *"[a-z]*.dwo"' "$T/json"
		mkdir -p "$T/$s-dwos" "$T/$s-dwp" && cp "$T/$s/app" "$T/$s-dwp/"
		dwps=("${TOOL[llvm-dwp]}")
		# binutils' dwp does not know DWARF 5
		[ $v = 5 ] || dwps+=(dwp)
		for dwp in "${dwps[@]}"; do
			expect "$s: $dwp" "$dwp" "$T/$s"/*.dwo -o "$T/$s-dwp/app.dwp"
			mv "$T/$s"/*.dwo "$T/$s-dwos/"
			same "$s packed by $(basename "$dwp")" --binary "$T/$s-dwp/app"
			same "$s, the package named" --binary "$T/$s/app" --dwo-dir "$T/$s-dwp/app.dwp"
			mv "$T/$s-dwos"/*.dwo "$T/$s/"
		done
		mv "$T/$s"/*.dwo "$T/$s-dwos/"
		same "$s, its files elsewhere" --binary "$T/$s/app" --dwo-dir "$T/$s-dwos"
		refused "$s without its files" '.dwo or .dwp files are with --dwo-dir' --binary "$T/$s/app"
		rm "$T/$s-dwos/left.dwo"
		"$PGO" convert "$DATA" --binary "$T/$s/app" --dwo-dir "$T/$s-dwos" --clang "$T/x" >"$T/said" 2>&1
		expect "$s without one of three" test $? = 0
		expect "$s: it is named" grep 'units that ran is missing (.*left.dwo' "$T/said"
	done

	# ------------------------------------------------------------ packed
	for how in zlib zlib-gnu zstd; do
		objcopy --compress-debug-sections=$how "$APP" "$T/packed" && same "$c, $how" --binary "$T/packed"
	done
done

# ---------------------------------------------------------------- shared (gcc's from here on)
mkdir "$T/dwz" && cp "$APP" "$T/dwz/app" && cp "$APP" "$T/dwz/twin"
expect "dwz: one file" dwz "$T/dwz/twin" -o "$T/dwz/alone"
same "dwz" --binary "$T/dwz/alone"
(cd "$T/dwz" && dwz -m shared.debug -M shared.debug app twin) || exit 1
same "dwz -m" --binary "$T/dwz/app"
objcopy --only-keep-debug "$T/dwz/app" "$T/dwz/app.debug" && strip -o "$T/dwz/stripped" "$T/dwz/app"
(cd "$T/dwz" && objcopy --add-gnu-debuglink=app.debug stripped)
same "dwz -m behind a debug link" --binary "$T/dwz/stripped"
mkdir "$T/elsewhere" && mv "$T/dwz/shared.debug" "$T/elsewhere/"
refused "dwz -m without what is shared" 'shares with others (dwz' --binary "$T/dwz/stripped"
same "dwz -m, what is shared named" --binary "$T/dwz/stripped" --debug "$T/elsewhere"

# ---------------------------------------------------------------- served
mkdir -p "$T/served" "$T/home"
objcopy --only-keep-debug "$APP" "$T/served/app.debug" && strip -o "$T/stripped" "$APP"
refused "stripped" 'no debug information' --binary "$T/stripped"
unset DEBUGINFOD_URLS
refused "no server named" 'DEBUGINFOD_URLS names no server' --binary "$T/stripped" --debuginfod
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
HOME=$T/home debuginfod -F -d "$T/served.sqlite" -p "$port" -t 1 "$T/served" >"$T/served.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$T"' EXIT
export DEBUGINFOD_URLS=http://127.0.0.1:$port DEBUGINFOD_CACHE_PATH=$T/cache DEBUGINFOD_TIMEOUT=20
id=$(readelf -n "$APP" | sed -n 's/.*Build ID: //p')
for _ in $(seq 100); do
	python3 -c "import urllib.request; urllib.request.urlopen('$DEBUGINFOD_URLS/buildid/$id/debuginfo')" 2>/dev/null && break
	sleep 0.2
done
refused "not asked for: not used" 'no debug information' --binary "$T/stripped"
expect "and nothing was fetched" test ! -e "$T/cache/$id"
same "debuginfod" --binary "$T/stripped" --debuginfod
kill $server
wait $server 2>/dev/null
rm -rf "$T/cache"
refused "the server is gone" 'debuginfod: no debug information of build' --binary "$T/stripped" --debuginfod

# ---------------------------------------------------------------- mixed
read -r cc cxx < <(compiler_of gcc)
program menagerie-gcc-pie
mkdir "$T/mixed"
"$cc" -O2 -fPIE -g -gdwarf-3 -gstrict-dwarf -c tests/programs/menagerie_left.c -std=gnu17 -o "$T/mixed/left.o" &&
	"$cc" -O2 -fPIE -g -gdwarf-2 -c tests/programs/menagerie_right.c -std=gnu17 -o "$T/mixed/right.o" &&
	"$cxx" -O2 -fPIE -g -gdwarf-5 -c tests/programs/menagerie.cpp -std=c++17 -o "$T/mixed/main.o" &&
	"$cxx" -pie -Wl,--emit-relocs "-Wl,--build-id=0x$id" "$T"/mixed/{main,left,right}.o -o "$T/mixed/app" || exit 1
"$PGO" show --all "$T/want/afdo" >"$T/want.txt"
expect "mixed: pgo converts" "$PGO" convert "$DATA" --binary "$T/mixed/app" --gcc "$T/got" --gcc-release 16
"$PGO" show --all "$T/got" >"$T/got.txt"
# strict DWARF 3 has no discriminators: without them there is no other difference
for f in want got; do flat_gcc pgo positions collapsed <"$T/$f.txt" | sort >"$T/$f.flat"; done
expect "DWARF 2, 3 and 5 in one program: the same but for discriminators" cmp "$T/want.flat" "$T/got.flat"
finish
