#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A directory with another Debian release and every gcc and clang that it offers: compilers of all ages beside each other,
# without touching this system.  Needs root, mmdebstrap, and the mirror that apt already uses here.
#
#	root.sh SUITE [DIRECTORY]       prints the directory; makes it if it is not there
#
# DIRECTORY: $PGO_ROOTS/SUITE, by default under ~/.cache/pgo-roots.  MIRROR: another mirror than the first of apt's.
# COMPILERS: an extended regular expression of package names, default: all of gcc-N and clang-N with N at least
# $OLDEST_GCC (5) and $OLDEST_CLANG (14).
set -u

suite=${1-}
[ -n "$suite" ] || {
	echo "usage: root.sh SUITE [DIRECTORY]" >&2
	exit 2
}
roots=${PGO_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/pgo-roots}
root=${2:-$roots/$suite}
if [ -e "$root/.complete" ]; then
	echo "$root"
	exit 0
fi
fail() {
	echo "root.sh: $*" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || fail "making $root needs root"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed"
# shellcheck disable=SC2016 # apt's own format
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" 2>/dev/null | grep -v security | head -n 1)}
[ -n "$MIRROR" ] || fail "apt names no mirror; set MIRROR"

# Inside of the new root: what there is to install.
cat >/tmp/root.$$ <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive
all=$(apt-cache pkgnames)
names=
for n in $(echo "$all" | sed -n 's/^gcc-\([0-9][0-9]*\)$/\1/p'); do
	[ "$n" -lt "$OLDEST_GCC" ] || names="$names gcc-$n g++-$n"
done
for n in $(echo "$all" | sed -n 's/^clang-\([0-9][0-9]*\)$/\1/p'); do
	[ "$n" -lt "$OLDEST_CLANG" ] || names="$names clang-$n llvm-$n lld-$n"
done
[ -z "$COMPILERS" ] || names=$(echo "$names" | tr ' ' '\n' | grep -Ex "$COMPILERS" || true)
# One at a time, what cannot be installed (a release in the making) is left out.
apt-get install -y --no-install-recommends libc6-dev binutils $names || for n in $names; do
	apt-get install -y --no-install-recommends "$n" || echo "root.sh: no $n" >&2
done
END
trap 'rm -f /tmp/root.$$' EXIT
rm -rf "$root"
mkdir -p "$(dirname "$root")"
export OLDEST_GCC="${OLDEST_GCC-5}" OLDEST_CLANG="${OLDEST_CLANG-14}" COMPILERS="${COMPILERS-}"
mmdebstrap --quiet --mode=root --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' --skip=cleanup/apt/lists \
	--customize-hook="copy-in /tmp/root.$$ /tmp" \
	--customize-hook="chroot \"\$1\" sh /tmp/root.$$" "$suite" "$root" "$MIRROR" >&2 || {
	rm -rf "$root"
	fail "$suite could not be made from $MIRROR"
}
touch "$root/.complete"
echo "$root"
