#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Can the instrument run here?  Exit 0 if qemu-user is installed and loads plugins (Debian 12's does, the static one of
# Debian 13 does not); else 1, and the reason on standard output.
set -u

if ! command -v qemu-x86_64 >/dev/null; then
	echo "qemu-user is not installed"
	exit 1
fi
if ! qemu-x86_64 -h 2>/dev/null | grep -q -e -plugin; then
	echo "this qemu-user loads no plugins"
	exit 1
fi
