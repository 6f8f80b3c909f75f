#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A Debian package of this tree, as it is: built in a copy of it, then looked at by lintian, whose warnings are errors.
#
#	pgo/package/deb.sh [DIRECTORY]      prints the package; DIRECTORY: build/deb
#
# Environment: DEB_BUILD_OPTIONS=nocheck leaves the unit tests out; LINTIAN=no leaves lintian out.
# Exit code 77: a tool for it is missing, named on the last line.
set -u
cd "$(dirname "$0")/../.." || exit 2
out=${1:-${B:-build}/deb}
for tool in dpkg-buildpackage dh lintian; do
	[ "$tool" != lintian ] || [ "${LINTIAN-}" != no ] || continue
	command -v "$tool" >/dev/null || {
		echo "$tool is not installed (dpkg-dev, debhelper, lintian)"
		exit 77
	}
done
version=$(sed -n 's/^VERSION := //p' Makefile)
changelog=$(sed -n '1s/^pgo (\(.*\)) .*/\1/p' pgo/package/debian/changelog)
[ "$version" = "$changelog" ] || {
	echo "deb.sh: the Makefile says version $version, pgo/package/debian/changelog $changelog; make them one" >&2
	exit 1
}
rm -rf "$out"
mkdir -p "$out/pgo-$version" || exit 1
# What is under version control; in a tarball, everything that is no build directory.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	git ls-files -z --cached --others --exclude-standard
else
	find . -name 'build*' -prune -o -type f -print0
fi | tar --null --ignore-failed-read -cf - -T - 2>/dev/null | tar -xf - -C "$out/pgo-$version" || exit 1
cp -r pgo/package/debian "$out/pgo-$version/debian"
(
	cd "$out/pgo-$version" || exit 1
	unset MAKEFLAGS MAKELEVEL MFLAGS B
	dpkg-buildpackage -b -us -uc
) >"$out/build.log" 2>&1 || {
	tail -n 30 "$out/build.log" >&2
	echo "deb.sh: the package could not be built; the log is $out/build.log" >&2
	exit 1
}
rm -rf "$out/pgo-$version"
if [ "${LINTIAN-}" != no ]; then
	lintian --fail-on error,warning --tag-display-limit 0 --allow-root "$out"/*.changes >&2 || {
		echo "deb.sh: lintian has something to say" >&2
		exit 1
	}
fi
echo "$out"/pgo_"$version"_*.deb
