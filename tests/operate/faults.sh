#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each call that changes a file system fails in turn, once in each kind of run: full disk, full quota, input/output
# error, read-only, half a write, and a disk that stays full. FAULTS=all tries every kind of failure at every call.
# operate/campaign.py says what must hold afterwards.
set -u
. tests/operate/cases.bash
operate_begin
cases_make
for c in $CASES; do
	expect "$c" python3 tests/operate/campaign.py faults "$T/$c" "$SHIM" ${FAULTS:+--all}
	head -n 1 "$T/log"
done
operate_end
