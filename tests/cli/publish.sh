#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo publish and pgo get over a directory: what arrives is what was published, an index is switched last, a store that
# is away, damaged or forged leaves what is there; signatures; exit codes.
set -u
B=${B:-build}
PGO=$(realpath "${PGO:-$B/pgo}")
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
. tests/lib/fixture.sh
cd "$T" || exit 1
export PGO_NOW=2026-11-21T12:00:00Z

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
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
sha() {
	sha256sum <"$1" | cut -c1-64
}

cat >pgo.conf <<'C'
state = "state"
target "app" {
	sources = {"store"}
	binary = "app"
	gcc = "out/app.afdo"
	clang = "out/app.prof"
	last_good_ttl = "10d"
}
target "empty" {
	sources = {"store"}
	binary = "app"
	gcc = "out/empty.afdo"
}
C
# result ID TEXT: one of format 2, in use
result() {
	local d=state/app/published/$1
	mkdir -p "$d"
	printf 'afdo %s' "$2" >"$d/app.afdo"
	printf 'prof %s' "$2" >"$d/app.prof"
	printf 'merged %s' "$2" >"$d/merged.pb.gz"
	echo '{}' >"$d/gates.json"
	printf '{"schema":2,"kind":"manifest","outputs":[{"kind":"gcc","path":"out/app.afdo","file":"app.afdo","sha256":"%s"},{"kind":"clang","path":"out/app.prof","file":"app.prof","sha256":"%s"}]}' \
		"$(sha "$d/app.afdo")" "$(sha "$d/app.prof")" >"$d/manifest.json"
	echo 2 >state/app/format
	ln -sfn "published/$1" state/app/last-good
}

# Nothing yet.
exits 20 "$PGO" publish -c pgo.conf place
fails 20 'no published result yet' "$PGO" publish -c pgo.conf app place
check "and nothing was put" test ! -e place/app/index.json
mkdir place
fails 20 'nothing is published' "$PGO" get place/app -o here
check "nothing is made" test ! -e here
exits 0 "$PGO" get place/app -o here --require none
fails 20 'there is no profile in here' "$PGO" get place/app -o here --require any

# One release, there and back.
result 20261120-0123456789ab one
exits 0 "$PGO" publish -c pgo.conf place
check "the index and the objects" test "$(find place -type f | wc -l)" = 6
for f in place/app/objects/*; do check "$f is what its name says" test "$(sha "$f")" = "${f##*/}"; done
exits 10 "$PGO" publish -c pgo.conf app place
exits 0 "$PGO" get place/app -o here
for f in app.afdo app.prof manifest.json gates.json; do check "$f is the published one" cmp "here/$f" "state/app/last-good/$f"; done
check "merged profiles stay at home" test ! -e here/merged.pb.gz
exits 10 "$PGO" get place/app -o here
exits 0 "$PGO" get place/app -o here --require fresh
check "no path of this machine" test -z "$(grep -r "$T" place here)"
cp here/release.json one.json

# Another one: only what is new comes, and the old release can still be read whole.
result 20261121-aaaaaaaaaaaa two
cp state/app/published/20261120-0123456789ab/app.prof state/app/last-good/app.prof
sed -i "s/\"sha256\":\"[0-9a-f]*\"}\]/\"sha256\":\"$(sha state/app/last-good/app.prof)\"}]/" state/app/last-good/manifest.json
exits 0 "$PGO" publish -c pgo.conf --merged --json app place
check "JSON tells what was there before" grep -q '"present": 2' stdout
exits 0 "$PGO" get place/app -o here --json
check "what was here did not come again" grep -q '"files": 3' stdout
check "the merged profile on request" cmp here/merged.pb.gz state/app/last-good/merged.pb.gz
exits 0 "$PGO" publish -c pgo.conf app/20261120-0123456789ab place
exits 0 "$PGO" get place/app -o here
check "a former result by its id" grep -q 'afdo one' here/app.afdo
check "what the release does not name goes" test ! -e here/merged.pb.gz
check "the same result is the same release" cmp here/release.json one.json

# One file.
exits 0 "$PGO" get place/app --kind clang -o only.prof
check "it is that file" cmp only.prof here/app.prof
exits 10 "$PGO" get place/app --kind clang -o only.prof
fails 20 'no file of the kind' "$PGO" get place/app --kind bolt -o only.fdata

