#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every target under libFuzzer for a while; `make fuzz` builds them and calls this.
#
#	tests/fuzz/run.sh SECONDS
#
# Inputs that reach new code are kept in $B/corpus/NAME, findings in $B/findings.  Exit code 1 if
# there is a finding.
set -u
B=${B:-build-fuzz}
seconds=${1:-60}
cd "$(dirname "$0")/../.." || exit 2
mkdir -p "$B/findings"
bad=0 ran=0
for engine in "$B"/fuzz/fuzz_*; do
	[ -x "$engine" ] || continue
	name=${engine##*/fuzz_}
	mkdir -p "$B/corpus/$name" "$B/made/$name"
	seeds=("$B/made/$name")
	[ -d "tests/fuzz/corpus/$name" ] && seeds+=("tests/fuzz/corpus/$name")
	[ -e "tests/fuzz/corpus/$name.sh" ] && "tests/fuzz/corpus/$name.sh" "$B/made/$name"
	echo "== $name, $seconds s"
	"$engine" -max_total_time="$seconds" -max_len=262144 -timeout=20 -rss_limit_mb=3000 \
		-print_final_stats=1 -artifact_prefix="$B/findings/$name-" \
		"$B/corpus/$name" "${seeds[@]}" >"$B/$name.log" 2>&1 || {
		bad=$((bad + 1))
		tail -n 30 "$B/$name.log"
	}
	grep -E 'stat::number_of_executed_units|cov:' "$B/$name.log" | tail -n 2
	ran=$((ran + 1))
done
echo "$ran targets, $bad with findings"
[ "$bad" = 0 ] && [ "$ran" != 0 ]
