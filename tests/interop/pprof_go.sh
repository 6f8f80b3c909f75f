#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Profiles between pgo and `go tool pprof`: each reads what the other wrote, and both see the same.
#
# Exit 0: agreed; 77: there is no Go; 1: they differ.
set -u
B=${B:-build}
PGO=$PWD/$B/pgo
SEEDS=$PWD/tests/fuzz/corpus/pprof
if ! command -v go >/dev/null 2>&1; then
	echo "go is not installed"
	exit 77
fi
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
export GOFLAGS=-mod=mod GO111MODULE=off GOTOOLCHAIN=local GOCACHE="$T/cache" PPROF_TMPDIR="$T"
good=0 bad=0

# said NAME COMMAND...: the command succeeds.
said() {
	local name=$1
	shift
	if "$@" >"$T/said" 2>&1; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAILED: $name: $*"
		head -n 20 "$T/said"
	fi
}
same() { said "$1" diff "$2" "$3"; }
pprof() { go tool pprof "$@" 2>"$T/stderr" || { cat "$T/stderr" >&2; return 1; }; }

# Sums of each column, from the list of samples that -raw prints.  Which one is shown first is left
# out: pgo writes it down where Go leaves it to the rule that it is the last.
sums() {
	pprof -raw "$1" | awk '
		/^Samples:/ { on = 1; getline; sub(/\[dflt\]/, ""); print; next }
		/^Locations/ { on = 0 }
		on && /:[ 0-9]*$/ { sub(/:.*/, ""); for (i = 1; i <= NF; i++) s[i] += $i; n = NF }
		END { for (i = 1; i <= n; i++) printf "%.0f\n", s[i] }'
}
# What a reader looks at, without the file names of temporary copies.
top() { pprof -top -nodecount=100000 "${@:2}" "$1" | grep -v '^\(File\|Build ID\|Time\)' | sort; }

# A Go program profiles itself: processor time with labels, and heap.
cat >"$T/busy.go" <<'GO'
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"sort"
	"time"
)

var kept [][]byte

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func sorted(n int) {
	x := make([]int, n)
	for i := range x {
		x[i] = i * 7919 % 10007
	}
	sort.Ints(x)
	kept = append(kept, make([]byte, n))
}

func main() {
	runtime.MemProfileRate = 1
	f, _ := os.Create(os.Args[1])
	pprof.StartCPUProfile(f)
	for t := time.Now(); time.Since(t) < 700*time.Millisecond; {
		pprof.Do(context.Background(), pprof.Labels("part", "fib"), func(context.Context) { fib(24) })
		pprof.Do(context.Background(), pprof.Labels("part", "sort"), func(context.Context) { sorted(5000) })
	}
	pprof.StopCPUProfile()
	f.Close()
	h, _ := os.Create(os.Args[2])
	pprof.WriteHeapProfile(h)
	h.Close()
}
GO
said 'build the program' go build -o "$T/busy" "$T/busy.go"
said 'profile the program' "$T/busy" "$T/cpu.pb.gz" "$T/heap.pb.gz"

for kind in cpu heap; do
	in=$T/$kind.pb.gz
	said "$kind: pgo reads it" "$PGO" merge --keep-labels "$in" -o "$T/ours.pb.gz"
	sums "$in" >"$T/sums.in"
	sums "$T/ours.pb.gz" >"$T/sums.ours"
	said "$kind: there is something to compare" test "$(wc -l <"$T/sums.in")" -ge 3
	same "$kind: sums after pgo" "$T/sums.in" "$T/sums.ours"
	for view in "" -cum -lines -addresses; do
		top "$in" ${view:+"$view"} >"$T/top.in"
		top "$T/ours.pb.gz" ${view:+"$view"} >"$T/top.ours"
		same "$kind: -top $view" "$T/top.in" "$T/top.ours"
	done
	pprof -tags "$in" >"$T/tags.in"
	pprof -tags "$T/ours.pb.gz" >"$T/tags.ours"
	same "$kind: labels" "$T/tags.in" "$T/tags.ours"

	# And back: its own encoding of ours, read by us again.
	said "$kind: go encodes ours" pprof -proto -output "$T/go.pb.gz" "$T/ours.pb.gz"
	said "$kind: pgo reads that" "$PGO" merge --keep-labels "$T/go.pb.gz" -o "$T/again.pb.gz"
	sums "$T/again.pb.gz" >"$T/sums.again"
	same "$kind: sums there and back" "$T/sums.in" "$T/sums.again"

	# Twice the same in one merge, by either.
	# A copy that does not say what it was made from, or it would count once.
	said "$kind: go writes a copy" pprof -proto -output "$T/copy.pb.gz" "$T/ours.pb.gz"
	said "$kind: pgo merges two" "$PGO" merge "$in" "$T/copy.pb.gz" -o "$T/two.pb.gz"
	said "$kind: go merges two" pprof -proto -output "$T/two.go.pb.gz" "$in" "$in"
	sums "$T/two.pb.gz" >"$T/sums.two"
	sums "$T/two.go.pb.gz" >"$T/sums.two.go"
	same "$kind: sums of two" "$T/sums.two.go" "$T/sums.two"
done

# Files as the library's writer made them: every field, branch records, ids that are not dense.
pprof -raw "$SEEDS/all_fields.pb" >"$T/raw"
for part in 'PeriodType: cpu nanoseconds' 'Period: 10000000' 'Comment: c' 'cpu/nanoseconds\[dflt\]' \
	'9223372036854775807' 'host:\[web\]' 'bytes:\[16 kb\]' '/bin/app 0123abcd \[FN\]'; do
	said "every field: $part" grep -e "$part" "$T/raw"
done
go_minor=$(go version | sed -n 's/.* go1\.\([0-9]*\).*/\1/p')
# Columns and doc_url are fields of 2024: an older Go does not print them.
if [ "${go_minor:-0}" -ge 24 ]; then
	for part in 'Doc: u' 'hash :9:0'; do
		said "every field: $part" grep -e "$part" "$T/raw"
	done
else
	echo "go 1.$go_minor does not know columns and doc_url: not looked for"
fi
pprof -raw "$SEEDS/all_fields.pb.gz" >"$T/raw.gz"
same 'compressed or not' "$T/raw" "$T/raw.gz"
pprof -traces -sample_index=lbr_traces "$SEEDS/traces.pb" >"$T/traces"
said 'branch records: a pseudo-location' grep -F '[lbr:branch_only]' "$T/traces"
said 'branch records: merged by go' pprof -proto -output "$T/traces2.pb.gz" "$SEEDS/traces.pb" "$SEEDS/traces.pb"
sums "$T/traces2.pb.gz" >"$T/sums.traces"
printf '%s\n' 'samples/count lbr_traces/count lbr_mispredicts/count' 0 16 4 | sort >"$T/want"
sort "$T/sums.traces" >"$T/got"
same 'branch records: sums after go' "$T/want" "$T/got"
said 'branch records: read back' "$PGO" show --json "$T/traces2.pb.gz"
cp "$T/said" "$T/show"
said 'branch records: still two traces' grep -E '"traces": 2,' "$T/show"
said 'branch records: sixteen branches' grep -E '"branches": 16,' "$T/show"

echo "$good agreed, $bad did not"
[ "$bad" = 0 ] && [ "$good" -gt 40 ]
