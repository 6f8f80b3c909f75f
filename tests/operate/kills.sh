#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs that are killed: KILLS times (150) over first runs, refreshes, refreshes that a gate refuses, rollbacks and
# collections. Half of them die at a chosen call (before it, or half-way through), half by the clock.
# operate/campaign.py says what must hold afterwards.
set -u
. tests/operate/cases.bash
operate_begin
KILLS=${KILLS:-150}
cases_make
n=$(echo "$CASES" | wc -w)
for c in $CASES; do
	expect "$c" python3 tests/operate/campaign.py kills "$T/$c" "$SHIM" $(((KILLS + n - 1) / n))
	head -n 1 "$T/log"
done
operate_end
