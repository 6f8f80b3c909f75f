# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the command-line tests share: a small program, its recordings, and one file of every kind that pgo reads.
# Sourced; made once under $B/fixture (by whichever test comes first) and never changed by a test.
#
#	. tests/lib/fixture.sh; fixture        # exits 77 with the reason where the emulator is missing
#
# Sets PGO (the program), FIX (the directory) with:
#	app, app.stripped, app.other       a program with debug information; without any; another program
#	app.perf, app.brstack, app.gperf   recordings of app
#	app.pb.gz, app.pb, plain.pb.gz     pprofs: branch records and samples, inflated, samples only
#	app.afdo, app.prof, app.proftext, app.profbin, app.fdata       what convert makes of app.perf

B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
FIX=$PWD/$B/fixture

fixture_build() {
	local new=$FIX cc=${CC:-gcc}
	rm -rf "$new" && mkdir -p "$new" || return 1
	$cc -O2 -g -Wl,--build-id -Wl,--emit-relocs -o "$new/app" tests/emu/sample.c || return 1
	$cc -O1 -g -DOTHER=1 -Wl,--build-id -o "$new/app.other" tests/emu/sample.c || return 1
	strip -o "$new/app.stripped" "$new/app" || return 1
	make -s B="$B" emu SAN= || return 1
	tests/emu/record.sh -e branches -p 997 -o "$new/app.ring" -- "$new/app" >"$new/app.out" || return 1
	local mkperf=$B/emu/mkperf
	"$mkperf" -o "$new/app.perf" --host web-1 --start-time 1790000000 --max-samples 3000 "$new/app.ring" || return 1
	"$mkperf" -o "$new/plain.perf" --mode ip --host web-1 --start-time 1790000000 --max-samples 3000 "$new/app.ring" || return 1
	"$mkperf" --text -o "$new/app.brstack" --max-samples 300 "$new/app.ring" || return 1
	fixture_gperf "$new/app.gperf" || return 1
	"$PGO" import "$new/app.perf" --host web-1 --service app -o "$new/import" >/dev/null || return 1
	cp "$new"/import/*app*.pb.gz "$new/app.pb.gz" 2>/dev/null || cp "$new"/import/*.pb.gz "$new/app.pb.gz" || return 1
	gzip -dc "$new/app.pb.gz" >"$new/app.pb" || return 1
	"$PGO" import "$new/plain.perf" --host web-1 --service app -o "$new/import.plain" >/dev/null || return 1
	cp "$new"/import.plain/*.pb.gz "$new/plain.pb.gz" || return 1
	"$PGO" convert "$new/app.perf" --binary "$new/app" --gcc "$new/app.afdo" --clang "$new/app.prof" --bolt "$new/app.fdata" >/dev/null || return 1
	"$PGO" convert "$new/app.perf" --binary "$new/app" --clang "$new/app.proftext" --clang-format text >/dev/null || return 1
	"$PGO" convert "$new/app.perf" --binary "$new/app" --clang "$new/app.profbin" --clang-format binary >/dev/null || return 1
	touch "$new/.made"
}

# A gperftools CPU profile by hand: header, three records, trailer, map.
fixture_gperf() {
	python3 - "$1" <<-'PY'
		import struct, sys
		words = [0, 3, 0, 10000, 0]
		words += [5, 2, 0x401136, 0x401160, 3, 1, 0x401140, 2, 2, 0x401150, 0x401160]
		words += [0, 1, 0]
		maps = "00400000-00500000 r-xp 00000000 08:01 1 /usr/bin/app\n"
		open(sys.argv[1], "wb").write(struct.pack("<%dQ" % len(words), *words) + maps.encode())
	PY
}

fixture() {
	tests/emu/have_plugins.sh || exit 77
	[ "$(uname -m)" = x86_64 ] || { echo "the emulator's sample program runs on x86-64"; exit 77; }
	mkdir -p "$B"
	(
		flock 9
		if [ ! -e "$FIX/.made" ] || [ "$PGO" -nt "$FIX/.made" ]; then
			fixture_build >"$B/fixture.log" 2>&1 || { cat "$B/fixture.log"; echo "the fixture could not be made"; exit 1; }
		fi
	) 9>"$B/fixture.lock" || exit 1
}

# A failing command must: leave with `code`, say one sentence that matches `regex` on stderr, and say nothing on stdout.
#	fails CODE REGEX COMMAND...
fails() {
	local want=$1 regex=$2 code=0 lines
	shift 2
	timeout 180 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	lines=$(grep -cv -e ': warning: ' -e ': note: ' "$T/stderr")
	if [ "$code" != "$want" ]; then
		echo "FAIL: $*: exit $code, want $want"; sed 's/^/    /' "$T/stderr"; bad=$((bad + 1))
	elif ! grep -qE -- "$regex" "$T/stderr"; then
		echo "FAIL: $*: message does not match /$regex/:"; sed 's/^/    /' "$T/stderr"; bad=$((bad + 1))
	elif [ "$lines" != 1 ]; then
		echo "FAIL: $*: $lines lines of error, want one sentence:"; sed 's/^/    /' "$T/stderr"; bad=$((bad + 1))
	else
		good=$((good + 1))
	fi
}

# The counts of a test script, and its exit.
finish() {
	echo "$good checks passed, $bad failed"
	[ "$bad" = 0 ] && [ "$good" -gt 0 ]
}
