#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo merge --redact*, --min-hosts and pgo check-redaction: what is hidden, that it is proved, and the exit codes.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}
code() {
	local want=$1 got=0
	shift
	timeout 60 "$@" >"$T/stdout" 2>"$T/stderr" </dev/null || got=$?
	[ "$got" = "$want" ] && ok || { no "$*: exit $got, want $want"; sed 's/^/    /' "$T/stderr"; }
}
says() {
	grep -qE -- "$1" "$T/${2:-stderr}" && ok || { no "no /$1/ in:"; sed 's/^/    /' "$T/${2:-stderr}"; }
}
# holds FILE TEXT, lacks FILE TEXT: of the bytes of the profile
holds() {
	gzip -dc "$1" | grep -qaF -- "$2" && ok || no "$1 lacks $2"
}
lacks() {
	gzip -dc "$1" | grep -qaF -- "$2" && no "$1 holds $2" || ok
}

for i in 1 2 3; do
	python3 tests/lib/mkpprof.py "$T/$i.pb.gz" <<TEXT
main;acme_pay;hash $i host=web-$i zone=east
main;parse;hash 4 host=web-$i zone=west
main;only_$i 1 host=web-$i
TEXT
done
in=("$T"/[123].pb.gz)
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$T/key")
printf 'deny acme_*\n# the rest may be seen\n' >"$T/rules"

# all names, by a key: the parts redacted one by one are the whole redacted
code 0 "$PGO" merge "${in[@]}" --redact-key "$T/key" -o "$T/all.pb.gz"
says '6 of 6 functions|7 of 7 functions|found clean' stdout
for name in main acme parse hash only web-1 zone; do
	lacks "$T/all.pb.gz" $name
done
for i in 1 2 3; do
	code 0 "$PGO" merge -q "$T/$i.pb.gz" --redact-key "$T/key" -o "$T/part$i.pb.gz"
done
code 0 "$PGO" merge -q "$T"/part[123].pb.gz -o "$T/parts.pb.gz"
cmp -s "$T/all.pb.gz" "$T/parts.pb.gz" && ok || no "redacted parts do not merge to the redacted whole"
code 0 "$PGO" check-redaction --redact-key "$T/key" "$T/all.pb.gz" "$T/parts.pb.gz"
says 'all.pb.gz: clean' stdout
code 11 "$PGO" check-redaction --redact-key "$T/key" "$T/all.pb.gz" "$T/1.pb.gz"
says '1.pb.gz: the function "acme_pay"' stdout
says '1.pb.gz: NOT clean' stdout
code 11 "$PGO" check-redaction -q --redact "$T/1.pb.gz"
[ ! -s "$T/stdout" ] && ok || no "-q is not quiet"
code 11 "$PGO" check-redaction --json --redact "$T/1.pb.gz"
python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(d[0]["clean"] or len(d[0]["findings"]) < 5)' "$T/stdout" && ok || no "the JSON does not say what was found"

# some names, by rules; labels only by name
code 0 "$PGO" merge "${in[@]}" --redact-names "$T/rules" -o "$T/some.pb.gz" --json
says '"functions_hidden": *1,' stdout
lacks "$T/some.pb.gz" acme
holds "$T/some.pb.gz" parse
holds "$T/some.pb.gz" '[hidden]'
lacks "$T/some.pb.gz" zone
code 0 "$PGO" merge -q "${in[@]}" --redact-deny '~pay|^web-2$' --tag-keep zone,host -o "$T/labels.pb.gz"
holds "$T/labels.pb.gz" zone
holds "$T/labels.pb.gz" web-1
lacks "$T/labels.pb.gz" web-2
code 0 "$PGO" check-redaction --redact-deny '~pay|^web-2$' --tag-keep zone,host "$T/labels.pb.gz"
code 11 "$PGO" check-redaction --redact-deny '~pay|^web-2$' --tag-keep zone "$T/labels.pb.gz"
code 0 "$PGO" merge -q "${in[@]}" --redact-allow 'ma*' --redact-allow parse -o "$T/allow.pb.gz"
lacks "$T/allow.pb.gz" hash
holds "$T/allow.pb.gz" parse

# functions of few hosts, for any number of threads
for threads in 1 2 3; do
	PGO_THREADS=$threads code 0 "$PGO" merge -q "${in[@]}" --min-hosts 3 -o "$T/rare$threads.pb.gz"
	lacks "$T/rare$threads.pb.gz" only_
	holds "$T/rare$threads.pb.gz" acme_pay
	holds "$T/rare$threads.pb.gz" '[rare]'
	cmp -s "$T/rare1.pb.gz" "$T/rare$threads.pb.gz" && ok || no "$threads threads redact otherwise"
done
code 0 "$PGO" merge -q "${in[@]}" --min-hosts 4 -o "$T/none.pb.gz"
lacks "$T/none.pb.gz" main

# digests and days of the inputs may stay, and are no reason to refuse the output
code 0 "$PGO" merge -q "${in[@]}" --redact --manifest "$T/manifest" -o "$T/origins.pb.gz"
code 0 "$PGO" check-redaction --redact "$T/origins.pb.gz"

# what cannot be meant, and what cannot be trusted
code 2 "$PGO" merge "${in[@]}" --redact --keep-labels -o "$T/x"
says 'tag-keep'
code 2 "$PGO" merge "${in[@]}" --redact --redact-deny x -o "$T/x"
code 2 "$PGO" merge "${in[@]}" --min-hosts 65 -o "$T/x"
code 2 "$PGO" merge "${in[@]}" --redact-deny '~(' -o "$T/x"
chmod 644 "$T/key"
code 2 "$PGO" merge "${in[@]}" --redact-key "$T/key" -o "$T/x"
says 'mode 644'
code 2 "$PGO" check-redaction "$T/all.pb.gz"
code 3 "$PGO" check-redaction --redact "$T/rules"
[ ! -e "$T/x" ] && ok || no "a refused merge wrote something"

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ]
