#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# OTLP profiles as OpenTelemetry's own code writes them: its Python classes in three revisions of the messages (from
# PyPI), and the Collector's Go encoder (a Go module).  What comes out as pprof is decoded by protobuf and compared, sample
# by sample, with what was put in.
#
# Exit 0: agreed; 77: the packages cannot be had; 1: they differ.
set -u
B=${B:-build}
PGO=$PWD/$B/pgo
MAKE=$PWD/tests/interop/otlp_make.py
T=$(mktemp -d) && trap 'chmod -R u+w "$T"; rm -rf "$T"' EXIT
KEEP=$PWD/$B/otlp-packages # packages, from one run to the next
good=0 bad=0

if ! python3 -m pip --version >/dev/null 2>&1; then
	echo "python3-pip is not installed"
	exit 77
fi
# package VERSION: OpenTelemetry's classes of that version in $KEEP/VERSION, whole or not at all.
package() {
	[ -e "$KEEP/$1" ] && return
	mkdir -p "$KEEP" && rm -rf "$KEEP/$1.part"
	timeout 200 python3 -m pip install -q --disable-pip-version-check --target "$KEEP/$1.part" \
		"opentelemetry-proto==$1" "protobuf<7.99" >"$T/pip" 2>&1 && mv "$KEEP/$1.part" "$KEEP/$1"
}

# check NAME FILE EXPECTED: imported, the file is what was expected.
check() {
	rm -rf "$T/out"
	if "$PGO" import "$2" -o "$T/out" >"$T/log" 2>&1 && [ "$(PYTHONPATH=$KEEP/$newest python3 "$MAKE" read "$T"/out/* |
		tee "$T/got" | sha256sum)" = "$(sha256sum <"$3")" ]; then
		good=$((good + 1))
	else
		bad=$((bad + 1))
		echo "FAILED: $1"
		tail -n 5 "$T/log"
		diff "$T/got" "$3" | head -n 8
	fi
}

newest=1.45.2
for version in $newest 1.42.0 1.37.0; do
	if ! package "$version"; then
		echo "opentelemetry-proto $version cannot be had: $(tail -n 1 "$T/pip")"
		exit 77
	fi
	mkdir "$T/$version"
	if ! PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python PYTHONPATH=$KEEP/$version python3 "$MAKE" write "$T/$version" 2>"$T/log"; then
		echo "opentelemetry-proto $version does not work here: $(tail -n 1 "$T/log")"
		exit 77
	fi
	for file in "$T/$version"/*otlp* "$T/$version"/*.json; do
		[ ! -e "$file" ] || check "$version ${file##*/}" "$file" "$T/$version/expected"
	done
done
zstd -q "$T/$newest/whole.json" -o "$T/whole.zst" && check "zstd" "$T/whole.zst" "$T/$newest/expected"

# Branch records: OTLP has one sample type a profile, so a recording is taken apart, and must be whole again.
# shellcheck source=tests/lib/fixture.sh
. tests/lib/fixture.sh
branches() {
	fixture
	cp "$FIX/app.pb.gz" "$T/web-1-app-20010909.pb.gz" || return 1
	export PYTHONPATH=$KEEP/$newest
	python3 "$MAKE" split "$T/web-1-app-20010909.pb.gz" "$T/split.otlp" || return 1
	python3 "$MAKE" read "$T/web-1-app-20010909.pb.gz" >"$T/unsplit"
	grep -q "|lbr_traces/count|" "$T/unsplit"
}
if why=$(branches); then
	check "branch records" "$T/split.otlp" "$T/unsplit"
	"$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" --clang "$T/a.prof" --clang-format text >/dev/null 2>&1
	"$PGO" convert "$T/split.otlp" --binary "$FIX/app" --clang "$T/b.prof" --clang-format text >/dev/null 2>&1
	if cmp -s "$T/a.prof" "$T/b.prof"; then good=$((good + 1)); else bad=$((bad + 1)) && echo "FAILED: what convert makes of it differs"; fi
else
	echo "left out: branch records: $why"
fi

# The other ways in: a store, and merging with everything else.
mkdir "$T/store" && cp "$T/$newest/framed.otlp" "$T/store/" && cp "$T/$newest/whole.json" "$T/store/"
if "$PGO" fetch "$T/store" -o "$T/fetched" >"$T/log" 2>&1 &&
	"$PGO" merge "$T/$newest/whole.otlp" -o "$T/merged.pb.gz" >"$T/log" 2>&1 &&
	"$PGO" show "$T/$newest/whole.otlp" >"$T/log" 2>&1 && [ "$(find "$T/fetched/objects" -type f | wc -l)" = 2 ]; then
	good=$((good + 1))
else
	bad=$((bad + 1))
	echo "FAILED: fetch, merge and show"
	cat "$T/log"
fi

# The Collector's encoder reads what Python wrote, and writes it in both forms, with lengths as its file exporter does.
collector() {
	command -v go >/dev/null 2>&1 || { echo "go is not installed"; return 1; }
	mkdir "$T/go" && cd "$T/go" || return 1
	cat >go.mod <<-'EOF'
		module otlp.test/again

		go 1.25.0

		require go.opentelemetry.io/collector/pdata/pprofile v0.164.0
	EOF
	cat >main.go <<-'EOF'
		package main

		import (
			"encoding/binary"
			"os"

			"go.opentelemetry.io/collector/pdata/pprofile"
		)

		func main() {
			in, err := os.ReadFile(os.Args[1])
			if err != nil {
				panic(err)
			}
			p, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(in)
			if err != nil {
				panic(err)
			}
			json, err := (&pprofile.JSONMarshaler{}).MarshalProfiles(p)
			if err != nil {
				panic(err)
			}
			proto, err := (&pprofile.ProtoMarshaler{}).MarshalProfiles(p)
			if err != nil {
				panic(err)
			}
			os.WriteFile("go.json", append(json, '\n'), 0o666)
			os.WriteFile("go.otlp", proto, 0o666)
			os.WriteFile("go.framed", append(binary.BigEndian.AppendUint32(nil, uint32(len(proto))), proto...), 0o666)
		}
	EOF
	GOFLAGS=-mod=mod timeout 300 go build -o again . >"$T/gobuild" 2>&1 || {
		echo "the Collector's encoder cannot be built: $(tail -n 1 "$T/gobuild")"
		return 1
	}
	./again "$T/$newest/whole.otlp" || return 1
}
if why=$(collector); then
	for file in go.json go.otlp go.framed; do
		check "the Collector's $file" "$T/go/$file" "$T/$newest/expected"
	done
else
	echo "left out: $why"
fi
echo "$good comparisons agreed, $bad failed"
[ "$bad" -eq 0 ]
