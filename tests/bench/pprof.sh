#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The direct decoder of samples and locations against protobuf-c: nanoseconds a message, and ratios.
set -eu
B=${B:-build}
make -s B="$B" "$B/bench/bench_pprof"
"$B/bench/bench_pprof"
