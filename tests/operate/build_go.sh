#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Go: the flag, and default.pgo beside the main package, with a profile that the program made of itself.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin go
unset CC
GOCACHE=$(realpath "$B")/go-cache
export GOCACHE GOFLAGS=-mod=mod GOTOOLCHAIN=local GO111MODULE=on HOME=$T
mkdir "$T/g"
printf 'module example.org/app\n\ngo 1.21\n' >"$T/g/go.mod"
cat >"$T/g/main.go" <<'G'
package main

func mix(x, y uint64) uint64 {
	for i := uint64(0); i < y%7; i++ {
		x = x*6364136223846793005 + 1442695040888963407 ^ i
		if x%3 == 0 {
			x += y >> 3
		} else if x%5 == 0 {
			x ^= y << 2
		}
	}
	return x
}

func work(n uint64) (sum uint64) {
	for i := uint64(0); i < n; i++ {
		sum += mix(sum, i)
	}
	return sum
}

var record func()

func main() {
	if record != nil {
		record()
	}
	println(work(1000))
}
G
# What records is built once: each profile compiles all that a program imports anew.
cat >"$T/g/record.go" <<'G'
//go:build record

package main

import (
	"os"
	"runtime/pprof"
)

func init() {
	record = func() {
		f, _ := os.Create(os.Args[1])
		pprof.StartCPUProfile(f)
		work(60000000)
		pprof.StopCPUProfile()
		f.Close()
	}
}
G
cd "$T/g" || exit 1
build() {
	# shellcheck disable=SC2046 # words
	go build -v -o app $("$PGO" flags --compiler go --profile "$T/default.pgo" "$@") . >"$T/said" 2>&1 || { cat "$T/said"; return 1; }
}
again() {
	go build -v -o app . >"$T/said" 2>&1
}
expect "without a profile it builds" build
expect "no profile is used" test "$(go version -m app | grep -c 'build	-pgo')" = 0
./app 2>"$T/want" || exit 1
go build -tags record -pgo=off -o recorded . && ./recorded "$T/cpu.pprof" 2>/dev/null || exit 1
expect "pgo makes its profile" "$PGO" convert "$T/cpu.pprof" --binary recorded --go "$T/default.pgo"
expect "with one it builds" build --require any
expect "by that profile" grep -q "build	-pgo=$T/default.pgo" <(go version -m app)
expect "the package was compiled" grep -q '^example.org/app' "$T/said"
expect "it does the same" cmp <(./app 2>&1) "$T/want"
cp "$T/default.pgo" "$T/copy" && rm "$T/default.pgo" && cp "$T/copy" "$T/default.pgo" && touch -d 2030-01-01 "$T/default.pgo"
expect "an equal profile builds" build
expect "and compiles nothing" test "$(grep -c '^example.org/app' "$T/said")" = 0
# As Go finds it by itself.
cp "$T/default.pgo" default.pgo
expect "default.pgo beside main" go build -v -o app .
expect "is used without a flag" grep -q 'build	-pgo=.*default.pgo' <(go version -m app)
# Another one.
"$PGO" merge -q "$T/cpu.pprof" "$T/copy" -o "$T/both.pb.gz" >/dev/null &&
	"$PGO" convert -q "$T/both.pb.gz" --binary recorded --go default.pgo >/dev/null || exit 1
cmp -s default.pgo "$T/copy" && echo "the two profiles are one" && bad=$((bad + 1))
expect "another profile builds" again
expect "and compiles" grep -q '^example.org/app' "$T/said"
operate_end
