#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The example job for hosts (fetch/host-job): with branch records, without, with a perf that cannot record, with the
# real one; and what systemd thinks of its units.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
job=fetch/host-job/pgo-record.sh

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
runs() {
	local want=$1 code=0
	shift
	env TMPDIR="$T" PGO="$PGO" PGO_HOST=web-7 PGO_SERVICE=app "$@" timeout 120 "$job" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	if [ "$code" = "$want" ]; then
		good=$((good + 1))
	else
		echo "FAIL: $*: exit $code, want $want"; sed 's/^/    /' "$T/stdout" "$T/stderr"; bad=$((bad + 1))
	fi
}
pushed() {
	find "$1" -name '*.pb.gz' 2>/dev/null | wc -l
}
types() {
	local f
	f=$(find "$1" -name '*.pb.gz' | head -n 1)
	"$PGO" show --json "$f" 2>/dev/null | tr -d ' \n'
}

# A perf for tests: writes $FAKE_BRANCH for `record -b`, $FAKE_CLOCK otherwise; an empty name is a failure.
cat >"$T/perf" <<'P'
#!/bin/sh
out= from=$FAKE_CLOCK
while [ $# -gt 0 ]; do
	case $1 in
	-o) out=$2; shift ;;
	-b) from=$FAKE_BRANCH ;;
	--) break ;;
	esac
	shift
done
[ -n "$from" ] || { echo "PMU hardware does not support this" >&2; exit 255; }
cp "$from" "$out"
P
chmod +x "$T/perf"

# With branch records.
runs 0 PGO_PERF="$T/perf" FAKE_BRANCH="$FIX/app.perf" FAKE_CLOCK= PGO_PUSH_URL="$T/one/{service}/{host}/"
check "it says that it recorded branches" grep -q "by branches" "$T/stdout"
check "one profile is there under service and host" [ "$(pushed "$T/one/app/web-7")" = 1 ]
check "it holds branches" grep -q lbr_traces <<<"$(types "$T/one")"

# Without: the clock.
runs 0 PGO_PERF="$T/perf" FAKE_BRANCH= FAKE_CLOCK="$FIX/plain.perf" PGO_PUSH_URL="$T/two/{service}/{host}/"
check "it says that it used the clock" grep -q "by clock" "$T/stdout"
check "one profile is there" [ "$(pushed "$T/two")" = 1 ]

# Neither, no address, no such process: nothing is pushed, nothing is left behind.
runs 1 PGO_PERF="$T/perf" FAKE_BRANCH= FAKE_CLOCK= PGO_PUSH_URL="$T/three"
check "perf's reason is passed on" grep -q "PMU hardware" "$T/stderr"
runs 2 PGO_PERF="$T/perf" FAKE_BRANCH= FAKE_CLOCK= PGO_PUSH_URL=
runs 0 PGO_PERF="$T/perf" FAKE_BRANCH="$FIX/app.perf" FAKE_CLOCK= PGO_PUSH_URL="$T/three" PGO_RECORD_COMM=no-such-process-here
check "nothing was pushed" [ "$(pushed "$T/three")" = 0 ]
check "no temporary directory is left" [ -z "$(find "$T" -maxdepth 1 -name 'pgo-record.*')" ]

# The real one, where it may record: a loop keeps one processor busy meanwhile.
if command -v perf >/dev/null && perf record -q -a -e cpu-clock:u -o "$T/may.data" -- true 2>/dev/null; then
	(while :; do :; done) &
	busy=$!
	runs 0 PGO_RECORD_SECONDS=3 PGO_PUSH_URL="$T/real/{service}/{host}/"
	kill $busy
	wait $busy 2>/dev/null
	check "profiles of this machine are there" [ "$(pushed "$T/real/app/web-7")" -ge 1 ]
else
	echo "perf may not record all of this machine: only recordings that were made before are pushed"
fi

# The units, with the script where it is.
if command -v systemd-analyze >/dev/null; then
	mkdir "$T/units"
	cp fetch/host-job/*.timer "$T/units"
	sed "s|^ExecStart=.*|ExecStart=$PWD/$job|" fetch/host-job/pgo-record.service >"$T/units/pgo-record.service"
	SYSTEMD_UNIT_PATH="$T/units:" timeout 60 systemd-analyze verify --man=no "$T/units/pgo-record.service" "$T/units/pgo-record.timer" >"$T/verify" 2>&1
	check "systemd has nothing to say about the units: $(grep pgo-record "$T/verify")" [ -z "$(grep pgo-record "$T/verify")" ]
fi
echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
