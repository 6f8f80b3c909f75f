#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# With weight 1, pgo merge and `go tool pprof -proto` sum to the same: our merge of Go's merge has the bytes of our
# merge of the parts, and Go reads the same totals in both.
#
# Differences that are meant, and therefore not in this comparison: Go drops columns that an input lacks, keeps labels,
# starts a mapping where the first file does (the files are given so that this is the lowest), and rounds nothing.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v go >/dev/null || { echo "go is not installed"; exit 77; }
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
GOCACHE=$(go env GOCACHE) # what Go has built already lies below the real home
export GOCACHE HOME="$T" PPROF_TMPDIR="$T/tmp" PPROF_BINARY_PATH="$T"
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}

# 12 profiles of one program at rising load addresses, symbolized and not, with stacks in common
python3 - "$T" <<'PY'
import random, subprocess, sys
for n in range(12):
    r = random.Random(n)
    base, lib = 0x555000000000 + n * 0x100000, 0x7F0000000000 + n * 0x200000
    text = ["type samples/count", "type cpu/nanoseconds", "time %d" % (1790000000 + n * 60),
            "mapping %x %x 1000 /bin/app aabb" % (base, base + 0x8000),
            "mapping %x %x 2000 /lib/libc.so ccdd" % (lib, lib + 0x10000)]
    for _ in range(300):
        frames = []
        for _ in range(r.randint(1, 6)):
            kind = r.randrange(3)
            frames.append("0x%x" % (base + 16 * r.randrange(40)) if kind == 0 else
                          "0x%x" % (lib + 16 * r.randrange(40)) if kind == 1 else
                          "pkg.f%d" % r.randrange(20))
        v = r.randint(0, 9)
        text.append("%s %d %d" % (";".join(frames), v, v * 10000000))
    subprocess.run([sys.executable, "tests/lib/mkpprof.py", "%s/%02d.pb.gz" % (sys.argv[1], n)],
                   input="\n".join(text).encode(), check=True)
PY
go tool pprof -proto -symbolize=none -output "$T/go.pb.gz" "$T"/[0-9]*.pb.gz >/dev/null 2>&1 || { echo "go tool pprof does not run"; exit 77; }
# Go drops what says which inputs are in a profile.
"$PGO" merge -q --no-origins "$T"/[0-9]*.pb.gz -o "$T/ours.pb.gz" || no "pgo merge fails"
"$PGO" merge -q --no-origins "$T/go.pb.gz" -o "$T/goagain.pb.gz" || no "pgo merge cannot read what Go merged"
if cmp -s "$T/ours.pb.gz" "$T/goagain.pb.gz"; then
	ok
else
	no "Go's merge holds something else than ours"
	for f in ours goagain; do
		go tool pprof -raw -symbolize=none "$T/$f.pb.gz" >"$T/$f.raw" 2>/dev/null
	done
	diff "$T/ours.raw" "$T/goagain.raw" | head -20
fi

# What Go says of our file, and of the parts
for column in samples cpu; do
	for of in "$T/ours.pb.gz" "$T/go.pb.gz"; do
		go tool pprof -top -nodecount=0 -addresses -symbolize=none -sample_index=$column "$of" 2>/dev/null |
			grep -v -e '^File:' -e '^Type:' -e '^Time:' -e '^Duration:' -e '^Build ID:' | sort >"$T/$(basename "$of").$column"
	done
	[ -s "$T/ours.pb.gz.$column" ] && cmp -s "$T/ours.pb.gz.$column" "$T/go.pb.gz.$column" && ok || {
		no "Go's -top of $column differs"
		diff "$T/ours.pb.gz.$column" "$T/go.pb.gz.$column" | head
	}
done

# Go merges our output with more
go tool pprof -proto -symbolize=none -output "$T/more.pb.gz" "$T/ours.pb.gz" "$T/00.pb.gz" >/dev/null 2>&1 && ok || no "Go cannot merge our output"
"$PGO" merge -q --no-origins "$T/more.pb.gz" -o "$T/more1.pb.gz" && "$PGO" merge -q --no-origins "$T/ours.pb.gz" "$T/00.pb.gz" -o "$T/more2.pb.gz" || no "pgo merge fails"
cmp -s "$T/more1.pb.gz" "$T/more2.pb.gz" && ok || no "Go's merge of ours and another holds something else than our own"

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
