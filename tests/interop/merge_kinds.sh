#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Profiles of every kind that a Go program writes of itself (CPU, heap, mutex, block, goroutines), with labels, from
# several processes: pgo merge and `go tool pprof -proto` add them up to the same stacks and sums.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v go >/dev/null || { echo "go is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
export PPROF_TMPDIR="$T/tmp" PPROF_BINARY_PATH="$T" GOFLAGS=-mod=mod GOTOOLCHAIN=local
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}

mkdir "$T/prog" && cat >"$T/prog/main.go" <<'GO'
package main

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"syscall"
	"time"
)

var (
	mu   sync.Mutex
	kept [][]byte
	sink int
)

func contend(n int) {
	var wg sync.WaitGroup
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for k := 0; k < n; k++ {
				mu.Lock()
				kept = append(kept, bytes.Repeat([]byte{1}, 64<<10))
				time.Sleep(50 * time.Microsecond)
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
}

// By processor time, so that a busy machine does not make it short.
func burn(cpu time.Duration) {
	var from, now syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &from)
	for now = from; now.Utime.Nano()-from.Utime.Nano() < cpu.Nanoseconds(); syscall.Getrusage(syscall.RUSAGE_SELF, &now) {
		for i := 0; i < 100000; i++ {
			sink += i * sink
		}
	}
}

func write(dir, name string) {
	f, err := os.Create(dir + "/" + name + ".pb.gz")
	if err != nil {
		panic(err)
	}
	if err := pprof.Lookup(name).WriteTo(f, 0); err != nil {
		panic(err)
	}
	f.Close()
}

func main() {
	dir, seed := os.Args[1], os.Args[2]
	n, _ := strconv.Atoi(seed)
	runtime.MemProfileRate = 4096
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	f, err := os.Create(dir + "/cpu.pb.gz")
	if err != nil {
		panic(err)
	}
	pprof.StartCPUProfile(f)
	pprof.Do(context.Background(), pprof.Labels("worker", seed, "kind", "burn"), func(context.Context) {
		burn(500 * time.Millisecond)
	})
	contend(20 + n)
	pprof.StopCPUProfile()
	f.Close()
	runtime.GC()
	for _, name := range []string{"heap", "allocs", "mutex", "block", "goroutine"} {
		write(dir, name)
	}
}
GO
printf 'module kinds\n\ngo 1.19\n' >"$T/prog/go.mod"
(cd "$T/prog" && go build -o "$T/kinds" .) >"$T/log" 2>&1 || { cat "$T/log"; echo "go cannot build a program here"; exit 77; }
for i in 1 2 3; do
	mkdir "$T/$i" && "$T/kinds" "$T/$i" "$i" || no "the program fails"
done

# A profile as text with nothing of ours: one line a sample, its stack by names and lines, its values and labels.  Go
# leaves the addresses of a program without address randomisation as they are, so they are part of the stack.
cat >"$T/dump.py" <<'PY'
import collections, gzip, sys
raw = open(sys.argv[1], "rb").read()
d = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
labels_too = sys.argv[2] == "labels"
def varint(b, i):
    n = k = 0
    while True:
        n |= (b[i] & 127) << k
        k += 7
        i += 1
        if b[i - 1] < 128:
            return n, i
def fields(b):
    i = 0
    while i < len(b):
        key, i = varint(b, i)
        if key & 7 == 0:
            v, i = varint(b, i)
        else:
            n, i = varint(b, i)
            v, i = b[i:i + n], i + n
        yield key >> 3, v
def numbers(v):
    if isinstance(v, int):
        return [v]
    i, out = 0, []
    while i < len(v):
        n, i = varint(v, i)
        out.append(n)
    return out
top = list(fields(d))
strings = [v.decode() for k, v in top if k == 6]
types = [dict(fields(v)) for k, v in top if k == 1]
names = ["%s/%s" % (strings[t.get(1, 0)], strings[t.get(2, 0)]) for t in types]
functions, locations = {}, {}
for k, v in top:
    if k == 5:
        f = dict(fields(v))
        functions[f[1]] = "%s %s:%d" % (strings[f.get(2, 0)], strings[f.get(4, 0)], f.get(5, 0))
