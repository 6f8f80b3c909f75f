#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian package and the tarball: built from this tree, lintian has nothing to say, and what is in them works.
set -u
. tests/operate/lib.bash
operate_begin
command -v nm >/dev/null || skip "nm is not installed (binutils)"
if nm "$PGO" | grep -q __asan_init; then skip "a sanitizer's build is not packaged"; fi
for tool in dpkg-buildpackage dh lintian; do
	command -v $tool >/dev/null || skip "$tool is not installed (dpkg-dev, debhelper, lintian)"
done
unset MAKEFLAGS MAKELEVEL MFLAGS

# works PREFIX: the program below it, with the pages and modules that belong to it
works() {
	"$1/bin/pgo" --version --json | python3 -c 'import json, sys; assert json.load(sys.stdin)["libraries"]["elfutils"]' &&
		"$1/bin/pgo" doctor --binary "$1/bin/pgo" >/dev/null &&
		for page in pgo/man/*.[1-9]; do
			found=$(find "$1/share/man/man${page##*.}" -name "${page##*/}*") && [ -n "$found" ] || return 1
		done
}

# The unit tests have run already.
expect "the package is built and lintian is content" env DEB_BUILD_OPTIONS=nocheck pgo/package/deb.sh "$T/deb"
deb=$(echo "$T"/deb/pgo_*.deb)
expect "it can be unpacked" dpkg -x "$deb" "$T/root"
expect "it works" works "$T/root/usr"
depends=$(dpkg-deb -f "$deb" Depends)
expect "it hangs on libdw" grep -q 'libdw1' <<<"$depends"
expect "and on nothing to build with" grep -qv -- '-dev' <<<"$depends"

expect "the tarball is made" pgo/package/tarball.sh "$T/release"
ball=$(echo "$T"/release/*.tar.gz)
mkdir "$T/elsewhere"
expect "it can be unpacked" tar -xzf "$ball" -C "$T/elsewhere"
expect "it works elsewhere" works "$(echo "$T"/elsewhere/pgo-*)"
# shellcheck disable=SC2016 # the inner shell expands
expect "of the system it needs libc alone" \
	sh -c 'ldd "$1"/bin/pgo | grep -v -e "$1/bin/../lib" -e linux-vdso -e ld-linux -e "lib[cm]\.so" | grep . && exit 1 || exit 0' sh "$(realpath "$T"/elsewhere/pgo-*)"
first=$(sha256sum <"$ball")
expect "the tarball is made again" pgo/package/tarball.sh "$T/release"
expect "with the same bytes" [ "$first" = "$(sha256sum <"$ball")" ]
operate_end