# Files changed here are got again; unfit ones of the store are not taken.
echo spoiled >here/app.prof
exits 0 "$PGO" get place/app -o here
check "whole again" cmp here/app.prof only.prof
before=$(cat here/*.* | sha256sum)
kept() {
	check "$1: what is here stays" test "$before" = "$(cat here/*.* | sha256sum)"
}
result 20261121-bbbbbbbbbbbb three
exits 0 "$PGO" publish -c pgo.conf app place
object=place/app/objects/$(sha state/app/last-good/app.afdo)
cp "$object" whole && echo more >>"$object"
exits 10 "$PGO" get place/app -o here
check "it says which" grep -q 'is not what its name says' stderr
kept "a damaged object"
rm "$object"
exits 10 "$PGO" get place/app -o here
kept "a missing object"
exits 0 "$PGO" get place/app -o here --require any
fails 20 'there is no profile in there' "$PGO" get place/app -o there --require any
check "nothing of it was taken" test ! -e there/app.prof
# Published again, the object is whole again.
exits 10 "$PGO" publish -c pgo.conf app place
check "it was put" cmp "$object" whole
mv place away
exits 10 "$PGO" get place/app -o here
kept "a store that is away"
exits 3 "$PGO" get place/app -o there
exits 20 "$PGO" get place/app -o there --require fresh
exits 0 "$PGO" get place/app -o there --require none
mv away place
for text in '{}' '{"release":"../../../etc/passwd"}' 'garbage' "{\"release\":\"$(sha /dev/null)\"}"; do
	cp place/app/index.json index.json
	echo "$text" >place/app/index.json
	exits 10 "$PGO" get place/app -o here
	kept "an index '$text'"
	cp index.json place/app/index.json
done
# forged NAME SED: a release whose document was changed, with digests that fit
forged() {
	local release digest
	cp place/app/index.json index.json
	release=$(sed -n 's/.*"release": "\([0-9a-f]*\)".*/\1/p' place/app/index.json)
	sed "$2" "place/app/objects/$release" >doc && digest=$(sha doc) && cp doc "place/app/objects/$digest"
	sed -i "s/$release/$digest/" place/app/index.json
	exits 10 "$PGO" get place/app -o here
	kept "$1"
	check "$1 says why" test -s stderr
	cp index.json place/app/index.json
}
forged "a name that leads out" 's|"name": "app.afdo"|"name": "../out"|'
forged "a hidden name" 's|"name": "app.afdo"|"name": ".bashrc"|'
forged "its own name" 's|"name": "app.afdo"|"name": "release.json"|'
forged "a digest that is none" 's|"sha256": "[0-9a-f]*"|"sha256": "abc"|'
forged "another schema" 's|"schema": 1|"schema": 99|'
forged "a wrong size" 's|"bytes": [0-9]*|"bytes": 1|'
check "nothing came out" test ! -e out

# Age.
exits 0 "$PGO" get place/app -o here
PGO_NOW=2027-01-10T00:00:00Z fails 20 'days old, which is not fresh' "$PGO" get place/app -o here --require fresh
PGO_NOW=2027-01-10T00:00:00Z exits 0 "$PGO" get place/app -o here --require any

# pgo flags reads what came.
gcc=$(command -v gcc)
fails 20 'does not take the profile here/app.afdo' "$PGO" flags --compiler "$gcc" -p here --require any

# Signatures, by any program.
cat >sign <<'S'
#!/bin/sh
{ cat key; cat "$1"; } | sha256sum | cut -c1-64 >"$2"
S
cat >verify <<'S'
#!/bin/sh
{ cat key; cat "$1"; } | sha256sum | cut -c1-64 | cmp -s - "$2" || { echo "not ours"; exit 1; }
S
chmod +x sign verify
echo secret >key
verified=("$PGO" get place/app -o signed --verify-with './verify {file} {signature}')
fails 3 'no usable signature' "${verified[@]}"
exits 0 "$PGO" publish -c pgo.conf app place --sign-with './sign {file} {signature}'
exits 0 "${verified[@]}"
exits 10 "${verified[@]}"
echo other >key
fails 3 'the signature is not good.*not ours' "${verified[@]}"
fails 3 'the signature is not good' "${verified[@]}" --require none
check "what was there stays" test -s signed/app.afdo
result 20261121-eeeeeeeeeeee unsigned
fails 3 'did not sign' "$PGO" publish -c pgo.conf app place --sign-with false
fails 2 'left no signature' "$PGO" publish -c pgo.conf app place --sign-with true
fails 2 'cannot be run' "${verified[@]::5}" --verify-with 'no-such-program {file}'
if command -v openssl >/dev/null; then
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem 2>/dev/null && openssl pkey -in ec.pem -pubout -out ec.pub
	result 20261121-cccccccccccc four
	exits 0 "$PGO" publish -c pgo.conf app place --sign-with 'openssl dgst -sha256 -sign ec.pem -out {signature} {file}'
	exits 0 "$PGO" get place/app -o signed --verify-with 'openssl dgst -sha256 -verify ec.pub -signature {signature} {file}'
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | openssl pkey -pubout -out ec.pub
	result 20261121-dddddddddddd five
	exits 0 "$PGO" publish -c pgo.conf app place --sign-with 'openssl dgst -sha256 -sign ec.pem -out {signature} {file}'
	fails 3 'the signature is not good' "$PGO" get place/app -o signed --verify-with 'openssl dgst -sha256 -verify ec.pub -signature {signature} {file}'
	check "the one before stays" grep -q 'afdo four' signed/app.afdo
fi

# Usage.
fails 2 'say where to publish' "$PGO" publish -c pgo.conf
fails 2 "no target 'web'" "$PGO" publish -c pgo.conf web place
fails 2 'say from where' "$PGO" get -o here
fails 2 'say where to' "$PGO" get place/app
fails 2 'is not known' "$PGO" get place/app -o here --require all
fails 2 'publishing knows' "$PGO" get parca://x/app -o here
fails 2 'plain prefix' "$PGO" publish -c pgo.conf app 's3://bucket/{host}/'
finish
