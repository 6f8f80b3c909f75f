#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Can this machine record branches by itself?  Exit 0 if `perf record -b` works and its samples hold branches, else 1.
set -u

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
# shellcheck disable=SC2016 # the inner shell expands
perf record -q -b -e cycles:u -o "$tmp/data" -- sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done' \
	>/dev/null 2>&1 || exit 1
perf script -i "$tmp/data" -F brstack 2>/dev/null | grep -q '0x[0-9a-f]*/0x[0-9a-f]*/'
