#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the demo's sample program out of tree.
#
#	build.sh CC CXX OUTDIR FLAGS...
#
# FLAGS go to every compiler call and to the link (-Wl,... and -no-pie to the link only); the program
# is OUTDIR/quarry.  At most two compilers run at a time.
set -euo pipefail

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

compile=(-Wall -Wextra)
for flag; do
	case $flag in
	-Wl,*) ;;                              # clang warns about what it does not use
	-no-pie) compile+=(-fno-pie) ;;
	*) compile+=("$flag") ;;
	esac
done

pids=()
finish() {
	for p in "${pids[@]}"; do
		wait "$p"
	done
	pids=()
}
for f in "$src"/q*.c "$src"/q*.cpp; do
	o=$out/$(basename "${f%.*}").o
	case $f in
	*.c) "$cc" -std=gnu17 "${compile[@]}" -c "$f" -o "$o" & ;;
	*) "$cxx" -std=c++17 "${compile[@]}" -c "$f" -o "$o" & ;;
	esac
	pids+=($!)
	if [ "${#pids[@]}" -eq 2 ]; then
		finish
	fi
done
finish
"$cxx" "$@" "$out"/q*.o -o "$out/quarry"
