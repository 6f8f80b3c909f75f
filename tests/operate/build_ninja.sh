#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The module of Ninja.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin ninja
cat >"$T/p/build.ninja" <<N
cc = $CC
pgo_options = --profile profile.afdo
pgo_own = -O2
include $(pgo --modules)/ninja/pgo.ninja
N
cat >>"$T/p/build.ninja" <<'N'
build kept/pgo.cflags kept/pgo.ldflags: pgo_flags | pgo_always
  dir = kept
rule cc
  command = $cc -O2 @kept/pgo.cflags -MD -MF $out.d -c -o $out $in
  depfile = $out.d
  deps = gcc
rule link
  command = $cc -o $out $in @kept/pgo.ldflags
build sample.o: cc sample.c | kept/pgo.cflags
build greet.o: cc greet.c | kept/pgo.cflags
build app: link sample.o greet.o | kept/pgo.ldflags
default app
N
build() {
	ninja -C "$T/p"
}
build_cycle build app
sed -i 's/--profile profile.afdo/& --require any/' "$T/p/build.ninja"
expect "a required profile ends the build" bash -c "! ninja -C '$T/p' >'$T/said' 2>&1"
expect "with a sentence" grep -q 'there is no profile profile.afdo' "$T/said"
operate_end
