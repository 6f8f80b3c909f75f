# SPDX-License-Identifier: Apache-2.0
# Completion of pgo for fish: commands, options and file names.  The program itself says which
# commands and options it has.

function __pgo_command
	for word in (commandline -opc)[2..-1]
		if not string match -qr '^(-|help$)' -- $word
			echo $word
			return 0
		end
	end
	return 1
end

function __pgo_options
	pgo (__pgo_command) --list-options 2>/dev/null | string replace -r '^' -- --
end

complete -c pgo -n 'not __pgo_command' -f -a '(pgo --list-commands 2>/dev/null) help'
complete -c pgo -n 'not __pgo_command' -l help -l version
complete -c pgo -n '__pgo_command; and string match -q -- "-*" (commandline -ct)' -a '(__pgo_options)'
complete -c pgo -n '__pgo_command' -l progress -x -a 'auto never always'
