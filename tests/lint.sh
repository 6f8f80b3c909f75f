#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rules of this tree that a machine can check.
#
#	tests/lint.sh --list          the rules
#	tests/lint.sh RULE...         checks them (all without arguments)
#
# Prints what was checked and each offence as FILE:LINE or SYMBOL.  Exit code 0: kept; 1: broken; 77: the tool
# for it is missing (named on the last line).  Rules that look at symbols need a build in $B.
# shellcheck disable=SC2317 # the rules are called by name
set -u
cd "$(dirname "$0")/.." || exit 2
B=${B:-build}

rules="layers fences prefix banned names map headers spdx text format scripts manpages"

# Every file of ours; without git (a release tarball), what find finds.
files() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard
	else
		find . -path './build*' -prune -o -type f -print | sed 's|^\./||'
	fi | while read -r f; do [ -e "$f" ] && echo "$f"; done | grep -E -- "${1:-.}" | sort
}

c_files() {
	files '^(pgo|fetch|merge|convert|verify)/.*\.[ch]$'
}

# Reads offences on stdin; says what was checked.
verdict() {
	local what=$1 bad
	bad=$(cat)
	if [ -n "$bad" ]; then
		echo "$bad"
		echo "broken: $what"
		return 1
	fi
	echo "kept: $what"
}

missing() {
	echo "$1 is not installed"
	exit 77
}

# ------------------------------------------------------------------ the structure

# "FILE:LINE: TARGET" of every include with quotes.
includes() {
	c_files | xargs grep -nE '^#[[:space:]]*include[[:space:]]*"' |
		sed -E 's/^([^:]*:[0-9]+):[^"]*"([^"]*)".*/\1 \2/'
}

# What each layer may include besides itself and pgo/core.  verify names functions of profiles the way convert does
# and reads convert's formats; nothing else looks across.
may_include() {
	case $1 in
	verify) echo "convert/(fdata|fnprof|format|lines|ranges|rules_name|shape)\.h" ;;
	*) echo "-" ;;
	esac
}

rule_layers() {
	includes | while read -r place target; do
		from=${place%%/*}
		case $place in pgo/core/*) from=core ;; esac
		case $target in
		profile.pb-c.h) continue ;; # generated; fenced below
		pgo/core/*) continue ;;
		*/*) ;;
		*)
			echo "$place: \"$target\" is not written from the root"
			continue
			;;
		esac
		case $from in
		pgo) continue ;;
		core) ;;
		*)
			[ "${target%%/*}" = "$from" ] && continue
			[[ $target =~ ^$(may_include "$from")$ ]] && continue
			;;
		esac
		echo "$place: $from may not include $target"
	done | verdict "includes point down only: pgo over fetch, merge, convert, verify over pgo/core"
}

# Third-party headers: a pattern, and the only files that may include them.
fence_table() {
	cat <<-'EOF'
		libelf\.h|gelf\.h                 pgo/core/elf[a-z_]*\.[ch]
		elf\.h                            pgo/core/elf[a-z_]*\.[ch]
		dwarf\.h|elfutils/libdw\.h        convert/lines[a-z_]*\.[ch]
		elfutils/libdwfl\.h               convert/lines[a-z_]*\.[ch]
		elfutils/version\.h               pgo/versions\.c
		Zydis/.*                          pgo/core/insn_x86\.c|pgo/versions\.c
		protobuf-c/.*|profile\.pb-c\.h    pgo/core/pprof[a-z_]*\.[ch]|pgo/versions\.c
		jansson\.h                        pgo/core/json\.c|pgo/versions\.c
		confuse\.h                        pgo/conf\.c|pgo/versions\.c
		igzip_lib\.h                      pgo/core/inflate\.c
		isa-l\.h                          pgo/versions\.c
		zlib\.h                           pgo/core/deflate\.c|pgo/versions\.c
		zstd\.h|zstd_errors\.h            pgo/core/inflate\.c|pgo/versions\.c
		xxhash\.h                         pgo/core/map\.c|pgo/versions\.c
		getopt\.h                         pgo/core/opt\.c
		curl/.*                           fetch/http\.c|pgo/versions\.c
		expat\.h                          fetch/s3_list\.c|pgo/versions\.c
	EOF
}

