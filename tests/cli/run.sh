#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The pipeline from a configuration: new, unchanged, damaged, nothing to do, broken; and what it leaves behind each time.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
# exits CODE COMMAND...
exits() {
	local want=$1 code=0
	shift
	timeout 120 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || code=$?
	if [ "$code" = "$want" ]; then
		good=$((good + 1))
	else
		echo "FAIL: $*: exit $code, want $want"; sed 's/^/    /' "$T/stdout" "$T/stderr"; bad=$((bad + 1))
	fi
}

export PGO_NOW=2026-11-20T12:00:00Z
mkdir "$T/store" "$T/bin" "$T/elsewhere"
cp "$FIX/app" "$T/bin/app"
n=0
for host in web-1 web-2; do
	for day in 18 19; do
		n=$((n + 1))
		"$B/emu/mkperf" -o "$T/$n.perf" --host $host --aslr $n --max-samples 400 "$FIX/app.ring" || exit 1
		"$PGO" import "$T/$n.perf" --host $host --service app --time 2026-11-${day}T10:00:00Z --binary "$FIX/app" -o "$T/store" >/dev/null || exit 1
	done
done
cat >"$T/pgo.conf" <<'C'
state = "state"
target "app" {
	sources = {"store"}
	select = {"service=\"app\""}
	since = "14d"
	binary = "bin/app"
	gcc = "out.afdo"
	gcc_release = 12
	clang = "out.prof"
	bolt = "out.fdata"
	gates { hosts = "5/1" dominance = "95/100" acceptance = "off" }
}
C

# A dry run says what would be done and does nothing.
exits 0 "$PGO" run -c "$T/pgo.conf" --dry-run
check "the plan names target, program and outputs" grep -q "out.afdo" "$T/stdout"
check "and when it is published" grep -q 'publish  if the gates pass (hosts=5/1,.*42 days' "$T/stdout"
check "a dry run writes nothing" test ! -e "$T/state"

