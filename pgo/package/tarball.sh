#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A tarball that runs on other distributions: libraries that have an archive here are linked into the program, the few
# that have none lie beside it, and of the system only libc and its kin are needed (and libcurl.so.4, if there are
# stores on the network to ask).  Same tree, same compiler, same libraries: same bytes.
#
#	pgo/package/tarball.sh [DIRECTORY]      prints the tarball; DIRECTORY: build/release
#
# Environment: CC, B (with a build in it), SOURCE_DATE_EPOCH (the times of the files in it; default: the last commit).
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
CC=${CC:-gcc}
out=${1:-$B/release}
version=$(sed -n 's/^VERSION := //p' Makefile)
name=pgo-$version-linux-$(uname -m)
date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
fail() {
	echo "tarball.sh: $*" >&2
	exit 1
}
[ -e "$B/libpgo.a" ] || fail "$B/libpgo.a is not built: run make"
rm -rf "$out"
mkdir -p "$out" || exit 1
out=$(realpath "$out")
top=$out/$name
mkdir "$top"

# Ours, then those that libdw calls.
link=() inside=() beside=()
for l in dw elf expat zstd z isal xxhash confuse jansson protobuf-c Zydis Zycore bz2 lzma; do
	archive=$($CC -print-file-name="lib$l.a")
	if [ "$archive" != "lib$l.a" ]; then
		link+=("$archive")
		inside+=("$archive")
	elif [ "$($CC -print-file-name="lib$l.so")" != "lib$l.so" ]; then
		link+=("-l$l")
		beside+=("lib$l.so")
	fi
done
mapfile -t objects < <(for c in pgo/*.c; do echo "$B/obj/${c%.c}.o"; done)
# shellcheck disable=SC2016 # the loader expands it
"$CC" -o "$out/pgo" "${objects[@]}" "$B/libpgo.a" -Wl,--start-group "${link[@]}" -Wl,--end-group \
	-Wl,--as-needed,--gc-sections,--build-id -Wl,-rpath,'$ORIGIN/../lib' -pthread -lm -ldl || fail "the program cannot be linked"
make -s -o all install B="$B" DESTDIR="$out/stage" PREFIX=/p >"$out/install.log" 2>&1 || fail "$(cat "$out/install.log")"
cp -r "$out/stage/p/." "$top/"
install -m 755 -s "$out/pgo" "$top/bin/pgo" || exit 1
mkdir -p "$top/share/doc/pgo"
cp LICENSE README.md "$top/share/doc/pgo/"

# The shared libraries that are left, without those of libc.
libc='lib(c|m|dl|pthread|rt)\.so|ld-linux'
readelf -d "$top/bin/pgo" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE "^($libc)" | while read -r so; do
	path=$(ldd "$out/pgo" | awk -v so="$so" '$1 == so { print $3 }')
	[ -e "$path" ] || fail "$so is not found"
	mkdir -p "$top/lib"
	install -m 644 "$path" "$top/lib/$so"
	echo "$path"
done >"$out/beside" || exit 1

# Whose work is in it: the copyright files of the packages that the libraries are from.
if command -v dpkg >/dev/null; then
	cat "$out/beside" <(printf '%s\n' "${inside[@]}") | while read -r f; do
		dpkg -S "$(realpath "$f")" "$f" 2>/dev/null
	done | sed 's/:.*//' | sort -u | while read -r package; do
		mkdir -p "$top/share/doc/pgo/licenses"
		[ ! -e "/usr/share/doc/$package/copyright" ] || install -m 644 "/usr/share/doc/$package/copyright" "$top/share/doc/pgo/licenses/$package"
	done
fi
tar --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner --mode=go-w -C "$out" -cf - "$name" | gzip -n9 >"$out/$name.tar.gz" || exit 1
rm -rf "$out/stage" "$out/pgo" "$out/beside" "$out/install.log"
echo "$out/$name.tar.gz"
