#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The option tables, the manual pages and the completion say the same: every command has a page, every option of its
# table is described there, and no page describes an option that does not exist.
# shellcheck disable=SC2015 # ok and no always succeed
set -u
B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
good=0 bad=0

ok() {
	good=$((good + 1))
}
no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
}

# The long options that a page describes: -name in its ".It Fl" lines.
described() {
	awk '/^\.It Fl/ { for (i = 2; i <= NF; i++) if ($i ~ /^-[a-z]/) print substr($i, 2) }' "$1" | sort -u
}

"$PGO" --list-commands >"$T/commands" || no "pgo --list-commands fails"
LC_ALL=C sort -c "$T/commands" && [ -s "$T/commands" ] && ok || no "the list of commands is empty or not sorted"
described pgo/man/pgo.1 >"$T/common"
for option in help quiet verbose json progress; do
	grep -qx "$option" "$T/common" && ok || no "pgo.1 does not describe --$option"
done

while read -r command; do
	page=pgo/man/pgo-$command.1
	"$PGO" "$command" --list-options | sort -u >"$T/table" || no "$command --list-options fails"
	grep -q "^\.It Cm $command\$" pgo/man/pgo.1 && ok || no "pgo.1 does not describe $command"
	if [ ! -e "$page" ]; then
		no "there is no $page"
		continue
	fi
	described "$page" >"$T/page"
	while read -r option; do
		no "$page does not describe --$option"
	done < <(comm -23 "$T/table" "$T/page" | grep -vxE 'help|quiet|verbose|json|progress')
	while read -r option; do
		no "$page describes --$option, which does not exist"
	done < <(comm -13 "$T/table" "$T/page")
	# What --help shows is the table.
	"$PGO" "$command" --help >"$T/help" || no "$command --help fails"
	"$PGO" help "$command" | cmp -s - "$T/help" && ok || no "pgo help $command differs from --help"
	while read -r option; do
		grep -qE -- "--$option([= ]|\$)" "$T/help" && ok || no "$command --help does not show --$option"
	done <"$T/table"
	awk 'length > 80 { exit 1 }' "$T/help" && ok || no "$command --help is wider than 80 columns"
done <"$T/commands"

# Commands that pgo.1 describes exist.
sed -n 's/^\.It Cm \([a-z]*\)$/\1/p' pgo/man/pgo.1 | sort >"$T/described"
while read -r command; do
	no "pgo.1 describes the command $command, which does not exist"
done < <(comm -13 "$T/commands" "$T/described")

# bash completion, by calling it.
# shellcheck source=pgo/completion/pgo.bash
. pgo/completion/pgo.bash
complete_words() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_pgo
	printf '%s\n' "${COMPREPLY[@]}" | sort
}
complete_words "$PGO" "" >"$T/got"
comm -23 "$T/commands" "$T/got" | grep -q . && no "completion leaves commands out" || ok
complete_words "$PGO" ver | grep -qx verify && ok || no "ver does not complete to verify"
while read -r command; do
	"$PGO" "$command" --list-options | sed 's/^/--/' | sort >"$T/table"
	complete_words "$PGO" "$command" -- | cmp -s - "$T/table" && ok || no "completion of $command -- is not its options"
done <"$T/commands"
touch "$T/app.perf"
complete_words "$PGO" convert "$T/ap" | grep -qx "$T/app.perf" && ok || no "file names are not completed"
complete_words "$PGO" merge --progress ne | grep -qx never && ok || no "--progress is not completed"
# The other shells: that they ask the program, and that the shell can read them where there is one.
for f in pgo/completion/_pgo pgo/completion/pgo.fish; do
	grep -q -- --list-commands "$f" && grep -q -- --list-options "$f" && ok || no "$f does not ask the program"
done
if command -v zsh >/dev/null; then zsh -n pgo/completion/_pgo && ok || no "zsh cannot read _pgo"; fi
if command -v fish >/dev/null; then fish -n pgo/completion/pgo.fish && ok || no "fish cannot read pgo.fish"; fi

echo "$good checks passed, $bad failed"
[ "$bad" = 0 ] && [ "$good" -gt 0 ]
