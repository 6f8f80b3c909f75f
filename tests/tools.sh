#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the newest version found of a tool that distributions install as NAME, NAME-N or
# /usr/lib/llvm-N/bin/NAME.
#
#	tools.sh NAME              its path: clang, clang++, llvm-bolt, perf2bolt, merge-fdata,
#	                           llvm-profdata, llvm-profgen, ld.lld, clang-format, gcc, g++, ...
#	tools.sh --version NAME    its major version
#
# Exit code 1 and no output when there is none.
set -eu

what=path
if [ "${1-}" = --version ]; then
	what=version
	shift
fi
if [ $# -ne 1 ] || [ -z "$1" ]; then
	echo "usage: tools.sh [--version] NAME" >&2
	exit 2
fi
name=$1
best=
best_version=-1

# The major version of the program $1; its name says it more cheaply than running it does.
version_of() {
	real=$(readlink -f "$1") || return 1
	case $real in
	*/llvm-[0-9]*/bin/*)
		v=${real##*/llvm-}
		v=${v%%/*}
		;;
	*-[0-9]*) v=${real##*-} ;;
	*) v= ;;
	esac
	v=${v%%.*}
	case $v in
	'' | *[!0-9]*) v=$("$1" --version 2>/dev/null |
		sed -n -e 's/.*version \([0-9][0-9]*\).*/\1/p' -e 's/.*) \([0-9][0-9]*\)\.[0-9.]*.*/\1/p' |
		head -n 1) ;;
	esac
	echo "${v:-0}" # one that does not tell is found, and any other is preferred
}

offer() {
	[ -f "$1" ] && [ -x "$1" ] || return 0
	case ${1##*/} in
	"$name") ;;
	"$name"-[0-9]*)
		case ${1##*/"$name"-} in
		*[!0-9.]*) return 0 ;;
		esac
		;;
	*) return 0 ;;
	esac
	v=$(version_of "$1") || return 0
	if [ "$v" -gt "$best_version" ]; then
		best_version=$v
		best=$1
	fi
}

old_ifs=$IFS
IFS=:
for dir in $PATH; do
	IFS=$old_ifs
	for f in "$dir/$name" "$dir/$name"-[0-9]*; do
		offer "$f"
	done
done
IFS=$old_ifs
for f in /usr/lib/llvm-*/bin/"$name"; do
	offer "$f"
done

[ -n "$best" ] || exit 1
if [ "$what" = version ]; then
	echo "$best_version"
else
	echo "$best"
fi
