#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Go's compiler uses what `pgo convert --go` writes: from CPU profiles, also without first lines or with addresses only, and
# from branch records; `go tool preprofile` makes the same bytes of it as we do.
#
# Exit 0: all well; 77: the last line names what is missing; 1: something is not.
set -u
. tests/interop/peers_lib.bash
command -v go >/dev/null || skip "go is not installed"
command -v python3 >/dev/null || skip "python3 is not installed"
go tool -n preprofile >/dev/null 2>&1 || skip "this Go has no preprofile (Go 1.23 and newer have)"
T=$(mktemp -d) || exit 1
mkdir -p "$FI"
trap 'rm -rf "$T"' EXIT
export GO111MODULE=on GOFLAGS=-mod=mod GOTOOLCHAIN=local GOCACHE=$FI/gocache HOME=$T PPROF_TMPDIR=$T
mkdir "$T/src"
cp tests/programs/shapes.go "$T/src/main.go"
printf 'module shapes\n\ngo 1.21\n' >"$T/src/go.mod"

# built OUT OPTION...
built() {
	local out=$1
	shift
	(cd "$T/src" && go build -o "$out" "$@" .)
}

# without FIELD INNER IN OUT: a pprof with field INNER of its messages FIELD left out
without() {
	python3 - "$@" <<-'PY'
		import gzip, sys
		def varint(d, i):
		    n = s = 0
		    while True:
		        n |= (d[i] & 127) << s; s += 7; i += 1
		        if d[i - 1] < 128: return n, i
		def out(n):
		    b = bytearray()
		    while n > 127: b.append(n & 127 | 128); n >>= 7
		    b.append(n); return bytes(b)
		def fields(d):
		    i = 0
		    while i < len(d):
		        at = i
		        tag, i = varint(d, i)
		        if tag & 7 == 2:
		            n, i = varint(d, i); body = d[i:i + n]; i += n
		        else:
		            n, i = varint(d, i); body = None
		        yield tag >> 3, body, d[at:i]
		field, inner = int(sys.argv[1]), int(sys.argv[2])
		d = gzip.open(sys.argv[3]).read()
		r = b""
		for f, body, raw in fields(d):
		    if f == field and body is not None:
		        body = b"".join(x for g, _, x in fields(body) if g != inner)
		        raw = out(f << 3 | 2) + out(len(body)) + body
		    r += raw
		gzip.open(sys.argv[4], "wb").write(r)
	PY
}

# twice NAME PROFILE OPTION...: both outputs; Go makes the text of the pprof
twice() {
	local name=$1
	shift
	"$PGO" convert "$@" --go "$T/$name.pgo" --go-preprofile "$T/$name.txt" && go tool preprofile -i "$T/$name.pgo" -o "$T/$name.go" &&
		cmp "$T/$name.txt" "$T/$name.go" && [ "$(wc -l <"$T/$name.txt")" -gt 6 ]
}

# uses PROFILE: go build says what it did for it. (It compiles the standard library with the profile as well: once is enough.)
uses() {
	(cd "$T/src" && go build -pgo="$1" -gcflags=-m=2 -o "$T/rebuilt" .) >"$T/said" 2>&1
	grep -E 'PGO devirtualizing|hot-budget' "$T/said"
	grep -q 'PGO devirtualizing interface call s.area to square.area' "$T/said"
}

# compiled FILE: the compiler itself, for the one package, says so, too
compiled() {
	(cd "$T/src" && go list -export -deps -f '{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}' . >"$T/importcfg" &&
		go tool compile -p main -importcfg "$T/importcfg" -pgoprofile="$T/$1" -m=2 -o "$T/main.o" main.go) >"$T/said" 2>&1
	grep -E 'PGO devirtualizing|hot-budget|rror' "$T/said"
	grep -q 'PGO devirtualizing interface call s.area to square.area' "$T/said"
}

named() {
	"$PGO" convert "$T/bare.pprof" --go "$T/none" 2>"$T/said"
	[ $? = 3 ] && [ ! -e "$T/none" ] && grep -q -- '--binary' "$T/said"
}

expect "go builds the sample" built "$T/app" -pgo=off || finish
"$T/app" 800000 "$T/cpu.pprof" >"$T/app.out"
samples=$(go tool pprof -raw "$T/cpu.pprof" 2>/dev/null | awk '/^Locations/ { exit } /:/ && $1 ~ /^[0-9]+$/ { n += $1 } END { print n + 0 }')
echo "    $samples samples"
if [ "$samples" -ge 100 ]; then
	expect "a CPU profile becomes both forms" twice cpu "$T/cpu.pprof" --binary "$T/app"
	expect "Go's compiler uses it" compiled cpu.pgo
	expect "and its text" compiled cpu.txt
	expect "no program is needed where first lines are there" twice alone "$T/cpu.pprof"
	expect "and gives the same" cmp "$T/cpu.pgo" "$T/alone.pgo"
	without 5 5 "$T/cpu.pprof" "$T/bare.pprof"
	expect "without first lines, the program is asked for" named
	expect "and has them" twice bare "$T/bare.pprof" --binary "$T/app"
	expect "the same ones" cmp "$T/cpu.txt" "$T/bare.txt"
	expect "also when it is stripped" strip -o "$T/stripped" "$T/app"
	expect "of functions that were not all inlined" twice stripped "$T/bare.pprof" --binary "$T/stripped"
	without 4 4 "$T/cpu.pprof" "$T/addresses.pprof"
	expect "addresses alone are looked up" twice addresses "$T/addresses.pprof" --binary "$T/app"
	# which column of a line an instruction is in is not kept: the calls are the same
	expect "and give the same calls" cmp "$T/cpu.txt" "$T/addresses.txt"
	expect "twice the profile is twice the weight" twice double "$T/cpu.pprof" "$T/cpu.pprof"
	expect "of the same calls" cmp <(awk 'NR > 1 && NR % 3 == 1 { $2 *= 2 } { print }' "$T/cpu.txt") "$T/double.txt"
	# merged, as from a store
	expect "pgo merges it" "$PGO" merge -q "$T/cpu.pprof" -o "$T/merged.pb.gz"
	expect "a merged profile" twice merged "$T/merged.pb.gz" --binary "$T/app"
	expect "says the same" cmp "$T/cpu.txt" "$T/merged.txt"
else
	echo "    too few for the tests of CPU profiles: the machine gives no profiling signals"
fi

# ---- branch records
if why=$(tests/emu/have_plugins.sh) && [ "$(uname -m)" = x86_64 ]; then
	make -s B="$B" SAN= COV= emu || exit 1
	EMU_DIR=$PWD/$B/emu tests/emu/record.sh -e branches -p 997 -s 7 -o "$T/ring" -- "$T/app" 600 >/dev/null
	"$B/emu/mkperf" --start-time 1790000000 -o "$T/perf.data" "$T/ring"
	expect "branch records become both forms" twice lbr "$T/perf.data" --binary "$T/app"
	expect "go build uses them" uses "$T/lbr.pgo"
	expect "and their text" compiled lbr.txt
	expect "the interface call leads to the method, not to what the compiler made to reach it" \
		grep -q 'main.square.area' "$T/lbr.txt"
	expect "beside other outputs of the same pass" "$PGO" convert "$T/perf.data" --binary "$T/app" --go "$T/again.pgo" --bolt "$T/x.fdata"
	expect "it is the same" cmp "$T/lbr.pgo" "$T/again.pgo"
else
	echo "    no branch records: $why"
fi
finish
