#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make truth` runs: the table of converters, then every other script of this folder that is executable.
# TRUTH_PROGRAMS, TRUTH_COMPILERS, TRUTH_LINKS choose a part; TRUTH_SCRIPTS (their names, without .sh) some of the scripts.
#
# Exit 0: everything held; 1: something did not.
set -u
cd "$(dirname "$0")/../.." || exit 2
B=${B:-build}
mkdir -p "$B/truth"

failed=''
for f in tests/truth/truth.sh tests/truth/*.sh; do
	name=$(basename "$f" .sh)
	case " all programs ${ran-} " in *" $name "*) continue ;; esac
	case " ${TRUTH_SCRIPTS-$name} " in *" $name "*) ;; *) continue ;; esac
	[ -x "$f" ] || continue
	ran="${ran-} $name"
	echo "== $name"
	if [ "$name" = truth ]; then
		"$f" -o "$B/truth/table.json"
	else
		"$f"
	fi
	code=$?
	case $code in
	0) ;;
	77) echo "skipped: $name" ;;
	*) failed="$failed $name" ;;
	esac
done
[ -z "$failed" ] || {
	echo "make truth: failed:$failed"
	exit 1
}
