#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The subproject for Meson.
set -u
. tests/operate/lib.bash
. tests/operate/build_lib.bash
build_begin meson ninja
mkdir -p "$T/p/subprojects"
cp -r "$(pgo --modules)/meson" "$T/p/subprojects/pgo"
cat >"$T/p/meson.build" <<'M'
project('app', 'c', default_options: ['buildtype=plain', 'optimization=2'])
pgo = subproject('pgo', default_options: ['profile=' + meson.current_source_dir() / 'profile.afdo'])
executable('app', 'sample.c', 'greet.c', dependencies: pgo.get_variable('pgo_dep'))
M
build_profile none
expect "it is set up" meson setup "$T/p/b" "$T/p"
build() {
	ninja -C "$T/p/b"
}
build_cycle build b/app b
expect "a required profile" meson configure "$T/p/b" -Dpgo:require=any
expect "ends the build" bash -c "! ninja -C '$T/p/b' >'$T/said' 2>&1"
expect "with a sentence" grep -q 'there is no profile' "$T/said"
# Not installed: what it was.
rm "$T/bin/pgo"
if ! command -v pgo >/dev/null; then
	expect "without pgo it is set up" meson setup "$T/p/none" "$T/p"
	expect "and builds" ninja -C "$T/p/none"
fi
operate_end
