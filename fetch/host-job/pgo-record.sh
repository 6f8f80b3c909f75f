#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One recording of this host, made into profiles and pushed: what pgo-record.timer starts.
#
# Settings, from the environment (/etc/pgo/record.conf by the service):
#	PGO_PUSH_URL       where to, as pgo-push(1) takes it                        (needed)
#	PGO_RECORD_SECONDS how long                                                 (60)
#	PGO_RECORD_COUNT   with branch records: one sample of so many taken branches (500009)
#	PGO_RECORD_FREQ    without: samples a second and CPU                        (97)
#	PGO_RECORD_COMM    only processes of this name; empty = the whole host      ()
#	PGO_SERVICE        service label; PGO_HOST, PGO_VERSION: host and version   (the name of the host)
#	PGO_PERF, PGO      the programs                                             (perf, pgo)
#
# Whatever fails leaves the store as it was; the next start tries again.  Exit code: that of pgo push, or of
# the first step that failed.
set -eu
: "${PGO_PUSH_URL:?set PGO_PUSH_URL to where profiles go, see pgo-push(1)}"
PERF=${PGO_PERF:-perf}
PGO=${PGO:-pgo}
seconds=${PGO_RECORD_SECONDS:-60}

work=$(mktemp -d "${TMPDIR:-/tmp}/pgo-record.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP

# The whole host, or the threads of one program.
if [ -n "${PGO_RECORD_COMM:-}" ]; then
	pids=$(pgrep -x -d, "$PGO_RECORD_COMM") || {
		echo "pgo-record: no process is called $PGO_RECORD_COMM now; nothing to do" >&2
		exit 0
	}
	set -- -p "$pids"
else
	set -- -a
fi

# Taken branches of user space with their ring of branch records, where the processor has one and we may; else the
# clock, which every machine has: profiles without branches are worth having too.  The last word says which it was.
record() {
	"$PERF" record -q -o "$work/perf.data" "$@" -- sleep "$seconds" >"$work/log" 2>&1
}
how=branches
if ! record -b -e br_inst_retired.near_taken:u -c "${PGO_RECORD_COUNT:-500009}" "$@" &&
	! record -b -e cycles:u -c 2000003 "$@"; then
	how=clock
	if ! record -e cpu-clock:u -F "${PGO_RECORD_FREQ:-97}" "$@"; then
		echo "pgo-record: perf could not record:" >&2
		tail -n 5 "$work/log" >&2
		exit 1
	fi
fi
bytes=$(wc -c <"$work/perf.data")
echo "pgo-record: $seconds s by $how, $bytes bytes"

"$PGO" import -q "$work/perf.data" -o "$work/profiles" --host "${PGO_HOST:-$(uname -n)}" \
	${PGO_SERVICE:+--service "$PGO_SERVICE"} ${PGO_VERSION:+--version "$PGO_VERSION"}
"$PGO" push "$work/profiles" "$PGO_PUSH_URL" --host "${PGO_HOST:-$(uname -n)}" \
	${PGO_SERVICE:+--service "$PGO_SERVICE"} ${PGO_VERSION:+--version "$PGO_VERSION"}
