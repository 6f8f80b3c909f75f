#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Input that is wrong in a way users meet: a sentence that names the thing, the exit code, and nothing overwritten.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
echo keep >"$T/out"

# wrong kind
printf 'hello, this is no profile\n' >"$T/text"
head -c 5000 /dev/urandom >"$T/noise"
: >"$T/empty"
mkdir "$T/dir"
for cmd in merge "convert --binary $FIX/app --bolt"; do
	o=${cmd%% *}
	[ "$o" = merge ] && tail="-o $T/out" || tail="--binary $FIX/app --bolt $T/out"
	# shellcheck disable=SC2086
	for f in text noise; do fails 3 "$T/$f" "$PGO" "$o" "$T/$f" $tail; done
	# shellcheck disable=SC2086
	fails 3 "$T/empty.*empty" "$PGO" "$o" "$T/empty" $tail
	# shellcheck disable=SC2086
	fails 3 "$T/nowhere.*No such file" "$PGO" "$o" "$T/nowhere" $tail
done
fails 3 'empty' "$PGO" show "$T/empty"
fails 3 "$T/dir" "$PGO" show "$T/dir"
fails 3 "$T/text" "$PGO" import "$T/text" -o "$T/imported"

# wrong version: a perf.data of the first format, an .afdo of the future
printf 'PERFFILE%0100d' 0 >"$T/perf1"
fails 3 "$T/perf1" "$PGO" import "$T/perf1" -o "$T/imported"
{ head -c 4 "$FIX/app.afdo"; printf '\143\000\000\000'; tail -c +9 "$FIX/app.afdo"; } >"$T/future.afdo"
fails 3 'version 99' "$PGO" show "$T/future.afdo"

# wrong build-id, no debug information, no branch records asked as such
fails 3 'build-id' "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app.other" --bolt "$T/out"
fails 3 'debug information' "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app.stripped" --gcc "$T/out"
fails 3 "$T/text" "$PGO" convert "$FIX/app.pb.gz" --binary "$T/text" --bolt "$T/out"
fails 3 "No such file" "$PGO" convert "$FIX/app.pb.gz" --binary "$T/nowhere" --bolt "$T/out"

# usage
fails 2 'binary' "$PGO" convert "$FIX/app.pb.gz" --bolt "$T/out"
fails 2 '--' "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app"
fails 2 'convret|convert' "$PGO" convret
fails 2 'half-life' "$PGO" merge --half-live 7d "$FIX/app.pb.gz" -o "$T/out"
fails 2 'half-life' "$PGO" merge --half-life soon "$FIX/app.pb.gz" -o "$T/out"
fails 2 "$T/nowhere.conf" "$PGO" run -c "$T/nowhere.conf"

# bombs and hostile messages
python3 - "$T" <<'PY'
import gzip, struct, sys
t = sys.argv[1]
def varint(n):
    out = b""
    while True:
        out += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if n == 0:
            return out
def field(no, body):
    return varint(no << 3 | 2) + varint(len(body)) + body
head = field(1, b"\x08\x01\x10\x02")
strings = field(6, b"") + field(6, b"samples") + field(6, b"count")
open(t + "/claims-4g", "wb").write(head + varint(2 << 3 | 2) + varint(1 << 32))
open(t + "/claims-2e63", "wb").write(head + varint(2 << 3 | 2) + varint((1 << 64) - 1))
open(t + "/varint-11", "wb").write(head + b"\x48" + b"\xff" * 11)
open(t + "/nested", "wb").write(head + field(2, field(3, field(3, b"\xff" * 50))) + strings)
open(t + "/no-strings", "wb").write(head + field(2, b"\x10\x05"))
open(t + "/bad-location", "wb").write(head + field(2, b"\x08\x4d\x10\x05") + strings)
open(t + "/values", "wb").write(head + field(2, b"\x10\x05\x10\x05\x10\x05") + strings)
open(t + "/twice", "wb").write((head + field(9, b"") + b"\x48\x01" + strings) * 2)
with gzip.open(t + "/many-strings.gz", "wb", 9) as f:
    f.write(head)
    for i in range(200):
        f.write(b"\x32\x00" * 500000)
with open(t + "/bomb.gz", "wb") as f:
    # 20 GiB of zeros from members of 64 MiB
    member = gzip.compress(bytes(64 << 20), 9)
    f.write(gzip.compress(head) + member * 320)
PY
for f in claims-4g claims-2e63 varint-11 nested no-strings bad-location values twice; do
	fails 3 "$T/$f" "$PGO" merge "$T/$f" -o "$T/out"
done
fails 3 "$T/bomb.gz" "$PGO" merge "$T/bomb.gz" -o "$T/out"
# A profile in order, but without a single sample: nothing to use, which has an exit code of its own.
fails 20 "would be empty" "$PGO" merge "$T/many-strings.gz" -o "$T/out"

# places that cannot be written
fails 3 'No space left' "$PGO" merge "$FIX/app.pb.gz" -o /dev/full
fails 3 'No space left' "$PGO" convert "$FIX/app.pb.gz" --binary "$FIX/app" --gcc /dev/full
fails 3 "$T/none/out" "$PGO" merge "$FIX/app.pb.gz" -o "$T/none/out"
fails 3 "$T/dir" "$PGO" merge "$FIX/app.pb.gz" -o "$T/dir"
if "$PGO" show "$FIX/app.pb.gz" >/dev/full 2>"$T/stderr"; then
	echo "FAIL: show to a full disk exits 0"; bad=$((bad + 1))
else
	good=$((good + 1))
fi
# As nobody: root may read and write everything.
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
chmod 755 "$T"
if [ "$(id -u)" = 0 ] && as_nobody test -x "$PGO" && as_nobody test -r "$FIX/app.pb.gz"; then
	cp "$FIX/app.pb.gz" "$T/secret" && chmod 600 "$T/secret"
	mkdir -m 777 "$T/open" && echo keep >"$T/open/out" && mkdir -m 555 "$T/closed" && echo keep >"$T/closed/out"
	# the harness itself stays root; only pgo runs as nobody
	fails 3 "$T/secret.*Permission denied" setpriv --reuid=65534 --regid=65534 --clear-groups "$PGO" merge "$T/secret" -o "$T/open/out"
	fails 3 "$T/closed.*Permission denied" setpriv --reuid=65534 --regid=65534 --clear-groups "$PGO" merge "$FIX/app.pb.gz" -o "$T/closed/out"
fi

for f in "$T/out" "$T"/open/out "$T"/closed/out; do
	[ ! -e "$f" ] && continue
	if [ "$(cat "$f")" = keep ]; then good=$((good + 1)); else echo "FAIL: $f was overwritten"; bad=$((bad + 1)); fi
done
left=$(find "$T" -name '*.tmp' | wc -l)
if [ "$left" = 0 ]; then good=$((good + 1)); else echo "FAIL: $left temporary files left"; bad=$((bad + 1)); fi
finish
