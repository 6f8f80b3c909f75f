#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The debhelper addon: a package of our own built by dpkg-buildpackage, without a profile, with one, and in two
# directories to the same bytes.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin dpkg-buildpackage dh make dpkg-deb
mkdir -p "$T/perl/Debian/Debhelper/Sequence"
cp pgo/modules/debhelper/pgo.pm "$T/perl/Debian/Debhelper/Sequence"
export PERL5LIB=$T/perl DEB_BUILD_OPTIONS=nocheck CC=gcc
unset DEB_BUILD_PROFILES PGO_PROFILE PGO_REQUIRE DEB_CFLAGS_APPEND DEB_CXXFLAGS_APPEND DEB_LDFLAGS_APPEND

# package DIRECTORY
package() {
	mkdir -p "$1/debian/source"
	cp "$T/p/sample.c" "$1/sample.c"
	# shellcheck disable=SC2016 # for make
	printf 'app: sample.o\n\t$(CC) $(LDFLAGS) -o $@ $^\n%%.o: %%.c\n\t$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<\nclean:\n\trm -f app *.o\ninstall: app\n\tmkdir -p $(DESTDIR)/usr/bin\n\tcp app $(DESTDIR)/usr/bin/pgo-app\n' >"$1/Makefile"
	printf '#!/usr/bin/make -f\n%%:\n\tdh $@ --with pgo\n' >"$1/debian/rules"
	chmod +x "$1/debian/rules"
	echo '3.0 (native)' >"$1/debian/source/format"
	printf 'pgo-app (1.0) unstable; urgency=low\n\n  * One.\n\n -- A Person <person@example.org>  Fri, 20 Nov 2026 12:00:00 +0000\n' >"$1/debian/changelog"
	cat >"$1/debian/control" <<-C
		Source: pgo-app
		Maintainer: A Person <person@example.org>
		Build-Depends: debhelper-compat (= 13)

		Package: pgo-app
		Architecture: any
		Depends: \${misc:Depends}, \${shlibs:Depends}
		Description: one program
	C
}
# built DIRECTORY NAME: the package's program is $T/NAME, what the build said $T/NAME.log
built() {
	(cd "$1" && timeout 240 dpkg-buildpackage -d -us -uc -b) >"$T/$2.log" 2>&1 || { tail -n 20 "$T/$2.log"; return 1; }
	rm -rf "$T/x" && dpkg-deb -x "$(dirname "$1")"/pgo-app_1.0_*.deb "$T/x" && cp "$T/x/usr/bin/pgo-app" "$T/$2"
}
mkdir -p "$T/one" "$T/another/place"
package "$T/one/src"
expect "without a profile it builds" built "$T/one/src" plain
expect "to be recorded" grep -q -- '-Wl,--build-id' "$T/plain.log"
expect "and uses none" test "$(grep -c -- -fauto-profile "$T/plain.log")" = 0
expect "it ends where one is required" bash -c "! PGO_REQUIRE=any dh --with pgo clean 2>'$T/said' --no-act"

mkdir "$T/one/src/debian/pgo"
cp "$FIX/app.afdo" "$T/one/src/debian/pgo"
cat >"$T/one/src/debian/pgo/release.json" <<J
{"schema":1,"kind":"release","target":"app","id":"20261120-0123456789ab","time":"2026-11-20T00:00:00Z","tool":"pgo",
 "files":[{"name":"app.afdo","kind":"gcc","sha256":"$(sha256sum <"$FIX/app.afdo" | cut -c1-64)","bytes":$(stat -c %s "$FIX/app.afdo")}]}
J
cp -r "$T/one/src" "$T/another/place/src"
expect "with a profile it builds" built "$T/one/src" with
expect "the compiler is told" grep -q -- '-fauto-profile=.*/pgo-[0-9a-f]*\.afdo' "$T/with.log"
expect "it is other code" bash -c "! cmp -s <(objdump -d '$T/with' | sed 1,3d) <(objdump -d '$T/plain' | sed 1,3d)"
expect "that does the same" cmp <("$T/with") "$FIX/app.out"
expect "in another directory it builds" built "$T/another/place/src" again
expect "to the same bytes" cmp "$T/with" "$T/again"
expect "and the same package" cmp "$T/one"/pgo-app_1.0_*.deb "$T/another/place"/pgo-app_1.0_*.deb
DEB_BUILD_PROFILES=nopgo expect "with nopgo it builds" built "$T/one/src" off
expect "as it was before" test "$(grep -c -- -fauto-profile "$T/off.log")" = 0
expect "cleaning leaves nothing" bash -c "cd '$T/one/src' && dh clean --with pgo && test ! -e debian/.debhelper"
operate_end
