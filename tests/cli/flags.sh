#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgo flags: what it prints is what compilers take, in each form; without a profile it prints nothing, unless one is
# required; files for builds change only when profile or flags do.
set -u
. tests/lib/fixture.sh
fixture
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0
unset CC

check() {
	if "${@:2}"; then good=$((good + 1)); else echo "FAIL: $1"; bad=$((bad + 1)); fi
}
# says CODE TEXT COMMAND...: exit code, and all of standard output
says() {
	local code=0 got
	got=$(timeout 120 "${@:3}" 2>"$T/stderr" </dev/null) || code=$?
	if [ "$code" = "$1" ] && [ "$got" = "$2" ]; then
		good=$((good + 1))
	else
		echo "FAIL: ${*:3}: exit $code, '$got'; want $1, '$2'"; sed 's/^/    /' "$T/stderr"; bad=$((bad + 1))
	fi
}
has() {
	case " $2 " in *" $1 "*) return 0 ;; esac
	echo "no $1 in: $2"
	return 1
}
flags() {
	timeout 120 "$PGO" flags "$@" 2>"$T/stderr"
}
text_of() {
	objdump -d --no-show-raw-insn "$1" | tail -n +4 | sha256sum
}

# The profiles of the fixture are for the gcc on the path.
gcc=$(command -v gcc) || { echo "gcc is not installed"; exit 77; }
clang=$(tests/tools.sh clang) || clang=

# ------------------------------------------------------------------ gcc

got=$(flags --compiler "$gcc" --stage record --bolt)
for f in -g -fno-reorder-blocks-and-partition -Wl,--build-id -Wl,--emit-relocs; do check "gcc is told $f" has "$f" "$got"; done
# shellcheck disable=SC2086 # words
check "and makes a program with them" "$gcc" -Werror -O2 $got -o "$T/app" tests/emu/sample.c
check "that keeps its relocations" grep -q '\.rela\.text' <(readelf -SW "$T/app")
got=$(flags --compiler "$gcc" -p "$FIX/app.afdo" --compile --own '-O2 -g')
check "debug information is the build's own" test "${got#-g}" = "$got" -o "${got#-gno}" != "$got"
check "the profile is there" has "-fauto-profile=$FIX/app.afdo" "$got"
# shellcheck disable=SC2086
"$gcc" -O2 -g $got -c -o "$T/with.o" tests/emu/sample.c && "$gcc" -O2 -g -c -o "$T/without.o" tests/emu/sample.c
check "and makes other code" test "$(text_of "$T/with.o")" != "$(text_of "$T/without.o")"
check "the directory of the profile is not in the program" test "$(grep -c "$FIX" "$T/with.o")" = 0
check "-g1 is enough where the build asks for nothing" has -g1 "$(flags --compiler "$gcc" -s record --own -O2)"
check "but not where nothing is known of it" has -g "$(flags --compiler "$gcc" -s record)"

