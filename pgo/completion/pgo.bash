# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of pgo for bash: commands, options and file names.  The program itself says which
# commands and options it has, so this file does not go out of date.

_pgo() {
	local cur=${COMP_WORDS[COMP_CWORD]} command="" i

	# With --opt=value the words are split at "=": complete the value as a file name.
	if [ "$cur" = = ] || [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "${cur#=}")
		return
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		help | -*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	if [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("${COMP_WORDS[0]}" --list-commands 2>/dev/null) help --help --version" -- "$cur")
	elif [ "${cur:0:1}" = - ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"$("${COMP_WORDS[0]}" "$command" --list-options 2>/dev/null | sed 's/^/--/')" -- "$cur")
	elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = --progress ]; then
		mapfile -t COMPREPLY < <(compgen -W "auto never always" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -o filenames -F _pgo pgo
