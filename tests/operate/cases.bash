# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The runs that operate/faults.sh and operate/kills.sh break, one directory each as operate/campaign.py wants them.
# Sourced in place of lib.bash.
#
#	cases_make          CASES (names), $T/NAME/before ..., SHIM

. tests/operate/lib.bash

cases_make() {
	command -v python3 >/dev/null || skip "python3 is not installed"
	if nm "$PGO" 2>/dev/null | grep -q __asan_init; then
		skip "the failing calls are loaded before the C library, where AddressSanitizer has to be"
	fi
	SHIM=$T/faultshim.so
	"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 -shared -fPIC -o "$SHIM" tests/operate/faultshim.c || exit 1
	CASES="cold refresh"
	# A first run.
	operate_store "$T/cold/before" 4
	operate_conf "$T/cold/before/pgo.conf" state out
	# One with two profiles more.
	mkdir "$T/refresh"
	cp -a "$T/cold/before" "$T/refresh/before"
	(cd "$T/refresh/before" && "$PGO" run -q -c pgo.conf >/dev/null) || exit 1
	operate_profile "$T/refresh/before/store" 5 && operate_profile "$T/refresh/before/store" 6 || exit 1
}
