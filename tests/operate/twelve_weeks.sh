#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Twelve weeks of one service: releases, garbage, an outage, a host that dominates, another compiler, another name. The
# decisions are those of a careful engineer, and what is published is nearer to the truth than what it replaces;
# operate/twelve_weeks.py has the story.
set -u
. tests/operate/lib.bash
operate_begin
command -v python3 >/dev/null || skip "python3 is not installed"
tests/emu/have_plugins.sh || exit 77
[ "$(uname -m)" = x86_64 ] || skip "the recordings are made on x86-64"
CLANG=$(tests/tools.sh clang) || skip "no clang for the week of the other compiler"
export CLANG
unset PGO_NOW
python3 tests/operate/twelve_weeks.py "$T" "$B"