# By any name, and in front of others.
mkdir "$T/bin"
ln -s "$(command -v "$gcc")" "$T/bin/cc"
printf '#!/bin/sh\nexec "$@"\n' >"$T/bin/wrapper" && chmod +x "$T/bin/wrapper"
want=$(flags --compiler "$gcc" -s record)
says 0 "$want" env PATH="$T/bin:$PATH" "$PGO" flags --stage record
says 0 "$want" env PATH="$T/bin:$PATH" CC='wrapper cc' "$PGO" flags --stage record
says 0 "$want" "$PGO" flags --compiler "'$T/bin/wrapper' \"$T/bin/cc\"" --stage record
# One that says it is gcc and is not; one that takes less than it should; one that dies of every profile.
cat >"$T/bin/icc" <<'S'
#!/bin/sh
case " $* " in *" -dM "*) echo '#define __GNUC__ 12'; echo '#define __INTEL_COMPILER 2021' ;; *) exit 1 ;; esac
S
cat >"$T/bin/old" <<S
#!/bin/sh
case " \$* " in *" -fno-reorder"*|*" -Wl,--emit-relocs "*) exit 1 ;; *" -fauto-profile="*) kill -SEGV \$\$ ;; esac
exec "$gcc" "\$@"
S
chmod +x "$T/bin/icc" "$T/bin/old"
says 0 '' "$PGO" flags --compiler "$T/bin/icc" --stage record
check "an unknown compiler is named" grep -q 'no compiler that pgo has flags for' "$T/stderr"
fails 20 'no compiler that pgo has flags for' "$PGO" flags --compiler "$T/bin/icc" -p "$FIX/app.afdo" --require any
fails 2 'cannot be run' "$PGO" flags --compiler "$T/no-such-cc" --stage record
says 0 '-g -Wl,--build-id' "$PGO" flags --compiler "$T/bin/old" --stage record --bolt -v
check "what was left out is told" grep -q 'fno-reorder-blocks-and-partition is left out' "$T/stderr"
says 0 '' "$PGO" flags --compiler "$T/bin/old" -p "$FIX/app.afdo"
check "and that the profile was refused" grep -q 'does not take the profile' "$T/stderr"
fails 20 'does not take the profile' "$PGO" flags --compiler "$T/bin/old" -p "$FIX/app.afdo" -r any
says 0 '' "$PGO" flags --compiler "$gcc" -p "$FIX/app.prof"

# ------------------------------------------------------------------ clang

if [ -n "$clang" ]; then
	got=$(flags --compiler "$clang" --stage record)
	for f in -fdebug-info-for-profiling -funique-internal-linkage-names -Wl,--build-id; do check "clang is told $f" has "$f" "$got"; done
	got=$(flags --compiler "$clang" -p "$FIX/app.prof")
	check "clang gets the profile" has "-fprofile-sample-use=$FIX/app.prof" "$got"
	# shellcheck disable=SC2086
	check "and makes a program with it" "$clang" -Werror -O2 $got -Wno-unused-command-line-argument -o "$T/clang" tests/emu/sample.c
	check "the link gets it only if it optimises" test -z "$(flags --compiler "$clang" -p "$FIX/app.prof" --link | grep sample-use)"
	check "as with -flto" has "-fprofile-sample-use=$FIX/app.prof" "$(flags --compiler "$clang" -p "$FIX/app.prof" --link --own '-O2 -flto=thin')"
fi

# ------------------------------------------------------------------ go, rustc, llvm-bolt, as far as they are here

if command -v go >/dev/null; then
	says 0 "-pgo=$FIX/app.pb.gz" "$PGO" flags --compiler go -p "$FIX/app.pb.gz"
fi
if command -v rustc >/dev/null && ! rustc --version | grep -q nightly; then
	says 0 '' env -u RUSTC_BOOTSTRAP "$PGO" flags --compiler rustc -p "$FIX/app.prof"
	check "stable rustc reads no sample profile, and it is told" grep -q 'does not take the profile' "$T/stderr"
	check "but can be recorded" has -Clink-arg=-Wl,--build-id "$(flags --compiler rustc -s record)"
fi
if bolt=$(tests/tools.sh llvm-bolt); then
	got=$(flags --compiler "$bolt" -p "$FIX/app.fdata")
	for f in "-data=$FIX/app.fdata" -reorder-blocks=ext-tsp -split-functions -enable-bat; do check "llvm-bolt is told $f" has "$f" "$got"; done
	# shellcheck disable=SC2086
	check "and takes it all" "$bolt" "$FIX/app" -o "$T/app.bolt" $got
	check "the program still says the same" cmp <("$T/app.bolt") "$FIX/app.out"
fi

# ------------------------------------------------------------------ without a profile, and past its time

