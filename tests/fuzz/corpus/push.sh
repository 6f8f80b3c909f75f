#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The saved profiles of fuzz_pprof.
#	tests/fuzz/corpus/push.sh DIRECTORY
set -eu
cd "$(dirname "$0")"
mkdir -p "$1"
cp pprof/* "$1/"
