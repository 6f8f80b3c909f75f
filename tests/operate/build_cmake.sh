#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The module of CMake: find_package(pgo) from an installed pgo, with Makefiles and Ninja, C and C++, llvm-bolt.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin cmake make
make -s B="$B" DESTDIR="$T/root" PREFIX=/usr -o all install >/dev/null || exit 1
cat >"$T/p/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.19)
project(app C CXX)
set(CMAKE_C_FLAGS "-O2")
find_package(pgo)
add_executable(app sample.c greet.c)
if(pgo_FOUND)
  pgo_optimize(app PROFILE profile.afdo ${MORE})
endif()
C
build() {
	cmake --build "$T/p/$dir"
}
for generator in Ninja 'Unix Makefiles'; do
	case $generator in Ninja) command -v ninja >/dev/null || continue ;; esac
	dir=b-${generator%% *}
	build_profile none
	expect "$generator: it is configured" cmake -G "$generator" -S "$T/p" -B "$T/p/$dir" -DCMAKE_PREFIX_PATH="$T/root/usr" -DPGO_EXECUTABLE="$PGO"
	build_cycle build "$dir/app" "$dir"
done
expect "configuring ends where a profile is required" bash -c "! cmake -S '$T/p' -B '$T/p/any' -DCMAKE_PREFIX_PATH='$T/root/usr' -DMORE='REQUIRE;any' >'$T/said' 2>&1"
expect "with a sentence" grep -q 'there is no profile' "$T/said"
# Not installed: what it was.
expect "without pgo it is configured" env PATH="${PATH#*:}" cmake -S "$T/p" -B "$T/p/none" -DCMAKE_FIND_USE_PACKAGE_ROOT_PATH=OFF
dir=none
expect "and builds" build

# C++ as well, and what is in a directory below; llvm-bolt after the link.
mkdir "$T/p/sub"
cp "$T/p/sample.c" "$T/p/sub/sample.c"
printf 'extern "C" int greet(int n);\nint twice(int n);\nint twice(int n)\n{\n\treturn greet(n);\n}\n' >"$T/p/sub/twice.cpp"
mkdir -p "$T/p/kept"
cp "$FIX/app.afdo" "$FIX/app.fdata" "$T/p/kept"
cat >"$T/p/kept/release.json" <<J
{"schema":1,"kind":"release","target":"app","id":"20261120-0123456789ab","time":"2026-11-20T00:00:00Z","tool":"pgo","files":[
 {"name":"app.afdo","kind":"gcc","sha256":"$(sha256sum <"$FIX/app.afdo" | cut -c1-64)","bytes":$(stat -c %s "$FIX/app.afdo")},
 {"name":"app.fdata","kind":"bolt","sha256":"$(sha256sum <"$FIX/app.fdata" | cut -c1-64)","bytes":$(stat -c %s "$FIX/app.fdata")}]}
J
cat >"$T/p/sub/CMakeLists.txt" <<'C'
add_executable(two sample.c ../greet.c twice.cpp)
pgo_optimize(two PROFILE ${CMAKE_SOURCE_DIR}/kept BOLT)
C
echo 'add_subdirectory(sub)' >>"$T/p/CMakeLists.txt"
if bolt=$(tests/tools.sh llvm-bolt); then
	for generator in Ninja 'Unix Makefiles'; do
		case $generator in Ninja) command -v ninja >/dev/null || continue ;; esac
		dir=d-${generator%% *}
		expect "$generator: with llvm-bolt" cmake -G "$generator" -S "$T/p" -B "$T/p/$dir" -DCMAKE_PREFIX_PATH="$T/root/usr" -DPGO_EXECUTABLE="$PGO" -DPGO_BOLT_EXECUTABLE="$bolt"
		expect "$generator: it builds" build
		expect "$generator: the program was rewritten" grep -q '\.note\.bolt_info' <(readelf -SW "$T/p/$dir/sub/two")
		expect "$generator: what was linked stays" test -s "$T/p/$dir/sub/two.linked"
		expect "$generator: it does the same" cmp <("$T/p/$dir/sub/two") "$FIX/app.out"
		before=$(stat -c %y "$T/p/$dir/sub/two")
		expect "$generator: nothing new" build
		expect "$generator: rewrites nothing" test "$before" = "$(stat -c %y "$T/p/$dir/sub/two")"
		cp "$T/p/kept/release.json" "$T/release.json"
		sed 's/"name":"app.fdata"/"name":"gone.fdata"/' "$T/release.json" >"$T/p/kept/release.json"
		expect "$generator: the profile of llvm-bolt is gone" build
		expect "$generator: it is what the linker made" bash -c "! readelf -SW '$T/p/$dir/sub/two' | grep -q bolt_info"
		cp "$T/release.json" "$T/p/kept/release.json"
	done
fi
operate_end