rule_fences() {
	c_files | xargs grep -nE '^#[[:space:]]*include' |
		sed -E 's/^([^:]*):([0-9]+):[^"<]*["<]([^">]*).*/\1 \2 \3/' |
		while read -r file line header; do
			fence_table | while read -r pattern allowed; do
				[[ $header =~ ^($pattern)$ ]] || continue
				[[ $file =~ ^($allowed)$ ]] || echo "$file:$line: <$header> belongs to $allowed"
			done
		done | verdict "third-party headers stay behind the file that wraps them"
}

need_build() {
	command -v nm >/dev/null || missing "nm (binutils)"
	if [ ! -e "$B/libpgo.a" ]; then
		echo "$B/libpgo.a is not built"
		exit 1
	fi
}

# The generated message code keeps the names of its generator.
rule_prefix() {
	need_build
	nm -A --defined-only -g "$B/libpgo.a" "$B/libprogram.a" 2>/dev/null | awk 'NF >= 3 { print $1, $NF }' |
		grep -v 'profile\.pb-c\.o:' | grep -vE ' (pgo_|__gcov|__odr_asan|__asan|_?_?llvm_)' | sort -u |
		verdict "symbols that are not static begin with pgo_"
}

# Undefined symbols tell what is really called.  The library neither prints nor exits nor goes round alloc.h;
# nobody uses functions without bounds, or a shell.
banned_everywhere="strcpy|strcat|stpcpy|sprintf|vsprintf|__sprintf_chk|gets|strtok|atoi|atol|atoll|atof|alloca|system|popen|mktemp|tmpnam|setlocale|localtime|localtime_r|mktime|rand|srand|random"
banned_in_library="printf|__printf_chk|puts|putchar|fprintf|__fprintf_chk|vfprintf|perror|exit|_exit|abort|signal|strtod|gmtime|gmtime_r|strftime"
banned_memory="malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|posix_memalign|aligned_alloc"
# Who may all the same, and why:
#	alloc.o        is the one pair of functions around the heap
#	diag.o         holds the default sink of messages, stderr
#	lines_die.o    frees what libdw allocated
#	debuginfod.o   frees what libdebuginfod allocated
allowed_calls='alloc\.o (malloc|calloc|realloc|free)$|lines_die\.o free$|debuginfod\.o free$|diag\.o (fprintf|__fprintf_chk)$'

rule_banned() {
	need_build
	{
		nm -A -u "$B/libpgo.a" 2>/dev/null | sed -E 's/^.*:([^:]*\.o):.* U /\1 /' | sed 's/@.*//' |
			grep -v '^profile\.pb-c\.o ' | grep -E " ($banned_everywhere|$banned_in_library|$banned_memory)\$" |
			grep -vE "^($allowed_calls)"
		nm -A -u "$B/libprogram.a" 2>/dev/null | sed -E 's/^.*:([^:]*\.o):.* U /\1 /' | sed 's/@.*//' |
			grep -E " ($banned_everywhere)\$"
		c_files | xargs grep -nE '\b(alloca|strtok|sprintf|strcpy|strcat|gets)[[:space:]]*\(' | grep -vE ':[[:space:]]*(\*|//)'
	} | sort -u | verdict "nothing unbounded is called; the library does not print, exit or use the heap by itself"
}

rule_names() {
	files '\.[ch]$' | sed 's|.*/||' | sort | uniq -d | while read -r name; do
		files "/$name\$" | tr '\n' ' '
		echo "share one name"
	done >"$TMP/names"
	# The top level is part of the design.
	files . | grep -vE '^(pgo|fetch|merge|convert|verify|tests|\.ci)/|^(Makefile|README\.md|LICENSE|\.gitignore|\.clang-format)$' |
		sed 's/$/ does not belong here/' >>"$TMP/names"
	verdict "names of source files are unique in the tree, and the top level is as designed" <"$TMP/names"
}

# The map at the top of pgo/main.c names every file, in the part of its directory, and no others.
rule_map() {
	local d
	for d in pgo pgo/core fetch merge convert verify; do
		# The part: from the line " * DIR/:" to the next line without text.
		awk -v head="^ \\\\* $d/:" '$0 ~ head { on = 1; next } on && /^ \*\/?$/ { exit } on' pgo/main.c |
			grep -oE '^ \*	[a-z0-9_]+(, [a-z0-9_]+)*' |
			grep -oE '[a-z0-9_]+' | sort -u >"$TMP/map"
		# The commands' files are the rows of PGO_COMMANDS, which would not link without them.
		c_files | grep -E "^$d/[^/]*\$" | grep -v '^pgo/cmd_' | sed 's|.*/||; s|\.[ch]$||' | sort -u >"$TMP/files"
		comm -13 "$TMP/map" "$TMP/files" | sed "s|.*|pgo/main.c: the map lacks $d/&|"
		comm -23 "$TMP/map" "$TMP/files" | grep -vxE 'man|completion|cmd_' | sed "s|.*|pgo/main.c: the map names $d/&, which is not there|"
	done | verdict "the map at the top of pgo/main.c names every file"
}