for k, v in top:
    if k == 4:
        l = list(fields(v))
        one = dict(l)
        lines = []
        for n, x in l:
            if n == 4:
                x = dict(fields(x))
                lines.append("%s+%d" % (functions[x.get(1, 0)], x.get(2, 0)))
        locations[one[1]] = "%x=%s" % (one.get(3, 0), "<".join(lines))
rows = collections.Counter()
for k, v in top:
    if k != 2:
        continue
    locs, values, labels = [], [], []
    for n, x in fields(v):
        if n == 1:
            locs += numbers(x)
        elif n == 2:
            values += numbers(x)
        elif n == 3:
            l = dict(fields(x))
            labels.append("%s=%s/%d%s" % (strings[l.get(1, 0)], strings[l.get(2, 0)], l.get(3, 0), strings[l.get(4, 0)]))
    stack = ";".join(locations[i] for i in locs) + " " + " ".join(sorted(labels) if labels_too else [])
    for name, value in zip(names, values):
        if value:
            rows[stack + " " + name] += value
for key in sorted(rows):
    print(key, rows[key])
PY

same() { # KIND LABELS COUNT: do both tools say the same of the three profiles of that kind?
	[ -s "$T/ours.txt" ] && cmp -s "$T/ours.txt" "$T/go.txt" && ok || { no "$1 ($2): Go adds up to something else"; diff "$T/ours.txt" "$T/go.txt" | cut -c1-200 | head; }
	[ "$(wc -l <"$T/ours.txt")" -ge "$3" ] && ok || no "$1: only $(wc -l <"$T/ours.txt") rows"
}
for kind in cpu heap allocs mutex block goroutine; do
	timeout 120 go tool pprof -proto -symbolize=none -output "$T/go.pb.gz" "$T"/[123]/$kind.pb.gz >/dev/null 2>"$T/log" ||
		{ cat "$T/log"; echo "go tool pprof does not run"; exit 77; }
	"$PGO" merge -q --keep-labels "$T"/[123]/$kind.pb.gz -o "$T/ours.pb.gz" || no "pgo merge fails on $kind"
	for labels in labels none; do
		python3 "$T/dump.py" "$T/ours.pb.gz" $labels >"$T/ours.txt" || no "$kind: our output cannot be read"
		python3 "$T/dump.py" "$T/go.pb.gz" $labels >"$T/go.txt" || no "$kind: Go's output cannot be read"
		same $kind $labels 1
	done
	"$PGO" merge -q "$T"/[123]/$kind.pb.gz -o "$T/ours.pb.gz" || no "pgo merge fails on $kind"
	python3 "$T/dump.py" "$T/ours.pb.gz" none >"$T/ours.txt"
	python3 "$T/dump.py" "$T/go.pb.gz" none >"$T/go.txt"
	same $kind "dropped labels" 1
done

# Labels as filters, in Go's own notation
for expr in worker=^1 burn 'worker:[23],kind'; do
	timeout 120 go tool pprof -proto -symbolize=none -tagfocus="$expr" -output "$T/go.pb.gz" "$T"/[123]/cpu.pb.gz >/dev/null 2>&1
	"$PGO" merge -q --keep-labels --tag-focus "$expr" "$T"/[123]/cpu.pb.gz -o "$T/ours.pb.gz" || no "--tag-focus $expr fails"
	python3 "$T/dump.py" "$T/ours.pb.gz" labels >"$T/ours.txt"
	python3 "$T/dump.py" "$T/go.pb.gz" labels >"$T/go.txt"
	same "cpu of $expr" labels 1
done

# All kinds in one: each keeps its own totals
"$PGO" merge -q "$T"/1/{cpu,mutex,goroutine}.pb.gz -o "$T/all.pb.gz" || no "kinds cannot be merged with each other"
python3 "$T/dump.py" "$T/all.pb.gz" none >"$T/all.txt"
for kind in cpu mutex goroutine; do
	python3 "$T/dump.py" "$T/1/$kind.pb.gz" none
done | awk '{ v = $NF; $NF = ""; sum[$0] += v } END { for (k in sum) print k sum[k] }' | LC_ALL=C sort >"$T/parts.txt"
awk '{ v = $NF; $NF = ""; sum[$0] += v } END { for (k in sum) print k sum[k] }' "$T/all.txt" | LC_ALL=C sort >"$T/whole.txt"
[ -s "$T/whole.txt" ] && cmp -s "$T/parts.txt" "$T/whole.txt" && ok || no "kinds merged with each other changed their sums"

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
