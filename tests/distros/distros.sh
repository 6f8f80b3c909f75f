#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The promises of the README on machines that have nothing: for each Debian release a minimal root, this tree as a clone
# would have it, the two commands, then the package, installed and used.
#
#	tests/distros/distros.sh [SUITE]...      bookworm, trixie and unstable, unless named
#
# Needs root, mmdebstrap, unshare, and the mirror that apt uses here (MIRROR: another).  What is run in each root:
# STEPS="demo package check" (check, the whole test suite, only if named: it takes as long as everywhere).
# KEEP=1 leaves the roots below $TMPDIR.  Exit code 77: a tool is missing, named on the last line.
# The last line is "N passed, N failed, N skipped", one a step and release.
set -u
cd "$(dirname "$0")/../.." || exit 2
suites=${*:-bookworm trixie unstable}
steps=${STEPS-demo package}
passed=0 failed=0

[ "$(id -u)" = 0 ] || {
	echo "making roots needs root"
	exit 77
}
for tool in mmdebstrap unshare git; do
	command -v "$tool" >/dev/null || {
		echo "$tool is not installed"
		exit 77
	}
done
# shellcheck disable=SC2016 # apt's own format
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" 2>/dev/null | grep -v security | head -n 1)}
[ -n "$MIRROR" ] || {
	echo "apt names no mirror; set MIRROR" >&2
	exit 2
}
top=$(mktemp -d) || exit 1
clean() {
	[ -n "${KEEP-}" ] || rm -rf --one-file-system "$top"
}
trap clean EXIT

# inside ROOT COMMAND: in the root, with /proc and /dev of its own, in the copy of the tree
inside() {
	# shellcheck disable=SC2016 # the inner shell expands
	unshare --mount --pid --fork sh -c '
		mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --make-rslave "$1/dev" &&
			exec chroot "$1" sh -c "cd /root/pgo && $2"' sh "$1" "export HOME=/root DEBIAN_FRONTEND=noninteractive; $2" </dev/null
}

# step SUITE NAME COMMAND
step() {
	local suite=$1 name=$2 start=$SECONDS code=0
	inside "$top/$suite" "$3" >"$top/$suite.$name.log" 2>&1 || code=$?
	if [ "$code" = 0 ]; then
		passed=$((passed + 1))
		echo "ok   $suite: $name, $((SECONDS - start)) s"
	else
		failed=$((failed + 1))
		echo "FAIL $suite: $name, exit $code after $((SECONDS - start)) s"
		tail -n 30 "$top/$suite.$name.log" | sed 's/^/     /'
	fi
	grep -E '^SKIP|^[0-9]+ passed, ' "$top/$suite.$name.log" | sed 's/^/     /'
}

for suite in $suites; do
	root=$top/$suite
	if ! mmdebstrap --quiet --mode=root --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' --skip=cleanup/apt/lists \
		--include=make,ca-certificates "$suite" "$root" "$MIRROR" >"$top/$suite.root.log" 2>&1; then
		failed=$((failed + 1))
		echo "FAIL $suite: no root could be made of $MIRROR"
		tail -n 5 "$top/$suite.root.log" | sed 's/^/     /'
		continue
	fi
	mkdir -p "$root/root/pgo"
	git ls-files -z | tar --null -cf - -T - | tar -xf - -C "$root/root/pgo"
	for s in $steps; do
		case $s in
		demo) step "$suite" "make demo" "make demo" ;;
		check) step "$suite" "make check" "make check" ;;
		# The package is built here, and works where nothing else is: -dev packages are not what it hangs on.
		package) step "$suite" "package" "tests/deps.sh build && apt-get install -y -q --no-install-recommends build-essential debhelper dpkg-dev lintian &&
			pgo/package/deb.sh /root/deb && apt-get install -y -q /root/deb/pgo_*.deb &&
			pgo --version && pgo doctor --binary /usr/bin/pgo && pgo show --help >/dev/null &&
			pgo fetch --help >/dev/null && test -s /usr/share/man/man1/pgo.1.gz" ;;
		esac
	done
	[ -n "${KEEP-}" ] || rm -rf --one-file-system "$root"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
