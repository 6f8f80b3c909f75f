#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make install puts program, manual pages and completion below DESTDIR/PREFIX; what is installed works; make uninstall
# leaves nothing.
set -u
B=${B:-build}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
unset MAKEFLAGS MAKELEVEL

fail() {
	echo "FAIL: $*"
	exit 1
}

# `all` is built already; a sanitizer's build must not be linked again without it.
install() {
	make -s B="$B" DESTDIR="$T" PREFIX=/opt/pgo -o all "$1" >"$T.log" 2>&1 || {
		cat "$T.log"
		fail "make $1"
	}
	rm -f "$T.log"
}

install install
[ -x "$T/opt/pgo/bin/pgo" ] || fail "no program"
"$T/opt/pgo/bin/pgo" --version >/dev/null || fail "the installed program does not run"
for page in pgo/man/*.[1-9]; do
	cmp -s "$page" "$T/opt/pgo/share/man/man${page##*.}/${page##*/}" || fail "$page is not installed"
done
for f in bash-completion/completions/pgo zsh/site-functions/_pgo fish/vendor_completions.d/pgo.fish; do
	[ -s "$T/opt/pgo/share/$f" ] || fail "no $f"
done
for f in pgo/modules/make/pgo.mk cmake/pgo/pgoConfig.cmake perl5/Debian/Debhelper/Sequence/pgo.pm; do
	[ -s "$T/opt/pgo/share/$f" ] || fail "no $f"
done
[ "$("$T/opt/pgo/bin/pgo" --make-include)" = "$(realpath "$T")/opt/pgo/share/pgo/modules/make/pgo.mk" ] || fail "the installed program does not find its modules"
if find "$T" -type f -perm /022 | grep .; then
	fail "others may write these"
fi
install uninstall
if find "$T" -type f | grep .; then
	fail "these are left after uninstall"
fi