says 0 '' "$PGO" flags --compiler "$gcc" -p "$T/none.afdo"
check "in silence" test ! -s "$T/stderr"
says 0 '' "$PGO" flags --compiler "$gcc" -p "$T/none.afdo" -v
check "unless asked" grep -q 'there is no profile' "$T/stderr"
says 0 "$(flags --compiler "$gcc" -s record)" "$PGO" flags --compiler "$gcc" -p "$T/none.afdo" --stage both
fails 20 'there is no profile' "$PGO" flags --compiler "$gcc" -p "$T/none.afdo" --require any
: >"$T/empty.afdo"
fails 20 'is empty' "$PGO" flags --compiler "$gcc" -p "$T/empty.afdo" --require any
cp "$FIX/app.afdo" "$T/old.afdo" && touch -d 2026-01-01T00:00:00Z "$T/old.afdo"
PGO_NOW=2026-02-20T00:00:00Z fails 20 '50 days old' "$PGO" flags --compiler "$gcc" -p "$T/old.afdo" --require fresh
PGO_NOW=2026-02-20T00:00:00Z flags --compiler "$gcc" -p "$T/old.afdo" --require fresh --ttl 60d >"$T/out"
check "a longer time to live" grep -q auto-profile "$T/out"
PGO_NOW=2026-02-20T00:00:00Z flags --compiler "$gcc" -p "$T/old.afdo" >"$T/out"
check "past its time it is used, with a warning" grep -q 'past its time' "$T/stderr"
fails 2 'say which profile' "$PGO" flags --compiler "$gcc"
fails 2 'is not known; it is one of: record, use, both' "$PGO" flags --compiler "$gcc" --stage recording
fails 2 'both name a profile' "$PGO" flags --compiler "$gcc" -t app -p x
fails 2 'begins the names' "$PGO" flags --compiler "$gcc" -s record -d "$T/x" --as ../x

# ------------------------------------------------------------------ last-good of a target

cat >"$T/pgo.conf" <<'C'
state = "state"
target "app" {
	sources = {"store"}
	binary = "app"
	gcc = "out/app.afdo"
	bolt = "out/app.fdata"
}
C
says 0 '' "$PGO" flags --compiler "$gcc" -c "$T/pgo.conf" -t app
fails 20 'no published profile yet' "$PGO" flags --compiler "$gcc" -c "$T/pgo.conf" -t app -r any
fails 2 "no target 'web'" "$PGO" flags --compiler "$gcc" -c "$T/pgo.conf" -t web
# publish ID FILE
publish() {
	local dir=$T/state/app/published/$1
	mkdir -p "$dir" && cp "$2" "$dir/app.afdo"
	echo '{"schema":2,"kind":"manifest","outputs":[{"kind":"gcc","path":"out/app.afdo","file":"app.afdo","sha256":"'"$(sha256sum <"$2" | cut -c1-64)"'"}]}' \
		>"$dir/manifest.json"
	echo 2 >"$T/state/app/format"
	ln -sfn "published/$1" "$T/state/app/last-good"
}
publish 20261120-0123456789ab "$FIX/app.afdo"
got=$(flags --compiler "$gcc" -c "$T/pgo.conf" -t app --require any)
check "last-good is found" has "-fauto-profile=$T/state/app/published/20261120-0123456789ab/app.afdo" "$got"
check "a target with a bolt output keeps its relocations" has -Wl,--emit-relocs "$got"
flags --compiler "$gcc" -c "$T/pgo.conf" -t app --json >"$T/out"
check "JSON tells which result it is" grep -q '"id": "20261120-0123456789ab"' "$T/out"
python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$T/out" || bad=$((bad + 1))
# Changed behind our back: not used.
echo more >>"$T/state/app/published/20261120-0123456789ab/app.afdo"
says 0 '' "$PGO" flags --compiler "$gcc" -c "$T/pgo.conf" -t app
check "and it is told" grep -q 'is not what its manifest tells' "$T/stderr"
fails 20 'is not what its manifest tells' "$PGO" flags --compiler "$gcc" -c "$T/pgo.conf" -t app -r any
publish 20261120-0123456789ab "$FIX/app.afdo"

# ------------------------------------------------------------------ forms, and files for builds

