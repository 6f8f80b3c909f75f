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
	# shellcheck disable=SC2034 # for the scripts
	CASES="cold refresh refused rollback collect"
	# A first run. What compilers say is left out: they are asked by programs of their own.
	operate_store "$T/cold/before" 8
	operate_conf "$T/cold/before/pgo.conf" state out 'hysteresis = 0 gates { acceptance = "off" }'
	# One with two profiles more.
	case_after refresh cold
	operate_profile "$T/refresh/before/store" 9 && operate_profile "$T/refresh/before/store" 10 || exit 1
	# The same, where a gate says no.
	mkdir "$T/refused"
	cp -a "$T/refresh/before" "$T/refused/before"
	sed -i 's/acceptance = "off"/& hosts = "60\/50"/' "$T/refused/before/pgo.conf"
	# Back to the first of two results; all but the newest thrown away. A run is what comes next.
	case_after rollback refresh
	echo rollback -q -c pgo.conf >"$T/rollback/command"
	cp -a "$T/rollback" "$T/collect"
	echo gc -q -c pgo.conf --keep 1 --keep-for 1d >"$T/collect/command"
	echo 2026-11-30T12:00:00Z >"$T/collect/now"
	echo run -q -c pgo.conf | tee "$T/rollback/recover" >"$T/collect/recover"
}

# case_after NEW OLD: NEW begins where a run of OLD ends.
case_after() {
	mkdir "$T/$1"
	cp -a "$T/$2/before" "$T/$1/before"
	(cd "$T/$1/before" && "$PGO" run -q -c pgo.conf >"$T/log" 2>&1) || {
		cat "$T/log"
		exit 1
	}
}
