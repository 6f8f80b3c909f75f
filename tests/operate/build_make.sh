#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The module of GNU Make, with gcc and llvm-bolt.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin make
cat >"$T/p/Makefile" <<'M'
CFLAGS = -O2
PGO_PROFILE = profile.afdo
PGO_DIR = kept
include $(shell pgo --make-include)

app: sample.o greet.o
	$(CC) $(LDFLAGS) $(PGO_LDFLAGS) -o $@ $^
%.o: %.c $(PGO_STAMP)
	$(CC) $(CFLAGS) $(PGO_CFLAGS) -c -o $@ $<
clean:
	rm -f *.o app
M
build() {
	make -C "$T/p" -s app
}
build_cycle build app
expect "one profile is kept, and the one before it at most" test "$(find "$T/p/kept" -name '*.afdo' | wc -l)" -le 2

# Required and not there: the build ends, and says why.
expect "a required profile ends the build" bash -c "! make -C '$T/p' -s app PGO_REQUIRE=any >'$T/said' 2>&1"
expect "with a sentence" grep -q 'there is no profile profile.afdo' "$T/said"
expect "cleaning needs none" make -C "$T/p" -s clean PGO_REQUIRE=any
# No pgo: what was.
mkdir "$T/nopgo" && ln -s "$T/bin/cc" "$T/nopgo/cc"
expect "without pgo it builds" env PATH="$T/nopgo:/usr/bin:/bin" bash -c "! command -v pgo || exit 0; make -C '$T/p' -s app"

# llvm-bolt, from last-good of a target.
if bolt=$(tests/tools.sh llvm-bolt); then
	mkdir -p "$T/p/state/app/published/20261120-0123456789ab"
	cp "$FIX/app.afdo" "$FIX/app.fdata" "$T/p/state/app/published/20261120-0123456789ab"
	echo 2 >"$T/p/state/app/format"
	ln -s published/20261120-0123456789ab "$T/p/state/app/last-good"
	cat >"$T/p/state/app/last-good/manifest.json" <<-J
		{"outputs":[{"kind":"gcc","file":"app.afdo","sha256":"$(sha256sum <"$FIX/app.afdo" | cut -c1-64)"},
		 {"kind":"bolt","file":"app.fdata","sha256":"$(sha256sum <"$FIX/app.fdata" | cut -c1-64)"}]}
	J
	printf 'target "app" {\n\tsources = {"s"}\n\tbinary = "app"\n\tgcc = "app.afdo"\n\tbolt = "app.fdata"\n}\nstate = "state"\n' >"$T/p/pgo.conf"
	cat >"$T/p/Makefile.bolt" <<'M'
CFLAGS = -O2
PGO_TARGET = app
include $(shell pgo --make-include)
app: app.linked $(PGO_BOLT_STAMP)
	$(call pgo_bolt,app.linked,$@)
app.linked: sample.o $(PGO_STAMP)
	$(CC) $(PGO_LDFLAGS) -o $@ sample.o
sample.o: sample.c $(PGO_STAMP)
	$(CC) $(CFLAGS) $(PGO_CFLAGS) -c -o $@ $<
M
	bolted() {
		make -C "$T/p" -s -f Makefile.bolt app PGO_BOLT="$bolt"
	}
	rm -f "$T/p"/*.o
	expect "llvm-bolt's turn" bolted
	expect "the program was rewritten" grep -q '\.note\.bolt_info' <(readelf -SW "$T/p/app")
	expect "and does the same" cmp <("$T/p/app") "$FIX/app.out"
	before=$(stat -c %y "$T/p/app")
	expect "nothing new" bolted
	expect "rewrites nothing" test "$before" = "$(stat -c %y "$T/p/app")"
	rm "$T/p/state/app/last-good"
	expect "without a profile" bolted
	expect "it is what the linker made" cmp "$T/p/app" "$T/p/app.linked"
	# One that fails is no reason to have no program.
	ln -s published/20261120-0123456789ab "$T/p/state/app/last-good"
	# shellcheck disable=SC2016 # for the file
	printf '#!/bin/sh\ncase $1 in -*) exec %q "$@" ;; esac\nexit 1\n' "$bolt" >"$T/bin/llvm-bolt" && chmod +x "$T/bin/llvm-bolt"
	bolt=llvm-bolt
	expect "an llvm-bolt that fails" bolted
	expect "it is what the linker made" cmp "$T/p/app" "$T/p/app.linked"
fi
operate_end