# Started from another directory: paths are the configuration's.
(cd "$T/elsewhere" && exits 0 "$PGO" run -c ../pgo.conf; echo "$good $bad" >"$T/counts")
read -r good bad <"$T/counts"
for f in out.afdo out.prof out.fdata state/app/last-good/merged.pb.gz state/app/last-good/manifest.json; do check "$f is there" test -s "$T/$f"; done
check "the manifest holds four inputs" [ "$(grep -c '"weight"' "$T/state/app/last-good/manifest.json")" = 4 ]
sum=$(cd "$T" && sha256sum out.* state/app/last-good/*)

# The same again: nothing new, nothing touched.
touch -d 2020-01-01 "$T/out.afdo"
exits 10 "$PGO" run -c "$T/pgo.conf"
check "an unchanged run writes nothing" [ "$(stat -c %Y "$T/out.afdo")" = "$(date -d 2020-01-01 +%s)" ]

# Same inputs, same bytes, whatever the state was.
rm -rf "$T/state"
exits 0 "$PGO" run -c "$T/pgo.conf"
check "a cold run makes the same bytes" [ "$sum" = "$(cd "$T" && sha256sum out.* state/app/last-good/*)" ]

# An output that somebody damaged is made again; a damaged manifest is no obstacle.
echo spoiled >"$T/out.fdata"
exits 0 "$PGO" run -c "$T/pgo.conf"
check "it was copied, not computed" grep -q "1 outputs were missing or damaged" "$T/stdout"
echo '{' >"$T/state/app/last-good/manifest.json"
exits 0 "$PGO" run -c "$T/pgo.conf"
check "both are whole again" [ "$(grep -E ' out|merged' <<<"$sum")" = "$(cd "$T" && sha256sum out.* state/app/last-good/* | grep -E ' out|merged')" ]

# A new profile makes a new result.
"$PGO" import "$FIX/app.perf" --host web-3 --service app --time 2026-11-20T10:00:00Z --binary "$FIX/app" -o "$T/store" >/dev/null
exits 0 "$PGO" run -c "$T/pgo.conf"
check "the new profile is in the manifest" [ "$(grep -c '"weight"' "$T/state/app/last-good/manifest.json")" = 5 ]
sum=$(cd "$T" && sha256sum out.*)

# Profiles of an older build are carried over to a newer one, whose place is known; without that they are of no use.
mkdir "$T/newer" "$T/builds"
cp "$T/bin/app" "$T/builds/app-1.0"
sed '1i\/* A line more. */' tests/emu/sample.c >"$T/newer/sample.c"
${CC:-gcc} -O2 -g -Wl,--build-id=0x1234567890 -Wl,--emit-relocs -o "$T/newer/app" "$T/newer/sample.c"
sed 's|bin/app|newer/app|; s|"state"|"state2"|; s|out[.]|new.|; s|bolt = .*||' "$T/pgo.conf" >"$T/newer.conf"
exits 20 "$PGO" run -c "$T/newer.conf"
check "the reason is the other build" grep -q 'REFUSED .*build' "$T/stdout"
sed 's|binary = .*|&\n\tolder_builds = {"builds"}|' "$T/newer.conf" >"$T/carry.conf"
exits 0 "$PGO" run -c "$T/carry.conf"
for f in new out; do "$PGO" show --all "$T/$f.prof" | tail -n +3 >"$T/counts.$f"; done
check "an older build's counts are the newer one's" cmp "$T/counts.new" "$T/counts.out"
check "and there are some" [ "$(wc -l <"$T/counts.new")" -gt 50 ]

# A failure keeps the last good outputs: program gone, outputs in a place that cannot be written.
mv "$T/bin/app" "$T/bin/gone"
fails 3 'bin/app' "$PGO" run -c "$T/pgo.conf" --force
mv "$T/bin/gone" "$T/bin/app"
cp "$FIX/app.other" "$T/bin/app"
exits 11 "$PGO" run -c "$T/pgo.conf"
check "the builds are named" grep -qE 'build [0-9a-f]+.*stays in use' "$T/stdout"
cp "$FIX/app" "$T/bin/app"
check "failures left the outputs alone" [ "$sum" = "$(cd "$T" && sha256sum out.*)" ]

# Nothing selected.
sed 's/service=\\"app\\"/service=\\"other\\"/; s/"state"/"state-none"/' "$T/pgo.conf" >"$T/none.conf"
exits 20 "$PGO" run -c "$T/none.conf"
sed -i 's/"state-none"/"state"/' "$T/none.conf"
exits 10 "$PGO" run -c "$T/none.conf"
check "no profile leaves the outputs alone" [ "$sum" = "$(cd "$T" && sha256sum out.*)" ]

# Configurations that are wrong: file, line, and what to write instead.
bad_conf() {
	printf '%s\n' "$2" >"$T/bad.conf"
	fails 2 "$1" "$PGO" run -c "$T/bad.conf"
}
bad_conf 'bad.conf:2: .*sauces' "$(printf 'target "a" {\n\tsauces = {"x"}\n}')"
bad_conf 'bad.conf' 'target "a" {'
bad_conf 'sources' 'target "a" { binary = "x" gcc = "y" }'
bad_conf 'binary' 'target "a" { sources = {"x"} gcc = "y" }'
bad_conf 'output' 'target "a" { sources = {"x"} binary = "x" }'
bad_conf 'half_life' 'target "a" { sources = {"x"} binary = "x" gcc = "y" half_life = "soon" }'
bad_conf 'target' 'state = "x"'
bad_conf 'directory' 'target "../a" { sources = {"x"} binary = "x" gcc = "y" }'
one='target "a" { sources = {"x"} binary = "x" gcc = "y"'
bad_conf 'mapped.*much' "$one gates { mapped = \"much\" } }"
bad_conf 'bad.conf:1.*mapt' "$one gates { mapt = \"99/95\" } }"
bad_conf 'mapped' "$one gates { mapped = \"90/95\" } }"
bad_conf 'hysteresis is 2' "$one hysteresis = 2.0 }"
bad_conf 'require is "some"' "$one require = \"some\" }"
bad_conf 'last_good_ttl' "$one last_good_ttl = \"long\" }"
fails 2 "no target 'ap'" "$PGO" run -c "$T/pgo.conf" ap

# Two runs at once: one works, the other says so.
exec 8>"$T/state/app/lock"
flock 8
fails 3 'another run' "$PGO" run -c "$T/pgo.conf"
exec 8>&-
exits 10 "$PGO" run -c "$T/pgo.conf"

# Outputs of one base name, or of that of a file of the result's own, keep apart in it.
mkdir "$T/a" "$T/b"
sed 's/"state"/"state-names"/; s|out.afdo|a/same|; s|out.prof|b/same|; s|out.fdata|b/manifest.json|' "$T/pgo.conf" >"$T/names.conf"
exits 0 "$PGO" run -c "$T/names.conf"
check "the first has its name" cmp "$T/a/same" "$T/state-names/app/last-good/same"
check "the second has its kind, too" cmp "$T/b/same" "$T/state-names/app/last-good/clang-same"
check "the third as well" cmp "$T/b/manifest.json" "$T/state-names/app/last-good/bolt-manifest.json"
echo spoiled >"$T/b/same"
exits 0 "$PGO" run -c "$T/names.conf"
check "each is mended from its own" cmp "$T/b/same" "$T/state-names/app/last-good/clang-same"

# Of several targets the worst counts: 20 over 0, 0 over 10.
{
	sed 's/"state"/"state-several"/; s|out[.]|several.|' "$T/pgo.conf"
	sed '/^state/d; s/target "app"/target "none"/; s/service=\\"app\\"/service=\\"other\\"/; s|out[.]|none.|' "$T/pgo.conf"
} >"$T/several.conf"
exits 20 "$PGO" run -c "$T/several.conf"
exits 10 "$PGO" run -c "$T/several.conf" app
rm "$T/several.afdo"
exits 20 "$PGO" run -c "$T/several.conf" --json
check "each says how it went" python3 -c "import json,sys; r=json.load(open('$T/stdout')); sys.exit([(t['target'],t['exit']) for t in r] != [('app',0),('none',20)])"
exits 0 "$PGO" run -c "$T/several.conf" --require none

# How profiles are fetched: a sample of one for each host, labels, words that are wrong.
sed 's/state = "state"/state = "state-two"/; s/since = "14d"/since = "14d"\n\tmax_profiles = 2\n\tlabels = {"zone=a"}\n\ttypes = {"lbr_traces"}/' "$T/pgo.conf" >"$T/two.conf"
exits 0 "$PGO" run -c "$T/two.conf"
check "the sample is one of each host" [ "$(sed 's/.*"host":"\([^"]*\)".*/\1/' "$T/state-two/app/raw/manifest.jsonl" | sort -u | wc -l) $(wc -l <"$T/state-two/app/raw/manifest.jsonl")" = "2 2" ]
check "the label is there" grep -q '\["zone","a"\]' "$T/state-two/app/raw/manifest.jsonl"
sed 's/since = "14d"/parallel = 1000/' "$T/pgo.conf" >"$T/bad.conf"
exits 2 "$PGO" run -c "$T/bad.conf"
check "the word is named" grep -q "parallel is 1000" "$T/stderr"
sed 's/since = "14d"/types = {"no_such_type"}/; s/state = "state"/state = "state-three"/' "$T/pgo.conf" >"$T/none.conf"
exits 20 "$PGO" run -c "$T/none.conf"
finish