cp "$FIX/app.afdo" "$T/it's a \$profile.afdo"
flags --compiler "$gcc" -p "$T/it's a \$profile.afdo" --compile >"$T/out"
eval "set -- $(cat "$T/out")"
check "a shell gets words back" has "-fauto-profile=$T/it's a \$profile.afdo" "$*"
flags --compiler "$gcc" -p "$T/it's a \$profile.afdo" --compile -f response >"$T/rsp"
check "gcc takes the form of response files" "$gcc" "@$T/rsp" -O2 -c -o "$T/x.o" tests/emu/sample.c
flags --compiler "$gcc" -p "$FIX/app.afdo" -f make >"$T/out.mk"
# shellcheck disable=SC2016 # for make
check "make takes its form" test "$(printf 'include %s\nall:\n\t@echo $(PGO_CFLAGS)\n' "$T/out.mk" | make -s -f -)" = \
	"$(flags --compiler "$gcc" -p "$FIX/app.afdo" --compile)"
check "and one list of CMake" grep -q '^-g;-fauto-profile=' <(flags --compiler "$gcc" -p "$FIX/app.afdo" -f cmake)

cd "$T" || exit 1
says 0 '' "$PGO" flags --compiler "$gcc" -c pgo.conf -t app -s both -d b
name=b/app-$(sha256sum <"$FIX/app.afdo" | cut -c1-12).afdo
check "the profile has a name of its content" cmp "$FIX/app.afdo" "$name"
check "which the flags name" grep -qx -- "-fauto-profile=$name" b/app.cflags
check "and the header" grep -q "$(basename "$name")" b/app.h
check "it says which profile it is" grep -q '"id": "20261120-0123456789ab"' b/app.json
objcopy --add-section .pgo.build=b/app.json app app.told && strip app.told
"$PGO" show app.told >out
check "a program can tell its profile" grep -q "built with *profile $(sha256sum <"$name" | cut -c1-64) of target app, result 20261120-0123456789ab" out
check "to tools as well" grep -q '"id": "20261120-0123456789ab"' <("$PGO" show --json app.told)
printf '{' >torn && objcopy --add-section .pgo.build=torn app app.torn
check "what is torn is said to be" grep -q 'pgo.build cannot be read' <("$PGO" show app.torn)
touch -d 2020-01-01 b/*
"$PGO" flags --compiler "$gcc" -c pgo.conf -t app -s both -d b
check "the same again writes nothing" test -z "$(find b -newermt 2020-02-01 -type f)"
# Another profile, then a third: what the last flags named stays, what was before them goes.
for n in 2 3; do
	cp "$FIX/app.afdo" "$n.afdo" && "$PGO" convert "$FIX/app.perf" --binary "$FIX/app" --gcc "$n.afdo" -q --gcc-release $((n == 2 ? 12 : 16)) >/dev/null || bad=$((bad + 1))
done
cp "$FIX/plain.pb.gz" p.pb.gz && "$PGO" convert p.pb.gz --binary "$FIX/app" --gcc 2.afdo -q --gcc-release 12 >/dev/null
check "there are different ones" test "$(sha256sum 2.afdo 3.afdo "$FIX/app.afdo" | cut -c1-64 | sort -u | wc -l)" -ge 2
publish 20261121-aaaaaaaaaaaa 2.afdo
"$PGO" flags --compiler "$gcc" -c pgo.conf -t app -s both -d b
check "another profile changes the flags" test b/app.cflags -nt b/app.ldflags
check "the one before stays" test -e "$name"
touch -d 2020-01-01 b/*
publish 20261122-bbbbbbbbbbbb 2.afdo
"$PGO" flags --compiler "$gcc" -c pgo.conf -t app -s both -d b
check "an equal one under another id rebuilds nothing" test -z "$(find b -newermt 2020-02-01 -name '*flags')"
check "and the one before the last is gone" test ! -e "$name"
rm -r state
"$PGO" flags --compiler "$gcc" -c pgo.conf -t app -s both -d b
check "without a profile the flags are those of recording" test -z "$(grep auto-profile b/app.cflags)"
cd "$OLDPWD" || exit 1
check "modules are found" test -s "$("$PGO" --make-include)"
finish
