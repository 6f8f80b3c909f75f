#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Go: the flag, and default.pgo beside the main package, with a profile that the program made of itself.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin go
unset CC
export GOFLAGS=-mod=mod GOCACHE=$T/cache GOTOOLCHAIN=local GO111MODULE=on HOME=$T
mkdir "$T/g"
printf 'module example.org/app\n\ngo 1.21\n' >"$T/g/go.mod"
cat >"$T/g/main.go" <<'G'
package main

import (
	"fmt"
	"os"
	"runtime/pprof"
	"time"
)

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

func main() {
	var sum uint64
	if len(os.Args) > 1 {
		f, _ := os.Create(os.Args[1])
		pprof.StartCPUProfile(f)
		// In time of the processor, not of the clock: the machine may be busy.
		for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && sum%1000003 != 7; {
			for i := uint64(0); i < 30000000; i++ {
				sum += mix(sum, i)
			}
			if len(os.Args) > 2 {
				break
			}
			os.Args = append(os.Args, "again")
		}
		pprof.StopCPUProfile()
		f.Close()
		return
	}
	for i := uint64(0); i < 1000; i++ {
		sum += mix(sum, i)
	}
	fmt.Println(sum)
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
./app >"$T/want" || exit 1
./app "$T/cpu.pprof" || exit 1
expect "pgo makes its profile" "$PGO" convert "$T/cpu.pprof" --binary app --go "$T/default.pgo"
expect "with one it builds" build --require any
expect "by that profile" grep -q "build	-pgo=$T/default.pgo" <(go version -m app)
expect "the package was compiled" grep -q '^example.org/app' "$T/said"
expect "it does the same" cmp <(./app) "$T/want"
cp "$T/default.pgo" "$T/copy" && rm "$T/default.pgo" && cp "$T/copy" "$T/default.pgo" && touch -d 2030-01-01 "$T/default.pgo"
expect "an equal profile builds" build
expect "and compiles nothing" test "$(grep -c '^example.org/app' "$T/said")" = 0
# As Go finds it by itself.
cp "$T/default.pgo" default.pgo
expect "default.pgo beside main" go build -v -o app .
expect "is used without a flag" grep -q 'build	-pgo=.*default.pgo' <(go version -m app)
./app "$T/cpu.pprof" && "$PGO" merge -q "$T/cpu.pprof" "$T/copy" -o "$T/both.pb.gz" >/dev/null && "$PGO" convert -q "$T/both.pb.gz" --binary app --go default.pgo >/dev/null
cmp -s default.pgo "$T/copy" || {
	expect "another profile builds" again
	expect "and compiles" grep -q '^example.org/app' "$T/said"
}
operate_end
