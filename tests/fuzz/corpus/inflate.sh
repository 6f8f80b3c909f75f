#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Seeds of fuzz_inflate: one member, several, stored blocks, padding, plain bytes.  The zstd ones in
# corpus/inflate/ are saved, since not every machine has the program zstd.
set -eu
out=$1
head -c 3000 LICENSE | gzip -9n >"$out/dynamic.gz"
printf 'hello hello hello' | gzip -n >"$out/fixed.gz"
head -c 2000 LICENSE | gzip -1n >"$out/fast.gz"
: | gzip -n >"$out/empty.gz"
cat "$out/fixed.gz" "$out/empty.gz" "$out/dynamic.gz" >"$out/members.gz"
{ cat "$out/fixed.gz"; head -c 100 /dev/zero; } >"$out/padded.gz"
head -c 500 LICENSE >"$out/plain"
