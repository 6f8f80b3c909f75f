# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# python_with PACKAGE...: sets PYTHON to one that has them. They are installed once, outside of the tree, from the package
# index that pip knows; where that is not possible the test is skipped by name.
python_with() {
	local home lock
	home=${XDG_CACHE_HOME:-$HOME/.cache}/pgo-engines/$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	mkdir -p "$home" || skip "$home cannot be made"
	lock=$home/lock
	PYTHON=$home/env/bin/python
	(
		flock 9
		[ -x "$PYTHON" ] || python3 -m venv "$home/env" || exit 1
		for p; do
			[ -e "$home/has-$p" ] || { timeout 900 "$PYTHON" -m pip install -q --disable-pip-version-check "$p" && touch "$home/has-$p"; } || exit 1
		done
	) 9>"$lock" >"$T/pip" 2>&1 || {
		cat "$T/pip"
		skip "pip cannot install $*: $(tail -n 1 "$T/pip")"
	}
}