# Each header compiles alone, so that includes need no order.
rule_headers() {
	local f flags
	flags=$(pkg-config --cflags libelf libdw libisal libprotobuf-c 2>/dev/null)
	for f in $(c_files | grep '\.h$'); do
		# shellcheck disable=SC2086
		${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Wno-pragma-once-outside-header \
			-I. -I"$B/gen" $flags -x c "$f" 2>&1 | head -n 3
		guard=$(echo "$f" | tr 'a-z/.-' 'A-Z___')
		guard=${guard/PGO_CORE/CORE}
		guard=PGO_${guard#PGO_}
		grep -q "^#define $guard\$" "$f" || echo "$f: the guard should be $guard"
	done | verdict "headers stand alone and their guards follow their paths"
}

# ------------------------------------------------------------------ the text

rule_spdx() {
	files '\.(c|h|cpp|hpp|sh|bash|fish|proto|mk|py)$|^\.ci/|/_pgo$|\.[1-9]$' | while read -r f; do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f: no SPDX line at the top"
	done | verdict "every source file names its licence"
}

rule_text() {
	# The words are put together here so that this file does not hold them.
	local unfinished="\bTO""DO|\bFIX""ME|\bXX""X\b" places="(^|[^a-z.])/wo""rk/|\bfacts""/|\.\./sha""red"
	{
		files '\.(c|h|cpp|hpp|sh|md|mk|proto|conf|fish|bash)$|Makefile$|\.[1-9]$|^\.ci/' |
			xargs grep -nE "$unfinished|$places" /dev/null
		files '\.(c|h|cpp|hpp|sh|md|mk|proto|conf|fish|bash)$|Makefile$|\.[1-9]$' |
			xargs grep -nE '[[:blank:]]+$|'$'\r''$' /dev/null | sed 's/$/ <- blanks at the end/'
		files '\.(c|h)$' | xargs grep -nE '^(    |	 {8})' /dev/null | sed 's/$/ <- blanks instead of a tab/'
		files . | grep -vE '^tests/(fuzz/corpus|data)/' | while read -r f; do
			[ -s "$f" ] && [ -n "$(tail -c 1 "$f" | tr -d '\0')" ] && grep -Iq . "$f" && echo "$f: no newline at the end"
		done
	} | verdict "no unfinished places, no local paths, no stray blanks"
}

rule_format() {
	local tool
	tool=$(command -v clang-format-14) || missing "clang-format-14"
	files '\.(c|h|cpp|hpp)$' | xargs "$tool" --dry-run 2>&1 | grep 'warning:' | cut -d: -f1 | sort | uniq -c |
		awk '{ print $2 ": " $1 " places differ from clang-format" }' | verdict "clang-format leaves the C files as they are"
}

rule_scripts() {
	local tool
	tool=$(command -v shellcheck) || missing "shellcheck"
	files '\.(sh|bash)$|^\.ci/run$' | while read -r f; do
		head -n 1 "$f" | grep -q '^#!' && [ ! -x "$f" ] && echo "$f: has a first line for running but no mode for it"
		"$tool" -x -f gcc "$f" 2>&1
	done | verdict "shellcheck has nothing to say about the scripts"
}

rule_manpages() {
	local tool
	tool=$(command -v mandoc) || missing "mandoc"
	files '^pgo/man/.*\.[1-9]$' | while read -r f; do
		# Pages that are not installed here cannot be found, and dates are checked by people.
		"$tool" -Tlint -Wwarning "$f" 2>&1 | grep -vE 'referenced manual not found|Mdocdate'
	done | verdict "mandoc has nothing to say about the manual pages"
}

# ------------------------------------------------------------------ main

TMP=$(mktemp -d) || exit 2
trap 'rm -rf "$TMP"' EXIT

if [ "${1-}" = --list ]; then
	echo "$rules" | tr ' ' '\n'
	exit 0
fi
if [ $# -eq 1 ]; then
	"rule_$1"
	exit
fi
if [ $# -eq 0 ]; then
	# shellcheck disable=SC2086
	set -- $rules
fi
code=0
for rule; do
	("rule_$rule") || [ $? = 77 ] || code=1
done
exit "$code"
