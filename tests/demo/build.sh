#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the demo's sample program out of tree.
#
#	build.sh CC CXX OUTDIR FLAGS...
#
# FLAGS go to every compiler call and to the link; the program is OUTDIR/quarry.
# Compiler warnings are errors here, except about profiles, which the demo shows as they are.
set -eu

if [ $# -lt 3 ]; then
	echo "usage: build.sh CC CXX OUTDIR FLAGS..." >&2
	exit 2
fi
cc=$1
cxx=$2
out=$3
shift 3
src=$(cd "$(dirname "$0")" && pwd)/src
mkdir -p "$out"
pids=
n=0
for f in "$src"/q*.c "$src"/q*.cpp; do
	o=$out/$(basename "${f%.*}").o
	case $f in
	*.c) "$cc" -std=gnu17 -Wall -Wextra "$@" -c "$f" -o "$o" & ;;
	*) "$cxx" -std=c++17 -Wall -Wextra "$@" -c "$f" -o "$o" & ;;
	esac
	pids="$pids $!"
	n=$((n + 1))
	if [ $((n % 3)) -eq 0 ]; then
		for p in $pids; do wait "$p"; done
		pids=
	fi
done
for p in $pids; do wait "$p"; done
"$cxx" "$@" "$out"/q*.o -o "$out/quarry"
